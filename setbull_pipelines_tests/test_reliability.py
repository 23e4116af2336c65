"""The short forms of what ``docs/reliability.md`` counts: kills, what is missing, readers beside writers.

Belongs here: what fails a build. Does not belong here: counts, which belong to the long forms
(``python -m benchmarks.reliability``).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from benchmarks.reliability.clock import Clock, NoClock

PROJECT = Path(__file__).resolve().parents[1]


def broken(*arguments: str) -> str:
    """What a harness prints, after everything survived."""
    finished = subprocess.run(
        [sys.executable, "-m", "benchmarks.reliability", *arguments],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def rows(text: str) -> Iterator[list[str]]:
    """The cells of the rows of a table."""
    _, _, *lines = (line for line in text.splitlines() if line.startswith("|"))
    for line in lines:
        yield [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.scenario
def test_killed_work_goes_on_where_it_was() -> None:
    works = ("acts of the rollout", "alerts", "import of the old system")
    told = broken("kills", "--trials", "6", "--only", *works)
    found = {name: (int(kills), int(faults)) for name, kills, *_, faults in rows(told)}
    assert set(found) == set(works)
    assert sum(kills for kills, _ in found.values()) >= 6
    assert all(faults == 0 for _, faults in found.values())


@pytest.mark.scenario
def test_what_is_missing_is_one_sentence_and_the_next_run_succeeds() -> None:
    cases = ["data folder is a file", "damaged runs.db"]
    told = list(rows(broken("resources", "--only", *cases)))
    assert [name for name, *_ in told] == cases
    for _, code, said, after, faults in told:
        assert int(code) in (1, 2)
        assert said.startswith("error: ")
        assert after.startswith("exit code 0")
        assert faults == "none"


ASK = "import os, sys, time; print(time.time(), os.stat(sys.argv[1]).st_mtime)"


def test_files_keep_their_age_when_the_clock_of_the_soak_jumps(tmp_path: Path) -> None:
    try:
        clock = Clock(tmp_path / "clock")
    except NoClock as reason:
        pytest.skip(str(reason))
    old, new, folder = (tmp_path / name for name in ("data/old", "data/new", "data"))
    folder.mkdir()

    def asked(path: Path) -> tuple[float, float]:
        command = [sys.executable, "-c", ASK, str(path)]
        told = subprocess.check_output(command, env={**os.environ, **clock.variables}, text=True)
        now, written = map(float, told.split())
        return now, now - written

    old.touch()
    moment = datetime.now(UTC) + timedelta(days=1000)
    clock.jump(moment, (folder,))
    new.touch()
    now, age = asked(old)
    assert 0 <= now - moment.timestamp() < 60
    assert 0 <= age - 1000 * 86_400 < 60, "written when the clock was right"
    assert -1 < asked(new)[1] < 60
    clock.jump(moment + timedelta(hours=5), (folder,))
    assert 5 * 3600 - 1 < asked(new)[1] < 5 * 3600 + 60


@pytest.mark.scenario
def test_readers_see_whole_commits_beside_everything_that_writes() -> None:
    found = list(rows(broken("readers", "--reads", "60")))
    assert len(found) == 6
    for _, reads, _, errors, torn in found:
        assert (int(reads), int(errors), int(torn)) == (10, 0, 0)


@pytest.mark.parametrize("part", ["kills", "servers", "resources", "readers", "growth", "soak"])
def test_the_page_of_figures_says_how_each_is_repeated(part: str) -> None:
    page = (PROJECT / "docs" / "reliability.md").read_text(encoding="utf-8")
    assert f"python -m benchmarks.reliability {part}" in page
