"""A catalog that is damaged or gone is made again from what the data files say of themselves.

Belongs here: reading footers, putting another catalog in place. Does not belong here: what a footer holds
(``publishing``), folders of an older layout (``converting``).

Lost with a catalog are: which rows were given up, which instruments were invalidated, and partitions without rows of a
commit that had none at all. What is not known is computed again when it is asked for.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pyarrow
import pyarrow.parquet

from setbull_pipelines import disk
from setbull_pipelines.settings import InvalidSettings
from setbull_pipelines.warehouse.catalog_file import CATALOG_FILE, OLD_POINTERS
from setbull_pipelines.warehouse.changes import PUBLISH, Change, Record, make_empty
from setbull_pipelines.warehouse.commits import Commits
from setbull_pipelines.warehouse.files import DAMAGED_PREFIX
from setbull_pipelines.warehouse.pointers import from_record
from setbull_pipelines.warehouse.publishing import FOOTER

_LOG = logging.getLogger(__name__)


def recover(root: Path, reason: str) -> None:
    """Put a catalog in the place of one that cannot be read, unless another process was faster; say so.

    InvalidSettings for a folder of the older layout, which has none.
    """
    if next(root.glob(OLD_POINTERS), None) is not None:
        raise InvalidSettings(
            f"{root} was written by an older version of setbull; convert it by: setbull convert"
        )
    with disk.writer_lock(root):
        if not is_whole(root / CATALOG_FILE):
            found = _rebuild(root)
            _LOG.warning(
                "%s could not be read (%s): it was made again from the files, which tell of %s versions; what they "
                "do not tell of is computed again when it is asked for",
                root / CATALOG_FILE,
                reason,
                f"{found:,}",
            )


def rebuild(root: Path) -> int:
    """Make the catalog again, whatever is there; returns how many versions were found. Nobody may write meanwhile."""
    with disk.writer_lock(root):
        return _rebuild(root)


def put_away(root: Path) -> None:
    """Take a catalog out of the way; it stays beside, for people who want to know what happened to it."""
    for ending in ("-wal", "-shm"):
        (root / f"{CATALOG_FILE}{ending}").unlink(missing_ok=True)
    if (root / CATALOG_FILE).exists():
        os.replace(root / CATALOG_FILE, root / f"{DAMAGED_PREFIX}{CATALOG_FILE}")


def put_in_place(root: Path, records: Sequence[Record]) -> None:
    """Make a catalog of these commits the one of ``root``, whose lock is held."""
    with disk.temporary_folder(root / CATALOG_FILE) as temporary:
        made = temporary / CATALOG_FILE
        make_empty(made)
        commits = Commits(temporary, _never)
        for number, record in enumerate(records, start=1):
            commits.replay(number, record)
        commits.close()
        disk.sync(made)
        put_away(root)
        os.replace(made, root / CATALOG_FILE)
    disk.sync(root)


def _never(reason: str) -> None:
    raise sqlite3.DatabaseError(reason)


def is_whole(path: Path) -> bool:
    """Whether there is a catalog at ``path``, and SQLite can read it from end to end."""
    return is_whole_sqlite(path, "SELECT count(*) FROM partitions, commits, files WHERE false")


def is_whole_sqlite(path: Path, question: str = "PRAGMA schema_version") -> bool:
    """Whether there is a SQLite file at ``path`` that answers ``question`` and can be read from end to end."""
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(question)
            return connection.execute("PRAGMA quick_check").fetchone() == ("ok",)
    except sqlite3.DatabaseError:
        return False


def _rebuild(root: Path) -> int:
    files: dict[str, tuple[int, int]] = {}
    told: list[tuple[str, Change]] = []
    for path in sorted(root.glob("*/*/*.parquet")):
        if path.name.startswith((DAMAGED_PREFIX, disk.TEMPORARY_PREFIX)):
            continue
        data = path.read_bytes()
        if disk.content_hash(data) != path.stem:
            continue  # of a damaged file nothing is believed
        metadata = pyarrow.parquet.read_metadata(pyarrow.BufferReader(data))
        name = path.relative_to(root).as_posix()
        files[name] = (metadata.num_rows, len(data))
        told += _versions(name, metadata)
    found = [(moment, change) for moment, change in told if change.made.file in (None, *files)]
    # Of the same rows the file that was written last counts: others were put together in it.
    found.sort(key=lambda item: (item[1].made.published_at, item[0]))
    commits: list[list[Change]] = []
    versions: dict[tuple, int] = {}
    for _, change in found:
        place = (change.key, change.partition)
        number = versions[place] = versions.get(place, -1) + 1
        commits += [[]] if number == len(commits) else []
        commits[number].append(change)
    records = [Record("rebuilding", changes) for changes in commits] or [Record("rebuilding", [])]
    put_in_place(root, [replace(records[0], files=files), *records[1:]])
    return len(found)


def _versions(name: str, metadata: pyarrow.parquet.FileMetaData) -> Iterator[tuple[str, Change]]:
    """What a file says of its partitions, in the order of their rows, and of others of its commit."""
    footer = json.loads((metadata.metadata or {}).get(FOOTER.encode(), "{}"))
    first = 0
    for schema, table, partition, *record in footer.get("partitions", ()):
        pointer = from_record(tuple(record))
        if pointer.file is None and pointer.rows:
            pointer = replace(pointer, file=name, first_row=first)
            first += pointer.rows
        yield footer["moment"], Change((schema, table), partition, PUBLISH, pointer)
