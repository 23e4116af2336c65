"""How a computed table is reconciled, trading day by trading day, and the results are published.

Belongs here: finding both sides, publication of columns, cells, verdict and causes. Does not belong here: comparing
(``reconciliation/``), computing V1 again (``noise``), Dagster.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.pipeline.drilling_down import drill_down, read_drilled
from setbull_pipelines.pipeline.engine import PartitionResult
from setbull_pipelines.pipeline.lanes import MARK, Part, evicted_lanes, part_of
from setbull_pipelines.pipeline.measuring import Meter
from setbull_pipelines.pipeline.noise import noise_floor
from setbull_pipelines.pipeline.progress import Progress
from setbull_pipelines.pipeline.versions import code_version
from setbull_pipelines.reconciliation.compare import compare
from setbull_pipelines.reconciliation.noise import with_noise
from setbull_pipelines.reconciliation.report import Findings
from setbull_pipelines.settings import Settings, fingerprint
from setbull_pipelines.tables import Table
from setbull_pipelines.tables.reconciliation import (
    NOT_COMPARABLE,
    PASS,
    SAMPLE_EMPTY,
    V1_RETIRED,
)
from setbull_pipelines.warehouse.pointers import Failure, Pointer, StoredTable
from setbull_pipelines.warehouse.store import Warehouse

SUMMARY = StoredTable("reconciliation", tables.RECONCILIATION_SUMMARY)
DECISIONS = StoredTable("reconciliation", tables.RECONCILIATION_DECISIONS)
_ABSENT = "never published"
_EVICTED = "evicted"
_LEFT_OUT = "left out"
_NAMED = 3
"""Instruments named in a sentence."""


def outputs_of(table: Table) -> tuple[StoredTable, StoredTable, StoredTable]:
    """Where the reconciliation of ``table`` is stored: columns, cells, verdict."""
    return (
        StoredTable("reconciliation", tables.RECONCILIATIONS[table.name]),
        StoredTable("reconciliation", tables.RECONCILIATION_CELLS[table.name]),
        StoredTable("reconciliation", tables.RECONCILIATION_VERDICTS[table.name]),
    )


def explanations_of(table: Table) -> tuple[StoredTable, ...]:
    """Where the likely causes of its differences are stored; for the filters also changed decisions."""
    causes = StoredTable("reconciliation", tables.RECONCILIATION_DIAGNOSES[table.name])
    return (causes, DECISIONS) if table == tables.FILTER_RESULTS else (causes,)


def compared_inputs(table: Table, pointers: Mapping[str, Pointer | None]) -> dict[str, str]:
    """What a comparison of the stored partitions of ``v1`` and ``v2`` is made from."""
    inputs = {
        StoredTable(schema, table).name: pointer.content_hash if pointer else _ABSENT
        for schema, pointer in pointers.items()
    }
    part = part_of(table, pointers["v1"])
    left_out = sorted({*failures_of(pointers["v1"]), *failures_of(pointers["v2"])})
    return (
        inputs
        | ({MARK: part.mark} if part else {})
        | ({_LEFT_OUT: ", ".join(left_out)} if left_out else {})
    )


def failures_of(pointer: Pointer | None) -> Mapping[str, Failure]:
    """The instruments that are missing from a partition, since computing failed for them; none without one."""
    return pointer.failures if pointer else {}


def failed_in_v1_alone(table: Table, day: date, warehouse: Warehouse) -> dict[str, Failure]:
    """The instruments that V1 failed for and V2 did not: nothing says whether V2 is right for them."""
    v1, v2 = (
        failures_of(warehouse.pointer(StoredTable(schema, table), day.isoformat()))
        for schema in ("v1", "v2")
    )
    return {key: failure for key, failure in v1.items() if key not in v2}


def named(failures: Mapping[str, Failure], variant: str) -> str:
    """The first instruments of ``failures`` with the error, and how many more there are."""
    shown = [
        f"{key} ({variant} failed in {failures[key].origin}: {failures[key].error})"
        for key in sorted(failures)[:_NAMED]
    ]
    more = len(failures) - _NAMED
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")


def reconciling_code_version() -> str:
    """Code version of everything that a verdict depends on; V1 itself, because it is computed for the noise floor."""
    return code_version(
        "reconciliation",
        "tables",
        "variants/v1",
        "rollout/bucketing.py",
        "pipeline/lanes.py",
        "pipeline/noise.py",
        "pipeline/reconciling.py",
        "pipeline/steps.py",
    )


def reconcile(
    table: Table,
    days: Sequence[date],
    warehouse: Warehouse,
    settings: Settings,
    run_id: str,
) -> Iterator[PartitionResult]:
    """Compare V1 and V2 of ``table`` on each day and publish what was found.

    Compared are the instruments that V1 was computed for; of a retired V1 nothing is comparable. An instrument that
    computing failed for in either variant is left out: the verdict names it, and is never a pass.
    """
    version = reconciling_code_version()
    settings_hash = fingerprint(settings.reconciliation)
    outputs = (*outputs_of(table), *explanations_of(table))
    progress = Progress(f"reconciliation/{table.name}", len(days), "days")
    for day in sorted(days):
        key = day.isoformat()
        sides = {schema: StoredTable(schema, table) for schema in ("v1", "v2")}
        pointers = {schema: warehouse.pointer(stored, key) for schema, stored in sides.items()}
        part = part_of(table, pointers["v1"])
        inputs = compared_inputs(table, pointers)
        provenance = {
            "code_version": version,
            "settings_hash": settings_hash,
            "inputs": inputs,
        }
        cached = all(warehouse.is_current(stored, key, **provenance) for stored in outputs)
        evicted = evicted_lanes(table, day, warehouse)
        if evicted and not cached:
            # Rows that are gone are a missing side, whatever their hashes say; it is judged again when they are back.
            provenance["inputs"] = inputs | {_EVICTED: ", ".join(evicted)}
            pointers = {
                schema: None if sides[schema].name in evicted else pointer
                for schema, pointer in pointers.items()
            }
        seconds = 0.0
        failures = {schema: failures_of(pointer) for schema, pointer in pointers.items()}
        if not cached:
            left_out = {*failures["v1"], *failures["v2"]}
            with (
                Meter(warehouse.cache) as meter,
                _files(sides["v1"], key, pointers["v1"], None, left_out, warehouse) as v1_files,
                _files(sides["v2"], key, pointers["v2"], part, left_out, warehouse) as v2_files,
            ):
                comparison = compare(
                    table,
                    v1_files,
                    v2_files,
                    pd.Timestamp(day),
                    settings.reconciliation,
                    identical=part is None
                    and not evicted
                    and inputs[sides["v1"].name] == inputs[sides["v2"].name] != _ABSENT,
                )
                comparison = with_noise(comparison, noise_floor(table, day, warehouse, settings))
            frames = [
                comparison.columns,
                comparison.cells,
                _telling_failures(_telling_the_part(comparison.summary, part), failures)
                if not evicted
                else comparison.summary.assign(reason=_evicted_reason(evicted, key)),
                comparison.diagnoses,
            ]
            if table == tables.FILTER_RESULTS:
                frames.append(comparison.decisions)
            rows = sum(pointer.rows for pointer in pointers.values() if pointer)
            cost = meter.cost(rows)
            seconds = cost.seconds
            for stored, frame in zip(outputs, frames, strict=True):
                note = None if len(frame) else "no rows: nothing differs"
                warehouse.publish(
                    stored, key, frame, **provenance, run_id=run_id, note=note, cost=cost
                )
                cost = None  # told once, with the first table
        published = _pointers(outputs, warehouse, key)
        has_cells = published[outputs[1].table.name].rows > 0
        drill_down(table, day, warehouse, settings, run_id, has_cells=has_cells)
        progress.advance()
        yield PartitionResult(day, published, cached, seconds)


def read_findings(table: Table, day: date, warehouse: Warehouse) -> Findings:
    """Everything that is stored about V1 against V2 of a table on one day.

    Raises MissingPartition for a day that was never reconciled.
    """
    keys = [day.isoformat()]
    columns, cells, verdicts = (warehouse.read(stored, keys) for stored in outputs_of(table))
    diagnoses, *decisions = (warehouse.read(stored, keys) for stored in explanations_of(table))
    instruments, windows, bars = read_drilled(table, day, warehouse)
    return Findings(
        table,
        pd.Timestamp(day),
        verdicts,
        columns,
        cells,
        diagnoses,
        instruments,
        windows,
        bars,
        decisions[0] if decisions else None,
    )


@contextmanager
def _files(
    stored: StoredTable,
    key: str,
    pointer: Pointer | None,
    part: Part | None,
    left_out: Collection[str],
    warehouse: Warehouse,
) -> Iterator[list[Path] | None]:
    """The file of one side, or one of only the instruments in ``part`` that are not left out; None without a side."""
    if pointer is None:
        yield None
    elif part is None and not left_out:
        yield warehouse.files(stored, [key])
    else:
        keys = warehouse.read(stored, [key], ["instrument_key"])["instrument_key"]
        wanted = part.of(keys) if part else set(keys)
        with warehouse.extract(stored, key, wanted.difference(left_out)) as path:
            yield [path]


def _evicted_reason(evicted: Sequence[str], key: str) -> str:
    return (
        f"rows of {' and '.join(evicted)} were removed to save space; compare them by: setbull run --from {key} "
        f"--to {key}"
    )


def _telling_the_part(verdict: pd.DataFrame, part: Part | None) -> pd.DataFrame:
    """The verdict with a reason that says what was compared."""
    if part is None:
        return verdict
    if not part.percentage:
        return verdict.assign(reason=V1_RETIRED)
    if not verdict[["rows_v1", "rows_v2"]].to_numpy().any():
        return verdict.assign(reason=SAMPLE_EMPTY)
    return verdict.assign(reason=verdict["reason"] + f"; {part.sentence}")


def _telling_failures(
    verdict: pd.DataFrame, failures: Mapping[str, Mapping[str, Failure]]
) -> pd.DataFrame:
    """The verdict with the instruments that were left out; agreement of the others is no pass."""
    left_out = {*failures["v1"], *failures["v2"]}
    if not left_out:
        return verdict
    told = [
        named(of_side, variant)
        for variant, of_side in (("V1", failures["v1"]), ("V2", failures["v2"]))
        if of_side
    ]
    state = verdict["state"].iloc[0]
    return verdict.assign(
        state=pd.array([NOT_COMPARABLE if state == PASS else state], dtype="str"),
        reason=verdict["reason"] + f"; not comparable: {', '.join(told)}",
        instruments_left_out=len(left_out),
    )


def summarize(
    days: Sequence[date], warehouse: Warehouse, settings: Settings, run_id: str
) -> Iterator[PartitionResult]:
    """Collect the verdicts of all computed tables into ``reconciliation.summary``, per day."""
    version = code_version("tables", "pipeline/reconciling.py")
    settings_hash = fingerprint(settings.reconciliation)
    verdicts = [outputs_of(table)[2] for table in tables.COMPUTED_TABLES]
    for day in sorted(days):
        key = day.isoformat()
        frames = [warehouse.read(stored, [key]) for stored in verdicts]
        inputs = {stored.name: warehouse.pointer(stored, key).content_hash for stored in verdicts}
        warehouse.publish(
            SUMMARY,
            key,
            SUMMARY.table.conform(pd.concat(frames, ignore_index=True)),
            code_version=version,
            settings_hash=settings_hash,
            inputs=inputs,
            run_id=run_id,
        )
        yield PartitionResult(day, _pointers((SUMMARY,), warehouse, key), cached=False)


def _pointers(outputs: Sequence[StoredTable], warehouse: Warehouse, key: str) -> dict[str, Pointer]:
    return {stored.table.name: warehouse.pointer(stored, key) for stored in outputs}
