"""Whether a run would find everything as the last one left it: then its results are told again.

Belongs here: what a run depends on and left behind, as one hash, and finding the runs that left it. Does not belong
here: whether a single partition is up to date (``pipeline/engine.py``), executing (``run``).

A run with nothing to do would still write some thousand events, one by one. What counts as the same is more than the
partitions say: any change of code or settings, and any file of the input, makes a run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import dagster as dg

from setbull_pipelines import tables
from setbull_pipelines.assets.catalog import stored_tables
from setbull_pipelines.cli.plan import Plan, consecutive
from setbull_pipelines.pipeline.raw import DAY_TABLES, WHOLE_TABLES
from setbull_pipelines.pipeline.rolling_out import LOG
from setbull_pipelines.pipeline.versions import code_version, combined
from setbull_pipelines.settings import Settings, fingerprint
from setbull_pipelines.sources.intake import Intake
from setbull_pipelines.warehouse.errors import DamagedPartition
from setbull_pipelines.warehouse.store import WHOLE, StoredTable, Warehouse

STATE_TAG = "setbull/state"
"""On runs of ``setbull run``: the state that they left behind."""
_VARIANTS = ("v1", "v2")


@dataclass(frozen=True)
class State:
    """What is stored of the days of a plan and of its look-back."""

    partitions: int
    hash: str


@dataclass(frozen=True)
class Earlier:
    """The runs that left a state behind which is still there."""

    state: State
    ended: datetime
    checks: list[dg.AssetCheckEvaluation]


def state_of(plan: Plan, intake: Intake, warehouse: Warehouse, settings: Settings) -> State | None:
    """The state that ``plan`` finds; None where a partition is damaged, or has to be computed again.

    Of the asked days the files are read whole and held against their hashes, of the look-back the pointers.
    """
    parts = [code_version(""), fingerprint(settings), *sorted(intake.identity)]
    parts += [day.isoformat() for day in plan.days]
    found = 0
    try:
        for stored, key, is_asked in _partitions(plan):
            pointer = warehouse.pointer(stored, key)
            parts.append(f"{stored.name} {key} {pointer.content_hash if pointer else None}")
            if pointer is None:
                continue
            if pointer.failures or pointer.invalidated:
                return None
            if is_asked and not warehouse.verify(stored, key):
                return None
            found += 1
    except DamagedPartition:
        return None
    return State(found, combined(parts))


def earlier_runs(
    instance: dg.DagsterInstance, job: str, plan: Plan, state: State
) -> Earlier | None:
    """The successful runs of ``job`` over the days of ``plan`` that left ``state`` behind, and their checks."""
    filters = dg.RunsFilter(
        job_name=job, statuses=[dg.DagsterRunStatus.SUCCESS], tags={STATE_TAG: state.hash}
    )
    needed = len(consecutive(plan.days))
    records = instance.get_run_records(filters, limit=needed)
    if len(records) < needed:
        return None
    checks = [
        event.dagster_event.asset_check_evaluation_data
        for record in records
        for event in instance.all_logs(
            record.dagster_run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
        )
    ]
    return Earlier(state, max(record.update_timestamp for record in records), checks)


def remember(instance: dg.DagsterInstance, run_ids: Sequence[str], state: State) -> None:
    """Say of runs which state they left behind."""
    for run_id in run_ids:
        instance.add_run_tags(run_id, {STATE_TAG: state.hash})


def _partitions(plan: Plan) -> Iterator[tuple[StoredTable, str, bool]]:
    """What a run reads or writes: table, partition, and whether it is of an asked day."""
    for stored in (*WHOLE_TABLES, LOG):
        yield stored, WHOLE, True
    of_days = [stored for stored in stored_tables() if stored.table.partitioned]
    yield from ((stored, key, True) for key in _keys(plan.days) for stored in of_days)
    of_history = (
        (plan.candles, [*DAY_TABLES, *_both(tables.CANDLES_DAILY)]),
        (plan.candles_5min, _both(tables.CANDLES_5MIN)),
        (plan.indicators_daily, _both(tables.INDICATORS_DAILY)),
    )
    for days, stored_of_them in of_history:
        yield from ((stored, key, False) for key in _keys(days) for stored in stored_of_them)


def _keys(days: Sequence[date]) -> list[str]:
    return [day.isoformat() for day in days]


def _both(table: tables.Table) -> list[StoredTable]:
    return [StoredTable(variant, table) for variant in _VARIANTS]
