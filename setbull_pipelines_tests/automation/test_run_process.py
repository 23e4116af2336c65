"""A run whose process is gone is ended, and nothing else is; a run that was ended, or is over its time, stops."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date

import dagster as dg
import pytest
import yaml

from setbull_pipelines.assets.common import MAX_RUNTIME_TAG, RANGE_TAGS
from setbull_pipelines.assets.lane import unless_ended
from setbull_pipelines.assets.partitions import trading_days
from setbull_pipelines.automation.jobs import build_jobs
from setbull_pipelines.automation.run_process import PROCESS_TAG, days_tag, end_gone_runs
from setbull_pipelines.automation.told_by_tags import KILLED
from setbull_pipelines.cli.home import prepare_dagster_home
from setbull_pipelines.definitions import build_defs
from setbull_pipelines.pipeline.engine import PartitionResult
from setbull_pipelines.settings import RunSettings, Settings
from setbull_pipelines_tests.automation.killed import gone_process, started_run

pytestmark = pytest.mark.run

STATUS = dg.DagsterRunStatus
RANGE = {
    "dagster/asset_partition_range_start": "2026-06-25",
    "dagster/asset_partition_range_end": "2026-06-30",
}
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def failure(instance: dg.DagsterInstance, run_id: str) -> str:
    (event,) = instance.all_logs(run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    return event.dagster_event.message


def test_a_run_is_left_while_its_process_works_and_ended_when_it_was_killed() -> None:
    with dg.instance_for_test() as instance:
        process = subprocess.Popen(
            [sys.executable, "-m", "setbull_pipelines_tests.automation.killed"],
            env=os.environ | {"DAGSTER_HOME": instance.root_directory},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            assert process.stdout.readline() == "working\n"
            (run,) = instance.get_runs()
            assert run.status is STATUS.STARTED
            assert end_gone_runs(instance) == []
        finally:
            process.kill()
        # Killed, but nobody has asked for the exit code yet: a zombie, whose number is taken.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert [ended.run_id for ended in end_gone_runs(instance)] == [run.run_id]
        process.communicate()
        assert instance.get_run_by_id(run.run_id).status is STATUS.FAILURE
        assert f"process {process.pid} of host" in failure(instance, run.run_id)
        assert "is gone" in failure(instance, run.run_id)
        assert KILLED.items() <= instance.get_run_by_id(run.run_id).tags.items()
        assert end_gone_runs(instance) == []


@pytest.mark.parametrize("status", [STATUS.NOT_STARTED, STATUS.STARTING, STATUS.STARTED])
def test_a_run_without_its_process_has_failed_however_far_it_came(instance, status) -> None:
    run_id = started_run(instance, {}, status, **gone_process())
    assert len(end_gone_runs(instance)) == 1
    assert instance.get_run_by_id(run_id).status is STATUS.FAILURE


def test_a_run_that_was_to_be_cancelled_is_cancelled(instance) -> None:
    run_id = started_run(instance, {}, STATUS.CANCELING, **gone_process())
    assert len(end_gone_runs(instance)) == 1
    assert instance.get_run_by_id(run_id).status is STATUS.CANCELED


def test_another_process_with_the_same_number_is_not_the_same(instance) -> None:
    started_run(instance, {}, started=1_000_000_000.0)
    assert len(end_gone_runs(instance)) == 1


@pytest.mark.parametrize("status", [STATUS.SUCCESS, STATUS.FAILURE, STATUS.CANCELED])
def test_a_run_that_has_ended_is_left(instance, status) -> None:
    run_id = started_run(instance, {}, status, **gone_process())
    assert end_gone_runs(instance) == []
    assert instance.get_run_by_id(run_id).status is status


@pytest.mark.parametrize(
    "other",
    [{"host": "another"}, {"run": "the one that is executed again"}, {"pid": "x"}, {"pid": -1}],
)
def test_of_other_machines_and_of_tags_of_another_run_nothing_is_known(instance, other) -> None:
    started_run(instance, {}, **(gone_process() | other))
    assert end_gone_runs(instance) == []


@pytest.mark.parametrize("tags", [{}, {PROCESS_TAG: "mine"}, {PROCESS_TAG: "[1]"}])
def test_a_run_that_says_nothing_of_its_process_is_left(instance, tags) -> None:
    instance.add_run(dg.DagsterRun(job_name="daily", status=STATUS.STARTED, tags=tags))
    assert end_gone_runs(instance) == []


# Between two days


def run_of_days(instance: dg.DagsterInstance, tags: dict[str, str], after_first) -> list[date]:
    """The days that a run of three computes, when ``after_first`` is called in the first of them with its id."""
    computed: list[date] = []

    @dg.asset(
        partitions_def=trading_days(Settings()), backfill_policy=dg.BackfillPolicy.single_run()
    )
    def days(context) -> None:
        def results() -> Iterator[PartitionResult]:
            for key in context.partition_keys:
                computed.append(date.fromisoformat(key))
                if len(computed) == 1:
                    after_first(context.run_id)
                yield PartitionResult(computed[-1], {}, cached=False)

        list(unless_ended(results(), context))

    job = dg.define_asset_job("days", selection=[days])
    definitions = dg.Definitions(assets=[days], jobs=[job])
    definitions.resolve_job_def("days").execute_in_process(
        instance=instance, tags=RANGE | tags, run_config=QUIET, raise_on_error=False
    )
    return computed


def test_a_run_goes_on_when_nobody_ends_it(instance) -> None:
    assert len(run_of_days(instance, {MAX_RUNTIME_TAG: "3600"}, lambda run_id: None)) == 3
    (run,) = instance.get_runs()
    assert run.status is STATUS.SUCCESS


def test_a_run_that_somebody_else_ended_stops_before_the_next_day(instance) -> None:
    def end(run_id: str) -> None:
        instance.report_run_failed(instance.get_run_by_id(run_id), "over its time")

    assert len(run_of_days(instance, {}, end)) == 1
    (run,) = instance.get_runs()
    assert run.status is STATUS.FAILURE


def test_a_run_over_its_time_stops_before_the_next_day(instance) -> None:
    assert len(run_of_days(instance, {MAX_RUNTIME_TAG: "0.000001"}, lambda run_id: None)) == 1
    (run,) = instance.get_runs()
    assert run.status is STATUS.FAILURE


def test_only_the_step_that_asks_the_broker_is_tried_again() -> None:
    steps = [asset for asset in build_defs(Settings()).assets if hasattr(asset, "node_def")]
    assert len(steps) > 15
    policies = {step.node_def.name: step.node_def.retry_policy for step in steps}
    assert policies.pop("fetched").max_retries == RunSettings().fetch_retries
    assert set(policies.values()) == {None}


def test_every_job_and_every_other_run_has_the_limit_of_the_settings(tmp_path, monkeypatch) -> None:
    # Set first, so that what prepare_dagster_home sets is undone.
    monkeypatch.setenv("DAGSTER_HOME", "unset")
    monkeypatch.setenv("SETBULL_DATA_DIR", "unset")
    runs = RunSettings(max_runtime_seconds=77, intraday_max_runtime_seconds=7)
    limits = {job.name: job.tags.get(MAX_RUNTIME_TAG) for job in build_jobs(Settings(runs=runs))}
    assert limits.pop("intraday") == "7"
    assert len(limits) > 5
    assert set(limits.values()) == {"77"}
    home = prepare_dagster_home(tmp_path, runs)
    configuration = yaml.safe_load((home / "dagster.yaml").read_text(encoding="utf-8"))
    assert configuration["run_monitoring"]["max_runtime_seconds"] == 77


def test_a_run_over_a_range_says_its_sessions_in_words(instance) -> None:
    asked = dict(zip(RANGE_TAGS, ("2026-06-24", "2026-06-29"), strict=True))

    # 2026-06-26 is Muharram, and the 27th and 28th are a weekend.
    assert days_tag(asked) == {"setbull/days": "3 sessions, 2026-06-24 to 2026-06-29"}
    assert days_tag({"dagster/partition": "2026-06-24"}) == {}
