"""How complete a day is, counted by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from setbull_pipelines.quality.completeness import completeness
from setbull_pipelines.tables.columns import EXCHANGE, MINUTES

WEDNESDAY = pd.Timestamp("2024-06-05")
EVENING = pd.Timestamp("2020-11-14")  # Muhurat: one hour
AUCTION = pd.Timestamp("2026-08-03")


def coverage(*spans: tuple[str, str, str, str]) -> pd.DataFrame:
    frame = pd.DataFrame(
        spans, columns=["instrument_key", "series", "first_trading_day", "last_trading_day"]
    )
    days = ["first_trading_day", "last_trading_day"]
    frame[days] = frame[days].astype("datetime64[us]")
    return frame


def rows(**bars: int) -> pd.DataFrame:
    keys = [key for key, count in bars.items() for _ in range(count)]
    return pd.DataFrame({"instrument_key": pd.Series(keys, dtype="str")})


SPANS = coverage(
    ("A", MINUTES, "2024-05-01", "2024-06-05"),
    ("A", EXCHANGE, "2023-05-01", "2024-06-05"),
    ("B", MINUTES, "2024-05-01", "2024-06-04"),  # yesterday it was there
    ("B", EXCHANGE, "2023-05-01", "2024-06-05"),
    ("C", MINUTES, "2024-05-01", "2024-05-28"),  # six sessions ago: gone
    ("D", MINUTES, "2024-06-06", "2024-06-06"),  # listed tomorrow
)


def test_a_missing_instrument_and_its_bars_are_missing() -> None:
    found = completeness("candles_1min", rows(A=370), 370, SPANS, WEDNESDAY, 5)
    assert found == {
        "instruments": 1,
        "instruments expected": 2,
        "bars": 370,
        "bars expected": 750,
        "share of instruments": 0.5,
        "share of bars": pytest.approx(370 / 750, abs=5e-5),
        "last session of the source": "2024-06-06",
    }


def test_an_instrument_is_expected_for_five_sessions_after_its_last_candle() -> None:
    # Sessions after Tuesday 2024-05-28: 29, 30, 31, 3 and 4 June, 5 June is the sixth.
    expected = {
        day: completeness("candles_1min", rows(), 0, SPANS, pd.Timestamp(day), 5)[
            "instruments expected"
        ]
        for day in ("2024-06-04", "2024-06-05")
    }
    assert expected == {"2024-06-04": 3, "2024-06-05": 2}


@pytest.mark.parametrize(
    ("table", "day", "bar_minutes", "bars"),
    [
        ("candles_1min", WEDNESDAY, 5, 375),
        ("candles_5min", WEDNESDAY, 5, 75),
        ("indicators_5min", WEDNESDAY, 5, 75),
        ("candles_5min", WEDNESDAY, 70, 6),
        ("candles_5min", EVENING, 5, 12),
        ("candles_daily_history", WEDNESDAY, 5, 1),
        ("candles_daily", WEDNESDAY, 5, 2),
        ("filter_results", WEDNESDAY, 5, None),
    ],
)
def test_bars_of_one_instrument(table, day, bar_minutes, bars) -> None:
    spans = coverage(*(("A", series, "2020-11-01", "2026-08-03") for series in (MINUTES, EXCHANGE)))
    found = completeness(table, rows(A=1), 1, spans, day, bar_minutes)
    assert found.get("bars expected") == bars
    assert ("bars" in found) is (bars is not None)
    assert found["instruments expected"] == 1


def test_stocks_with_a_closing_auction_have_fewer_minutes() -> None:
    spans = coverage(*((key, MINUTES, "2026-07-01", "2026-08-03") for key in "AB"))
    day = rows(A=1, B=1).assign(session_shape=["closing auction", "full"])
    assert (
        completeness("candles_1min", day, len(day), spans, AUCTION, 5)["bars expected"] == 360 + 375
    )


def test_where_nothing_is_expected_there_is_no_share() -> None:
    found = completeness("candles_5min", rows(), 0, SPANS[:0], WEDNESDAY, 5)
    assert found == {"instruments": 0, "instruments expected": 0, "bars": 0, "bars expected": 0}


def test_hours_that_are_not_known_expect_no_number_of_bars() -> None:
    day = pd.Timestamp("2026-11-08")
    spans = coverage(("A", MINUTES, "2026-11-01", "2026-11-08"))
    found = completeness("candles_1min", rows(A=60), 60, spans, day, 5)
    assert "bars expected" not in found
    assert found["share of instruments"] == 1.0
