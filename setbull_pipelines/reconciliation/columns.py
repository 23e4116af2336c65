"""What differs in the columns of two sides that were joined, in SQL.

Belongs here: which columns differ, the counts of one column, its first and its worst cells, rows that one side lacks.
Does not belong here: joining (``joining``), the same of few rows in memory (``few_differences``), judging.
"""

from __future__ import annotations

from dataclasses import replace

import duckdb
import pandas as pd

from setbull_pipelines.reconciliation.diagnosis import ROW
from setbull_pipelines.reconciliation.drift import BEYOND_ROUNDING
from setbull_pipelines.reconciliation.joining import (
    IN_BOTH,
    cell,
    fetch_one,
    row_key,
    time_order,
    unequal_cell,
)
from setbull_pipelines.reconciliation.outcome import NUMERIC, ColumnCounts, all_equal
from setbull_pipelines.tables.contract import Column, Kind, Table
from setbull_pipelines.warehouse.queries import quoted_identifier, quoted_text


def differing_columns(connection: duckdb.DuckDBPyConnection, table: Table) -> list[Column]:
    """Return the columns with any difference, within the tolerance or not; most runs have few."""
    differs = ", ".join(
        f"count_if({IN_BOTH} AND {cell('v1', column)} IS DISTINCT FROM {cell('v2', column)}) > 0"
        for column in table.value_columns
    )
    found = fetch_one(connection, f"SELECT {differs} FROM joined")
    return [column for column, differ in zip(table.value_columns, found, strict=True) if differ]


def compare_column(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    column: Column,
    rows_in_both: int,
    sample_cells: int,
) -> tuple[ColumnCounts, pd.DataFrame]:
    """Return the counts of a column that differs, and its first and worst unequal cells."""
    differing = _differing(table, column)
    beyond_rounding = f"NOT unequal AND measured_difference > {BEYOND_ROUNDING!r}"
    different, unequal, one_sided_nulls, affected, *largest, median, p99, within, above, below = (
        fetch_one(
            connection,
            "SELECT count(*), count(*) FILTER (unequal), count(*) FILTER (v1 IS NULL OR v2 IS NULL), "
            "count(DISTINCT instrument_key) FILTER (unequal), "
            "max(absolute_difference), max(relative_difference), max(ulp_difference), "
            "quantile_disc(relative_difference, 0.5), quantile_disc(relative_difference, 0.99), "
            "max(measured_difference) FILTER (NOT unequal), "
            f"count(*) FILTER ({beyond_rounding} AND v2 > v1), "
            f"count(*) FILTER ({beyond_rounding} AND v2 < v1) "
            f"FROM ({differing})",
        )
    )
    worst = _worst_cells(connection, table, column.name, differing, sample_cells)
    cells = worst[worst["unequal"]].drop(columns="unequal")
    if unequal:
        first = _first_cells(connection, table, column.name, differing)
        cells = pd.concat([first, cells], ignore_index=True)
    equal = all_equal(column, rows_in_both)
    absolute, relative, ulp = largest
    counts = replace(
        equal,
        cells_unequal=unequal,
        null_differences=one_sided_nulls,
        cells_within_tolerance=different - unequal,
        largest_absolute_difference=(
            equal.largest_absolute_difference if absolute is None else absolute
        ),
        largest_relative_difference=(
            equal.largest_relative_difference if relative is None else relative
        ),
        median_relative_difference=median,
        p99_relative_difference=p99,
        largest_ulp_difference=equal.largest_ulp_difference if ulp is None else ulp,
        largest_within_tolerance=within,
        cells_above=above,
        cells_below=below,
        instruments_affected=affected,
        worst_key=worst.at[0, "row_key"],
        worst_v1=worst.at[0, "v1"],
        worst_v2=worst.at[0, "v2"],
    )
    return counts, cells


def _differing(table: Table, column: Column) -> str:
    """Return SQL for the cells of ``column`` that differ at all, in rows that both sides have."""
    v1, v2 = cell("v1", column), cell("v2", column)
    larger = f"greatest(abs({v1}::DOUBLE), abs({v2}::DOUBLE))"
    ulps = "NULL::DOUBLE"
    if column.kind is Kind.FLOAT:
        absolute = f"abs({v1} - {v2})"
        ulps = f"abs({_float_number(v1)} - {_float_number(v2)})::DOUBLE"
    elif column.kind in NUMERIC:
        # The difference of two 64-bit integers can need more bits; a float would lose the small ones.
        absolute = f"abs({v1}::HUGEINT - {v2}::HUGEINT)::DOUBLE"
    else:
        absolute = larger = "NULL::DOUBLE"
    keys = ", ".join(quoted_identifier(name) for name in table.key)
    measured = "NULL::DOUBLE"
    if column.tolerance.relative:
        extra = column.tolerance.absolute / column.tolerance.relative
        measured = f"absolute_difference / (larger + {extra!r})"
    return (
        f"SELECT {keys}, v1, v2, absolute_difference, ulp_difference, {measured} AS measured_difference, "
        # infinity / infinity is not a number
        "CASE WHEN isinf(absolute_difference) THEN absolute_difference "
        "ELSE absolute_difference / larger END AS relative_difference, unequal "
        f"FROM (SELECT {keys}, {v1} AS v1, {v2} AS v2, {unequal_cell(column)} AS unequal, "
        f"{absolute} AS absolute_difference, {ulps} AS ulp_difference, {larger} AS larger "
        f"FROM joined WHERE {IN_BOTH} AND {v1} IS DISTINCT FROM {v2})"
    )


def _float_number(value: str) -> str:
    """Return SQL for the position of a float among all floats; neighbours differ by 1."""
    bits = f"({value})::BIT::BIGINT::HUGEINT"
    return f"if({bits} < 0, -9223372036854775808::HUGEINT - {bits}, {bits})"


def one_sided_rows(
    connection: duckdb.DuckDBPyConnection, table: Table, sample_cells: int
) -> pd.DataFrame:
    keys = ", ".join(quoted_identifier(name) for name in table.key)
    rows = (
        f"SELECT {keys}, if(in_v1, 'present', NULL) AS v1, if(in_v2, 'present', NULL) AS v2, "
        "NULL::DOUBLE AS absolute_difference, NULL::DOUBLE AS relative_difference, "
        "true AS unequal FROM joined WHERE in_v1 IS NULL OR in_v2 IS NULL"
    )
    worst = _worst_cells(connection, table, ROW, rows, sample_cells).drop(columns="unequal")
    return pd.concat([_first_cells(connection, table, ROW, rows), worst], ignore_index=True)


def _first_cells(
    connection: duckdb.DuckDBPyConnection, table: Table, column_name: str, differing: str
) -> pd.DataFrame:
    """Return the earliest unequal cell of every instrument, ranked by time, then instrument."""
    order = ", ".join(f"cell.{quoted_identifier(name)}" for name in time_order(table))
    return connection.execute(
        f"{_described(table, column_name, 'first', order)} FROM ("
        # In words already: arg_min makes -0.0 a 0.0.
        f"SELECT arg_min(cell, row({order})) AS cell FROM "
        f"(SELECT * REPLACE (v1::VARCHAR AS v1, v2::VARCHAR AS v2) FROM ({differing})) AS cell "
        "WHERE unequal GROUP BY cell.instrument_key)"
    ).df()


def _worst_cells(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    column_name: str,
    differing: str,
    sample_cells: int,
) -> pd.DataFrame:
    """Return the cells furthest apart, unequal ones first, ties by key; ``unequal`` says which are."""
    keys = ", ".join(f"cell.{quoted_identifier(name)}" for name in table.key)
    order = f"cell.unequal DESC, cell.absolute_difference DESC NULLS LAST, {keys}"
    return connection.execute(
        f"{_described(table, column_name, 'worst', order)}, cell.unequal FROM ("
        f"SELECT cell FROM ({differing}) AS cell ORDER BY {order} LIMIT {sample_cells}) "
        'ORDER BY "rank"'
    ).df()


def _described(table: Table, column_name: str, role: str, order: str) -> str:
    """Return the SELECT list that turns structs named ``cell`` into rows of the cells table."""
    return (
        f"SELECT {quoted_text(column_name)} AS column_name, {quoted_text(role)} AS role, "
        f'row_number() OVER (ORDER BY {order}) AS "rank", cell.instrument_key, '
        f"{row_key(table, 'cell')} AS row_key, cell.v1::VARCHAR AS v1, cell.v2::VARCHAR AS v2, "
        "cell.absolute_difference, cell.relative_difference"
    )
