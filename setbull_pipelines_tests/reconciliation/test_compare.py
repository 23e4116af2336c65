"""The rules of a comparison, one by one, on a small table that has a column of every kind."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest

from setbull_pipelines.reconciliation.compare import compare
from setbull_pipelines.reconciliation.diagnosis import ROW
from setbull_pipelines.reconciliation.self_test.generic_mutants import last_agreeing
from setbull_pipelines.settings import ReconciliationSettings
from setbull_pipelines.tables.contract import EXACT, RELATIVE, SCORE, Column, Kind, Table
from setbull_pipelines.tables.filters import FILTER_RESULTS
from setbull_pipelines.tables.sequences import SEQUENCES
from setbull_pipelines_tests.reconciliation.partition_files import (
    TRADING_DAY,
    cells_of,
    check_contracts,
    column_row,
    compare_frames,
    diverged_columns,
    write,
)

SETTINGS = ReconciliationSettings()
EVERY_KIND = Table(
    name="indicators_5min",
    description="A column of every kind and every tolerance.",
    schemas=("v1", "v2"),
    key=("instrument_key", "timestamp"),
    columns=(
        Column("instrument_key", Kind.TEXT, "Instrument"),
        Column("timestamp", Kind.TIMESTAMP, "Start of the bar"),
        Column("trading_day", Kind.DAY, "Day"),
        Column("price", Kind.FLOAT, "Exact float", nullable=True, tolerance=EXACT),
        Column("mean", Kind.FLOAT, "Relative float", nullable=True, tolerance=RELATIVE),
        Column("score", Kind.FLOAT, "Score float", nullable=True, tolerance=SCORE),
        Column("volume", Kind.INTEGER, "Integer"),
        Column("open_interest", Kind.NULLABLE_INTEGER, "Nullable integer", nullable=True),
        Column("label", Kind.TEXT, "Label", nullable=True),
        Column("reason", Kind.LONG_TEXT, "Text", nullable=True),
        Column("is_complete", Kind.BOOLEAN, "Flag"),
        Column("passed", Kind.NULLABLE_BOOLEAN, "Nullable flag", nullable=True),
        Column("traded_at", Kind.TIMESTAMP, "Moment", nullable=True),
        Column("start_day", Kind.DAY, "Nullable day", nullable=True),
    ),
)
VALUE_COLUMNS = 12
INSTRUMENTS = ("NSE_EQ|INE000000001", "NSE_EQ|INE000000002", "NSE_EQ|INE000000003")
BARS = 4
ROWS = len(INSTRUMENTS) * BARS
CELLS = ROWS * VALUE_COLUMNS


@pytest.fixture
def frame() -> pd.DataFrame:
    return of_every_kind()


def of_every_kind() -> pd.DataFrame:
    """Three instruments of four bars; row number = instrument x 4 + bar."""
    row = np.arange(ROWS)
    times = pd.date_range("2026-06-30 09:15", periods=BARS, freq="5min", tz="Asia/Kolkata")
    return EVERY_KIND.conform(
        pd.DataFrame(
            {
                "instrument_key": np.repeat(INSTRUMENTS, BARS),
                "timestamp": list(times) * len(INSTRUMENTS),
                "trading_day": TRADING_DAY,
                "price": 100.0 + row,
                "mean": 250.0 + row,
                "score": 0.5,
                "volume": 1000 + row,
                "open_interest": pd.array([pd.NA, *range(1, ROWS)], dtype="Int64"),
                "label": "MAMBA",
                "reason": "close is in range",
                "is_complete": True,
                "passed": pd.array([pd.NA] + [True] * (ROWS - 1), dtype="boolean"),
                "traded_at": list(times) * len(INSTRUMENTS),
                "start_day": pd.Timestamp("2026-06-01"),
            }
        )
    )


def changed(frame: pd.DataFrame, column: str, row: int, value: object) -> pd.DataFrame:
    result = frame.copy()
    result.loc[row, column] = value
    return result


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


@pytest.mark.parametrize(("side", "only_v1", "only_v2"), [("v2", 2, 0), ("v1", 0, 2)])
def test_missing_rows_diverge_even_when_all_common_cells_agree(
    tmp_path, frame, side, only_v1, only_v2
) -> None:
    sides = {"v1": frame, "v2": frame} | {side: frame.drop([4, 9])}
    comparison = compare_frames(tmp_path, EVERY_KIND, sides["v1"], sides["v2"])
    check_contracts(EVERY_KIND, comparison)
    assert comparison.state == "diverged"
    summary = comparison.summary.iloc[0]
    assert (summary["rows_only_v1"], summary["rows_only_v2"]) == (only_v1, only_v2)
    assert summary["cells_compared"] == (ROWS - 2) * VALUE_COLUMNS
    assert summary["cells_expected"] == summary["rows_v1"] * VALUE_COLUMNS
    assert summary["cells_unequal"] == 0
    assert pd.isna(summary["columns_diverged"])
    first = cells_of(comparison, ROW, "first")
    # Row 4 is 09:15 of the second instrument, row 9 is 09:20 of the third.
    assert first["instrument_key"].tolist() == list(INSTRUMENTS[1:])
    assert first[side].isna().all()
    assert first["v1" if side == "v2" else "v2"].eq("present").all()
    assert len(cells_of(comparison, ROW, "worst")) == 2


def test_as_many_rows_with_other_keys_diverge(tmp_path, frame) -> None:
    v2 = frame.copy()
    v2.loc[7, "timestamp"] += pd.Timedelta(minutes=5)
    comparison = compare_frames(tmp_path, EVERY_KIND, frame, v2)
    assert comparison.state == "diverged"
    assert comparison.reason.startswith("1 rows only in V1; 1 rows only in V2; likely cause: ")


def test_a_repeated_row_on_one_side_never_passes(tmp_path, frame) -> None:
    repeated = pd.concat([frame, frame.iloc[[5]]], ignore_index=True)
    for v1, v2 in ((frame, repeated), (repeated, frame)):
        comparison = compare_frames(tmp_path, EVERY_KIND, v1, v2)
        assert comparison.state == "diverged"
        assert "a key occurs more than once" in comparison.reason


@pytest.mark.parametrize("repeats", ["v1", "v2"])
def test_a_row_that_stands_for_another_is_diagnosed(tmp_path, frame, repeats) -> None:
    """As many rows on both sides, and no cell of a common key differs."""
    instead = pd.concat([frame.iloc[:-1], frame.iloc[[0]]], ignore_index=True)
    sides = (instead, frame) if repeats == "v1" else (frame, instead)
    comparison = compare_frames(tmp_path, EVERY_KIND, *sides)
    assert comparison.state == "diverged"
    assert comparison.diagnoses["diagnosis"].tolist() == ["duplicated rows"]


def test_rows_repeated_on_both_sides_are_not_comparable(tmp_path, frame) -> None:
    fifth = pd.concat([frame, frame.iloc[[5]]], ignore_index=True)
    sixth = pd.concat([frame, frame.iloc[[6]]], ignore_index=True)
    for v1, v2 in ((fifth, fifth), (fifth, sixth)):
        comparison = compare_frames(tmp_path, EVERY_KIND, v1, v2)
        assert comparison.state == "not comparable"
        assert "a key occurs more than once" in comparison.reason
        summary = comparison.summary.iloc[0]
        assert summary["cells_compared"] != summary["cells_expected"]


def test_two_empty_sides_are_not_comparable(tmp_path, frame) -> None:
    comparison = compare_frames(tmp_path, EVERY_KIND, EVERY_KIND.empty(), EVERY_KIND.empty())
    check_contracts(EVERY_KIND, comparison)
    assert comparison.state == "not comparable"
    assert comparison.reason == "both sides have zero rows"
    assert not comparison.columns["agrees"].any()
    assert comparison.columns["largest_absolute_difference"].isna().all()


def test_one_empty_side_diverges(tmp_path, frame) -> None:
    comparison = compare_frames(tmp_path, EVERY_KIND, frame, EVERY_KIND.empty())
    assert comparison.state == "diverged"
    assert comparison.summary.at[0, "rows_only_v1"] == ROWS
    assert not comparison.columns["agrees"].any()


@pytest.mark.parametrize("missing", [None, []])
@pytest.mark.parametrize("identical", [False, True])
def test_a_missing_side_is_not_comparable(tmp_path, frame, missing, identical) -> None:
    files = [write(EVERY_KIND, frame, tmp_path / "one.parquet")]
    cases = (
        (files, missing, "nothing stored for V2", (ROWS, 0)),
        (missing, files, "nothing stored for V1", (0, ROWS)),
        (missing, missing, "nothing stored for V1 and V2", (0, 0)),
    )
    for v1, v2, reason, rows in cases:
        comparison = compare(EVERY_KIND, v1, v2, TRADING_DAY, SETTINGS, identical=identical)
        check_contracts(EVERY_KIND, comparison)
        assert (comparison.state, comparison.reason) == ("not comparable", reason)
        summary = comparison.summary.iloc[0]
        assert (summary["rows_only_v1"], summary["rows_only_v2"]) == rows
        assert summary["cells_compared"] == 0
        assert not comparison.columns["agrees"].any()


def test_identical_sides_count_without_reading_cells(tmp_path, frame) -> None:
    files = [write(EVERY_KIND, frame, tmp_path / "one.parquet")]
    settled = compare(EVERY_KIND, files, files, TRADING_DAY, SETTINGS, identical=True)
    check_contracts(EVERY_KIND, settled)
    read = compare(EVERY_KIND, files, files, date(2026, 6, 30), SETTINGS)
    assert settled.state == read.state == "pass"
    assert settled.summary.at[0, "cells_compared"] == CELLS
    pd.testing.assert_frame_equal(settled.columns, read.columns)
    pd.testing.assert_frame_equal(settled.cells, read.cells)
    pd.testing.assert_frame_equal(
        settled.summary.drop(columns="reason"), read.summary.drop(columns="reason")
    )
    shorter = [write(EVERY_KIND, frame.iloc[1:], tmp_path / "shorter.parquet")]
    mistaken = compare(EVERY_KIND, files, shorter, TRADING_DAY, SETTINGS, identical=True)
    assert mistaken.state == "diverged"
    assert mistaken.reason.startswith("1 rows only in V1; likely cause: missing rows")
    empty = [write(EVERY_KIND, EVERY_KIND.empty(), tmp_path / "empty.parquet")]
    nothing = compare(EVERY_KIND, empty, empty, TRADING_DAY, SETTINGS, identical=True)
    assert nothing.state == "not comparable"


def test_first_is_the_earliest_and_worst_the_largest(tmp_path, frame) -> None:
    v2 = frame.copy()
    # second instrument: rows 5 and 7; first instrument: row 2, earlier in key order but later in time
    v2.loc[[2, 5, 7], "mean"] += [3.0, 1.0, 9.0]
    v2.loc[10, "mean"] = np.nan
    v2.loc[11, "mean"] *= 1 + 1e-13
    comparison = compare_frames(tmp_path, EVERY_KIND, frame, v2)
    check_contracts(EVERY_KIND, comparison)
    first = cells_of(comparison, "mean", "first")
    assert first["instrument_key"].tolist() == [INSTRUMENTS[1], INSTRUMENTS[0], INSTRUMENTS[2]]
    assert first["row_key"].tolist() == [
        f"instrument_key={INSTRUMENTS[1]}, timestamp=2026-06-30 09:20:00+05:30",
        f"instrument_key={INSTRUMENTS[0]}, timestamp=2026-06-30 09:25:00+05:30",
        f"instrument_key={INSTRUMENTS[2]}, timestamp=2026-06-30 09:25:00+05:30",
    ]
    worst = cells_of(comparison, "mean", "worst")
    assert worst["absolute_difference"].tolist()[:3] == [9.0, 3.0, 1.0]
    assert worst["v1"].tolist() == ["257.0", "252.0", "255.0", "260.0"]
    assert pd.isna(worst["v2"].iloc[-1])
    result = column_row(comparison, "mean")
    assert result["cells_unequal"] == 4
    assert result["null_differences"] == 1
    assert result["cells_within_tolerance"] == 1
    assert result["worst_key"] == worst.at[0, "row_key"]


def test_an_unequal_cell_is_worse_than_a_larger_difference_within_tolerance(
    tmp_path, frame
) -> None:
    v1 = changed(frame, "mean", 1, 1e12)
    v2 = changed(changed(v1, "mean", 1, 1e12 + 100), "mean", 2, 253.0)
    comparison = compare_frames(tmp_path, EVERY_KIND, v1, v2)
    result = column_row(comparison, "mean")
    assert (result["worst_v1"], result["worst_v2"]) == ("252.0", "253.0")
    assert result["largest_absolute_difference"] == 100.0
    assert len(cells_of(comparison, "mean", "worst")) == 1


def test_the_sample_is_bounded_and_in_key_order_on_ties(tmp_path, frame) -> None:
    v2 = frame.assign(label="NON_MAMBA", mean=frame["mean"] + 1.0)
    comparison = compare_frames(tmp_path, EVERY_KIND, frame, v2, sample_cells=2)
    for column in ("label", "mean"):
        worst = cells_of(comparison, column, "worst")
        assert worst["rank"].tolist() == [1, 2]
        assert worst["row_key"].tolist() == [
            f"instrument_key={INSTRUMENTS[0]}, timestamp=2026-06-30 {time}:00+05:30"
            for time in ("09:15", "09:20")
        ]
        assert len(cells_of(comparison, column, "first")) == len(INSTRUMENTS)
        assert column_row(comparison, column)["cells_unequal"] == ROWS


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
