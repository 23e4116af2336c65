"""The daily schedule: which sessions a tick asks for, and why it skips."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster import DagsterRunStatus

from setbull_pipelines.assets.common import RANGE_TAGS, needs_warehouse
from setbull_pipelines.automation.schedules import days_under_way, materialized_days
from setbull_pipelines.automation.told_by_tags import KILLED
from setbull_pipelines.settings import CalendarSettings, Settings
from setbull_pipelines_tests.automation.schedules.sessions import (
    BEFORE,
    FILTER_RESULTS,
    PARTITION,
    RANGE_END,
    RANGE_START,
    RECONCILED,
    WEDNESDAY,
)
from setbull_pipelines_tests.automation.ticks import (
    at,
    days_asked,
    materialize,
    start_run,
    ticking,
)


def test_the_schedule_ticks_twice_a_day_in_exchange_time_and_is_switched_on_by_the_user(
    definitions,
):
    schedule = definitions.get_repository_def().get_schedule_def("after_close")
    assert schedule.cron_schedule == ["30 16 * * *", "30 20 * * *"]
    assert schedule.execution_timezone == "Asia/Kolkata"
    assert schedule.job_name == "daily"
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    assert schedule.description


def test_a_first_tick_asks_for_today_as_a_partition_of_the_daily_job(tick):
    data = tick(at(WEDNESDAY, 16))
    assert data.skip_message is None
    (request,) = data.run_requests
    assert request.partition_key == "2024-06-05"
    assert request.run_key == "2024-06-05 at 2024-06-05 16:30"
    assert request.tags[PARTITION] == "2024-06-05"


def test_a_moment_in_utc_is_read_as_exchange_time(definitions, settings, instance):
    """20:30 UTC on Tuesday is 02:00 on Wednesday in India: Wednesday's session is still to come."""
    repository = definitions.get_repository_def()
    with dg.build_schedule_context(
        instance=instance,
        repository_def=repository,
        resources=needs_warehouse(settings),
        scheduled_execution_time=datetime(2024, 6, 4, 20, 30, tzinfo=ZoneInfo("UTC")),
    ) as context:
        data = repository.get_schedule_def("after_close").evaluate_tick(context)
    assert data.run_requests == []
    assert data.skip_message.startswith("the session of 2024-06-05 has not closed at 02:00")


@pytest.mark.parametrize(
    ("moment", "reason"),
    [
        (at(date(2024, 3, 29), 16), "2024-03-29 is not a trading day: Good Friday"),
        (at(date(2024, 6, 8), 16), "2024-06-08 is not a trading day: weekend"),
        (at(date(2023, 11, 12), 16), "the session of 2023-11-12 has not closed at 16:30"),
        (at(date(2028, 1, 3), 16), "2028-01-03 is outside the NSE calendar"),
    ],
)
def test_a_skip_says_why(tick, moment, reason):
    data = tick(moment)
    assert data.run_requests == []
    assert data.skip_message.startswith(reason)


@pytest.mark.parametrize(
    "moment",
    [
        at(date(2024, 3, 2), 16),  # Saturday drill
        at(date(2026, 2, 1), 16),  # Sunday, Union Budget
        at(date(2023, 11, 12), 20),  # Muhurat in the evening of a Sunday
    ],
)
def test_special_sessions_are_asked_for(tick, moment):
    assert days_asked(tick(moment)) == [moment.date().isoformat()]


def test_a_materialized_day_is_not_asked_again(tick, instance):
    materialize(instance, [WEDNESDAY])
    data = tick(at(WEDNESDAY, 20))
    assert data.run_requests == []
    assert data.skip_message == (
        "2024-06-05 is materialized or under way; no earlier session is missing"
    )


def test_a_day_counts_as_done_only_with_its_last_table(tick, instance):
    materialize(instance, [WEDNESDAY], FILTER_RESULTS)
    assert days_asked(tick(at(WEDNESDAY, 20))) == ["2024-06-05"]


def test_downtime_is_caught_up_oldest_first_in_batches_of_the_settings(tick, instance):
    materialize(instance, [date(2024, 2, 29)])
    back = date(2024, 3, 7)
    first = days_asked(tick(at(back, 16)))
    assert first == ["2024-03-01", "2024-03-02", "2024-03-04"]
    materialize(instance, map(date.fromisoformat, first))
    assert days_asked(tick(at(back, 20))) == ["2024-03-05", "2024-03-06", "2024-03-07"]


@pytest.mark.parametrize(
    "status",
    [
        DagsterRunStatus.QUEUED,
        DagsterRunStatus.NOT_STARTED,
        DagsterRunStatus.STARTING,
        DagsterRunStatus.STARTED,
        DagsterRunStatus.CANCELING,
    ],
)
def test_a_day_under_way_is_not_asked_again(tick, instance, status):
    start_run(instance, {PARTITION: "2024-06-05"}, status)
    data = tick(at(WEDNESDAY, 20))
    assert data.run_requests == []
    assert "2024-06-05 is materialized or under way" in data.skip_message


@pytest.mark.parametrize("status", [DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED])
def test_a_failed_day_is_asked_again_on_the_next_tick_with_another_run_key(tick, instance, status):
    afternoon = tick(at(WEDNESDAY, 16))
    start_run(instance, {PARTITION: "2024-06-05"}, status)
    evening = tick(at(WEDNESDAY, 20))
    assert days_asked(afternoon) == days_asked(evening) == ["2024-06-05"]
    # The daemon drops a request whose run key it has seen.
    assert afternoon.run_requests[0].run_key != evening.run_requests[0].run_key


def test_an_earlier_day_under_way_does_not_hold_up_today(tick, instance):
    materialize(instance, [date(2024, 6, 3)])
    start_run(instance, {PARTITION: BEFORE.isoformat()})
    assert days_asked(tick(at(WEDNESDAY, 16))) == ["2024-06-05"]


def test_a_run_over_a_range_has_all_its_days_under_way(tick, instance):
    """``setbull run`` and back-fills from the UI are one run over a range of days."""
    start_run(instance, {RANGE_START: "2024-06-04", RANGE_END: "2024-06-05"})
    assert days_under_way(instance) == {BEFORE, WEDNESDAY}
    assert tick(at(WEDNESDAY, 16)).run_requests == []


def test_results_of_later_days_do_not_break_the_tick(tick, instance):
    """The generated sample may lie after the clock's day."""
    materialize(instance, [date(2026, 6, 30)])
    assert days_asked(tick(at(WEDNESDAY, 16))) == ["2024-06-05"]


def test_no_session_after_the_last_of_the_sample_is_asked_for(tick, look, instance):
    after = at(date(2026, 7, 15), 16)
    for said in (tick(after), look(at(after.date(), 10, 5))):
        assert said.run_requests == []
        assert said.skip_message == "the input ends with 2026-06-30"
    materialize(instance, [date(2026, 6, 26)])
    assert days_asked(tick(after)) == ["2026-06-29", "2026-06-30"]
    materialize(instance, [date(2026, 6, 29), date(2026, 6, 30)])
    said = tick(after)
    assert said.run_requests == []
    assert said.skip_message == "the input ends with 2026-06-30; no earlier session is missing"


def test_days_that_became_older_than_the_partitions_are_not_asked_for(tmp_path, instance):
    later = CalendarSettings(first_partition="2024-06-05")
    settings = Settings(data_directory=tmp_path, calendar=later)
    materialize(instance, [date(2024, 6, 3)])
    assert days_asked(ticking(settings, instance, "after_close")(at(WEDNESDAY, 16))) == [
        "2024-06-05"
    ]
    before = ticking(settings, instance, "after_close")(at(BEFORE, 16))
    assert before.run_requests == []
    assert before.skip_message == "the input begins with 2024-06-05"


def test_what_the_schedule_reads_from_the_instance(instance):
    assert materialized_days(instance) == set()
    assert days_under_way(instance) == set()
    materialize(instance, [BEFORE, WEDNESDAY])
    start_run(instance, {PARTITION: "2024-06-06"})
    start_run(instance, {PARTITION: "2024-06-07"}, DagsterRunStatus.SUCCESS)
    start_run(instance, {}, DagsterRunStatus.STARTED)
    start_run(instance, {PARTITION: "2024-06-10"}, job="v1_lane")
    assert materialized_days(instance) == {BEFORE, WEDNESDAY}
    assert days_under_way(instance) == {date(2024, 6, 6)}


def test_a_session_whose_run_was_killed_after_the_comparison_is_asked_for_again(instance, tick):
    """It is neither judged nor served."""
    materialize(instance, [BEFORE])
    materialize(instance, [WEDNESDAY], RECONCILED)
    assert days_asked(tick(at(WEDNESDAY, 17))) == [str(WEDNESDAY)]


def test_a_session_whose_newest_run_was_killed_is_asked_for_again_though_it_is_served(
    instance, tick
):
    """Its report can be missing."""
    materialize(instance, [BEFORE, WEDNESDAY])
    start_run(instance, {PARTITION: str(BEFORE)} | KILLED, DagsterRunStatus.FAILURE)
    start_run(instance, {PARTITION: str(WEDNESDAY)}, DagsterRunStatus.SUCCESS)
    assert materialized_days(instance) == {WEDNESDAY}
    # A later run ended, as it did or not; one that repeats a killed one is not killed itself.
    start_run(instance, {PARTITION: str(BEFORE)}, DagsterRunStatus.FAILURE)
    assert materialized_days(instance) == {BEFORE, WEDNESDAY}
    killed = dict.fromkeys(RANGE_TAGS, str(WEDNESDAY)) | KILLED
    start_run(instance, killed, DagsterRunStatus.FAILURE)
    assert materialized_days(instance) == {BEFORE}
