"""Back-fills that end as their runs did.

Dagster ends a back-fill as a success when everything that was asked for is materialized. A run that did all its work
and failed because V2 differs leaves nothing to materialize: the list of runs, which shows a back-fill in the place of
its runs, would be green on the day that matters.
"""

from __future__ import annotations

import dagster as dg
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus
from dagster._core.storage.tags import BACKFILL_ID_TAG

from setbull_pipelines.automation.told_by_tags import tells_divergence

_LOOKED_AT = 10
"""More do not end between two looks of the sensor."""


def fail_diverged(instance: dg.DagsterInstance) -> list[str]:
    """Mark the newest back-fills as failed where V2 differs in a run of theirs; returns their ids."""
    ended = instance.get_backfills(
        BulkActionsFilter(statuses=[BulkActionStatus.COMPLETED_SUCCESS]), limit=_LOOKED_AT
    )
    diverged = [backfill for backfill in ended if _has_diverged(instance, backfill.backfill_id)]
    for backfill in diverged:
        instance.update_backfill(backfill.with_status(BulkActionStatus.COMPLETED_FAILED))
    return [backfill.backfill_id for backfill in diverged]


def _has_diverged(instance: dg.DagsterInstance, backfill: str) -> bool:
    failed = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], tags={BACKFILL_ID_TAG: backfill})
    return any(tells_divergence(run.tags) for run in instance.get_runs(failed))
