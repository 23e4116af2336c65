"""The catalog: one small DuckDB file of views and macros for notebooks, BI tools, the API and SQL.

Belongs here: building the file and putting it in place. Does not belong here: the macros' text,
which callers bring, and data: the catalog holds none. It is only ever replaced, never written to,
so readers in other processes neither wait for it nor block it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from setbull_pipelines.tables.contract import Column
from setbull_pipelines.warehouse import disk
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.queries import (
    create_views,
    qualified_name,
    quoted_identifier,
    quoted_text,
)
from setbull_pipelines.warehouse.store import Warehouse


def rebuild_catalog(
    warehouse: Warehouse,
    path: Path,
    tables: Sequence[StoredTable],
    macros_sql: Mapping[str, str],
) -> Path:
    """Put a new catalog of the current files at ``path`` and return its absolute path.

    ``macros_sql`` holds, by name, ``CREATE MACRO`` statements over the views. A process that has
    the old catalog open keeps reading the old versions until it connects anew. Raises ValueError
    naming the macro that does not compile; the old catalog then stays.
    """
    path = Path(path).resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = disk.temporary_path(path)
    try:
        connection = duckdb.connect(str(temporary))
        try:
            connection.begin()  # one commit for hundreds of comments
            create_views(connection, warehouse, tables)
            for stored in tables:
                _comment(connection, stored)
            for name, statement in macros_sql.items():
                _create_macro(connection, name, statement)
            connection.commit()
        finally:
            connection.close()
        with open(temporary, "rb") as handle:
            os.fsync(handle.fileno())
        os.replace(temporary, path)
        disk.sync_directory(path.parent)
    finally:
        for leftover in path.parent.glob(f"{temporary.name}*"):
            leftover.unlink()
    return path


def _comment(connection: duckdb.DuckDBPyConnection, stored: StoredTable) -> None:
    view = qualified_name(stored)
    description = quoted_text(stored.table.description)
    connection.execute(f"COMMENT ON VIEW {view} IS {description}")
    for column in stored.table.columns:
        connection.execute(
            f"COMMENT ON COLUMN {view}.{quoted_identifier(column.name)} "
            f"IS {quoted_text(_meaning(column))}"
        )


def _meaning(column: Column) -> str:
    return f"{column.description} [{column.unit}]" if column.unit else column.description


def _create_macro(connection: duckdb.DuckDBPyConnection, name: str, statement: str) -> None:
    try:
        connection.execute(statement)
    except duckdb.Error as error:
        raise ValueError(f"macro {name} cannot be created: {error}") from error
