"""Causes of other decisions: limits, texts, stages of the filters, changes within a group."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from setbull_pipelines.reconciliation.chains import places
from setbull_pipelines.tables import (
    FILTER_RESULTS,
    INDICATORS_5MIN,
    MOVES_DAILY,
    SEQUENCE_ANALYSIS,
    SEQUENCES,
)
from setbull_pipelines_tests.reconciliation.diagnosed import named
from setbull_pipelines_tests.reconciliation.partition_files import compare_frames


def test_a_text_has_no_warm_up(tmp_path, market) -> None:
    analysis = market["sequence_analysis"]
    v1 = analysis.assign(dominant_by_continuation=pd.Series([None] * 3, dtype="str"))
    v2 = analysis.assign(dominant_by_continuation=["MAMBA-1", "MAMBA-2", "NON_MAMBA-1"])
    found = named(compare_frames(tmp_path, SEQUENCE_ANALYSIS, v1, v2))
    assert found == {"dominant_by_continuation": "unknown shape"}


def test_a_decision_at_its_limit_is_no_mix_up(tmp_path, market) -> None:
    moves = market["moves_daily"].copy()
    percent = moves["move_percent"].to_numpy().copy()
    at_limit = np.flatnonzero(~moves["is_mamba"])[[1, 3, 5, 8]]
    percent[at_limit] = 5.0
    v1 = moves.assign(move_percent=percent)
    for rows, diagnosis in ((4, "value equal to a limit"), (2, "single instrument")):
        v2 = v1.copy()
        v2.loc[at_limit[:rows], "is_mamba"] = True
        found = named(compare_frames(tmp_path / str(rows), MOVES_DAILY, v1, v2))
        assert found == {"is_mamba": diagnosis}


@pytest.mark.parametrize(("equal_rows", "is_limit"), [(3, True), (4, False), (5, False)])
def test_a_number_that_as_many_equal_rows_have_is_no_limit(
    tmp_path, market, equal_rows, is_limit
) -> None:
    v1 = market["moves_daily"].copy()
    others = np.flatnonzero(~v1["is_mamba"])[[1, 3, 5, 8, 10, 11, 12, 14, 15]]
    v1.loc[others[: 4 + equal_rows], "move_percent"] = 5.0
    v2 = v1.copy()
    v2.loc[others[:4], "is_mamba"] = True
    found = named(compare_frames(tmp_path, MOVES_DAILY, v1, v2))
    assert (found["is_mamba"] == "value equal to a limit") is is_limit


def test_a_table_without_stages_has_one_place_and_the_filters_have_theirs_in_order() -> None:
    assert set(places(INDICATORS_5MIN).values()) == {0}
    of_filters = places(FILTER_RESULTS)
    assert of_filters["rsi_passed"] < of_filters["mamba_passed"] < of_filters["verdict"]


def test_the_earliest_stage_of_the_filters_is_the_cause_and_the_verdict_its_echo(
    tmp_path, market
) -> None:
    """V2 lets everything pass the RSI stage: each of its later columns would have a shape of its own."""
    one = market["filter_results"].iloc[[0]]
    rows = pd.concat([one] * 30, ignore_index=True)
    rows["instrument_key"] = [f"NSE_EQ|INE{number:09d}" for number in range(30)]
    stopped = np.arange(30) % 3 == 0
    v1 = rows.assign(
        rsi_passed=pd.array(~stopped, dtype="boolean"),
        stopped_at=np.where(stopped, "rsi", None),
        verdict=np.where(stopped, "rejected", "bullish"),
        reason=np.where(stopped, "RSI is too low", "all stages passed"),
    )
    v2 = rows.assign(
        rsi_passed=pd.array([True] * 30, dtype="boolean"),
        stopped_at=None,
        verdict="bullish",
        reason="all stages passed",
    )
    sides = (FILTER_RESULTS.conform(side) for side in (v1, v2))
    comparison = compare_frames(tmp_path, FILTER_RESULTS, *sides)
    assert comparison.diagnoses.at[0, "column_names"] == "rsi_passed"
    assert named(comparison) == {
        "rsi_passed": "constant value",
        **dict.fromkeys(("stopped_at", "verdict", "reason"), "echo"),
    }
    assert "rsi_passed, an earlier stage" in comparison.diagnoses.at[1, "sentence"]


def test_a_change_from_the_first_member_is_0_in_groups_of_one_and_only_there(
    tmp_path, market
) -> None:
    runs = market["sequences"]
    is_alone = runs["length"] == 1
    assert 3 <= is_alone.sum() < len(runs)
    changed = runs["return_percent"] * (1.1 + 0.1 * np.sin(np.arange(len(runs)) ** 2))
    for base, diagnosis in ((0.0, "first one left out"), (0.5, "unknown shape")):
        v2 = runs.assign(return_percent=changed.where(~is_alone, base))
        found = named(compare_frames(tmp_path / str(base), SEQUENCES, runs, v2))
        assert found == {"return_percent": diagnosis}


@pytest.mark.parametrize(("flags", "is_shift"), [(4, False), (19, False), (20, True)])
def test_a_few_flags_are_those_of_other_bars_by_chance(tmp_path, market, flags, is_shift) -> None:
    indicators = market["indicators_5min"]
    is_other = np.random.default_rng(3).random(len(indicators)) < 0.5
    v1 = indicators.assign(is_warm=is_other)
    before = v1.groupby("instrument_key")["is_warm"].shift(3, fill_value=False).to_numpy(dtype=bool)
    has_one = v1.groupby("instrument_key").cumcount().to_numpy() >= 3
    changed = np.flatnonzero(has_one & (before != is_other))[:flags]
    v2 = v1.copy()
    v2.loc[changed, "is_warm"] = before[changed]
    found = named(compare_frames(tmp_path, INDICATORS_5MIN, v1, v2))
    assert (found["is_warm"] == "shift") is is_shift
