"""Volumes of any size: the slope that both variants compute is that of exact fractions.

Belongs here: volume columns of ``sequence_analysis``. Does not belong here: other scores.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from setbull_pipelines.tables import SEQUENCE_ANALYSIS, SEQUENCE_PATTERNS
from setbull_pipelines.variants import V1, V2
from setbull_pipelines.variants.protocol import Variant
from setbull_pipelines_tests.variants.frames import bar_rows, bars_daily, compare, daily_chain

AS_OF = pd.Timestamp("2025-06-30")
DAYS = 21


def candles_of(volumes: list[list[int]]) -> pd.DataFrame:
    rows = [
        bar_rows(
            [100.0, 110.0] * 10 + [100.0],
            first="2025-06-10",
            step="1D",
            volume=np.array(of_stock, dtype="int64"),
            key=f"NSE_EQ|STOCK{number:02d}",
        )
        for number, of_stock in enumerate(volumes)
    ]
    return bars_daily(pd.concat(rows, ignore_index=True))


def analysis_of(variant: Variant, volumes: list[list[int]]) -> pd.DataFrame:
    return daily_chain(variant, candles_of(volumes), AS_OF)["sequence_analysis"]


def slope_of(volumes: list[int]) -> Fraction:
    """Least squares on 0, 1, 2, ... in fractions."""
    places = range(len(volumes))
    middle, mean = Fraction(sum(places), len(places)), Fraction(sum(volumes), len(volumes))
    above = sum(
        (place - middle) * (volume - mean) for place, volume in zip(places, volumes, strict=True)
    )
    return above / sum((place - middle) ** 2 for place in places)


def volumes_around(level: int, spread: int, seed: int) -> list[int]:
    return (level + np.random.default_rng(seed).integers(-spread, spread + 1, DAYS)).tolist()


LEVELS = [10**6, 10**12, 9 * 10**15, 2**53 + 1, 10**17, 2**58]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("spread", [1, 1_000_000])
def test_the_slope_is_that_of_exact_fractions(variant: Variant, level: int, spread: int) -> None:
    volumes = [volumes_around(level, min(spread, level), seed) for seed in range(8)]
    volumes.append([level] * DAYS)
    found = analysis_of(variant, volumes)
    slopes = [slope_of(of_stock) for of_stock in volumes]
    expected = [math.tanh(slope / 1_000_000) for slope in slopes]
    np.testing.assert_allclose(found["volume_trend"], expected, rtol=1e-12, atol=0)
    relative = [slope / Fraction(sum(of), DAYS) for slope, of in zip(slopes, volumes, strict=True)]
    np.testing.assert_allclose(
        found["volume_trend_relative"], [float(each) for each in relative], rtol=1e-12, atol=0
    )
    assert found["volume_trend"].iloc[-1] == 0


@pytest.mark.parametrize("level", LEVELS)
def test_both_variants_agree_on_volumes_of_any_size(level: int) -> None:
    volumes = [volumes_around(level, spread, seed) for seed, spread in enumerate((1, 999, 10**6))]
    one, other = (daily_chain(variant, candles_of(volumes), AS_OF) for variant in (V1, V2))
    table = SEQUENCE_ANALYSIS
    assert compare(table, one[table.name], other[table.name]) == one[table.name].size


def test_columns_that_can_hold_one_value_hold_it(variant: Variant) -> None:
    """As the definitions say of runs that alternate; with at least one pattern, so that there is something to see."""
    chain = daily_chain(variant, candles_of([volumes_around(10**6, 10**5, 1)]), AS_OF)
    rows = bar_rows([100.0] * 300 + [100, 106.0, 106, 100] * 5, first="2024-08-14", step="1D")
    longer = daily_chain(variant, bars_daily(rows), rows["timestamp"].iloc[-1].tz_localize(None))
    for found in (chain, longer):
        analysis, patterns = found["sequence_analysis"], found[SEQUENCE_PATTERNS.name]
        assert len(patterns) > 0
        assert (analysis["predictive_score"] == 0).all()
        assert analysis["dominant_pattern"].isna().all()
        assert (patterns["success_rate"].dropna() == 0).all()
