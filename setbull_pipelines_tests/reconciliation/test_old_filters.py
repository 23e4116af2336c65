"""Old filter rows against V1's: equal ones, and the cause of each that differs."""

from __future__ import annotations

import base64

import pandas as pd
import pytest

from setbull_pipelines.reconciliation import old_filters
from setbull_pipelines.reconciliation.old_filters import compare_filters
from setbull_pipelines.reconciliation.old_finding import UNKNOWN, Finding, by_cause
from setbull_pipelines.tables import FILTER_RESULTS

DAY = "2025-04-08"
KEY = "NSE_EQ|INE009A01021"


def result(key: str = KEY, **changes: object) -> dict[str, object]:
    """A row of V1 that passed."""
    row = dict.fromkeys(FILTER_RESULTS.column_names)
    return (
        row
        | {"instrument_key": key, "verdict": "bullish", "close": 512.5, "average_volume": 500_000}
        | {"trend": "BULLISH", "mamba_count": 6, "bullish_mamba_count": 6}
        | {"bearish_mamba_count": 0, "average_mamba_length": 1.5, "average_non_mamba_length": 3.75}
        | {"mamba_series": "[1, 2, 1, 2]", "non_mamba_series": "[3, 5, 2, 5]"}
        | changes
    )


def old(key: str = KEY, **changes: object) -> dict[str, object]:
    """The old row of the same, as text."""
    return {
        "symbol": "INFY",
        "instrument_key": key,
        "trading_day": DAY,
        "trend": "BULLISH",
        "current_price": "512.50",
        "mamba_count": "6",
        "bullish_mamba_count": "6",
        "bearish_mamba_count": "0",
        "avg_mamba_move": "1.50",
        "avg_non_mamba_move": "3.75",
        "mamba_series": "[1,2,1,2]",
        "non_mamba_series": "[3,5,2,5]",
    } | changes


def held(
    of_old: list[dict], of_v1: list[dict], before: list[dict] | None = None
) -> tuple[int, int, list[tuple[str, str]]]:
    """Cells, equal cells, and column and cause of each difference."""
    names = FILTER_RESULTS.column_names
    earlier = pd.DataFrame(before or [], columns=names)
    finding = compare_filters(pd.DataFrame(of_old), pd.DataFrame(of_v1, columns=names), earlier)
    found = finding.all_differences
    assert finding.cells == finding.equal + len(found)
    return finding.cells, finding.equal, list(zip(found["column"], found["cause"], strict=True))


def test_rows_that_agree_are_equal_in_every_cell() -> None:
    encoded = base64.b64encode(b"[1,2,1,2]").decode()
    rows = [old(), old("NSE_EQ|B", mamba_series=encoded, non_mamba_series=None)]
    v1 = [
        result(),
        result("NSE_EQ|B", non_mamba_series="[]"),
        result("NSE_EQ|C", verdict="rejected"),
    ]
    assert held(rows, v1) == (20, 20, [])


@pytest.mark.parametrize(
    ("stopped_at", "changes", "cause"),
    [
        ("ema", {}, old_filters.EMA),
        ("rsi", {}, old_filters.RSI),
        ("mamba", {}, old_filters.MAMBA),
        ("basic", {"close": 1200.0}, old_filters.BASIC),
        ("basic", {"close": 12.0}, UNKNOWN),
        ("basic", {"verdict": "not enough data"}, old_filters.NO_DATA),
    ],
)
def test_a_stock_that_only_the_old_chain_passed(stopped_at: str, changes: dict, cause: str) -> None:
    v1 = result(**{"verdict": "rejected", "stopped_at": stopped_at} | changes)
    assert held([old()], [v1]) == (1, 0, [("row", cause)])


def test_a_stock_that_v1_does_not_know_and_one_that_only_v1_passes() -> None:
    _, _, found = held([old("NSE_EQ|A")], [result("NSE_EQ|B")])
    assert found[0][1].startswith("V1 has no row")
    assert found[1] == ("row", UNKNOWN)


def test_the_side_and_what_follows_from_it() -> None:
    changes = {"trend": "BEARISH", "bullish_mamba_count": "0", "bearish_mamba_count": "6"}
    _, _, found = held([old(**changes)], [result()])
    assert found == [
        ("trend", old_filters.SIDE),
        ("bullish_mamba_count", old_filters.TREND),
        ("bearish_mamba_count", old_filters.TREND),
    ]


def test_a_row_that_is_dated_a_day_late() -> None:
    late = result(close=520.0, mamba_count=5)
    _, _, found = held([old()], [late], [result()])
    assert set(found) == {("current_price", old_filters.DATE), ("mamba_count", old_filters.DATE)}


def test_another_number_is_of_unknown_cause() -> None:
    _, _, found = held([old(current_price="512.51", mamba_count="7")], [result()])
    assert found == [("current_price", UNKNOWN), ("mamba_count", UNKNOWN)]


@pytest.mark.parametrize(
    ("of_old", "of_v1", "is_equal"),
    [
        (None, None, True),
        ("0", None, True),  # the old system wrote 0 where it knew nothing
        ("3", None, False),
        (None, 3, False),
        ("3", 3, True),
    ],
)
def test_nothing_known_is_nothing_or_0_in_the_old_table(of_old, of_v1, is_equal) -> None:
    _, _, found = held([old(mamba_count=of_old)], [result(mamba_count=of_v1)])
    assert found == ([] if is_equal else [("mamba_count", UNKNOWN)])


def test_a_column_that_the_old_table_lacks_is_not_compared() -> None:
    row = old()
    del row["mamba_series"], row["current_price"]
    assert held([row], [result(close=1.0)]) == (8, 8, [])


@pytest.mark.parametrize("text", ["[1,2,", "not a list", "[1,2,1]"])
def test_a_list_that_cannot_be_read_or_is_another_is_no_equal_one(text: str) -> None:
    _, _, found = held([old(mamba_series=text)], [result()])
    assert found == [("mamba_series", UNKNOWN)]


def test_findings_of_several_days_are_added_up() -> None:
    names = FILTER_RESULTS.column_names
    nothing = pd.DataFrame(columns=names)
    days = [
        compare_filters(pd.DataFrame([old()]), pd.DataFrame([result(**changes)]), nothing)
        for changes in ({}, {"mamba_count": 7})
    ]
    both = Finding()
    for day in days:
        both.add(day)
    assert (both.cells, both.equal) == (20, 19)
    assert both.all_differences["column"].tolist() == ["mamba_count"]
    assert by_cause(both.all_differences)["cells"].tolist() == [1]


def test_where_nothing_differs_no_cause_is_counted() -> None:
    counted = by_cause(Finding().all_differences)
    assert counted.empty
    assert counted.columns.tolist() == ["table", "column", "cause", "cells", "first", "old", "v1"]
