"""How days are served: each instrument's rows from the variant that it has, all tables of a day in one commit.

Belongs here: which days are served again, reading both variants, publishing. Does not belong here: whether V2 may be
served, what readers get (``serving``), picking rows (``assignment``), which stage is in force (``stage_decisions``).

Tables of one commit are seen together: no reader finds indicators of bars that were corrected since, not even after a
run that was killed.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import pandas as pd

from setbull_pipelines.pipeline.assignment import pick
from setbull_pipelines.pipeline.chunks import MOST_PARTITIONS, MOST_ROWS
from setbull_pipelines.pipeline.engine import PartitionResult
from setbull_pipelines.pipeline.lanes import evicted_lanes
from setbull_pipelines.pipeline.measuring import Meter
from setbull_pipelines.pipeline.progress import Progress
from setbull_pipelines.pipeline.ranges import frames_by_day
from setbull_pipelines.pipeline.running import AS_OF, require_same_moment
from setbull_pipelines.pipeline.serving import (
    ASSIGNMENT,
    WITHHELD,
    Serving,
    outdated_days,
    require_all_instruments,
    served_table,
    serving_code_version,
    withheld,
)
from setbull_pipelines.rollout.bucketing import Variant
from setbull_pipelines.rollout.stages import Stage
from setbull_pipelines.settings import fingerprint
from setbull_pipelines.tables import Table
from setbull_pipelines.tables.served import SERVED_SCHEMA
from setbull_pipelines.warehouse.errors import MissingPartition
from setbull_pipelines.warehouse.pointers import Cost, Failure, Pointer, StoredTable
from setbull_pipelines.warehouse.store import Commit, Warehouse

logger = logging.getLogger(__name__)

_ABSENT = "never published"


def serve(
    asked: Mapping[Table, Serving],
    days: Sequence[date],
    warehouse: Warehouse,
    run_id: str,
    failed: dict[Table, Exception],
) -> Iterator[PartitionResult]:
    """Serve the tables of ``asked`` on ``days``, and again on every day that was served under another assignment.

    Sessions that are not ``judged``, and those on which V2 did not agree, are served from V1 (:func:`withheld`).
    A result is of one day and table; days come in order. V1 must be published on each, since it is what is fallen back
    to, and for all instruments in a stage that runs it in full: else MissingPartition. An absent V2 is a V2 without
    rows. Days whose V1 or V2 was evicted stay as they were served until they are asked for; a warning says so.

    A table that fails is put into ``failed`` with its error, and the others go on without it.
    """
    wanted = {table: _wanted(table, days, serving, warehouse) for table, serving in asked.items()}
    all_days = sorted(set().union(*wanted.values()))
    progress = Progress(SERVED_SCHEMA, len(all_days), "days")
    batch: dict[Table, list[_Day]] = {}
    for number, day in enumerate(all_days, 1):
        for table in [table for table in asked if day in wanted[table] and table not in failed]:
            try:
                prepared = _prepared(table, day, asked[table], warehouse)
            except Exception as error:
                failed[table] = error
            else:
                batch.setdefault(table, []).append(prepared)
        if number == len(all_days) or _is_full(batch.values()):
            yield from _published(batch, asked, warehouse, run_id, failed)
            batch = {}
            progress.reach(number)


def serve_one(
    table: Table, days: Sequence[date], serving: Serving, warehouse: Warehouse, run_id: str
) -> Iterator[PartitionResult]:
    """As :func:`serve`, of one table, whose error is raised."""
    failed: dict[Table, Exception] = {}
    yield from serve({table: serving}, days, warehouse, run_id, failed)
    for error in failed.values():
        raise error


def _wanted(
    table: Table, days: Sequence[date], serving: Serving, warehouse: Warehouse
) -> set[date]:
    stored = served_table(table)
    outdated = set(outdated_days(stored, serving.assignment, warehouse)) - set(days)
    evicted = sorted(day for day in outdated if evicted_lanes(table, day, warehouse))
    if evicted:
        logger.warning(
            "%s: %s days from %s to %s stay as they were served under an earlier assignment, since their rows of V1 "
            "or V2 were removed to save space; serve them again by: setbull run --from %s --to %s",
            *(stored.name, f"{len(evicted):,}", evicted[0], evicted[-1], evicted[0], evicted[-1]),
        )
    return {*days, *outdated.difference(evicted)}


@dataclass(frozen=True)
class _Day:
    """A day that is served, and what it is served from."""

    day: date
    pointers: Mapping[Variant, Pointer | None]
    provenance: Mapping[str, object]
    withheld: str | None
    """Why no instrument is served from V2; None when those that are assigned to it are."""
    cached: bool

    @property
    def key(self) -> str:
        """The partition."""
        return self.day.isoformat()

    @property
    def rows(self) -> int:
        """The rows to read."""
        return 0 if self.cached else sum(each.rows for each in self.pointers.values() if each)


def _prepared(table: Table, day: date, serving: Serving, warehouse: Warehouse) -> _Day:
    stored, key = served_table(table), day.isoformat()
    lanes = {variant: StoredTable(variant.value, table) for variant in Variant}
    pointers = {variant: warehouse.pointer(lane, key) for variant, lane in lanes.items()}
    if pointers[Variant.V1] is None:
        raise MissingPartition(
            f"{stored.name} {key} needs {lanes[Variant.V1].name}, which was never materialized; "
            f"run: setbull run --from {key} --to {key}"
        )
    if serving.assignment.stage.runs_v1_in_full:
        require_all_instruments(lanes[Variant.V1], key, pointers[Variant.V1])
    moment = {name: mark for name, mark in pointers[Variant.V1].inputs.items() if name == AS_OF}
    if pointers[Variant.V2]:
        require_same_moment(stored.name, lanes[Variant.V2].name, pointers[Variant.V2], moment, key)
    reason = withheld(table, day, serving.assignment, serving.judged, warehouse)
    provenance = {
        "code_version": serving_code_version(),
        "settings_hash": fingerprint(),
        "inputs": {
            **{
                lanes[variant].name: pointer.content_hash if pointer else _ABSENT
                for variant, pointer in pointers.items()
            },
            ASSIGNMENT: serving.assignment.hash,
            **({WITHHELD: reason} if reason else {}),
            **moment,
        },
    }
    cached = warehouse.is_current(stored, key, **provenance)
    return _Day(day, pointers, provenance, reason, cached)


def _is_full(batch: Collection[Sequence[_Day]]) -> bool:
    """Whether what was prepared is enough for one publication."""
    return any(
        len(days) == MOST_PARTITIONS or sum(each.rows for each in days) >= MOST_ROWS
        for days in batch
    )


def _published(
    batch: Mapping[Table, Sequence[_Day]],
    asked: Mapping[Table, Serving],
    warehouse: Warehouse,
    run_id: str,
    failed: dict[Table, Exception],
) -> Iterator[PartitionResult]:
    """Publish the days that are not up to date, of all tables in one commit."""
    done = []
    try:
        with warehouse.commit() as commit:
            for table, days in batch.items():
                try:
                    _add(commit, table, days, asked[table], warehouse, run_id)
                    done.append(table)
                except Exception as error:
                    failed[table] = error
    except Exception as error:
        failed.update(dict.fromkeys(done, error))
        return
    results = [
        _result(served_table(table), of_day, commit.pointers, warehouse)
        for table in done
        for of_day in batch[table]
    ]
    yield from sorted(results, key=lambda result: result.day)


def _result(
    stored: StoredTable,
    of_day: _Day,
    pointers: Mapping[StoredTable, Mapping[str, Pointer]],
    warehouse: Warehouse,
) -> PartitionResult:
    pointer = pointers.get(stored, {}).get(of_day.key) or warehouse.pointer(stored, of_day.key)
    seconds = 0.0 if of_day.cached else pointer.cost.seconds
    return PartitionResult(of_day.day, {stored.table.name: pointer}, of_day.cached, seconds)


def _add(
    commit: Commit,
    table: Table,
    prepared: Sequence[_Day],
    serving: Serving,
    warehouse: Warehouse,
    run_id: str,
) -> None:
    """Add the days that are not up to date. ContractViolation, with nothing added, when rows break the contract."""
    days = [of_day for of_day in prepared if not of_day.cached]
    if not days:
        return
    rows: dict[Variant, dict[str, pd.DataFrame]] = {}
    frames: dict[str, pd.DataFrame] = {}
    costs: dict[str, Cost] = {}
    failures: dict[str, dict[str, Failure]] = {}
    for of_day in days:
        # What is read for all days is recorded with the first.
        with Meter(warehouse.cache) as meter:
            rows = rows or _rows_by_day(table, days, warehouse)
            of_lanes = {name: of.get(of_day.key, table.empty()) for name, of in rows.items()}
            in_force = serving.assignment
            if of_day.withheld:
                in_force = replace(in_force, stage=Stage.OFF)
            picked, fallbacks = pick(of_lanes, in_force)
            frames[of_day.key] = served_table(table).table.conform(picked)
        costs[of_day.key] = meter.cost(sum(map(len, of_lanes.values())))
        v2 = of_day.pointers[Variant.V2]
        no_row = Failure(f"{Variant.V2.value}.{table.name} {of_day.key}", "no row in V2")
        failures[of_day.key] = {
            name: (v2.failures if v2 else {}).get(name, no_row) for name in fallbacks
        }
    stored = served_table(table)
    commit.add(
        stored,
        warehouse.check(stored, frames),
        code_version=serving_code_version(),
        settings_hash=fingerprint(),
        inputs={of_day.key: of_day.provenance["inputs"] for of_day in days},
        run_id=run_id,
        notes={
            key: None if len(frame) else "no rows: neither variant has any to serve"
            for key, frame in frames.items()
        },
        costs=costs,
        failures=failures,
    )


def _rows_by_day(
    table: Table, days: Sequence[_Day], warehouse: Warehouse
) -> dict[Variant, dict[str, pd.DataFrame]]:
    return {
        variant: frames_by_day(
            StoredTable(variant.value, table),
            {of_day.key: found for of_day in days if (found := of_day.pointers[variant])},
            warehouse,
        )
        for variant in Variant
    }
