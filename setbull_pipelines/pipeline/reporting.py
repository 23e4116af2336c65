"""How the daily report of a trading day is made: stored rows gathered, the document written.

Belongs here: what is read of which table and lane, the place of the file, and which other days are written again.
Does not belong here: what is shown (``reporting/``), opening a browser, Dagster.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.pipeline.metrics import OUTPUTS as METRICS_OUTPUTS
from setbull_pipelines.pipeline.reconciling import SUMMARY
from setbull_pipelines.pipeline.serving import read_served, served_table
from setbull_pipelines.pipeline.versions import code_version
from setbull_pipelines.reporting.content import Stored, charted, charted_intraday
from setbull_pipelines.reporting.page import MADE_FROM, html_page
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables import Table
from setbull_pipelines.warehouse.disk import replace_durably, sync_directory
from setbull_pipelines.warehouse.store import WHOLE, StoredTable, Warehouse

RESULTS = served_table(tables.FILTER_RESULTS)
SERVED = tuple(tables.SERVED[name] for name in tables.SERVED)
_RAW = {
    table.name: StoredTable("raw", table)
    for table in (
        tables.INSTRUMENTS,
        tables.CORPORATE_ACTIONS,
        tables.ACCOUNTING,
        tables.QUARANTINE,
    )
}
_FAILURES = METRICS_OUTPUTS[1]
READS = (
    *(served_table(table) for table in SERVED),
    *(StoredTable(lane, tables.MOVES_DAILY) for lane in ("v1", "v2")),
    *_RAW.values(),
    SUMMARY,
    _FAILURES,
)
"""Every table that a report is made from, of its own day."""
_HEAD_BYTES = 4096
_MADE_FROM = re.compile(rf'<meta name="{MADE_FROM}" content="([0-9a-f]*)">')
_DAY_FILE = re.compile(r"\d{4}-\d{2}-\d{2}\.html")


@dataclass(frozen=True)
class Report:
    """The written report of a day."""

    day: date
    path: Path
    size: int
    """In bytes."""
    changed: bool
    """False when the file already had these bytes."""
    verdicts: dict[str, int]
    """Instruments by verdict."""


def reporting_code_version() -> str:
    """Code version of everything that a report depends on, the texts of its page included."""
    return code_version(
        *("reporting", "tables", "pipeline/reporting.py"),
        *(f"reporting/page.{ending}" for ending in ("html", "css", "js")),
    )


def report_path(settings: Settings, day: date) -> Path:
    """Where the report of ``day`` is, or would be."""
    return settings.data_directory / "reports" / f"{day}.html"


def write_reports(
    days: Sequence[date], warehouse: Warehouse, settings: Settings
) -> Iterator[Report]:
    """Write the reports of ``days``, and again those of other days whose filter results were served anew since.

    A report is a function of the stored rows: the same rows give the same bytes, and the file is left alone.
    MissingPartition for a day that is not served; files written before stay.
    """
    for day in sorted({*days, *_outdated(warehouse, settings)}):
        yield _write(day, warehouse, settings)


def _outdated(warehouse: Warehouse, settings: Settings) -> Iterator[date]:
    for path in report_path(settings, date.min).parent.glob("*.html"):
        if not _DAY_FILE.fullmatch(path.name):
            continue
        pointer = warehouse.pointer(RESULTS, path.stem)
        with open(path, encoding="utf-8", errors="replace") as file:
            found = _MADE_FROM.search(file.read(_HEAD_BYTES))
        if pointer and (not found or found[1] != pointer.content_hash):
            yield date.fromisoformat(path.stem)


def _write(day: date, warehouse: Warehouse, settings: Settings) -> Report:
    stored = gather(day, warehouse, settings)
    pointer = warehouse.pointer(RESULTS, day.isoformat())
    data = html_page(stored, made_from=pointer.content_hash if pointer else "").encode()
    path = report_path(settings, day)
    path.parent.mkdir(parents=True, exist_ok=True)
    changed = not path.exists() or path.read_bytes() != data
    if changed:
        replace_durably(path, data)
        sync_directory(path.parent)
    counts = stored.filter_results["verdict"].value_counts()
    return Report(day, path, len(data), changed, {name: int(n) for name, n in counts.items()})


def gather(day: date, warehouse: Warehouse, settings: Settings) -> Stored:
    """Read everything that the report of ``day`` is made from. Raises as :func:`read_served`."""

    def served(table: Table) -> pd.DataFrame:
        return read_served(table, [day], warehouse, settings.rollout)

    key = day.isoformat()
    rows = {table.name: served(table) for table in SERVED}
    results = rows["filter_results"]
    with_chart, with_intraday = charted(results), charted_intraday(results)
    sessions = [
        session.isoformat()
        for session in NSE.trading_days(NSE.first_day, day)[-settings.report.chart_sessions :]
    ]
    series = results[["instrument_key", "series"]]

    def history(table: Table) -> pd.DataFrame:
        """Bars up to the day from the lane that serves the instrument, of the series its verdict is about."""
        wanted = rows[table.name][["instrument_key", "variant"]].drop_duplicates()
        wanted = wanted[wanted["instrument_key"].isin(with_chart)]
        bars = _of_lanes(table, wanted, sessions, warehouse)
        return bars.merge(series, on=["instrument_key", "series"])

    analyzed = rows["sequence_analysis"][["instrument_key", "variant"]]
    raw = {
        name: warehouse.read(stored, [key if stored.table.partitioned else WHOLE])
        for name, stored in _RAW.items()
    }
    return Stored(
        day=day,
        filter_results=results,
        sequence_analysis=rows["sequence_analysis"],
        moves_daily=_of_lanes(
            tables.MOVES_DAILY,
            analyzed[analyzed["instrument_key"].isin(with_chart)],
            [key],
            warehouse,
        ),
        candles_daily=history(tables.CANDLES_DAILY),
        indicators_daily=history(tables.INDICATORS_DAILY),
        candles_5min=_of(rows["candles_5min"], with_intraday),
        indicators_5min=_of(rows["indicators_5min"], with_intraday),
        instruments=raw["instruments"],
        corporate_actions=_of(raw["corporate_actions"], with_chart),
        accounting=raw["accounting"],
        quarantined=raw["quarantine"]["rule"].value_counts(),
        failures=_read_if_stored(_FAILURES, key, warehouse),
        reconciliation=_read_if_stored(SUMMARY, key, warehouse),
        variants={name: _by_variant(frame) for name, frame in rows.items()},
    )


def _of(rows: pd.DataFrame, keys: Iterable[str]) -> pd.DataFrame:
    return rows[rows["instrument_key"].isin(keys)]


def _of_lanes(
    table: Table, wanted: pd.DataFrame, partitions: Sequence[str], warehouse: Warehouse
) -> pd.DataFrame:
    """The stored rows of each instrument of ``wanted`` from the lane that its ``variant`` names."""
    found = [table.empty()]
    for variant, chosen in wanted.groupby("variant", observed=True):
        lane = StoredTable(variant, table)
        stored = set(warehouse.partitions(lane))
        rows = warehouse.read(lane, [key for key in partitions if key in stored])
        found.append(_of(rows, chosen["instrument_key"]))
    return table.conform(pd.concat(found))


def _read_if_stored(stored: StoredTable, key: str, warehouse: Warehouse) -> pd.DataFrame:
    if warehouse.pointer(stored, key) is None:
        return stored.table.empty()
    return warehouse.read(stored, [key])


def _by_variant(rows: pd.DataFrame) -> dict[str, int]:
    pairs = rows[["instrument_key", "variant"]].drop_duplicates()
    return {name: int(count) for name, count in pairs["variant"].value_counts().sort_index().items()}
