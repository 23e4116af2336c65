"""The asset checks of every table, made of its rules.

Belongs here: reading the day, calling the rule, reporting one verdict per trading day also in range runs.
Does not belong here: rules (``quality/``).
"""

import datetime
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

import dagster as dg
import pandas as pd

from setbull_pipelines.assets.common import TRADING_DAYS, asset_key
from setbull_pipelines.pipeline.lanes import part_of
from setbull_pipelines.quality.rules import all_rules
from setbull_pipelines.quality.verdict import NOT_JUDGED, NOTHING_TO_COMPARE, Rule, Verdict, before
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.errors import (
    ContractViolation,
    DamagedPartition,
    MissingPartition,
)
from setbull_pipelines.warehouse.pointers import UNASSIGNED, WHOLE, StoredTable
from setbull_pipelines.warehouse.store import Warehouse


def severity(rule: Rule, verdict: Verdict) -> dg.AssetCheckSeverity:
    """ERROR, but WARN where the rule only warns or there is nothing to judge: never a pass, nor a fault."""
    nothing = verdict.metadata.get(NOTHING_TO_COMPARE) or verdict.metadata.get(NOT_JUDGED)
    if not rule.is_error or nothing:
        return dg.AssetCheckSeverity.WARN
    return dg.AssetCheckSeverity.ERROR


def judge(
    rules: Sequence[Rule], warehouse: Warehouse, settings: Settings, day: datetime.date | None
) -> dict[str, Verdict]:
    """Read what the rules need for the day (None for unpartitioned tables), once, and judge each."""
    frames: dict[str, pd.DataFrame] = {}
    verdicts = {}
    for rule in rules:
        try:
            for stored in rule.reads:
                if stored.name not in frames:
                    frames[stored.name] = warehouse.read(stored, [_partition(stored, day)])
            if rule.earlier_sessions and day:
                stored_days = warehouse.partitions(rule.table)
                earlier = [partition for partition in stored_days if partition < day.isoformat()]
                frames[before(rule.table)] = warehouse.read(
                    rule.table, earlier[-rule.earlier_sessions :]
                )
        except (MissingPartition, DamagedPartition, ContractViolation) as error:
            verdicts[rule.name] = Verdict(False, str(error))
            continue
        if reason := _cut_back(rule, warehouse, day):
            verdicts[rule.name] = Verdict(False, f"not judged: {reason}", {NOT_JUDGED: True})
            continue
        verdicts[rule.name] = rule.judge(frames, pd.Timestamp(day) if day else pd.NaT, settings)
    return verdicts


def _cut_back(rule: Rule, warehouse: Warehouse, day: datetime.date | None) -> str | None:
    """Why a table of V1 cannot be held against other tables on the day; None when it can.

    It can against tables of the same sample. A rule that reads nothing but the table itself, such as its contract,
    is judged on the rows there are.
    """
    if rule.table.schema != "v1" or len(rule.reads) == 1:
        return None
    parts = {
        stored.name: part_of(stored.table, warehouse.pointer(stored, _partition(stored, day)))
        if stored.schema == "v1"
        else None
        for stored in rule.reads
    }
    cut_back = {name: part for name, part in parts.items() if part}
    own = parts[rule.table.name]
    if not cut_back or (own and own.percentage and set(parts.values()) == {own}):
        return None
    name, part = next(iter(cut_back.items()))
    return f"{part.sentence} ({name})"


def _partition(stored: StoredTable, day: datetime.date | None) -> str:
    if not stored.table.partitioned:
        return WHOLE
    return UNASSIGNED if day is None else day.isoformat()


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
            by_day = {day: judge(rules, warehouse, settings, day) for day in days}
            for day in sorted(along.get(table.name, ())):
                found = judge(rules, warehouse, settings, day)
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
