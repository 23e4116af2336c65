"""How the daily report of a trading day is made: stored rows gathered, the document written and read back.

Belongs here: what is read of each table and lane, the place of the file, publication of what it says. Does not
belong here: what is shown (``reporting/``), opening a browser, Dagster.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from html import unescape
from pathlib import Path

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.disk import content_hash, replace_durably, sync
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.pipeline.addresses import divergence_address
from setbull_pipelines.pipeline.comparing_days import SUMMARY
from setbull_pipelines.pipeline.engine import PartitionResult
from setbull_pipelines.pipeline.measuring import Meter
from setbull_pipelines.pipeline.overview import readable, write_overview
from setbull_pipelines.pipeline.references import references_of
from setbull_pipelines.pipeline.serving import read_served, served_table, source_of_served
from setbull_pipelines.pipeline.versions import code_version, combined
from setbull_pipelines.quality.processing import FAILURES
from setbull_pipelines.reporting.answer import told
from setbull_pipelines.reporting.content import Stored, charted, charted_intraday, mamba_day
from setbull_pipelines.reporting.page import Neighbours, html_page, relinked
from setbull_pipelines.reporting.reading import read_report
from setbull_pipelines.rollout.bucketing import Variant
from setbull_pipelines.settings import Settings, fingerprint
from setbull_pipelines.tables import Table
from setbull_pipelines.tables.filters import PASSING_VERDICTS
from setbull_pipelines.tables.reconciliation import DIVERGED
from setbull_pipelines.tables.served import SERVED_SCHEMA
from setbull_pipelines.warehouse.errors import DamagedPartition
from setbull_pipelines.warehouse.pointers import WHOLE, Pointer, StoredTable
from setbull_pipelines.warehouse.store import Warehouse

REPORT = StoredTable(SERVED_SCHEMA, tables.DAILY_REPORT)
SERVED = tuple(table for table in tables.COMPUTED_TABLES if table.name in tables.SERVED)
_REQUIRED = (
    *(tables.CANDLES_5MIN, tables.CANDLES_DAILY, tables.INDICATORS_5MIN, tables.INDICATORS_DAILY),
    *(tables.SEQUENCE_ANALYSIS, tables.FILTER_RESULTS),
)
"""Other served tables have a section where they are stored: days that are older than them keep their report."""
_HISTORIES = tuple(
    StoredTable(variant.value, table)
    for variant in Variant
    for table in (
        *(tables.CANDLES_DAILY, tables.INDICATORS_DAILY, tables.MOVES_DAILY),
        tables.BB_WIDTH_DAILY,
    )
)
"""Tables that are read from the lanes themselves, since days of a look-back were never served."""
_RAW = tuple(
    StoredTable("raw", table)
    for table in (
        tables.INSTRUMENTS,
        tables.CORPORATE_ACTIONS,
        tables.ACCOUNTING,
        tables.QUARANTINE,
    )
)
_OF_DAY = (*_RAW, StoredTable("raw", tables.INSTRUMENT_ALIASES), SUMMARY, FAILURES)
READS = (*(served_table(table) for table in SERVED), *_HISTORIES, *_OF_DAY)
"""Every table that a report is made from."""
_FILE = "the file"
"""Name of the document's hash among the inputs of what it says."""
_REMOVED = "removed to save disk space"
"""Among the inputs of a report: sessions that it lacks, so that it is made again when they may be back."""
_LISTS = "stocks that passed before"
"""Among the inputs of a report: the lists of the sessions before, whichever variant they were served from."""
_ADDRESS = "address of pages"
_SESSIONS_BEFORE = 60
"""Sessions that are looked at for how long a stock is in its list."""
_ABSENT = "never published"
_DESCRIPTION = re.compile(r'<meta name="description" content="(.*?)">')
_HEAD = 8_000
"""Characters that hold the description of a document."""


def reporting_code_version() -> str:
    """Code version of everything that a report depends on, the texts of its page included."""
    return code_version(
        *("reporting", "tables", "pipeline/daily_reports.py"),
        *(f"reporting/page.{ending}" for ending in ("html", "css", "js")),
        "reporting/drawing.js",
    )


def report_path(settings: Settings, day: date) -> Path:
    """Where the report of ``day`` is, or would be."""
    return settings.data_directory / "reports" / f"{day}.html"


def make_reports(
    days: Sequence[date], warehouse: Warehouse, settings: Settings, run_id: str
) -> Iterator[PartitionResult]:
    """Write the reports of ``days``, and again those of days whose filter results were served anew since.

    A report is a function of the stored rows: a file whose inputs are still the same is left alone. What is published
    is read from the written file. The page of all sessions follows. MissingPartition for a day that is not served;
    DamagedPartition where something that the report of one of ``days`` is made from is damaged. An earlier report then
    stays as it is: the scrub after it tells the damage.
    """
    asked = sorted({*days, *_outdated(warehouse, settings)})
    earlier = _Earlier(asked, warehouse, settings)
    known = sorted({*map(date.isoformat, asked), *warehouse.partitions(REPORT)})
    written = set()
    for day in asked:
        try:
            result = _make(
                day, earlier.before(day), _neighbours(day, known), warehouse, settings, run_id
            )
        except DamagedPartition:
            if day in days:
                raise
            continue
        if not result.cached:
            written.add(day.isoformat())
        yield result
    for name in sorted(written):
        for neighbour in filter(None, _neighbours(date.fromisoformat(name), known)):
            if neighbour not in written:
                _link(neighbour, known, warehouse, settings)
    write_overview(warehouse, settings)


def answer_on(day: date, warehouse: Warehouse, settings: Settings) -> list[str]:
    """What the report of ``day`` says first, as lines of text. Raises as :func:`make_reports`."""
    earlier = _Earlier([day], warehouse, settings).before(day)
    return told(replace(gather(day, warehouse, settings), earlier=earlier))


def headline_on(day: date, settings: Settings) -> str:
    """The first line of the written report, as a preview of a link to it shows it."""
    with report_path(settings, day).open(encoding="utf-8") as file:
        found = _DESCRIPTION.search(file.read(_HEAD))
    return unescape(found[1]) if found else ""


class _Earlier:
    """Which stocks passed on the sessions before those that are asked for, read once for all of them."""

    def __init__(self, asked: Sequence[date], warehouse: Warehouse, settings: Settings) -> None:
        stored = source_of_served(tables.FILTER_RESULTS, settings.rollout)
        pointers = warehouse.pointers(stored)
        self._days = [key for key, pointer in pointers.items() if not pointer.evicted_at]
        wanted = sorted({day for each in asked for day in self._window(each)})
        unreadable: list[str] = []
        columns = ["trading_day", "instrument_key", "verdict"]
        rows = readable(warehouse, stored, wanted, columns, unreadable)
        gone = {name.rpartition(" ")[2] for name in unreadable}
        self._days = [key for key in self._days if key not in gone]
        rows = rows[rows["verdict"].isin(PASSING_VERDICTS)]
        self._lists: dict[str, dict[str, str]] = {day: {} for day in wanted}
        for row in rows.itertuples():
            self._lists[f"{row.trading_day:%Y-%m-%d}"][row.instrument_key] = row.verdict

    def _window(self, day: date) -> list[str]:
        end = bisect_left(self._days, day.isoformat())
        return self._days[max(0, end - _SESSIONS_BEFORE) : end]

    def before(self, day: date) -> Mapping[str, Mapping[str, str]]:
        """By session, ascending, the verdict of every stock that passed on it."""
        return {name: self._lists[name] for name in self._window(day)}


def _neighbours(day: date, known: Sequence[str]) -> Neighbours:
    """The sessions before and after ``day`` among the ascending ``known``, to which it belongs."""
    place = bisect_left(known, day.isoformat())
    before = known[place - 1] if place else None
    return before, known[place + 1] if place + 1 < len(known) else None


def _link(name: str, known: Sequence[str], warehouse: Warehouse, settings: Settings) -> None:
    """Let the written report of a session lead to its neighbours of now."""
    day = date.fromisoformat(name)
    pointer, path = warehouse.pointer(REPORT, name), report_path(settings, day)
    if not is_as_written(day, pointer, settings):
        return  # it is written anew, with its links, when its day is asked for
    document = path.read_text(encoding="utf-8")
    data = relinked(document, _neighbours(day, known)).encode()
    if data != document.encode():
        replace_durably(path, data)
        sync(path.parent)
        warehouse.confirm(REPORT, name, {**pointer.inputs, _FILE: content_hash(data)})


def is_as_written(day: date, pointer: Pointer, settings: Settings) -> bool:
    """Whether the file of ``day`` is the one that the ``pointer`` of its report was published with."""
    path = report_path(settings, day)
    return path.exists() and pointer.inputs.get(_FILE) == content_hash(path.read_bytes())


def _outdated(warehouse: Warehouse, settings: Settings) -> Iterator[date]:
    results = source_of_served(tables.FILTER_RESULTS, settings.rollout)
    reports = warehouse.pointers(REPORT)
    served = warehouse.pointers(results, reports)
    for key, pointer in reports.items():
        if pointer.inputs.get(results.name) != _hash(served.get(key)):
            yield date.fromisoformat(key)


def _hash(pointer: Pointer | None) -> str:
    return pointer.content_hash if pointer else _ABSENT


def _make(
    day: date,
    earlier: Mapping[str, Mapping[str, str]],
    neighbours: Neighbours,
    warehouse: Warehouse,
    settings: Settings,
    run_id: str,
) -> PartitionResult:
    key, path = day.isoformat(), report_path(settings, day)
    provenance = {
        "code_version": reporting_code_version(),
        "settings_hash": fingerprint(settings.report, settings.bb_width),
    }
    inputs = _inputs(day, warehouse, settings) | {
        _LISTS: content_hash(json.dumps(earlier, sort_keys=True).encode()),
        _ADDRESS: settings.api.public_url,
    }
    if path.exists() and warehouse.is_current(
        REPORT, key, **provenance, inputs=inputs | {_FILE: content_hash(path.read_bytes())}
    ):
        return PartitionResult(day, {REPORT.table.name: warehouse.pointer(REPORT, key)}, True)
    made_from = inputs[source_of_served(tables.FILTER_RESULTS, settings.rollout).name]
    with Meter(warehouse.cache) as meter:
        stored = replace(gather(day, warehouse, settings), earlier=earlier)
        data = html_page(stored, made_from, neighbours).encode()
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_durably(path, data)
        sync(path.parent)
        rows = read_report(path.read_text(encoding="utf-8"))
    pointer = warehouse.publish(
        REPORT,
        key,
        rows,
        **provenance,
        inputs=inputs | {_FILE: content_hash(data)} | _lacking(stored),
        run_id=run_id,
        note=None if len(rows) else "no rows: no instrument has filter results",
        cost=meter.cost(len(stored.filter_results)),
    )
    return PartitionResult(
        day, {REPORT.table.name: pointer}, cached=False, seconds=pointer.cost.seconds
    )


def _lacking(stored: Stored) -> dict[str, str]:
    return {_REMOVED: " ".join(stored.removed)} if stored.removed else {}


def _inputs(day: date, warehouse: Warehouse, settings: Settings) -> dict[str, str]:
    """The hash of every table that the report of ``day`` is made from; of the look-back one per table."""
    key = day.isoformat()
    of_day = (*(source_of_served(table, settings.rollout) for table in SERVED), *_OF_DAY)
    inputs = {
        stored.name: _hash(warehouse.pointer(stored, key if stored.table.partitioned else WHOLE))
        for stored in of_day
    }
    sessions = _sessions(day, settings)
    for stored in _HISTORIES:
        pointers = warehouse.pointers(stored, sessions)
        inputs[f"{stored.name} from {sessions[0]}"] = combined(
            _hash(pointers.get(session)) for session in sessions
        )
    return inputs


def _sessions(day: date, settings: Settings) -> list[str]:
    sessions = NSE.trading_days(NSE.first_day, day)[-settings.report.chart_sessions :]
    return [session.isoformat() for session in sessions]


def gather(day: date, warehouse: Warehouse, settings: Settings) -> Stored:
    """Read everything that the report of ``day`` is made from. Raises as :func:`read_served`.

    Sessions of a look-back that were never stored, or whose rows were removed, are left out.
    """
    key = day.isoformat()
    rows = {
        table.name: read_served(table, [day], warehouse, settings.rollout)
        for table in SERVED
        if table in _REQUIRED or warehouse.pointer(source_of_served(table, settings.rollout), key)
    }
    results = rows["filter_results"]
    with_chart, with_intraday = charted(results), charted_intraday(results)
    references, moment = references_of(warehouse), pd.Timestamp(day)
    removed: set[str] = set()

    def of_lanes(table: Table, served: pd.DataFrame, sessions: Sequence[str]) -> pd.DataFrame:
        """The stored rows of the instruments of ``served``, each from the lane that its ``variant`` there names."""
        found = [table.empty()]
        for variant, chosen in served.groupby("variant", observed=True):
            lane, keys = StoredTable(variant, table), set(chosen["instrument_key"])
            pointers = warehouse.pointers(lane, sessions)
            gone = {session for session, pointer in pointers.items() if pointer.evicted_at}
            removed.update(gone)
            bars = warehouse.read(
                lane, pointers.keys() - gone, None, references.with_former_keys(keys, moment)
            )
            found.append(_of(references.under_current_keys(bars, moment), keys))
        return table.conform(pd.concat(found))

    def history(table: Table) -> pd.DataFrame:
        """Daily bars of the series that the verdict is about."""
        bars = of_lanes(table, _of(rows[table.name], with_chart), _sessions(day, settings))
        return bars.merge(results[["instrument_key", "series"]], on=["instrument_key", "series"])

    instruments, actions, accounting, quarantine = (
        warehouse.read(stored, [key if stored.table.partitioned else WHOLE]) for stored in _RAW
    )
    analysis = rows["sequence_analysis"]
    moves = of_lanes(tables.MOVES_DAILY, _of(analysis, with_chart), [key])
    monitor = rows.get("bb_width_alerts")
    widths = tables.BB_WIDTH_DAILY.empty()
    if monitor is not None:
        looked_at = settings.bb_width.look_back_sessions + 1
        widths = of_lanes(tables.BB_WIDTH_DAILY, monitor, _sessions(day, settings)[-looked_at:])
    summary = _read_if_stored(SUMMARY, key, warehouse)
    candles, indicators = history(tables.CANDLES_DAILY), history(tables.INDICATORS_DAILY)
    return Stored(
        day=day,
        filter_results=results,
        sequence_analysis=analysis,
        moves_daily=moves,
        candles_daily=candles,
        indicators_daily=indicators,
        candles_5min=_of(rows["candles_5min"], with_intraday),
        indicators_5min=_of(rows["indicators_5min"], with_intraday),
        instruments=instruments,
        corporate_actions=_of(actions, with_chart),
        accounting=accounting,
        quarantined=quarantine["rule"].value_counts(),
        failures=_read_if_stored(FAILURES, key, warehouse),
        reconciliation=summary,
        bb_width_alerts=monitor,
        bb_width_daily=widths,
        removed=tuple(sorted(removed)),
        mamba_day=mamba_day(settings.sequences),
        differences=_differences(summary, day, settings),
        variants={name: _by_variant(frame) for name, frame in rows.items()},
    )


def _differences(summary: pd.DataFrame, day: date, settings: Settings) -> dict[str, str]:
    """The pages of the differences of a day, where people reach the API."""
    diverged = summary.loc[summary["state"] == DIVERGED, "table_name"]
    pages = {name: divergence_address(settings.api, name, day) for name in diverged}
    return {name: page for name, page in pages.items() if page}


def _of(rows: pd.DataFrame, keys: Iterable[str]) -> pd.DataFrame:
    return rows[rows["instrument_key"].isin(keys)]


def _read_if_stored(stored: StoredTable, key: str, warehouse: Warehouse) -> pd.DataFrame:
    if warehouse.pointer(stored, key) is None:
        return stored.table.empty()
    return warehouse.read(stored, [key])


def _by_variant(rows: pd.DataFrame) -> dict[str, int]:
    counts = rows[["instrument_key", "variant"]].drop_duplicates()["variant"].value_counts()
    return {name: int(count) for name, count in counts.items()}
