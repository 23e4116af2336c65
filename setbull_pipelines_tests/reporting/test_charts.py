"""The bars of the charts are the stored ones, in their place."""

from __future__ import annotations

import pandas as pd

from setbull_pipelines.reporting.charts import daily_columns, intraday_columns
from setbull_pipelines.reporting.content import Stored

DAYS = pd.to_datetime(["2026-06-26", "2026-06-29", "2026-06-30"])
BANDS = {"bb_upper": 12.3456, "bb_middle": 11.0, "bb_lower": float("nan")}
BANDS |= {"bb_width_normalized_percentage": 1.23456}


def bars(*rows: tuple[str, pd.Timestamp, float]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["instrument_key", "timestamp", "close"])
    prices = dict.fromkeys(("open", "high", "low"), frame["close"])
    day = frame["timestamp"].dt.normalize().dt.tz_localize(None)
    return frame.assign(**prices, volume=1000, trading_day=day)


def test_missing_sessions_and_missing_values_are_null() -> None:
    india = [day.tz_localize("Asia/Kolkata") for day in DAYS]
    candles = bars(("A", india[0], 10.05), ("A", india[2], 11.0), ("B", india[1], 7.5))
    indicators = candles[["instrument_key", "timestamp"]].assign(**BANDS, ema_50=10.005)
    found = daily_columns(candles, indicators, DAYS)
    assert list(found) == ["A", "B"]
    assert found["A"]["close"] == [10.05, None, 11]
    assert found["A"]["volume"] == [1000, None, 1000]
    assert found["A"]["bb_upper"] == [12.35, None, 12.35]
    assert found["A"]["bb_lower"] == [None, None, None]
    assert found["A"]["bb_width_normalized_percentage"] == [1.235, None, 1.235]
    assert found["B"]["close"] == [None, 7.5, None]


def test_minutes_are_those_of_the_clock_in_india() -> None:
    opening = pd.Timestamp("2026-06-30 09:15", tz="Asia/Kolkata")
    later = opening + pd.Timedelta(minutes=5)
    candles = bars(("B", later, 2.0), ("A", opening, 1.0), ("B", opening, 3.0))
    candles["timestamp"] = candles["timestamp"].dt.tz_convert("UTC")
    indicators = candles[["instrument_key", "timestamp"]].assign(**BANDS, vwap=1.0)
    found = intraday_columns(candles, indicators)
    assert found["A"]["minute"] == [555]
    assert found["B"]["minute"] == [555, 560]
    assert found["B"]["close"] == [3, 2]


def test_the_stored_bars_come_out_again(stored: Stored) -> None:
    days = sorted(stored.candles_daily["trading_day"].unique())
    found = daily_columns(stored.candles_daily, stored.indicators_daily, days)
    for key, rows in stored.candles_daily.groupby("instrument_key"):
        of_day = dict(zip(rows["trading_day"], rows["close"], strict=True))
        expected = [None if day not in of_day else round(of_day[day], 2) for day in days]
        assert found[key]["close"] == expected
