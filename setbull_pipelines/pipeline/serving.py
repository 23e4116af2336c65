"""How the served tables are made: each instrument's rows of a day, from the variant assigned to it.

Belongs here: whether V2 may be served on a day, publication, which stored days another assignment makes stale, what
readers get. Does not belong here: picking rows (``assignment``), which stage is in force (``stage_decisions``),
bucketing (``rollout/``), Dagster.

An instrument is taken whole from one lane: V2's indicators were computed from V2's candles. When the assignment
changes, every day that was served before is served again, so that no history mixes the variants. A day on which V2 was
not judged, or did not agree with V1, is served from V1 whatever the assignment.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.pipeline.assignment import Assignment, pick
from setbull_pipelines.pipeline.chunks import MOST_PARTITIONS, MOST_ROWS
from setbull_pipelines.pipeline.compared import compared_inputs
from setbull_pipelines.pipeline.comparing_days import outputs_of
from setbull_pipelines.pipeline.engine import PartitionResult
from setbull_pipelines.pipeline.lanes import COMPONENT_OF, evicted_lanes, part_of
from setbull_pipelines.pipeline.measuring import Meter
from setbull_pipelines.pipeline.progress import Progress
from setbull_pipelines.pipeline.ranges import frames_by_day
from setbull_pipelines.pipeline.running import AS_OF, require_same_moment
from setbull_pipelines.pipeline.versions import code_version
from setbull_pipelines.rollout.bucketing import (
    Variant,
    configured_overrides,
    realised_share,
)
from setbull_pipelines.rollout.stages import Stage
from setbull_pipelines.settings import RolloutSettings, fingerprint
from setbull_pipelines.tables import Table
from setbull_pipelines.tables.reconciliation import PASS
from setbull_pipelines.tables.served import SERVED_SCHEMA
from setbull_pipelines.warehouse.errors import MissingPartition
from setbull_pipelines.warehouse.pointers import Cost, Failure, Pointer, StoredTable
from setbull_pipelines.warehouse.store import Warehouse

logger = logging.getLogger(__name__)

ASSIGNMENT = "assignment"
"""Name of the assignment's hash among the inputs of a served partition."""
WITHHELD = "V2 withheld"
"""Name among the inputs of a served partition: why the day is served from V1 although V2 is assigned to instruments."""
_ABSENT = "never published"
TABLES = tuple(table for table in tables.COMPUTED_TABLES if table.name in tables.SERVED)
"""The computed tables that are served."""


def served_table(table: Table) -> StoredTable:
    """Where the computed ``table`` is served; KeyError for one that is not."""
    return StoredTable(SERVED_SCHEMA, tables.SERVED[table.name])


def serving_code_version() -> str:
    """Code version of everything that served rows depend on, beyond the lanes themselves."""
    return code_version(
        *("rollout/bucketing.py", "rollout/stages.py", "rollout/log.py"),
        *("tables", "pipeline/assignment.py", "pipeline/ranges.py", "pipeline/serving.py"),
    )


def assignment_of(
    table: Table, stage: Stage, warehouse: Warehouse, settings: RolloutSettings
) -> Assignment:
    """The assignment of ``table`` in ``stage``; the kill switch gives V1 to all.

    A frozen instrument had V2 when it was ever served from V2: a served history has one assignment throughout,
    in which single days may have fallen back to V1.
    """
    previous: dict[str, Variant] = {}
    if settings.freeze:
        rows = warehouse.read(served_table(table), columns=["instrument_key", "variant"])
        had_v2 = set(rows.loc[rows["variant"] == Variant.V2.value, "instrument_key"])
        previous = {key: Variant.V2 if key in had_v2 else Variant.V1 for key in settings.freeze}
    return Assignment(
        COMPONENT_OF[table.name],
        Stage.OFF if settings.kill else stage,
        configured_overrides(settings),
        previous,
    )


def serve(
    table: Table,
    days: Sequence[date],
    assignment: Assignment,
    judged: Collection[date],
    warehouse: Warehouse,
    run_id: str,
) -> Iterator[PartitionResult]:
    """Serve ``table`` on ``days``, and again on every day that was served under another assignment.

    ``judged`` are the sessions that the rollout has looked at; of all others, and of those on which V2 did not agree,
    V2 is withheld (:func:`withheld`). Results come in the order of days. V1 must be published on each, since it is
    what is fallen back to, and for all instruments in a stage that runs it in full: else MissingPartition. An absent
    V2 is a V2 without rows.
    Days whose V1 or V2 was evicted stay as they were served until they are asked for; a warning says so.
    """
    stored = served_table(table)
    outdated = set(_outdated(stored, assignment, warehouse)) - set(days)
    evicted = sorted(day for day in outdated if evicted_lanes(table, day, warehouse))
    if evicted:
        logger.warning(
            "%s: %s days from %s to %s stay as they were served under an earlier assignment, since their rows of V1 "
            "or V2 were removed to save space; serve them again by: setbull run --from %s --to %s",
            *(stored.name, f"{len(evicted):,}", evicted[0], evicted[-1], evicted[0], evicted[-1]),
        )
    wanted = sorted({*days, *outdated.difference(evicted)})
    progress = Progress(stored.name, len(wanted), "days")
    prepared = (_prepared(table, day, assignment, judged, warehouse) for day in wanted)
    for batch in _batches(prepared):
        pointers = _publish(table, batch, assignment, warehouse, run_id)
        for of_day in batch:
            progress.advance()
            pointer = pointers.get(of_day.key) or warehouse.pointer(stored, of_day.key)
            seconds = 0.0 if of_day.cached else pointer.cost.seconds
            yield PartitionResult(of_day.day, {stored.table.name: pointer}, of_day.cached, seconds)


def withheld(
    table: Table, day: date, assignment: Assignment, judged: Collection[date], warehouse: Warehouse
) -> str | None:
    """Why no instrument is served from V2 on ``day``; None when those that are assigned to it are.

    V2 is served where the rollout has looked at the session and the stored rows of V1 and V2 were compared and agree.
    Instruments that computing failed for do not count here: those that V2 lacks fall back to V1. Where V1 is cut back
    by a person's decision there is nothing to fall back to.
    """
    has_v2 = assignment.stage.percentage or assignment.overrides
    if not assignment.stage.runs_both_in_full or not has_v2:
        return None
    if day not in judged:
        return "the session was not judged"
    key = day.isoformat()
    stored = outputs_of(table)[2]
    pointer = warehouse.pointer(stored, key)
    lanes = {
        variant.value: warehouse.pointer(StoredTable(variant.value, table), key)
        for variant in Variant
    }
    if pointer is None or pointer.inputs != compared_inputs(table, lanes):
        return "the rows that are stored were not compared"
    verdict = warehouse.read(stored, [key]).iloc[0]
    if verdict["state_of_compared"] != PASS:
        return f"{verdict['state']}: {verdict['reason']}"
    return None


def is_as_assigned(
    table: Table,
    days: Sequence[date],
    assignment: Assignment,
    judged: Collection[date],
    warehouse: Warehouse,
) -> bool:
    """Whether everything that is stored of a served table is what ``assignment`` asks for, and ``days`` are there."""
    stored = served_table(table)
    if any(
        not evicted_lanes(table, day, warehouse) for day in _outdated(stored, assignment, warehouse)
    ):
        return False
    pointers = (warehouse.pointer(stored, day.isoformat()) for day in days)
    return all(
        pointer is not None
        and pointer.inputs.get(WITHHELD) == withheld(table, day, assignment, judged, warehouse)
        for day, pointer in zip(days, pointers, strict=True)
    )


def source_of_served(table: Table, settings: RolloutSettings) -> StoredTable:
    """The stored table that :func:`read_served` reads: under the kill switch V1's own."""
    return StoredTable(Variant.V1.value, table) if settings.kill else served_table(table)


def read_served(
    table: Table,
    days: Sequence[date],
    warehouse: Warehouse,
    settings: RolloutSettings,
    instrument_keys: Collection[str] | None = None,
) -> pd.DataFrame:
    """What readers get of ``table`` on ``days``, with the column ``variant``; of all instruments or of some.

    Under the kill switch V1's own rows, at once: neither the log nor the served tables are read, and nothing is
    written. MissingPartition for a day that is not stored, or that V1 was not computed in full for.
    """
    keys = [day.isoformat() for day in days]
    source = source_of_served(table, settings)
    if not settings.kill:
        return warehouse.read(source, keys, instrument_keys=instrument_keys)
    for key in keys:
        _require_all_instruments(source, key, warehouse.pointer(source, key))
    rows = warehouse.read(source, keys, instrument_keys=instrument_keys)
    return served_table(table).table.conform(rows.assign(variant=Variant.V1.value))


def days_cut_back(table: Table, warehouse: Warehouse) -> list[str]:
    """The stored days of ``table`` that V1 was not computed in full for."""
    v1 = StoredTable(Variant.V1.value, table)
    return [
        key
        for key, pointer in warehouse.pointers(v1).items()
        if part_of(table, pointer) is not None
    ]


def _require_all_instruments(v1: StoredTable, key: str, pointer: Pointer | None) -> None:
    if part := part_of(v1.table, pointer):
        raise MissingPartition(
            f"{v1.name} {key} cannot be served to all: {part.sentence} on that day; with V1 in force complete it "
            f"by: setbull run --from {key} --to {key}"
        )


def _outdated(stored: StoredTable, assignment: Assignment, warehouse: Warehouse) -> Iterator[date]:
    for key, pointer in warehouse.pointers(stored).items():
        if pointer.inputs.get(ASSIGNMENT) != assignment.hash:
            yield date.fromisoformat(key)


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


def _prepared(
    table: Table, day: date, assignment: Assignment, judged: Collection[date], warehouse: Warehouse
) -> _Day:
    stored, key = served_table(table), day.isoformat()
    lanes = {variant: StoredTable(variant.value, table) for variant in Variant}
    pointers = {variant: warehouse.pointer(lane, key) for variant, lane in lanes.items()}
    if pointers[Variant.V1] is None:
        raise MissingPartition(
            f"{stored.name} {key} needs {lanes[Variant.V1].name}, which was never materialized; "
            f"run: setbull run --from {key} --to {key}"
        )
    if assignment.stage.runs_v1_in_full:
        _require_all_instruments(lanes[Variant.V1], key, pointers[Variant.V1])
    moment = {name: mark for name, mark in pointers[Variant.V1].inputs.items() if name == AS_OF}
    if pointers[Variant.V2]:
        require_same_moment(stored.name, lanes[Variant.V2].name, pointers[Variant.V2], moment, key)
    reason = withheld(table, day, assignment, judged, warehouse)
    provenance = {
        "code_version": serving_code_version(),
        "settings_hash": fingerprint(),
        "inputs": {
            **{
                lanes[variant].name: pointer.content_hash if pointer else _ABSENT
                for variant, pointer in pointers.items()
            },
            ASSIGNMENT: assignment.hash,
            **({WITHHELD: reason} if reason else {}),
            **moment,
        },
    }
    cached = warehouse.is_current(stored, key, **provenance)
    return _Day(day, pointers, provenance, reason, cached)


def _batches(days: Iterable[_Day]) -> Iterator[list[_Day]]:
    """Days that are read and published together."""
    batch: list[_Day] = []
    for of_day in days:
        batch.append(of_day)
        if len(batch) == MOST_PARTITIONS or sum(each.rows for each in batch) >= MOST_ROWS:
            yield batch
            batch = []
    if batch:
        yield batch


def _publish(
    table: Table, batch: Sequence[_Day], assignment: Assignment, warehouse: Warehouse, run_id: str
) -> dict[str, Pointer]:
    """Publish the days of a batch that are not up to date; their pointers by partition."""
    days = [of_day for of_day in batch if not of_day.cached]
    if not days:
        return {}
    rows: dict[Variant, dict[str, pd.DataFrame]] = {}
    frames: dict[str, pd.DataFrame] = {}
    costs: dict[str, Cost] = {}
    failures: dict[str, dict[str, Failure]] = {}
    for of_day in days:
        # What is read for all days is recorded with the first.
        with Meter(warehouse.cache) as meter:
            rows = rows or _rows_by_day(table, days, warehouse)
            of_lanes = {name: of.get(of_day.key, table.empty()) for name, of in rows.items()}
            in_force = replace(assignment, stage=Stage.OFF) if of_day.withheld else assignment
            picked, fallbacks = pick(of_lanes, in_force)
            frames[of_day.key] = served_table(table).table.conform(picked)
        costs[of_day.key] = meter.cost(sum(map(len, of_lanes.values())))
        v2 = of_day.pointers[Variant.V2]
        no_row = Failure(f"{Variant.V2.value}.{table.name} {of_day.key}", "no row in V2")
        failures[of_day.key] = {
            name: (v2.failures if v2 else {}).get(name, no_row) for name in fallbacks
        }
    return warehouse.publish_many(
        served_table(table),
        frames,
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


@dataclass(frozen=True)
class ServedDay:
    """How the instruments of one served partition came out."""

    instruments: int
    from_v2: int
    fallbacks: int
    """Assigned to V2, but served from V1 because V2 has no row of them."""
    not_served: int
    """Only in V2, and not assigned to it."""
    share: float | None
    """Share of the instruments that is served from V2; None without instruments."""


def served_day(table: Table, day: date, warehouse: Warehouse) -> ServedDay:
    """Count what was served on ``day``, from what is stored. MissingPartition when it was never served."""
    stored, partition = served_table(table), day.isoformat()
    rows = warehouse.distinct(stored, partition, ["instrument_key", "variant"])
    found = [Variant(name) for name in rows["variant"].tolist()]
    v2 = StoredTable(Variant.V2.value, table)
    pointer = warehouse.pointer(v2, partition)
    if pointer is None:
        in_v2 = set()
    elif pointer.evicted_at:
        in_v2 = set(warehouse.instrument_hashes(v2, partition).column("instrument_key").to_pylist())
    else:
        in_v2 = set(
            warehouse.distinct(v2, partition, ["instrument_key"])["instrument_key"].tolist()
        )
    return ServedDay(
        instruments=len(rows),
        from_v2=found.count(Variant.V2),
        fallbacks=len(warehouse.pointer(stored, partition).failures),
        not_served=len(in_v2.difference(rows["instrument_key"].tolist())),
        share=realised_share(found),
    )
