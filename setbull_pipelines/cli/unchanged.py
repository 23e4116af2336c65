"""Whether a run would find everything as the last one left it: then its results are shown again.

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
from setbull_pipelines.automation.told_by_tags import STATE_TAG
from setbull_pipelines.cli.days import AskedDays, consecutive
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.pipeline.catalog import stored_tables
from setbull_pipelines.pipeline.daily_reports import REPORT, is_as_written, reporting_code_version
from setbull_pipelines.pipeline.group_plans import file_identity
from setbull_pipelines.pipeline.look_back import partitions_behind
from setbull_pipelines.pipeline.raw import WHOLE_TABLES
from setbull_pipelines.pipeline.references import references_of
from setbull_pipelines.pipeline.rollout_log import read_log
from setbull_pipelines.pipeline.serving import is_as_assigned
from setbull_pipelines.pipeline.stage_decisions import serving_of, stages_in_force
from setbull_pipelines.pipeline.versions import code_version, combined
from setbull_pipelines.quality.rollout_log import LOG
from setbull_pipelines.settings import Settings, fingerprint
from setbull_pipelines.sources.intake import Intake
from setbull_pipelines.warehouse.pointers import WHOLE, StoredTable
from setbull_pipelines.warehouse.store import Warehouse

_DONE = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
"""A run that fails only because V2 differs has left a state behind too; of others nobody remembers one."""
_COVERAGE = StoredTable("raw", tables.COVERAGE)


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


def state_of(
    asked: AskedDays, intake: Intake, warehouse: Warehouse, settings: Settings
) -> State | None:
    """The state that a run over ``asked`` finds; None where something is damaged, or to be computed or served again.

    Of the asked days the files, reports among them, are read whole and held against their hashes, of the look-back the
    pointers. One that cannot be read counts as none, which no run left behind.
    """
    parts = [code_version(""), reporting_code_version(), fingerprint(settings)]
    parts += [file_identity(settings.groups), NSE.revision]
    parts += sorted(intake.identity)
    parts += [day.isoformat() for day in asked.days]
    found = 0
    for stored, keys, are_asked in _partitions(asked.days, warehouse, settings):
        pointers = warehouse.pointers(stored, keys)
        for key, pointer in pointers.items():
            if pointer.failures or pointer.invalidated:
                return None
            if are_asked and not warehouse.verify(stored, key):
                return None
            if stored == REPORT and not is_as_written(date.fromisoformat(key), pointer, settings):
                return None
            parts.append(f"{stored.name} {key} {pointer.content_hash}")
        found += len(pointers)
    if not _is_served_as_asked(asked.days, warehouse, settings):
        return None
    return State(found, combined(parts))


def _is_served_as_asked(days: Sequence[date], warehouse: Warehouse, settings: Settings) -> bool:
    """Whether readers get what the stages in force, the overrides and the judgements of the days ask for."""
    log = read_log(warehouse)
    for table in tables.COMPUTED_TABLES:
        if table.name in tables.SERVED:
            asked = serving_of(table, log, warehouse, settings.rollout)
            if not is_as_assigned(table, days, asked.assignment, asked.judged, warehouse):
                return False
    return True


def earlier_runs(
    instance: dg.DagsterInstance, job: str, asked: AskedDays, state: State
) -> Earlier | None:
    """The runs of ``job`` over the ``asked`` days that did all their work and left ``state`` behind; their checks."""
    filters = dg.RunsFilter(job_name=job, statuses=_DONE, tags={STATE_TAG: state.hash})
    needed = len(consecutive(asked.days))
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


def _partitions(
    days: Sequence[date], warehouse: Warehouse, settings: Settings
) -> Iterator[tuple[StoredTable, list[str], bool]]:
    """What a run reads or writes: table, partitions, and whether they are of the asked days."""
    for stored in (*WHOLE_TABLES, LOG):
        yield stored, [WHOLE], True
    for stored in stored_tables():
        if stored.table.partitioned:
            yield stored, _keys(days), True
    if warehouse.pointer(_COVERAGE, WHOLE) is None:
        return  # nothing was ever taken in
    stages = stages_in_force(warehouse, settings.rollout)
    for stored, behind in partitions_behind(days, stages, settings, references_of(warehouse)):
        yield stored, _keys(sorted(set(behind).difference(days))), False


def _keys(days: Sequence[date]) -> list[str]:
    return [day.isoformat() for day in days]
