"""How long a run still takes: of runs that go by the figures, and of runs that were recorded."""

from __future__ import annotations

import csv
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from setbull_pipelines.pipeline import time_left
from setbull_pipelines.pipeline.steps import STEPS
from setbull_pipelines.pipeline.time_left import WholeRun

STEPS_OF_RUN = [
    *("raw_intake", "stock_groups", "raw", "v1", "v2", "reconciliation", "judgement", "served"),
    *("candle_events", "charts__squeeze_history", "daily_report", "operations__catalog"),
]
RECORDED = Path(__file__).parent / "recorded_runs.csv"
"""What ``setbull run`` told of its progress: of 12 instruments, and of 300, on two processors with little beside it;
seconds since the first step began, the step, the work and what of it was done (none: the step begins)."""


def ideal(slowness: float, size: float) -> list[tuple[float, float | None]]:
    """Moments of a run that takes what the figures say, with what was estimated to be left and was in truth."""
    run, seconds, found = WholeRun(STEPS_OF_RUN), 0.0, []
    whole = sum(
        slowness * fixed + size * growing for fixed, growing in map(time_left._takes, STEPS_OF_RUN)
    )
    for step in STEPS_OF_RUN:
        run.begins(step, seconds)
        found.append((whole - seconds, run.seconds_left(seconds)))
        fixed, growing = time_left._takes(step)
        works = {work: time_left._GROWING[work] for work in time_left._works(step)}
        for work, takes in works.items():
            for share in (0.5, 1.0):
                seconds += 0.5 * takes * (size + slowness * fixed / growing)
                run.reached(work, share, seconds)
                found.append((whole - seconds, run.seconds_left(seconds)))
        seconds += 0.0 if works else slowness * fixed
    return found


@given(st.floats(0.5, 20.0), st.floats(0.02, 50.0))
def test_of_a_run_that_goes_by_the_figures_every_estimate_is_within_a_factor_of_two(
    slowness: float, size: float
) -> None:
    found = ideal(slowness, size)
    told = [(true, left) for true, left in found if left is not None]
    assert all(left is None for _, left in found[:3])
    assert len(told) > len(found) / 2
    # In the first steps nobody can know whether the machine is slow or the input large.
    for true, left in told:
        if true > 2.0 * slowness:
            assert true / 2.0 < left < true * 2.0


def test_nothing_is_told_before_something_was_done() -> None:
    run = WholeRun(STEPS_OF_RUN)
    assert run.seconds_left(0.0) is None
    run.begins("raw_intake", 0.0)
    run.reached("a work that nobody knows", 1.0, 50.0)
    assert run.seconds_left(100.0) is None
    run.begins("raw", 100.0)
    run.reached("raw", 0.0, 100.0)
    assert run.seconds_left(101.0) is None


def test_it_counts_down_between_two_records_and_no_further_than_what_comes_after() -> None:
    run = WholeRun(STEPS_OF_RUN)
    run.begins("raw", 0.0)
    run.reached("raw", 1.0, 5.2)
    run.begins("v1", 5.2)
    run.reached("v1/candles_5min", 0.0, 5.2)
    begin = run.seconds_left(5.2)
    assert begin is not None
    assert run.seconds_left(8.2) == begin - 3.0
    assert run.seconds_left(1000.0) == run.seconds_left(2000.0)
    assert 0 < run.seconds_left(2000.0) < begin - 10.0


def test_what_comes_after_this_run_is_part_of_what_is_left() -> None:
    alone, with_another = WholeRun(STEPS_OF_RUN), WholeRun(STEPS_OF_RUN, later=1.0)
    for run in (alone, with_another):
        run.begins("raw", 0.0)
        run.reached("raw", 1.0, 5.2)
    fixed, growing = map(sum, zip(*map(time_left._takes, STEPS_OF_RUN), strict=True))
    left, more = alone.seconds_left(5.2), with_another.seconds_left(5.2)
    assert left is not None
    assert more is not None
    assert more - left == pytest.approx(fixed + growing, rel=0.1)


def test_the_works_are_those_of_a_run() -> None:
    named = {f"{variant}/{step.name}" for step in STEPS for variant in ("v1", "v2")}
    known = {name for name in time_left._GROWING if name.startswith(("v1/", "v2/"))}
    assert known <= named
    assert {name for name in named if name.startswith("v1/")} <= known


def replayed(rows: list[dict[str, str]], times: float) -> list[tuple[float, float | None]]:
    """At each hundredth of a run ``times`` as slow, what was left in truth, and by the estimate that was shown."""
    run, end = (
        WholeRun([row["step"] for row in rows if not row["work"]]),
        float(rows[-1]["seconds"]),
    )
    waiting, found = list(reversed(rows)), []
    for hundredth in range(100):
        now = end * hundredth / 100
        while float(waiting[-1]["seconds"]) <= now:
            row = waiting.pop()
            seconds = float(row["seconds"]) * times
            if row["work"]:
                run.reached(row["work"], float(row["share"]), seconds)
            else:
                run.begins(row["step"], seconds)
        found.append(((end - now) * times, run.seconds_left(now * times)))
    return found


@pytest.mark.parametrize("times", [1.0, 6.0])
def test_of_recorded_runs_four_of_five_estimates_are_within_a_factor_of_two(times: float) -> None:
    with RECORDED.open(encoding="utf-8", newline="") as file:
        runs = {
            name: list(rows) for name, rows in groupby(csv.DictReader(file), lambda row: row["run"])
        }
    assert len(runs) >= 2
    for name, rows in runs.items():
        found = replayed(rows, times)
        told = [(true, left) for true, left in found if left is not None]
        assert len(told) > 80, name  # from the first fifth of the run on
        near = [left for true, left in told if true / 2 < left < true * 2]
        assert len(near) > 0.8 * len(told), name
