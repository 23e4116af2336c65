"""V2 analysis of runs: a worked example, the guards, patterns and ties."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from setbull_pipelines.settings import SequenceSettings
from setbull_pipelines.tables import MOVES_DAILY, SEQUENCE_ANALYSIS, SEQUENCE_PATTERNS, SEQUENCES
from setbull_pipelines.variants import v2
from setbull_pipelines_tests.variants.v2.frames import STOCK, shuffled

AS_OF = pd.Timestamp("2025-06-30")
OTHER = "NSE_EQ|INE000B01018"


def moves(
    volume: list[int],
    is_mamba: list[bool] | None = None,
    *,
    instrument: str = STOCK,
    trend: str = "BULLISH",
    ema_50: float | list[float] = 90.0,
) -> pd.DataFrame:
    count = len(volume)
    is_mamba = is_mamba or [False] * count
    frame = pd.DataFrame(
        {
            "instrument_key": instrument,
            "move_day": pd.bdate_range(end=AS_OF, periods=count),
            "trading_day": AS_OF,
            "series": "exchange",
            **dict.fromkeys(("open", "high", "low", "close"), 100.0),
            "volume": volume,
            "ema_50": ema_50,
            "is_above_ema": True,
            "is_squeezed": False,
            "move_percent": 0.0,
            "is_bullish": False,
            "strength": 0.5,
            "trend": trend,
            "is_mamba": is_mamba,
            "mamba_strength": np.where(is_mamba, 0.5, np.nan),
        }
    )
    return MOVES_DAILY.conform(frame)


def runs(
    rows: list[tuple[str, int, float, float, int, int | None]], instrument: str = STOCK
) -> pd.DataFrame:
    """Runs from (M or N, length, strength, return, total volume, gap to the next)."""
    kind, length, strength, return_percent, volume, gap = zip(*rows, strict=True)
    frame = pd.DataFrame(
        {
            "instrument_key": instrument,
            "sequence_number": range(1, len(rows) + 1),
            "trading_day": AS_OF,
            "series": "exchange",
            "kind": ["MAMBA" if letter == "M" else "NON_MAMBA" for letter in kind],
            "length": length,
            "start_day": AS_OF,
            "end_day": AS_OF,
            "strength": strength,
            "return_percent": return_percent,
            "total_volume": volume,
            "gap_days_to_next": pd.array(gap, dtype="Int64"),
        }
    )
    return SEQUENCES.conform(frame)


EXAMPLE_MOVES = moves([100, 100, 100, 50, 50, 300], [True] * 3 + [False] * 2 + [True])
EXAMPLE_RUNS = runs(
    [("M", 3, 0.6, 4.0, 300, 1), ("N", 2, 0.0, 1.0, 100, 3), ("M", 1, 0.8, -2.0, 300, None)]
)


def analyse(
    move_rows: pd.DataFrame, run_rows: pd.DataFrame, **settings: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    analysis, patterns = v2.sequence_analysis(move_rows, run_rows, SequenceSettings(**settings))
    SEQUENCE_ANALYSIS.schema.validate(analysis)
    SEQUENCE_PATTERNS.schema.validate(patterns)
    return analysis, patterns


def test_worked_example() -> None:
    analysis, patterns = analyse(EXAMPLE_MOVES, EXAMPLE_RUNS)
    row = analysis.iloc[0]
    expected = {
        "length_score": 0.266667,
        "strength_score": 0.7,
        "consistency_score": 0.8,
        "quality_score": 0.6,
        "continuity_score": 0.6,
        "predictive_score": 0,
        "momentum_score": 0.49,
        "volume_average": 116.666667,
        "volume_strength": 1.142857,
        "volume_trend": math.tanh(22.857143e-6),
        "volume_trend_relative": 22.857143 / 116.666667,
        "volume_consistency": 0.202043,
        "average_mamba_length": 2,
        "average_non_mamba_length": 2,
    }
    assert {name: row[name] for name in expected} == pytest.approx(expected, abs=6e-7)
    assert row["volume_trend"] == pytest.approx(22.857142857e-6, rel=1e-8)
    counts = {
        "days": 6,
        "mamba_days": 4,
        "non_mamba_days": 2,
        "sequences": 3,
        "mamba_sequences": 2,
        "non_mamba_sequences": 1,
        "longest_mamba_sequence": 3,
        "long_gaps": 0,
        "current_kind": "MAMBA",
        "current_length": 1,
        "mamba_series": "[3, 1]",
        "non_mamba_series": "[2]",
        "trend": "BULLISH",
    }
    assert {name: row[name] for name in counts} == counts
    assert row["trend_reason"] == "insufficient_history"
    assert pd.isna(row["trend_percent"])
    assert pd.isna(row["dominant_pattern"])

    assert patterns["pattern_rank"].tolist() == [1, 2]
    assert patterns["kind"].tolist() == ["MAMBA", "NON_MAMBA"]
    assert patterns["length"].tolist() == [3, 2]
    assert patterns["average_gap_days"].tolist() == [1, 3]
    assert patterns["success_rate"].tolist() == [0, 0]
    # The trend is up: +1 % follows the first pattern, -2 % the second.
    assert patterns["continuation_rate"].tolist() == [1, 0]
    assert row["dominant_by_continuation"] == "MAMBA-3"


def test_many_instruments_equal_each_alone_in_any_order() -> None:
    generator = np.random.default_rng(5)
    all_moves, all_runs = [], []
    for number in range(12):
        key = f"NSE_EQ|INE{number:03d}A01010"
        rows = [
            ("MN"[int(letter)], int(length), float(strength) * (letter == 0), 1.0, 500, int(gap))
            for letter, length, strength, gap in zip(
                (generator.integers(0, 2) + np.arange(7)) % 2,
                generator.integers(1, 8, 7),
                generator.random(7),
                generator.integers(1, 9, 7),
                strict=True,
            )
        ][: generator.integers(1, 8)]
        rows[-1] = (*rows[-1][:5], None)
        all_runs.append(runs(rows, key))
        trend = ["BULLISH", "BEARISH", "NEUTRAL"][number % 3]
        volume = generator.integers(0, 1000, 21).tolist()
        all_moves.append(moves(volume, instrument=key, trend=trend))
    together = analyse(shuffled(pd.concat(all_moves)), shuffled(pd.concat(all_runs)))
    alone = [analyse(*pair) for pair in zip(all_moves, all_runs, strict=True)]
    for number in (0, 1):
        separate = pd.concat([pair[number] for pair in alone], ignore_index=True)
        pd.testing.assert_frame_equal(together[number], separate, check_exact=True)


def test_guards_of_a_single_run() -> None:
    analysis, patterns = analyse(moves([0]), runs([("N", 1, 0.0, 0.0, 0, None)]))
    row = analysis.iloc[0]
    scores = [name for name in analysis.columns if name.endswith("_score")]
    assert (row[scores].astype(float) == 0).all()
    assert row["volume_average"] == 0
    assert row["volume_strength"] == row["volume_trend"] == row["volume_trend_relative"] == 0
    assert row["volume_consistency"] == 0
    assert pd.isna(row["average_mamba_length"])
    assert row["mamba_series"] == "[]"
    assert row["longest_mamba_sequence"] == 0
    assert patterns.empty


def test_trend_needs_the_whole_look_back() -> None:
    run = runs([("N", 21, 0.0, 0.0, 21, None)])
    known = analyse(moves([1] * 21, ema_50=[101.0] * 6 + [90.0] * 15), run)[0].iloc[0]
    assert pd.isna(known["trend_reason"])
    assert known["trend_percent"] == pytest.approx(100 * 15 / 21)
    assert (known["days_above_ema"], known["days_below_ema"]) == (15, 6)
    assert known["volume_consistency"] == 1
    assert known["long_gaps"] == 1
    lacking = analyse(moves([1] * 21, ema_50=[np.nan] + [90.0] * 20), run)[0].iloc[0]
    assert lacking["trend_reason"] == "insufficient_history"
    assert lacking["days_above_ema"] == 20


def test_equal_neighbours_predict() -> None:
    rows = [(letter, 1, 0.5, 0.0, 1, 1) for letter in "MMMNNM"]
    row = analyse(moves([1] * 6), runs(rows))[0].iloc[0]
    # Pairs with a run after them: MM-M continued, MM-N not, NN-M not.
    assert row["predictive_score"] == pytest.approx(1 / 3)


def test_momentum_looks_at_five_runs() -> None:
    rows = [("M", 1, strength, 0.0, 1, 9) for strength in (9.0, 9.0, 0.1, 0.2, 0.3, 0.4, 0.5)]
    row = analyse(moves([1] * 7), runs(rows))[0].iloc[0]
    weighted = (0.1 + 0.2 * 2 + 0.3 * 3 + 0.4 * 4 + 0.5 * 5) / 15
    assert row["momentum_score"] == pytest.approx(0.7 * weighted + 0.3 * 0.3)
    assert row["continuity_score"] == 0


def test_patterns_are_ranked_and_dominant_takes_the_first_of_equals() -> None:
    rows = [
        ("N", 4, 0.0, 1.0, 1, 1),
        ("M", 3, 0.5, 1.0, 1, 1),
        ("M", 2, 0.5, 1.0, 1, 1),
        ("M", 2, 0.3, -1.0, 1, 2),
        ("M", 2, 0.4, 1.0, 1, 4),
        ("N", 2, 0.0, 1.0, 1, 1),
        ("M", 5, 0.5, 1.0, 1, None),
    ]
    analysis, patterns = analyse(moves([1] * 20), runs(rows))
    named = (patterns["kind"].str[0] + patterns["length"].astype(str)).tolist()
    assert named == ["M2", "M3", "M5", "N2", "N4"]
    assert patterns["frequency"].tolist() == [3, 1, 1, 1, 1]
    assert patterns["strength"].tolist() == pytest.approx([0.4, 0.5, 0.5, 0, 0])
    assert patterns["average_gap_days"].tolist()[:2] == pytest.approx([7 / 3, 1])
    assert patterns["average_gap_days"].isna().tolist() == [False, False, True, False, False]
    assert patterns["success_rate"].tolist()[:2] == pytest.approx([2 / 3, 1])
    assert patterns["continuation_rate"].tolist()[:2] == pytest.approx([2 / 3, 1])
    assert analysis["dominant_pattern"].tolist() == ["MAMBA-2"]

    equal = [("M", 3, 0.5, 1.0, 1, 1), ("M", 2, 0.5, 1.0, 1, 1), ("M", 1, 0.5, 1.0, 1, None)]
    analysis, _ = analyse(moves([1] * 6), runs(equal))
    assert analysis["dominant_pattern"].tolist() == ["MAMBA-2"]


def test_a_neutral_trend_has_no_continuation() -> None:
    neutral = EXAMPLE_MOVES.assign(trend="NEUTRAL")
    analysis, patterns = analyse(neutral, EXAMPLE_RUNS)
    assert patterns["continuation_rate"].isna().all()
    assert analysis["dominant_by_continuation"].isna().all()
    _, falling = analyse(EXAMPLE_MOVES.assign(trend="BEARISH"), EXAMPLE_RUNS)
    assert falling["continuation_rate"].tolist() == [0, 1]


def test_settings_are_used() -> None:
    settings = {"pattern_minimum_length": 1, "continuity_maximum_gap_days": 1, "long_run_days": 1}
    analysis, patterns = analyse(EXAMPLE_MOVES, EXAMPLE_RUNS, **settings)
    assert len(patterns) == 3
    assert analysis["long_gaps"].tolist() == [1]
    assert analysis["continuity_score"].tolist() == [0]


def test_unfit_input_is_refused() -> None:
    with pytest.raises(ValueError, match="has only one of moves and sequences as of 2025-06-27"):
        v2.sequence_analysis(
            EXAMPLE_MOVES, EXAMPLE_RUNS.assign(trading_day=pd.Timestamp("2025-06-27"))
        )
    with pytest.raises(ValueError, match=r"INE000B01018 has only one"):
        v2.sequence_analysis(pd.concat([EXAMPLE_MOVES, moves([1], instrument=OTHER)]), EXAMPLE_RUNS)
    analysis, patterns = v2.sequence_analysis(MOVES_DAILY.empty(), SEQUENCES.empty())
    pd.testing.assert_frame_equal(analysis, SEQUENCE_ANALYSIS.empty())
    pd.testing.assert_frame_equal(patterns, SEQUENCE_PATTERNS.empty())
