"""What a verdict that passes must warn of: drift inside the tolerance, and bits that are too equal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from setbull_pipelines.reconciliation.drift import ROUNDED_APART, with_warnings
from setbull_pipelines.reconciliation.noise import NoiseFloor, measured, with_noise
from setbull_pipelines.reconciliation.outcome import Comparison
from setbull_pipelines.reconciliation.report import markdown_columns
from setbull_pipelines.tables import COMPUTED_TABLES, INDICATORS_5MIN, Table
from setbull_pipelines.tables.contract import Kind
from setbull_pipelines.tables.reconciliation import PASS, RECONCILIATION_SUMMARY, RECONCILIATIONS
from setbull_pipelines_tests.reconciliation.partition_files import column_row, compare_frames, write


def judged(
    folder: Path, table: Table, v1: pd.DataFrame, v2: pd.DataFrame, noise: float | None = 0.0
) -> Comparison:
    """V1 against V2 with everything that a run tells; V1 itself is ``noise`` apart, or never measured (None)."""
    files = [write(table, v1, folder / "v1-alone.parquet")]
    floor = None
    if noise is not None:
        other = v1.copy()
        floats = [column.name for column in table.value_columns if column.tolerance.relative]
        other[floats] *= 1 + noise
        floor = measured(compare_frames(folder / "noise", table, v1, other))
        assert isinstance(floor, NoiseFloor)
    compared = with_noise(compare_frames(folder / "sides", table, v1, v2), floor)
    found = with_warnings(compared, table, floor, files)
    RECONCILIATIONS[table.name].schema.validate(found.columns)
    RECONCILIATION_SUMMARY.schema.validate(found.summary)
    assert found.summary.at[0, "reason"] == found.reason
    return found


def warning(found: Comparison) -> str | None:
    text = found.summary.at[0, "warning"]
    return None if pd.isna(text) else text


@pytest.mark.parametrize("table", COMPUTED_TABLES, ids=lambda table: table.name)
def test_the_rounding_of_the_two_variants_is_no_drift(tmp_path, variants, table) -> None:
    found = judged(tmp_path, table, variants[0][table.name], variants[1][table.name])
    assert (found.state, warning(found)) == (PASS, None)
    assert found.reason.endswith("rows agree")


@pytest.mark.parametrize("side", [1, -1])
def test_one_cell_far_above_the_noise_floor_passes_with_a_warning(tmp_path, variants, side) -> None:
    v1, v2 = (variant["indicators_5min"] for variant in variants)
    v2 = v2.copy()
    v2.loc[2000, "ema_50"] *= 1 + side * 5e-10
    found = judged(tmp_path, INDICATORS_5MIN, v1, v2)
    assert found.state == PASS
    sentence = warning(found)
    where = "above" if side > 0 else "below"
    assert sentence == (
        "warning: ema_50 drifts inside its tolerance of 1e-09: largest difference 5e-10, noise floor 2.2e-16 "
        f"(measured), V2 {where} V1 in 100% of 1 cells that differ by more than rounding"
    )
    assert sentence in found.reason
    assert sentence in markdown_columns(found.columns, found.cells)
    row = column_row(found, "ema_50")
    assert row["warning"] == sentence
    assert row["largest_within_tolerance"] == pytest.approx(5e-10, rel=1e-5)
    assert (row["relative_tolerance"], row["absolute_tolerance"]) == (1e-9, 0)
    assert found.columns["warning"].notna().sum() == 1


def test_what_is_far_is_told_by_the_measured_floor(tmp_path, variants) -> None:
    v1, v2 = (variant["indicators_5min"] for variant in variants)
    v2 = v2.assign(rsi=v2["rsi"] * (1 + 5e-12 * np.sin(np.arange(len(v2)) ** 2)))
    assert "rsi drifts" in (warning(judged(tmp_path / "exact", INDICATORS_5MIN, v1, v2)) or "")
    noisy = judged(tmp_path / "noisy", INDICATORS_5MIN, v1, v2, noise=1e-13)
    assert warning(noisy) is None
    assert column_row(noisy, "rsi")["noise_floor"] == pytest.approx(1e-13, rel=0.01)
    unmeasured = judged(tmp_path / "unmeasured", INDICATORS_5MIN, v1, v2, noise=None)
    assert "(not measured, rounding of a float)" in (warning(unmeasured) or "")
    assert unmeasured.columns["noise_floor"].isna().all()


@pytest.mark.parametrize(
    ("cells", "both_sides", "size", "is_told"),
    [
        (20, False, 1e-13, True),
        (19, False, 1e-13, False),
        (20, True, 1e-13, False),
        (2000, False, 5e-15, False),
    ],
)
def test_small_differences_to_one_side_are_drift_when_they_are_too_many_for_chance(
    tmp_path, variants, cells, both_sides, size, is_told
) -> None:
    v1 = variants[0]["indicators_5min"]
    valued = v1.index[v1["ema_20"].notna()][:cells]
    v2 = variants[1]["indicators_5min"].copy()
    v2.loc[valued, "ema_20"] *= 1 + size
    if both_sides:
        v2.loc[valued[0], "ema_20"] *= 1 - 2 * size
    found = judged(tmp_path, INDICATORS_5MIN, v1, v2)
    assert found.state == PASS
    assert (warning(found) is not None) == is_told
    if is_told:
        assert f"V2 above V1 in 100% of {cells} cells" in found.reason


def test_a_percentage_near_0_is_measured_as_its_tolerance_is(tmp_path, variants) -> None:
    """1e-12 percent beside 0 percent is the rounding of two widths; its relative difference is 1."""
    (table,) = (table for table in COMPUTED_TABLES if table.name == "bb_width_alerts")
    v1 = variants[0][table.name].copy()
    row = v1.index[v1["distance_from_lowest_percent"].notna()][0]
    v1.loc[row, "distance_from_lowest_percent"] = 0.0
    v2 = v1.copy()
    v2.loc[row, "distance_from_lowest_percent"] = 1e-12
    assert warning(judged(tmp_path / "rounding", table, v1, v2)) is None
    v2.loc[row, "distance_from_lowest_percent"] = 1e-7
    told = warning(judged(tmp_path / "drift", table, v1, v2))
    assert told is not None
    assert "largest difference 5e-10" in told


def test_a_divergence_keeps_its_reason_and_the_warning_of_the_other_columns(
    tmp_path, variants
) -> None:
    v1, v2 = (variant["indicators_5min"] for variant in variants)
    v2 = v2.copy()
    v2.loc[2000, "ema_50"] *= 1 + 5e-10
    v2.loc[2000, "atr"] *= 2
    found = judged(tmp_path, INDICATORS_5MIN, v1, v2)
    assert found.state == "diverged"
    assert "drifts" not in found.reason
    assert "ema_50 drifts" in (warning(found) or "")


@pytest.mark.parametrize("name", ROUNDED_APART)
def test_bits_that_are_all_equal_are_told_where_the_variants_round_differently(
    tmp_path, variants, name
) -> None:
    (table,) = (table for table in COMPUTED_TABLES if table.name == name)
    v1, v2 = (variant[name] for variant in variants)
    for column in ROUNDED_APART[name]:
        valued = v1[column].notna()
        # Otherwise equal bits would be nothing to wonder about.
        assert (v1[column] != v2[column])[valued].mean() > 0.5, column
    copied = judged(tmp_path / "copied", table, v1, v1.copy())
    values = int(v1[list(ROUNDED_APART[name])].notna().sum().sum())
    assert (copied.state, warning(copied)) == (PASS, None)
    assert f"V2 has V1's bits in all {values:,} values of rsi and atr" in copied.reason
    few = judged(tmp_path / "few", table, v1[:20], v1[:20].copy())
    assert few.reason.endswith("rows agree")
    rsi_only = judged(tmp_path / "rsi only", table, v1, v1.assign(atr=v2["atr"]))
    assert rsi_only.reason.endswith("rows agree")


def test_equal_bits_of_other_tables_are_ordinary(tmp_path, variants) -> None:
    for table in COMPUTED_TABLES:
        if table.name not in ROUNDED_APART:
            v1 = variants[0][table.name]
            assert judged(tmp_path / table.name, table, v1, v1.copy()).reason.endswith("agree")


def test_the_tolerances_in_force_are_part_of_the_verdict(tmp_path, variants) -> None:
    for table in COMPUTED_TABLES:
        v1 = variants[0][table.name]
        found = compare_frames(tmp_path / table.name, table, v1, v1.copy())
        assert len(found.columns) == len(table.value_columns)
        for row in found.columns.itertuples():
            tolerance = table.column(row.column_name).tolerance
            assert row.relative_tolerance == tolerance.relative
            assert row.absolute_tolerance == tolerance.absolute
        told = found.summary.at[0, "tolerances"]
        assert "exact" in told
        if any(column.kind is Kind.FLOAT and column.tolerance.relative for column in table.columns):
            assert "1e-09" in told
