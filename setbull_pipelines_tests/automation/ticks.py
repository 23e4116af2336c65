"""Ticks of a schedule at a moment, and what an instance of Dagster knows before them.

Belongs here: evaluating a schedule as the daemon does; days and runs that the instance is given. Does not belong here:
assertions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime
from zoneinfo import ZoneInfo

import dagster as dg
from dagster import AssetMaterialization, DagsterRunStatus
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.test_utils import create_run_for_test

from setbull_pipelines.assets.common import needs_warehouse
from setbull_pipelines.definitions import build_defs
from setbull_pipelines.settings import Settings

INDIA = ZoneInfo("Asia/Kolkata")
LAST_TABLE = dg.AssetKey(["served", "filter_results"])
Tick = Callable[[datetime], object]


def ticking(settings: Settings, instance: dg.DagsterInstance, name: str) -> Tick:
    """Evaluates a schedule as the daemon does, at a moment of exchange time."""
    repository = build_defs(settings).get_repository_def()
    schedule = repository.get_schedule_def(name)

    def evaluate(moment: datetime):
        with dg.build_schedule_context(
            instance=instance,
            repository_def=repository,
            resources=needs_warehouse(settings),
            scheduled_execution_time=moment.replace(tzinfo=INDIA).astimezone(ZoneInfo("UTC")),
        ) as context:
            return schedule.evaluate_tick(context)

    return evaluate


def materialize(
    instance: dg.DagsterInstance, days: Iterable[date], asset: dg.AssetKey = LAST_TABLE
) -> None:
    """Let the instance know of materialized days of a table."""
    for day in days:
        instance.report_runless_asset_event(
            AssetMaterialization(asset_key=asset, partition=day.isoformat())
        )


def start_run(
    instance: dg.DagsterInstance,
    tags: dict[str, str],
    status: DagsterRunStatus = DagsterRunStatus.QUEUED,
    job: str = "daily",
) -> str:
    """Let the instance know of a run, as if it had been launched; returns its id."""
    location = RegisteredCodeLocationOrigin("setbull_pipelines")
    origin = RemoteJobOrigin(RemoteRepositoryOrigin(location, "__repository__"), job)
    return create_run_for_test(
        instance, job_name=job, tags=tags, status=status, remote_job_origin=origin
    ).run_id


def days_asked(data) -> list[str]:
    """The days for which a tick asks for runs."""
    return [request.partition_key for request in data.run_requests]


def at(day: date, hour: int, minute: int = 30) -> datetime:
    """A moment of a day, half past an hour where nothing else is said."""
    return datetime(day.year, day.month, day.day, hour, minute)
