"""The old system's tables: imported once, counted, and held against V1 where V1 is stored.

Belongs here: which stored tables an old result is held against, and the counts of every step from the source to the raw
tables. Does not belong here: reading the old tables (``sources/legacy/``), causes (``reconciliation/``), printing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.market.calendar import NSE, OutsideCoverage
from setbull_pipelines.pipeline.progress import Progress, following_works
from setbull_pipelines.reconciliation import old_bars, old_filters
from setbull_pipelines.reconciliation.old_bars import compare_bars
from setbull_pipelines.reconciliation.old_filters import compare_filters
from setbull_pipelines.reconciliation.old_finding import Finding
from setbull_pipelines.settings import Settings
from setbull_pipelines.sources.legacy.exporting import State, export
from setbull_pipelines.sources.legacy.loading import Loaded, load, old_days, old_rows
from setbull_pipelines.sources.legacy.old_tables import CANDLES, DAY, FILTERED, MINUTE, Stream
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.store import Warehouse

V1 = "v1"
_ACCOUNTING = StoredTable("raw", tables.ACCOUNTING)
_MINUTES = StoredTable("raw", tables.CANDLES_1MIN)
_KIND_OF = {MINUTE: "minutes", DAY: "daily"}


@dataclass(frozen=True)
class Held:
    """One old table against V1: what was found, on how many days, and the days that V1 has no tables of."""

    table: str
    finding: Finding
    days: int
    not_stored: tuple[str, ...]


def imported_directory(settings: Settings) -> Path:
    """Where the files of an import are: an input like any other."""
    return settings.data_directory / "imported"


def import_from(
    streams: Sequence[Stream], settings: Settings, zone: str | None, told: Callable[[str], None]
) -> tuple[State, Loaded]:
    """Bring the imported files up to the old tables. Raises CannotImport."""
    folder = imported_directory(settings)
    reached = following_works()
    state = export(streams, folder, zone, told, reached)
    return state, load(folder, reached)


def counts(state: State, settings: Settings, warehouse: Warehouse) -> pd.DataFrame:
    """Rows by table, interval and day: exported, and of candles received, accepted and quarantined by intake.

    The latter are null before the day was run.
    """
    rows = pd.DataFrame(
        [(*key, count) for key, count in sorted(state.counts().items())],
        columns=["table", "interval", "day", "exported"],
    )
    stored = warehouse.partitions(_ACCOUNTING)
    known = warehouse.read(_ACCOUNTING, stored)
    of_intake = {
        (kind, f"{day:%Y-%m-%d}"): numbers
        for kind, day, *numbers in known[
            ["kind", "trading_day", "received", "accepted", "quarantined"]
        ].itertuples(index=False, name=None)
    }
    found = [
        of_intake.get((_KIND_OF.get(row.interval), row.day)) if row.table == CANDLES else None
        for row in rows.itertuples()
    ]
    for place, name in enumerate(("received", "accepted", "quarantined")):
        values = [None if numbers is None else numbers[place] for numbers in found]
        rows[name] = pd.array(values, dtype="Int64")
    return rows


def held_bars(settings: Settings, warehouse: Warehouse) -> Held:
    """The old five-minute bars of every day against V1's. Raises DamagedPartition, ContractViolation."""
    folder = imported_directory(settings)
    needed = [
        StoredTable(V1, tables.CANDLES_5MIN),
        StoredTable(V1, tables.INDICATORS_5MIN),
        _MINUTES,
    ]
    stored = set.intersection(*(set(warehouse.partitions(table)) for table in needed))
    finding, held, missing = Finding(), 0, []
    days = old_days(folder)
    progress = Progress(f"{old_bars.TABLE} against V1", len(days), "days")
    for day in days:
        progress.advance()
        if day not in stored:
            missing.append(day)
            continue
        candles, indicators, minutes = (warehouse.read(table, [day]) for table in needed)
        before = _session_before(day)
        earlier = (
            warehouse.read(needed[0], [before]) if before in stored else needed[0].table.empty()
        )
        old = old_rows(folder, old_bars.TABLE, day)
        finding.add(compare_bars(old, candles, indicators, earlier, minutes))
        held += 1
    return Held(old_bars.TABLE, finding, held, tuple(missing))


def held_filters(settings: Settings, warehouse: Warehouse) -> Held:
    """The old filter rows of every date against V1's. Raises DamagedPartition, ContractViolation."""
    old = old_rows(imported_directory(settings), FILTERED)
    results = StoredTable(V1, tables.FILTER_RESULTS)
    stored = set(warehouse.partitions(results))
    finding, held, missing = Finding(), 0, []
    for day, rows in old.groupby("trading_day", sort=True) if len(old) else ():
        if day not in stored:
            missing.append(str(day))
            continue
        before = _session_before(str(day))
        earlier = warehouse.read(results, [before]) if before in stored else results.table.empty()
        finding.add(compare_filters(rows, warehouse.read(results, [str(day)]), earlier))
        held += 1
    return Held(old_filters.TABLE, finding, held, tuple(missing))


def not_loaded(state: State) -> Counter[str]:
    """Rows by interval that are in the old table and in no input file: intervals that nothing is made of."""
    found: Counter[str] = Counter()
    for (table, interval, _), rows in state.counts().items():
        if table == CANDLES and interval not in _KIND_OF:
            found[interval] += rows
    return found


def _session_before(day: str) -> str:
    try:
        return NSE.previous(date.fromisoformat(day)).isoformat()
    except OutsideCoverage:
        return ""
