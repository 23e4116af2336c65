"""Progress in a window and elsewhere."""

from __future__ import annotations

import logging
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from fcntl import ioctl
from pathlib import Path

import pytest

from setbull_pipelines.cli import terminal
from setbull_pipelines.pipeline.progress import REACHED, Reached, logger
from setbull_pipelines.pipeline.time_left import WholeRun

WORK = """
import sys
import time
from dagster._core.execution.compute_logs import mirror_stream_to_file
from setbull_pipelines.cli.terminal import aside, console, showing_progress
from setbull_pipelines.pipeline.progress import Progress, tell

def work():
    with showing_progress("all assets and checks: 5 sessions") as shown:
        for number, lane in enumerate(("raw", "v1", "v2"), start=1):
            shown.part(number, 3, lane)
            # As Dagster does with the output of a step.
            with mirror_stream_to_file(sys.stdout, "./out"), mirror_stream_to_file(sys.stderr, "./err"):
                progress = Progress(f"{lane}/indicators_5min", 40, "days", interval=0.0)
                for _ in range(40):
                    progress.advance()
                    time.sleep(0.04)
                print(f"a library says something in {lane}")
                tell(f"{lane}: " + "44 checks passed, " * 10)
                if lane == "v1":
                    tell("v1: 43 of 44 checks passed; bars: 3 rows", is_well=False)
    console.print("the report")

if sys.argv[1] == "stderr":
    with aside():
        work()
else:
    work()
"""


class Screen:
    """What a window shows after it was written to: enough of its language for lines that change in place."""

    def __init__(self, columns: int) -> None:
        self.columns, self.row, self.column = columns, 0, 0
        self.lines: list[str] = [""]
        self.highest = 0
        """The most lines that were there at once."""

    def write(self, text: str) -> None:
        for code, sign in re.findall(r"\x1b\[([?\d;]*[A-Za-z])|(.)", text, re.DOTALL):
            if sign == "\n":
                self.row += 1
            elif sign == "\r":
                self.column = 0
            elif sign:
                self._put(sign)
            elif code.endswith("A"):
                self.row -= int(code[:-1] or 1)
            elif code == "2K":
                self.lines[self.row] = ""
            else:
                assert code[-1] in "mhl", code
            while len(self.lines) <= self.row:
                self.lines.append("")
            self.highest = max(self.highest, len([line for line in self.lines if line]))

    def _put(self, sign: str) -> None:
        assert self.column < self.columns, f"wrapped after {self.lines[self.row]!r}"
        line = self.lines[self.row].ljust(self.column)
        self.lines[self.row] = line[: self.column] + sign + line[self.column + 1 :]
        self.column += 1

    @property
    def shown(self) -> list[str]:
        return [line.rstrip() for line in self.lines if line.strip()]


def written_to_a_window(columns: int, stream: str, tmp_path: Path) -> str:
    leader, follower = pty.openpty()
    ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    unwanted = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR")
    environment = {name: value for name, value in os.environ.items() if name not in unwanted}
    with (tmp_path / "elsewhere").open("w") as elsewhere:
        process = subprocess.Popen(
            [sys.executable, "-c", WORK, stream],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=follower if stream == "stdout" else elsewhere,
            stderr=follower if stream == "stderr" else elsewhere,
            env=environment | {"TERM": "xterm"},
        )
    os.close(follower)
    parts = []
    try:
        while part := os.read(leader, 65536):
            parts.append(part)
    except OSError:
        pass  # Linux ends a terminal whose last writer is gone with an error
    os.close(leader)
    assert process.wait() == 0, (tmp_path / "elsewhere").read_text()
    return b"".join(parts).decode()


@pytest.mark.parametrize(("columns", "stream"), [(80, "stdout"), (100, "stderr")])
def test_a_window_has_one_display_inside_steps_too(
    columns: int, stream: str, tmp_path: Path
) -> None:
    written = written_to_a_window(columns, stream, tmp_path)
    screen = Screen(columns)
    screen.write(written)
    wrong = "  v1: 43 of 44 checks passed; bars: 3 rows"
    assert screen.shown[0] == "all assets and checks: 5 sessions"
    assert screen.shown[-1] == "the report"
    assert set(screen.shown[1:-1]) == {
        wrong,
        *(f"a library says something in {lane}" for lane in ("raw", "v1", "v2")),
    }
    assert screen.highest <= 1 + 4 + 3  # heading, what stays, the display
    plain = re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", written)
    assert "step 2 of 3: v1" in plain
    assert re.search(r"v2/indicators_5min\s.*━.* \d+ of 40 days, 0:0\d left", plain)
    assert "v1: 44 checks passed" in plain


def reached(done: int) -> logging.LogRecord:
    found = Reached("v1/candles_5min", done, 40, "days", seconds=done / 2)
    return logger.makeRecord(
        logger.name, logging.INFO, "", 0, "%s", (found,), None, extra={REACHED: found}
    )


def test_elsewhere_a_line_is_printed_every_ten_seconds_at_most_and_what_is_wrong_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [100.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: clock[0])
    with terminal.showing_progress("all assets") as shown:
        shown.part(1, 9, "v1")
        for done in range(1, 36):
            clock[0] += 1.0
            shown.handle(reached(done))
        logger.warning("candles_5min: 3 of 40 cells differ")
    assert capsys.readouterr().out.splitlines() == [
        "all assets",
        "  step 1 of 9: v1, 0:10 elapsed: v1/candles_5min: 10 of 40 days, 2.0 per second, 15 s left",
        "  step 1 of 9: v1, 0:20 elapsed: v1/candles_5min: 20 of 40 days, 2.0 per second, 10 s left",
        "  step 1 of 9: v1, 0:30 elapsed: v1/candles_5min: 30 of 40 days, 2.0 per second, 5 s left",
        "  candles_5min: 3 of 40 cells differ",
    ]
    logger.warning("after the end nothing is shown")
    assert not capsys.readouterr().out


def test_lines_say_how_long_the_whole_run_still_takes_once_something_says_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [100.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: clock[0])
    with terminal.showing_progress("all assets", WholeRun(["raw", "v1", "v2"])) as shown:
        shown.part(1, 3, "raw")
        clock[0] += 10.0
        shown.handle(reached(1))  # of a work of another step, which says nothing
        shown.part(2, 3, "v1")
        clock[0] += 10.0
        shown.handle(reached(20))
    first, second = capsys.readouterr().out.splitlines()[1:]
    assert first.startswith("  step 1 of 3: raw, 0:10 elapsed: v1/candles_5min: 1 of 40 days")
    assert re.match(
        r"  step 2 of 3: v1, 0:20 elapsed, about 0:\d\d left: v1/candles_5min: 20 of", second
    )


def test_a_window_shows_work_whose_end_nobody_knows_without_time_left(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = terminal._Display(None)
    for total in (None, 0):
        found = Reached("old table", 0, total, "rows", seconds=3.0)
        shown.emit(logger.makeRecord("", logging.INFO, "", 0, "", (), None, extra={REACHED: found}))
        terminal.console.print(shown)
    told = capsys.readouterr().out
    assert "0 rows" in told
    assert "0 of 0 rows" in told
    assert "left" not in told


def test_quiet_work_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal.aside(quiet=True), terminal.showing_progress("all assets") as shown:
        shown.handle(logger.makeRecord(logger.name, logging.WARNING, "", 0, "wrong", (), None))
    assert capsys.readouterr() == ("", "")


def test_files_have_a_fixed_width_whatever_the_environment_says() -> None:
    """Programs that load readline set COLUMNS for those that they start."""
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "from setbull_pipelines.cli.terminal import console; print(console.width)",
        ],
        env=os.environ | {"COLUMNS": "80", "LINES": "24"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == "140\n"
