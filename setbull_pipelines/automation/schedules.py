"""The daily refresh as an explicit schedule that asks the calendar.

Belongs here: the schedule and what it reads from the instance. Does not belong here: the decision
(``refresh``). Schedules derived from partitions are not used: they launch a future day on holidays.
"""

import datetime
from zoneinfo import ZoneInfo

import dagster as dg

from setbull_pipelines.assets.common import asset_key
from setbull_pipelines.automation.jobs import (
    DAILY_JOB_NAME,
    FETCH_JOB_NAME,
    MAINTENANCE_JOB_NAME,
    SELF_TEST_JOB_NAME,
)
from setbull_pipelines.automation.refresh import decide
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.pipeline.reconciling import SUMMARY
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables.contract import INDIA

PARTITION_TAG = "dagster/partition"
RANGE_TAGS = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def materialized_days(instance: dg.DagsterInstance) -> set[datetime.date]:
    """Trading days whose last table, the reconciliation summary, is materialized."""
    keys = instance.get_materialized_partitions(asset_key(SUMMARY))
    return {datetime.date.fromisoformat(key) for key in keys}


def days_under_way(instance: dg.DagsterInstance) -> set[datetime.date]:
    """Trading days of unfinished runs of the daily job, single days and ranges."""
    runs = instance.get_runs(dg.RunsFilter(job_name=DAILY_JOB_NAME, statuses=_UNFINISHED))
    days: set[datetime.date] = set()
    for run in runs:
        if PARTITION_TAG in run.tags:
            days.add(datetime.date.fromisoformat(run.tags[PARTITION_TAG]))
        elif all(tag in run.tags for tag in RANGE_TAGS):
            first, last = (datetime.date.fromisoformat(run.tags[tag]) for tag in RANGE_TAGS)
            days.update(NSE.trading_days(first, last))
    return days


def build_schedules(settings: Settings, jobs: dict[str, object]) -> list[dg.ScheduleDefinition]:
    """After the close of regular sessions, and in the evening for the special ones."""

    @dg.schedule(
        name="after_close",
        job=jobs[DAILY_JOB_NAME],
        cron_schedule=list(settings.refresh.ticks),
        execution_timezone=INDIA,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="Refreshes today once its session has closed, and catches up on missed sessions.",
    )
    def after_close(context: dg.ScheduleEvaluationContext):
        moment = context.scheduled_execution_time.astimezone(ZoneInfo(INDIA)).replace(tzinfo=None)
        refresh = decide(
            NSE,
            moment,
            materialized_days(context.instance),
            days_under_way(context.instance),
            settings.refresh.catch_up_days,
        )
        if not refresh.days:
            return dg.SkipReason(refresh.reason)
        # A new tick may ask again for a day whose run failed; within a tick a day is asked once.
        return [
            dg.RunRequest(
                run_key=f"{day.isoformat()} at {moment:%Y-%m-%d %H:%M}",
                partition_key=day.isoformat(),
            )
            for day in refresh.days
        ]

    weekly_maintenance = dg.ScheduleDefinition(
        name="weekly_maintenance",
        job=jobs[MAINTENANCE_JOB_NAME],
        cron_schedule=settings.refresh.maintenance_tick,
        execution_timezone=INDIA,
        description="Deletes old versions of partitions outside trading hours.",
    )
    weekly_self_test = dg.ScheduleDefinition(
        name="weekly_self_test",
        job=jobs[SELF_TEST_JOB_NAME],
        cron_schedule=settings.refresh.self_test_tick,
        execution_timezone=INDIA,
        description="Proves that the reconciliation still catches every known fault, outside trading hours.",
    )
    fetch_after_close = dg.ScheduleDefinition(
        name="fetch_after_close",
        job=jobs[FETCH_JOB_NAME],
        cron_schedule=list(settings.refresh.fetch_ticks),
        execution_timezone=INDIA,
        description="Asks the broker for what is missing; on days without a session nothing is, and nothing is asked.",
    )
    return [after_close, weekly_maintenance, weekly_self_test, fetch_after_close]
