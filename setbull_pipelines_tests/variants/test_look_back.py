"""How far indicators look back: the sessions that are enough, and the memory of each column.

Belongs here: values from a look-back against values from everything, for each variant by itself. Does not belong here:
how much of the past is read, which the tests of the pipeline have.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from setbull_pipelines.settings import LookBackSettings
from setbull_pipelines.tables import INDICATORS_DAILY
from setbull_pipelines.tables.contract import RELATIVE, Memory
from setbull_pipelines.tables.indicator_columns import INDICATOR_COLUMNS, PERIODS
from setbull_pipelines.tables.look_back import bars_to_first_values, slowest, warm_bars
from setbull_pipelines.variants.protocol import Variant
from setbull_pipelines_tests.variants.frames import (
    INDICATORS_OF_BARS,
    assert_contract,
    bars_daily,
    minute_candles,
    random_daily,
    random_minutes,
    starts_of,
    trading_days,
)

RECURSIONS = [column for column in INDICATOR_COLUMNS if column.memory and column.memory.decay]


# --- look-back --------------------------------------------------------------------------------------


def _assert_look_back_suffices(full: pd.DataFrame, recent: pd.DataFrame, *, rows: int) -> None:
    """The wanted rows, computed from the look-back and from everything, agree to 1e-9 relative."""
    assert len(full) == len(recent) == rows
    assert full["is_warm"].all()
    assert recent["is_warm"].all()
    columns = [column.name for column in INDICATORS_OF_BARS if column.name in full]
    assert len(columns) >= len(INDICATOR_COLUMNS)
    for column in columns:
        assert full[column].notna().all(), column
        np.testing.assert_allclose(
            recent[column], full[column], rtol=RELATIVE.relative, atol=0, err_msg=column
        )


@pytest.mark.parametrize("seed", [1, 2])
def test_nine_sessions_are_enough_for_five_minute_bars(variant: Variant, seed: int) -> None:
    look_back = LookBackSettings().sessions_5min
    days = trading_days("2024-10-14", 20)
    assert pd.Timestamp("2024-11-01") in days[-1 - look_back : -1]  # one is an evening session
    minutes = random_minutes(seed, days, instruments=2, missing_share=0, volatility=0.003)
    bars = variant.to_5min(minutes)
    window = bars[bars["trading_day"] >= days[-1 - look_back]].reset_index(drop=True)
    full = variant.indicators(bars, "5minute")
    recent = variant.indicators(window, "5minute", starts_of(bars.assign(series="minutes")))
    last = full["trading_day"] == days[-1]
    _assert_look_back_suffices(
        full[last].reset_index(drop=True),
        recent[recent["trading_day"] == days[-1]].reset_index(drop=True),
        rows=150,
    )


def test_nine_sessions_are_enough_for_real_minutes(variant: Variant, shared_data: Path) -> None:
    path = shared_data / "market" / "minute_2016-08-16_2016-09-09.parquet"
    symbols = ["RELIANCE", "SBIN", "TATASTEEL"]
    rows = pd.read_parquet(path, filters=[("symbol", "in", symbols)])
    bars = variant.to_5min(minute_candles(rows.drop(columns="symbol")))
    days = sorted(bars["trading_day"].unique())
    window = bars[bars["trading_day"] >= days[-1 - LookBackSettings().sessions_5min]]
    full = variant.indicators(bars, "5minute")
    starts = starts_of(bars.assign(series="minutes"))
    recent = variant.indicators(window.reset_index(drop=True), "5minute", starts)
    _assert_look_back_suffices(
        full[full["trading_day"] == days[-1]].reset_index(drop=True),
        recent[recent["trading_day"] == days[-1]].reset_index(drop=True),
        rows=3 * 75,
    )


def test_600_days_are_enough_for_daily_bars(variant: Variant, shared_data: Path) -> None:
    path = shared_data / "market" / "daily_long.parquet"
    symbols = ["HDFCBANK", "RELIANCE", "TATASTEEL", "BOSCHLTD", "SBIN", "BAJFINANCE"]
    rows = pd.read_parquet(path, filters=[("symbol", "in", symbols)])
    candles = bars_daily(rows.drop(columns="symbol"))
    days = sorted(candles["trading_day"].unique())
    assert len(candles) == 6 * len(days) > 6 * 1500
    starts = starts_of(candles)
    full = variant.indicators(candles, "day", starts)
    assert_contract(INDICATORS_DAILY, full)
    look_back = LookBackSettings().sessions_daily
    for last in (len(days) - 1, len(days) - 400, len(days) - 700):
        inside = candles["trading_day"].between(days[last - look_back], days[last])
        recent = variant.indicators(candles[inside].reset_index(drop=True), "day", starts)
        _assert_look_back_suffices(
            full[full["trading_day"] == days[last]].reset_index(drop=True),
            recent[recent["trading_day"] == days[last]].reset_index(drop=True),
            rows=6,
        )


# --- memory ----------------------------------------------------------------------------------------


def _last_values(variant: Variant, candles: pd.DataFrame, periods=PERIODS) -> pd.Series:
    return variant.indicators(candles, "day", periods=periods).iloc[-1]


def _walk_of(bars: int, seed: int = 3) -> pd.DataFrame:
    days = trading_days("2015-01-01", bars)
    return bars_daily(random_daily(seed, days, instruments=1, missing_share=0, volatility=0.02))


def test_every_indicator_says_how_far_it_looks_back() -> None:
    assert all(column.memory for column in INDICATOR_COLUMNS)
    assert {column.name for column in RECURSIONS} >= {"ema_50", "rsi", "atr"}
    found = (bars_to_first_values(), warm_bars(200), slowest())
    assert found == (50, 250, ("ema_50", 569)), (
        "another indicator is the slowest one: lengthen LookBackSettings in settings/computing.py so that "
        "refuse_short_look_back accepts it, then say here what holds now"
    )


@pytest.mark.parametrize("column", INDICATOR_COLUMNS, ids=lambda column: column.name)
def test_the_first_value_is_where_the_memory_of_the_column_says(variant: Variant, column) -> None:
    found = variant.indicators(_walk_of(80), "day")[column.name]
    assert int(found.notna().argmax()) + 1 == column.memory.first
    assert found.iloc[column.memory.first - 1 :].notna().all()


@pytest.mark.parametrize("column", INDICATOR_COLUMNS, ids=lambda column: column.name)
def test_bars_before_the_memory_of_a_column_change_nothing(variant: Variant, column) -> None:
    """Of a recursion: nothing above the tolerance; and with half of these bars they do."""
    full = _walk_of(700)
    needed = column.memory.bars_until(column.tolerance.relative)
    expected = _last_values(variant, full)[column.name]
    recent = full.tail(needed).reset_index(drop=True)
    found = _last_values(variant, recent)[column.name]
    assert found == pytest.approx(expected, rel=column.tolerance.relative, abs=0)
    shorter = full.tail(max(needed // 2, column.memory.first)).reset_index(drop=True)
    if column.memory.decay:
        found = _last_values(variant, shorter)[column.name]
        assert abs(found / expected - 1) > column.tolerance.relative
    else:
        assert pd.isna(_last_values(variant, full.tail(needed - 1))[column.name])


@pytest.mark.parametrize("period", [50, 100, 200])
def test_a_slower_average_needs_a_longer_look_back_and_more_warm_bars(
    variant: Variant, period: int
) -> None:
    """The bars that follow from its memory are enough, 600 are not, and the start of a warm value weighs 0.034 %."""
    memory = Memory(period, 1 - 2 / (period + 1))
    column = dataclasses.replace(RECURSIONS[0], name=f"ema_{period}", memory=memory)
    columns = (*INDICATOR_COLUMNS, column)
    needed = memory.bars_until(RELATIVE.relative)
    assert needed == max(569, slowest(columns)[1])
    warm = warm_bars(200, columns)
    assert warm == pytest.approx(5 * period, abs=1)

    periods = PERIODS._replace(exponential=(*PERIODS.exponential[:-1], period))
    full = _walk_of(2600)

    def value_of(bars: int) -> float:
        recent = full.tail(bars).reset_index(drop=True)
        return _last_values(variant, recent, periods)[f"ema_{PERIODS.exponential[-1]}"]

    whole = value_of(len(full))
    assert value_of(needed) == pytest.approx(whole, rel=RELATIVE.relative, abs=0)
    if period > 50:
        assert abs(value_of(601) / whole - 1) > RELATIVE.relative
    # The start is a mean of earlier closes, here at most 60 % away; its weight is what is left of that.
    closes = full["close"].tail(warm)
    distance = closes.max() - closes.min()
    assert 0 < abs(value_of(warm) - whole) < 0.00034 * distance
    assert abs(value_of(warm // 2) - whole) > abs(value_of(warm) - whole)
