"""Rows that only one side has, that come twice, or that are missing: what the comparison makes of them."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from setbull_pipelines.reconciliation.compare import compare
from setbull_pipelines.reconciliation.diagnosis import ROW
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
    write,
)


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
