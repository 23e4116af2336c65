"""An asset and its check that fail when they are asked to, run as a job, and looking at what happened.

Belongs here: what several files of this folder need. Does not belong here: assertions about alerts.
"""

from dataclasses import replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import dagster as dg

from setbull_pipelines import tables
from setbull_pipelines.alerts.ledger import Alert
from setbull_pipelines.assets.checking import report_days, result_of_days
from setbull_pipelines.automation import noticing
from setbull_pipelines.automation.noticing import look_and_deliver, outcome_of
from setbull_pipelines.quality.rules import all_rules
from setbull_pipelines.quality.verdict import Rule
from setbull_pipelines.quality.verdict import Verdict as RuleVerdict
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.store import Warehouse

DAYS = dg.StaticPartitionsDefinition(["2026-06-29", "2026-06-30"])
INDIA = ZoneInfo("Asia/Kolkata")
RANGE = {
    "dagster/asset_partition_range_start": "2026-06-29",
    "dagster/asset_partition_range_end": "2026-06-30",
}
RULES_OF_BARS = all_rules()[StoredTable("v2", tables.CANDLES_5MIN)]
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


class Broken:
    """What is wrong with the assets of ``jobs`` at the moment."""

    check_fails = warns = step_fails = False


@dg.asset(
    key=["v2", "candles_5min"],
    partitions_def=DAYS,
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def candles() -> None:
    if Broken.step_fails:
        raise ValueError("the minutes are upside down")


CONSERVED = Rule(
    "session_conserved", "no volume is lost", StoredTable("v2", tables.CANDLES_5MIN), (), None
)


@dg.asset_check(asset=candles)
def session_conserved(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    rule = replace(CONSERVED, is_error=not Broken.warns)
    verdict = RuleVerdict(not Broken.check_fails, "volume of 3 instruments is lost")
    days = map(date.fromisoformat, context.op_execution_context.partition_keys)
    verdicts = dict.fromkeys(days, verdict)
    of_days = {day: {rule.name: verdict} for day in verdicts}
    report_days(context.op_execution_context, candles.key, [rule], of_days)
    return result_of_days(candles.key, rule, verdicts)


DEFINITIONS = dg.Definitions(
    assets=[candles],
    asset_checks=[session_conserved],
    jobs=[dg.define_asset_job("daily", partitions_def=DAYS, executor_def=dg.in_process_executor)],
)
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def execute(instance: dg.DagsterInstance, tags: dict[str, str] | None = None) -> str:
    job = DEFINITIONS.resolve_job_def("daily")
    tags = tags or {"dagster/partition": "2026-06-30"}
    return job.execute_in_process(
        instance=instance, tags=tags, run_config=QUIET, raise_on_error=False
    ).run_id


def look(instance: dg.DagsterInstance, warehouse: Warehouse, settings: Settings, *run_ids: str):
    runs = [outcome_of(instance, instance.get_run_record_by_id(run_id)) for run_id in run_ids]
    return look_and_deliver(instance, runs, warehouse, settings)


def keys(alerts: list[Alert] | tuple[Alert, ...]) -> list[str]:
    return [alert.key for alert in alerts]


CHECK = "check v2/candles_5min session_conserved 2026-06-30"


def overdue(instance, settings: Settings, moment: datetime) -> list[tuple[str, str]]:
    found = noticing.overdue_sessions(instance, settings, moment)
    return [(finding.says.value, str(finding.trading_day)) for finding in found]


def materialize(instance: dg.DagsterInstance, *days: date) -> None:
    for day in days:
        instance.report_runless_asset_event(
            dg.AssetMaterialization(["served", "filter_results"], partition=day.isoformat())
        )
