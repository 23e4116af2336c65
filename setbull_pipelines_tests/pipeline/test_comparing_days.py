"""Reconciliation of stored tables: a wrong V2 is seen everywhere, and nothing passes uncompared."""

from __future__ import annotations

from types import SimpleNamespace

import dagster as dg
import pandas as pd
import pytest

from setbull_pipelines import tables, variants
from setbull_pipelines.assets.checking import severity
from setbull_pipelines.pipeline import engine
from setbull_pipelines.pipeline.comparing_days import (
    DECISIONS,
    SUMMARY,
    outputs_of,
    read_findings,
    reconcile,
)
from setbull_pipelines.pipeline.drilling_down import drilled
from setbull_pipelines.pipeline.engine import StepRun
from setbull_pipelines.pipeline.judging import judge
from setbull_pipelines.pipeline.steps import STEPS
from setbull_pipelines.tables import Table
from setbull_pipelines.tables.contract import RELATIVE
from setbull_pipelines.tables.reconciliation import DIVERGED, NOT_COMPARABLE, PASS
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines_tests.pipeline.reconciled_table import (
    AGREES,
    ROUNDS,
    Reconciled,
    every_table,
    made_wrong,
)
from setbull_pipelines_tests.pipeline.small_run import (
    IN_FULL,
    PROVENANCE,
    SmallRun,
    forget,
    publish,
)

TAMPERED = {
    "candles_5min": "volume",
    "candles_daily": "close",
    "indicators_5min": "ema_50",
    "indicators_daily": "rsi",
    "bb_width_daily": "mean_bb_width",
    "bb_width_alerts": "lowest_bb_width",
    "moves_daily": "strength",
    "sequences": "total_volume",
    "sequence_analysis": "quality_score",
    "sequence_patterns": "frequency",
    "filter_results": "reason",
}
"""A column of each table in which one cell of V2 is made wrong."""
INPUTS = {
    "candles_5min": {"candles_1min"},
    "candles_daily": {"candles_1min", "candles_daily_history"},
    "indicators_5min": {"candles_5min"},
    "indicators_daily": {"candles_daily"},
    "bb_width_daily": {"indicators_5min"},
    "bb_width_alerts": {"indicators_5min", "bb_width_daily"},
    "moves_daily": {"candles_daily", "indicators_daily"},
    "sequences": {"moves_daily"},
    "sequence_analysis": {"moves_daily", "sequences"},
    "sequence_patterns": {"moves_daily", "sequences"},
    "filter_results": {"candles_daily", "indicators_daily", "sequence_analysis"},
}
"""What each table is computed from."""


def test_the_finished_run_agrees_and_compared_every_cell(small_run: SmallRun) -> None:
    summary = small_run.warehouse.read(SUMMARY)
    assert len(summary) == len(small_run.days) * len(tables.COMPUTED_TABLES)
    assert set(summary["state"]) == {PASS}
    for row in summary.itertuples():
        table = next(table for table in tables.COMPUTED_TABLES if table.name == row.table_name)
        day = f"{row.trading_day:%Y-%m-%d}"
        rows = small_run.warehouse.pointer(StoredTable("v1", table), day).rows
        assert row.cells_compared == rows * len(table.value_columns) > 0


def test_drift_inside_the_tolerance_passes_with_a_check_that_warns(copied_run: SmallRun) -> None:
    table, day = tables.INDICATORS_5MIN, copied_run.days[0]
    stored, rule = StoredTable("v2", table), ROUNDS[table.name]
    before = judge([rule], copied_run.warehouse, copied_run.settings, day)[rule.name]
    assert before.passed
    assert before.metadata["cells within the tolerance"] > 0
    right = copied_run.warehouse.read(stored, [day.isoformat()])
    drifted = right.assign(ema_50=right["ema_50"] * (1 + 5e-10))
    publish(copied_run.warehouse, stored, day.isoformat(), drifted)

    found = Reconciled(table, copied_run)

    assert found.verdict.state == PASS
    assert found.check.passed
    told = judge([rule], copied_run.warehouse, copied_run.settings, day)[rule.name]
    assert not told.passed
    assert severity(rule, told) is dg.AssetCheckSeverity.WARN
    cells = int(right["ema_50"].notna().sum())
    assert told.description == (
        "warning: ema_50 drifts inside its tolerance of 1e-09: largest difference 5e-10, noise floor 2.2e-16 "
        f"(measured), V2 above V1 in 100% of {cells:,} cells that differ by more than rounding"
    )
    assert told.description in found.check.description
    assert told.metadata["tolerances"] == "exact; relative 1e-09 + 0"


def test_v1_in_the_place_of_v2_is_told_though_it_agrees(copied_run: SmallRun) -> None:
    table, day = tables.INDICATORS_5MIN, copied_run.days[0]
    of_v1 = copied_run.warehouse.read(StoredTable("v1", table), [day.isoformat()])
    publish(copied_run.warehouse, StoredTable("v2", table), day.isoformat(), of_v1)

    found = Reconciled(table, copied_run)

    assert (found.verdict.state, found.check.passed) == (PASS, True)
    assert "have the same content hash; V2 has V1's bits in all" in found.check.description


def test_a_verdict_under_another_tolerance_is_made_again(
    copied_run: SmallRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, other, day = tables.INDICATORS_5MIN, tables.CANDLES_5MIN, copied_run.days[0]
    for unchanged in (table, other):
        (result,) = reconcile(unchanged, [day], copied_run.warehouse, copied_run.settings, "test")
        assert result.cached
    monkeypatch.setitem(RELATIVE.__dict__, "relative", 1e-2)
    (result,) = reconcile(table, [day], copied_run.warehouse, copied_run.settings, "test")
    assert not result.cached
    (result,) = reconcile(other, [day], copied_run.warehouse, copied_run.settings, "test")
    assert result.cached
    (verdict,) = read_findings(table, day, copied_run.warehouse).verdict.itertuples()
    assert verdict.tolerances == "exact; relative 0.01 + 0"


@every_table
def test_one_wrong_cell_of_v2_is_a_divergence(table: Table, copied_run: SmallRun) -> None:
    day, column = copied_run.days[0].isoformat(), TAMPERED[table.name]
    stored = StoredTable("v2", table)
    right = copied_run.warehouse.read(stored, [day])
    wrong = made_wrong(right, table, column)
    publish(copied_run.warehouse, stored, day, wrong)

    found = Reconciled(table, copied_run)

    unequal = found.columns.set_index("column_name")["cells_unequal"]
    assert unequal[unequal > 0].to_dict() == {column: 1}
    assert set(found.cells["column_name"]) == {column}
    assert found.verdict.state == DIVERGED
    assert found.verdict.cells_unequal == 1
    assert column in found.verdict.reason
    (cause,) = found.causes.itertuples()
    assert cause.column_names == column
    assert cause.diagnosis == "single cell"
    assert f"single cell in {cause.sentence}" in found.check.description
    assert {name for name, state in found.states.items() if state != PASS} == {table.name}
    assert found.states[table.name] == DIVERGED
    assert not found.check.passed
    assert found.check.description == found.verdict.reason
    assert found.severity is dg.AssetCheckSeverity.ERROR
    ((instrument, differing, unequal_cells),) = found.findings.instruments[
        ["instrument_key", "column_name", "cells_unequal"]
    ].itertuples(index=False)
    assert (differing, unequal_cells) == (column, 1)
    windows = found.findings.windows
    assert set(windows["instrument_key"]) == {instrument}
    assert set(windows["input_table"]) <= INPUTS[table.name]
    # Only the result was made wrong.
    assert windows["is_equal"].all()
    assert len(windows)
    assert windows["first_difference"].isna().all()


def test_what_is_told_of_a_divergence_is_stored_only_while_there_is_one(
    copied_run: SmallRun,
) -> None:
    table, day = tables.INDICATORS_5MIN, copied_run.days[0]
    key, stored = day.isoformat(), StoredTable("v2", table)

    def rows() -> list[int | None]:
        pointers = [copied_run.warehouse.pointer(item, key) for item in drilled(table)]
        return [pointer and pointer.rows for pointer in pointers]

    assert rows() == [None, None, None]
    right = copied_run.warehouse.read(stored, [key])
    publish(copied_run.warehouse, stored, key, made_wrong(right, table, "ema_50"))
    list(reconcile(table, [day], copied_run.warehouse, copied_run.settings, "test"))
    bars = copied_run.settings.reconciliation.chart_bars
    assert rows() == [1, 2 * 5 * len(tables.CANDLES_5MIN.value_columns), bars]

    publish(copied_run.warehouse, stored, key, right)
    list(reconcile(table, [day], copied_run.warehouse, copied_run.settings, "test"))
    assert rows() == [0, 0, 0]


def test_windows_follow_the_inputs_also_when_the_result_stays(copied_run: SmallRun) -> None:
    table, day = tables.INDICATORS_5MIN, copied_run.days[0]
    key, lane = day.isoformat(), StoredTable("v2", table)
    right = copied_run.warehouse.read(lane, [key])
    wrong = made_wrong(right, table, "ema_50")
    publish(copied_run.warehouse, lane, key, wrong)
    assert Reconciled(table, copied_run).findings.windows["is_equal"].all()

    candles = StoredTable("v2", tables.CANDLES_5MIN)
    read = copied_run.warehouse.read(candles, [key])
    publish(copied_run.warehouse, candles, key, read.assign(volume=read["volume"] + 1))
    provenance = {**PROVENANCE, "inputs": {"v2.candles_5min": "changed"}}
    copied_run.warehouse.publish(lane, key, wrong, **provenance)

    windows = Reconciled(table, copied_run).findings.windows
    assert set(windows.loc[~windows["is_equal"], "input_column"]) == {"volume"}
    assert windows["first_difference"].notna().all()


def test_a_wrong_function_of_v2_is_a_divergence(
    copied_run: SmallRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def to_5min_that_forgets_a_share(minutes: pd.DataFrame, settings) -> pd.DataFrame:
        bars = variants.V2.to_5min(minutes, settings)
        return bars.assign(volume=bars["volume"] - 1)

    monkeypatch.setattr(engine, "variant_code_version", lambda name: "wrong")
    wrong = SimpleNamespace(name="v2", prepare=lambda: None, to_5min=to_5min_that_forgets_a_share)
    step = next(step for step in STEPS if step.name == "candles_5min")
    run = StepRun(step, wrong, copied_run.warehouse, copied_run.settings, "test", IN_FULL)
    (result,) = run.over([copied_run.days[0]])
    rows = result.pointers["candles_5min"].rows

    found = Reconciled(tables.CANDLES_5MIN, copied_run)

    assert found.verdict.state == DIVERGED
    assert found.verdict.cells_unequal == rows > 0
    assert found.causes["diagnosis"].tolist() == ["constant offset"]
    assert "V2 is V1 -1" in found.check.description
    assert not found.check.passed


@every_table
def test_no_row_on_either_side_is_a_warning_and_no_pass(table: Table, copied_run: SmallRun) -> None:
    for variant in ("v1", "v2"):
        stored = StoredTable(variant, table)
        publish(copied_run.warehouse, stored, copied_run.days[0].isoformat(), table.empty())

    found = Reconciled(table, copied_run)

    assert found.verdict.state == NOT_COMPARABLE
    assert found.verdict.cells_compared == 0
    assert found.states[table.name] == NOT_COMPARABLE
    assert not found.check.passed
    assert found.severity is dg.AssetCheckSeverity.WARN


@pytest.mark.parametrize("missing", ["v1", "v2"])
@every_table
def test_a_missing_side_is_an_error(table: Table, missing: str, copied_run: SmallRun) -> None:
    forget(copied_run.warehouse, StoredTable(missing, table), copied_run.days[0])

    found = Reconciled(table, copied_run)

    assert found.verdict.state == NOT_COMPARABLE
    assert missing.upper() in found.verdict.reason
    assert not found.check.passed
    assert found.severity is dg.AssetCheckSeverity.ERROR


@pytest.mark.parametrize("emptied", ["v1", "v2"])
def test_rows_on_one_side_only_are_an_error(emptied: str, copied_run: SmallRun) -> None:
    table = tables.FILTER_RESULTS
    publish(
        copied_run.warehouse,
        StoredTable(emptied, table),
        copied_run.days[0].isoformat(),
        table.empty(),
    )
    found = Reconciled(table, copied_run)
    assert found.verdict.state != PASS
    assert not found.check.passed
    assert found.severity is dg.AssetCheckSeverity.ERROR


def test_a_changed_filter_decision_is_stored(copied_run: SmallRun) -> None:
    day = copied_run.days[0].isoformat()
    assert copied_run.warehouse.read(DECISIONS, [day]).empty
    stored = StoredTable("v2", tables.FILTER_RESULTS)
    results = copied_run.warehouse.read(stored, [day])
    wrong = results.assign(
        verdict=results["verdict"].where(results.index > 0, "rejected"),
        reason=results["reason"].where(results.index > 0, "because"),
    )
    assert results.at[0, "verdict"] == "bullish"
    publish(copied_run.warehouse, stored, day, wrong)

    Reconciled(tables.FILTER_RESULTS, copied_run)

    changes = copied_run.warehouse.read(DECISIONS, [day])
    (decision,) = changes[changes["change"] == "leaves bullish"].itertuples()
    assert decision.instrument_key == results.at[0, "instrument_key"]
    assert decision.reason_v2 == "because"


def test_a_verdict_that_compared_too_little_does_not_pass_the_check(copied_run: SmallRun) -> None:
    day = copied_run.days[0]
    verdicts = outputs_of(tables.CANDLES_5MIN)[2]
    flattering = copied_run.warehouse.read(verdicts, [day.isoformat()])
    publish(
        copied_run.warehouse,
        verdicts,
        day.isoformat(),
        flattering.assign(cells_compared=flattering["cells_compared"] - 1),
    )
    rule = AGREES["candles_5min"]
    verdict = judge([rule], copied_run.warehouse, copied_run.settings, day)[rule.name]
    assert not verdict.passed
    assert "cells compared" in verdict.description


def test_equal_sides_are_not_compared_twice_and_a_changed_side_is(copied_run: SmallRun) -> None:
    table, day = tables.SEQUENCES, copied_run.days[0]

    def is_cached() -> bool:
        (result,) = reconcile(table, [day], copied_run.warehouse, copied_run.settings, "test")
        return result.cached

    assert is_cached()
    stored = StoredTable("v2", table)
    wrong = made_wrong(
        copied_run.warehouse.read(stored, [day.isoformat()]), table, TAMPERED[table.name]
    )
    publish(copied_run.warehouse, stored, day.isoformat(), wrong)
    assert not is_cached()
    assert is_cached()
