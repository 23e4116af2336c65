"""Bars of other lengths against values made by hand, and against the bars that V1 makes of minutes directly."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from setbull_pipelines.derived.longer_bars import (
    COLUMNS,
    begin_of,
    counted,
    end_of,
    have_length,
    of_days,
    of_session,
)
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.market.session_table import TIMEZONE as INDIA
from setbull_pipelines.settings import AggregationSettings
from setbull_pipelines.variants import V1
from setbull_pipelines_tests.variants.frames import minute_candles, session_minutes

KEY, OTHER = "NSE_EQ|A", "NSE_EQ|B"
DAY = "2026-06-30"


def bars(*rows: tuple, key: str = KEY, day: str = DAY) -> pd.DataFrame:
    """Bars of a day from (clock, open, high, low, close, volume, open interest)."""
    clocks, opens, highs, lows, closes, volumes, interests = zip(*rows, strict=True)
    return pd.DataFrame(
        {
            "instrument_key": key,
            "timestamp": pd.to_datetime([f"{day} {clock}" for clock in clocks])
            .tz_localize(INDIA)
            .astype(f"datetime64[us, {INDIA}]"),
            "trading_day": pd.Series([pd.Timestamp(day)] * len(rows), dtype="datetime64[us]"),
            "open": np.array(opens, "float64"),
            "high": np.array(highs, "float64"),
            "low": np.array(lows, "float64"),
            "close": np.array(closes, "float64"),
            "volume": pd.array(volumes, "Int64"),
            "open_interest": pd.array(interests, "Int64"),
        }
    )


def daily(*days: str, first: float = 100.0) -> pd.DataFrame:
    """One bar a day; the n-th opens at first + n, is 2 high, 3 low, closes half above, with volume n + 1."""
    return pd.concat(
        bars(("00:00", price, price + 2, price - 3, price + 0.5, number + 1, None), day=day)
        for number, (day, price) in enumerate(
            (day, first + number) for number, day in enumerate(days)
        )
    )


def told(made: pd.DataFrame) -> list[tuple]:
    """The rows of one instrument in short: clock or day, end, open, high, low, close, volume, whether complete."""
    return [
        (
            f"{row.timestamp:%m-%d %H:%M}",
            f"{row.ends_at:%m-%d %H:%M}",
            *(row.open, row.high, row.low, row.close),
            None if row.volume is pd.NA else row.volume,
            row.is_complete,
        )
        for row in made.itertuples()
    ]


def test_minutes_are_counted_from_the_open_and_the_last_bar_is_shorter() -> None:
    made = of_session(
        bars(
            ("09:15", 100, 103, 99, 101, 10, 5),
            ("09:20", 101, 101, 98, 99, 15, 6),
            ("10:10", 99, 99, 99, 99, 5, None),
            ("10:15", 99, 105, 99, 104, 30, 7),
            ("15:15", 104, 104, 103, 103, 1, None),
            ("15:25", 103, 110, 103, 109, 2, None),
        ),
        60,
        {},
    )
    assert tuple(made) == COLUMNS
    assert told(made) == [
        ("06-30 09:15", "06-30 10:15", 100, 103, 98, 99, 30, True),
        ("06-30 10:15", "06-30 11:15", 99, 105, 99, 104, 30, True),
        ("06-30 15:15", "06-30 15:30", 104, 110, 103, 109, 3, True),
    ]
    assert made["open_interest"].tolist() == [6, 7, pd.NA]


def test_a_volume_that_is_not_known_makes_that_of_its_bar_unknown() -> None:
    made = of_session(
        bars(
            ("09:15", 1, 1, 1, 1, 10, None),
            ("09:20", 1, 1, 1, 1, None, None),
            ("09:30", 1, 1, 1, 1, 0, None),
        ),
        15,
        {},
    )
    assert made["volume"].tolist() == [pd.NA, 0]


def test_the_order_of_rows_and_other_instruments_change_nothing() -> None:
    rows = pd.concat(
        [
            bars(("09:15", 1, 4, 1, 2, 1, None), ("09:20", 2, 3, 1, 3, 2, None)),
            bars(("09:15", 7, 8, 6, 7, 3, None), key=OTHER),
        ]
    )
    made = of_session(rows, 30, {})
    pd.testing.assert_frame_equal(of_session(rows.iloc[::-1], 30, {}), made)
    assert made[["instrument_key", "open", "high", "close"]].to_numpy().tolist() == [
        [KEY, 1, 4, 3],
        [OTHER, 7, 8, 7],
    ]


def test_a_bar_of_a_session_under_way_is_complete_when_all_of_it_is_known() -> None:
    rows = bars(
        ("09:15", 1, 1, 1, 1, 1, None),
        ("09:30", 1, 1, 1, 1, 1, None),
        ("09:45", 1, 1, 1, 1, 1, None),
    )
    until = pd.Timestamp(f"{DAY} 09:45", tz=INDIA)
    made = of_session(rows, 15, {date.fromisoformat(DAY): until})
    assert made["is_complete"].tolist() == [True, True, False]
    assert of_session(rows, 15, {date(2026, 6, 29): until})["is_complete"].all()


def test_each_interval_of_a_session_begins_anew() -> None:
    """The drill of 2024-03-02 traded 09:15 to 10:00 and 11:30 to 12:30."""
    made = of_session(
        bars(
            ("09:55", 1, 1, 1, 1, 1, None),
            ("11:30", 2, 2, 2, 2, 1, None),
            ("12:25", 3, 3, 3, 3, 1, None),
            day="2024-03-02",
        ),
        60,
        {},
    )
    assert [row[:2] for row in told(made)] == [
        ("03-02 09:15", "03-02 10:00"),
        ("03-02 11:30", "03-02 12:30"),
    ]


@pytest.mark.parametrize("clock", ["09:10", "15:30"])
def test_a_bar_outside_its_session_is_refused(clock: str) -> None:
    with pytest.raises(ValueError, match="expected none"):
        of_session(bars((clock, 1, 1, 1, 1, 1, None)), 15, {})


def test_weeks_begin_on_monday_and_end_with_the_last_session_of_the_calendar() -> None:
    """2026-06-26, a Friday, is Muharram: the week ends on Thursday."""
    days = ("2026-06-22", "2026-06-23", "2026-06-24", "2026-06-25", "2026-06-29", "2026-06-30")
    whole = [date.fromisoformat(day) for day in days]
    made = of_days(daily(*days), "week", whole)
    assert told(made) == [
        ("06-22 00:00", "06-25 15:30", 100, 105, 97, 103.5, 10, True),
        # From Wednesday on nothing is stored.
        ("06-29 00:00", "07-03 15:30", 104, 107, 101, 105.5, 11, False),
    ]


def test_a_week_over_new_year_is_one_bar_and_two_months() -> None:
    days = ("2025-12-29", "2025-12-30", "2025-12-31", "2026-01-01", "2026-01-02")
    whole = [date.fromisoformat(day) for day in days]
    weeks = of_days(daily(*days), "week", whole)
    assert told(weeks) == [("12-29 00:00", "01-02 15:30", 100, 106, 97, 104.5, 15, True)]
    months = of_days(daily(*days), "month", whole)
    assert [row[:6] for row in told(months)] == [
        ("12-01 00:00", "12-31 15:30", 100, 104, 97, 102.5),
        ("01-01 00:00", "01-30 15:30", 103, 106, 100, 104.5),
    ]
    assert not months["is_complete"].any()


def test_a_week_beyond_the_calendar_is_never_complete() -> None:
    last = NSE.trading_days(begin_of("week", NSE.last_day), NSE.last_day)
    days = [day.isoformat() for day in last]
    made = of_days(daily(*days), "week", last)
    assert made["is_complete"].tolist() == [end_of("week", NSE.last_day) <= NSE.last_day]


@pytest.mark.parametrize(
    ("period", "day", "begin", "end"),
    [
        ("week", date(2026, 6, 28), date(2026, 6, 22), date(2026, 6, 28)),
        ("week", date(2026, 6, 29), date(2026, 6, 29), date(2026, 7, 5)),
        ("month", date(2024, 2, 29), date(2024, 2, 1), date(2024, 2, 29)),
        ("month", date(2025, 12, 31), date(2025, 12, 1), date(2025, 12, 31)),
    ],
)
def test_where_periods_begin_and_end(period, day: date, begin: date, end: date) -> None:
    assert (begin_of(period, day), end_of(period, day)) == (begin, end)


def test_nothing_makes_nothing() -> None:
    none = bars(("09:15", 1, 1, 1, 1, 1, None)).head(0)
    for made in (of_session(none, 15, {}), of_days(none, "week", [])):
        assert tuple(made) == COLUMNS
        assert made.empty


def minutes_of_two_stocks() -> pd.DataFrame:
    """A regular session and a drill, with minutes that are missing, untraded, or of no known volume."""
    generator = np.random.default_rng(7)
    stamps = session_minutes([pd.Timestamp("2024-03-01"), pd.Timestamp("2024-03-02")])
    rows = []
    for key in (KEY, OTHER):
        closes = 100 + generator.normal(0, 1, len(stamps)).cumsum().round(2)
        rows.append(
            pd.DataFrame(
                {
                    "instrument_key": key,
                    "timestamp": stamps,
                    "open": closes + 0.05,
                    "high": closes + 1,
                    "low": closes - 1,
                    "close": closes,
                    "volume": generator.integers(0, 4, len(stamps)),
                }
            )[generator.random(len(stamps)) < 0.5]
        )
    return minute_candles(pd.concat(rows, ignore_index=True))


@pytest.mark.parametrize(("minutes", "of"), [(3, 1), (15, 5), (30, 5), (60, 5), (60, 15)])
def test_longer_bars_are_those_that_v1_makes_of_minutes(minutes: int, of: int) -> None:
    rows = minutes_of_two_stocks()
    stored = counted(rows, includes_untraded=False)
    if of > 1:
        stored = V1.to_5min(rows, AggregationSettings(bar_minutes=of))
        assert have_length(stored, of)
        assert not have_length(stored, minutes)
    expected = V1.to_5min(rows, AggregationSettings(bar_minutes=minutes))
    compared = ["instrument_key", "timestamp", "open", "high", "low", "close", "volume"]
    made = of_session(stored, minutes, {})
    assert len(made) >= 18
    pd.testing.assert_frame_equal(made[compared], expected[compared], check_dtype=False)
    lengths = (made["ends_at"] - made["timestamp"]) // pd.Timedelta(minutes=1)
    assert lengths.tolist() == expected["minutes_expected"].tolist()


@pytest.mark.parametrize("untraded", ["exclude", "include"])
def test_the_minutes_that_count_are_those_that_count_for_v1(untraded: str) -> None:
    rows = minutes_of_two_stocks()
    index = rows[rows["instrument_key"] == OTHER].assign(
        instrument_key="NSE_INDEX|Nifty 50", volume=pd.NA
    )
    rows = minute_candles(pd.concat([rows[rows["instrument_key"] == KEY], index]))
    made = of_session(counted(rows, includes_untraded=untraded == "include"), 3, {})
    expected = V1.to_5min(rows, AggregationSettings(bar_minutes=3, untraded_minutes=untraded))
    compared = ["instrument_key", "timestamp", "open", "high", "low", "close", "volume"]
    assert made["volume"].isna().any()
    pd.testing.assert_frame_equal(made[compared], expected[compared], check_dtype=False)


@pytest.mark.parametrize(
    ("clock", "day", "minutes_expected", "length", "fits"),
    [
        ("09:15", DAY, 5, 5, True),
        ("09:15", DAY, 5, 15, False),
        ("09:30", DAY, 15, 15, True),
        # As long as the rest of the session, but no fifteen minutes begin then.
        ("15:25", DAY, 5, 15, False),
        ("15:15", DAY, 15, 60, True),
        # The continuous trading of stocks with derivatives ends at 15:15 from August 2026 on.
        ("15:05", "2026-08-10", 10, 25, True),
        ("15:05", "2026-08-10", 25, 25, True),
        ("15:05", "2026-06-30", 10, 25, False),
    ],
)
def test_stored_bars_have_a_length(
    clock: str, day: str, minutes_expected: int, length: int, fits: bool
) -> None:
    rows = bars((clock, 1, 1, 1, 1, 1, None), day=day).assign(minutes_expected=minutes_expected)
    assert have_length(rows, length) is fits
