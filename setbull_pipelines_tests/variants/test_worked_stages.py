"""The stages of the filters, each with a stock that stops there: where, and in which words.

Belongs here: hand-made stocks, one for every way out of the chain. Does not belong here: the report of a real day.
"""

from __future__ import annotations

import json

import pandas as pd
import pytest

from setbull_pipelines.settings import PROFILES
from setbull_pipelines.tables import FILTER_RESULTS
from setbull_pipelines.variants.protocol import Variant
from setbull_pipelines_tests.variants.frames import assert_contract, daily_chain
from setbull_pipelines_tests.variants.single_days import AS_OF, days_with_ema


def _filtered(variant: Variant, profile: str = "production", **changes: object) -> pd.Series:
    """The filter result of one stock that passes as bullish, with the given changes to its days."""
    days: list[tuple[float, float]] = [(100.0, 100.0), (100.0, 106.0), (106.0, 100.0)] * 7
    arguments = {"rows": days, "volumes": 500_000, "ema_50": 90.0, **changes}
    candles, indicators = days_with_ema(**arguments)  # type: ignore[arg-type]
    chain = daily_chain(variant, candles, AS_OF, profile=profile, indicators=indicators)
    assert_contract(FILTER_RESULTS, chain["filter_results"])
    return chain["filter_results"].iloc[0]


def test_a_stock_that_passes_all_stages(variant: Variant) -> None:
    row = _filtered(variant)
    assert (row["verdict"], row["side"]) == ("bullish", "BULLISH")
    assert pd.isna(row["stopped_at"])
    assert row["basic_threshold"] == "close 50.00 to 1000.00, average volume at least 400000"
    assert row["basic_reason"] == "close 100.00 and average volume 500000 are in range"
    assert row["ema_reason"] == "close 100.00 is 11.11 % above EMA 50 90.00"
    assert row["rsi_reason"] == "RSI 60.00 confirms BULLISH (limit 50.00)"
    assert row["mamba_reason"] == "7 mamba days of 21, trend BULLISH confirms BULLISH"
    assert row["reason"] == row["mamba_reason"]
    assert row["mamba_ratio"] == pytest.approx(7 / 21)
    assert (row["bullish_mamba_count"], row["bearish_mamba_count"]) == (7, 0)
    assert json.loads(row["mamba_series"]) == [1] * 7
    assert json.loads(row["non_mamba_series"]) == [1, 2, 2, 2, 2, 2, 2, 1]
    assert row["ema_deviation"] == pytest.approx(10 / 90)


@pytest.mark.parametrize(
    ("changes", "verdict", "stopped_at", "reason"),
    [
        (
            {"rows": [(100.0, 100.0)] * 9},
            "not enough data",
            "basic",
            "9 daily bars in the look-back up to 2025-06-30, 10 needed",
        ),
        (
            {"rows": [(100.0, 100.0)] * 20 + [(50.0, 49.99)]},
            "rejected",
            "basic",
            "close 49.99 is below 50.00",
        ),
        (
            {"rows": [(100.0, 100.0)] * 20 + [(1000.0, 1000.01)]},
            "rejected",
            "basic",
            "close 1000.01 is above 1000.00",
        ),
        (
            {"volumes": [500_000] * 11 + [399_999] * 9 + [400_008]},
            "rejected",
            "basic",
            "average volume 399999 is below 400000",
        ),
        (
            {"is_warm": False},
            "not enough data",
            "ema",
            "indicators are not warm: 21 daily bars of history",
        ),
        ({"ema_50": 97.1}, "rejected", "ema", "close 100.00 is within 3.00 % of EMA 50 97.10"),
        (
            {"ema_50": 110.0},
            "rejected",
            "rsi",
            "RSI 60.00 does not confirm BEARISH (limit 55.00)",
        ),
        (
            {"rows": [(100.0, 100.0)] * 20},
            "not enough data",
            "mamba",
            "trend is unknown: fewer than 21 daily bars with EMA 50 in the look-back",
        ),
        (
            {"rows": [(100.0, 100.0)] * 17 + [(100.0, 106.0)] * 4},
            "rejected",
            "mamba",
            "4 mamba days of 21 are fewer than 20 %",
        ),
        (
            {"rows": [(100.0, 106.0)] + [(100.0, 100.0)] * 7 + [(100.0, 106.0)] * 13},
            "rejected",
            "mamba",
            "1 long gaps for 2 mamba runs, at most 0 allowed",
        ),
    ],
)
def test_where_and_why_a_stock_stops(
    variant: Variant, changes: dict[str, object], verdict: str, stopped_at: str, reason: str
) -> None:
    row = _filtered(variant, **changes)
    assert (row["verdict"], row["stopped_at"], row["reason"]) == (verdict, stopped_at, reason)
    stages = ["basic", "ema", "rsi", "mamba"]
    reached = stages.index(stopped_at)
    for position, stage in enumerate(stages):
        passed = row[f"{stage}_passed"]
        if position < reached:
            assert passed is True or passed == True  # noqa: E712 (numpy and Python booleans)
        elif position == reached and verdict == "rejected":
            assert passed == False  # noqa: E712
        else:
            assert pd.isna(passed)
        assert pd.isna(row[f"{stage}_reason"]) == (position > reached)
    assert row[f"{stopped_at}_reason"] == reason


def test_profile_strict_wants_longer_runs(variant: Variant) -> None:
    row = _filtered(variant, profile="strict")
    assert PROFILES["strict"][1].minimum_sequence_length == 2
    assert (row["profile"], row["verdict"]) == ("strict", "rejected")
    assert row["reason"] == "no run of 2 days or more"
    assert row["mamba_threshold"] == 0.3
    assert row["rsi_threshold"] == 60.0
