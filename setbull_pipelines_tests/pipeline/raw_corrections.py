"""Changes of the raw tables of a small run, and what is computed after them.

Belongs here: changing raw rows, bringing a run up to date or computing it anew. Does not belong here: assertions about
what was computed; corporate actions and former keys, which :mod:`announcements` has.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.pipeline.engine import PartitionResult, StepRun
from setbull_pipelines.pipeline.steps import STEPS
from setbull_pipelines.warehouse.pointers import WHOLE, StoredTable
from setbull_pipelines_tests.pipeline.carrying_out import VARIANTS
from setbull_pipelines_tests.pipeline.small_run import IN_FULL, SmallRun, publish

MINUTES = StoredTable("raw", tables.CANDLES_1MIN)
DAILY = StoredTable("raw", tables.CANDLES_DAILY_HISTORY)
COVERAGE = StoredTable("raw", tables.COVERAGE)
KEYS = [f"NSE_EQ|SAMPLE{number:04d}" for number in range(1, 13)]
KEY = KEYS[3]


def bring_up_to_date(
    run: SmallRun, variant: str, stages=IN_FULL
) -> dict[tuple[str, date], PartitionResult]:
    """Carry out the whole chain over all sessions of the run; what happened, by step and day."""
    given = (VARIANTS[variant], run.warehouse, run.settings, "touched", stages)
    behind = run.look_backs()
    return {
        (step.name, result.day): result
        for step in STEPS
        for result in StepRun(step, *given).over(
            sorted({*behind[StoredTable("v1", step.outputs[0])], *run.days})
        )
    }


def contents(run: SmallRun, variant: str) -> dict[tuple[str, str], str]:
    """The content hash of every partition of a variant."""
    warehouse = run.warehouse
    return {
        (table.name, key): warehouse.pointer(StoredTable(variant, table), key).content_hash
        for table in tables.COMPUTED_TABLES
        for key in warehouse.partitions(StoredTable(variant, table))
    }


def from_scratch(run: SmallRun, variant: str, directory: Path, stages=IN_FULL) -> SmallRun:
    """The run in another folder, with nothing but its raw tables, computed anew."""
    copy = run.copy(directory)
    shutil.rmtree(copy.warehouse.root / variant)
    results = bring_up_to_date(copy, variant, stages)
    assert not any(result.instruments_kept for result in results.values())
    return copy


def touched(results: dict[tuple[str, date], PartitionResult]) -> dict[tuple[str, date], int]:
    """How many instruments were computed, where any were."""
    return {
        place: result.instruments_computed
        for place, result in results.items()
        if result.instruments_computed
    }


def list_late(run: SmallRun, first_bar: int, listed: int) -> list[date]:
    """Let the daily bars of ``KEY`` begin with one session, and its series with another; returns all sessions."""
    sessions = sorted({*run.looked_back_at("v1", tables.CANDLES_DAILY), *run.days})
    for day in sessions[:first_bar]:
        change(run, DAILY, day, lambda rows: rows[rows["instrument_key"] != KEY])
    starts = run.warehouse.read(COVERAGE, [WHOLE])
    daily = (starts["instrument_key"] == KEY) & (starts["series"] == "exchange")
    starts.loc[daily, "first_trading_day"] = pd.Timestamp(sessions[listed])
    publish(run.warehouse, COVERAGE, WHOLE, starts)
    return sessions


def change(
    run: SmallRun, stored: StoredTable, day: date, edit: Callable[[pd.DataFrame], pd.DataFrame]
) -> None:
    """Publish the raw partition with the edited rows."""
    rows = run.warehouse.read(stored, [day.isoformat()])
    publish(run.warehouse, stored, day.isoformat(), stored.table.conform(edit(rows)))


def dearer(key: str, factor: float = 1.01) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """All bars of one instrument at other prices."""

    def edit(rows: pd.DataFrame) -> pd.DataFrame:
        of_key = rows["instrument_key"] == key
        prices = ["open", "high", "low", "close"]
        rows.loc[of_key, prices] = (rows.loc[of_key, prices] * factor).round(2)
        return rows

    return edit


def as_if_new(key: str, like: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """The rows and those of a new instrument with the bars of another one."""

    def edit(rows: pd.DataFrame) -> pd.DataFrame:
        copied = rows[rows["instrument_key"] == like]
        copied = copied.assign(instrument_key=pd.Series(key, index=copied.index, dtype="str"))
        others = rows[rows["instrument_key"] != key]
        return pd.concat([others, copied], ignore_index=True)

    return edit
