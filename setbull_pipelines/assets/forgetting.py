"""Dagster's runs that nobody looks at any more, deleted with their events, so that its storage stops growing.

Belongs here: which runs go, and what is kept of them. Does not belong here: ticks of schedules and sensors, which
Dagster deletes by itself (``retention`` in ``dagster.yaml``), tables (``pipeline/evicting.py``).
"""

from __future__ import annotations

import datetime
from collections.abc import Collection
from contextlib import suppress

import dagster as dg

from setbull_pipelines.assets.common import LAST_TABLE, asset_key
from setbull_pipelines.errors import TRACEBACK_PREFIX, TRACEBACKS
from setbull_pipelines.settings import Settings

_FINISHED = [
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
]
_CALENDAR_DAYS_PER_SESSION = 3
"""At most, over ten sessions and more: weekends, and holidays beside them."""


def forget_runs(instance: dg.DagsterInstance, settings: Settings, moment: datetime.datetime) -> int:
    """Delete the runs that ended longer ago than ``storage.runs_days``; how many.

    That a session was served stays known: the refresh, the alerts and the sensor of new files ask for it. Runs of
    sessions that are still caught up stay, whatever the setting.
    """
    days = settings.storage.runs_days
    if not days:
        return 0
    days = max(days, _CALENDAR_DAYS_PER_SESSION * settings.refresh.catch_up_days)
    filters = dg.RunsFilter(
        statuses=_FINISHED,
        updated_before=moment.astimezone(datetime.UTC) - datetime.timedelta(days=days),
    )
    runs = [run.run_id for run in instance.get_runs(filters)]
    _keep_sessions(instance, set(runs))
    for run_id in runs:
        instance.delete_run(run_id)
        with suppress(NotImplementedError):  # logs that are kept elsewhere are bounded there
            instance.compute_log_manager.delete_logs(prefix=[run_id])
    return len(runs)


def _keep_sessions(instance: dg.DagsterInstance, runs: Collection[str]) -> None:
    """Say again, without a run, that sessions are done, where only ``runs`` say so.

    Before they are deleted: a process that is killed in between has said something twice.
    """
    key = asset_key(LAST_TABLE)
    latest = instance.event_log_storage.get_latest_storage_id_by_partition(
        key, dg.DagsterEventType.ASSET_MATERIALIZATION
    )
    if not runs or not latest:
        return
    filters = dg.AssetRecordsFilter(key, storage_ids=list(latest.values()))
    records = instance.fetch_materializations(filters, limit=len(latest)).records
    told = [record.asset_materialization for record in records if record.run_id in runs]
    if told:
        # With it comes SQLAlchemy, which loading the definitions must not.
        from setbull_pipelines.assets.event_log import report_materializations

        # What is stored last is the latest of its asset for Dagster: of the days, that is the last one.
        report_materializations(instance, None, [*told, *_latest(instance, key, told)])


def _latest(
    instance: dg.DagsterInstance, key: dg.AssetKey, told: Collection[dg.AssetMaterialization]
) -> list[dg.AssetMaterialization]:
    event = instance.get_latest_materialization_event(key)
    latest = event.asset_materialization if event else None
    return [latest] if latest and latest.partition not in {each.partition for each in told} else []


def forget_error_logs(settings: Settings, moment: datetime.datetime) -> int:
    """Delete the tracebacks of errors that are older than ``storage.runs_days``; how many."""
    if not settings.storage.runs_days:
        return 0
    oldest = (moment - datetime.timedelta(days=settings.storage.runs_days)).timestamp()
    logs = (settings.data_directory / TRACEBACKS).glob(f"{TRACEBACK_PREFIX}*.log")
    old = [path for path in logs if path.stat().st_mtime < oldest]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)
