"""Which stored rows of V1 and V2 are given up, so that the disk space of intermediate tables stays within its limit.

Belongs here: what is intermediate, what has to stay, the order of eviction, telling ``operations.processing_metrics``.
Does not belong here: removing (``warehouse/``), computing again (``engine``), when it is done (``assets/maintenance``).

Intermediate are the tables of V1 and V2: all of them can be computed again from the raw tables. Raw, served,
reconciliation and operations tables are never touched. What sessions after the newest look
back on stays too, and what is still to be compared or served, unless nobody has used it for a day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from setbull_pipelines import tables
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.pipeline.compared import compared_inputs
from setbull_pipelines.pipeline.comparing_days import outputs_of
from setbull_pipelines.pipeline.metrics import VARIANTS, note_evicted
from setbull_pipelines.pipeline.serving import served_table
from setbull_pipelines.pipeline.steps import STEPS
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables import Table
from setbull_pipelines.warehouse.errors import DamagedPartition
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.store import Warehouse

INTERMEDIATE = tuple(
    StoredTable(lane, table) for table in tables.COMPUTED_TABLES for lane in VARIANTS
)
_UNFINISHED_FOR = timedelta(days=1)


@dataclass(frozen=True)
class Stored:
    """One intermediate partition with rows on disk."""

    stored: StoredTable
    partition: str
    size_bytes: int
    """Bytes of all its kept versions."""
    last_used: datetime
    """Published or read, with a resolution of one hour."""


@dataclass(frozen=True)
class Eviction:
    """What was given up, and what is left of intermediate data."""

    evicted: tuple[Stored, ...]
    """In the order of their last use."""
    bytes_left: int
    bytes_that_stay: int
    """The part of what is left that coming or unfinished sessions need; it stays even above the limit."""


def evict(warehouse: Warehouse, settings: Settings, now: datetime, run_id: str) -> Eviction | None:
    """Give up what the limits of ``settings.storage`` do not allow at ``now`` (with time zone); None without limits.

    The bytes are removed with the next ``Warehouse.collect_garbage``: rebuild the catalog before.
    """
    limit, days = (
        settings.storage.intermediate_limit_mib * 2**20,
        settings.storage.intermediate_days,
    )
    if not limit and not days:
        return None
    kept = _needed(warehouse, settings)
    there, free = [], []
    for stored in INTERMEDIATE:
        for partition in warehouse.partitions(stored):
            try:
                usage = warehouse.usage(stored, partition)
            except DamagedPartition:
                continue  # nobody knows which of its files is needed
            if usage is None:
                continue
            used = datetime.fromtimestamp(usage[1], UTC)
            found = Stored(stored, partition, usage[0], used)
            there.append(found)
            if partition not in kept.get(stored.table.name, ()) and (
                now - used > _UNFINISHED_FOR or _is_finished(stored.table, partition, warehouse)
            ):
                free.append(found)
    total = sum(each.size_bytes for each in there)
    chosen = least_recently_used(
        free,
        bytes_over=max(total - limit, 0) if limit else 0,
        unused_since=now - timedelta(days=days) if days else None,
    )
    evicted = []
    for each in chosen:
        try:
            warehouse.evict(each.stored, each.partition)
        except DamagedPartition:
            continue  # its rows are not what they were: it is computed again when it is asked for
        evicted.append(each)
    note_evicted([(each.stored, each.partition) for each in evicted], warehouse, run_id)
    return Eviction(
        tuple(evicted),
        total - sum(each.size_bytes for each in evicted),
        total - sum(each.size_bytes for each in free),
    )


def least_recently_used(
    free: Sequence[Stored], bytes_over: int, unused_since: datetime | None
) -> list[Stored]:
    """What to give up of ``free``: all that was last used before ``unused_since``, then the longest unused.

    As few as make up ``bytes_over`` together. The earlier session goes first among those used at the same time.
    """
    chosen, freed = [], 0
    for each in sorted(free, key=lambda item: (item.last_used, item.partition, item.stored.name)):
        is_expired = unused_since is not None and each.last_used < unused_since
        if not is_expired and freed >= bytes_over:
            break
        chosen.append(each)
        freed += each.size_bytes
    return chosen


def _needed(warehouse: Warehouse, settings: Settings) -> dict[str, set[str]]:
    """By table name, the sessions that those after the newest stored one look back on, and that one itself."""
    newest = max(
        (key for stored in INTERMEDIATE for key in warehouse.partitions(stored)), default=None
    )
    if newest is None:
        return {}
    sessions = NSE.trading_days(NSE.first_day, date.fromisoformat(newest))
    look_back = dict.fromkeys((table.name for table in tables.COMPUTED_TABLES), 0)
    for step in STEPS:
        for item in step.inputs:
            if not item.is_raw:
                look_back[item.table.name] = max(
                    look_back[item.table.name], item.look_back(settings)
                )
    return {
        name: {session.isoformat() for session in sessions[-(count + 1) :]}
        for name, count in look_back.items()
    }


def _is_finished(table: Table, partition: str, warehouse: Warehouse) -> bool:
    """Whether both variants, as they are, have been compared and served."""
    lanes = {lane: warehouse.pointer(StoredTable(lane, table), partition) for lane in VARIANTS}
    verdict = warehouse.pointer(outputs_of(table)[2], partition)
    if verdict is None or verdict.inputs != compared_inputs(table, lanes):
        return False
    if table.name not in tables.SERVED:
        return True
    served = warehouse.pointer(served_table(table), partition)
    return served is not None and all(
        served.inputs.get(StoredTable(lane, table).name) == pointer.content_hash
        for lane, pointer in lanes.items()
        if pointer
    )
