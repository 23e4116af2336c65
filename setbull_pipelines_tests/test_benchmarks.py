"""The benchmark's judgements, and its short form: no ratio between V2 and its rivals falls by more than a quarter.

Belongs here: what fails a build. Does not belong here: times, which belong to a machine (``benchmarks/RESULTS.md``).
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.__main__ import ATTEMPTS, RATIOS, SHORT_RIVALS, best_ratios
from benchmarks.contestants import CONTESTANTS
from benchmarks.measuring import difference
from benchmarks.results import NOTES_HEADING, PARTS, parts_of, written
from setbull_pipelines_tests.patience import PATIENCE

pytestmark = pytest.mark.scenario

PROJECT = Path(__file__).resolve().parents[1]
JOB = next(iter(SHORT_RIVALS))


def frame(**columns: list) -> dict[str, pd.DataFrame]:
    return {"table": pd.DataFrame(columns)}


@pytest.mark.parametrize(
    ("theirs", "expected"),
    [
        (frame(value=[1.0, np.nan], name=["a", "b"]), None),
        (frame(value=[1.0 + 1e-12, np.nan], name=["a", "b"]), None),
        (frame(value=[1.0 + 1e-6, np.nan], name=["a", "b"]), "value"),
        (frame(value=[1.0, 2.0], name=["a", "b"]), "value"),
        (frame(value=[np.nan, np.nan], name=["a", "b"]), "value"),
        (frame(value=[1.0, np.nan], name=["a", "c"]), "name"),
        (frame(value=[1.0, np.nan], name=["a", None]), "name"),
        (frame(value=[1.0], name=["a"]), "2 and 1 rows"),
    ],
)
def test_results_are_compared_before_anything_is_timed(theirs, expected) -> None:
    found = difference(frame(value=[1.0, np.nan], name=["a", "b"]), theirs, 0.0, 1e-9)
    assert found is None if expected is None else expected in found


def test_a_regression_stays_through_every_attempt() -> None:
    asked = []

    def measure(jobs: tuple[str, ...]) -> dict[str, float]:
        asked.append(jobs)
        return {f"{JOB}, x": 7.4}

    best, low = best_ratios({f"{JOB}, x": 10.0}, measure)
    assert (best, low) == ({f"{JOB}, x": 7.4}, [f"{JOB}, x"])
    assert asked == [(JOB,)] * ATTEMPTS


def test_a_busy_machine_passes_by() -> None:
    answers = iter([5.0, 7.6])
    best, low = best_ratios({f"{JOB}, x": 10.0}, lambda jobs: {f"{JOB}, x": next(answers)})
    assert (best, low) == ({f"{JOB}, x": 7.6}, [])


def test_every_short_ratio_is_recorded() -> None:
    recorded = json.loads(RATIOS.read_text(encoding="utf-8"))
    expected = {f"{job}, {rival} over V2" for job, rival in SHORT_RIVALS.items()}
    assert set(recorded) == expected
    assert all(rival in CONTESTANTS[job] for job, rival in SHORT_RIVALS.items())


def test_no_ratio_has_fallen_by_more_than_a_quarter() -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--short"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert finished.stdout.count(" over V2") == len(SHORT_RIVALS)


def test_a_part_measured_again_leaves_the_others() -> None:
    first, second = list(PARTS)[:2]
    text = written({NOTES_HEADING: "why", second: "### table\n\n| old |", first: "| kept |"})
    again = written(parts_of(text) | {second: "| new |"})
    assert again == (
        f"# Results of the benchmark\n\n## {first}\n\n| kept |\n\n## {second}\n\n| new |\n\n"
        f"## {NOTES_HEADING}\n\nwhy\n"
    )


def test_days_are_measured_in_processes_of_their_own() -> None:
    command = [sys.executable, "-m", "benchmarks.days", "--instruments", "12", "--history", "30"]
    finished = subprocess.run(
        [*command, "--sessions", "2"], cwd=PROJECT, capture_output=True, text=True, timeout=PATIENCE
    )
    assert finished.returncode == 0, finished.stderr
    rows = [line.split("|")[1:4] for line in finished.stdout.splitlines() if line.startswith("| ")]
    figures = {what.strip(): (float(seconds), float(cpu)) for what, seconds, cpu in rows[1:]}
    assert len(figures) == 5
    assert all(seconds > 0 and cpu > 0 for seconds, cpu in figures.values()), figures


def test_both_event_logs_are_measured_on_the_same_run() -> None:
    command = [sys.executable, "-m", "benchmarks.events", "--sessions", "3"]
    finished = subprocess.run(
        command, cwd=PROJECT, capture_output=True, text=True, timeout=PATIENCE
    )
    assert finished.returncode == 0, finished.stderr
    _, _, *rows = (line.split("|")[1:] for line in finished.stdout.splitlines())
    assert [row[0].strip() for row in rows] == [
        "`SqliteEventLogStorage`",
        "`BatchedSqliteEventLog`",
    ]
    assert rows[0][1:3] == rows[1][1:3]
    assert float(rows[1][5]) < float(rows[0][5])


def test_every_reader_reads_all_rows_of_the_file() -> None:
    command = [sys.executable, "-m", "benchmarks.reading", "--megabytes", "2"]
    finished = subprocess.run(
        command, cwd=PROJECT, capture_output=True, text=True, timeout=PATIENCE
    )
    assert finished.returncode == 0, finished.stderr
    _, _, *rows = (line.split("|")[1:-1] for line in finished.stdout.splitlines())
    assert [row[0].split(",")[0].strip() for row in rows] == ["Polars", "DuckDB", "intake"]
    assert len({row[4] for row in rows}) == 1
