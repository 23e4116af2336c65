"""What ends a command: a sentence and a code, and nothing at all where the reader of the answer has gone."""

from __future__ import annotations

import errno

import pytest

from setbull_pipelines.cli.ending import asking, working
from setbull_pipelines.errors import FAILED, UNUSABLE
from setbull_pipelines.warehouse.errors import DamagedPartition


@pytest.mark.parametrize("around", [asking, working])
def test_a_reader_that_has_gone_is_no_error(around, capsys: pytest.CaptureFixture[str]) -> None:
    """``setbull alerts list | head -1`` ended with "error: [Errno 32] Broken pipe"."""
    with pytest.raises(BrokenPipeError), around():
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("around", "error", "code"),
    [
        (asking, OSError(errno.ENOSPC, "No space left on device"), UNUSABLE),
        (working, OSError(errno.ENOSPC, "No space left on device"), FAILED),
        (asking, DamagedPartition("a day is damaged"), UNUSABLE),
        (working, DamagedPartition("a day is damaged"), FAILED),
    ],
)
def test_what_a_command_expects_is_one_sentence(
    around, error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended, around():
        raise error
    assert ended.value.code == code
    assert capsys.readouterr().err == f"error: {error}\n"
