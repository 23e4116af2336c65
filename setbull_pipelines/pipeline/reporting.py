"""How the daily report of a trading day is made: stored rows gathered, the document written and read back.

Belongs here: what is read of which table and lane, the place of the file, publication of what it says. Does not
belong here: what is shown (``reporting/``), opening a browser, Dagster.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.pipeline.engine import PartitionResult
from setbull_pipelines.pipeline.metrics import FAILURES
from setbull_pipelines.pipeline.reconciling import SUMMARY
from setbull_pipelines.pipeline.serving import read_served, served_table
from setbull_pipelines.pipeline.versions import code_version
from setbull_pipelines.reporting.content import Stored, charted, charted_intraday
from setbull_pipelines.reporting.page import html_page
from setbull_pipelines.reporting.reading import read_report
from setbull_pipelines.settings import Settings, fingerprint
from setbull_pipelines.tables import Table
from setbull_pipelines.tables.served import SERVED_SCHEMA
from setbull_pipelines.warehouse.disk import replace_durably, sync_directory
from setbull_pipelines.warehouse.store import WHOLE, StoredTable, Warehouse

REPORT = StoredTable(SERVED_SCHEMA, tables.DAILY_REPORT)
SERVED = tuple(table for table in tables.COMPUTED_TABLES if table.name in tables.SERVED)
HISTORIES = (tables.CANDLES_DAILY, tables.INDICATORS_DAILY, tables.MOVES_DAILY)
"""Tables of which the lanes themselves are read, since days of a look-back were never served."""
_RESULTS = served_table(tables.FILTER_RESULTS)
_RAW = tuple(
    StoredTable("raw", table)
    for table in (
        tables.INSTRUMENTS,
        tables.CORPORATE_ACTIONS,
        tables.ACCOUNTING,
        tables.QUARANTINE,
    )
)
READS = (
    *(served_table(table) for table in SERVED),
    *(StoredTable(lane, table) for lane in ("v1", "v2") for table in HISTORIES),
    *_RAW,
    SUMMARY,
    FAILURES,
)
"""Every table that a report is made from."""


def reporting_code_version() -> str:
    """Code version of everything that a report depends on, the texts of its page included."""
    return code_version(
        *("reporting", "tables", "pipeline/reporting.py"),
        *(f"reporting/page.{ending}" for ending in ("html", "css", "js")),
    )


def report_path(settings: Settings, day: date) -> Path:
    """Where the report of ``day`` is, or would be."""
    return settings.data_directory / "reports" / f"{day}.html"


def make_reports(
    days: Sequence[date], warehouse: Warehouse, settings: Settings, run_id: str
) -> Iterator[PartitionResult]:
    """Write the reports of ``days``, and again those of days whose filter results were served anew since.

    A report is a function of the stored rows: the same rows give the same bytes, and the file is left alone. What
    is published is read from the written file. MissingPartition for a day that is not served.
    """
    for day in sorted({*days, *_outdated(warehouse)}):
        yield _make(day, warehouse, settings, run_id)


def _outdated(warehouse: Warehouse) -> Iterator[date]:
    for key in warehouse.partitions(REPORT):
        made_from = warehouse.pointer(REPORT, key).inputs[_RESULTS.name]
        if made_from != _served_hash(warehouse, key):
            yield date.fromisoformat(key)


def _served_hash(warehouse: Warehouse, key: str) -> str:
    pointer = warehouse.pointer(_RESULTS, key)
    return pointer.content_hash if pointer else "never served"


def _make(day: date, warehouse: Warehouse, settings: Settings, run_id: str) -> PartitionResult:
    key, path = day.isoformat(), report_path(settings, day)
    made_from = _served_hash(warehouse, key)
    data = html_page(gather(day, warehouse, settings), made_from).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists() or path.read_bytes() != data
    if is_new:
        replace_durably(path, data)
        sync_directory(path.parent)
    rows = read_report(path.read_text(encoding="utf-8"))
    pointer = warehouse.publish(
        REPORT,
        key,
        rows,
        code_version=reporting_code_version(),
        settings_hash=fingerprint(settings.report),
        inputs={_RESULTS.name: made_from},
        run_id=run_id,
        note=None if len(rows) else "no rows: no instrument has filter results",
    )
    return PartitionResult(day, {REPORT.table.name: pointer}, cached=not is_new)


def gather(day: date, warehouse: Warehouse, settings: Settings) -> Stored:
    """Read everything that the report of ``day`` is made from. Raises as :func:`read_served`."""
    key = day.isoformat()
    rows = {table.name: read_served(table, [day], warehouse, settings.rollout) for table in SERVED}
    results = rows["filter_results"]
    with_chart, with_intraday = charted(results), charted_intraday(results)
    sessions = [
        session.isoformat()
        for session in NSE.trading_days(NSE.first_day, day)[-settings.report.chart_sessions :]
    ]

    def history(table: Table) -> pd.DataFrame:
        """Daily bars from the lane that serves the instrument, of the series that its verdict is about."""
        bars = _of_lanes(table, _of(rows[table.name], with_chart), sessions, warehouse)
        return bars.merge(results[["instrument_key", "series"]], on=["instrument_key", "series"])

    instruments, actions, accounting, quarantine = (
        warehouse.read(stored, [key if stored.table.partitioned else WHOLE]) for stored in _RAW
    )
    analysis = rows["sequence_analysis"]
    return Stored(
        day=day,
        filter_results=results,
        sequence_analysis=analysis,
        moves_daily=_of_lanes(tables.MOVES_DAILY, _of(analysis, with_chart), [key], warehouse),
        candles_daily=history(tables.CANDLES_DAILY),
        indicators_daily=history(tables.INDICATORS_DAILY),
        candles_5min=_of(rows["candles_5min"], with_intraday),
        indicators_5min=_of(rows["indicators_5min"], with_intraday),
        instruments=instruments,
        corporate_actions=_of(actions, with_chart),
        accounting=accounting,
        quarantined=quarantine["rule"].value_counts(),
        failures=_read_if_stored(FAILURES, key, warehouse),
        reconciliation=_read_if_stored(SUMMARY, key, warehouse),
        variants={name: _by_variant(frame) for name, frame in rows.items()},
    )


def _of(rows: pd.DataFrame, keys: Iterable[str]) -> pd.DataFrame:
    return rows[rows["instrument_key"].isin(keys)]


def _of_lanes(
    table: Table, served: pd.DataFrame, partitions: Sequence[str], warehouse: Warehouse
) -> pd.DataFrame:
    """The stored rows of the instruments of ``served``, each from the lane that its ``variant`` names."""
    found = [table.empty()]
    for variant, chosen in served.groupby("variant", observed=True):
        lane = StoredTable(variant, table)
        stored = set(warehouse.partitions(lane))
        rows = warehouse.read(lane, [key for key in partitions if key in stored])
        found.append(_of(rows, chosen["instrument_key"].unique()))
    return table.conform(pd.concat(found))


def _read_if_stored(stored: StoredTable, key: str, warehouse: Warehouse) -> pd.DataFrame:
    if warehouse.pointer(stored, key) is None:
        return stored.table.empty()
    return warehouse.read(stored, [key])


def _by_variant(rows: pd.DataFrame) -> dict[str, int]:
    counts = rows[["instrument_key", "variant"]].drop_duplicates()["variant"].value_counts()
    return {name: int(count) for name, count in counts.items()}
