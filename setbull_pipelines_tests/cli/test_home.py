"""The data folder: Dagster's home in it, and never two inputs in one history."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from setbull_pipelines.cli.home import claim, prepare_dagster_home
from setbull_pipelines.cli.main import main
from setbull_pipelines.settings import recorded_source

STORED = {"run": "history", "event_log": "history/runs", "schedule": "schedules"}


def results(data_directory: Path, text: str) -> None:
    """Something that a run leaves behind."""
    for name in ("warehouse", "dagster", "reports", "landing"):
        (data_directory / name).mkdir(parents=True, exist_ok=True)
        (data_directory / name / "file").write_text(text)
    (data_directory / "setbull.duckdb").write_text(text)


def test_the_first_run_claims_the_folder_in_silence(data_directory: Path) -> None:
    assert claim(data_directory, "/candles/a") is None
    assert recorded_source(data_directory)[0] == "/candles/a"
    assert os.environ["SETBULL_INPUT"] == "/candles/a"
    assert not (data_directory / "earlier").exists()


def test_the_same_input_keeps_its_results(data_directory: Path) -> None:
    claim(data_directory, "/candles/a")
    results(data_directory, "a")
    assert claim(data_directory, "/candles/a") is None
    assert (data_directory / "warehouse" / "file").read_text() == "a"


def test_a_run_that_is_killed_while_it_claims_the_folder_leaves_what_was_recorded(
    data_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim(data_directory, "/candles/a")

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("setbull_pipelines.disk.os.replace", die)
        patched.setattr("setbull_pipelines.disk._unlink", lambda path: None)
        with pytest.raises(KeyboardInterrupt):
            claim(data_directory, "/candles/a")
    assert recorded_source(data_directory)[0] == "/candles/a"
    assert any(path.name.startswith(".writing-") for path in data_directory.iterdir())
    claim(data_directory, "/candles/a")
    assert [path.name for path in data_directory.iterdir()] == ["source.json"]


def test_another_input_finds_an_empty_folder_and_the_old_results_are_kept(
    data_directory: Path,
) -> None:
    claim(data_directory, None)
    results(data_directory, "sample")
    note = claim(data_directory, "/candles/a")
    assert "held results of the generated sample" in note
    assert str(data_directory / "earlier" / "1") in note
    for name in ("warehouse", "dagster", "reports", "setbull.duckdb"):
        assert not (data_directory / name).exists()
    first = data_directory / "earlier" / "1"
    assert (first / "warehouse" / "file").read_text() == "sample"
    assert (first / "dagster" / "file").read_text() == "sample"
    assert (first / "reports" / "file").read_text() == "sample"
    assert (first / "setbull.duckdb").read_text() == "sample"
    assert recorded_source(first)[0] is None
    assert recorded_source(data_directory)[0] == "/candles/a"
    # What was read from files is remembered by content, so it serves any input.
    assert (data_directory / "landing" / "file").exists()

    results(data_directory, "a")
    note = claim(data_directory, None)
    assert "held results of /candles/a" in note
    assert "SETBULL_INPUT" not in os.environ
    assert (first / "warehouse" / "file").read_text() == "sample"
    assert (data_directory / "earlier" / "2" / "warehouse" / "file").read_text() == "a"


def test_dagster_lives_in_the_data_folder_by_absolute_paths(data_directory: Path) -> None:
    home = prepare_dagster_home(data_directory)
    assert home == data_directory / "dagster"
    assert os.environ["DAGSTER_HOME"] == str(home)
    assert os.environ["SETBULL_DATA_DIR"] == str(data_directory)
    configuration = yaml.safe_load((home / "dagster.yaml").read_text())
    storage = {name: configuration[f"{name}_storage"]["config"] for name in STORED}
    assert storage == {name: {"base_dir": str(home / "storage" / STORED[name])} for name in STORED}
    assert configuration["telemetry"] == {"enabled": False}
    assert "data/" not in {
        value.split("dagster")[0] for value in texts(configuration) if value.startswith("data/")
    }


@pytest.mark.run
def test_two_first_commands_make_dagsters_files_once(data_directory: Path) -> None:
    """Without the lock, three of four rounds of this left a version table of two rows, which nobody can open."""
    script = (
        "import sys; from pathlib import Path; import dagster as dg; "
        "from setbull_pipelines.cli.home import prepare_dagster_home; "
        "print('ready', flush=True); sys.stdin.readline(); "
        "prepare_dagster_home(Path(sys.argv[1])); dg.DagsterInstance.get().get_runs()"
    )
    commands = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(data_directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for command in commands:
        assert command.stdout is not None
        command.stdout.readline()
    for command in commands:
        assert command.stdin is not None
        command.stdin.write("go\n")
        command.stdin.flush()
    told = [command.communicate() for command in commands]
    assert [command.returncode for command in commands] == [0, 0, 0], told
    for path in (data_directory / "dagster" / "storage").rglob("*.db"):
        with closing(sqlite3.connect(path)) as connection:
            (stamps,) = connection.execute("SELECT count(*) FROM alembic_version").fetchone()
            assert stamps == 1, path


def texts(node: object) -> list[str]:
    if isinstance(node, dict):
        return [text for value in node.values() for text in texts(value)]
    if isinstance(node, list):
        return [text for value in node for text in texts(value)]
    return [node] if isinstance(node, str) else []


OPEN_UI = """
import os
real = os.execv
os.execv = lambda *arguments: real(sys.executable, [sys.executable, "-c", SERVES])
from setbull_pipelines.cli.main import main
main(["ui"])
"""
SERVES = "import time; print('open', flush=True); time.sleep(600)"


@pytest.mark.run
def test_a_second_ui_of_a_folder_is_refused_until_the_first_has_ended(
    data_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = [sys.executable, "-c", f"import sys\nSERVES = {SERVES!r}\n{OPEN_UI}"]
    with subprocess.Popen(begin, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout.readline().startswith("opening http://127.0.0.1:3000")
        assert first.stdout.readline() == "open\n"
        refused = CliRunner().invoke(main, ["ui", "--port", "3001"])
        first.kill()
        first.wait()
    assert refused.exit_code == 2
    assert refused.stderr.startswith(
        f"error: the UI of {data_directory} is open already: process {first.pid} ({Path(sys.executable).name}, since 2"
    )
    assert refused.stderr.count("\n") == 1

    opened = []
    monkeypatch.setattr(os, "execv", lambda program, arguments: opened.append(arguments))
    monkeypatch.chdir(".")
    assert CliRunner().invoke(main, ["ui", "--port", "3001"]).exit_code == 0
    assert opened[0][-1] == "3001"
