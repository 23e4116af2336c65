"""What is asked for, against days counted on a calendar by hand.

The 20th of November 2026 is a Friday, the 24th a holiday. Sessions end at 15:35, with the closing auction.
"""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.sources.upstox.answers import Candles
from setbull_pipelines.sources.upstox.calls import MINUTE, Call
from setbull_pipelines.sources.upstox.planning import (
    last_final_session,
    missing_segments,
    running_session,
    wanted_sessions,
)

IST = ZoneInfo("Asia/Kolkata")
FRIDAY, MONDAY = date(2026, 11, 20), date(2026, 11, 23)


def at(day: date, clock: str) -> datetime:
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=IST)


@pytest.mark.parametrize(
    ("moment", "last"),
    [
        (at(MONDAY, "09:00"), FRIDAY),
        (at(MONDAY, "16:04"), FRIDAY),
        (at(MONDAY, "16:05"), MONDAY),
        (at(date(2026, 11, 22), "12:00"), FRIDAY),
        (at(FRIDAY, "23:59"), FRIDAY),
    ],
)
def test_the_last_wanted_session_has_closed_half_an_hour_ago(moment: datetime, last: date) -> None:
    days = wanted_sessions(NSE, moment, 5, settle_minutes=30)
    assert days[-1] == last
    assert len(days) == 5
    assert days == sorted(days)


def test_holidays_do_not_count() -> None:
    # The 2nd of October is a holiday, the 3rd and 4th a weekend.
    days = wanted_sessions(NSE, at(date(2026, 10, 5), "08:00"), 2, 30)
    assert days == [date(2026, 9, 30), date(2026, 10, 1)]


WEEK = NSE.trading_days(date(2026, 11, 16), date(2026, 11, 20))


@pytest.mark.parametrize(
    ("final", "segments"),
    [
        ([], ["full_range 2026-11-16 to 2026-11-20"]),
        ([16, 17, 18, 19, 20], []),
        ([16, 17, 18], ["recent_update 2026-11-19 to 2026-11-20"]),
        ([18, 19, 20], ["historical_backfill 2026-11-16 to 2026-11-17"]),
        (
            [18],
            [
                "historical_backfill 2026-11-16 to 2026-11-17",
                "recent_update 2026-11-19 to 2026-11-20",
            ],
        ),
        ([16, 20], ["gap 2026-11-17 to 2026-11-19"]),
        ([16, 18, 20], ["gap 2026-11-17 to 2026-11-17", "gap 2026-11-19 to 2026-11-19"]),
        ([13], ["recent_update 2026-11-16 to 2026-11-20"]),
    ],
)
def test_the_segments_of_a_week(final: list[int], segments: list[str]) -> None:
    days = {date(2026, 11, day) for day in final}
    assert [str(segment) for segment in missing_segments(WEEK, days)] == segments


SESSIONS = NSE.trading_days(date(2026, 9, 1), date(2026, 10, 30))


@given(st.sets(st.sampled_from(SESSIONS)))
def test_segments_hold_what_is_missing_and_nothing_that_is_there(final: set[date]) -> None:
    asked = [
        day
        for segment in missing_segments(SESSIONS, final)
        for day in NSE.trading_days(segment.first, segment.last)
    ]
    assert asked == [day for day in SESSIONS if day not in final]


@pytest.mark.parametrize(
    ("clock", "also_open", "asked"),
    [
        ("09:00", True, False),
        ("11:00", False, False),
        ("11:00", True, True),
        ("15:34", False, False),
        ("15:35", False, True),
        ("22:00", False, True),
    ],
)
def test_the_running_session_is_asked_for_after_its_close_or_on_demand(
    clock: str, also_open: bool, asked: bool
) -> None:
    segment = running_session(NSE, at(MONDAY, clock), set(), also_open)
    assert (segment is not None) is asked
    assert running_session(NSE, at(MONDAY, clock), {MONDAY}, also_open) is None


def test_nothing_runs_on_a_sunday() -> None:
    assert running_session(NSE, at(date(2026, 11, 22), "11:00"), set(), True) is None


def candles_of(*days: date) -> Candles:
    return Candles(np.array(days, "datetime64[us]"), np.zeros((len(days), 6)))


@pytest.mark.parametrize(
    ("received", "found", "running", "final_until"),
    [
        (at(MONDAY, "11:00"), [FRIDAY], False, FRIDAY),
        (at(MONDAY, "11:00"), [], False, None),
        (at(MONDAY, "16:04"), [FRIDAY, MONDAY], False, FRIDAY),
        (at(MONDAY, "16:05"), [FRIDAY, MONDAY], False, MONDAY),
        (at(MONDAY, "16:05"), [FRIDAY], False, FRIDAY),
        (at(date(2026, 11, 24), "00:10"), [FRIDAY], False, FRIDAY),
        (at(date(2026, 11, 25), "08:00"), [], False, FRIDAY),
        (at(date(2026, 11, 25), "16:05"), [], False, MONDAY),
        (at(MONDAY, "16:05"), [MONDAY], True, None),
    ],
    ids=[
        "open",
        "open, no candle of the last session",
        "not settled",
        "settled",
        "not moved to history yet",
        "nor at midnight",
        "nor on the morning after a holiday",
        "no trade: the next session has settled",
        "running",
    ],
)
def test_up_to_which_session_an_answer_is_final(received, found, running, final_until) -> None:
    call = Call("NSE_EQ|X", MINUTE, FRIDAY, MONDAY, running)
    assert last_final_session(NSE, call, candles_of(*found), received, 30) == final_until


def test_an_answer_about_today_alone_is_final_for_nothing_while_it_runs() -> None:
    call = Call("NSE_EQ|X", MINUTE, MONDAY, MONDAY)
    assert last_final_session(NSE, call, candles_of(), at(MONDAY, "17:00"), 30) is None
