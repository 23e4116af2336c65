"""Runs, judgements, alerts and the deletion of what nobody needs, on a clock that jumps forward and back.

Belongs here: the story. Does not belong here: the clock (``benchmarks.reliability.clock``), what has to be true of a
folder (``benchmarks.reliability.judged``).
"""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks.reliability.clock import Clock, NoClock
from benchmarks.reliability.judged import differences
from benchmarks.reliability.tiny import DAYS, SETTINGS
from setbull_pipelines_tests.patience import PATIENCE
from setbull_pipelines_tests.processes import SETBULL, environment

pytestmark = pytest.mark.scenario

PROJECT = Path(__file__).resolve().parents[2]
MAINTAIN = (
    "from datetime import timedelta; from benchmarks.reliability.works import maintain; "
    "maintain(timedelta(hours=1))"
)
JUDGE = (
    "import sys; from pathlib import Path; from benchmarks.reliability.judged import judge; "
    "from setbull_pipelines.cli.home import prepare_dagster_home as prepare; "
    "from setbull_pipelines.cli.starting import settings_in_force as settings; "
    "prepare(settings().data_directory); judge(Path(sys.argv[1]))"
)


class Folder:
    """A data folder whose commands ask a clock that is so many days from the real one."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.directory, self.clock = directory, Clock(directory / "clock")
        self.settings = directory / "settings.toml"
        self.settings.write_text(SETTINGS, encoding="utf-8")

    def carried_out(self, days: int, *command: str) -> str:
        """What the command prints, which must succeed."""
        self.clock.set_apart(days * 86_400)
        done = subprocess.run(
            command,
            env=environment(self.directory / "data", self.settings, **self.clock.variables),
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, f"{days} days off, {command[-3:]}: {done.stdout}{done.stderr}"
        assert "Traceback" not in done.stdout + done.stderr
        return done.stdout

    def run(self, days: int, session: str) -> None:
        self.carried_out(days, *SETBULL, "run", "--from", session, "--to", session)

    def maintain(self, days: int) -> None:
        self.carried_out(days, sys.executable, "-c", MAINTAIN)

    def judged(self) -> dict:
        answer = self.directory / "judged.json"
        self.carried_out(0, sys.executable, "-c", JUDGE, str(answer))
        return json.loads(answer.read_text(encoding="utf-8"))


def test_a_clock_that_jumps_loses_nothing_and_judges_each_session_once(
    tmp_path: Path,
) -> None:
    def undisturbed() -> dict:
        folder = Folder(tmp_path / "undisturbed")
        for session in DAYS:
            folder.run(0, session)
        return folder.judged()

    def jumping() -> dict:
        folder = Folder(tmp_path / "jumping")
        folder.run(0, DAYS[0])
        folder.run(10, DAYS[1])
        folder.maintain(20)
        folder.run(-60, DAYS[2])
        folder.maintain(-60)
        folder.run(0, DAYS[2])
        folder.maintain(0)
        return folder.judged()

    try:
        with ThreadPoolExecutor(2) as both:
            expected, found = (
                each.result() for each in [both.submit(undisturbed), both.submit(jumping)]
            )
    except NoClock as reason:
        pytest.skip(str(reason))
    assert expected["wrong"] == []
    assert differences(expected, found) == []
    # The doctor says that the clock was ahead, and finds nothing else.
    assert all(told.startswith("doctor: clock: ") for told in found["wrong"]), found["wrong"]
    assert len(found["judged"]) == len(expected["judged"]) > 0
