"""Runs of days and their scores and patterns against an example of six days, worked out by hand.

Belongs here: sequences and their analysis. Does not belong here: the moves that they are made of, comparisons of V1
with V2.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from setbull_pipelines.settings import SequenceSettings
from setbull_pipelines.tables import MOVES_DAILY, SEQUENCE_ANALYSIS, SEQUENCE_PATTERNS, SEQUENCES
from setbull_pipelines.variants.protocol import Variant
from setbull_pipelines_tests.variants.frames import assert_contract
from setbull_pipelines_tests.variants.single_days import AS_OF

WEEK = ["2025-06-23", "2025-06-24", "2025-06-25", "2025-06-26", "2025-06-27", "2025-06-30"]
MAMBA_DAYS = [True, True, True, False, False, True]
SIX_DAYS = SequenceSettings(look_back_days=6)


def _worked_moves(prices: Sequence[tuple[float, float]]) -> pd.DataFrame:
    """Monday to Wednesday mamba, Thursday and Friday not, the next Monday mamba, in a BULLISH trend."""
    opens, closes = zip(*prices, strict=True)
    strengths = [0.6, 0.6, 0.6, 0.0, 0.0, 0.8]
    return MOVES_DAILY.conform(
        pd.DataFrame(
            {
                "instrument_key": "NSE_EQ|WORKED",
                "move_day": pd.to_datetime(WEEK),
                "trading_day": AS_OF,
                "series": "exchange",
                "open": opens,
                "high": 200.0,
                "low": 1.0,
                "close": closes,
                "volume": [100, 100, 100, 50, 50, 300],
                "ema_50": 50.0,
                "is_above_ema": True,
                "is_squeezed": False,
                "move_percent": 6.0,
                "is_bullish": True,
                "strength": strengths,
                "trend": "BULLISH",
                "is_mamba": MAMBA_DAYS,
                "mamba_strength": [0.6, 0.6, 0.6, np.nan, np.nan, 0.8],
            }
        )
    )


FALLING_GAP = [(100, 106), (106, 112), (112, 120), (120, 119), (119, 108), (108, 117)]
RISING_GAP = [(100, 106), (106, 112), (112, 120), (120, 121), (121, 126), (126, 135)]


def test_worked_runs(variant: Variant) -> None:
    runs = variant.sequences(_worked_moves(FALLING_GAP))
    assert_contract(SEQUENCES, runs)
    assert runs["sequence_number"].tolist() == [1, 2, 3]
    assert runs["kind"].tolist() == ["MAMBA", "NON_MAMBA", "MAMBA"]
    assert runs["length"].tolist() == [3, 2, 1]
    assert runs["strength"].tolist() == pytest.approx([0.6, 0.0, 0.8])
    assert runs["return_percent"].tolist() == pytest.approx([20.0, -10.0, 900 / 108])
    assert runs["total_volume"].tolist() == [300, 100, 300]
    assert runs["gap_days_to_next"].tolist() == [1, 3, pd.NA]
    assert runs["start_day"].dt.strftime("%Y-%m-%d").tolist() == [WEEK[0], WEEK[3], WEEK[5]]
    assert runs["end_day"].dt.strftime("%Y-%m-%d").tolist() == [WEEK[2], WEEK[4], WEEK[5]]


def test_worked_scores(variant: Variant) -> None:
    moves = _worked_moves(FALLING_GAP)
    analysis, patterns = variant.sequence_analysis(moves, variant.sequences(moves), SIX_DAYS)
    assert_contract(SEQUENCE_ANALYSIS, analysis)
    assert_contract(SEQUENCE_PATTERNS, patterns)
    row = analysis.iloc[0].to_dict()
    expected = {
        "length_score": 0.266667,
        "strength_score": 0.7,
        "consistency_score": 0.8,
        "quality_score": 0.6,
        "continuity_score": 0.6,
        "predictive_score": 0.0,
        "momentum_score": 0.49,
        "volume_average": 116.666667,
        "volume_strength": 1.142857,
        "volume_trend": math.tanh(22.857143e-6),
        "volume_trend_relative": 22.857143 / 116.666667,
        "volume_consistency": 0.202043,
        "average_mamba_length": 2.0,
        "average_non_mamba_length": 2.0,
        "trend_percent": 100.0,
    }
    assert {name: row[name] for name in expected} == pytest.approx(expected, abs=5e-7)
    exactly = {
        "trend": "BULLISH",
        "days": 6,
        "days_above_ema": 6,
        "days_below_ema": 0,
        "mamba_days": 4,
        "non_mamba_days": 2,
        "sequences": 3,
        "mamba_sequences": 2,
        "non_mamba_sequences": 1,
        "longest_mamba_sequence": 3,
        "long_gaps": 0,
        "current_kind": "MAMBA",
        "current_length": 1,
        "start_day": pd.Timestamp(WEEK[0]),
        "end_day": AS_OF,
        "series": "exchange",
    }
    assert {name: row[name] for name in exactly} == exactly
    assert json.loads(row["mamba_series"]) == [3, 1]
    assert json.loads(row["non_mamba_series"]) == [2]
    for name in ("trend_reason", "dominant_pattern", "dominant_by_continuation"):
        assert pd.isna(row[name]), name

    assert patterns["pattern_rank"].tolist() == [1, 2]
    assert patterns["kind"].tolist() == ["MAMBA", "NON_MAMBA"]
    assert patterns["length"].tolist() == [3, 2]
    assert patterns["frequency"].tolist() == [1, 1]
    assert patterns["average_gap_days"].tolist() == [1.0, 3.0]
    assert patterns["strength"].tolist() == pytest.approx([0.6, 0.0])
    assert patterns["average_return_percent"].tolist() == pytest.approx([20.0, -10.0])
    assert patterns["success_rate"].tolist() == [0.0, 0.0]
    assert patterns["continuation_rate"].tolist() == [0.0, 1.0]


def test_worked_pattern_that_continues(variant: Variant) -> None:
    moves = _worked_moves(RISING_GAP)
    analysis, patterns = variant.sequence_analysis(moves, variant.sequences(moves), SIX_DAYS)
    assert patterns["continuation_rate"].tolist() == [1.0, 1.0]
    assert analysis["dominant_by_continuation"].tolist() == ["MAMBA-3"]
    assert analysis["dominant_pattern"].isna().all()
    short_look_back, _ = variant.sequence_analysis(moves, variant.sequences(moves))
    assert short_look_back["trend_reason"].tolist() == ["insufficient_history"]
