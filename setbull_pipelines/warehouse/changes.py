"""What a commit does to the rows of the catalog, and how a damaged row is recognised.

Belongs here: the tables of ``catalog.sqlite``, versions and changes of them, one function per kind of change, writing
a commit. Does not belong here: connections and transactions (``commits``), sharing a commit with other machines
(``remote``).
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from setbull_pipelines.warehouse.pointers import FIELDS, Pointer, from_record, to_record

PUBLISH, AMEND, DROP = "publish", "amend", "drop"
"""What happens to a partition: a version becomes current; what is said of a version changes; it is forgotten."""
OF_PARTITION = "schema_name = ? AND table_name = ? AND partition = ?"
COLUMNS = ("schema_name", "table_name", "partition", "commit_number", "replaced_in", *FIELDS)
ALL = f"{', '.join(COLUMNS)}, digest"
"""What is asked for to make a :class:`Version` of a row."""
_TABLES = f"""
    CREATE TABLE commits (number INTEGER PRIMARY KEY, moment TEXT NOT NULL, run_id TEXT, tables TEXT NOT NULL);
    CREATE TABLE partitions (
        schema_name TEXT NOT NULL, table_name TEXT NOT NULL, partition TEXT NOT NULL,
        commit_number INTEGER NOT NULL, replaced_in INTEGER, {", ".join(FIELDS)},
        digest BLOB NOT NULL, changed_in INTEGER NOT NULL
    );
    CREATE UNIQUE INDEX current ON partitions (schema_name, table_name, partition) WHERE replaced_in IS NULL;
    CREATE INDEX versions ON partitions (schema_name, table_name, partition, commit_number);
    CREATE INDEX changed ON partitions (changed_in);
    CREATE TABLE files (name TEXT PRIMARY KEY, rows INTEGER NOT NULL, bytes INTEGER NOT NULL, gone_since TEXT);
"""

FORMAT = 1
"""The layout of the data folder, in the catalog's ``user_version``; a greater one is of a newer program. Folders that
were made before it was noted say 0, and are of the first one."""

Key = tuple[str, str]
"""Schema and name of a table."""


@dataclass(frozen=True)
class Version:
    """One version of a partition; ``number`` is that of the commit which made it current."""

    number: int
    replaced_in: int | None
    pointer: Pointer


@dataclass(frozen=True)
class Change:
    """What a commit does to one partition; ``number`` names the version that is amended or dropped."""

    key: Key
    partition: str
    how: str
    pointer: Pointer | None = None
    number: int | None = None

    @property
    def made(self) -> Pointer:
        """The pointer of a version that is published or amended."""
        assert self.pointer is not None, (
            f"{self.key} {self.partition}: {self.how} without a pointer"
        )
        return self.pointer


@dataclass(frozen=True)
class Record:
    """A commit: what changes, and the files that are new, with their rows and bytes."""

    run_id: str
    changes: Sequence[Change]
    files: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    moment: str = field(
        default_factory=lambda: datetime.now(UTC).isoformat(timespec="microseconds")
    )


def make_empty(path: Path) -> None:
    """Make a file of no commits at ``path``."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(_TABLES)
        connection.execute(f"PRAGMA user_version = {FORMAT}")


def digest_of(row: Sequence[object]) -> bytes:
    """What a row carries beside its values: SQLite checks no bytes."""
    return hashlib.blake2b(repr(tuple(row)).encode(), digest_size=8).digest()


def version_of(row: tuple) -> Version | None:
    """The version that a row tells of; None when it is not what was written."""
    if digest_of(row[:-1]) != row[-1]:
        return None
    return Version(row[3], row[4], from_record(row[5:-1]))


_INSERT = (
    f"INSERT INTO partitions ({ALL}, changed_in) VALUES ({', '.join('?' * (len(COLUMNS) + 2))})"
)


def _publish(connection: sqlite3.Connection, change: Change, number: int) -> None:
    where = (*change.key, change.partition)
    earlier = connection.execute(
        f"SELECT rowid, {ALL} FROM partitions WHERE {OF_PARTITION}", where
    ).fetchall()
    for place, *row in earlier:
        version = version_of(tuple(row))
        # Each content is kept once, and there is no going back to rows that are gone, nor by a row that is damaged.
        if (
            version is None
            or version.pointer.evicted_at
            or version.pointer.content_hash == change.made.content_hash
        ):
            connection.execute("DELETE FROM partitions WHERE rowid = ?", (place,))
        elif version.replaced_in is None:
            row[4] = number
            connection.execute(
                "UPDATE partitions SET replaced_in = ?, digest = ?, changed_in = ? WHERE rowid = ?",
                (number, digest_of(row[:-1]), number, place),
            )
    row = (*where, number, None, *to_record(change.made))
    connection.execute(_INSERT, (*row, digest_of(row), number))


def _amend(connection: sqlite3.Connection, change: Change, number: int) -> None:
    where = (*change.key, change.partition, change.number)
    ((replaced_in,),) = connection.execute(
        f"SELECT replaced_in FROM partitions WHERE {OF_PARTITION} AND commit_number = ?", where
    ).fetchall()
    row = (*where, replaced_in, *to_record(change.made))
    connection.execute(f"DELETE FROM partitions WHERE {OF_PARTITION} AND commit_number = ?", where)
    connection.execute(_INSERT, (*row, digest_of(row), number))


def _drop(connection: sqlite3.Connection, change: Change, number: int) -> None:
    connection.execute(
        f"DELETE FROM partitions WHERE {OF_PARTITION} AND commit_number = ?",
        (*change.key, change.partition, change.number),
    )


_APPLIED = {PUBLISH: _publish, AMEND: _amend, DROP: _drop}
"""How each kind of change is applied, in the transaction of the commit of that number."""


def next_number(connection: sqlite3.Connection) -> int:
    """The number that the next commit gets."""
    number: int = connection.execute("SELECT coalesce(max(number), 0) + 1 FROM commits").fetchone()[
        0
    ]
    return number


def apply(connection: sqlite3.Connection, number: int, record: Record) -> None:
    """Write a commit, inside its transaction."""
    tables = sorted({".".join(change.key) for change in record.changes})
    connection.execute(
        "INSERT INTO commits VALUES (?, ?, ?, ?)",
        (number, record.moment, record.run_id, " ".join(tables)),
    )
    connection.executemany(
        "INSERT OR REPLACE INTO files VALUES (?, ?, ?, NULL)",
        [(name, rows, size) for name, (rows, size) in record.files.items()],
    )
    for change in record.changes:
        _APPLIED[change.how](connection, change, number)
