"""Both sides of a table in one DuckDB table, joined by key, and the SQL of their cells.

Belongs here: connections, the temporary table ``joined``, SQL expressions over its columns. Does not belong here:
counting what differs (``columns``), judging, which rows are current (``warehouse``).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from threading import Lock

import duckdb
import pyarrow

from setbull_pipelines.reconciliation.rows import Rows
from setbull_pipelines.tables.contract import EXACT, INDIA, Column, Kind, Table
from setbull_pipelines.warehouse.queries import (
    WITHOUT_EXTENSIONS,
    quoted_identifier,
    quoted_text,
)

MEMORY_LIMIT = "2GB"
"""Memory of the comparisons of this process; DuckDB spills to a temporary directory beyond it."""
IN_BOTH = "in_v1 AND in_v2"
MOMENTS = (Kind.TIMESTAMP, Kind.DAY)


class _Database:
    """One database in memory for all comparisons of this process: opening one takes longer than most of them."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._connection: duckdb.DuckDBPyConnection | None = None

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection with temporary tables of its own, which go with it. Safe to call from any thread."""
        with self._lock:
            if self._connection is None:
                self._spill = TemporaryDirectory(prefix="reconciliation-")
                self._connection = duckdb.connect(
                    ":memory:",
                    config={
                        "threads": os.cpu_count() or 1,
                        "memory_limit": MEMORY_LIMIT,
                        "temp_directory": self._spill.name,
                        "preserve_insertion_order": False,
                        # Parquet statistics leave NaN out, so reasoning from them would never find one.
                        "disabled_optimizers": "statistics_propagation",
                        **WITHOUT_EXTENSIONS,
                    },
                )
            return self._connection.cursor()


_DATABASE = _Database()


@contextmanager
def connected() -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a connection in memory, with a folder to spill into; closed when the block ends."""
    connection = _DATABASE.cursor()
    try:
        # As a statement: as part of the configuration it comes before the extension it needs.
        connection.execute(f"SET TimeZone = {quoted_text(INDIA)}")
        yield connection
    finally:
        connection.close()


@contextmanager
def joined_sides(
    table: Table,
    v1: Rows,
    v2: Rows,
    instruments: Sequence[str] | None = None,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a connection with the temporary table ``joined``: both sides, one row per key.

    ``instruments`` leaves all others out; None is all of them. The columns are those of :func:`join`.
    """
    with connected() as connection:
        condition = "true"
        if instruments is not None:
            connection.register("chosen", pyarrow.table({"chosen_key": list(instruments)}))
            condition = "instrument_key IN (SELECT chosen_key FROM chosen)"
        join(connection, table, v1, v2, condition=condition)
        yield connection


def join(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    v1: Rows,
    v2: Rows,
    condition: str = "true",
) -> None:
    """Make the temporary table ``joined``: both sides, one row per key, of rows that fulfil ``condition``.

    Its columns: the key, ``v1_<name>`` and ``v2_<name>`` of every value column, ``in_v1`` and
    ``in_v2`` (true, or null where the side has no such row).
    """
    keys = ", ".join(quoted_identifier(key) for key in table.key)
    files = {}
    sources = {}
    for side, rows in (("v1", v1), ("v2", v2)):
        if isinstance(rows, pyarrow.Table):
            sources[side] = f"{side}_rows"
            connection.register(sources[side], rows)
        else:
            # Without the switch DuckDB would take a column trading_day from the name of the directory.
            sources[side] = f"read_parquet(${side}_files, hive_partitioning = false)"
            files[f"{side}_files"] = [str(path) for path in rows]
    connection.execute(
        "CREATE TEMP TABLE joined AS "
        f"SELECT * FROM ({_side(table, 'v1', sources['v1'])} WHERE {condition}) "
        f"FULL JOIN ({_side(table, 'v2', sources['v2'])} WHERE {condition}) USING ({keys})",
        files,
    )


def cell(side: str, column: Column) -> str:
    """Return SQL for a column of one side in ``joined``."""
    return quoted_identifier(f"{side}_{column.name}")


def unequal_cell(column: Column) -> str:
    """Return SQL for whether a cell of ``joined`` differs by more than its tolerance."""
    v1, v2 = cell("v1", column), cell("v2", column)
    differs = f"{v1} IS DISTINCT FROM {v2}"
    tolerance = column.tolerance
    if tolerance == EXACT:
        return f"({differs})"
    allowed = f"{tolerance.relative!r} * greatest(abs({v1}), abs({v2})) + {tolerance.absolute!r}"
    # An infinite difference would be within "relative x infinity".
    agrees = f"isfinite({v1} - {v2}) AND abs({v1} - {v2}) <= {allowed}"
    return f"({differs} AND NOT coalesce({agrees}, false))"


def row_key(table: Table, relation: str) -> str:
    """Return SQL for the key of a row of ``relation`` as readers see it: column=value, ..."""
    return " || ', ' || ".join(
        f"{quoted_text(name + '=')} || {relation}.{quoted_identifier(name)}::VARCHAR"
        for name in table.key
    )


def time_order(table: Table) -> list[str]:
    """Return the key columns in time order: moments, then numbers and labels, then instrument."""
    others = [name for name in table.key if name != "instrument_key"]
    others.sort(key=lambda name: table.column(name).kind not in MOMENTS)
    return [*others, "instrument_key"]


def fetch_one(connection: duckdb.DuckDBPyConnection, statement: str) -> tuple:
    """The only row of an answer."""
    (row,) = connection.execute(statement).fetchall()
    return row


def _without_nan(value: str, column: Column) -> str:
    return f"nullif({value}, 'NaN'::DOUBLE)" if column.kind is Kind.FLOAT else value


def _side(table: Table, side: str, source: str) -> str:
    columns = [quoted_identifier(name) for name in table.key]
    for column in table.value_columns:
        value = _without_nan(quoted_identifier(column.name), column)
        columns.append(f"{value} AS {cell(side, column)}")
    return f"SELECT {', '.join(columns)}, true AS in_{side} FROM {source}"
