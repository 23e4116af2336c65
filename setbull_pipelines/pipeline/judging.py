"""Judges rules on trading days, with what they need read for all days together.

Belongs here: reading the rows of a range and giving each rule those of one day, what a rule says that cannot be read or
held against others. Does not belong here: rules (``quality/``), reporting to Dagster (``assets/checking.py``).
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from setbull_pipelines.pipeline.chunks import batches
from setbull_pipelines.pipeline.lanes import part_of
from setbull_pipelines.pipeline.ranges import frames_by_day
from setbull_pipelines.quality.verdict import NOT_JUDGED, Rule, Verdict, before
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.errors import (
    ContractViolation,
    DamagedPartition,
    MissingPartition,
)
from setbull_pipelines.warehouse.pointers import UNASSIGNED, WHOLE, Pointer, StoredTable
from setbull_pipelines.warehouse.store import Warehouse

Day = datetime.date | None
"""None for tables without trading days."""
_UNREADABLE = (MissingPartition, DamagedPartition, ContractViolation)


def judge(
    rules: Sequence[Rule], warehouse: Warehouse, settings: Settings, day: Day
) -> dict[str, Verdict]:
    """Judge each rule on one day; see :func:`judge_days`."""
    return judge_days(rules, warehouse, settings, [day])[day]


def judge_days(
    rules: Sequence[Rule], warehouse: Warehouse, settings: Settings, days: Sequence[Day]
) -> dict[Day, dict[str, Verdict]]:
    """Judge each rule on each day, by its name.

    What the rules need is read once for as many days as fit in memory. A rule sees the rows of one day; one that judges
    days together says the same of each (``Rule.judge_together``).
    """
    reads = {stored.name: stored for rule in rules for stored in rule.reads}.values()
    rows = {
        day: sum(
            pointer.rows
            for stored in reads
            if (pointer := _readable_pointer(stored, _partition(stored, day), warehouse))
        )
        for day in days
    }
    columns = max((len(stored.table.columns) for stored in reads), default=1)
    verdicts: dict[Day, dict[str, Verdict]] = {}
    for batch in batches(list(days), rows, columns, settings.processing):
        verdicts |= _judge_batch(rules, warehouse, settings, batch)
    return verdicts


def _judge_batch(
    rules: Sequence[Rule], warehouse: Warehouse, settings: Settings, days: Sequence[Day]
) -> dict[Day, dict[str, Verdict]]:
    frames = _Frames(warehouse, days)
    verdicts: dict[Day, dict[str, Verdict]] = {day: {} for day in days}
    for rule in rules:
        given: dict[Day, Mapping[str, pd.DataFrame]] = {}
        for day in days:
            try:
                given[day] = frames.given(rule, day)
            except _UNREADABLE as error:
                verdicts[day][rule.name] = Verdict(False, str(error))
                continue
            if reason := _cut_back(rule, warehouse, day):
                verdicts[day][rule.name] = Verdict(
                    False, f"not judged: {reason}", {NOT_JUDGED: True}
                )
                del given[day]
        for day, verdict in _said(rule, given, settings):
            verdicts[day][rule.name] = verdict
    return verdicts


def _said(
    rule: Rule, given: Mapping[Day, Mapping[str, pd.DataFrame]], settings: Settings
) -> Iterator[tuple[Day, Verdict]]:
    if rule.judge_together and len(given) > 1:
        yield from zip(given, rule.judge_together(list(given.values()), settings), strict=True)
        return
    for day, frames in given.items():
        yield day, rule.judge(frames, pd.Timestamp(day) if day else pd.NaT, settings)


class _Frames:
    """The rows that rules need on some days; each table is read once, when the first rule asks for it."""

    def __init__(self, warehouse: Warehouse, days: Sequence[Day]) -> None:
        self._warehouse, self._days = warehouse, days
        self._read: dict[str, dict[str, pd.DataFrame | Exception]] = {}

    def given(self, rule: Rule, day: Day) -> dict[str, pd.DataFrame]:
        """The frames of one day by name. Raises as ``Warehouse.read`` for what cannot be read."""
        frames = {}
        for stored in rule.reads:
            if stored.name not in self._read:
                keys = sorted({_partition(stored, each) for each in self._days})
                self._read[stored.name] = _rows_by_partition(stored, keys, self._warehouse)
            rows = self._read[stored.name][_partition(stored, day)]
            if isinstance(rows, Exception):
                raise rows
            frames[stored.name] = rows
        if rule.earlier_sessions and day:
            frames[before(rule.table)] = self._earlier(rule, day)
        return frames

    def _earlier(self, rule: Rule, day: datetime.date) -> pd.DataFrame:
        """The rows of the stored sessions before ``day`` that the rule asks for, read once for all days."""
        name = f"{before(rule.table)}, {rule.earlier_sessions}"
        stored_days = self._warehouse.partitions(rule.table)

        def wanted(each: Day) -> list[str]:
            earlier = [key for key in stored_days if each and key < each.isoformat()]
            return earlier[-rule.earlier_sessions :]

        if name not in self._read:
            keys = sorted({key for each in self._days for key in wanted(each)})
            self._read[name] = _rows_by_partition(rule.table, keys, self._warehouse)
        found = [self._read[name][key] for key in wanted(day)]
        for rows in found:
            if isinstance(rows, Exception):
                raise rows
        return pd.concat(found, ignore_index=True) if found else rule.table.table.empty()


def _rows_by_partition(
    stored: StoredTable, keys: Sequence[str], warehouse: Warehouse
) -> dict[str, pd.DataFrame | Exception]:
    """The rows of each partition, or why they cannot be read: that is said of the days concerned alone."""
    try:
        pointers = {key: warehouse.pointer(stored, key) for key in keys}
        if None not in pointers.values():
            return frames_by_day(stored, pointers, warehouse)
        # Says what is missing.
        warehouse.files(stored, keys)
    except _UNREADABLE as error:
        if len(keys) == 1:
            return {keys[0]: error}
    found: dict[str, pd.DataFrame | Exception] = {}
    for key in keys:
        found |= _rows_by_partition(stored, [key], warehouse)
    return found


def _readable_pointer(stored: StoredTable, key: str, warehouse: Warehouse) -> Pointer | None:
    try:
        return warehouse.pointer(stored, key)
    except DamagedPartition:
        return None


def _cut_back(rule: Rule, warehouse: Warehouse, day: Day) -> str | None:
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


def _partition(stored: StoredTable, day: Day) -> str:
    if not stored.table.partitioned:
        return WHOLE
    return UNASSIGNED if day is None else day.isoformat()
