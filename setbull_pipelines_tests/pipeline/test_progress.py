"""Counting, rates, and how long work still takes, with a clock that is given."""

from __future__ import annotations

import logging

import pytest

from setbull_pipelines.pipeline import progress
from setbull_pipelines.pipeline.progress import REACHED, Progress, Reached, logger


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    seconds = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: seconds[0])
    return seconds


@pytest.fixture
def told() -> list[Reached]:
    found: list[Reached] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(getattr(record, REACHED))

    handler, level = Keeping(), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield found
    logger.removeHandler(handler)
    logger.setLevel(level)


def test_no_time_is_left_before_something_says_how_much(
    clock: list[float], told: list[Reached]
) -> None:
    work = Progress("v1/candles_daily", 250, "days")
    for seconds, done in ((0.1, 240), (0.9, 241), (4.0, 245), (5.0, 250)):
        clock[0] = seconds
        work.reach(done)
    assert [(found.done, found.seconds_left) for found in told] == [
        (0, None),
        (245, pytest.approx(5 * 4.0 / 245)),
        (250, None),
    ]
    assert str(told[0]) == "v1/candles_daily: 0 of 250 days"
    assert str(told[1]) == "v1/candles_daily: 245 of 250 days, 61.2 per second, 0 s left"
    assert str(told[2]) == "v1/candles_daily: 250 of 250 days, 50.0 per second"


def test_what_was_done_before_says_nothing_of_the_rate(
    clock: list[float], told: list[Reached]
) -> None:
    begun = progress.following_files()
    begun("b.csv", 81, 100)  # 80 files were read before and are passed over
    clock[0] = 30.0
    begun("c.csv", 91, 100)
    assert [str(found) for found in told] == [
        "reading b.csv: 80 of 100 files",
        "reading c.csv: 90 of 100 files, 0.3 per second, 30 s left",
    ]


def test_works_that_take_turns_are_counted_each_for_itself(
    clock: list[float], told: list[Reached]
) -> None:
    reached = progress.following_works()
    reached("dump.sql", 10, 110, "MiB")
    clock[0] = 5.0
    reached("dump.sql", 60, 110, "MiB")
    reached("mysql://reader@host:3306/old/stocks", 100_000, None, "rows")
    clock[0] = 7.0
    reached("mysql://reader@host:3306/old/stocks", 300_000, None, "rows")
    assert [str(found) for found in told] == [
        "dump.sql: 10 of 110 MiB",
        "dump.sql: 60 of 110 MiB, 10.0 per second, 5 s left",
        "mysql://reader@host:3306/old/stocks: 100,000 rows",
        "mysql://reader@host:3306/old/stocks: 300,000 rows, 100,000.0 per second",
    ]


def test_work_with_a_limit_takes_no_longer_than_that(
    clock: list[float], told: list[Reached]
) -> None:
    work = Progress("scrub", 1000, "partitions", limit=60.0)
    for seconds in (20.0, 70.0):
        clock[0] = seconds
        work.advance()
    assert [found.seconds_left for found in told] == [None, 40.0, 0.0]
