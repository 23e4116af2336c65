"""The small finished run, and an environment that a command may change."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from setbull_pipelines_tests.pipeline.small_run import copied_run, small_run

__all__ = ["QUICK", "copied_run", "data_directory", "small_run"]
QUICK = "[reconciliation]\nnoise_instruments = 0\n"
"""Settings without what has tests of its own and takes seconds of every run."""


@pytest.fixture
def data_directory(tmp_path: Path) -> Iterator[Path]:
    """The data folder of commands run in this process; what they do to the environment is undone."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith(("SETBULL_", "DAGSTER_"))]:
        del os.environ[name]
    os.environ["SETBULL_DATA_DIR"] = str(tmp_path / "data")
    (tmp_path / "settings.toml").write_text(QUICK, encoding="utf-8")
    os.environ["SETBULL_SETTINGS"] = str(tmp_path / "settings.toml")
    os.environ["COLUMNS"] = "200"
    yield tmp_path / "data"
    os.environ.clear()
    os.environ.update(before)
