"""V1 of the scores and patterns of runs, against a worked example and against runs that show one rule each."""

from __future__ import annotations

from math import tanh

import pandas as pd
import pytest

from setbull_pipelines.settings import SequenceSettings
from setbull_pipelines.tables.sequence_analysis import SEQUENCE_ANALYSIS
from setbull_pipelines.tables.sequences import SEQUENCE_PATTERNS, SEQUENCES
from setbull_pipelines.variants import v1
from setbull_pipelines_tests.variants.v1.daily_frames import AS_OF, moves_from


def runs_from(rows: list[tuple], as_of: pd.Timestamp = AS_OF) -> pd.DataFrame:
    """Runs from (kind, length, strength, return, volume, gap or None); their days are of no matter."""
    columns = ["kind", "length", "strength", "return_percent", "total_volume", "gap_days_to_next"]
    frame = pd.DataFrame(rows, columns=columns, dtype=object)
    return SEQUENCES.conform(
        frame.assign(
            instrument_key="NSE_EQ|A",
            sequence_number=range(1, len(rows) + 1),
            trading_day=as_of,
            series="exchange",
            start_day=as_of,
            end_day=as_of,
        )
    )


def analyse(rows: list[tuple], moves: pd.DataFrame | None = None, **changes):
    moves = moves_from([True] * 6) if moves is None else moves
    analysis, patterns = v1.sequence_analysis(moves, runs_from(rows), SequenceSettings(**changes))
    SEQUENCE_ANALYSIS.schema.validate(analysis)
    SEQUENCE_PATTERNS.schema.validate(patterns)
    return analysis.iloc[0], patterns


WORKED_RUNS = [
    ("MAMBA", 3, 0.6, 12.0, 300, 1),
    ("NON_MAMBA", 2, 0.0, 1.0, 100, 3),
    ("MAMBA", 1, 0.8, -2.0, 300, None),
]


def test_worked_example() -> None:
    flags = [True, True, True, False, False, True]
    moves = moves_from(flags, [100, 100, 100, 50, 50, 300])
    row, patterns = analyse(WORKED_RUNS, moves, look_back_days=6)
    assert row["length_score"] == pytest.approx(0.266667, abs=5e-7)
    assert row["strength_score"] == pytest.approx(0.7)
    assert row["consistency_score"] == pytest.approx(0.8)
    assert row["quality_score"] == pytest.approx(0.6)
    assert row["continuity_score"] == pytest.approx(0.6)
    assert row["momentum_score"] == pytest.approx(0.49)
    assert row["predictive_score"] == 0
    assert row["volume_average"] == pytest.approx(116.666667, abs=5e-7)
    assert row["volume_strength"] == pytest.approx(1.142857, abs=5e-7)
    assert row["volume_trend"] == pytest.approx(tanh(22.857142857e-6), rel=1e-9)
    assert row["volume_trend_relative"] == pytest.approx(22.857142857 / 116.666666667, rel=1e-9)
    assert row["volume_consistency"] == pytest.approx(0.202043, abs=5e-7)
    assert (row["mamba_series"], row["non_mamba_series"]) == ("[3, 1]", "[2]")
    assert (row["average_mamba_length"], row["average_non_mamba_length"]) == (2, 2)
    assert (row["longest_mamba_sequence"], row["current_kind"], row["current_length"]) == (
        3,
        "MAMBA",
        1,
    )
    assert (row["trend"], row["trend_percent"]) == ("BULLISH", 100)
    assert pd.isna(row["trend_reason"])
    assert pd.isna(row["dominant_pattern"])

    assert patterns["kind"].tolist() == ["MAMBA", "NON_MAMBA"]
    assert patterns["length"].tolist() == [3, 2]
    assert patterns["average_gap_days"].tolist() == [1, 3]
    assert patterns["success_rate"].tolist() == [0, 0]
    # After MAMBA-3 prices rose with the trend, after NON_MAMBA-2 they fell.
    assert patterns["continuation_rate"].tolist() == [1, 0]
    assert row["dominant_by_continuation"] == "MAMBA-3"


def test_scores_of_a_single_run() -> None:
    moves = moves_from([False], [0])
    row, patterns = analyse([("NON_MAMBA", 1, 0.0, 1.0, 0, None)], moves)
    scores = [name for name in SEQUENCE_ANALYSIS.column_names if name.endswith("_score")]
    volumes = [name for name in SEQUENCE_ANALYSIS.column_names if name.startswith("volume_")]
    assert len(scores) == 7
    assert len(volumes) == 5
    assert (row[scores + volumes] == 0).all()
    assert pd.isna(row["average_mamba_length"])
    assert row["average_non_mamba_length"] == 1
    assert patterns.empty


def test_predictive_score_and_dominant_pattern_of_runs_that_repeat() -> None:
    """Runs as no builder makes them: of two equal neighbours, one is followed by a third, one is not."""
    rows = [("MAMBA", 2, 0.5, 1.0, 10, 1)] * 3 + [("NON_MAMBA", 4, 0.0, -1.0, 10, None)]
    row, patterns = analyse(rows)
    assert row["predictive_score"] == 0.5
    assert patterns["frequency"].tolist() == [3, 1]
    assert patterns["success_rate"].iloc[0] == pytest.approx(2 / 3)
    # NON_MAMBA-4 is the last run: nothing is known about what follows it.
    unknown = ["success_rate", "continuation_rate", "average_gap_days"]
    assert patterns[unknown].iloc[1].isna().all()
    assert row["dominant_pattern"] == row["dominant_by_continuation"] == "MAMBA-2"


def test_order_of_patterns() -> None:
    rows = [
        ("NON_MAMBA", 2, 0.0, 0.0, 1, 1),
        ("NON_MAMBA", 3, 0.0, 0.0, 1, 1),
        ("MAMBA", 3, 0.0, 0.0, 1, 1),
        ("MAMBA", 2, 0.7, 0.0, 1, 1),
        ("MAMBA", 4, 0.8, 0.0, 1, 1),
        ("NON_MAMBA", 5, 0.0, 0.0, 1, 1),
        ("NON_MAMBA", 5, 0.0, 0.0, 1, 1),
        ("MAMBA", 1, 0.9, 0.0, 1, None),
    ]
    _, patterns = analyse(rows)
    found = list(zip(patterns["kind"], patterns["length"], strict=True))
    assert found == [
        ("NON_MAMBA", 5),
        ("MAMBA", 4),
        ("MAMBA", 2),
        ("MAMBA", 3),
        ("NON_MAMBA", 2),
        ("NON_MAMBA", 3),
    ]
    assert patterns["pattern_rank"].tolist() == [1, 2, 3, 4, 5, 6]


def test_continuation_follows_the_sign_of_the_trend() -> None:
    rows = [("MAMBA", 2, 0.5, -9.0, 10, 1), ("NON_MAMBA", 1, 0.0, -1.0, 10, None)]
    rates = {}
    for trend in ("BULLISH", "BEARISH", "NEUTRAL"):
        row, patterns = analyse(rows, moves_from([True] * 6).assign(trend=trend))
        rates[trend] = (patterns["continuation_rate"].iloc[0], row["dominant_by_continuation"])
    assert rates["BULLISH"][0] == 0
    assert pd.isna(rates["BULLISH"][1])
    assert rates["BEARISH"] == (1, "MAMBA-2")
    assert pd.isna(rates["NEUTRAL"][0])
    assert pd.isna(rates["NEUTRAL"][1])


def test_settings_of_gaps_lengths_and_long_runs_are_used() -> None:
    rows = [
        ("NON_MAMBA", 7, 0.0, 0.0, 1, 4),
        ("MAMBA", 1, 0.5, 0.0, 1, 9),
        ("NON_MAMBA", 6, 0.0, 0.0, 1, None),
    ]
    row, patterns = analyse(rows)
    assert (row["long_gaps"], row["continuity_score"]) == (1, pytest.approx(1 - 4 / 5))
    assert len(patterns) == 2
    row, patterns = analyse(
        rows, long_run_days=5, continuity_maximum_gap_days=10, pattern_minimum_length=1
    )
    assert (row["long_gaps"], row["continuity_score"]) == (2, pytest.approx(1 - 6.5 / 10))
    assert len(patterns) == 3
    # A gap of exactly the maximum counts.
    assert analyse(rows, continuity_maximum_gap_days=9)[0]["continuity_score"] == pytest.approx(
        1 - 6.5 / 9
    )
    assert analyse(rows, continuity_maximum_gap_days=3)[0]["continuity_score"] == 0


def test_momentum_looks_at_the_last_five_runs_only() -> None:
    strengths = [100.0, 0.0, 0.5, 0.0, 0.25, 0.0]
    rows = [("MAMBA", 1, s, 0.0, 1, 1) for s in strengths[:-1]] + [
        ("MAMBA", 1, strengths[-1], 0.0, 1, None)
    ]
    weighted = (0.5 * 2 + 0.25 * 4) / 15
    row, _ = analyse(rows)
    assert row["momentum_score"] == pytest.approx(0.7 * weighted + 0.3 * 0.15)
