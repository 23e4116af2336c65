"""The asset checks of every table, made of its rules.

Belongs here: the checks, reporting the verdicts of the days. Does not belong here: rules (``quality/``), reading what
they need (``pipeline/judging.py``).

A run gives one result per check, with the figures of each day; days that did not pass, or pass again, have an
evaluation of their own besides. One for every day of every check was half of all events.
"""

import datetime
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

import dagster as dg

from setbull_pipelines.assets.common import asset_key
from setbull_pipelines.pipeline.judging import judge, judge_days
from setbull_pipelines.quality.rules import all_rules
from setbull_pipelines.quality.verdict import (
    NOT_JUDGED,
    NOTHING_TO_COMPARE,
    Rule,
    Verdict,
    not_judged,
)
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.store import Warehouse

BY_DAY = "by day"
"""In the metadata of a result: for each day that was judged whether it ``passed``, and its figures."""


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
    for table, all_of_table in all_rules().items():
        key = asset_key(table)
        rules = [rule for rule in all_of_table if dg.AssetCheckKey(key, rule.name) in selected]
        if not rules or table.name in left_out:
            continue
        if not table.table.partitioned:
            found = judge(rules, warehouse, settings, None)
            for rule in rules:
                yield dg.AssetCheckResult(
                    asset_key=key, check_name=rule.name, **_result(rule, found[rule.name])
                )
            continue
        by_day = judge_days(rules, warehouse, settings, _days_to_judge(context, table, warehouse))
        besides = sorted(along.get(table.name, ()))
        of_besides = judge_days(rules, warehouse, settings, besides)
        report_days(context, key, rules, by_day | of_besides)
        for rule in rules:
            verdicts = {day: of_day[rule.name] for day, of_day in by_day.items()}
            yield result_of_days(key, rule, verdicts)


def _days_to_judge(
    context: dg.AssetExecutionContext, table: StoredTable, warehouse: Warehouse
) -> list[datetime.date]:
    """The days of the run; the latest stored one in a run of checks alone, for which the UI names no day."""
    has_days = context.has_partition_key or context.has_partition_key_range
    keys = context.partition_keys if has_days else warehouse.partitions(table)[-1:]
    return [datetime.date.fromisoformat(key) for key in keys]


def report_days(
    context: dg.AssetExecutionContext,
    key: dg.AssetKey,
    rules: Iterable[Rule],
    by_day: Mapping[datetime.date, Mapping[str, Verdict]],
) -> None:
    """An evaluation of its own for every day that did not pass, and for days that pass and were last told as failed.

    The worst day of a check is the last: the UI shows that one as its state.
    """
    # Here, or loading the definitions would load SQLAlchemy.
    from setbull_pipelines.assets.event_log import last_told_as_failed

    rules = list(rules)
    told_as_failed = last_told_as_failed(
        context.instance.event_log_storage,
        key,
        [rule.name for rule in rules],
        [day.isoformat() for day in by_day],
    )
    for rule in rules:
        verdicts = {day: verdicts[rule.name] for day, verdicts in by_day.items()}
        for day in reversed(_worst_first(rule, verdicts)):
            verdict, partition = verdicts[day], day.isoformat()
            if verdict.passed and (rule.name, partition) not in told_as_failed:
                continue
            context.log_event(
                dg.AssetCheckEvaluation(
                    asset_key=key,
                    check_name=rule.name,
                    partition=partition,
                    **_result(rule, verdict),
                )
            )


def result_of_days(
    key: dg.AssetKey, rule: Rule, verdicts: Mapping[datetime.date, Verdict]
) -> dg.AssetCheckResult:
    """The result of a run: its worst day, and what each of its days says."""
    by_day = {
        day.isoformat(): {"passed": verdict.passed, **verdict.metadata}
        for day, verdict in verdicts.items()
    }
    result = _result(rule, _worst(rule, verdicts))
    if by_day:
        result["metadata"] |= {
            "first day": min(by_day),
            "last day": max(by_day),
            BY_DAY: dg.MetadataValue.json(by_day),
        }
    return dg.AssetCheckResult(asset_key=key, check_name=rule.name, **result)


def in_a_line(lane: str, results: Sequence[dg.AssetCheckResult]) -> str:
    """How many checks of a lane pass and the worst that does not, for a person who watches the run."""
    others = [result for result in results if not result.passed]
    if not others:
        return f"{lane}: {len(results)} checks passed"
    errors = [result for result in others if result.severity is dg.AssetCheckSeverity.ERROR]
    worst = (errors or others)[0]
    assert worst.asset_key is not None  # ours name it
    return (
        f"{lane}: {len(results) - len(others)} of {len(results)} checks passed; "
        f"{worst.asset_key.to_user_string()} {worst.check_name}: {worst.description}"
    )


def _worst(rule: Rule, verdicts: Mapping[datetime.date, Verdict]) -> Verdict:
    """The verdict of a range: its worst day's.

    A range that holds has no figures but its days: the UI would draw their sum among those of single days.
    """
    if not verdicts:
        return not_judged(f"{rule.table.name} has no partition")
    failed = {day: verdict for day, verdict in verdicts.items() if not verdict.passed}
    if len(verdicts) == 1:
        return next(iter(verdicts.values()))
    if not failed:
        return Verdict(True, f"holds on {len(verdicts)} days", {"days": len(verdicts)})
    day = _worst_first(rule, failed)[0]
    worst = failed[day]
    skipped = sum(NOT_JUDGED in verdict.metadata for verdict in failed.values())
    fails, beside = len(failed) - skipped, f" ({skipped} more were not judged)"
    said = f"fails on {fails} of {len(verdicts)} days{beside if skipped else ''}"
    if not fails:
        said = f"not judged on {skipped} of {len(verdicts)} days"
    return Verdict(
        False,
        f"{said}, first {day}: {worst.description}",
        {**worst.metadata, "days": len(verdicts), "days failed": fails},
    )


def _worst_first(rule: Rule, verdicts: Mapping[datetime.date, Verdict]) -> list[datetime.date]:
    """The days: errors, warnings, days that were not judged, days that passed; each in their order."""
    return sorted(
        verdicts,
        key=lambda day: (
            verdicts[day].passed,
            severity(rule, verdicts[day]) is not dg.AssetCheckSeverity.ERROR,
            NOT_JUDGED in verdicts[day].metadata,
            day,
        ),
    )
