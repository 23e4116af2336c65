"""The rules of a comparison, one by one, on a small table that has a column of every kind."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest

from setbull_pipelines.reconciliation.compare import compare
from setbull_pipelines.reconciliation.self_test.generic_mutants import last_agreeing
from setbull_pipelines.tables.contract import Table
from setbull_pipelines.tables.filters import FILTER_RESULTS
from setbull_pipelines.tables.sequences import SEQUENCES
from setbull_pipelines_tests.reconciliation.every_kind import (
    CELLS,
    EVERY_KIND,
    INSTRUMENTS,
    ROWS,
    SETTINGS,
    VALUE_COLUMNS,
    changed,
)
from setbull_pipelines_tests.reconciliation.partition_files import (
    TRADING_DAY,
    cells_of,
    check_contracts,
    column_row,
    compare_frames,
    diverged_columns,
    write,
)


def test_equal_sides_pass_and_every_cell_is_counted(tmp_path, frame) -> None:
    comparison = compare_frames(tmp_path, EVERY_KIND, frame, frame.copy())
    check_contracts(EVERY_KIND, comparison)
    assert comparison.state == "pass"
    assert comparison.reason == f"all {CELLS} cells of {ROWS} rows agree"
    summary = comparison.summary.iloc[0]
    assert summary["cells_compared"] == summary["cells_expected"] == CELLS == 144
    assert summary["rows_v1"] == summary["rows_v2"] == ROWS
    assert summary["trading_day"] == TRADING_DAY
    assert pd.isna(summary["columns_diverged"])
    assert len(comparison.columns) == VALUE_COLUMNS
    assert (comparison.columns["cells_compared"] == ROWS).all()
    assert comparison.columns["agrees"].all()
    assert comparison.columns["worst_key"].isna().all()
    assert comparison.cells.empty


def test_order_and_splitting_of_files_do_not_matter(tmp_path, frame) -> None:
    halves = [
        write(EVERY_KIND, frame.iloc[5:], tmp_path / "2.parquet"),
        write(EVERY_KIND, frame.iloc[:5], tmp_path / "1.parquet"),
    ]
    whole = write(EVERY_KIND, frame.iloc[::-1], tmp_path / "whole.parquet")
    assert compare(EVERY_KIND, halves, [whole], TRADING_DAY, SETTINGS).state == "pass"


def test_trading_day_is_read_from_the_file_not_from_the_directory(tmp_path, frame) -> None:
    v2 = frame.assign(trading_day=TRADING_DAY - pd.Timedelta(days=1))
    comparison = compare_frames(tmp_path, EVERY_KIND, frame, v2)
    assert diverged_columns(comparison) == {"trading_day"}
    assert cells_of(comparison, "trading_day", "worst").at[0, "v2"] == "2026-06-29"


@pytest.mark.parametrize(
    ("column", "v1", "v2", "agrees"),
    [
        ("mean", 1000.0, 1000.0 * (1 + 0.9e-9), True),
        ("mean", 1000.0, 1000.0 * (1 - 0.9e-9), True),
        ("mean", -1000.0, -1000.0 * (1 + 0.9e-9), True),
        ("mean", 1000.0, 1000.0 * (1 + 1.1e-9), False),
        ("mean", 1000.0, -1000.0, False),
        ("mean", 0.0, 1e-300, False),
        ("mean", 0.0, -0.0, True),
        ("score", 0.0, 1e-12, True),
        ("score", 0.0, 1.1e-12, False),
        ("score", 1.0, 1.0 + 0.9e-9, True),
        ("score", 1.0, 1.0 + 1.1e-9, False),
        ("price", 100.0, 100.0, True),
        ("price", 100.0, math.nextafter(100.0, 101.0), False),
        ("mean", math.inf, math.inf, True),
        ("mean", -math.inf, -math.inf, True),
        ("mean", math.inf, -math.inf, False),
        ("mean", math.inf, 1.0, False),
        ("mean", 1.0, -math.inf, False),
        ("score", math.inf, 1.7e308, False),
        ("mean", 1.7e308, -1.7e308, False),
    ],
)
def test_floats_agree_within_the_tolerance_of_their_column(
    tmp_path, frame, column, v1, v2, agrees
) -> None:
    comparison = compare_frames(
        tmp_path, EVERY_KIND, changed(frame, column, 5, v1), changed(frame, column, 5, v2)
    )
    assert comparison.state == ("pass" if agrees else "diverged")
    assert diverged_columns(comparison) == (set() if agrees else {column})
    result = column_row(comparison, column)
    assert result["cells_compared"] == ROWS
    assert result["cells_unequal"] == (0 if agrees else 1)
    assert result["cells_within_tolerance"] == (1 if agrees and v1 != v2 else 0)
    assert result["null_differences"] == 0
    assert pd.isna(result["worst_key"]) == (v1 == v2)


def test_the_last_float_within_the_tolerance_agrees_and_the_next_does_not(tmp_path, frame) -> None:
    last = last_agreeing(255.0)
    within = compare_frames(tmp_path / "a", EVERY_KIND, frame, changed(frame, "mean", 5, last))
    assert within.state == "pass"
    assert column_row(within, "mean")["cells_within_tolerance"] == 1
    beyond = changed(frame, "mean", 5, math.nextafter(last, math.inf))
    outside = compare_frames(tmp_path / "b", EVERY_KIND, frame, beyond)
    assert outside.state == "diverged"


def test_differences_of_finite_and_infinite_values(tmp_path, frame) -> None:
    v2 = changed(changed(frame, "mean", 5, 257.0), "score", 5, math.inf)
    comparison = compare_frames(tmp_path, EVERY_KIND, frame, v2)
    check_contracts(EVERY_KIND, comparison)
    mean = column_row(comparison, "mean")
    assert mean["largest_absolute_difference"] == 2.0  # row 5 holds 255
    assert mean["largest_relative_difference"] == 2.0 / 257.0
    score = column_row(comparison, "score")
    assert score["largest_absolute_difference"] == math.inf
    assert score["largest_relative_difference"] == math.inf
    assert column_row(comparison, "volume")["largest_absolute_difference"] == 0.0


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("price", np.nan),
        ("mean", np.nan),
        ("open_interest", pd.NA),
        ("label", None),
        ("reason", None),
        ("passed", pd.NA),
        ("traded_at", pd.NaT),
        ("start_day", pd.NaT),
    ],
)
@pytest.mark.parametrize("null_side", ["v1", "v2"])
def test_null_against_a_value_is_a_null_difference(
    tmp_path, frame, column, value, null_side
) -> None:
    sides = {"v1": frame, "v2": frame} | {null_side: changed(frame, column, 5, value)}
    comparison = compare_frames(tmp_path, EVERY_KIND, sides["v1"], sides["v2"])
    assert comparison.state == "diverged"
    assert diverged_columns(comparison) == {column}
    result = column_row(comparison, column)
    assert (result["cells_unequal"], result["null_differences"]) == (1, 1)
    worst = cells_of(comparison, column, "worst").iloc[0]
    assert pd.isna(worst[null_side])
    assert not pd.isna(worst["v1" if null_side == "v2" else "v2"])
    assert pd.isna(worst["absolute_difference"])


@pytest.mark.parametrize("column", ["mean", "open_interest"])
def test_null_is_not_zero(tmp_path, frame, column) -> None:
    null = np.nan if column == "mean" else pd.NA
    comparison = compare_frames(
        tmp_path, EVERY_KIND, changed(frame, column, 5, null), changed(frame, column, 5, 0)
    )
    assert comparison.state == "diverged"
    assert column_row(comparison, column)["null_differences"] == 1


def test_nan_counts_as_null(tmp_path, frame) -> None:
    gap = changed(frame, "mean", 5, np.nan)
    null = write(EVERY_KIND, gap, tmp_path / "null.parquet")
    nan = write(EVERY_KIND, gap, tmp_path / "nan.parquet", keep_nan=True)
    assert pyarrow.parquet.read_table(null)["mean"].null_count == 1
    assert pyarrow.parquet.read_table(nan)["mean"].null_count == 0
    assert compare(EVERY_KIND, [null], [nan], TRADING_DAY, SETTINGS).state == "pass"
    value = write(EVERY_KIND, frame, tmp_path / "value.parquet")
    comparison = compare(EVERY_KIND, [nan], [value], TRADING_DAY, SETTINGS)
    assert column_row(comparison, "mean")["null_differences"] == 1


def test_an_all_null_column_is_compared_and_agrees(tmp_path, frame) -> None:
    empty = frame.assign(mean=np.nan, label=pd.Series([None] * ROWS, dtype="str"))
    comparison = compare_frames(tmp_path, EVERY_KIND, empty, empty)
    assert comparison.state == "pass"
    assert column_row(comparison, "mean")["cells_compared"] == ROWS
    assert column_row(comparison, "label")["agrees"]
    comparison = compare_frames(tmp_path, EVERY_KIND, frame, empty)
    assert column_row(comparison, "mean")["null_differences"] == ROWS
    assert column_row(comparison, "label")["cells_unequal"] == ROWS


@pytest.mark.parametrize(
    ("column", "value", "v1", "v2"),
    [
        ("volume", 1006, "1005", "1006"),
        ("open_interest", 6, "5", "6"),
        ("label", "mamba", "MAMBA", "mamba"),
        ("reason", "close is in range ", "close is in range", "close is in range "),
        ("is_complete", False, "true", "false"),
        ("passed", False, "true", "false"),
        ("start_day", pd.Timestamp("2026-06-02"), "2026-06-01", "2026-06-02"),
        (
            "traded_at",
            pd.Timestamp("2026-06-30 09:20:00.000001", tz="Asia/Kolkata"),
            "2026-06-30 09:20:00+05:30",
            "2026-06-30 09:20:00.000001+05:30",
        ),
    ],
)
def test_everything_but_floats_is_exact(tmp_path, frame, column, value, v1, v2) -> None:
    comparison = compare_frames(tmp_path, EVERY_KIND, frame, changed(frame, column, 5, value))
    check_contracts(EVERY_KIND, comparison)
    assert comparison.state == "diverged"
    assert diverged_columns(comparison) == {column}
    result = column_row(comparison, column)
    assert (result["cells_unequal"], result["null_differences"]) == (1, 0)
    assert (result["worst_v1"], result["worst_v2"]) == (v1, v2)
    numeric = column in ("volume", "open_interest")
    assert pd.isna(result["largest_absolute_difference"]) != numeric
    others = comparison.columns[comparison.columns["column_name"] != column]
    assert others["agrees"].all()


def test_integers_beyond_float_precision_are_told_apart(tmp_path, frame) -> None:
    comparison = compare_frames(
        tmp_path,
        EVERY_KIND,
        changed(changed(frame, "volume", 5, 2**62), "volume", 6, 2**63 - 1),
        changed(changed(frame, "volume", 5, 2**62 + 1), "volume", 6, -(2**63)),
    )
    result = column_row(comparison, "volume")
    assert result["cells_unequal"] == 2
    assert result["largest_absolute_difference"] == 2.0**64
    assert cells_of(comparison, "volume", "worst")["absolute_difference"].tolist() == [2.0**64, 1.0]


def test_timestamps_are_compared_as_instants(tmp_path, frame) -> None:
    v1 = write(EVERY_KIND, frame, tmp_path / "v1.parquet")
    stored = pyarrow.parquet.read_table(v1)
    for name in ("timestamp", "traded_at"):
        in_utc = stored[name].cast(pyarrow.timestamp("us", tz="UTC"))
        stored = stored.set_column(stored.column_names.index(name), name, in_utc)
    pyarrow.parquet.write_table(stored, tmp_path / "v2.parquet")
    comparison = compare(EVERY_KIND, [v1], [tmp_path / "v2.parquet"], TRADING_DAY, SETTINGS)
    assert comparison.state == "pass"


def test_every_reconciled_shape_of_key_works(tmp_path) -> None:
    runs = SEQUENCES.conform(
        pd.DataFrame(
            {
                "instrument_key": INSTRUMENTS[0],
                "sequence_number": [1, 2, 10],
                "trading_day": TRADING_DAY,
                "series": "exchange",
                "kind": ["MAMBA", "NON_MAMBA", "MAMBA"],
                "length": [2, 3, 4],
                "start_day": TRADING_DAY,
                "end_day": TRADING_DAY,
                "strength": [0.5, 0.0, 0.6],
                "return_percent": [1.0, 2.0, 3.0],
                "total_volume": [1, 2, 3],
                "gap_days_to_next": pd.array([1, 1, pd.NA], dtype="Int64"),
            }
        )
    )
    comparison = compare_frames(tmp_path, SEQUENCES, runs, changed(runs, "length", 2, 5))
    assert cells_of(comparison, "length", "first").at[0, "row_key"] == (
        f"instrument_key={INSTRUMENTS[0]}, sequence_number=10"
    )
    comparison = compare_frames(tmp_path, SEQUENCES, runs, runs.assign(length=9))
    assert cells_of(comparison, "length", "first")["row_key"].str.endswith("number=1").all()
    verdicts = FILTER_RESULTS.empty().reindex(range(2))
    verdicts["instrument_key"] = list(INSTRUMENTS[:2])
    verdicts["verdict"] = "rejected"
    comparison = compare_frames(
        tmp_path, FILTER_RESULTS, verdicts, changed(verdicts, "verdict", 1, "bullish")
    )
    assert diverged_columns(comparison) == {"verdict"}
    assert cells_of(comparison, "verdict", "first").at[0, "row_key"] == (
        f"instrument_key={INSTRUMENTS[1]}"
    )


def test_a_table_that_is_not_reconciled_is_refused(tmp_path, frame) -> None:
    other = Table("quotes", "Not reconciled", ("raw",), EVERY_KIND.key, EVERY_KIND.columns)
    files = [write(other, frame, tmp_path / "one.parquet")]
    with pytest.raises(KeyError, match="quotes"):
        compare(other, files, files, TRADING_DAY, SETTINGS)


def test_a_side_without_a_compared_column_is_an_error(tmp_path, frame) -> None:
    v1 = write(EVERY_KIND, frame, tmp_path / "v1.parquet")
    short = pyarrow.parquet.read_table(v1).drop_columns("mean")
    pyarrow.parquet.write_table(short, tmp_path / "v2.parquet")
    with pytest.raises(Exception, match="mean"):
        compare(EVERY_KIND, [v1], [tmp_path / "v2.parquet"], TRADING_DAY, SETTINGS)


def test_the_same_files_give_the_same_frames(tmp_path, frame) -> None:
    v2 = frame.assign(mean=frame["mean"] + 1.0, label="NON_MAMBA").drop([3, 8])
    one = compare_frames(tmp_path / "a", EVERY_KIND, frame, v2)
    two = compare_frames(tmp_path / "b", EVERY_KIND, frame.iloc[::-1], v2.iloc[::-1])
    pd.testing.assert_frame_equal(one.columns, two.columns)
    pd.testing.assert_frame_equal(one.cells, two.cells)
    pd.testing.assert_frame_equal(one.summary, two.summary)


def test_a_column_report_says_how_far_apart_the_sides_are(tmp_path, frame) -> None:
    v2 = frame.copy()
    near = [np.nextafter(frame.at[0, "score"], 9), frame.at[1, "score"] * 2]
    v2.loc[[0, 1], "score"] = near
    v2.loc[2, "score"] = np.nan
    comparison = compare_frames(tmp_path, EVERY_KIND, frame, v2)
    check_contracts(EVERY_KIND, comparison)
    row = column_row(comparison, "score")
    counts = ["cells_identical", "cells_within_tolerance", "cells_unequal", "null_differences"]
    assert row[counts].tolist() == [len(frame) - 3, 1, 2, 1]
    # Doubling moves by one power of two: 2 to the 52 floats.
    assert row["largest_ulp_difference"] == 2.0**52
    assert row["median_relative_difference"] < 1e-15
    assert row["p99_relative_difference"] == 0.5
    assert (row["instruments"], row["instruments_affected"]) == (3, 1)
    equal = column_row(comparison, "price")
    assert equal["largest_ulp_difference"] == 0
    assert np.isnan(equal["median_relative_difference"])


@pytest.mark.parametrize(
    ("v1", "v2", "floats_apart"),
    [(5e-324, -5e-324, 2), (1.0, np.nextafter(1.0, 2.0), 1), (-1.0, np.nextafter(-1.0, 0.0), 1)],
)
def test_floats_apart_are_counted_across_zero(tmp_path, frame, v1, v2, floats_apart) -> None:
    one, other = (changed(frame, "score", 4, value) for value in (v1, v2))
    comparison = compare_frames(tmp_path, EVERY_KIND, one, other)
    assert column_row(comparison, "score")["largest_ulp_difference"] == floats_apart
