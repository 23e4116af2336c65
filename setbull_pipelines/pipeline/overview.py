"""How the page of all sessions is made: stored rows gathered, written when they say something new.

Belongs here: what is read of each table, the place of the file, when it is written. Does not belong here: what is
shown (``reporting/overview.py``), the reports of single days (``daily_reports``), Dagster.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from datetime import date
from pathlib import Path

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.disk import content_hash, replace_durably, sync
from setbull_pipelines.pipeline.addresses import divergence_address
from setbull_pipelines.pipeline.alert_delivery import ALERTS
from setbull_pipelines.pipeline.comparing_days import SUMMARY
from setbull_pipelines.pipeline.serving import served_table, source_of_served
from setbull_pipelines.pipeline.versions import code_version
from setbull_pipelines.quality.processing import FAILURES
from setbull_pipelines.quality.rollout_log import LOG
from setbull_pipelines.reporting.overview import Sessions, html_overview
from setbull_pipelines.reporting.page import OVERVIEW_NAME
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables.reconciliation import DIVERGED
from setbull_pipelines.warehouse.errors import (
    ContractViolation,
    DamagedPartition,
    MissingPartition,
)
from setbull_pipelines.warehouse.pointers import WHOLE, StoredTable
from setbull_pipelines.warehouse.store import Warehouse

_SESSIONS = 250
"""Sessions on the page: a year. Their numbers are read again whenever one of them changes."""
_ACCOUNTING = StoredTable("raw", tables.ACCOUNTING)
_COLUMNS = {
    SUMMARY: ["trading_day", "table_name", "state", "reason"],
    _ACCOUNTING: ["trading_day", "received", "quarantined"],
    FAILURES: ["trading_day", "instrument_key"],
}
_OF_RESULTS = ["trading_day", "verdict", "stopped_at"]
_OF_ALERTS = ["kind", "severity", "title", "state", "trading_day"]
_OF_LOG = ["session", "component", "to_stage", "verdict", "reason"]
_HEAD = 400
"""Characters in which a written page says what it was made from."""


def overview_path(settings: Settings) -> Path:
    """Where the page is, or would be: beside the reports, so that links between them need no address."""
    return settings.data_directory / "reports" / OVERVIEW_NAME


def write_overview(warehouse: Warehouse, settings: Settings) -> bool:
    """Write the page unless the one that is there was made from the same; returns whether it was written."""
    path = overview_path(settings)
    days, earlier = _days(warehouse, settings)
    reports = _reports(path.parent)
    made_from = _made_from(days, reports, warehouse, settings)
    if _says(path, made_from):
        return False
    page = html_overview(_gather(days, earlier, reports, warehouse, settings), made_from)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_durably(path, page.encode())
    sync(path.parent)
    return True


def _says(path: Path, made_from: str) -> bool:
    try:
        with path.open(encoding="utf-8") as file:
            return f'content="{made_from}"' in file.read(_HEAD)
    except FileNotFoundError:
        return False


def _days(warehouse: Warehouse, settings: Settings) -> tuple[list[str], int]:
    """The last sessions that were compared or served, and how many are before them."""
    found = sorted(
        {*warehouse.partitions(SUMMARY), *warehouse.partitions(served_table(tables.FILTER_RESULTS))}
    )
    return found[-_SESSIONS:], len(found[:-_SESSIONS])


def _reports(folder: Path) -> list[str]:
    """Names of the pages in the folder, of reports and of differences, without their ending."""
    found = (path.stem for path in folder.glob("*.html") if path.name != OVERVIEW_NAME)
    return sorted(found)


def _made_from(
    days: Sequence[str], reports: Sequence[str], warehouse: Warehouse, settings: Settings
) -> str:
    """A hash of everything that the page depends on, from what is known of partitions without reading them."""
    pointers = [
        [stored.name, key, pointer.content_hash, bool(pointer.evicted_at)]
        for stored in (source_of_served(tables.FILTER_RESULTS, settings.rollout), *_COLUMNS)
        for key, pointer in warehouse.pointers(stored, days).items()
    ]
    whole = [warehouse.pointers(stored, [WHOLE]) for stored in (ALERTS, LOG)]
    parts = [
        code_version(
            *("reporting/overview.py", "reporting/document.py", "tables", "pipeline/overview.py"),
            *("reporting/page.css", "reporting/overview.html", "reporting/overview.css"),
        ),
        settings.api.public_url,
        *(list(days), list(reports), pointers),
        [pointer.content_hash for found in whole for pointer in found.values()],
    ]
    return content_hash(json.dumps(parts).encode())


def _gather(
    days: Sequence[str],
    earlier: int,
    reports: Sequence[str],
    warehouse: Warehouse,
    settings: Settings,
) -> Sessions:
    unreadable: list[str] = []

    def of_days(stored: StoredTable, columns: list[str]) -> pd.DataFrame:
        known = warehouse.pointers(stored, days)
        names = [name for name, pointer in known.items() if not pointer.evicted_at]
        return readable(warehouse, stored, names, columns, unreadable)

    def whole(stored: StoredTable, columns: list[str]) -> pd.DataFrame:
        known = list(warehouse.pointers(stored, [WHOLE]))
        return readable(warehouse, stored, known, columns, unreadable)

    summary, accounting, failures = (of_days(stored, names) for stored, names in _COLUMNS.items())
    alerts, log = whole(ALERTS, _OF_ALERTS), whole(LOG, _OF_LOG)
    return Sessions(
        days=tuple(days),
        reports=frozenset(reports) & frozenset(days),
        summary=summary,
        results=of_days(source_of_served(tables.FILTER_RESULTS, settings.rollout), _OF_RESULTS),
        accounting=accounting,
        failures=failures,
        alerts=alerts[(alerts["kind"] == "check") & alerts["trading_day"].notna()],
        rollout=log.dropna(subset=["session"]).rename(columns={"session": "trading_day"}),
        links=dict(_links(summary, reports, settings)),
        earlier=earlier,
        unreadable=tuple(unreadable),
    )


def readable(
    warehouse: Warehouse,
    stored: StoredTable,
    partitions: Sequence[str],
    columns: list[str],
    unreadable: list[str],
    instrument_keys: Collection[str] | None = None,
) -> pd.DataFrame:
    """The rows of the partitions that can be read, for pages that one damaged file must not prevent.

    The names of the others join ``unreadable``. ``instrument_keys`` None means all instruments.
    """
    refused = (DamagedPartition, ContractViolation, MissingPartition)
    try:
        return warehouse.read(stored, partitions, columns, instrument_keys)
    except refused:
        frames = [warehouse.read(stored, [], columns)]
    for name in partitions:
        try:
            frames.append(warehouse.read(stored, [name], columns, instrument_keys))
        except refused:
            unreadable.append(f"{stored.name} {name}")
    return pd.concat(frames, ignore_index=True)


def _links(
    summary: pd.DataFrame, reports: Sequence[str], settings: Settings
) -> Iterator[tuple[tuple[str, str], str]]:
    """Where the page of each difference is: the file of ``setbull divergence``, else the address of the API."""
    written = set(reports)
    for row in summary[summary["state"] == DIVERGED].itertuples():
        day = f"{row.trading_day:%Y-%m-%d}"
        name = f"{row.table_name}-{day}"
        if name in written:
            yield (row.table_name, day), f"{name}.html"
        elif address := divergence_address(settings.api, row.table_name, date.fromisoformat(day)):
            yield (row.table_name, day), address
