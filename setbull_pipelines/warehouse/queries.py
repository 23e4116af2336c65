"""SQL over the current files: private in-memory DuckDB connections and the statements they need.

Belongs here: opening and locking connections, the text of views. Does not belong here: the shared catalog file
(``catalog``), queries about candles or differences. No connection here can change a partition.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from setbull_pipelines.errors import SetbullError
from setbull_pipelines.tables.contract import INDIA
from setbull_pipelines.warehouse.pointers import StoredTable, validate_identifier
from setbull_pipelines.warehouse.reader import Reader

WITHOUT_EXTENSIONS = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
"""Configuration of connections: DuckDB downloads nothing by itself."""
_EXPLAIN = re.compile(r"\s*EXPLAIN(\s+ANALYZE)?\s", re.IGNORECASE)


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


def lock(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Let ``connection`` open no file outside ``folder``, nor load anything, and nobody undo that.

    Databases that are attached stay usable. What must be configured or attached comes before.
    """
    # A name that is no table must not be looked for among the variables of this program.
    connection.execute("SET python_enable_replacements = false")
    connection.execute(f"SET allowed_directories = [{quoted_text(str(folder))}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


class NotOneQuestion(SetbullError, ValueError):
    """What was asked is not one SELECT, nor EXPLAIN of one; the message says what was found."""


def ask(connection: duckdb.DuckDBPyConnection, question: str) -> duckdb.DuckDBPyRelation:
    """Put a question of a user to a locked connection: one SELECT, or EXPLAIN [ANALYZE] of one.

    Raises NotOneQuestion, with nothing done, and duckdb.Error for what DuckDB cannot answer or does not allow.
    """
    explain = _EXPLAIN.match(question)
    select = question[explain.end() :] if explain else question
    kinds = [statement.type for statement in connection.extract_statements(select)]
    if kinds != [duckdb.StatementType.SELECT]:
        raise NotOneQuestion(f"found {question!r}, expected one SELECT statement")
    # DuckDB cannot allow reading a directory without writing to it, and a SELECT can write by WITH x AS (COPY ...).
    # Its function query() makes the text a part of another SELECT, in which it lets no WITH write.
    asked = f"SELECT * FROM query({quoted_text(select)})"
    return connection.sql(f"{explain.group()}{asked}" if explain else asked)


def create_views(
    connection: duckdb.DuckDBPyConnection,
    warehouse: Reader,
    tables: Iterable[StoredTable],
    relative_to: Path | None = None,
    thoroughly: bool = False,
) -> None:
    """Create a view for each table over exactly its current files, named by absolute path.

    ``relative_to`` names them from that folder instead, which then is where this connection looks for files.
    A table without partitions becomes an empty view with the right columns and types; a damaged file is left out where
    its length tells, and with ``thoroughly`` in any case (:meth:`Reader.sources`). Raises duckdb.Error for one that
    cannot be opened, ValueError for files outside ``relative_to``.
    """
    search_files_from(connection, relative_to)
    for stored in tables:
        create_view(
            connection, stored, select_statement(warehouse, stored, relative_to, thoroughly)
        )


def search_files_from(connection: duckdb.DuckDBPyConnection, folder: Path | None) -> None:
    """Let ``connection`` look for files that are named from ``folder``; None where all are named by absolute path."""
    if folder:
        connection.execute(f"SET file_search_path = {quoted_text(str(folder))}")


def create_view(connection: duckdb.DuckDBPyConnection, stored: StoredTable, select: str) -> None:
    """Create the view of a table, in the place of the one that is there."""
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted_identifier(stored.schema)}")
    connection.execute(f"CREATE OR REPLACE VIEW {qualified_name(stored)} AS {select}")


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
    warehouse: Reader, tables: Iterable[StoredTable]
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open an in-memory DuckDB with a view ``schema.table`` per table; closed when the block ends.

    The views keep showing the versions that were current when they were made. The session time
    zone is Asia/Kolkata. Locked to the warehouse, see :func:`lock`.
    """
    connection = duckdb.connect(":memory:", config=WITHOUT_EXTENSIONS)
    try:
        set_time_zone(connection)
        try:
            create_views(connection, warehouse, tables)
        except duckdb.Error:
            create_views(connection, warehouse, tables, thoroughly=True)
        lock(connection, warehouse.root)
        yield connection
    finally:
        connection.close()


def select_statement(
    warehouse: Reader, stored: StoredTable, relative_to: Path | None, thoroughly: bool = False
) -> str:
    """What the view of a table says, see :func:`create_views`."""
    columns, sources = stored.table.columns, warehouse.sources(stored, thoroughly)
    if not sources:
        empty = ", ".join(
            f"NULL::{column.kind.duckdb_type} AS {quoted_identifier(column.name)}"
            for column in columns
        )
        return f"SELECT {empty} WHERE false"
    names = ", ".join(quoted_identifier(column.name) for column in columns)

    def read(paths: Iterable[Path]) -> str:
        places = (path.relative_to(relative_to) if relative_to else path for path in paths)
        listed = ", ".join(quoted_text(str(place)) for place in places)
        # Without the switch DuckDB would take columns from names of folders with an equals sign.
        return f"SELECT {names} FROM read_parquet([{listed}], hive_partitioning = false)"

    whole = [path for path, days in sources if days is None]
    parts = [read(whole)] if whole else []
    parts += [
        f"{read([path])} WHERE trading_day IN ({', '.join(f'DATE {quoted_text(day)}' for day in days)})"
        for path, days in sources
        if days is not None
    ]
    return " UNION ALL ".join(parts)
