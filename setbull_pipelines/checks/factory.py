"""Makes the asset checks of every table from its rules.

Belongs here: reading the day, calling the rule, reporting the verdicts of the days. Does not belong here: rules
(``quality/``).

A run gives one result per check, with the figures of each day; days that did not pass, or pass again, have an
evaluation of their own besides. One for every day of every check was half of all events.
"""

import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence

import dagster as dg
import pandas as pd

from setbull_pipelines.assets.common import asset_key
from setbull_pipelines.pipeline.lanes import part_of
from setbull_pipelines.quality.rules import all_rules
from setbull_pipelines.quality.verdict import (
    NOT_JUDGED,
    NOTHING_TO_COMPARE,
    Rule,
    Verdict,
    before,
    not_judged,
)
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables.served import SERVED_SCHEMA
from setbull_pipelines.warehouse.errors import (
    ContractViolation,
    DamagedPartition,
    MissingPartition,
)
from setbull_pipelines.warehouse.pointers import UNASSIGNED, WHOLE, StoredTable
from setbull_pipelines.warehouse.resources import WarehouseResource
from setbull_pipelines.warehouse.store import Warehouse

BY_DAY = "by day"
"""In the metadata of a result: for each day that was judged whether it ``passed``, and its figures."""
_FAILED = "FAILED"
_PUBLISHED_BESIDES = ("v1", SERVED_SCHEMA)
"""Schemas in which a run can publish days that it was not asked for."""


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


def build_check(
    table: StoredTable, rules: Sequence[Rule], settings: Settings
) -> dg.AssetChecksDefinition:
    """All checks of one table, in one step."""
    key = asset_key(table)

    @dg.multi_asset_check(
        name="__".join((*table.key, "checks")),
        specs=[
            dg.AssetCheckSpec(
                rule.name,
                asset=key,
                description=rule.description,
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
        if not table.table.partitioned:
            found = judge(rules, store, settings, None)
            for rule in rules:
                yield dg.AssetCheckResult(
                    asset_key=key, check_name=rule.name, **_result(rule, found[rule.name])
                )
            return
        days = _days_to_judge(context, table, store)
        by_day = {day: judge(rules, store, settings, day) for day in days}
        run_id = context.op_execution_context.run_id
        besides = _published_besides(table, store, run_id, days)
        report_days(
            context,
            key,
            rules,
            by_day | {day: judge(rules, store, settings, day) for day in besides},
        )
        for rule in rules:
            yield result_of_days(
                key, rule, {day: verdicts[rule.name] for day, verdicts in by_day.items()}
            )

    return check


def _days_to_judge(
    context: dg.AssetCheckExecutionContext, table: StoredTable, warehouse: Warehouse
) -> list[datetime.date]:
    """The days of the run; the latest stored one in a run of checks alone, for which the UI names no day."""
    op = context.op_execution_context
    keys = op.partition_keys if op.has_partition_key or op.has_partition_key_range else None
    if keys is None:
        keys = warehouse.partitions(table)[-1:]
    return [datetime.date.fromisoformat(key) for key in keys]


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


def report_days(
    context: dg.AssetCheckExecutionContext,
    key: dg.AssetKey,
    rules: Iterable[Rule],
    by_day: Mapping[datetime.date, Mapping[str, Verdict]],
) -> None:
    """An evaluation of its own for every day that did not pass, and for days that pass and were last told as failed.

    The worst day of a check is the last: the UI shows that one as its state.
    """
    rules = list(rules)
    failed = context.instance.event_log_storage.get_asset_check_partition_info(
        [dg.AssetCheckKey(key, rule.name) for rule in rules],
        partition_keys=[day.isoformat() for day in by_day],
    )
    told_as_failed = {
        (info.check_key.name, info.partition_key)
        for info in failed
        if info.latest_execution_status.value == _FAILED
    }
    for rule in rules:
        verdicts = {day: verdicts[rule.name] for day, verdicts in by_day.items()}
        for day in reversed(_worst_first(rule, verdicts)):
            verdict, partition = verdicts[day], day.isoformat()
            if verdict.passed and (rule.name, partition) not in told_as_failed:
                continue
            context.op_execution_context.log_event(
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


def build_checks(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """The checks of every table."""
    return [build_check(table, rules, settings) for table, rules in all_rules().items()]
