"""Faults of the catalog of a warehouse, as a disk or a hand makes them, and copies of one, for tests of all rooms.

Belongs here: changing what ``catalog.sqlite`` says behind the back of the code. Does not belong here: damage of data
files, which tests do by themselves.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from setbull_pipelines.warehouse.catalog_file import CATALOG_FILE
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.store import Warehouse

_WHERE = "WHERE schema_name = ? AND table_name = ? AND partition = ?"


def change(
    warehouse: Warehouse, stored: StoredTable, partition: str, **values: str | int | None
) -> None:
    """Write other values into the row of the current version, which then is not what its digest says."""
    sets = ", ".join(f"{name} = ?" for name in values)
    _execute(
        warehouse,
        f"UPDATE partitions SET {sets} {_WHERE} AND replaced_in IS NULL",
        (*values.values(), *stored.key, partition),
    )


def damage(warehouse: Warehouse, stored: StoredTable, partition: str) -> None:
    """Make what is known of a partition unreadable."""
    change(warehouse, stored, partition, rows=4_000_000)


def lose(warehouse: Warehouse, stored: StoredTable, partition: str) -> None:
    """Let the catalog know nothing of a partition."""
    _execute(warehouse, f"DELETE FROM partitions {_WHERE}", (*stored.key, partition))


def link(source: str, target: str) -> None:
    """Copy a file of a data folder for ``shutil.copytree``: by a link where it is never written to."""
    if Path(source).name.startswith(CATALOG_FILE):
        shutil.copy2(source, target)
    else:
        os.link(source, target)


def _execute(warehouse: Warehouse, statement: str, values: tuple) -> None:
    path = warehouse.commits.path
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute(statement, values).rowcount
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    # No commit tells of it: another file makes those look again who hold the row in memory.
    other = path.with_name(f".writing-{path.name}")
    shutil.copy2(path, other)
    os.replace(other, path)
