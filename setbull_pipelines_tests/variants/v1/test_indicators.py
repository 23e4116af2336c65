"""V1 of the indicators, against hand-made vectors and exact rational arithmetic."""

from __future__ import annotations

from fractions import Fraction
from math import isnan, sqrt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from setbull_pipelines.settings import IndicatorSettings
from setbull_pipelines.tables.candles import CANDLES_5MIN, CANDLES_DAILY
from setbull_pipelines.tables.indicator_columns import INDICATOR_COLUMNS
from setbull_pipelines.tables.indicators import INDICATORS_5MIN, INDICATORS_DAILY
from setbull_pipelines.tables.look_back import bars_to_first_values, warm_bars
from setbull_pipelines.variants import v1
from setbull_pipelines.variants.v1.indicators import (
    average_true_range,
    bollinger_bands,
    exponential_moving_average,
    relative_strength_index,
    simple_moving_average,
)
from setbull_pipelines_tests.variants.frames import bar_rows, bars_5min, bars_daily

VALUE_COLUMNS = [column.name for column in INDICATOR_COLUMNS]
PRICE_COLUMNS = [
    name for name in VALUE_COLUMNS if name not in ("rsi", "volume_ma_10") and "norm" not in name
]

S60 = bars_5min(
    bar_rows(
        closes := np.array([100 + (i * i % 17) for i in range(60)], dtype=float),
        high=closes + 1,
        low=closes - 2,
        volume=[10 + i % 7 for i in range(60)],
    )
)


@pytest.mark.parametrize(
    ("column", "first_index", "first", "last"),
    [
        ("ma_9", 8, 107.555556, 107.555556),
        ("ema_5", 4, 106.0, 110.490441),
        ("ema_9", 8, 107.555556, 109.206244),
        ("ema_20", 19, 107.05, 108.319689),
        ("ema_50", 49, 108.14, 107.885739),
        ("rsi", 14, 55.555556, 53.576955),
        ("atr", 14, 7.357143, 7.125843),
        ("bb_upper", 19, 118.495086, 119.721033),
        ("bb_lower", 19, 95.604914, 96.878967),
        ("bb_width", 19, 22.890173, 22.842066),
        ("bb_width_normalized", 19, 0.21382693, 0.21091474),
        ("vwap", 0, 99.666667, 107.709302),
        ("volume_ma_10", 9, 12.4, 12.7),
    ],
)
def test_reference_series(column: str, first_index: int, first: float, last: float) -> None:
    values = v1.indicators(S60, "5minute")[column]
    assert values.first_valid_index() == first_index
    assert values.notna().sum() == 60 - first_index
    assert values[first_index] == pytest.approx(first, abs=5e-7)
    assert values[59] == pytest.approx(last, abs=5e-7)


def test_moving_averages() -> None:
    assert exponential_moving_average([10, 11, 12, 13, 14, 15], 5)[4:] == [12, 13]
    assert simple_moving_average(range(1, 13), 9).tolist()[8:] == [5, 6, 7, 8]
    assert all(isnan(value) for value in exponential_moving_average([1.0] * 4, 5))
    assert np.isnan(simple_moving_average([1.0] * 8, 9)).all()
    assert exponential_moving_average([], 5) == []


def test_relative_strength_index() -> None:
    closes = [44.34, 44.09, 44.15, 43.61, 44.33, 44.83, 45.10, 45.42, 45.84, 46.08]
    closes += [45.89, 46.03, 45.61, 46.28, 46.28, 46.00, 46.03, 46.41, 46.22, 45.64]
    values = relative_strength_index(closes, 14)
    assert all(isnan(value) for value in values[:14])
    assert values[14:] == pytest.approx(
        [70.4641, 66.2496, 66.4809, 69.3469, 66.2947, 57.9150], abs=5e-5
    )
    assert relative_strength_index(range(1, 17), 14)[14:] == [100, 100]
    assert relative_strength_index(range(17, 1, -1), 14)[14:] == [0, 0]
    assert relative_strength_index([0.1] * 16, 14)[14:] == [100, 100]


def test_relative_strength_index_keeps_its_digits_near_0() -> None:
    """One rise, then only falls: the exact value is known from rational arithmetic."""
    closes = [1000.0, 1001.0, *(1000.0 - fall for fall in range(1, 400))]
    gain, loss = Fraction(1, 14), Fraction(2 + 12, 14)
    for _ in range(15, len(closes)):
        gain, loss = gain * 13 / 14, (loss * 13 + 1) / 14
    exact = float(100 * gain / (gain + loss))
    assert exact < 1e-9
    assert relative_strength_index(closes, 14)[-1] == pytest.approx(exact, rel=1e-12)


def test_average_true_range() -> None:
    highs, lows, closes = [101] * 15 + [107], [99] * 15 + [105], [100] * 15 + [106]
    values = average_true_range(highs, lows, closes, 14)
    assert [isnan(value) for value in values] == [True] * 14 + [False] * 2
    assert values[14:] == pytest.approx([2.0, 33 / 14])


def test_bollinger_bands() -> None:
    upper, middle, lower, width = (band[-1] for band in bollinger_bands(range(1, 21), 20, 2))
    assert (middle, upper, lower) == pytest.approx((10.5, 22.032563, -1.032563), abs=5e-7)
    assert width == pytest.approx(23.065125, abs=5e-7)
    alternating = bars_5min(bar_rows([500, 501] * 10))
    last = v1.indicators(alternating, "5minute").iloc[-1]
    assert last["bb_width"] == 2.0
    assert last["bb_width_normalized"] == pytest.approx(0.003996004, abs=5e-10)
    assert last["bb_width_normalized_percentage"] == pytest.approx(0.3996004, abs=5e-8)


@pytest.mark.parametrize("price", [0.01, 0.1, 71.35, 1 / 3, 123456.7, 1e6])
def test_a_flat_series_is_exact(price: float) -> None:
    flat = v1.indicators(bars_5min(bar_rows([price] * 60)), "5minute").iloc[-1]
    averages = ["ma_9", "ema_5", "ema_9", "ema_20", "ema_50", "bb_upper", "bb_middle", "bb_lower"]
    assert (flat[averages] == price).all()
    assert flat["bb_width"] == flat["bb_width_normalized"] == flat["atr"] == 0
    assert flat["rsi"] == 100


def test_a_narrow_band_at_a_high_price_keeps_its_digits() -> None:
    closes = [1e6 + 0.05 * (i % 3 == 0) for i in range(20)]
    exact = [Fraction(close) for close in closes]
    mean = sum(exact) / 20
    deviation = sqrt(sum((close - mean) ** 2 for close in exact) / 20)
    width = bollinger_bands(closes, 20, 2)[3][-1]
    assert width == pytest.approx(4 * deviation, rel=1e-12)


def test_a_flat_window_after_a_jump_is_exact_again() -> None:
    """Nothing of an extreme price is left once it has left the window."""
    closes = [1e6, 0.01, 1e6, *[0.07] * 20]
    result = v1.indicators(bars_5min(bar_rows(closes)), "5minute")
    assert result["bb_width"].iloc[-1] == 0
    assert result["ma_9"].iloc[-1] == 0.07
    assert result["bb_width"].iloc[-2] > 0


def test_vwap_restarts_every_day_and_waits_for_volume() -> None:
    first = bar_rows([100], volume=[100], first="2025-06-02 15:25")
    second = bar_rows(
        [105, 110, 120, 130],
        high=[105, 112, 123, 130],
        low=[105, 107, 118, 130],
        volume=[0, 100, 300, 0],
        first="2025-06-03 09:15",
    )
    result = v1.indicators(bars_5min(pd.concat([first, second])), "5minute")["vwap"]
    assert result.tolist() == pytest.approx(
        [100, np.nan, 109.666667, 117.666667, 117.666667], abs=5e-7, nan_ok=True
    )


def test_vwap_is_a_column_of_five_minute_bars_only() -> None:
    daily = v1.indicators(bars_daily(bar_rows([10.0] * 3, step="1D", first="2025-06-02")), "day")
    assert list(daily.columns) == INDICATORS_DAILY.column_names
    assert "vwap" not in daily


def test_a_single_bar_has_no_values_yet() -> None:
    bar = v1.indicators(bars_5min(bar_rows([10.0], volume=[0])), "5minute")
    INDICATORS_5MIN.schema.validate(bar)
    assert bar[[*VALUE_COLUMNS, "vwap"]].isna().all(axis=None)
    assert (bar["bars_of_history"].tolist(), bar["is_warm"].tolist()) == ([1], [False])


@pytest.mark.parametrize(
    ("timeframe", "candles", "table"),
    [("5minute", CANDLES_5MIN, INDICATORS_5MIN), ("day", CANDLES_DAILY, INDICATORS_DAILY)],
)
def test_nothing_in_gives_nothing_out(timeframe, candles, table) -> None:
    pd.testing.assert_frame_equal(v1.indicators(candles.empty(), timeframe), table.empty())


def test_an_unknown_timeframe_is_refused() -> None:
    with pytest.raises(ValueError, match="'week'"):
        v1.indicators(CANDLES_DAILY.empty(), "week")


def test_series_and_instruments_do_not_touch_each_other() -> None:
    rising = bar_rows(range(100, 160), step="1D", first="2025-01-01", key="NSE_EQ|A")
    falling = bar_rows(range(160, 100, -1), step="1D", first="2025-01-01", key="NSE_EQ|A")
    other = bar_rows(range(500, 560), step="1D", first="2025-01-01", key="NSE_EQ|B")
    parts = [bars_daily(rising), bars_daily(falling, "minutes"), bars_daily(other)]
    together = v1.indicators(pd.concat(parts).sample(frac=1, random_state=1), "day")
    INDICATORS_DAILY.schema.validate(together)
    alone = pd.concat([v1.indicators(part, "day") for part in parts], ignore_index=True)
    pd.testing.assert_frame_equal(together, INDICATORS_DAILY.conform(alone))
    assert together["rsi"].iloc[[59, 119, 179]].tolist() == [100, 0, 100]


bars_strategy = st.lists(
    st.tuples(
        st.integers(1, 200_000), st.integers(0, 400), st.integers(0, 400), st.integers(0, 10**6)
    ),
    min_size=1,
    max_size=80,
)


def bars_from(rows: list[tuple[int, int, int, int]], factor: float = 1.0) -> pd.DataFrame:
    """Bars on a grid of 1/16 rupee, so that a factor that is a power of two scales them exactly."""
    ticks = np.array(rows, dtype=float) / 16 * factor
    close, up, down = ticks[:, 0], ticks[:, 1], ticks[:, 2]
    low = np.maximum(close - down, factor / 16)
    return bars_5min(
        bar_rows(close, high=close + up, low=low, volume=[row[3] for row in rows], step="5min")
    )


@settings(max_examples=20, deadline=None)
@given(rows=bars_strategy, kept=st.integers(1, 80), seed=st.integers(0, 99))
def test_later_bars_and_row_order_change_nothing(rows, kept, seed) -> None:
    whole = v1.indicators(bars_from(rows).sample(frac=1, random_state=seed), "5minute")
    part = v1.indicators(bars_from(rows).head(kept), "5minute")
    pd.testing.assert_frame_equal(whole.head(kept), part)


@settings(max_examples=20, deadline=None)
@given(rows=bars_strategy, factor=st.sampled_from([2.0**-6, 4.0, 2.0**14]))
def test_prices_scale_and_ratios_do_not(rows, factor) -> None:
    one = v1.indicators(bars_from(rows), "5minute")
    scaled = v1.indicators(bars_from(rows, factor), "5minute")
    prices = [*PRICE_COLUMNS, "vwap"]
    pd.testing.assert_frame_equal(one[prices] * factor, scaled[prices], check_exact=True)
    pd.testing.assert_frame_equal(
        one.drop(columns=prices), scaled.drop(columns=prices), check_exact=True
    )


@settings(max_examples=20, deadline=None)
@given(rows=bars_strategy)
def test_values_stay_in_their_ranges(rows) -> None:
    bars = bars_from(rows)
    result = v1.indicators(bars, "5minute")
    assert not np.isinf(result[[*VALUE_COLUMNS, "vwap"]].to_numpy()).any()
    assert result["rsi"].dropna().between(0, 100).all()
    assert (result["atr"].dropna() >= 0).all()
    banded = result.dropna(subset="bb_middle")
    assert (banded["bb_lower"] <= banded["bb_middle"]).all()
    assert (banded["bb_middle"] <= banded["bb_upper"]).all()
    vwap = result["vwap"].dropna()
    day = bars.groupby("trading_day")
    assert (vwap <= day["high"].cummax()[vwap.index] * (1 + 1e-12)).all()
    assert (vwap >= day["low"].cummin()[vwap.index] * (1 - 1e-12)).all()


# --- warm or not --------------------------------------------------------------------------------

QUICK = IndicatorSettings(warm_margin_bars=20)
FIRST, WARM = bars_to_first_values(), warm_bars(QUICK.warm_margin_bars)
OLD_BARS, NEW_BARS = WARM + 10, FIRST + 10
"""Enough to be warm as a series whose start is not known, and as a new listing."""
NEW_START = str((pd.Timestamp("2025-01-01") + pd.Timedelta(days=OLD_BARS - NEW_BARS)).date())


def two_listings(old_bars: int = OLD_BARS, new_bars: int = NEW_BARS) -> pd.DataFrame:
    """OLD with ``old_bars`` days from 2025-01-01 and NEW with the last ``new_bars`` of these days."""
    old = bar_rows(range(1, old_bars + 1), step="1D", first="2025-01-01", key="OLD")
    return bars_daily(pd.concat([old, old.tail(new_bars).assign(instrument_key="NEW")]))


def first_warm(result: pd.DataFrame, key: str) -> int | None:
    warm = result[(result["instrument_key"] == key) & result["is_warm"]]
    return None if warm.empty else int(warm["bars_of_history"].min())


def starts(*rows: tuple[str, str, str]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["instrument_key", "series", "first_trading_day"])
    return frame.astype({"first_trading_day": "datetime64[us]"})


@pytest.mark.parametrize(
    ("history_starts", "new_is_warm_from"),
    [
        (None, FIRST),
        (starts(("OLD", "exchange", "2025-01-01"), ("NEW", "exchange", NEW_START)), FIRST),
        (starts(("OLD", "exchange", "2024-01-01"), ("NEW", "exchange", "2025-01-01")), FIRST),
        # NEW began before the candles at hand: part of its history is missing.
        (starts(("OLD", "exchange", "2024-01-01"), ("NEW", "exchange", "2024-12-31")), None),
        # Nothing is older than NEW, so its start may be that of the store.
        (starts(("OLD", "exchange", NEW_START), ("NEW", "exchange", NEW_START)), None),
        # An older start of another series says nothing.
        (starts(("OLD", "minutes", "2025-01-01"), ("NEW", "exchange", NEW_START)), None),
        (starts(("OLD", "exchange", "2025-01-01")), None),
    ],
)
def test_new_listings_are_warm_early(history_starts, new_is_warm_from: int | None) -> None:
    result = v1.indicators(two_listings(), "day", history_starts, QUICK)
    assert first_warm(result, "OLD") == WARM
    assert first_warm(result, "NEW") == new_is_warm_from
    counts = result.groupby("instrument_key")["bars_of_history"].agg(["min", "max"])
    assert counts.to_numpy().tolist() == [[1, NEW_BARS], [1, OLD_BARS]]


def test_five_minute_bars_use_the_starts_of_the_minutes_series() -> None:
    old = bar_rows(range(1, NEW_BARS + 1), key="OLD", first="2025-06-02 09:15")
    new = bar_rows(range(1, NEW_BARS + 1), key="NEW", first="2025-06-03 09:15")
    candles = bars_5min(pd.concat([old, new]))
    known = starts(("OLD", "minutes", "2025-06-02"), ("NEW", "minutes", "2025-06-03"))
    for history_starts in (None, known):
        result = v1.indicators(candles, "5minute", history_starts, QUICK)
        assert (first_warm(result, "OLD"), first_warm(result, "NEW")) == (None, FIRST)
    of_other_series = known.assign(series="exchange")
    result = v1.indicators(candles, "5minute", of_other_series, QUICK)
    assert not result["is_warm"].any()
