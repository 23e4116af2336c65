"""Publication of what lies behind a divergence: instruments, input windows, bars for the charts.

Belongs here: which rows the questions of ``reconciliation/drill_down.py`` are asked of, and when they are
asked again. Does not belong here: the questions, comparing, Dagster.

A day on which nothing differs costs one look at a pointer: these partitions are published only for days
with diverging cells, and emptied when the cells agree again.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.pipeline.lanes import lane_read
from setbull_pipelines.pipeline.steps import STEPS, Input
from setbull_pipelines.pipeline.versions import code_version
from setbull_pipelines.reconciliation.drill_down import Sides, bars, instrument_counts, windows
from setbull_pipelines.settings import Settings, fingerprint
from setbull_pipelines.tables import Table
from setbull_pipelines.warehouse.errors import EvictedPartition
from setbull_pipelines.warehouse.pointers import Pointer, StoredTable
from setbull_pipelines.warehouse.store import Warehouse

_ONE_DAY = pd.Timedelta(days=1)


def drilled(table: Table) -> tuple[StoredTable, StoredTable, StoredTable]:
    """Where the answers for ``table`` are stored: instruments, windows, bars."""
    return (
        StoredTable("reconciliation", tables.RECONCILIATION_INSTRUMENTS[table.name]),
        StoredTable("reconciliation", tables.RECONCILIATION_WINDOWS[table.name]),
        StoredTable("reconciliation", tables.RECONCILIATION_BARS[table.name]),
    )


def read_drilled(
    table: Table, day: date, warehouse: Warehouse
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return instruments, windows and bars of a day; empty frames where nothing ever differed."""
    key = day.isoformat()
    instruments, window_rows, chart_bars = (
        warehouse.read(stored, [key]) if warehouse.pointer(stored, key) else stored.table.empty()
        for stored in drilled(table)
    )
    return instruments, window_rows, chart_bars


def drill_down(
    table: Table,
    day: date,
    warehouse: Warehouse,
    settings: Settings,
    run_id: str,
    *,
    has_cells: bool,
) -> None:
    """Bring the three tables of a compared day up to date; ``has_cells`` says that cells differ."""
    key = day.isoformat()
    stored = drilled(table)
    if not has_cells and not any(warehouse.pointer(item, key) for item in stored):
        return
    provenance = {
        "code_version": code_version(
            "reconciliation", "tables", "pipeline/drilling_down.py", "pipeline/steps.py"
        ),
        "settings_hash": fingerprint(settings.reconciliation, settings.aggregation),
        "inputs": _inputs_of(table, key, warehouse),
    }
    if all(warehouse.is_current(item, key, **provenance) for item in stored):
        return
    empty, note_if_empty = tuple(item.table.empty() for item in stored), "no rows: nothing to show"
    try:
        frames = _answers(table, key, warehouse, settings) if has_cells else empty
    except EvictedPartition as error:
        frames, note_if_empty = empty, f"no rows: {error}"
        provenance["inputs"]["look-back"] = "evicted"  # so that it is done again when they are back
    inputs = provenance.pop("inputs")
    with warehouse.commit() as commit:
        for item, frame in zip(stored, frames, strict=True):
            commit.add(
                item,
                warehouse.check(item, {key: frame}),
                **provenance,
                inputs={key: inputs},
                run_id=run_id,
                notes={key: None if len(frame) else note_if_empty},
            )


def _inputs_of(table: Table, key: str, warehouse: Warehouse) -> dict[str, str]:
    """Both sides and what they were computed from: a window can change while the result does not."""
    inputs = {}
    for schema in ("v1", "v2"):
        if pointer := warehouse.pointer(StoredTable(schema, table), key):
            inputs[f"{schema}.{table.name}"] = pointer.content_hash
            inputs |= {f"{schema} from {name}": hash for name, hash in pointer.inputs.items()}
    return inputs


def _answers(
    table: Table, key: str, warehouse: Warehouse, settings: Settings
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    day = pd.Timestamp(key)
    shown = settings.reconciliation
    cells, diagnoses = (
        warehouse.read(StoredTable("reconciliation", contracts[table.name]), [key])
        for contracts in (tables.RECONCILIATION_CELLS, tables.RECONCILIATION_DIAGNOSES)
    )
    instruments = None if cells.empty else sorted(set(cells["instrument_key"].dropna()))
    output = _sides(table, ("v1", "v2"), key, 0, warehouse)
    # Only in tables of bars is a partition the continuation of the one before.
    sessions = shown.chart_bars if "timestamp" in table.key else 0
    step = next(step for step in STEPS if table in step.outputs)
    v1 = warehouse.pointer(StoredTable("v1", table), key)
    inputs = [_inputs(item, v1, key, instruments, warehouse, settings) for item in step.inputs]
    is_intraday = "timestamp" in table.key and "series" not in table.key
    minutes = pd.Timedelta(minutes=settings.aggregation.bar_minutes)
    duration = minutes if is_intraday else _ONE_DAY
    return (
        instrument_counts(output, cells, day),
        windows(output, inputs, cells, day, shown.window_rows, duration),
        bars(
            _sides(table, ("v1", "v2"), key, sessions, warehouse, instruments),
            cells,
            diagnoses,
            day,
            shown.charts,
            shown.chart_bars,
        ),
    )


def _inputs(
    item: Input,
    v1: Pointer,
    key: str,
    instruments: Collection[str] | None,
    warehouse: Warehouse,
    settings: Settings,
) -> Sides:
    schemas = ("raw", "raw") if item.is_raw else (lane_read(item.table, v1).value, "v2")
    return _sides(item.table, schemas, key, item.look_back(settings), warehouse, instruments)


def _sides(
    table: Table,
    schemas: tuple[str, str],
    key: str,
    sessions_before: int,
    warehouse: Warehouse,
    instruments: Collection[str] | None = None,
) -> Sides:
    """The rows of the day and of the stored sessions before it that both sides have; of all instruments for None."""
    lanes = [StoredTable(schema, table) for schema in schemas]
    common = set.intersection(*(set(warehouse.partitions(lane)) for lane in lanes))
    keys = sorted(stored for stored in common if stored <= key)[-(sessions_before + 1) :]
    rows = {
        lane: warehouse.read_arrow(lane, keys, instrument_keys=instruments)
        for lane in dict.fromkeys(lanes)
    }
    return Sides(table, *(rows[lane] for lane in lanes))
