"""The command, called inside this process, and what a refusal looks like."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from setbull_pipelines.cli.main import main


def setbull(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def assert_refused(result: Result, *parts: str) -> None:
    """The command ended with code 2 and one sentence that holds ``parts``, not with a traceback."""
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    sentence = result.stderr.strip().splitlines()[-1]
    assert sentence.lower().startswith("error: ")
    for part in parts:
        assert part in sentence
