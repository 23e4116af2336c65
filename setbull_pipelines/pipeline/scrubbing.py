"""Scrubbing: stored files are held against their hashes before somebody reads them through DuckDB, which cannot tell.

Belongs here: which files are due, taking damaged ones out of the way, the rows of ``operations.scrub``. Does
not belong here: hashing (``warehouse/``), making a partition again (``repairing``), the catalog (``assets/scrub.py``).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.pipeline.progress import Progress
from setbull_pipelines.pipeline.repairing import NothingMakesIt, is_day, make_again, rank
from setbull_pipelines.pipeline.running import AS_OF
from setbull_pipelines.pipeline.versions import code_version
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables.operations import DAMAGED, REPAIRED, WHOLE
from setbull_pipelines.warehouse.errors import DamagedPartition, MissingPartition
from setbull_pipelines.warehouse.pointers import WHOLE as ALL
from setbull_pipelines.warehouse.pointers import Pointer, StoredTable
from setbull_pipelines.warehouse.store import Warehouse

STORED = StoredTable("operations", tables.SCRUB)
_CANNOT = (LookupError, ValueError, RuntimeError, OSError)
"""Errors of reading, of contracts and of absent inputs: they are reported, and the next file is looked at."""


@dataclass(frozen=True)
class StoredFile:
    """The file with the current rows of one partition, which may hold others too.

    ``pointer`` is None where nothing is known of it. Then, and where there are no rows, the file is the catalog.
    """

    stored: StoredTable
    partition: str
    path: Path
    pointer: Pointer | None

    @property
    def key(self) -> tuple[str, str]:
        """How ``operations.scrub`` names it."""
        return self.stored.name, self.partition


@dataclass(frozen=True)
class Damage:
    """A file that was not what was published; ``reason`` says why it still is not, and what to type. None: repaired."""

    file: StoredFile
    reason: str | None

    @property
    def sentence(self) -> str:
        """Table, day, path, and what became of it."""
        ended = f"damaged, {self.reason}" if self.reason else "was damaged, made again"
        return f"{self.file.stored.name} {self.file.partition}: {self.file.path} {ended}"


@dataclass(frozen=True)
class Scrub:
    """What one scrub did."""

    verified: int
    left: int
    """Files that were due and were not reached in time: the first of the next scrub."""
    damages: tuple[Damage, ...]


def scrub(
    warehouse: Warehouse,
    stored_tables: Sequence[StoredTable],
    settings: Settings,
    moment: datetime,
    run_id: str,
    all_files: bool,
) -> Scrub:
    """Verify the files that were published since the last scrub, with ``all_files`` then all others, longest ago first.

    It ends after ``storage.scrub_seconds``; what was found damaged before, is gone or is cut is looked at in any case.
    A damaged file is taken out of the way of readers and made again from its inputs where they are whole. ``moment``
    has a time zone.
    """
    until = time.monotonic() + settings.storage.scrub_seconds
    warehouse.data.doubt()
    known = _known(warehouse)
    files = list(stored_files(warehouse, stored_tables))
    suspected = _of_another_size(files, warehouse)
    due = _due(files, known, all_files, suspected)
    verified: list[StoredFile] = []
    damaged: list[StoredFile] = []
    progress = Progress("scrub", len(due), "partitions", limit=settings.storage.scrub_seconds)
    for file in due:
        was_damaged = (
            file.pointer is None or file.path in suspected or _is_damaged(known.get(file.key))
        )
        if not was_damaged and time.monotonic() > until:
            break
        verified.append(file)
        if not warehouse.verify(file.stored, file.partition):
            damaged.append(file)
        progress.advance()
    paths = {file.path for file in damaged if file.pointer is not None}
    # What else lies in a damaged file is damaged with it, whether it was due or not.
    beside = [file for file in files if file.path in paths and file not in damaged]
    damaged += beside
    verified += [file for file in beside if file not in verified]
    for file in damaged:
        if file.pointer is not None:
            warehouse.set_aside(file.stored, file.partition)
    damages = tuple(_repair(damaged, warehouse, settings, run_id))
    _publish(files, verified, damages, known, warehouse, moment, run_id)
    return Scrub(len(verified), len(due) - len(verified), damages)


def _known(warehouse: Warehouse) -> dict[tuple[str, str], dict]:
    try:
        rows = warehouse.read(STORED, [ALL])
    except (MissingPartition, DamagedPartition):
        return {}  # everything is due
    return {(row["table_name"], row["partition"]): row for row in rows.to_dict("records")}


def stored_files(
    warehouse: Warehouse, stored_tables: Iterable[StoredTable]
) -> Iterator[StoredFile]:
    """Every current partition of the tables with its file, but those whose rows were given up or are elsewhere."""
    for stored in stored_tables:
        if stored == STORED:
            continue
        pointers = warehouse.pointers(stored)
        for partition in warehouse.partitions(stored):
            pointer = pointers.get(partition)
            place = pointer and pointer.place
            path = warehouse.data.path(place[0]) if place else warehouse.commits.path
            if pointer is not None and (
                pointer.evicted_at or (warehouse.is_mirror and not path.exists())
            ):
                continue
            yield StoredFile(stored, partition, path, pointer)


def _is_damaged(row: dict | None) -> bool:
    return row is not None and row["state"] == DAMAGED


def _of_another_size(files: Sequence[StoredFile], warehouse: Warehouse) -> set[Path]:
    """Files that are gone or cut, which is seen without reading them."""
    published = {
        warehouse.data.path(name): size for name, (_, size) in warehouse.commits.files().items()
    }
    return {
        path
        for path in {file.path for file in files} & published.keys()
        if not path.exists() or path.stat().st_size != published[path]
    }


def _due(
    files: Sequence[StoredFile],
    known: dict[tuple[str, str], dict],
    all_files: bool,
    suspected: set[Path],
) -> list[StoredFile]:
    """What was damaged, then what was never verified as it is, then the others, longest ago first."""
    ranked = []
    for file in files:
        row = known.get(file.key)
        if file.pointer is None or _is_damaged(row) or file.path in suspected:
            ranked.append((0, pd.Timestamp(0, tz="UTC"), file))
        elif row is None or row["content_hash"] != file.pointer.content_hash:
            ranked.append((1, pd.Timestamp(0, tz="UTC"), file))
        elif all_files:
            ranked.append((2, row["verified_at"], file))
    return [file for *_, file in sorted(ranked, key=lambda entry: (*entry[:2], entry[2].key))]


def _repair(
    damaged: Sequence[StoredFile], warehouse: Warehouse, settings: Settings, run_id: str
) -> Iterable[Damage]:
    for file in sorted(damaged, key=lambda file: (rank(file.stored), file.partition)):
        stored, day = file.stored, file.partition
        again = "setbull run" + (f" --from {day} --to {day}" if is_day(day) else "")
        if file.pointer is not None and AS_OF in file.pointer.inputs:
            yield Damage(
                file, f"of a session under way; the next refresh makes it again, or {again}"
            )
            continue
        reason = "and still is"
        try:
            # What was made together with another table is whole by now.
            if not warehouse.verify(stored, day):
                make_again(stored, day, warehouse, settings, run_id)
        except NothingMakesIt as error:
            yield Damage(file, str(error))
            continue
        except _CANNOT as error:
            reason = f"and cannot be made again now: {error}"
        is_whole = warehouse.verify(stored, day)
        yield Damage(file, None if is_whole else f"{reason}; when its inputs are there: {again}")


def _publish(
    files: Sequence[StoredFile],
    verified: Sequence[StoredFile],
    damages: Sequence[Damage],
    known: dict[tuple[str, str], dict],
    warehouse: Warehouse,
    moment: datetime,
    run_id: str,
) -> None:
    found = {damage.file.key: damage for damage in damages}
    looked_at = {file.key for file in verified}
    records = []
    for file in files:
        before, damage = known.get(file.key), found.get(file.key)
        if file.key in looked_at:
            # A file that was made again can have other rows than before, from inputs that changed since.
            pointers = warehouse.pointers(file.stored, [file.partition]) if damage else {}
            pointer = pointers.get(file.partition, file.pointer)
            state = WHOLE if damage is None else DAMAGED if damage.reason else REPAIRED
            before = {
                "table_name": file.stored.name,
                "partition": file.partition,
                "path": str(file.path.relative_to(warehouse.root)),
                "content_hash": pointer.content_hash if pointer else None,
                "state": state,
                "verified_at": pd.Timestamp(moment),
                "damaged_at": pd.Timestamp(moment)
                if damage
                else (before or {}).get("damaged_at", pd.NaT),
                "reason": damage.reason if damage else None,
            }
        if before:
            records.append(before)
    frame = pd.DataFrame(records, columns=STORED.table.column_names)
    for name in ("verified_at", "damaged_at"):
        # Moments of this scrub and of earlier ones can differ in their zone, and there may be none.
        frame[name] = pd.to_datetime(frame[name], utc=True)
    warehouse.publish(
        STORED,
        ALL,
        STORED.table.conform(frame),
        code_version=code_version("pipeline/scrubbing.py"),
        settings_hash="none",
        inputs={},
        run_id=run_id,
        note=None if records else "no rows: nothing is stored",
    )
