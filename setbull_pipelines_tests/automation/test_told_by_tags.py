"""A run on whose days V2 differs is red in the list of runs, and its tags say what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import dagster as dg
import pytest
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.events import RunFailureReason
from dagster._core.execution.api import execute_run
from dagster._core.execution.job_execution_result import JobExecutionResult
from dagster._core.execution.retries import auto_reexecution_should_retry_run
from dagster._core.storage.tags import MAX_RETRIES_TAG

from setbull_pipelines.automation.noticing import failure_of, is_of_divergence, outcome_of
from setbull_pipelines.automation.run_process import build_executor
from setbull_pipelines.automation.told_by_tags import (
    CHECKS_TAG,
    DIVERGED_TAG,
    FAILED_CHECKS_TAG,
    STATE_TAG,
)

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
KEY = dg.AssetKey(["reconciliation", "candles_5min"])
NAMES = ("v2_agrees_with_v1", "differences_are_rounding", "schema")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    # As deployment/dagster.yaml has it: a lost run is started again by itself.
    settings = {
        "run_retries": {"enabled": True, "max_retries": 2, "retry_on_asset_or_op_failure": False}
    }
    with dg.DagsterInstance.ephemeral(settings=settings) as instance:
        yield instance


def run(
    instance: dg.DagsterInstance,
    failing: dict[str, str],
    raises: bool = False,
    asked: bool = True,
    tags: Mapping[str, str] | None = None,
) -> JobExecutionResult:
    """A run whose checks fail with the states of ``failing``; 'warn' is a warning without one."""

    @dg.multi_asset(
        specs=[dg.AssetSpec(KEY)],
        check_specs=[dg.AssetCheckSpec(name, asset=KEY) for name in NAMES],
    )
    def compared():
        yield dg.MaterializeResult(KEY)
        for name in NAMES:
            state = failing.get(name)
            yield dg.AssetCheckResult(
                asset_key=KEY,
                check_name=name,
                passed=state is None,
                severity=dg.AssetCheckSeverity.WARN
                if state == "warn"
                else dg.AssetCheckSeverity.ERROR,
                metadata={"state": state} if state not in (None, "warn") else {},
            )
        if raises:
            raise ValueError("the disk is full")

    definitions = dg.Definitions(
        assets=[compared],
        jobs=[dg.define_asset_job("daily", executor_def=build_executor(asked))],
    )
    job = definitions.resolve_job_def("daily")
    # As the command line does it: execute_in_process would take an executor of its own.
    begun = instance.create_run_for_job(job, run_config=QUIET, tags=tags)
    return execute_run(InMemoryJob(job), begun, instance)


def told(instance: dg.DagsterInstance, result: JobExecutionResult) -> dict[str, str]:
    tags = instance.get_run_by_id(result.run_id).tags
    names = (CHECKS_TAG, FAILED_CHECKS_TAG, DIVERGED_TAG)
    return {name: tags[name] for name in names if name in tags}


def test_a_run_whose_checks_pass_says_how_many(instance: dg.DagsterInstance) -> None:
    result = run(instance, {})
    assert result.success
    assert told(instance, result) == {CHECKS_TAG: "3 passed, 0 warn, 0 failed"}


def test_a_run_with_a_divergence_is_red_names_it_and_raises_no_alert_of_its_own(
    instance: dg.DagsterInstance,
) -> None:
    result = run(instance, {"v2_agrees_with_v1": "diverged", "differences_are_rounding": "warn"})
    assert not result.success
    assert told(instance, result) == {
        CHECKS_TAG: "1 passed, 1 warn, 1 failed",
        FAILED_CHECKS_TAG: "reconciliation/candles_5min v2_agrees_with_v1",
        DIVERGED_TAG: "candles_5min",
    }
    # All its work is done: the asset is materialized, and the alert of the check says the rest.
    made = [event.asset_key for event in result.all_events if event.is_step_materialization]
    assert made == [KEY]
    assert is_of_divergence(result.all_events)
    outcome = outcome_of(instance, instance.get_run_record_by_id(result.run_id))
    assert outcome.error is None
    assert [check.passed for check in outcome.checks] == [False, False, True]
    # Nothing is gained by starting it again; any other run that ends this way is.
    ended = instance.get_run_by_id(result.run_id)
    others = {name: tag for name, tag in ended.tags.items() if name != MAX_RETRIES_TAG}
    retried = [
        auto_reexecution_should_retry_run(instance, each, RunFailureReason.RUN_EXCEPTION)
        for each in (ended, ended.with_tags(others))
    ]
    assert retried == [False, True]
    failure = next(event for event in result.all_events if event.is_run_failure)
    assert "V2 differs from V1 in candles_5min" in failure.job_failure_data.error.message


def test_a_run_that_is_executed_again_says_nothing_of_the_first_one(
    instance: dg.DagsterInstance,
) -> None:
    """Dagster's UI takes all tags along: a mended V2 would still be named, a broken one have left a good state."""
    first = run(instance, {"v2_agrees_with_v1": "diverged"})
    instance.add_run_tags(first.run_id, {STATE_TAG: "d34b920b9f2cd245"})
    again = run(instance, {}, tags=instance.get_run_by_id(first.run_id).tags)
    assert told(instance, again) == {
        CHECKS_TAG: "3 passed, 0 warn, 0 failed",
        FAILED_CHECKS_TAG: "none",
        DIVERGED_TAG: "none",
    }
    found = instance.get_runs(dg.RunsFilter(tags={STATE_TAG: "d34b920b9f2cd245"}))
    assert [run.run_id for run in found] == [first.run_id]


@pytest.mark.parametrize("state", ["not comparable", "warn"])
def test_what_was_not_compared_is_no_divergence(state: str, instance: dg.DagsterInstance) -> None:
    result = run(instance, {"v2_agrees_with_v1": state})
    assert result.success
    assert DIVERGED_TAG not in told(instance, result)


def test_where_nobody_asked_for_it_a_divergence_leaves_the_run_green_and_is_in_its_tags(
    instance: dg.DagsterInstance,
) -> None:
    result = run(instance, {"v2_agrees_with_v1": "diverged"}, asked=False)
    assert result.success
    assert told(instance, result)[DIVERGED_TAG] == "candles_5min"


def test_a_step_that_fails_is_the_reason_of_the_run_also_beside_a_divergence(
    instance: dg.DagsterInstance,
) -> None:
    result = run(instance, {"v2_agrees_with_v1": "diverged"}, raises=True)
    assert not is_of_divergence(result.all_events)
    assert failure_of(result.all_events) == "step compared failed: ValueError: the disk is full"
    assert told(instance, result)[DIVERGED_TAG] == "candles_5min"
