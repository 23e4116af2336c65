"""The closing auction: which days and which instruments trade continuously only until 15:15."""

from __future__ import annotations

from datetime import date, time

import pandas as pd
import pytest

from setbull_pipelines.market.calendar import NSE, Interval
from setbull_pipelines.market.session_frames import minutes_in_session, session_intervals
from setbull_pipelines.market.session_table import CLOSING_AUCTION, FULL, SHAPE_NOT_KNOWN

BEFORE, FIRST = date(2026, 7, 31), date(2026, 8, 3)


def test_it_began_on_the_third_of_august_2026() -> None:
    assert not NSE.has_closing_auction(BEFORE)
    assert not NSE.has_closing_auction(date(2026, 8, 8))  # a Saturday
    assert NSE.has_closing_auction(FIRST)
    assert not NSE.has_closing_auction(date(2026, 11, 8))  # Muhurat: nothing announced


@pytest.mark.parametrize(
    ("day", "shape", "end", "minutes"),
    [
        (BEFORE, CLOSING_AUCTION, time(15, 30), 375),
        (FIRST, CLOSING_AUCTION, time(15, 15), 360),
        (FIRST, FULL, time(15, 30), 375),
        (FIRST, SHAPE_NOT_KNOWN, time(15, 30), 375),
    ],
)
def test_session_by_shape(day: date, shape: str, end: time, minutes: int) -> None:
    session = NSE.session(day, shape)
    assert session.intervals == (Interval(time(9, 15), end),)
    assert session.minutes == minutes
    assert session_intervals([day], shape=shape)["minutes"].tolist() == [minutes]


def test_its_source_is_named_where_it_shortens_a_session() -> None:
    assert "NSE/CMTR/74466" in NSE.session(FIRST, CLOSING_AUCTION).source
    assert "NSE/CMTR/74466" not in NSE.session(FIRST).source


def test_minutes_are_judged_by_the_shape_of_their_row() -> None:
    clocks = ["15:14", "15:15", "15:29", "15:30", "15:35"]
    for day, in_auction in ((BEFORE, [True, True, True]), (FIRST, [True, False, False])):
        times = pd.Series(pd.to_datetime([f"{day} {clock}" for clock in clocks]))
        times = times.dt.tz_localize("Asia/Kolkata")
        for shape, inside in (
            (CLOSING_AUCTION, in_auction),
            (FULL, [True] * 3),
            (SHAPE_NOT_KNOWN, [True] * 3),
        ):
            shapes = pd.Series([shape] * len(clocks))
            found = minutes_in_session(times, shapes=shapes).tolist()
            assert found == [*inside, False, False], (day, shape)


@pytest.mark.parametrize(
    ("day", "end"),
    [
        (BEFORE, time(15, 30)),
        (FIRST, time(15, 35)),
        (date(2021, 2, 24), time(17, 0)),
        (date(2026, 11, 8), None),
    ],
)
def test_the_day_is_over_after_the_auction(day: date, end: time | None) -> None:
    assert NSE.closes_at(day) == end
