"""``setbull import``: the old system's tables become input files, are counted, and are held against V1.

Belongs here: what is read from the environment, sentences, and the file of differences. Does not belong here: options
(``commands/``), reading and comparing (``pipeline/old_system.py``).
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from setbull_pipelines.cli.terminal import beside_the_answer
from setbull_pipelines.errors import FAILED, SetbullError
from setbull_pipelines.pipeline.old_system import (
    Held,
    counts,
    held_bars,
    held_filters,
    import_from,
    imported_directory,
    not_loaded,
)
from setbull_pipelines.pipeline.opening import open_warehouse
from setbull_pipelines.reconciliation.old_finding import UNKNOWN, by_cause
from setbull_pipelines.settings import Settings
from setbull_pipelines.sources.legacy.exporting import State, file_streams, miscounted
from setbull_pipelines.sources.legacy.live import database_of, table_streams
from setbull_pipelines.sources.legacy.loading import Loaded
from setbull_pipelines.sources.legacy.old_tables import CannotImport, Stream

URL_VARIABLE, PASSWORD_VARIABLE = "SETBULL_IMPORT_URL", "SETBULL_IMPORT_PASSWORD"
_SCHEMES = ("mysql://", "mariadb://")
_SHOWN = 40


class Miscounted(SetbullError, ValueError):
    """The database counts other rows than were exported; the message says how many counts differ."""

    exit_code = FAILED


def streams_of(source: str | None, environment: Mapping[str, str] | None = None) -> list[Stream]:
    """What is to be imported: a file, a folder, or the database of a URL. Raises CannotImport."""
    environment = os.environ if environment is None else environment
    if (
        source
        and source.startswith(_SCHEMES)
        and ":" in source.partition("://")[2].rpartition("@")[0]
    ):
        raise CannotImport(
            f"the command line shows a password to all who list processes; put it into {PASSWORD_VARIABLE}"
        )
    chosen = source or environment.get(URL_VARIABLE)
    if not chosen:
        raise CannotImport(
            f"found no source, expected a dump, a folder of exports, or a URL mysql://USER@HOST:PORT/DATABASE (also in "
            f"{URL_VARIABLE})"
        )
    if chosen.startswith(_SCHEMES):
        return list(table_streams(database_of(chosen, environment.get(PASSWORD_VARIABLE))))
    return file_streams(Path(chosen))


def bring(streams: list[Stream], settings: Settings, zone: str | None) -> Iterator[str]:
    """Import, and say what was read and written. Raises CannotImport, Miscounted."""
    said: list[str] = []
    with beside_the_answer():
        state, loaded = import_from(streams, settings, zone, said.append)
    yield from said
    yield from _of_import(state, loaded)
    yield f"written to {imported_directory(settings)}"
    if wrong := miscounted(state):
        yield from wrong[:_SHOWN]
        raise Miscounted(f"{len(wrong)} counts of the database differ from what was exported")
    folder = shlex.quote(str(imported_directory(settings)))
    yield f"now run: setbull run --input {folder}, then: setbull import --validate"


def validate(settings: Settings) -> Iterator[str]:
    """Counts of every day, then the old results against V1; writes all differences to a file. Raises CannotImport."""
    folder = imported_directory(settings)
    state = State.read(folder)
    if not state.streams:
        raise CannotImport(f"{folder}: found no import, expected one: setbull import SOURCE")
    warehouse = open_warehouse(settings)
    yield from _of_counts(counts(state, settings, warehouse))
    everything = []
    with beside_the_answer():
        found_of_both = held_bars(settings, warehouse), held_filters(settings, warehouse)
    for held in found_of_both:
        found = held.finding.all_differences
        everything.append(found)
        yield from _of_held(held, found)
    path = settings.data_directory / "reports" / "import-differences.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.concat(everything, ignore_index=True).to_csv(path, index=False)
    yield f"all differences: {path}"


def _of_import(state: State, loaded: Loaded) -> Iterator[str]:
    found = pd.DataFrame(
        [(*key, rows) for key, rows in state.counts().items()],
        columns=["table", "interval", "day", "rows"],
    )
    for (table, interval), own in found.groupby(["table", "interval"], sort=True):
        dated = own[own["day"].str.match(r"\d{4}-")]
        span = (
            f", {len(dated)} days from {dated['day'].min()} to {dated['day'].max()}"
            if len(dated)
            else ""
        )
        yield f"{table} {interval}".rstrip() + f": {own['rows'].sum():,} rows{span}"
    for interval in ("1minute", "day"):
        rows = sum(count for (of, _), count in loaded.bars.items() if of == interval)
        yield f"input files of {interval}: {rows:,} rows"
    for interval, rows in not_loaded(state).items():
        yield f"not imported: {rows:,} rows of interval {interval!r}, which nothing is made of"
    if loaded.instruments:
        more = (
            f", and {loaded.only_in_candles} that only candles name"
            if loaded.only_in_candles
            else ""
        )
        yield f"instruments: {loaded.instruments:,} of the old universe{more}"
    yield from loaded.notes


def _of_counts(found: pd.DataFrame) -> Iterator[str]:
    bars = found[found["table"] == "stock_candle_data"]
    run = bars[bars["received"].notna()]
    waiting = bars[bars["received"].isna()]
    for interval, own in run.groupby("interval"):
        yield (
            f"stock_candle_data {interval}: {len(own)} days, {own['exported'].sum():,} exported, "
            f"{own['received'].sum():,} received, {own['accepted'].sum():,} accepted, "
            f"{own['quarantined'].sum():,} quarantined"
        )
    wrong = run[run["exported"] != run["received"]]
    for row in wrong.head(_SHOWN).itertuples():
        yield (
            f"  {row.day} {row.interval}: {row.exported:,} exported, {row.received:,} received by intake"
        )
    if len(waiting):
        yield (
            f"{len(waiting)} days of candles have not been run, or are no trading day: {waiting['day'].min()} to "
            f"{waiting['day'].max()}"
        )


def _of_held(held: Held, found: pd.DataFrame) -> Iterator[str]:
    if not (held.days or held.not_stored):
        yield f"{held.table}: none was imported"
        return
    finding = held.finding
    unknown = int((found["cause"] == UNKNOWN).sum())
    yield (
        f"{held.table} against V1: {held.days} days, {finding.cells:,} cells and rows compared, "
        f"{finding.equal:,} equal, {len(found):,} different ({unknown:,} of unknown cause)"
    )
    for row in by_cause(found).itertuples():
        old, v1 = ("nothing" if pd.isna(value) else value for value in (row.old, row.v1))
        yield f"  {row.column}: {row.cells:,} {row.cause}; first {row.first}: old {old}, V1 {v1}"
    if held.not_stored:
        yield (
            f"  {len(held.not_stored)} days are not held, V1 has no tables of them: {held.not_stored[0]} to "
            f"{held.not_stored[-1]}"
        )
