"""Who is served what: each instrument's rows of a day, from the variant assigned to it.

Belongs here: whether V2 may be served on a day, which stored days another assignment makes stale, what readers get.
Does not belong here: making the served tables (``serving_days``), picking rows (``assignment``), which stage is in
force (``stage_decisions``), bucketing (``rollout/``), Dagster.

An instrument is taken whole from one lane: V2's indicators were computed from V2's candles. When the assignment
changes, every day that was served before is served again, so that no history mixes the variants. A day on which V2 was
not judged, or did not agree with V1, is served from V1 whatever the assignment.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.pipeline.assignment import Assignment
from setbull_pipelines.pipeline.compared import compared_inputs
from setbull_pipelines.pipeline.comparing_days import outputs_of
from setbull_pipelines.pipeline.lanes import COMPONENT_OF, evicted_lanes, part_of
from setbull_pipelines.pipeline.versions import code_version
from setbull_pipelines.rollout.bucketing import (
    Variant,
    configured_overrides,
    realised_share,
)
from setbull_pipelines.rollout.stages import Stage
from setbull_pipelines.settings import RolloutSettings
from setbull_pipelines.tables import Table
from setbull_pipelines.tables.reconciliation import PASS
from setbull_pipelines.tables.served import SERVED_SCHEMA
from setbull_pipelines.warehouse.errors import MissingPartition
from setbull_pipelines.warehouse.pointers import Pointer, StoredTable
from setbull_pipelines.warehouse.store import Warehouse

logger = logging.getLogger(__name__)

ASSIGNMENT = "assignment"
"""Name of the assignment's hash among the inputs of a served partition."""
WITHHELD = "V2 withheld"
"""Name among the inputs of a served partition: why the day is served from V1 although V2 is assigned to instruments."""
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
        "pipeline/serving_days.py",
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


@dataclass(frozen=True)
class Serving:
    """What readers of one served table get: its assignment, and the sessions that the rollout has looked at."""

    assignment: Assignment
    judged: Collection[date]


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
        not evicted_lanes(table, day, warehouse)
        for day in outdated_days(stored, assignment, warehouse)
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
        require_all_instruments(source, key, warehouse.pointer(source, key))
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


def require_all_instruments(v1: StoredTable, key: str, pointer: Pointer | None) -> None:
    """Raise MissingPartition for a day that V1 was computed in part for."""
    if part := part_of(v1.table, pointer):
        raise MissingPartition(
            f"{v1.name} {key} cannot be served to all: {part.sentence} on that day; with V1 in force complete it "
            f"by: setbull run --from {key} --to {key}"
        )


def outdated_days(
    stored: StoredTable, assignment: Assignment, warehouse: Warehouse
) -> Iterator[date]:
    """The stored days of a served table that were served under another assignment."""
    for key, pointer in warehouse.pointers(stored).items():
        if pointer.inputs.get(ASSIGNMENT) != assignment.hash:
            yield date.fromisoformat(key)


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
