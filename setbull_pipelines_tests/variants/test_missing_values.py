"""A stage of the filters that asks about a missing value: both variants say "not enough data", at that stage.

Belongs here: nulls in what the stages are given, one or several at a time. Does not belong here: the reasons of
stocks without bars, with cold indicators or without a trend.
"""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from setbull_pipelines.tables import FILTER_RESULTS, INDICATORS_DAILY
from setbull_pipelines.tables.filters import STAGES
from setbull_pipelines.variants import V1, V2
from setbull_pipelines.variants.protocol import Variant
from setbull_pipelines_tests.variants.frames import bar_rows, bars_daily, compare

AS_OF = pd.Timestamp("2025-06-30")
STOCKS = 3
CANDLES, INDICATORS, ANALYSIS = "candles", "indicators", "analysis"
ASKED = {
    "close": (CANDLES, "close", "basic"),
    "average_volume": (CANDLES, "volume", "basic"),
    "ema_50": (INDICATORS, "ema_50", "ema"),
    "rsi": (INDICATORS, "rsi", "ema"),
    "mamba_days": (ANALYSIS, "mamba_days", "mamba"),
    "current_length": (ANALYSIS, "current_length", "mamba"),
    "longest_mamba_sequence": (ANALYSIS, "longest_mamba_sequence", "mamba"),
    "mamba_sequences": (ANALYSIS, "mamba_sequences", "mamba"),
    "long_gaps": (ANALYSIS, "long_gaps", "mamba"),
    "trend": (ANALYSIS, "trend", "mamba"),
}
"""Every value that a stage asks about, in the order of asking: its frame, its column there, and the stage."""
FLAGS = ("is_warm", "bars_of_history")
"""Nulls here count as a series that is not warm."""


def key_of(stock: int) -> str:
    return f"NSE_EQ|STOCK{stock}"


def market() -> dict[str, pd.DataFrame]:
    """Stocks that pass every stage."""
    rows = [
        bar_rows(
            [100.0, 110.0] * 10 + [100.0],
            first="2025-06-10",
            step="1D",
            volume=500_000,
            key=key_of(stock),
        )
        for stock in range(STOCKS)
    ]
    candles = bars_daily(pd.concat(rows, ignore_index=True))
    indicators = INDICATORS_DAILY.conform(
        candles[["instrument_key", "series", "timestamp", "trading_day"]]
        .assign(ema_50=90.0, rsi=60.0, is_warm=True, bars_of_history=300)
        .reindex(columns=INDICATORS_DAILY.column_names)
    )
    moves = V1.moves(candles, indicators, AS_OF)
    analysis, _ = V1.sequence_analysis(moves, V1.sequences(moves))
    passing = analysis.assign(mamba_days=7, mamba_sequences=1, longest_mamba_sequence=7)
    return {CANDLES: candles, INDICATORS: indicators, ANALYSIS: passing.assign(long_gaps=0)}


def without(frames: dict[str, pd.DataFrame], frame: str, column: str, stock: int) -> None:
    """Make the value of the as-of day null, in a type that can hold it."""
    table = frames[frame]
    nullable = {"int64": "Int64", "bool": "boolean"}.get(str(table[column].dtype))
    values = table[column].astype(nullable) if nullable else table[column].copy()
    is_cell = (table["instrument_key"] == key_of(stock)) & (table["trading_day"] == AS_OF)
    assert is_cell.sum() == 1
    frames[frame] = table.assign(**{column: values.mask(is_cell)})


def filtered(variant: Variant, frames: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return variant.filters(frames[CANDLES], frames[INDICATORS], frames[ANALYSIS], AS_OF)


def assert_not_enough_data(row: pd.Series, name: str) -> None:
    stage = ASKED[name][2]
    assert (row["verdict"], row["stopped_at"]) == ("not enough data", stage)
    assert row["reason"] == row[f"{stage}_reason"] == f"{name} is not known"
    assert pd.isna(row[f"{stage}_passed"])
    assert pd.isna(row[f"{stage}_threshold"])
    position = STAGES.index(stage)
    assert row[[f"{earlier}_passed" for earlier in STAGES[:position]]].eq(True).all()
    assert row[[f"{later}_reason" for later in STAGES[position:][1:]]].isna().all()


def test_without_a_null_every_stock_passes(variant: Variant) -> None:
    assert filtered(variant, market())["verdict"].tolist() == ["bullish"] * STOCKS


@pytest.mark.parametrize("name", ASKED)
def test_a_missing_value_is_never_a_rejection_or_a_pass(variant: Variant, name: str) -> None:
    frames = market()
    without(frames, *ASKED[name][:2], stock=1)
    results = filtered(variant, frames)
    assert_not_enough_data(results.iloc[1], name)
    assert results["verdict"].tolist()[::2] == ["bullish", "bullish"]


@pytest.mark.parametrize("name", FLAGS)
def test_indicators_that_do_not_say_whether_they_are_warm(variant: Variant, name: str) -> None:
    frames = market()
    without(frames, INDICATORS, "is_warm", stock=1)
    without(frames, INDICATORS, name, stock=1)
    row = filtered(variant, frames).iloc[1]
    assert (row["verdict"], row["stopped_at"]) == ("not enough data", "ema")
    found = 300 if name == "is_warm" else 0
    assert row["reason"] == f"indicators are not warm: {found} daily bars of history"


@settings(
    derandomize=True,
    deadline=None,
    max_examples=25,
    phases=[Phase.generate],
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(missing=st.lists(st.sets(st.sampled_from(sorted(ASKED))), min_size=STOCKS, max_size=STOCKS))
def test_both_variants_agree_on_any_missing_values(missing: list[set[str]]) -> None:
    frames = market()
    for stock, names in enumerate(missing):
        for name in sorted(names):
            without(frames, *ASKED[name][:2], stock=stock)
    one, other = filtered(V1, frames), filtered(V2, frames)
    assert compare(FILTER_RESULTS, one, other) == one.size
    for stock, names in enumerate(missing):
        if names:
            assert_not_enough_data(one.iloc[stock], next(name for name in ASKED if name in names))
        else:
            assert one["verdict"].iloc[stock] == "bullish"
