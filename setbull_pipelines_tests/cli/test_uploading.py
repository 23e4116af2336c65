"""``setbull upload`` and what a user sees when folder and store do not belong together."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from setbull_pipelines.settings import Replay, load_settings, replaying
from setbull_pipelines_tests.patience import PATIENCE
from setbull_pipelines_tests.pipeline.small_run import SmallRun
from setbull_pipelines_tests.processes import SETBULL, environment
from setbull_pipelines_tests.servers import s3_server

pytestmark = pytest.mark.run


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    path = tmp_path / "shared.toml"
    path.write_text('[storage]\nremote = "s3://bucket/tables"\n')
    return path


def test_a_folder_is_refused_until_it_was_uploaded_and_then_read_from_the_store(
    copied_run: SmallRun, settings_file: Path, tmp_path: Path
):
    folder = copied_run.settings.data_directory

    with s3_server() as services:

        def setbull(data: Path, *arguments: str) -> subprocess.CompletedProcess:
            variables = environment(data, settings_file, **services)
            return subprocess.run(
                [*SETBULL, *arguments],
                env=variables,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
            )

        refused = setbull(folder, "rollout", "status")
        uploaded = setbull(folder, "upload")
        shown = setbull(tmp_path / "new machine", "rollout", "status")
        again = setbull(folder, "upload")

    assert refused.returncode == 2
    assert "holds a warehouse of its own" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert uploaded.returncode == 0, uploaded.stderr
    assert "partitions to s3://bucket/tables" in uploaded.stdout
    assert shown.returncode == 0, shown.stderr
    assert "of 12 instruments" in shown.stdout, "served tables are told from the store"
    assert again.returncode == 2
    assert "is the mirror of" in again.stderr


def test_a_replay_never_writes_into_the_shared_store(settings_file: Path, tmp_path: Path):
    settings = load_settings(
        {"SETBULL_DATA_DIR": str(tmp_path), "SETBULL_SETTINGS": str(settings_file)}
    )
    replay = Replay(datetime(2026, 6, 30, tzinfo=UTC), tmp_path)

    assert settings.storage.remote == "s3://bucket/tables"
    assert replaying(settings, replay, tmp_path / "replay").storage.remote == ""
