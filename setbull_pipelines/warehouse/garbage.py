"""Giving rows up, forgetting old versions, deleting files that nobody needs any more.

Belongs here: which versions and files go, and when. Does not belong here: which partitions are worth their space
(``pipeline/evicting.py``), putting files together (``merging``).

A file is deleted when no kept version has needed it for as long as any query over a list of files takes; so is one that
no commit names, which a killed writer has left.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from setbull_pipelines import disk
from setbull_pipelines.warehouse.changes import AMEND, DROP, Change, Key, Record
from setbull_pipelines.warehouse.errors import ContractViolation, DamagedPartition
from setbull_pipelines.warehouse.files import DAMAGED_PREFIX
from setbull_pipelines.warehouse.pointers import HashesPlace, Pointer, StoredTable
from setbull_pipelines.warehouse.publishing import HASHES, hash_file
from setbull_pipelines.warehouse.remote import Remote

if TYPE_CHECKING:
    from setbull_pipelines.warehouse.reader import Reader

Committing = Callable[[Callable[[int], Record | None]], int | None]
"""Commits what it is given, here and where commits are shared."""


def evict(
    reader: Reader, commit: Committing, stored: StoredTable, partition: str, moment: datetime
) -> Pointer:
    """Give up the rows of a partition and its earlier versions; see ``Warehouse.evict``."""
    pointer = reader.pointer(stored, partition)
    if pointer is None:
        raise reader.missing(stored, [partition])
    if pointer.evicted_at:
        return pointer
    if pointer.file is not None and not reader.data.holds(pointer.file):
        raise DamagedPartition(
            f"{stored.name} {partition}: {pointer.file} is not what was published; compute the partition again"
        )
    files: dict[str, tuple[int, int]] = {}
    places: HashesPlace = {}
    if stored.table.key[0] == "instrument_key" and pointer.rows and not pointer.hashes_rows:
        places, files = _kept_hashes(reader, stored, partition)
    evicted: list[Pointer] = []

    def make(number: int) -> Record:
        versions = reader.commits.history(stored.key, partition)
        evicted[:] = [
            replace(
                versions[0].pointer, evicted_at=moment.isoformat(timespec="microseconds"), **places
            )
        ]
        changes = [Change(stored.key, partition, AMEND, evicted[0], versions[0].number)]
        changes += [
            Change(stored.key, partition, DROP, number=each.number) for each in versions[1:]
        ]
        return Record(pointer.run_id, changes, files)

    commit(make)
    return evicted[0]


def _kept_hashes(
    reader: Reader, stored: StoredTable, partition: str
) -> tuple[HashesPlace, dict[str, tuple[int, int]]]:
    """Hashes by instrument, so that readers' inputs can still be told from what they were."""
    try:
        hashes = reader.instrument_hashes(stored, partition)
    except ContractViolation:
        return {}, {}  # under another contract nobody reads them
    name, data = hash_file([(stored.key, partition, "rows", hashes)], uuid4().hex)
    reader.data.write({name: data})
    place = HashesPlace(
        hashes_file=name, hashes_first_row=0, hashes_rows=len(hashes), inputs_rows=None
    )
    return place, {name: (len(hashes), len(data))}


def collect(
    reader: Reader, commit: Committing, remote: Remote | None, stored: StoredTable | None
) -> int:
    """Forget versions beyond those kept and delete what nobody needs; the number of files deleted."""
    key = stored.key if stored else None
    if not reader.commits.number():
        return 0

    def make(number: int) -> Record | None:
        old = reader.commits.beyond(reader.keep_versions, key)
        changes = [Change(key, name, DROP, number=version) for key, name, version in old]
        return Record("garbage", changes) if changes else None

    commit(make)
    needed, unknown = reader.commits.needed()
    if unknown:
        # Of a table with a damaged row nobody knows which of its files is needed.
        unknown.add(("operations", HASHES.name))
    now = datetime.fromtimestamp(disk.moment(), UTC)
    gone = reader.commits.gone(needed, now.isoformat(timespec="microseconds"))
    useless = [
        path
        for path in _files(reader.root, key)
        if _is_useless(path, reader, needed, unknown, gone, now)
    ]
    for path in useless:
        path.unlink()
    named = {path.relative_to(reader.root).as_posix() for path in useless}
    reader.commits.forget(named & gone.keys())
    if remote is not None:
        remote.keep_checkpoint(reader.commits)
        return len(useless) + remote.collect(needed, unknown, key)
    return len(useless)


def _files(root: Path, key: Key | None) -> Iterator[Path]:
    if key is None:
        yield from (path for path in root.glob(f"{disk.TEMPORARY_PREFIX}*"))
    for folder in [root.joinpath(*key)] if key else root.glob("*/*"):
        yield from (path for path in folder.rglob("*") if path.is_file())


def _is_useless(
    path: Path,
    reader: Reader,
    needed: Collection[str],
    unknown: Collection[Key],
    gone: dict[str, str],
    now: datetime,
) -> bool:
    place = path.relative_to(reader.root)
    if path.name.startswith(disk.TEMPORARY_PREFIX):
        return disk.is_abandoned(path)
    if path.suffix != ".parquet" or tuple(place.parts[:2]) in unknown:
        return False
    if path.name.startswith(DAMAGED_PREFIX):
        # One that was not made again stays: it tells that rows are missing, of a log for instance.
        return place.with_name(path.name.removeprefix(DAMAGED_PREFIX)).as_posix() not in needed
    name = place.as_posix()
    if name in needed:
        return False
    if name in gone:
        return now - datetime.fromisoformat(gone[name]) >= reader.grace
    return _age(path) >= reader.grace.total_seconds()


def _age(path: Path) -> float:
    try:
        return disk.moment() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
