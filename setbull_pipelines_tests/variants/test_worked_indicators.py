"""Indicators against vectors worked out by hand: bands, averages, RSI, ATR, VWAP, and that each series is by itself.

Belongs here: a few closes whose indicators can be checked on paper. Does not belong here: values of other software.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from setbull_pipelines.variants.protocol import Variant
from setbull_pipelines_tests.variants.frames import assert_values, bar_rows, bars_5min, bars_daily


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
    assert_values(ema, [np.nan] * 4 + [12.0, 13.0], cells=2)
    mean = _five_minute(variant, bar_rows(np.arange(1.0, 13.0)))["ma_9"]
    assert_values(mean, [np.nan] * 8 + [5.0, 6.0, 7.0, 8.0], cells=4)


def test_vector_rsi(variant: Variant) -> None:
    closes = (
        "44.34 44.09 44.15 43.61 44.33 44.83 45.10 45.42 45.84 46.08 "
        "45.89 46.03 45.61 46.28 46.28 46.00 46.03 46.41 46.22 45.64"
    )
    found = _five_minute(variant, bar_rows([float(close) for close in closes.split()]))["rsi"]
    expected = [70.4641, 66.2496, 66.4809, 69.3469, 66.2947, 57.9150]
    assert_values(found, [np.nan] * 14 + expected, cells=6, relative=0, absolute=5.1e-5)
    rising = _five_minute(variant, bar_rows(np.arange(100.0, 130.0)))["rsi"]
    falling = _five_minute(variant, bar_rows(np.arange(130.0, 100.0, -1)))["rsi"]
    assert (rising.iloc[14:] == 100).all()
    assert (falling.iloc[14:] == 0).all()


def test_vector_atr(variant: Variant) -> None:
    close = [100.0] * 15 + [106.0]
    high, low = [101.0] * 15 + [107.0], [99.0] * 15 + [105.0]
    found = _five_minute(variant, bar_rows(close, high=high, low=low))["atr"]
    assert_values(found, [np.nan] * 14 + [2.0, 2.357142857142857], cells=2)


def test_vector_vwap_restarts_every_day(variant: Variant) -> None:
    first = bar_rows([100.0, 104.0], high=[101, 105], low=[99, 103], volume=[100, 100])
    second = bar_rows(
        [110.0, 120.0], high=[112, 123], low=[107, 118], volume=[100, 300], first="2025-06-03 09:15"
    )
    found = _five_minute(variant, pd.concat([first, second], ignore_index=True))["vwap"]
    expected = [100.0, 102.0, 329 / 3, (329 * 100 + 361 * 300) / 3 / 400]
    assert_values(found, expected, cells=4)
    assert found.iloc[3] == pytest.approx(117.666667, abs=5e-7)


def test_vector_vwap_without_volume(variant: Variant) -> None:
    found = _five_minute(variant, bar_rows([90.0, 95.0, 102.0, 999.0], volume=[0, 0, 10, 0]))
    assert_values(found["vwap"], [np.nan, np.nan, 102.0, 102.0], cells=2)


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
