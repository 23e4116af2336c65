"""Which filter decisions change when V2 replaces V1."""

from __future__ import annotations

import pandas as pd
import pytest

from setbull_pipelines.reconciliation.decisions import changed_decisions
from setbull_pipelines.reconciliation.report import markdown_decisions
from setbull_pipelines.reconciliation.self_test.market import Market, computed_by
from setbull_pipelines.tables import FILTER_RESULTS, RECONCILIATION_DECISIONS
from setbull_pipelines.variants import V1
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
    differing = pd.DataFrame(
        {
            "instrument_key": ["NSE_EQ|A"],
            "verdict_v1": [v1],
            "verdict_v2": [v2],
            "reason_v1": ["because"],
            "reason_v2": ["otherwise"],
        }
    )
    decisions = changed_decisions(differing, TRADING_DAY)
    RECONCILIATION_DECISIONS.schema.validate(decisions)
    assert decisions["change"].tolist() == changes


@pytest.fixture(scope="module")
def market() -> Market:
    return computed_by(V1)


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
