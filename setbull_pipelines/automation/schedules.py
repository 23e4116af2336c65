"""The refreshes as explicit schedules that ask the calendar, and the daily one after a fetch.

Belongs here: the schedules and what they read from the instance. Does not belong here: the decisions
(``refresh``). Schedules derived from partitions are not used: they launch a future day on holidays.
"""

import datetime
from zoneinfo import ZoneInfo

import dagster as dg

from setbull_pipelines.assets.common import (
    AS_OF_TAG,
    DAILY_JOB_NAME,
    INTRADAY_JOB_NAME,
    LAST_TABLE,
    asset_key,
    sessions_of,
)
from setbull_pipelines.automation.jobs import (
    FETCH_JOB_NAME,
    MAINTENANCE_JOB_NAME,
    SCRUB_JOB_NAME,
    SELF_TEST_JOB_NAME,
)
from setbull_pipelines.automation.refresh import Offered, Refresh, decide, decide_intraday
from setbull_pipelines.automation.told_by_tags import KILLED
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.pipeline import fetching, what_to_fetch
from setbull_pipelines.pipeline.opening import now
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables.contract import INDIA
from setbull_pipelines.warehouse.resources import WarehouseResource
from setbull_pipelines.warehouse.store import Warehouse

_KILLED_LATELY = datetime.timedelta(days=14)
"""Nothing is asked again because of older runs: a sensor that looks every minute must not read years of them."""
_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def materialized_days(instance: dg.DagsterInstance) -> set[datetime.date]:
    """Trading days whose last table, the served filter results, is materialized, but for those of killed runs.

    Not the reconciliation: a run that ends after it has judged and served nothing.
    """
    keys = instance.get_materialized_partitions(asset_key(LAST_TABLE))
    return {datetime.date.fromisoformat(key) for key in keys} - _cut_off(instance)


def _cut_off(instance: dg.DagsterInstance) -> set[datetime.date]:
    """Trading days whose newest run was killed: what is made after the tables, as reports, can be missing."""
    lately = (now() - _KILLED_LATELY).astimezone(datetime.UTC)
    killed = instance.get_run_records(
        dg.RunsFilter(job_name=DAILY_JOB_NAME, tags=KILLED, created_after=lately),
        ascending=True,
        limit=1,
    )
    if not killed:
        return set()
    since = killed[0].create_timestamp - datetime.timedelta(seconds=1)
    runs = instance.get_run_records(
        dg.RunsFilter(job_name=DAILY_JOB_NAME, created_after=since), ascending=True
    )
    days: set[datetime.date] = set()
    for record in runs:
        tags = record.dagster_run.tags
        if KILLED.items() <= tags.items():
            days.update(sessions_of(tags))
        else:
            days.difference_update(sessions_of(tags))
    return days


def days_under_way(instance: dg.DagsterInstance) -> set[datetime.date]:
    """Trading days of unfinished runs of the daily job, single days and ranges."""
    runs = instance.get_runs(dg.RunsFilter(job_name=DAILY_JOB_NAME, statuses=_UNFINISHED))
    return {day for run in runs for day in sessions_of(run.tags)}


def unfinished_jobs(instance: dg.DagsterInstance) -> list[str]:
    """Names of the jobs with an unfinished run that a refresh of the session under way would have to wait for."""
    names = (INTRADAY_JOB_NAME, DAILY_JOB_NAME, FETCH_JOB_NAME)
    return [
        name
        for name in names
        if instance.get_runs_count(dg.RunsFilter(job_name=name, statuses=_UNFINISHED))
    ]


def offered_days(days: dg.StaticPartitionsDefinition) -> Offered:
    """The first and the last day that there are partitions of, as long as these definitions are loaded."""
    return Offered(
        datetime.date.fromisoformat(days.get_first_partition_key()),
        datetime.date.fromisoformat(days.get_last_partition_key()),
    )


def due(
    instance: dg.DagsterInstance,
    warehouse: Warehouse,
    settings: Settings,
    moment: datetime.datetime,
    offered: Offered,
) -> Refresh:
    """What the daily refresh has to do at ``moment`` (exchange time, without zone)."""
    received_until = datetime.date.max
    if what_to_fetch.is_source(settings):
        received_until = fetching.received_until(warehouse, settings) or datetime.date.min
    return decide(
        NSE,
        moment,
        materialized_days(instance),
        days_under_way(instance),
        settings.refresh.catch_up_days,
        received_until,
        offered,
    )


def requests_of(refresh: Refresh, moment: datetime.datetime) -> list[dg.RunRequest]:
    """One run of the daily job for each day.

    A new tick may ask again for a day whose run failed; within a tick a day is asked once.
    """
    return [
        dg.RunRequest(
            run_key=f"{day.isoformat()} at {moment:%Y-%m-%d %H:%M}", partition_key=day.isoformat()
        )
        for day in refresh.days
    ]


def _in_exchange_time(moment: datetime.datetime) -> datetime.datetime:
    return moment.astimezone(ZoneInfo(INDIA)).replace(tzinfo=None)


def build_after_fetch(
    settings: Settings, jobs: dict[str, object], offered: Offered
) -> dg.SensorDefinition:
    """The sensor ``after_fetch``; off until somebody switches it on, because it launches runs."""

    @dg.run_status_sensor(
        name="after_fetch",
        run_status=dg.DagsterRunStatus.SUCCESS,
        monitored_jobs=[jobs[FETCH_JOB_NAME]],
        request_job=jobs[DAILY_JOB_NAME],
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Refreshes the sessions that a fetch from the broker has just brought, without waiting for the "
        "next tick of after_close. Idle while the input is something else.",
    )
    def after_fetch(context: dg.RunStatusSensorContext, warehouse: WarehouseResource):
        if not what_to_fetch.is_source(settings):
            return dg.SkipReason("the input is not what is fetched from the broker")
        moment = _in_exchange_time(now())
        refresh = due(context.instance, warehouse.open(), settings, moment, offered)
        return requests_of(refresh, moment) or dg.SkipReason(refresh.reason)

    return after_fetch


def build_schedules(
    settings: Settings, jobs: dict[str, object], offered: Offered
) -> list[dg.ScheduleDefinition]:
    """After the close of regular sessions and in the evening for the special ones; and during sessions."""

    @dg.schedule(
        name="after_close",
        job=jobs[DAILY_JOB_NAME],
        cron_schedule=list(settings.refresh.ticks),
        execution_timezone=INDIA,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="Refreshes today once its session has closed, and catches up on missed sessions. Where the "
        "input is fetched from the broker, sessions wait until they were asked for.",
    )
    def after_close(context: dg.ScheduleEvaluationContext, warehouse: WarehouseResource):
        moment = _in_exchange_time(context.scheduled_execution_time)
        refresh = due(context.instance, warehouse.open(), settings, moment, offered)
        return requests_of(refresh, moment) or dg.SkipReason(refresh.reason)

    @dg.schedule(
        name="intraday",
        job=jobs[INTRADAY_JOB_NAME],
        cron_schedule=list(settings.refresh.intraday_ticks),
        execution_timezone=INDIA,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="Refreshes the 5-minute tables of the session under way with the bars that have closed. Skips "
        "a tick while the run before it, or a daily one, is not finished.",
    )
    def intraday(context: dg.ScheduleEvaluationContext):
        moment = _in_exchange_time(context.scheduled_execution_time)
        refresh = decide_intraday(
            NSE,
            moment,
            materialized_days(context.instance),
            unfinished_jobs(context.instance),
            settings.aggregation.bar_minutes,
            offered,
        )
        if not refresh.days:
            return dg.SkipReason(refresh.reason)
        return dg.RunRequest(
            run_key=f"intraday {moment:%Y-%m-%d %H:%M}",
            partition_key=moment.date().isoformat(),
            tags={AS_OF_TAG: moment.isoformat()},
        )

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
    weekly_scrub = dg.ScheduleDefinition(
        name="weekly_scrub",
        job=jobs[SCRUB_JOB_NAME],
        cron_schedule=settings.refresh.scrub_tick,
        execution_timezone=INDIA,
        description="Reads stored files to the last byte and repairs damaged ones, outside trading hours.",
    )
    fetch_after_close = dg.ScheduleDefinition(
        name="fetch_after_close",
        job=jobs[FETCH_JOB_NAME],
        cron_schedule=list(settings.refresh.fetch_ticks),
        execution_timezone=INDIA,
        description="Asks the broker for what is missing; on days without a session nothing is, and nothing is asked.",
    )
    return [
        after_close,
        intraday,
        weekly_maintenance,
        weekly_self_test,
        weekly_scrub,
        fetch_after_close,
    ]
