"""The asset checks of every table, made of its rules.

Belongs here: the checks, reporting one verdict per trading day also in range runs. Does not belong here: rules
(``quality/``), reading what they need (``pipeline/judging.py``).
"""

import datetime
from collections.abc import Collection, Iterable, Iterator, Mapping
from types import MappingProxyType

import dagster as dg

from setbull_pipelines.assets.common import TRADING_DAYS, asset_key
from setbull_pipelines.pipeline.judging import judge, judge_days
from setbull_pipelines.quality.rules import all_rules
from setbull_pipelines.quality.verdict import NOT_JUDGED, NOTHING_TO_COMPARE, Rule, Verdict
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.store import Warehouse


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


def check_specs(tables: Iterable[StoredTable]) -> list[dg.AssetCheckSpec]:
    """The checks of these tables, for the lane that makes them."""
    made = list(tables)
    rules = all_rules()
    return [
        dg.AssetCheckSpec(
            rule.name,
            asset=asset_key(table),
            description=rule.description,
            partitions_def=TRADING_DAYS if table.table.partitioned else None,
            additional_deps=[
                asset_key(read)
                for read in rule.reads
                if read != table and read.schema != "reconciliation" and read not in made
            ],
        )
        for table in made
        for rule in rules.get(table, ())
    ]


def check_results(
    context: dg.AssetExecutionContext,
    warehouse: Warehouse,
    settings: Settings,
    left_out: Collection[str] = (),
    along: Mapping[str, Collection[datetime.date]] = MappingProxyType({}),
) -> Iterator[dg.AssetCheckResult]:
    """Judge the checks that the run selects, but those of the tables ``left_out``, which were not made.

    ``along`` are, by table, the days that the run was not asked for and made all the same, such as days served again.
    """
    selected = context.selected_asset_check_keys
    days = None
    for table, all_of_table in all_rules().items():
        key = asset_key(table)
        rules = [rule for rule in all_of_table if dg.AssetCheckKey(key, rule.name) in selected]
        if not rules or table.name in left_out:
            continue
        if not table.table.partitioned:
            by_day = {None: judge(rules, warehouse, settings, None)}
        else:
            days = days or [datetime.date.fromisoformat(key) for key in context.partition_keys]
            by_day = judge_days(rules, warehouse, settings, days)
            besides = sorted(along.get(table.name, ()))
            for day, found in judge_days(rules, warehouse, settings, besides).items():
                for rule in rules:
                    _report_each_day(context, key, rule, {day: found[rule.name]})
        for rule in rules:
            verdicts = {day: of_day[rule.name] for day, of_day in by_day.items()}
            # Not told by the number of days: a range can have one.
            if table.table.partitioned and not context.has_partition_key:
                _report_each_day(context, key, rule, verdicts)
            yield dg.AssetCheckResult(
                asset_key=key, check_name=rule.name, **_result(rule, _worst(rule, verdicts))
            )


def _report_each_day(
    context: dg.AssetExecutionContext,
    key: dg.AssetKey,
    rule: Rule,
    verdicts: dict[datetime.date, Verdict],
) -> None:
    """One evaluation per day: a check returns only one, for the day or the whole range of the run."""
    for day, verdict in verdicts.items():
        context.log_event(
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
