"""How stock groups are published, and the plan of a day made of them.

Belongs here: reading the served tables, the choice of what had closed, publication. Does not belong here: judging rows
of the file (``sources/group_files.py``), the plan itself (``groups/``), Dagster.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from datetime import date
from pathlib import Path

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.groups.plan import DailyFacts, execution_plan, rules_of
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.pipeline.engine import PartitionResult
from setbull_pipelines.pipeline.running import AS_OF
from setbull_pipelines.pipeline.serving import read_served, served_table, source_of_served
from setbull_pipelines.pipeline.versions import code_version, combined
from setbull_pipelines.quality.groups import GROUPS, PLAN, REFUSED
from setbull_pipelines.settings import GroupSettings, Settings, fingerprint
from setbull_pipelines.sources.group_files import CheckedGroups, read_groups
from setbull_pipelines.tables import Table
from setbull_pipelines.tables.actions import GENUINE
from setbull_pipelines.tables.contract import INDIA
from setbull_pipelines.tables.groups import BB_RANGE, FIRST_ENTRY, SECOND_ENTRY
from setbull_pipelines.warehouse.pointers import WHOLE, Pointer, StoredTable
from setbull_pipelines.warehouse.store import Warehouse

READ = (tables.CANDLES_5MIN, tables.CANDLES_DAILY, tables.INDICATORS_DAILY)
"""The served tables that a plan is made of: bars of the day, and the rest of the session before."""
_ACTIONS = StoredTable("raw", tables.CORPORATE_ACTIONS)
_NO_FILE = "no groups: the setting groups.file names no file"


def groups_code_version() -> str:
    """Code version of everything that groups and plans depend on."""
    return code_version(
        "groups", "sources/group_files.py", "market", "tables", "pipeline/group_plans.py"
    )


def file_identity(settings: GroupSettings) -> str:
    """A hash that changes with the file of groups; it need not be readable."""
    path = Path(settings.file)
    content = path.read_bytes() if settings.file and path.is_file() else b""
    return combined([settings.file, content.hex()])


def configured_groups(settings: GroupSettings) -> CheckedGroups:
    """The groups of the configured file, none without one. UnreadableFile when it cannot be used."""
    if settings.file:
        return read_groups(Path(settings.file))
    return CheckedGroups(tables.STOCK_GROUPS.empty(), tables.STOCK_GROUPS_QUARANTINE.empty())


def publish_groups(warehouse: Warehouse, settings: Settings, run_id: str) -> dict[str, Pointer]:
    """Publish the groups in force and the rows that were refused. Raises UnreadableFile."""
    checked = configured_groups(settings.groups)
    frames = {GROUPS: checked.groups, REFUSED: checked.rejected}
    return {
        stored.table.name: warehouse.publish(
            stored,
            WHOLE,
            frame,
            code_version=groups_code_version(),
            settings_hash=fingerprint(settings.groups),
            inputs={"file": file_identity(settings.groups)},
            run_id=run_id,
            note=None if settings.groups.file else _NO_FILE,
        )
        for stored, frame in frames.items()
    }


def plan_days(
    days: Sequence[date], warehouse: Warehouse, settings: Settings, run_id: str
) -> Iterator[PartitionResult]:
    """Publish the plan of each day that is not current. MissingPartition without groups or the day's served candles.

    Also of the session after it that was planned before, which is made of its daily indicators: a day can be made late.
    """
    for day in sorted({*days, *_planned_after(days, warehouse)}):
        yield _plan_day(day, warehouse, settings, run_id)


def _planned_after(days: Collection[date], warehouse: Warehouse) -> Iterator[date]:
    """The sessions with a plan that follow one of ``days``."""
    for key in warehouse.partitions(PLAN):
        planned = date.fromisoformat(key)
        if NSE.previous(planned) in days:
            yield planned


def read_plan(day: date, warehouse: Warehouse, settings: Settings) -> pd.DataFrame:
    """What readers get of the plan of ``day``. Under the kill switch it is made anew, of V1's bars; nothing is written.

    MissingPartition for a day that was not planned, or whose bars of V1 are not there for all.
    """
    if settings.rollout.kill:
        return _plan(day, warehouse, settings)
    return warehouse.read(PLAN, [day.isoformat()])


def _plan_day(day: date, warehouse: Warehouse, settings: Settings, run_id: str) -> PartitionResult:
    key, started = day.isoformat(), time.perf_counter()
    of_day = source_of_served(tables.CANDLES_5MIN, settings.rollout)
    bars = warehouse.pointer(of_day, key)
    provenance = {
        "code_version": groups_code_version(),
        "settings_hash": fingerprint(settings.groups, settings.filters, settings.aggregation),
        "inputs": _inputs(day, warehouse, settings)
        | {name: mark for name, mark in (bars.inputs if bars else {}).items() if name == AS_OF},
    }
    if warehouse.is_current(PLAN, key, **provenance):
        return PartitionResult(day, {PLAN.table.name: warehouse.pointer(PLAN, key)}, cached=True)
    plan = _plan(day, warehouse, settings)
    pointer = warehouse.publish(
        PLAN,
        key,
        plan,
        **provenance,
        run_id=run_id,
        note=None if len(plan) else "no rows: there is no group",
    )
    return PartitionResult(
        day, {PLAN.table.name: pointer}, cached=False, seconds=time.perf_counter() - started
    )


def _plan(day: date, warehouse: Warehouse, settings: Settings) -> pd.DataFrame:
    groups = warehouse.read(GROUPS, [WHOLE])
    if groups.empty:
        return PLAN.table.empty()
    before = NSE.previous(day)
    midnight, bar_length = pd.Timestamp(day), pd.Timedelta(minutes=settings.aggregation.bar_minutes)
    intervals = NSE.session(day).intervals
    actions = (
        warehouse.read(_ACTIONS, [WHOLE])
        if warehouse.pointer(_ACTIONS, WHOLE)
        else _ACTIONS.table.empty()
    )
    own = settings.groups
    return execution_plan(
        groups,
        read_served(tables.CANDLES_5MIN, [day], warehouse, settings.rollout),
        DailyFacts(
            pd.Timestamp(before),
            _of_session_before(tables.CANDLES_DAILY, before, warehouse, settings),
            _of_session_before(tables.INDICATORS_DAILY, before, warehouse, settings),
            settings.filters.ema_deviation,
            frozenset(
                actions.loc[
                    (actions["ex_date"] == midnight) & (actions["kind"] != GENUINE),
                    "instrument_key",
                ]
            ),
        ),
        midnight,
        pd.Timestamp.combine(day, intervals[0].start).tz_localize(INDIA) if intervals else None,
        rules_of(
            midnight,
            {FIRST_ENTRY: own.first_entry_bar, SECOND_ENTRY: own.second_entry_bar},
            {
                FIRST_ENTRY: own.first_entry_risk,
                SECOND_ENTRY: own.second_entry_risk,
                BB_RANGE: own.second_entry_risk,
            },
            bar_length,
        ),
        bar_length,
    )


def _of_session_before(
    table: Table, before: date, warehouse: Warehouse, settings: Settings
) -> pd.DataFrame:
    """The rows of the session before; none where it was never served, which the plan tells by instrument."""
    if warehouse.pointer(source_of_served(table, settings.rollout), before.isoformat()) is None:
        return served_table(table).table.empty()
    return read_served(table, [before], warehouse, settings.rollout)


def _inputs(day: date, warehouse: Warehouse, settings: Settings) -> dict[str, str]:
    before = NSE.previous(day)
    partitions = [(GROUPS, WHOLE), (_ACTIONS, WHOLE)] + [
        (
            source_of_served(table, settings.rollout),
            (day if table is tables.CANDLES_5MIN else before).isoformat(),
        )
        for table in READ
    ]
    return {
        f"{stored.name} {partition}": pointer.input_hash
        for stored, partition in partitions
        if (pointer := warehouse.pointer(stored, partition))
    }
