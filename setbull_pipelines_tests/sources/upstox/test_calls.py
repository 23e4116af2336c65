"""Paths and ranges of calls, against addresses and spans of days written by hand."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from setbull_pipelines.sources.upstox.calls import DAY, MINUTE, Call, calls_for

KEY = "NSE_EQ|INE848E01016"
FIRST, LAST = date(2025, 1, 1), date(2025, 1, 31)


@pytest.mark.parametrize(
    ("interval", "version", "running", "path"),
    [
        (MINUTE, "v3", False, "/v3/historical-candle/NSE_EQ%7CINE848E01016/minutes/1/2025-01-31/2025-01-01"),
        (DAY, "v3", False, "/v3/historical-candle/NSE_EQ%7CINE848E01016/days/1/2025-01-31/2025-01-01"),
        (MINUTE, "v3", True, "/v3/historical-candle/intraday/NSE_EQ%7CINE848E01016/minutes/1"),
        (MINUTE, "v2", False, "/v2/historical-candle/NSE_EQ%7CINE848E01016/1minute/2025-01-31/2025-01-01"),
        (DAY, "v2", False, "/v2/historical-candle/NSE_EQ%7CINE848E01016/day/2025-01-31/2025-01-01"),
        (MINUTE, "v2", True, "/v2/historical-candle/intraday/NSE_EQ%7CINE848E01016/1minute"),
    ],
)  # fmt: skip
def test_the_path_is_that_of_the_documentation(interval, version, running, path) -> None:
    assert Call(KEY, interval, FIRST, LAST, running).path(version) == path


def test_names_with_blanks_and_slashes_stay_one_part_of_the_path() -> None:
    path = Call("NSE_INDEX|Nifty 50/../x", MINUTE, FIRST, LAST).path("v3")
    assert path.startswith("/v3/historical-candle/NSE_INDEX%7CNifty%2050%2F..%2Fx/minutes/1/")


@pytest.mark.parametrize(
    ("first", "last", "spans"),
    [
        ("2025-01-01", "2025-01-31", ["2025-01-01 2025-01-31"]),
        ("2025-01-01", "2025-02-01", ["2025-01-02 2025-02-01", "2025-01-01 2025-01-01"]),
        ("2025-02-01", "2025-03-31", ["2025-03-01 2025-03-31", "2025-02-01 2025-02-28"]),
        ("2024-12-20", "2025-01-10", ["2024-12-20 2025-01-10"]),
        ("2025-03-05", "2025-03-05", ["2025-03-05 2025-03-05"]),
    ],
)
def test_minutes_are_asked_for_by_the_month_newest_first(first, last, spans) -> None:
    calls = calls_for(KEY, MINUTE, date.fromisoformat(first), date.fromisoformat(last), "v3")
    assert [f"{call.first} {call.last}" for call in calls] == spans


def test_a_decade_of_daily_candles_is_one_call_in_v3_and_ten_in_v2() -> None:
    span = (date(2016, 1, 2), date(2026, 1, 1))
    assert len(calls_for(KEY, DAY, *span, "v3")) == 1
    assert len(calls_for(KEY, DAY, *span, "v2")) == 10


@given(
    st.dates(date(2015, 1, 1), date(2026, 12, 31)),
    st.integers(0, 800),
    st.sampled_from([MINUTE, DAY]),
    st.sampled_from(["v2", "v3"]),
)
def test_calls_cover_the_range_once_and_none_is_too_long(first, length, interval, version) -> None:
    last = first + timedelta(days=length)
    calls = calls_for(KEY, interval, first, last, version)[::-1]
    assert (calls[0].first, calls[-1].last) == (first, last)
    for earlier, later in pairwise(calls):
        assert later.first == earlier.last + timedelta(days=1)
    longest = {("v2", MINUTE): 31, ("v3", MINUTE): 31, ("v2", DAY): 366}.get(
        (version, interval), 3653
    )
    assert all((call.last - call.first).days + 1 <= longest for call in calls)
