"""The SQLite file that says what is current: the version of each partition, and the rows of the data file with it.

Belongs here: one transaction per commit, and the memory of what is current. Does not belong here: its rows
(``changes``), data files (``files``), what is written when (``store``), sharing a commit with other
machines (``remote``).

A commit is a list of changes that can be applied again elsewhere. Readers see all of it or nothing of it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import RLock
from typing import TypeVar

from setbull_pipelines import disk
from setbull_pipelines.warehouse.catalog_file import CATALOG_FILE, connected, holds_files, opened
from setbull_pipelines.warehouse.changes import (
    ALL,
    COLUMNS,
    OF_PARTITION,
    Key,
    Record,
    Version,
    apply,
    digest_of,
    make_empty,
    next_number,
    version_of,
)
from setbull_pipelines.warehouse.errors import DamagedPartition

_Found = TypeVar("_Found")


@dataclass(frozen=True)
class _AsOf:
    """Tables exactly as they were after one commit; what is remembered of the present may be newer."""

    file: tuple[int, int, int] | None
    number: int
    current: Mapping[Key, dict[str, Version | None]]


class Commits:
    """The commits of one warehouse, and what is current after them.

    ``damaged_catalog`` is called, with what is wrong, when the file cannot be read at all, or is gone although
    it is the only copy (``is_only_copy``) and there are data files; it puts another one in place.
    Safe to share between threads; what is current is held in memory and looked at again when any process has committed.
    """

    def __init__(
        self, root: Path, damaged_catalog: Callable[[str], None], is_only_copy: bool = False
    ) -> None:
        self.root, self.path = root, root / CATALOG_FILE
        self._damaged_catalog, self._is_only_copy = damaged_catalog, is_only_copy
        self._lock, self._writing = RLock(), RLock()
        self._reader: sqlite3.Connection | None = None
        self._writer: sqlite3.Connection | None = None
        self._opened: tuple[int, int, int] | None = None
        self._seen: tuple[int, int] = (-1, 0)
        self._current: dict[Key, dict[str, Version | None]] = {}
        self._held_before = _AsOf(None, 0, {})

    def held(self) -> HeldCommits:
        """The commits up to the last one of now, whatever is committed until the result is released."""
        held = HeldCommits(self.root, self._damaged_catalog, self._is_only_copy)
        held.hold(self._held_before)
        return held

    def release(self, held: HeldCommits) -> None:
        """Close what :meth:`held` gave, and remember what it has read: or the next one would read all again."""
        with self._lock:
            found, known = held.as_of(), self._held_before
            if found.file != known.file or found.number > known.number:
                self._held_before = found
            elif found.number == known.number:
                self._held_before = replace(known, current={**known.current, **found.current})
        held.close()

    # Looking

    def current(self, key: Key) -> Mapping[str, Version | None]:
        """The current version of each partition of a table, by partition; None for one whose row is damaged.

        What is returned is never changed: a later look returns another one.
        """
        with self._lock:
            return self._look(lambda: self._of_table(key)) or {}

    def history(self, key: Key, partition: str) -> list[Version]:
        """The kept versions, the current one first; DamagedPartition when one of them cannot be read."""
        statement = f"SELECT {ALL} FROM partitions WHERE {OF_PARTITION} ORDER BY commit_number DESC"
        with self._lock:
            rows = self._ask(statement, (*key, partition))
        return [self._required(row) for row in rows]

    def versions(self) -> Iterator[tuple[Key, str, Version]]:
        """All kept versions of all tables; those that cannot be read are left out."""
        for row in self._asked(f"SELECT {ALL} FROM partitions ORDER BY commit_number"):
            version = version_of(row)
            if version is not None:
                yield (row[0], row[1]), row[2], version

    def tables(self) -> list[Key]:
        """The tables that have a partition, sorted."""
        return sorted(self._asked("SELECT DISTINCT schema_name, table_name FROM partitions"))

    def number(self) -> int:
        """The number of the last commit; 0 before the first."""
        rows = self._asked("SELECT coalesce(max(number), 0) FROM commits")
        return rows[0][0] if rows else 0

    def last_moment(self) -> str | None:
        """When the last commit was made, as ISO 8601 with its zone; None before the first."""
        rows = self._asked("SELECT moment FROM commits ORDER BY number DESC LIMIT 1")
        return rows[0][0] if rows else None

    def files(self) -> dict[str, tuple[int, int]]:
        """Rows and bytes of the files of all kept versions, by name."""
        rows = self._asked("SELECT name, rows, bytes FROM files")
        return {name: (count, size) for name, count, size in rows}

    def beyond(self, kept: int, key: Key | None) -> list[tuple[Key, str, int]]:
        """The versions of all partitions, or of those of one table, that are more than ``kept``, by number."""
        rows = self._asked(
            "SELECT schema_name, table_name, partition, commit_number FROM (SELECT *, row_number() OVER ("
            "PARTITION BY schema_name, table_name, partition ORDER BY commit_number DESC) AS place "
            "FROM partitions) WHERE place > ?",
            (kept,),
        )
        return [
            ((schema, table), partition, number)
            for schema, table, partition, number in rows
            if key in (None, (schema, table))
        ]

    def needed(self) -> tuple[set[str], set[Key]]:
        """The files that a kept version needs, and the tables for which that is not known, since a row is damaged."""
        names: set[str] = set()
        unknown: set[Key] = set()
        places = [COLUMNS.index(name) for name in ("file", "hashes_file", "evicted_at")]
        for row in self._asked(f"SELECT {ALL} FROM partitions"):
            if digest_of(row[:-1]) != row[-1]:
                unknown.add((row[0], row[1]))
                continue
            file, hashes_file, evicted_at = (row[place] for place in places)
            names.update(name for name in (None if evicted_at else file, hashes_file) if name)
        return names, unknown

    def gone(self, names: Collection[str], moment: str) -> dict[str, str]:
        """Since when each file outside ``names``, which are needed, is known to be unneeded, now at the latest.

        A later moment was written while the clock was ahead.
        """
        with self._transaction() as connection:
            rows = dict(connection.execute("SELECT name, gone_since FROM files").fetchall())
            since = {n: min(at or moment, moment) for n, at in rows.items() if n not in names}
            changed = [(since.get(n), n) for n, at in rows.items() if at != since.get(n)]
            connection.executemany("UPDATE files SET gone_since = ? WHERE name = ?", changed)
        return since

    def forget(self, names: Collection[str]) -> None:
        """Files that were deleted."""
        with self._transaction() as connection:
            connection.executemany("DELETE FROM files WHERE name = ?", [(name,) for name in names])

    def copy_to(self, path: Path) -> None:
        """Put a copy as of now at ``path``, where nothing is."""
        self._ask("VACUUM INTO ?", (str(path),))

    def _asked(self, statement: str, values: Sequence[object] = ()) -> list[tuple]:
        with self._lock:
            return self._ask(statement, values)

    def _ask(self, statement: str, values: Sequence[object] = ()) -> list[tuple]:
        return self._look(lambda: self._reading.execute(statement, values).fetchall()) or []

    def _look(self, look: Callable[[], _Found]) -> _Found | None:
        """What ``look`` finds in the file as it is now; None when nothing was ever committed."""
        for attempt in range(2):
            try:
                if not self._open():
                    return None
                self._see()
                return look()
            except sqlite3.DatabaseError as error:
                self._close()
                is_usable = isinstance(error, sqlite3.OperationalError)
                if attempt or (is_usable and "no such table" not in str(error)):
                    raise
                self._damaged_catalog(str(error))
        return None

    @property
    def _reading(self) -> sqlite3.Connection:
        assert self._reader is not None, "_open() said that there is a file"
        return self._reader

    def _of_table(self, key: Key) -> Mapping[str, Version | None]:
        if key not in self._current:
            rows = self._reading.execute(
                f"SELECT {ALL} FROM partitions WHERE schema_name = ? AND table_name = ? "
                "AND replaced_in IS NULL ORDER BY partition",
                key,
            )
            self._current[key] = {row[2]: version_of(row) for row in rows}
        return self._current[key]

    def _see(self) -> None:
        """Bring what is in memory to the last commit of any process."""
        (data_version,) = self._reading.execute("PRAGMA data_version").fetchone()
        if data_version == self._seen[0]:
            return
        (number,) = self._reading.execute("SELECT coalesce(max(number), 0) FROM commits").fetchone()
        rows = self._reading.execute(
            f"SELECT {ALL} FROM partitions WHERE changed_in > ? AND replaced_in IS NULL",
            (self._seen[1],),
        )
        changed: dict[Key, dict[str, Version | None]] = {}
        for row in rows if self._current else ():
            if (row[0], row[1]) in self._current:
                changed.setdefault((row[0], row[1]), {})[row[2]] = version_of(row)
        for key, found in changed.items():
            self._current[key] = dict(sorted({**self._current[key], **found}.items()))
        self._seen = (data_version, number)

    # Committing

    def commit(
        self,
        make: Callable[[int], Record | None],
        share: Callable[[int, Record], bool] | None = None,
    ) -> int | None:
        """Apply what ``make`` returns, in one transaction; the number of the commit, None where there is nothing to do.

        No other process commits meanwhile, and ``make`` sees what is current then (:meth:`current_in_commit`); it is
        given the number of the commit. ``share`` tells other machines of the commit; while it returns False, theirs
        were first and are here by then, and ``make`` is asked again.
        """
        with self._transaction() as connection:
            while True:
                number = next_number(connection)
                record = make(number)
                if record is None:
                    return None
                if share is None or share(number, record):
                    break
            apply(connection, number, record)
            return number

    def replay(self, number: int, record: Record) -> None:
        """Apply a commit of another machine; nothing happens if it is known."""
        with self._transaction() as connection:
            if number == next_number(connection):
                apply(connection, number, record)

    def current_in_commit(self, key: Key, partitions: Iterable[str]) -> dict[str, Version | None]:
        """As :meth:`current`, inside the transaction of a commit; those without a version are left out."""
        statement = f"SELECT {ALL} FROM partitions WHERE {OF_PARTITION} AND replaced_in IS NULL"
        assert self._writer is not None, "a commit is being made"
        found = {}
        for partition in partitions:
            for row in self._writer.execute(statement, (*key, partition)):
                found[partition] = version_of(row)
        return found

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._writing:
            connection = self._writable()
            # The transaction of a commit under way, which replays another one first.
            if connection.in_transaction:
                yield connection
                return
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    # Connections

    def _open(self) -> bool:
        """Whether there is a file; then it is the one that is open. Another one may have been put in its place."""
        try:
            status = os.stat(self.path)
        except FileNotFoundError:
            self._close()
            if not self._is_only_copy or not holds_files(self.root):
                return False
            self._damaged_catalog("it is gone")
            status = os.stat(self.path)
        is_read_only = not os.access(self.root, os.W_OK)
        # A connection does not survive a fork, and one that may only read sees no change of the file.
        found = (os.getpid(), status.st_ino, status.st_mtime_ns if is_read_only else 0)
        if self._opened != found:
            self._close()
            self._reader, self._opened = opened(self.path, is_read_only), found
        return True

    def create(self) -> None:
        """Make sure that there is a file, so that data files without one tell that it was lost."""
        with self._lock:
            if not self._look(lambda: True):
                self._make()

    def _writable(self) -> sqlite3.Connection:
        with self._lock:
            self.create()
            self._look(lambda: None)
            if self._writer is None:
                self._writer = connected(self.path)
            return self._writer

    def close(self) -> None:
        """Close the file; it is opened again when it is needed."""
        with self._writing, self._lock:
            self._close()

    def _close(self) -> None:
        for connection in (self._reader, self._writer):
            if connection is not None and self._opened and self._opened[0] == os.getpid():
                connection.close()
        self._reader = self._writer = self._opened = None
        self._current, self._seen = {}, (-1, 0)

    def _make(self) -> None:
        """Put an empty file in place, unless another process was faster."""
        self.root.mkdir(parents=True, exist_ok=True)
        with disk.temporary_file(self.path) as temporary:
            make_empty(temporary)
            with disk.writer_lock(self.root), suppress(FileExistsError):
                os.link(temporary, self.path)
        disk.sync(self.root)

    def _required(self, row: tuple) -> Version:
        if (version := version_of(row)) is None:
            raise DamagedPartition.of_row(self.path, row[:2], row[2])
        return version


class HeldCommits(Commits):
    """The commits up to those of one moment."""

    _holds = False

    def hold(self, known: _AsOf) -> None:
        """See no commit after the last one of now, until the file is closed; ``known`` need not be read again."""
        with self._lock:
            if self._open():
                if known.file == self._opened:
                    self._current, self._seen = dict(known.current), (-1, known.number)
                self._reading.execute("BEGIN")
                self._see()
            self._holds = True

    def as_of(self) -> _AsOf:
        """What was read so far."""
        with self._lock:
            return _AsOf(self._opened, self._seen[1], dict(self._current))

    def _see(self) -> None:
        if not self._holds:
            super()._see()

    def _open(self) -> bool:
        return self._reader is not None if self._holds else super()._open()

    def _close(self) -> None:
        super()._close()
        self._holds = False
