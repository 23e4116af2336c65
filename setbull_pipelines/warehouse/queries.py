"""SQL over the current files: private in-memory DuckDB connections and the statements they need.

Belongs here: opening connections, the text of views. Does not belong here: the shared catalog file
(``catalog``), queries about candles or differences. No connection here can write to the store.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import duckdb

from setbull_pipelines.tables.contract import INDIA
from setbull_pipelines.warehouse.pointers import StoredTable, validate_identifier
from setbull_pipelines.warehouse.store import Warehouse


def quoted_identifier(name: str) -> str:
    """Return ``name``, checked to be a plain lower-case identifier, in double quotes."""
    return f'"{validate_identifier(name)}"'


def quoted_text(text: str) -> str:
    """Return ``text`` as an SQL string literal, for statements that take no parameters."""
    if "\0" in text:
        raise ValueError(f"SQL text cannot hold a zero byte: {text!r}")
    return "'" + text.replace("'", "''") + "'"


def qualified_name(stored: StoredTable) -> str:
    """Return the quoted name of a table or its view, such as ``"v1"."candles_5min"``."""
    return f"{quoted_identifier(stored.schema)}.{quoted_identifier(stored.table.name)}"


def set_time_zone(connection: duckdb.DuckDBPyConnection) -> None:
    """Let ``connection`` show and cast moments in Asia/Kolkata, whatever the machine's zone."""
    connection.execute(f"SET TimeZone = {quoted_text(INDIA)}")


def create_views(
    connection: duckdb.DuckDBPyConnection, warehouse: Warehouse, tables: Iterable[StoredTable]
) -> None:
    """Create a view for each table over exactly its current files, named by absolute path.

    A table without partitions becomes an empty view with the right columns and types. Raises
    ContractViolation, DamagedPartition as :meth:`Warehouse.files`.
    """
    for stored in tables:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted_identifier(stored.schema)}")
        connection.execute(
            f"CREATE VIEW {qualified_name(stored)} AS {_select_statement(warehouse, stored)}"
        )


def create_view_of_lane(
    connection: duckdb.DuckDBPyConnection, served: StoredTable, lane: StoredTable
) -> None:
    """Create the view ``served`` over the existing view ``lane``: all its rows, with its schema as ``variant``."""
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted_identifier(served.schema)}")
    connection.execute(
        f"CREATE VIEW {qualified_name(served)} AS "
        f"SELECT *, {quoted_text(lane.schema)} AS variant FROM {qualified_name(lane)}"
    )


@contextmanager
def connect(
    warehouse: Warehouse, tables: Iterable[StoredTable]
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open an in-memory DuckDB with a view ``schema.table`` per table; closed when the block ends.

    The views keep showing the versions that were current when they were made. The session time
    zone is Asia/Kolkata.
    """
    connection = duckdb.connect(":memory:")
    try:
        set_time_zone(connection)
        create_views(connection, warehouse, tables)
        yield connection
    finally:
        connection.close()


def _select_statement(warehouse: Warehouse, stored: StoredTable) -> str:
    columns = stored.table.columns
    files = warehouse.files(stored)
    if not files:
        empty = ", ".join(
            f"NULL::{column.kind.duckdb_type} AS {quoted_identifier(column.name)}"
            for column in columns
        )
        return f"SELECT {empty} WHERE false"
    names = ", ".join(quoted_identifier(column.name) for column in columns)
    paths = ", ".join(quoted_text(str(path)) for path in files)
    # Without the switch DuckDB would take a column trading_day from the name of the directory.
    return f"SELECT {names} FROM read_parquet([{paths}], hive_partitioning = false)"
