"""Which filter decisions change when V2 replaces V1."""

from __future__ import annotations

import pandas as pd
import pytest

from setbull_pipelines.reconciliation.decisions import changed_decisions
from setbull_pipelines.reconciliation.report import markdown_decisions
from setbull_pipelines.reconciliation.self_test.market import Market
from setbull_pipelines.tables import FILTER_RESULTS, RECONCILIATION_DECISIONS
from setbull_pipelines.variants import V1
from setbull_pipelines_tests.markets import computed_once
from setbull_pipelines_tests.reconciliation.partition_files import (
    TRADING_DAY,
    check_contracts,
    compare_frames,
)


@pytest.mark.parametrize(
    ("v1", "v2", "changes"),
    [
        ("rejected", "bullish", ["enters bullish"]),
        ("bearish", "not enough data", ["leaves bearish"]),
        ("bullish", "bearish", ["enters bearish", "leaves bullish"]),
        ("rejected", "not enough data", ["verdict changes"]),
        ("bullish", "bullish", ["reason changes"]),
        ("bullish", None, ["leaves bullish"]),
        (None, "rejected", ["verdict changes"]),
    ],
)
def test_a_change_has_a_name(v1, v2, changes) -> None:
    decisions = decided(("A", v1, v2, 5, 5), reason_v2="otherwise")
    assert decisions["change"].tolist() == changes


def decided(*rows: tuple, reason_v2: str = "because") -> pd.DataFrame:
    """The decisions of rows of (instrument, verdict V1, verdict V2, mamba days V1, mamba days V2)."""
    names = ["instrument_key", "verdict_v1", "verdict_v2", "mamba_count_v1", "mamba_count_v2"]
    results = pd.DataFrame(rows, columns=names).assign(reason_v1="because", reason_v2=reason_v2)
    decisions = changed_decisions(results, TRADING_DAY)
    RECONCILIATION_DECISIONS.schema.validate(decisions)
    return decisions


def ranks(decisions: pd.DataFrame) -> dict[tuple[str, str], tuple[int | None, int | None]]:
    return {
        (row.instrument_key, row.change): tuple(
            None if pd.isna(rank) else rank for rank in (row.rank_v1, row.rank_v2)
        )
        for row in decisions.itertuples()
    }


def test_ranks_are_by_mamba_days_then_instrument_within_a_verdict() -> None:
    decisions = decided(
        ("A", "bullish", "bullish", 7, 7),
        ("B", "bullish", "bullish", 9, 9),
        ("C", "bullish", "bullish", 7, 8),  # in V1 after A, which has as many and is before it
        ("D", "bearish", "bearish", 8, 8),  # in a list of its own
        ("E", "rejected", "rejected", 12, 3),  # in no list
    )
    assert ranks(decisions) == {("A", "rank moves"): (2, 3), ("C", "rank moves"): (3, 2)}


def test_one_that_leaves_moves_up_those_below_it() -> None:
    decisions = decided(
        ("A", "bullish", "rejected", 9, 9),
        ("B", "bullish", "bullish", 8, 8),
        ("C", "rejected", "bearish", None, 4),
    )
    assert ranks(decisions) == {
        ("A", "leaves bullish"): (1, None),
        ("B", "rank moves"): (2, 1),
        ("C", "enters bearish"): (None, 1),
    }
    assert [line.split(" | ")[4:6] for line in markdown_decisions(decisions).splitlines()[2:]] == [
        ["1", ""],
        ["", "1"],
        ["2", "1"],
    ]


def test_a_long_list_of_decisions_is_cut_and_counted() -> None:
    rows = [(f"I{number:03}", "rejected", "rejected", 1, 1) for number in range(60)]
    text = markdown_decisions(decided(*rows, reason_v2="otherwise"))
    assert text.count("reason changes") == 50
    assert text.endswith("and 10 more in reconciliation.filter_results_decisions")


@pytest.fixture(scope="module")
def market() -> Market:
    return computed_once(V1)


def test_the_comparison_of_filters_lists_changed_decisions(tmp_path, market) -> None:
    v1 = market["filter_results"]
    v2 = v1.copy()
    assert v1["verdict"].tolist() == ["bullish", "bearish", "bullish"]
    v2.loc[0, "verdict"] = "rejected"
    v2.loc[2, "reason"] = "another reason"
    comparison = compare_frames(tmp_path, FILTER_RESULTS, v1, v2)
    check_contracts(FILTER_RESULTS, comparison)
    decisions = comparison.decisions.set_index("instrument_key")
    keys = v1["instrument_key"]
    assert list(decisions.index) == [keys[0], keys[2]]
    assert decisions.at[keys[0], "change"] == "leaves bullish"
    assert decisions.at[keys[0], "verdict_v2"] == "rejected"
    assert decisions.at[keys[2], "change"] == "reason changes"
    assert decisions.at[keys[2], "reason_v2"] == "another reason"
    lines = markdown_decisions(comparison.decisions).splitlines()
    assert len(lines) == 4
    assert "another reason" in lines[-1]


def test_an_instrument_that_v2_lost_leaves(tmp_path, market) -> None:
    v1 = market["filter_results"]
    comparison = compare_frames(tmp_path, FILTER_RESULTS, v1, v1.iloc[1:])
    (decision,) = comparison.decisions.itertuples()
    assert decision.verdict_v1 == v1.at[0, "verdict"]
    assert pd.isna(decision.verdict_v2)


def test_equal_filters_change_no_decision(tmp_path, market) -> None:
    v1 = market["filter_results"]
    comparison = compare_frames(tmp_path, FILTER_RESULTS, v1, v1)
    assert comparison.decisions.empty
    assert markdown_decisions(comparison.decisions) == ""
