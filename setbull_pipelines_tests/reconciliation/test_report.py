"""The markdown of a comparison."""

from __future__ import annotations

import pandas as pd
import pytest

from setbull_pipelines.reconciliation.report import markdown_columns, markdown_summary
from setbull_pipelines.tables.candles import CANDLES_5MIN
from setbull_pipelines_tests.reconciliation.partition_files import TRADING_DAY, compare_frames


@pytest.fixture
def candles() -> pd.DataFrame:
    return CANDLES_5MIN.conform(
        pd.DataFrame(
            {
                "instrument_key": "NSE_EQ|INE002A01018",
                "timestamp": pd.date_range(
                    "2026-06-30 09:15", periods=3, freq="5min", tz="Asia/Kolkata"
                ),
                "trading_day": TRADING_DAY,
                "open": 100.0,
                "high": 102.0,
                "low": 99.0,
                "close": [100.5, 101.0, 101.5],
                "volume": 1000,
                "open_interest": pd.array([pd.NA] * 3, dtype="Int64"),
                "minutes_traded": 5,
                "minutes_present": 5,
                "minutes_expected": 5,
                "is_complete": True,
            }
        )
    )


def test_agreement_is_one_sentence(tmp_path, candles) -> None:
    comparison = compare_frames(tmp_path, CANDLES_5MIN, candles, candles)
    assert markdown_columns(comparison.columns, comparison.cells) == (
        "All 11 columns agree (33 cells compared)."
    )
    assert markdown_summary(comparison.summary).splitlines()[2] == (
        "| candles_5min | 2026-06-30 | pass | 3 | 3 | 33 of 33 | 0 | not measured | all 33 cells of 3 rows agree |"
    )


def test_only_diverged_columns_are_listed_with_first_and_worst_cell(tmp_path, candles) -> None:
    v2 = candles.drop(0).assign(close=[101.25, 103.5])
    comparison = compare_frames(tmp_path, CANDLES_5MIN, candles, v2)
    header, rule, close, row = markdown_columns(comparison.columns, comparison.cells).splitlines()
    assert header.startswith("| column | tolerance | unequal |")
    assert rule.count("---") == 11
    key = r"NSE_EQ\|INE002A01018, 2026-06-30 "
    assert close == (
        "| close | exact | 2 of 2 | 0 | 1 (100%) | 2 | 0.0193 | 0.00247 / 0.0193 | 1.41e+14 "
        rf"| {key}09:20: V1 101.0, V2 101.25 "
        rf"| {key}09:25: V1 101.5, V2 103.5 |"
    )
    assert row.startswith("| (row) |  | 1 only in V1, 0 only in V2 |")
    assert f"{key}09:15: V1 present, V2 null" in row
    assert "| diverged |" in markdown_summary(comparison.summary)


def test_nothing_compared_does_not_read_like_agreement(tmp_path) -> None:
    empty = CANDLES_5MIN.empty()
    comparison = compare_frames(tmp_path, CANDLES_5MIN, empty, empty)
    assert markdown_columns(comparison.columns, comparison.cells) == "Nothing was compared."
    assert "| not comparable |" in markdown_summary(comparison.summary)
