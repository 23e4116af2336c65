"""A back-fill in which V2 differs is as red in the list of runs as the run that found it."""

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.storage.tags import BACKFILL_ID_TAG

from setbull_pipelines.automation.backfills import fail_diverged
from setbull_pipelines.automation.told_by_tags import DIVERGED_TAG

FAILURE, SUCCESS = dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS


@dg.job
def daily() -> None:
    """A job without work."""


def backfill_of(
    instance: dg.DagsterInstance,
    run_status: dg.DagsterRunStatus,
    tags: dict[str, str],
    status: BulkActionStatus = BulkActionStatus.COMPLETED_SUCCESS,
) -> None:
    """Store the back-fill ``asked`` with one run."""
    instance.add_backfill(PartitionBackfill("asked", status, False, {}, 0.0))
    instance.create_run_for_job(daily, status=run_status, tags={BACKFILL_ID_TAG: "asked", **tags})


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def test_a_backfill_with_a_diverged_run_ends_as_failed_once(instance: dg.DagsterInstance) -> None:
    backfill_of(instance, FAILURE, {DIVERGED_TAG: "indicators_daily"})

    assert fail_diverged(instance) == ["asked"]
    assert instance.get_backfill("asked").status is BulkActionStatus.COMPLETED_FAILED
    assert fail_diverged(instance) == []


@pytest.mark.parametrize(
    ("run_status", "tags", "status"),
    [
        # Another failure: Dagster looked at what is still missing, a repeated run may have made it.
        (FAILURE, {}, BulkActionStatus.COMPLETED_SUCCESS),
        (FAILURE, {DIVERGED_TAG: "none"}, BulkActionStatus.COMPLETED_SUCCESS),
        # `runs.fail_on_divergence` is off: the run is green, and so is the back-fill.
        (SUCCESS, {DIVERGED_TAG: "indicators_daily"}, BulkActionStatus.COMPLETED_SUCCESS),
        # Still at work: the daemon would go on with it and write its own end over ours.
        (FAILURE, {DIVERGED_TAG: "indicators_daily"}, BulkActionStatus.REQUESTED),
    ],
)
def test_others_stay_as_they_are(instance, run_status, tags, status) -> None:
    backfill_of(instance, run_status, tags, status)

    assert fail_diverged(instance) == []
    assert instance.get_backfill("asked").status is status
