"""Moves of exactly a limit: decided as whole paise say, whatever the last digits of the quotient are.

Belongs here: expected decisions in exact fractions of whole paise. Does not belong here: the computing of a variant.
"""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from setbull_pipelines.settings import FilterSettings, SequenceSettings
from setbull_pipelines.tables import CANDLES_DAILY, INDICATORS_DAILY, SEQUENCE_ANALYSIS
from setbull_pipelines.variants.protocol import Variant
from setbull_pipelines_tests.variants.frames import bar_rows, bars_daily

AS_OF = pd.Timestamp("2025-06-30")
DAYS = 21
RISE, FALL = "rise", "fall"
LARGEST_PAISE = 200_000
"""2,000 rupees: the filters take no stock above 1,500."""


def exact_moves(direction: str, percent: int) -> pd.DataFrame:
    """Every pair of whole paise of which one is ``percent`` above the other, and the same one paise more and less.

    A rise is measured from the open, a fall from the close. ``exceeds`` is worked out in fractions.
    """
    base, moved = Fraction(100), Fraction(100 + percent)
    step = (moved / base).denominator
    bases = np.arange(step, LARGEST_PAISE + 1, step, dtype="int64")
    exact = bases * (100 + percent) // 100
    assert (exact * 100 == bases * (100 + percent)).all()
    rows = [(bases, exact + more, more > 0) for more in (-1, 0, 1)]
    low = np.concatenate([low for low, _, _ in rows])
    high = np.concatenate([high for _, high, _ in rows])
    exceeds = np.concatenate([np.full(len(low), above) for low, _, above in rows])
    for place in range(0, len(low), 997):
        move = Fraction(int(high[place]) - int(low[place]), int(low[place])) * 100
        assert (move > percent) == exceeds[place]
    opens, closes = (low, high) if direction == RISE else (high, low)
    return pd.DataFrame({"open": opens, "close": closes, "exceeds": exceeds})


def stocks_of(moves: pd.DataFrame, ratio: float) -> pd.DataFrame:
    """The moves as daily candles, 21 of them per stock, in rupees divided by ``ratio`` (a split)."""
    whole = len(moves) // DAYS * DAYS
    stock, day = np.divmod(np.arange(whole), DAYS)
    moves = moves.iloc[:whole]
    days = pd.date_range(end=AS_OF, periods=DAYS).astype("datetime64[us]")
    opens, closes = (moves[name].to_numpy() / 100 / ratio for name in ("open", "close"))
    rows = pd.DataFrame(
        {
            "instrument_key": [f"NSE_EQ|{number:07d}" for number in stock],
            "timestamp": days[day].tz_localize("Asia/Kolkata"),
            "open": opens,
            "high": np.maximum(opens, closes),
            "low": np.minimum(opens, closes),
            "close": closes,
            "volume": 1_000,
        }
    )
    return bars_daily(rows)


def mamba_days(
    variant: Variant, candles: pd.DataFrame, direction: str, settings: SequenceSettings
) -> np.ndarray:
    """``is_mamba`` of every bar, in the order of the candles, with a trend in the direction of the moves."""
    ema = 1e-6 if direction == RISE else 1e9
    indicators = INDICATORS_DAILY.conform(
        candles[["instrument_key", "series", "timestamp", "trading_day"]]
        .assign(ema_50=ema, rsi=50.0, is_warm=True, bars_of_history=300)
        .reindex(columns=INDICATORS_DAILY.column_names)
    )
    moves = variant.moves(candles, indicators, AS_OF, settings)
    assert set(moves["trend"]) == {"BULLISH" if direction == RISE else "BEARISH"}
    found = candles.merge(
        moves[["instrument_key", "move_day", "is_mamba"]],
        left_on=["instrument_key", "trading_day"],
        right_on=["instrument_key", "move_day"],
    )
    assert len(found) == len(candles)
    return found["is_mamba"].to_numpy()


@pytest.mark.parametrize("ratio", [1.0, 3.0])
@pytest.mark.parametrize("percent", [5, 3])
@pytest.mark.parametrize("direction", [RISE, FALL])
def test_every_exact_move_of_whole_paise_is_at_the_limit(
    variant: Variant, direction: str, percent: int, ratio: float
) -> None:
    """Strictly above counts: no exact move does, every move of one paise more does."""
    moves = exact_moves(direction, percent)
    settings = SequenceSettings(
        bullish_move_percent=float(percent), bearish_move_percent=float(percent)
    )
    candles = stocks_of(moves, ratio)
    expected = moves["exceeds"].to_numpy()[: len(candles)]
    found = mamba_days(variant, candles, direction, settings)
    np.testing.assert_array_equal(found, expected)
    # Rounding would decide: of equal moves some quotients lie above the limit and some do not.
    base = candles["open" if direction == RISE else "close"]
    noisy = (candles["close"] - candles["open"]).abs() / base * 100 > percent
    assert 0 < (noisy & ~expected).sum() < (~expected).sum() / 3


@pytest.mark.parametrize(
    ("direction", "percent", "least"), [(RISE, 5, 100), (FALL, 3, 20)], ids=[RISE, FALL]
)
def test_exact_moves_of_the_real_market_are_decided_alike(
    variant: Variant, shared_data: Path, direction: str, percent: int, least: int
) -> None:
    found = []
    for path in sorted((shared_data / "market").glob("daily_*.parquet")):
        rows = pd.read_parquet(path, columns=["open", "close"])
        paise = (rows * 100).round().astype("int64")
        low, high = ("open", "close") if direction == RISE else ("close", "open")
        found.append(paise[paise[high] * 100 == paise[low] * (100 + percent)])
    moves = pd.concat(found, ignore_index=True)
    assert len(moves) > least
    padded = pd.concat([moves] * DAYS, ignore_index=True).iloc[: len(moves) // DAYS * DAYS + DAYS]
    is_mamba = mamba_days(variant, stocks_of(padded, 1.0), direction, SequenceSettings())
    assert not is_mamba.any()


@pytest.mark.parametrize("open_price", [115.0, 118.0])
def test_the_rises_that_were_decided_differently(variant: Variant, open_price: float) -> None:
    moves = pd.DataFrame({"open": [open_price * 100], "close": [open_price * 105]})
    candles = stocks_of(pd.concat([moves] * DAYS), 1.0)
    assert not mamba_days(variant, candles, RISE, SequenceSettings()).any()


@pytest.mark.parametrize(
    ("ema", "rsi", "stopped_at"),
    [
        # 0.1 + 0.2 is not 0.3: numbers that only rounding keeps from their limit.
        (100 / 1.03 * (1 + 1e-15), 60.0, "ema"),
        (100 / 1.03 * (1 - 1e-15), 60.0, "ema"),
        (100 / 1.03 * (1 - 1e-6), 60.0, None),
        (90.0, 50.0 - 1e-13, None),
        (90.0, 50.0 - 1e-4, "rsi"),
        (110.0, 55.0 + 1e-13, None),
        (110.0, 55.0 + 1e-4, "rsi"),
    ],
)
def test_stages_decide_rounding_as_equality(
    variant: Variant, ema: float, rsi: float, stopped_at: str | None
) -> None:
    rows = bar_rows([100.0] * DAYS, first="2025-06-10", step="1D", volume=500_000)
    candles = bars_daily(rows)
    assert list(candles.columns) == CANDLES_DAILY.column_names
    side = "BULLISH" if ema < 100 else "BEARISH"
    indicators = INDICATORS_DAILY.conform(
        candles[["instrument_key", "series", "timestamp", "trading_day"]]
        .assign(ema_50=ema, rsi=rsi, is_warm=True, bars_of_history=300)
        .reindex(columns=INDICATORS_DAILY.column_names)
    )
    moves = variant.moves(candles, indicators, AS_OF)
    analysis, _ = variant.sequence_analysis(moves, variant.sequences(moves))
    analysis = SEQUENCE_ANALYSIS.conform(
        analysis.assign(mamba_days=7, mamba_sequences=1, longest_mamba_sequence=7, trend=side)
    )
    settings = dataclasses.replace(FilterSettings(), minimum_average_volume=1)
    (row,) = variant.filters(candles, indicators, analysis, AS_OF, settings).itertuples()
    assert (row.stopped_at if isinstance(row.stopped_at, str) else None) == stopped_at
