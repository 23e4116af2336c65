"""The sensor that raises alerts and delivers them, ends runs whose process is gone, and fails diverged back-fills.

Belongs here: when the daemon looks, and from where on. Does not belong here: what is looked at (``noticing``,
``run_process``, ``backfills``).

One plain sensor over finished runs, not one run-status sensor per end: a failed check leaves its run green, so
successes matter as much as failures, and both must be seen in the order in which the runs ended.
"""

import datetime

import dagster as dg

from setbull_pipelines.automation import noticing
from setbull_pipelines.automation.backfills import fail_diverged
from setbull_pipelines.automation.run_process import end_gone_runs
from setbull_pipelines.pipeline.opening import now
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.resources import WarehouseResource

_SECONDS = 30
_RUNS_PER_TICK = 10


def build_sensors(settings: Settings) -> list[dg.SensorDefinition]:
    """The sensor ``alerts``; it starts by itself, because it launches nothing."""

    @dg.sensor(
        name="alerts",
        minimum_interval_seconds=_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Raises alerts for failed checks, failed runs, overdue sessions and changes of the rollout, "
        "reports recoveries, and delivers what is due. Ends runs whose process is gone, and shows "
        "back-fills as failed in which V2 differs.",
    )
    def alerts(
        context: dg.SensorEvaluationContext, warehouse: WarehouseResource
    ) -> dg.SensorResult:
        # Runs that ended before the first look are history, not news.
        cursor = context.cursor or now().isoformat()
        ended, diverged = end_gone_runs(context.instance), fail_diverged(context.instance)
        runs = noticing.finished_runs(
            context.instance, datetime.datetime.fromisoformat(cursor), _RUNS_PER_TICK
        )
        if runs:
            cursor = runs[-1].update_timestamp.isoformat()
        outcomes = [noticing.outcome_of(context.instance, run) for run in runs]
        found = noticing.look_and_deliver(context.instance, outcomes, warehouse.open(), settings)
        said = f"{len(runs)} runs looked at, {len(found.changed)} alerts changed"
        if ended:
            said += f"; {len(ended)} runs ended, whose process is gone"
        if diverged:
            said += f"; back-fills in which V2 differs: {', '.join(diverged)}"
        for delivery in found.deliveries:
            outcome = delivery.error or "delivered"
            said += f"; {delivery.channel}, {delivery.notices} notices: {outcome}"
        for sent in found.candles:
            said += f"; {sent.receiver}, {sent.events} events: {sent.error or 'delivered'}"
        return dg.SensorResult(skip_reason=said, cursor=cursor)

    return [alerts]
