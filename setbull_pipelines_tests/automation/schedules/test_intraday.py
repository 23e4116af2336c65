"""The schedule of the session under way: a tick every five minutes, and one run at a time."""

from __future__ import annotations

import dagster as dg
import pytest
from dagster import DagsterRunStatus

from setbull_pipelines_tests.automation.schedules.sessions import (
    PARTITION,
    WEDNESDAY,
)
from setbull_pipelines_tests.automation.ticks import (
    at,
    materialize,
    start_run,
)


def test_the_intraday_schedule_ticks_every_five_minutes_and_is_switched_on_by_the_user(definitions):
    schedule = definitions.get_repository_def().get_schedule_def("intraday")
    assert schedule.cron_schedule == ["*/5 9-19 * * *"]
    assert schedule.job_name == "intraday"
    assert schedule.execution_timezone == "Asia/Kolkata"
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED


def test_a_tick_in_the_session_asks_for_the_day_as_of_the_tick(look):
    (request,) = look(at(WEDNESDAY, 10, 5)).run_requests
    assert request.partition_key == "2024-06-05"
    assert request.run_key == "intraday 2024-06-05 10:05"
    assert request.tags["setbull/as_of"] == "2024-06-05T10:05:00"


@pytest.mark.parametrize("job", ["intraday", "daily", "fetch"])
def test_a_late_run_is_waited_for_and_not_piled_upon(job, look, instance):
    run = start_run(instance, {PARTITION: "2024-06-05"}, DagsterRunStatus.STARTED, job=job)
    for minute in (5, 10, 15):
        data = look(at(WEDNESDAY, 10, minute))
        assert data.run_requests == []
        assert data.skip_message == f"a run of {job} is not finished"
    instance.delete_run(run)
    assert len(look(at(WEDNESDAY, 10, 20)).run_requests) == 1


def test_a_day_that_is_there_as_a_whole_is_not_looked_at_again(look, instance):
    materialize(instance, [WEDNESDAY])
    data = look(at(WEDNESDAY, 15, 30))
    assert data.skip_message == "2024-06-05 is materialized as a whole day"
