"""Whole columns of days and bar timestamps."""

from __future__ import annotations

import sys
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from setbull_pipelines.market.calendar import NSE, MarketClosed, OutsideCoverage
from setbull_pipelines.market.session_frames import (
    PLACEMENTS,
    minutes_in_session,
    session_intervals,
    session_placement,
)

TIMEZONE = "Asia/Kolkata"


def _timestamps(*texts: str | None) -> pd.Series:
    return pd.Series(
        pd.to_datetime(list(texts), format="ISO8601").as_unit("us").tz_localize(TIMEZONE)
    )


def test_intervals_of_days_with_one_and_two_intervals():
    frame = session_intervals([date(2024, 3, 2), date(2021, 2, 24), date(2021, 2, 23)])
    assert frame.dtypes.astype(str).to_dict() == {
        "trading_day": "datetime64[us]",
        "interval": "int64",
        "start": "datetime64[us, Asia/Kolkata]",
        "end": "datetime64[us, Asia/Kolkata]",
        "minutes": "int64",
    }
    assert [
        (f"{row.trading_day:%Y-%m-%d}", row.interval, str(row.start), str(row.end), row.minutes)
        for row in frame.itertuples()
    ] == [
        ("2021-02-23", 0, "2021-02-23 09:15:00+05:30", "2021-02-23 15:30:00+05:30", 375),
        ("2021-02-24", 0, "2021-02-24 09:15:00+05:30", "2021-02-24 11:40:00+05:30", 145),
        ("2021-02-24", 1, "2021-02-24 15:45:00+05:30", "2021-02-24 17:00:00+05:30", 75),
        ("2024-03-02", 0, "2024-03-02 09:15:00+05:30", "2024-03-02 10:00:00+05:30", 45),
        ("2024-03-02", 1, "2024-03-02 11:30:00+05:30", "2024-03-02 12:30:00+05:30", 60),
    ]


def test_intervals_depend_neither_on_the_order_nor_on_repeats_nor_on_the_container():
    days = [date(2020, 11, 14), date(2020, 11, 13), date(2020, 11, 14)]
    expected = session_intervals([date(2020, 11, 13), date(2020, 11, 14)])
    pd.testing.assert_frame_equal(session_intervals(days), expected)
    pd.testing.assert_frame_equal(session_intervals(pd.Series(pd.to_datetime(days))), expected)
    pd.testing.assert_frame_equal(session_intervals(pd.DatetimeIndex(days)), expected)


def test_no_days_and_unknown_hours_give_an_empty_frame_with_the_same_columns():
    full = session_intervals([date(2020, 11, 13)])
    for days in ([], [date(2026, 11, 8)]):
        empty = session_intervals(days)
        assert len(empty) == 0
        assert empty.dtypes.to_dict() == full.dtypes.to_dict()


def test_intervals_of_closed_and_uncovered_days_are_refused():
    with pytest.raises(MarketClosed, match="Republic Day"):
        session_intervals([date(2024, 1, 26)])
    with pytest.raises(OutsideCoverage, match="2028-01-04"):
        session_intervals([date(2028, 1, 4)])


@pytest.mark.parametrize(
    ("moment", "placement"),
    [
        ("2023-07-14 09:14:59.999999", "pre_open"),
        ("2023-07-14 00:00", "pre_open"),
        ("2023-07-14 09:15", "in session"),
        ("2023-07-14 15:29", "in session"),
        ("2023-07-14 15:30", "post_close"),
        ("2023-07-14 23:59", "post_close"),
        ("2023-07-15 10:00", "closed day"),
        ("2024-01-26 10:00", "closed day"),
        ("2024-01-20 10:00", "in session"),
        ("2024-03-02 09:59", "in session"),
        ("2024-03-02 10:00", "between intervals"),
        ("2024-03-02 11:29", "between intervals"),
        ("2024-03-02 11:30", "in session"),
        ("2024-03-02 12:30", "post_close"),
        ("2024-11-01 10:00", "pre_open"),
        ("2024-11-01 18:00", "in session"),
        ("2026-11-08 18:15", "session hours not known"),
        ("2014-12-31 10:00", "outside calendar coverage"),
        ("2028-01-03 00:00", "outside calendar coverage"),
        ("1969-12-31 10:00", "outside calendar coverage"),
        (None, "no timestamp"),
    ],
)
def test_placement_of_single_bars(moment, placement):
    timestamps = _timestamps(moment, "2023-07-14 10:00")
    assert list(session_placement(timestamps)) == [placement, "in session"]
    assert list(minutes_in_session(timestamps)) == [placement == "in session", True]


def test_results_keep_the_index_and_their_types():
    timestamps = _timestamps("2023-07-14 10:00", "2023-07-15 10:00")
    timestamps.index = pd.Index([7, 3])
    inside = minutes_in_session(timestamps)
    placement = session_placement(timestamps)
    assert (list(inside.index), inside.dtype) == ([7, 3], np.dtype("bool"))
    assert list(placement.index) == [7, 3]
    assert tuple(placement.cat.categories) == PLACEMENTS


def test_an_empty_column_is_answered():
    empty = _timestamps()
    assert len(minutes_in_session(empty)) == len(session_placement(empty)) == 0


def test_another_time_zone_or_unit_names_the_same_moment():
    timestamps = _timestamps("2023-07-14 09:14", "2023-07-14 09:15", "2023-07-14 15:30")
    for same in (timestamps.dt.tz_convert("UTC"), timestamps.dt.as_unit("ns")):
        assert list(minutes_in_session(same)) == [False, True, False]


def test_a_column_without_time_zone_is_refused():
    naive = pd.Series(pd.to_datetime(["2023-07-14 09:15"]))
    with pytest.raises(TypeError, match="timezone-aware bar timestamps, found a column of type"):
        minutes_in_session(naive)


@given(st.lists(st.datetimes(pd.Timestamp(2014, 12, 1), pd.Timestamp(2028, 1, 31)), max_size=30))
def test_columns_agree_with_questions_about_single_days(moments):
    timestamps = pd.Series(pd.DatetimeIndex(moments).as_unit("us").tz_localize(TIMEZONE))

    def inside(moment):
        day = moment.date()
        if not NSE.first_day <= day <= NSE.last_day or not NSE.is_trading_day(day):
            return False
        return any(part.start <= moment.time() < part.end for part in NSE.session(day).intervals)

    assert list(minutes_in_session(timestamps)) == [inside(moment) for moment in moments]


def test_every_minute_of_the_special_days_adds_up():
    expected = {"2021-02-24": 220, "2024-03-02": 105, "2020-11-14": 60, "2025-02-01": 375}
    for day, minutes in expected.items():
        whole_day = pd.Series(pd.date_range(day, periods=1440, freq="min", tz=TIMEZONE, unit="us"))
        assert minutes_in_session(whole_day).sum() == minutes


def test_real_minutes_of_2016_are_all_in_session(shared_data):
    path = shared_data / "market" / "minute_2016-08-16_2016-09-09.parquet"
    timestamps = pd.read_parquet(path, columns=["timestamp"])["timestamp"]
    assert len(timestamps) == 810_000
    assert minutes_in_session(timestamps).all()


def test_real_rows_outside_the_sessions_of_special_days(shared_data):
    bars = pd.read_parquet(shared_data / "market" / "minute_special_days.parquet")
    bars["placement"] = session_placement(bars["timestamp"])
    labels = bars["timestamp"].dt.strftime("%Y-%m-%d %H:%M")
    found = {
        place: sorted(set(labels[bars["placement"] == place]))
        for place in ("pre_open", "between intervals", "post_close")
    }
    assert found == {
        "pre_open": ["2020-11-14 18:07", "2021-02-24 09:07"],
        "between intervals": [
            "2021-02-24 11:40",
            "2021-02-24 11:41",
            "2021-02-24 11:42",
            "2021-02-24 11:43",
            "2021-02-24 13:31",
            "2021-02-24 15:37",
        ],
        "post_close": [
            "2020-11-14 19:15",
            "2020-11-14 19:18",
            "2020-11-14 19:25",
            "2020-11-14 19:27",
            "2021-02-24 17:10",
            "2021-02-24 17:15",
            "2021-02-24 19:30",
        ],
    }


def test_no_python_runs_per_timestamp():
    seconds = np.random.default_rng(7).integers(1_420_070_400, 1_798_761_600, 10_000)
    utc = pd.DatetimeIndex(seconds.astype("datetime64[s]")).as_unit("us").tz_localize("UTC")
    timestamps = pd.Series(utc.tz_convert(TIMEZONE))
    minutes_in_session(timestamps)  # the grid of the calendar is made once

    def calls(rows: int) -> int:
        made = []
        part = timestamps.head(rows)
        sys.setprofile(lambda frame, event, called: made.append(event))
        try:
            minutes_in_session(part)
        finally:
            sys.setprofile(None)
        return len(made)

    assert calls(100) == calls(10_000)
