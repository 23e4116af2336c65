"""An error that nobody foresaw reaches the user as one sentence, never as a traceback."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from setbull_pipelines.cli.last_resort import sentence_about
from setbull_pipelines.cli.main import main
from setbull_pipelines.secrets import without_secrets


def setbull(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> Result:
    """``setbull self-test`` where an error comes up that no command expects."""

    def fail(*arguments: object, **named: object) -> None:
        raise error

    monkeypatch.setattr("setbull_pipelines.cli.commands.self_test.settings_in_force", fail)
    return CliRunner().invoke(main, ["self-test"])


def test_a_fault_of_the_program_is_a_sentence_with_the_file_of_its_traceback(
    data_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = setbull(monkeypatch, ValueError("a frame has no column 'close'\nand more"))

    (path,) = (data_directory / "logs").iterdir()
    assert done.exit_code == 70
    assert done.output == (
        "error: ValueError: a frame has no column 'close'; this is a fault of the program, and the traceback is in "
        f"{path}. What was published before is whole; the same command may be tried again\n"
    )
    text = path.read_text("utf-8")
    assert text.startswith("Traceback (most recent call last)")
    assert "and more" in text


def test_what_the_machine_refuses_is_no_fault_of_the_program(
    data_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = setbull(monkeypatch, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "x.parquet"))
    assert done.exit_code == 70
    assert done.output.startswith(
        "error: OSError: [Errno 28] No space left on device: 'x.parquet'; "
    )
    assert "fault of the program" not in done.output


@pytest.mark.parametrize(
    ("code", "is_damage", "is_fault"),
    [
        (sqlite3.SQLITE_NOTADB, True, False),
        (sqlite3.SQLITE_CORRUPT_INDEX, True, False),
        (sqlite3.SQLITE_IOERR_WRITE, False, False),
        (sqlite3.SQLITE_FULL, False, False),
        (sqlite3.SQLITE_ERROR, False, True),
    ],
)
def test_what_sqlite_says_tells_damage_from_a_full_disk_and_from_a_fault(
    code: int,
    is_damage: bool,
    is_fault: bool,
    data_directory: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cause = sqlite3.OperationalError("no luck")
    cause.sqlite_errorcode = code
    error = RuntimeError("the statement failed")
    error.__cause__ = cause
    done = setbull(monkeypatch, error)
    assert done.exit_code == (2 if is_damage else 70)
    assert ("setbull doctor --repair" in done.output) is is_damage
    assert ("fault of the program" in done.output) is is_fault


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.write_text("not a folder")
    assert "could not be written below" in sentence_about(ValueError("no"), file)


def test_secrets_of_the_environment_are_in_neither(
    data_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SETBULL_UPSTOX_TOKEN", "planted-token-1")
    monkeypatch.setenv("SETBULL_IMPORT_PASSWORD", "planted-password-2")
    done = setbull(monkeypatch, ValueError("GET /?token=planted-token-1 by planted-password-2"))
    (path,) = (data_directory / "logs").iterdir()
    for text in (done.output, path.read_text("utf-8")):
        assert "planted" not in text
        assert "GET /?token=*** by ***" in text


@pytest.mark.parametrize(
    ("variable", "value", "text", "told"),
    [
        ("HOOK", "json://host/planted", "POST json://host/planted failed", "POST *** failed"),
        ("HOOK", "https://u:planted%2F1@host", "u, planted/1, planted%2F1", "u, ***, ***"),
        (
            "PAGE",
            "https://host/page",
            "GET https://host/page failed",
            "GET https://host/page failed",
        ),
        ("MY_PASSWORD", "abc", "abc is too short", "abc is too short"),
        ("BROKEN", "http://[", "http://[ is no address", "http://[ is no address"),
    ],
)
def test_what_is_secret_in_the_environment(
    variable: str, value: str, text: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    assert without_secrets(text) == told


@pytest.mark.usefixtures("data_directory")
def test_an_interrupted_command_says_that_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    done = setbull(monkeypatch, KeyboardInterrupt())
    assert done.exit_code == 130
    assert (
        done.output
        == "error: interrupted; what was published is whole, and the same command goes on\n"
    )


@pytest.mark.usefixtures("data_directory")
def test_errors_of_the_command_line_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    done = setbull(monkeypatch, click.UsageError("no such day"))
    assert done.exit_code == 2
    assert "Usage:" in done.output
