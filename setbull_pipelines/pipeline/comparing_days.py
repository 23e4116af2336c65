"""How a computed table is reconciled, trading day by trading day, and the results are published.

Belongs here: finding both sides, publication of columns, cells, verdict and causes. Does not belong here: comparing
(``reconciliation/``), computing V1 again (``noise``), Dagster.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.pipeline.chunks import batches
from setbull_pipelines.pipeline.compared import ComparedDay, Side, compared_inputs, failures_of
from setbull_pipelines.pipeline.drilling_down import drill_down, read_drilled
from setbull_pipelines.pipeline.engine import PartitionResult
from setbull_pipelines.pipeline.lanes import Part, evicted_lanes, part_of
from setbull_pipelines.pipeline.measuring import Meter
from setbull_pipelines.pipeline.noise import NoiseFloors
from setbull_pipelines.pipeline.progress import Progress, tell
from setbull_pipelines.pipeline.versions import code_version
from setbull_pipelines.reconciliation.compare import compare
from setbull_pipelines.reconciliation.drift import with_warnings
from setbull_pipelines.reconciliation.noise import with_noise
from setbull_pipelines.reconciliation.report import Findings
from setbull_pipelines.settings import Settings, fingerprint
from setbull_pipelines.tables import Table
from setbull_pipelines.tables.reconciliation import (
    DIVERGED,
    NOT_COMPARABLE,
    PASS,
    SAMPLE_EMPTY,
    V1_RETIRED,
)
from setbull_pipelines.warehouse.pointers import Cost, Failure, Pointer, StoredTable
from setbull_pipelines.warehouse.store import Warehouse

SUMMARY = StoredTable("reconciliation", tables.RECONCILIATION_SUMMARY)
DECISIONS = StoredTable("reconciliation", tables.RECONCILIATION_DECISIONS)
_EVICTED = "evicted"
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
        "pipeline/compared.py",
        "pipeline/lanes.py",
        "pipeline/noise.py",
        "pipeline/ranges.py",
        "pipeline/comparing_days.py",
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
    computing failed for in either variant is left out: the verdict names it, and is never a pass. Rows are read, and
    results published, for as many days at once as fit in memory; each day is judged by its own rows.
    """
    asked = {day: _looked_up(table, day, warehouse, settings) for day in sorted(days)}
    outputs = (*outputs_of(table), *explanations_of(table))
    progress = Progress(f"reconciliation/{table.name}", len(asked), "days")
    rows = {day: of_day.rows for day, of_day in asked.items() if not of_day.cached}
    columns = len(table.columns)
    for batch in batches(list(asked), rows, columns, settings.processing):
        wanted = [asked[day] for day in batch if not asked[day].cached]
        published, seconds = _compare(table, wanted, outputs, warehouse, settings, run_id)
        for day in batch:
            key = day.isoformat()
            pointers = published.get(key) or _pointers(outputs, warehouse, key)
            has_cells = pointers[outputs[1].table.name].rows > 0
            drill_down(table, day, warehouse, settings, run_id, has_cells=has_cells)
            progress.advance()
            yield PartitionResult(day, pointers, asked[day].cached, seconds.get(key, 0.0))
    if asked:
        verdicts = warehouse.read(outputs[2], [day.isoformat() for day in asked])
        tell(_found(table, verdicts), is_well=bool((verdicts["state"] == PASS).all()))


def _found(table: Table, verdicts: pd.DataFrame) -> str:
    """The verdicts of all days in one line, for who watches the run."""
    days, counts = len(verdicts), verdicts["state"].value_counts()
    compared, unequal = (int(verdicts[f"cells_{name}"].sum()) for name in ("compared", "unequal"))
    if counts.get(PASS, 0) == days:
        return f"{table.name}: V2 agrees with V1 on {days} of {days} days, {compared:,} cells"
    others = ", ".join(
        f"{state} on {counts[state]} of {days} days"
        for state in (DIVERGED, NOT_COMPARABLE)
        if counts.get(state, 0)
    )
    return f"{table.name}: {others}, {unequal:,} of {compared:,} cells differ"


def _looked_up(table: Table, day: date, warehouse: Warehouse, settings: Settings) -> ComparedDay:
    key = day.isoformat()
    sides = {schema: StoredTable(schema, table) for schema in ("v1", "v2")}
    pointers = {schema: warehouse.pointer(stored, key) for schema, stored in sides.items()}
    # A verdict under other tolerances is another verdict, whatever the code is.
    tolerances = (column.tolerance for column in table.value_columns)
    provenance = {
        "code_version": reconciling_code_version(),
        "settings_hash": fingerprint(settings.reconciliation, *tolerances),
        "inputs": compared_inputs(table, pointers),
    }
    part = part_of(table, pointers["v1"])
    outputs = (*outputs_of(table), *explanations_of(table))
    cached = all(warehouse.is_current(stored, key, **provenance) for stored in outputs)
    evicted = [] if cached else evicted_lanes(table, day, warehouse)
    if evicted:
        # Rows that are gone are a missing side, whatever their hashes say; it is judged again when they are back.
        provenance["inputs"] |= {_EVICTED: ", ".join(evicted)}
        pointers = {
            schema: None if sides[schema].name in evicted else pointer
            for schema, pointer in pointers.items()
        }
    return ComparedDay(day, provenance, cached, pointers, part, evicted)


def _compare(
    table: Table,
    days: Sequence[ComparedDay],
    outputs: Sequence[StoredTable],
    warehouse: Warehouse,
    settings: Settings,
    run_id: str,
) -> tuple[dict[str, dict[str, Pointer]], dict[str, float]]:
    """Compare each day and publish all of them; the pointers and the seconds by partition."""
    if not days:
        return {}, {}
    sides = {schema: Side(StoredTable(schema, table), days, warehouse) for schema in ("v1", "v2")}
    noise = NoiseFloors(table, [of_day.day for of_day in days], warehouse, settings)
    frames: dict[str, list[pd.DataFrame]] = {}
    costs: dict[str, Cost] = {}
    for of_day in days:
        # What is read or computed for all days is recorded with the first.
        with Meter(warehouse.cache) as meter:
            frames[of_day.key] = _frames_of(table, of_day, sides, noise, settings)
        costs[of_day.key] = meter.cost(of_day.rows)
    (provenance, *_) = (of_day.provenance for of_day in days)
    with warehouse.commit() as commit:
        for place, stored in enumerate(outputs):
            of_table = {key: of_day[place] for key, of_day in frames.items()}
            commit.add(
                stored,
                warehouse.check(stored, of_table),
                code_version=provenance["code_version"],
                settings_hash=provenance["settings_hash"],
                inputs={of_day.key: of_day.provenance["inputs"] for of_day in days},
                run_id=run_id,
                notes={
                    key: None if len(frame) else "no rows: nothing differs"
                    for key, frame in of_table.items()
                },
                # Told once, with the first table.
                costs=costs if place == 0 else {},
            )
    published = {
        of_day.key: {stored.table.name: commit.pointers[stored][of_day.key] for stored in outputs}
        for of_day in days
    }
    return published, {key: cost.seconds for key, cost in costs.items()}


def _frames_of(
    table: Table,
    of_day: ComparedDay,
    sides: Mapping[str, Side],
    noise: NoiseFloors,
    settings: Settings,
) -> list[pd.DataFrame]:
    """What is published of a day, in the order of the outputs."""
    v1 = sides["v1"].rows_of(of_day)
    comparison = compare(
        table,
        v1,
        v1 if of_day.is_identical else sides["v2"].rows_of(of_day),
        pd.Timestamp(of_day.day),
        settings.reconciliation,
        identical=of_day.is_identical,
    )
    floor = noise.of(of_day.day)
    comparison = with_warnings(with_noise(comparison, floor), table, floor, v1)
    if of_day.evicted:
        reason = _evicted_reason(of_day.evicted, of_day.key)
        verdict = comparison.summary.assign(reason=reason)
    else:
        verdict = _telling_the_part(comparison.summary, of_day.part)
        verdict = _telling_failures(verdict, of_day.failures)
    frames = [comparison.columns, comparison.cells, verdict, comparison.diagnoses]
    return [*frames, comparison.decisions] if table == tables.FILTER_RESULTS else frames


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
    version = code_version("tables", "pipeline/comparing_days.py")
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
