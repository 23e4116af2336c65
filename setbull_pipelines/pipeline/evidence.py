"""What the stored tables say about a component of the rollout on one trading day.

Belongs here: gathering evidence. Does not belong here: deciding what it does (``rollout/``), the log, serving,
Dagster, a clock.

What no table records of the rows that are stored now is not measured, and missing evidence never passes. A session is
judged before it is served: nothing of its evidence is read from served tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.pipeline import metrics, serving
from setbull_pipelines.pipeline.compared import compared_inputs, failures_of
from setbull_pipelines.pipeline.comparing_days import (
    SUMMARY,
    explanations_of,
    failed_in_v1_alone,
    named,
    outputs_of,
)
from setbull_pipelines.pipeline.lanes import Part, part_of
from setbull_pipelines.pipeline.steps import STEPS
from setbull_pipelines.pipeline.versions import combined, variant_code_version
from setbull_pipelines.quality.contract import contract_rules
from setbull_pipelines.quality.processing import TABLES_OF, Figures, figures
from setbull_pipelines.rollout.bucketing import Variant
from setbull_pipelines.rollout.evidence import Evidence
from setbull_pipelines.rollout.stages import Component, Stage
from setbull_pipelines.settings import RolloutSettings, Settings, fingerprint
from setbull_pipelines.tables import Table
from setbull_pipelines.tables.reconciliation import DIVERGED, NOT_COMPARABLE
from setbull_pipelines.warehouse.errors import ContractViolation
from setbull_pipelines.warehouse.pointers import Pointer, StoredTable
from setbull_pipelines.warehouse.store import Warehouse

_GROUPS_OF = {table.name: step.settings_groups for step in STEPS for table in step.outputs}


def settings_hash_of(component: Component, settings: Settings) -> str:
    """Hash of the settings that the results of ``component`` depend on."""
    return combined(
        fingerprint(*_GROUPS_OF[table.name](settings)) for table in TABLES_OF[component]
    )


def evidence_of(
    component: Component,
    day: date,
    stage: Stage,
    summary: pd.DataFrame,
    inputs_in_doubt: str | None,
    warehouse: Warehouse,
    settings: Settings,
) -> Evidence:
    """What the stored tables say about ``component`` on ``day``; ``summary`` is indexed by table name.

    ``inputs_in_doubt`` is what ``doubted_inputs`` says of the day.

    A summary of other rows than the stored ones, an absent V2, or a part of V1 in a stage that runs it in full,
    measures nothing. Where V1 ran on a sample, instruments, rows and cells are those of the sample; of a retired V1
    they are V2's, and no cell can be compared.
    """
    compared = TABLES_OF[component]
    pointers = [_pointer(warehouse, StoredTable("v2", table), day) for table in compared]
    parts = [_v1_part(table, day, warehouse) for table in compared]
    cut_back = [part for part in parts if part]
    if (
        None in pointers
        or not _is_of_stored_rows(compared, day, warehouse)
        or (cut_back and stage.runs_v1_in_full)
    ):
        return Evidence(
            component,
            day,
            stage,
            variant_code_version("v2"),
            settings_hash_of(component, settings),
        )
    versions = sorted({pointer.code_version for pointer in pointers})
    of_component = summary.loc[[table.name for table in compared]]
    comparable = not (of_component["state_of_compared"] == NOT_COMPARABLE).any()
    retired = not all(part.percentage for part in cut_back)
    counted = "v2" if retired else "v1"
    rows = [_pointer(warehouse, StoredTable(counted, table), day).rows for table in compared]
    keys = {lane: _instruments(compared, lane, day, warehouse) for lane in ("v1", "v2")}
    return Evidence(
        component=component,
        session=day,
        stage=stage,
        code_version=versions[0] if len(versions) == 1 else combined(versions),
        settings_hash=combined(pointer.settings_hash for pointer in pointers),
        instruments=len(keys[counted]),
        rows=sum(rows),
        cohort=_cohort(component, stage, keys["v2"], warehouse, settings.rollout),
        cells_expected=None if retired else int(of_component["cells_expected"].sum()),
        cells_compared=int(of_component["cells_compared"].sum()) if comparable else None,
        cells_unequal=None
        if retired
        else sum(_unequal_cells(table, summary.loc[table.name]) for table in compared),
        decision_differences=_decision_differences(day, warehouse),
        schema_failures=sum(
            _schema_failures(table, day, warehouse, settings) for table in compared
        ),
        likely_cause=_likely_cause(compared, day, warehouse),
        not_compared=_not_compared(compared, day, warehouse),
        inputs_in_doubt=inputs_in_doubt,
        **_figures(component, day, keys["v1"] | keys["v2"], warehouse, settings),
    )


def _pointer(warehouse: Warehouse, stored: StoredTable, day: date) -> Pointer | None:
    return warehouse.pointer(stored, day.isoformat())


def _is_of_stored_rows(compared: Sequence[Table], day: date, warehouse: Warehouse) -> bool:
    """Whether the summary was made from the verdicts, and these from the rows, that are stored now."""
    summarized = _pointer(warehouse, SUMMARY, day).inputs
    for table in compared:
        verdict = outputs_of(table)[2]
        found = _pointer(warehouse, verdict, day)
        lanes = {lane: _pointer(warehouse, StoredTable(lane, table), day) for lane in ("v1", "v2")}
        if None in (found, *lanes.values()):
            return False
        if summarized.get(verdict.name) != found.content_hash:
            return False
        if found.inputs != compared_inputs(table, lanes):
            return False
    return True


def _likely_cause(compared: Sequence[Table], day: date, warehouse: Warehouse) -> str | None:
    """The most specific cause of the first table that has one: what comes after can be its consequence."""
    for table in compared:
        causes = warehouse.read(explanations_of(table)[0], [day.isoformat()])
        if len(causes):
            first = causes.loc[causes["rank"].idxmin()]
            return f"{first['diagnosis']} in {first['column_names']} of {table.name}"
    return None


def _figures(
    component: Component,
    day: date,
    instruments: set[str],
    warehouse: Warehouse,
    settings: Settings,
) -> Figures:
    """What the stored rows took."""
    lanes = [StoredTable(lane, table) for lane in ("v1", "v2") for table in TABLES_OF[component]]
    return figures(component, *metrics.measured(lanes, day, warehouse), instruments, settings)


def _not_compared(compared: Sequence[Table], day: date, warehouse: Warehouse) -> str | None:
    """The instruments that V1 alone failed for, with the error; None without one."""
    failures = {}
    for table in compared:
        failures = failed_in_v1_alone(table, day, warehouse) | failures
    return named(failures, "V1") if failures else None


def _v1_part(table: Table, day: date, warehouse: Warehouse) -> Part | None:
    return part_of(table, _pointer(warehouse, StoredTable("v1", table), day))


def _instruments(compared: Sequence[Table], lane: str, day: date, warehouse: Warehouse) -> set[str]:
    keys: set[str] = set()
    for table in compared:
        frame = warehouse.read(StoredTable(lane, table), [day.isoformat()], ["instrument_key"])
        keys.update(frame["instrument_key"])
    return keys


def _cohort(
    component: Component,
    stage: Stage,
    in_v2: set[str],
    warehouse: Warehouse,
    settings: RolloutSettings,
) -> int:
    """Instruments with rows in V2 that the stage serves from there, of one served table or another."""
    keys, cohort = sorted(in_v2), set()
    for table in TABLES_OF[component]:
        if table.name in tables.SERVED:
            assignment = serving.assignment_of(table, stage, warehouse, settings)
            variants = zip(keys, assignment.variants(keys), strict=True)
            cohort.update(key for key, variant in variants if variant is Variant.V2)
    return len(cohort)


def _unequal_cells(table: Table, verdict: pd.Series) -> int:
    """Differing cells, all cells of rows that one side lacks, and at least one where the verdict says so."""
    lonely = int(verdict["rows_only_v1"] + verdict["rows_only_v2"])
    unequal = int(verdict["cells_unequal"]) + lonely * len(table.value_columns)
    return max(unequal, int(verdict["state"] == DIVERGED))


def _decision_differences(day: date, warehouse: Warehouse) -> int | None:
    """Instruments whose result, verdict or reason differs; None when nothing was decided.

    Filter results are the end of all components, so a difference counts against each of them. Compared are the
    instruments that V1 decided on and that computing failed for in neither variant.
    """
    lanes = [StoredTable(lane, tables.FILTER_RESULTS) for lane in ("v1", "v2")]
    pointers = [_pointer(warehouse, lane, day) for lane in lanes]
    if None in pointers:
        return None
    left_out = {key for pointer in pointers for key in failures_of(pointer)}
    part = _v1_part(tables.FILTER_RESULTS, day, warehouse)
    columns = ["instrument_key", "verdict", "reason"]
    v1, v2 = (warehouse.read(lane, [day.isoformat()], columns) for lane in lanes)
    if part:
        v2 = part.rows(v2)
    v1, v2 = (frame[~frame["instrument_key"].isin(left_out)] for frame in (v1, v2))
    both = v1.merge(v2, how="outer", on="instrument_key", suffixes=("_v1", "_v2"), indicator=True)
    if both.empty:
        return None
    differs = (
        (both["_merge"] != "both")
        | (both["verdict_v1"] != both["verdict_v2"])
        | (both["reason_v1"] != both["reason_v2"])
    )
    return int(differs.sum())


def _schema_failures(table: Table, day: date, warehouse: Warehouse, settings: Settings) -> int:
    """Violations of the contract in the stored rows of V2, which are counted only where there are any."""
    stored, key = StoredTable("v2", table), day.isoformat()
    rows = warehouse.read(stored, [key])
    try:
        warehouse.check(stored, {key: rows})
    except ContractViolation:
        schema = contract_rules(stored)[0]
        verdict = schema.judge({stored.name: rows}, pd.Timestamp(day), settings)
        return int(verdict.metadata.get("violations", 0))
    return 0
