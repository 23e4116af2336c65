"""The comparison finds every known way in which the two old implementations differed, and names it.

The mutants are those of the product's own self-test: each takes the true output of V2 and makes one
detail wrong. All days are published as one partition, because some faults show in the first session
only and others from the second on.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from setbull_pipelines.cli.main import main
from setbull_pipelines.reconciliation.diagnosis import CAUSE_SHAPES, ECHO, UNKNOWN
from setbull_pipelines.reconciliation.extent_shapes import EXTENT_SHAPES
from setbull_pipelines.reconciliation.row_shapes import ROW_SHAPES
from setbull_pipelines.reconciliation.self_test import score
from setbull_pipelines.reconciliation.self_test.generic_mutants import (
    ROW_NUMBER,
    VALUES,
    last_agreeing,
)
from setbull_pipelines.reconciliation.self_test.market import RISING
from setbull_pipelines.reconciliation.self_test.score import MUTANTS, outcome_of
from setbull_pipelines.tables import COMPUTED_TABLES, INDICATORS_5MIN, SEQUENCE_ANALYSIS
from setbull_pipelines.variants import V1, V2
from setbull_pipelines_tests.reconciliation.partition_files import (
    TRADING_DAY,
    check_contracts,
    column_row,
    compare_frames,
    diverged_columns,
)

ROW_MUTANTS = {
    "38 three bars stored of every 75": (72 * 36, 0),
    "45 off-session bar added": (0, 1),
    "45 off-session bar instead of the last": (1, 1),
    "bars without volume left out": (24, 0),
    "one instrument lost": (900, 0),
    "49 the key of the first row for all rows": (1800, 0),
}
"""Rows that only V1 and only V2 must have."""


def mutant_called(name: str) -> score.Mutant:
    (mutant,) = (mutant for mutant in MUTANTS if mutant.name == name)
    return mutant


@pytest.mark.parametrize("table", COMPUTED_TABLES, ids=lambda table: table.name)
def test_without_a_fault_both_variants_agree(tmp_path, variants, table) -> None:
    v1, v2 = variants
    comparison = compare_frames(tmp_path, table, v1[table.name], v2[table.name])
    check_contracts(table, comparison)
    assert comparison.state == "pass", comparison.reason
    assert comparison.diagnoses.empty
    cells = len(v1[table.name]) * len(table.value_columns)
    assert comparison.summary.at[0, "cells_compared"] == cells > 0


@pytest.fixture(scope="module")
def outcome(variants, tmp_path_factory) -> Callable[[str], score.Outcome]:
    """The outcome of a mutant, compared once for all tests."""
    folder = tmp_path_factory.mktemp("outcomes")
    return cache(lambda name: outcome_of(mutant_called(name), *variants, folder))


@pytest.mark.parametrize("name", [mutant.name for mutant in MUTANTS])
def test_a_fault_diverges_in_its_columns_and_no_other_and_is_named(outcome, name) -> None:
    mutant, outcome = mutant_called(name), outcome(name)
    assert outcome.state == "diverged"
    assert outcome.columns_diverged == set(mutant.diagnoses) - {"(row)"}
    assert dict(outcome.found) == dict(mutant.diagnoses)
    assert outcome.is_caught
    assert outcome.is_diagnosed


@pytest.mark.parametrize("name", [mutant.name for mutant in MUTANTS[::9]])
def test_the_tables_of_a_fault_fulfil_their_contracts(tmp_path, variants, name) -> None:
    v1, v2 = variants
    mutant = mutant_called(name)
    table = mutant.table
    comparison = compare_frames(tmp_path, table, v1[table.name], mutant.applied_to(v2))
    check_contracts(table, comparison)
    assert comparison.diagnoses.at[0, "sentence"] in comparison.reason
    listed = comparison.cells.groupby("column_name")["role"].agg(set)
    assert dict(listed) == {column: {"first", "worst"} for column in mutant.diagnoses}


def test_one_trading_day_at_a_time_every_fault_is_caught_and_none_misnamed(outcome) -> None:
    """What production compares: the figures of the command and the check, held to what they must reach."""
    days = score.SelfTest(tuple(outcome(mutant.name) for mutant in MUTANTS), ()).days
    assert days.visible == days.mutants >= 109
    assert days.visible_on_an_ordinary_day >= 88
    assert days.caught == days.visible
    assert days.misnamed == 0
    assert days.named >= 95
    assert f"caught {days.caught}, named {days.named}, of unknown shape" in days.sentence
    page = Path(__file__).parents[2] / "docs" / "choices.md"
    assert days.sentence in " ".join(page.read_text("utf-8").split())


@pytest.mark.run
@pytest.mark.usefixtures("market_computed_once")
def test_the_command_tells_a_score_of_100_percent(outcome, monkeypatch, tmp_path) -> None:
    """Of the outcomes above. What the command computes by itself is in ``cli/test_self_test.py``."""
    monkeypatch.setattr(score, "outcome_of", lambda mutant, *market: outcome(mutant.name))
    monkeypatch.setattr(score, "NOISE_SEEDS", (1,))
    variables = {"COLUMNS": "200", "SETBULL_DATA_DIR": str(tmp_path), "SETBULL_SETTINGS": ""}
    result = CliRunner().invoke(main, ["self-test"], env=variables)
    assert result.exit_code == 0, result.output
    total = len(MUTANTS)
    assert re.search(rf"caught {total} of {total}, diagnosed {total} of {total}", result.output)
    assert "false alarms 0 of 33" in result.output
    days = re.search(
        r"of (\d+) faults in tables compared per day, (\d+) are visible on a single day .*caught (\d+), named (\d+), "
        r"of unknown shape (\d+), misnamed 0",
        " ".join(result.output.split()),
    )
    assert days, result.output
    faults, visible, caught, named, unknown = map(int, days.groups())
    assert faults == sum(mutant.has_days for mutant in MUTANTS) == visible == caught
    assert named + unknown == caught
    assert "not named by the rows of one trading day" in result.output
    assert "V1 against V1, row order 1" in result.output


def test_a_single_day_without_a_restart_is_named(outcome) -> None:
    day = outcome("7 VWAP never reset").one_day
    assert day.is_ordinary
    assert dict(day.found) == {"vwap": "missing daily reset"}


def test_a_day_that_lets_a_fault_pass_fails_the_self_test(outcome) -> None:
    right = outcome("7 VWAP never reset")
    passed = replace(right, one_day=replace(right.one_day, state="pass", found={}))
    result = score.SelfTest((right, passed), ())
    assert (result.days.caught, result.days.named, result.failures) == (1, 1, [passed])
    renamed = replace(right.one_day, found={"vwap": "shift"})
    assert (renamed.is_caught, renamed.is_named, renamed.is_misnamed) == (True, False, True)
    unnamed = replace(right.one_day, found={"vwap": "unknown shape"})
    assert (unnamed.is_caught, unnamed.is_named, unnamed.is_misnamed) == (True, False, False)


def test_every_recogniser_is_proven_by_a_mutant() -> None:
    shapes = (*ROW_SHAPES, *CAUSE_SHAPES, *EXTENT_SHAPES)
    names = [shape.name for shape in shapes]
    assert len(set(names)) == len(names) >= 35
    proven = {name for mutant in MUTANTS for name in mutant.diagnoses.values()}
    assert proven == {*names, ECHO, UNKNOWN}


def test_names_of_mutants_are_unique_and_most_faults_have_a_known_shape() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 100
    unknown = [mutant for mutant in MUTANTS if UNKNOWN in mutant.diagnoses.values()]
    # Four of them are of the band widths: a statistic or a count over other bands follows from no cell of the row.
    assert len(unknown) <= 13


@pytest.mark.usefixtures("market_computed_once")
def test_a_comparison_that_finds_nothing_fails_the_self_test(monkeypatch) -> None:
    monkeypatch.setattr(score, "MUTANTS", MUTANTS[:2])
    monkeypatch.setattr(score, "NOISE_SEEDS", (1,))
    monkeypatch.setattr(score.Mutant, "applied_to", lambda mutant, v2: v2[mutant.table.name])
    result = score.run_self_test()
    assert (result.caught, result.diagnosed, len(result.failures)) == (0, 0, 2)
    assert not result.is_perfect


@pytest.mark.usefixtures("market_computed_once")
def test_the_noise_floor_is_recorded_and_row_order_changes_nothing(monkeypatch) -> None:
    monkeypatch.setattr(score, "MUTANTS", MUTANTS[:1])
    monkeypatch.setattr(score, "NOISE_SEEDS", (7,))
    result = score.run_self_test()
    assert result.is_perfect
    names = {control.name for control in result.controls}
    assert names == {
        "V1 against V2",
        "V1 against V1, row order 7",
        "V2 against V2, row order 7",
    }
    assert len(result.controls) == 3 * len(COMPUTED_TABLES)
    for control in result.controls:
        assert control.cells_compared > 0
        if "row order" in control.name:
            assert control.cells_identical == control.cells_compared
            assert control.largest_relative_difference == 0


def test_55_continuity_that_ignores_a_gap_of_0(tmp_path, variants) -> None:
    moves, runs = variants[1]["moves_daily"], variants[1]["sequences"].copy()
    runs.loc[0, "gap_days_to_next"] = 0
    v1, _ = V1.sequence_analysis(moves, runs)
    v2, _ = V2.sequence_analysis(moves, runs)
    agreeing = compare_frames(tmp_path / "a", SEQUENCE_ANALYSIS, v1, v2)
    assert agreeing.state == "pass"
    gaps = runs.loc[runs["instrument_key"] == RISING, "gap_days_to_next"].dropna()
    v2.loc[v2["instrument_key"] == RISING, "continuity_score"] = 1 - gaps[gaps > 0].mean() / 5
    comparison = compare_frames(tmp_path / "b", SEQUENCE_ANALYSIS, v1, v2)
    assert diverged_columns(comparison) == {"continuity_score"}
    assert column_row(comparison, "continuity_score")["cells_unequal"] == 1
    assert comparison.diagnoses["diagnosis"].tolist() == ["single cell"]


@pytest.mark.parametrize("name", ROW_MUTANTS)
def test_a_wrong_set_of_rows_is_counted(tmp_path, variants, name) -> None:
    v1, v2 = variants
    mutant = mutant_called(name)
    table = mutant.table
    comparison = compare_frames(tmp_path, table, v1[table.name], mutant.applied_to(v2))
    summary = comparison.summary.iloc[0]
    assert (summary["rows_only_v1"], summary["rows_only_v2"]) == ROW_MUTANTS[name]
    assert "(row)" in set(comparison.cells["column_name"])
    assert ("a key occurs more than once" in comparison.reason) == name.startswith("49")


def test_one_cell_among_48600_is_found(tmp_path, variants) -> None:
    v1, v2 = variants
    faulty = mutant_called("one cell").applied_to(v2)
    comparison = compare_frames(tmp_path, INDICATORS_5MIN, v1["indicators_5min"], faulty)
    summary = comparison.summary.iloc[0]
    assert (summary["cells_unequal"], summary["cells_compared"]) == (1, 48_600)
    row = column_row(comparison, "ema_20")
    assert (row["instruments"], row["instruments_affected"]) == (3, 1)
    assert row["share_of_instruments_affected"] == pytest.approx(1 / 3)
    cells = comparison.cells
    assert cells["role"].tolist() == ["first", "worst"]
    assert cells["row_key"].nunique() == 1
    assert str(faulty.at[ROW_NUMBER, "timestamp"]) in cells["row_key"].iloc[0]


def test_one_wrong_row_is_one_cell_per_column(tmp_path, variants) -> None:
    v1, v2 = variants
    faulty = mutant_called("one row with the values of the next").applied_to(v2)
    comparison = compare_frames(tmp_path, INDICATORS_5MIN, v1["indicators_5min"], faulty)
    assert diverged_columns(comparison) == set(VALUES)
    assert (comparison.columns["cells_unequal"].isin([0, 1])).all()


def test_one_wrong_instrument_is_all_its_cells(tmp_path, variants) -> None:
    v1, v2 = variants
    faulty = mutant_called("one instrument with the values of another").applied_to(v2)
    comparison = compare_frames(tmp_path, INDICATORS_5MIN, v1["indicators_5min"], faulty)
    assert column_row(comparison, "atr")["cells_unequal"] == 900 - 14
    assert set(comparison.cells["instrument_key"]) == {RISING}


@pytest.mark.parametrize("beyond", [False, True])
def test_one_float_within_and_one_beyond_the_tolerance(tmp_path, variants, beyond) -> None:
    v1, v2 = variants
    faulty = v2["indicators_5min"].copy()
    last = last_agreeing(v1["indicators_5min"].at[1234, "ema_50"])
    faulty.loc[1234, "ema_50"] = np.nextafter(last, np.inf) if beyond else last
    comparison = compare_frames(tmp_path, INDICATORS_5MIN, v1["indicators_5min"], faulty)
    assert comparison.state == ("diverged" if beyond else "pass")
    assert diverged_columns(comparison) == ({"ema_50"} if beyond else set())


def test_a_side_that_lost_its_partition_never_passes(tmp_path, variants) -> None:
    v1, _ = variants
    comparison = compare_frames(
        tmp_path, INDICATORS_5MIN, v1["indicators_5min"], INDICATORS_5MIN.empty()
    )
    assert comparison.state == "diverged"
    assert comparison.summary.at[0, "cells_compared"] == 0
    assert comparison.summary.at[0, "trading_day"] == TRADING_DAY
    assert comparison.diagnoses["diagnosis"].tolist() == ["empty side"]
