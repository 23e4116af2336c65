"""Makes the asset checks of every table from its rules.

Belongs here: the checks, reporting one verdict per trading day also in range runs. Does not belong here: rules
(``quality/``), reading what they need (``judging``).
"""

import datetime
from collections.abc import Iterator, Sequence

import dagster as dg

from setbull_pipelines.assets.common import TRADING_DAYS, asset_key
from setbull_pipelines.checks.judging import judge, judge_days
from setbull_pipelines.quality.rules import all_rules
from setbull_pipelines.quality.verdict import NOT_JUDGED, NOTHING_TO_COMPARE, Rule, Verdict
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables.served import SERVED_SCHEMA
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.resources import WarehouseResource
from setbull_pipelines.warehouse.store import Warehouse

_PUBLISHED_BESIDES = ("v1", SERVED_SCHEMA)
"""Schemas in which a run can publish days that it was not asked for."""


def severity(rule: Rule, verdict: Verdict) -> dg.AssetCheckSeverity:
    """ERROR, but WARN where the rule only warns or there is nothing to judge: never a pass, nor a fault."""
    nothing = verdict.metadata.get(NOTHING_TO_COMPARE) or verdict.metadata.get(NOT_JUDGED)
    if not rule.is_error or nothing:
        return dg.AssetCheckSeverity.WARN
    return dg.AssetCheckSeverity.ERROR


def _result(rule: Rule, verdict: Verdict) -> dict:
    return {
        "passed": verdict.passed,
        "severity": severity(rule, verdict),
        "description": verdict.description,
        "metadata": dict(verdict.metadata),
    }


def build_check(
    table: StoredTable, rules: Sequence[Rule], settings: Settings
) -> dg.AssetChecksDefinition:
    """All checks of one table, in one step."""
    key = asset_key(table)
    partitions = TRADING_DAYS if table.table.partitioned else None

    @dg.multi_asset_check(
        name="__".join((*table.key, "checks")),
        specs=[
            dg.AssetCheckSpec(
                rule.name,
                asset=key,
                description=rule.description,
                partitions_def=partitions,
                additional_deps=[
                    asset_key(read)
                    for read in rule.reads
                    if read != table and read.schema != "reconciliation"
                ],
            )
            for rule in rules
        ],
    )
    def check(
        context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource
    ) -> Iterator[dg.AssetCheckResult]:
        store = warehouse.open()
        if partitions is None:
            by_day = {None: judge(rules, store, settings, None)}
        else:
            days = [datetime.date.fromisoformat(key) for key in context.partition_keys]
            run_id = context.op_execution_context.run_id
            by_day = judge_days(rules, store, settings, days)
            besides = list(_published_besides(table, store, run_id, days))
            for day, found in judge_days(rules, store, settings, besides).items():
                for rule in rules:
                    _report_each_day(context, key, rule, {day: found[rule.name]})
        for rule in rules:
            verdicts = {day: of_day[rule.name] for day, of_day in by_day.items()}
            # Not told by the number of days: a range can have one.
            if partitions is not None and not context.has_partition_key:
                _report_each_day(context, key, rule, verdicts)
            yield dg.AssetCheckResult(
                asset_key=key, check_name=rule.name, **_result(rule, _worst(rule, verdicts))
            )

    return check


def _published_besides(
    table: StoredTable, warehouse: Warehouse, run_id: str, days: Sequence[datetime.date]
) -> Iterator[datetime.date]:
    """Days that the run published although it was not asked for them, such as days served again."""
    if table.schema not in _PUBLISHED_BESIDES:
        return
    asked = {day.isoformat() for day in days}
    for partition, pointer in warehouse.pointers(table).items():
        if partition not in asked and pointer.run_id == run_id:
            yield datetime.date.fromisoformat(partition)


def _report_each_day(
    context: dg.AssetCheckExecutionContext,
    key: dg.AssetKey,
    rule: Rule,
    verdicts: dict[datetime.date, Verdict],
) -> None:
    """One evaluation per day: a check returns only one, for the day or the whole range of the run."""
    for day, verdict in verdicts.items():
        context.op_execution_context.log_event(
            dg.AssetCheckEvaluation(
                asset_key=key,
                check_name=rule.name,
                partition=day.isoformat(),
                **_result(rule, verdict),
            )
        )


def _worst(rule: Rule, verdicts: dict[datetime.date, Verdict]) -> Verdict:
    """The verdict of a range: the first failure, errors before warnings before days that were not judged."""
    failed = {day: verdict for day, verdict in verdicts.items() if not verdict.passed}
    if len(verdicts) == 1:
        return next(iter(verdicts.values()))
    if not failed:
        return Verdict(
            True, f"holds on {len(verdicts)} days", {"days": len(verdicts), **_totals(verdicts)}
        )
    day, worst = min(
        failed.items(),
        key=lambda item: (
            severity(rule, item[1]) is not dg.AssetCheckSeverity.ERROR,
            NOT_JUDGED in item[1].metadata,
            item[0],
        ),
    )
    not_judged = sum(NOT_JUDGED in verdict.metadata for verdict in failed.values())
    fails, beside = len(failed) - not_judged, f" ({not_judged} more were not judged)"
    said = f"fails on {fails} of {len(verdicts)} days{beside if not_judged else ''}"
    if not fails:
        said = f"not judged on {not_judged} of {len(verdicts)} days"
    return Verdict(
        False,
        f"{said}, first {day}: {worst.description}",
        {**worst.metadata, "days": len(verdicts), "days failed": fails},
    )


def _totals(verdicts: dict[datetime.date, Verdict]) -> dict[str, int]:
    """The counts of all days added up."""
    totals: dict[str, int] = {}
    for verdict in verdicts.values():
        for name, value in verdict.metadata.items():
            if type(value) is int:
                totals[name] = totals.get(name, 0) + value
    return totals


def build_checks(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """The checks of every table."""
    return [build_check(table, rules, settings) for table, rules in all_rules().items()]
