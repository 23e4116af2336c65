"""How raw tables are published: what intake landed, day by day.

Belongs here: publication of landed rows as the raw tables. Does not belong here: reading and judging rows
(``sources/``), computing, Dagster.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from setbull_pipelines import disk, tables
from setbull_pipelines.pipeline.chunks import allowance, batches, bytes_to_publish
from setbull_pipelines.pipeline.engine import PartitionResult
from setbull_pipelines.pipeline.progress import Progress, following_files
from setbull_pipelines.pipeline.versions import calendar_mark, combined, raw_code_version
from setbull_pipelines.settings import FIRST_SESSION_FILE, InvalidSettings, Settings, fingerprint
from setbull_pipelines.sources.decided_actions import accepted_file
from setbull_pipelines.sources.intake import Intake, replay, take_in
from setbull_pipelines.sources.landing import DamagedLanding
from setbull_pipelines.sources.sample import daily_days
from setbull_pipelines.warehouse.pointers import UNASSIGNED, WHOLE, Pointer, StoredTable
from setbull_pipelines.warehouse.store import Warehouse

WHOLE_TABLES = tuple(
    StoredTable("raw", table)
    for table in (
        tables.INTAKE,
        tables.INSTRUMENTS,
        tables.DERIVATIVE_UNDERLYINGS,
        tables.COVERAGE,
        tables.CORPORATE_ACTIONS,
        tables.INSTRUMENT_ALIASES,
    )
)
DAY_TABLES = tuple(
    StoredTable("raw", table)
    for table in (
        tables.CANDLES_1MIN,
        tables.CANDLES_DAILY_HISTORY,
        tables.QUARANTINE,
        tables.ACCOUNTING,
        tables.REVISIONS,
    )
)
_QUARANTINE = StoredTable("raw", tables.QUARANTINE)


def landing_directory(settings: Settings) -> Path:
    """Where intake keeps the rows it has read: below the data folder, of a replay that of the replayed one."""
    if settings.replay:
        return settings.replay.landing
    return settings.data_directory / "landing"


def read_sources(settings: Settings) -> Intake:
    """Take in the configured source; files that were read before are only recognised again.

    The clock is read here, for what takes in files: what is new arrives now. A replay takes in nothing.
    """
    source = None if settings.input is None else Path(settings.input)
    if settings.replay and source:
        return replay(source, landing_directory(settings), settings.replay.as_of, settings.reading)

    return take_in(
        source,
        landing_directory(settings),
        settings.sample,
        datetime.now(UTC),
        following_files(),
        decided=accepted_file(settings.data_directory),
        reading=settings.reading,
    )


def first_session(settings: Settings) -> date | None:
    """The first day with rows of the input; of files, as the last intake recorded it, and None before that."""
    if settings.input is None:
        return daily_days(settings.sample)[0]
    record = settings.data_directory / FIRST_SESSION_FILE
    try:
        return date.fromisoformat(record.read_text(encoding="utf-8").strip())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise InvalidSettings(
            f"{record}: found {error}, expected a date YYYY-MM-DD; delete it, and the next intake writes it again"
        ) from error


def last_session(settings: Settings) -> date | None:
    """The day after which the input can have no rows; None for files, which go on arriving."""
    return daily_days(settings.sample)[-1] if settings.input is None else None


def _record_first_session(intake: Intake, settings: Settings) -> None:
    """Record it beside the tables, where loading the definitions finds it: asking the landing takes longer."""
    days = [*intake.days("minutes")[:1], *intake.days("daily")[:1]]
    record = settings.data_directory / FIRST_SESSION_FILE
    if days and not (record.is_file() and record.read_text(encoding="utf-8") == str(min(days))):
        settings.data_directory.mkdir(parents=True, exist_ok=True)
        disk.replace_derived(record, str(min(days)).encode())


def publish_intake(
    intake: Intake, warehouse: Warehouse, settings: Settings, run_id: str
) -> dict[str, Pointer]:
    """Publish the unpartitioned raw tables and the quarantined rows that have no trading day."""
    provenance = {
        "code_version": raw_code_version(),
        "settings_hash": fingerprint(settings.sample),
        "inputs": {"sources": combined(sorted(intake.files["content_hash"]))},
        "run_id": run_id,
    }
    frames = {
        "intake": intake.files,
        "instruments": intake.instruments,
        "derivative_underlyings": intake.derivative_underlyings,
        "coverage": intake.coverage,
        "corporate_actions": intake.corporate_actions,
        "instrument_aliases": intake.instrument_aliases,
    }
    pointers = warehouse.publish_together(
        {stored: frames[stored.table.name] for stored in WHOLE_TABLES}, WHOLE, **provenance
    )
    pointers["quarantine"] = warehouse.publish(
        _QUARANTINE, UNASSIGNED, intake.unassigned, **provenance
    )
    if settings.input is not None:
        _record_first_session(intake, settings)
    return pointers


class RawDays:
    """Publication of what intake landed, for some trading days."""

    outputs = DAY_TABLES

    def __init__(
        self, intake: Intake, warehouse: Warehouse, settings: Settings, run_id: str
    ) -> None:
        self.intake, self.warehouse, self.run_id = intake, warehouse, run_id
        self._processing = settings.processing
        self._provenance = {
            "code_version": raw_code_version(),
            "settings_hash": fingerprint(settings.sample),
        }

    def _outdated(self, days: Sequence[date]) -> list[date]:
        """The days that are not stored from just these sources; each table is looked at once for all days."""
        inputs = {day.isoformat(): self._inputs(day) for day in days}
        found = [
            self.warehouse.up_to_date(stored, inputs, **self._provenance) for stored in DAY_TABLES
        ]
        return [day for day in days if any(day.isoformat() not in each for each in found)]

    def _inputs(self, day: date) -> dict[str, str]:
        return {"sources": combined(self.intake.identity_of_bars(day))} | calendar_mark(day)

    def over(self, days: Sequence[date]) -> Iterator[PartitionResult]:
        """Publish candles, quarantine, accounting and revisions of each day that is not current, and report each.

        Raises DamagedLanding at the end, when the days that need the damaged files are all that is missing.
        """
        progress = Progress("raw", len(days), "days")
        ordered = sorted(days)
        rows = self.intake.landed_rows()
        columns = len(tables.CANDLES_1MIN.columns)
        self._tell_of_memory({day: rows.get(day, 0) for day in ordered}, columns)
        damage: dict[date, str] = {}
        for batch in batches(ordered, rows, columns, self._processing):
            wanted = self._outdated(batch)
            found = self._publish_whole(wanted)
            damage |= found
            published = [day for day in batch if day not in found]
            keys = [day.isoformat() for day in published]
            pointers = {
                stored.table.name: self.warehouse.pointers(stored, keys) for stored in DAY_TABLES
            }
            for day in published:
                of_day = {name: of_table[day.isoformat()] for name, of_table in pointers.items()}
                yield PartitionResult(day, of_day, cached=day not in wanted)
            progress.advance(len(batch))
        if damage:
            first, last, text = min(damage), max(damage), next(iter(damage.values()))
            raise DamagedLanding(
                f"raw: {len(damage)} days from {first} to {last} were not published: {text}"
            )

    def _publish_whole(self, days: Sequence[date]) -> dict[date, str]:
        """Publish days; returns what is damaged for those that were not, because their rows cannot be trusted."""
        try:
            self._publish(days)
        except DamagedLanding as error:
            if len(days) == 1:
                return {days[0]: str(error)}
            # Other files hold the rows of other days.
            return {name: text for day in days for name, text in self._publish_whole([day]).items()}
        return {}

    def _tell_of_memory(self, rows: Mapping[date, int], columns: int) -> None:
        """A day is never split: which of several rows of a bar counts is decided over all of them."""
        day = max(rows, key=rows.get, default=None)
        if day and bytes_to_publish(rows[day], columns) > allowance(self._processing):
            # Not the logger of progress: in a terminal its line is replaced by the next one.
            logging.getLogger(__name__).warning(
                "raw %s: %s rows need about %s MiB, more than processing.memory_allowance_mib (%s); the run goes on",
                *(day, f"{rows[day]:,}", f"{bytes_to_publish(rows[day], columns) / 2**20:,.0f}"),
                f"{self._processing.memory_allowance_mib:,}",
            )

    def _publish(self, days: Sequence[date]) -> None:
        if not days:
            return
        landed = self.intake.load_range(days)
        inputs = {day.isoformat(): self._inputs(day) for day in days}
        with self.warehouse.commit() as commit:
            for stored in DAY_TABLES:
                name = stored.table.name
                frame = getattr(landed, name)
                there = {day.date().isoformat() for day in frame["trading_day"].unique()}
                commit.add(
                    stored,
                    self.warehouse.check_range(stored, frame, list(inputs)),
                    **self._provenance,
                    inputs=inputs,
                    run_id=self.run_id,
                    notes={
                        key: f"no rows: the source has no {name} rows for {key}"
                        for key in inputs
                        if key not in there
                    },
                )
