"""Compare V1 and V2 of a computed table for one trading day, cell by cell.

Belongs here: the comparison in SQL over partition files, its counts, its verdict. Does not belong
here: which files are current (``warehouse``), what a tolerance is (``tables``), text for readers
(``report``), Dagster.

Two files with the same keys in the same order are read side by side (``aligned``), and only the rows that differ get
into DuckDB. All other files are joined there, once, into a temporary table. Every differing column is then compared by
queries that read that column only. Row counts come from the Parquet footers, apart from both, so that a comparison
which lost rows on the way is noticed and cannot pass.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pandas as pd
import pyarrow
import pyarrow.parquet

from setbull_pipelines.reconciliation.aligned import Aligned, read_aligned
from setbull_pipelines.reconciliation.decisions import changed_decisions
from setbull_pipelines.reconciliation.diagnosis import ROW, Diagnosis, diagnose
from setbull_pipelines.reconciliation.sides import Sides
from setbull_pipelines.settings import ReconciliationSettings
from setbull_pipelines.tables.contract import EXACT, INDIA, Column, Kind, Table
from setbull_pipelines.tables.filters import FILTER_RESULTS
from setbull_pipelines.tables.reconciliation import (
    DIVERGED,
    NOT_COMPARABLE,
    PASS,
    RECONCILIATION_CELLS,
    RECONCILIATION_DECISIONS,
    RECONCILIATION_DIAGNOSES,
    RECONCILIATION_SUMMARY,
    RECONCILIATIONS,
)
from setbull_pipelines.warehouse.queries import (
    WITHOUT_EXTENSIONS,
    quoted_identifier,
    quoted_text,
)

MEMORY_LIMIT = "2GB"
"""Memory of one comparison; DuckDB spills to a temporary directory beyond it."""

ROWS_DIAGNOSED = 200_000
"""Rows that are read into memory to recognise the shape of a difference, in whole instruments."""
CAUSES_IN_REASON = 3
"""Likely causes named in the reason of a verdict; all of them are in the diagnosis table."""

_NUMERIC = (Kind.FLOAT, Kind.INTEGER, Kind.NULLABLE_INTEGER)
_MOMENTS = (Kind.TIMESTAMP, Kind.DAY)
_IN_BOTH = "in_v1 AND in_v2"


@dataclass(frozen=True)
class Comparison:
    """The outcome for one table and trading day; each frame fulfils its contract in ``tables``."""

    columns: pd.DataFrame
    """One row per compared column (``RECONCILIATIONS``)."""
    cells: pd.DataFrame
    """The first and the worst unequal cells (``RECONCILIATION_CELLS``)."""
    summary: pd.DataFrame
    """One row: the verdict (``RECONCILIATION_SUMMARY``)."""
    diagnoses: pd.DataFrame
    """One row per likely cause (``RECONCILIATION_DIAGNOSES``)."""
    decisions: pd.DataFrame
    """Changed filter decisions (``RECONCILIATION_DECISIONS``); no row for every other table."""
    state: str
    reason: str


@dataclass(frozen=True)
class _RowCounts:
    v1: int
    v2: int
    only_v1: int
    only_v2: int
    instruments: int = 0
    """Instruments with a row on both sides."""


@dataclass(frozen=True)
class _ColumnCounts:
    """What came out for one column; differences are null for text, flags and days."""

    cells_compared: int
    cells_unequal: int = 0
    null_differences: int = 0
    cells_within_tolerance: int = 0
    largest_absolute_difference: float | None = None
    largest_relative_difference: float | None = None
    median_relative_difference: float | None = None
    p99_relative_difference: float | None = None
    largest_ulp_difference: float | None = None
    instruments_affected: int = 0
    worst_key: str | None = None
    worst_v1: str | None = None
    worst_v2: str | None = None


def compare(
    table: Table,
    v1_files: Sequence[Path] | None,
    v2_files: Sequence[Path] | None,
    trading_day: date | pd.Timestamp,
    settings: ReconciliationSettings,
    *,
    identical: bool = False,
) -> Comparison:
    """Compare the partition files of ``trading_day`` of both variants.

    A side without files (None or empty) is missing. ``identical`` says that the content hashes of
    both sides are equal: cells then count as compared without being read. NaN counts as null; a
    cell that is null on one side only is unequal, and so is an infinity against anything else.

    The state is 'pass' only when both sides have the same rows, every column agrees, and the cells
    compared are rows of V1 x value columns, above 0. It is 'not comparable' when a side is missing,
    when both are empty, or when as many rows were found but another number of cells was compared
    than expected. Everything else is 'diverged'.

    Raises KeyError for a table that is not reconciled, duckdb.Error or OSError for unreadable files.
    """
    rows = _RowCounts(_rows_in(v1_files), _rows_in(v2_files), 0, 0)
    cells: list[pd.DataFrame] = []
    diagnoses: tuple[Diagnosis, ...] = ()
    decisions = RECONCILIATION_DECISIONS.empty()
    day = pd.Timestamp(trading_day)
    if not v1_files or not v2_files:
        rows = _RowCounts(rows.v1, rows.v2, rows.v1, rows.v2)
        counts = {column.name: _ColumnCounts(0) for column in table.value_columns}
    elif identical and rows.v1 == rows.v2:
        rows = replace(rows, instruments=_instruments_in(v1_files))
        counts = {column.name: _all_equal(column, rows.v1) for column in table.value_columns}
    else:
        # Ranks need the whole list, also of the rows that are equal.
        aligned = None if table == FILTER_RESULTS else read_aligned(table, v1_files, v2_files)
        with _connected() as connection:
            if aligned is None:
                _join(connection, table, v1_files, v2_files)
                only_v1, only_v2, both, instruments = _fetch_one(
                    connection,
                    "SELECT count(*) FILTER (in_v2 IS NULL), count(*) FILTER (in_v1 IS NULL), "
                    f"count(*) FILTER ({_IN_BOTH}), "
                    f"count(DISTINCT instrument_key) FILTER ({_IN_BOTH}) FROM joined",
                )
                columns = _differing_columns(connection, table)
            else:
                _take(connection, table, aligned)
                only_v1, only_v2 = 0, 0
                both, instruments = aligned.rows, len(aligned.instruments)
                columns = aligned.columns
            rows = _RowCounts(rows.v1, rows.v2, only_v1, only_v2, instruments)
            counts = {column.name: _all_equal(column, both) for column in table.value_columns}
            for column in columns:
                counts[column.name], found = _compare_column(
                    connection, table, column, both, settings.sample_cells
                )
                cells.append(found)
            if only_v1 or only_v2:
                cells.append(_one_sided_rows(connection, table, settings.sample_cells))
            diverged = [name for name, column in counts.items() if column.cells_unequal]
            if diverged or only_v1 or only_v2 or rows.v1 != rows.v2:
                files = None if aligned is None else (v1_files, v2_files)
                diagnoses = diagnose(_sides(connection, table, diverged, rows, files))
                if table == FILTER_RESULTS:
                    decisions = changed_decisions(_results(connection), day)
    state, reason = _verdict(rows, counts, v1_files, v2_files, identical)
    if diagnoses:
        reason = f"{reason}; likely cause: {_causes(diagnoses)}"
    return Comparison(
        columns=_columns_frame(table, day, rows, counts),
        cells=_cells_frame(table, day, cells),
        summary=_summary_frame(table, day, rows, counts, state, reason),
        diagnoses=_diagnoses_frame(table, day, diagnoses),
        decisions=decisions,
        state=state,
        reason=reason,
    )


def _rows_in(files: Sequence[Path] | None) -> int:
    return sum(pyarrow.parquet.read_metadata(path).num_rows for path in files or ())


def _instruments_in(files: Sequence[Path]) -> int:
    found: set[str] = set()
    for path in files:
        keys = pyarrow.parquet.ParquetFile(path).read(["instrument_key"])["instrument_key"]
        found.update(keys.unique().to_pylist())
    return len(found)


@contextmanager
def joined_sides(
    table: Table,
    v1_files: Sequence[Path],
    v2_files: Sequence[Path],
    instruments: Sequence[str] | None = None,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a connection with the temporary table ``joined``: both sides, one row per key.

    ``instruments`` leaves all others out; None is all of them. The columns are those of ``_join``.
    """
    with _connected() as connection:
        condition = "true"
        if instruments is not None:
            connection.register("chosen", pyarrow.table({"chosen_key": list(instruments)}))
            condition = "instrument_key IN (SELECT chosen_key FROM chosen)"
        _join(connection, table, v1_files, v2_files, condition=condition)
        yield connection


@contextmanager
def _connected() -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a connection in memory, with a folder to spill into."""
    with TemporaryDirectory(prefix="reconciliation-") as spill:
        connection = duckdb.connect(
            ":memory:",
            config={
                "threads": os.cpu_count() or 1,
                "memory_limit": MEMORY_LIMIT,
                "temp_directory": spill,
                "preserve_insertion_order": False,
                # Parquet statistics leave NaN out, so reasoning from them would never find one.
                "disabled_optimizers": "statistics_propagation",
                **WITHOUT_EXTENSIONS,
            },
        )
        try:
            # As a statement: as part of the configuration it comes before the extension it needs.
            connection.execute(f"SET TimeZone = {quoted_text(INDIA)}")
            yield connection
        finally:
            connection.close()


def _join(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    v1_files: Sequence[Path],
    v2_files: Sequence[Path],
    name: str = "joined",
    condition: str = "true",
) -> None:
    """Make the temporary table ``name``: both sides, one row per key, of rows that fulfil ``condition``.

    Its columns: the key, ``v1_<name>`` and ``v2_<name>`` of every value column, ``in_v1`` and
    ``in_v2`` (true, or null where the side has no such row).
    """
    keys = ", ".join(quoted_identifier(key) for key in table.key)
    connection.execute(
        f"CREATE TEMP TABLE {name} AS SELECT * FROM ({_side(table, 'v1')} WHERE {condition}) "
        f"FULL JOIN ({_side(table, 'v2')} WHERE {condition}) USING ({keys})",
        {
            "v1_files": [str(path) for path in v1_files],
            "v2_files": [str(path) for path in v2_files],
        },
    )


def _take(connection: duckdb.DuckDBPyConnection, table: Table, aligned: Aligned) -> None:
    """Make ``joined`` of the rows that differ, and ``instrument_rows`` of all."""
    columns = [quoted_identifier(name) for name in table.key]
    for side in ("v1", "v2"):
        columns += [
            f"{_without_nan(_cell(side, column), column)} AS {_cell(side, column)}"
            for column in table.value_columns
        ]
    connection.register("differing", aligned.differing)
    connection.execute(
        f"CREATE TEMP TABLE joined AS SELECT {', '.join(columns)}, true AS in_v1, true AS in_v2 "
        "FROM differing"
    )
    connection.unregister("differing")
    counted = {"instrument_key": list(aligned.instruments), "rows": [*aligned.instruments.values()]}
    connection.register("instrument_rows", pyarrow.table(counted))


def _without_nan(value: str, column: Column) -> str:
    return f"nullif({value}, 'NaN'::DOUBLE)" if column.kind is Kind.FLOAT else value


def _side(table: Table, side: str) -> str:
    columns = [quoted_identifier(name) for name in table.key]
    for column in table.value_columns:
        value = _without_nan(quoted_identifier(column.name), column)
        columns.append(f"{value} AS {_cell(side, column)}")
    # Without the switch DuckDB would take a column trading_day from the name of the directory.
    return (
        f"SELECT {', '.join(columns)}, true AS in_{side} "
        f"FROM read_parquet(${side}_files, hive_partitioning = false)"
    )


def _cell(side: str, column: Column) -> str:
    return quoted_identifier(f"{side}_{column.name}")


def _differing_columns(connection: duckdb.DuckDBPyConnection, table: Table) -> list[Column]:
    """Return the columns with any difference, within the tolerance or not; most runs have few."""
    differs = ", ".join(
        f"count_if({_IN_BOTH} AND {_cell('v1', column)} IS DISTINCT FROM {_cell('v2', column)}) > 0"
        for column in table.value_columns
    )
    found = _fetch_one(connection, f"SELECT {differs} FROM joined")
    return [column for column, differ in zip(table.value_columns, found, strict=True) if differ]


def _compare_column(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    column: Column,
    rows_in_both: int,
    sample_cells: int,
) -> tuple[_ColumnCounts, pd.DataFrame]:
    """Return the counts of a column that differs, and its first and worst unequal cells."""
    differing = _differing(table, column)
    different, unequal, one_sided_nulls, affected, *largest, median, p99 = _fetch_one(
        connection,
        "SELECT count(*), count(*) FILTER (unequal), count(*) FILTER (v1 IS NULL OR v2 IS NULL), "
        "count(DISTINCT instrument_key) FILTER (unequal), "
        "max(absolute_difference), max(relative_difference), max(ulp_difference), "
        "quantile_disc(relative_difference, 0.5), quantile_disc(relative_difference, 0.99) "
        f"FROM ({differing})",
    )
    worst = _worst_cells(connection, table, column.name, differing, sample_cells)
    cells = worst[worst["unequal"]].drop(columns="unequal")
    if unequal:
        first = _first_cells(connection, table, column.name, differing)
        cells = pd.concat([first, cells], ignore_index=True)
    equal = _all_equal(column, rows_in_both)
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
        instruments_affected=affected,
        worst_key=worst.at[0, "row_key"],
        worst_v1=worst.at[0, "v1"],
        worst_v2=worst.at[0, "v2"],
    )
    return counts, cells


def _all_equal(column: Column, cells: int) -> _ColumnCounts:
    """Return the counts of a column without a difference; a largest difference needs a cell."""
    largest = 0.0 if cells and column.kind in _NUMERIC else None
    return _ColumnCounts(
        cells,
        largest_absolute_difference=largest,
        largest_relative_difference=largest,
        largest_ulp_difference=largest if column.kind is Kind.FLOAT else None,
    )


def _differing(table: Table, column: Column) -> str:
    """Return SQL for the cells of ``column`` that differ at all, in rows that both sides have."""
    v1, v2 = _cell("v1", column), _cell("v2", column)
    larger = f"greatest(abs({v1}::DOUBLE), abs({v2}::DOUBLE))"
    ulps = "NULL::DOUBLE"
    if column.kind is Kind.FLOAT:
        absolute = f"abs({v1} - {v2})"
        ulps = f"abs({_float_number(v1)} - {_float_number(v2)})::DOUBLE"
    elif column.kind in _NUMERIC:
        # The difference of two 64-bit integers can need more bits; a float would lose the small ones.
        absolute = f"abs({v1}::HUGEINT - {v2}::HUGEINT)::DOUBLE"
    else:
        absolute = larger = "NULL::DOUBLE"
    keys = ", ".join(quoted_identifier(name) for name in table.key)
    return (
        f"SELECT {keys}, v1, v2, absolute_difference, ulp_difference, "
        # infinity / infinity is not a number
        "CASE WHEN isinf(absolute_difference) THEN absolute_difference "
        "ELSE absolute_difference / larger END AS relative_difference, unequal "
        f"FROM (SELECT {keys}, {v1} AS v1, {v2} AS v2, {unequal_cell(column)} AS unequal, "
        f"{absolute} AS absolute_difference, {ulps} AS ulp_difference, {larger} AS larger "
        f"FROM joined WHERE {_IN_BOTH} AND {v1} IS DISTINCT FROM {v2})"
    )


def unequal_cell(column: Column) -> str:
    """Return SQL for whether a cell of ``joined`` differs by more than its tolerance."""
    v1, v2 = _cell("v1", column), _cell("v2", column)
    differs = f"{v1} IS DISTINCT FROM {v2}"
    tolerance = column.tolerance
    if tolerance == EXACT:
        return f"({differs})"
    allowed = f"{tolerance.relative!r} * greatest(abs({v1}), abs({v2})) + {tolerance.absolute!r}"
    # An infinite difference would be within "relative x infinity".
    agrees = f"isfinite({v1} - {v2}) AND abs({v1} - {v2}) <= {allowed}"
    return f"({differs} AND NOT coalesce({agrees}, false))"


def _float_number(value: str) -> str:
    """Return SQL for the position of a float among all floats; neighbours differ by 1."""
    bits = f"({value})::BIT::BIGINT::HUGEINT"
    return f"if({bits} < 0, -9223372036854775808::HUGEINT - {bits}, {bits})"


def _one_sided_rows(
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


def _sides(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    diverging: list[str],
    rows: _RowCounts,
    aligned_files: tuple[Sequence[Path], Sequence[Path]] | None,
) -> Sides:
    """Read both sides of whole instruments, the diverging ones first, up to a bounded number of rows.

    ``joined`` has all rows, unless there are ``aligned_files``: then it has those that differ, and
    ``instrument_rows`` says how many there are.
    """
    columns = [column for column in table.value_columns if column.name in diverging]
    differs = " OR ".join([f"NOT coalesce({_IN_BOTH}, false)", *map(unequal_cell, columns)])
    moments = [name for name in table.key if table.column(name).kind in (*_MOMENTS, *_NUMERIC)]
    series = [name for name in table.key if name not in moments]
    selected = [
        *map(quoted_identifier, table.key),
        "in_v1",
        "in_v2",
        *(_cell("v1", column) for column in table.value_columns),
        *(_cell("v2", column) for column in columns),
        *(f"{unequal_cell(column)} AS {_cell('unequal', column)}" for column in columns),
    ]
    if aligned_files is None:
        connection.execute(
            "CREATE TEMP VIEW instrument_rows AS "
            'SELECT instrument_key, count(*) AS "rows" FROM joined GROUP BY instrument_key'
        )
    connection.execute(
        "CREATE TEMP TABLE chosen AS SELECT instrument_key FROM ("
        'SELECT instrument_key, sum("rows") OVER by_difference AS rows_so_far, '
        "row_number() OVER by_difference AS place FROM instrument_rows LEFT JOIN ("
        f"SELECT instrument_key, count_if({differs}) = 0 AS agrees FROM joined GROUP BY instrument_key) "
        "USING (instrument_key) "
        "WINDOW by_difference AS (ORDER BY coalesce(agrees, true), instrument_key)) "
        f"WHERE rows_so_far <= {ROWS_DIAGNOSED} OR place = 1"
    )
    is_chosen = "instrument_key IN (SELECT instrument_key FROM chosen)"
    if aligned_files is not None:
        _join(connection, table, *aligned_files, "whole", is_chosen)
    frame = connection.execute(
        f"SELECT {', '.join(selected)} FROM {'joined' if aligned_files is None else 'whole'} "
        f"WHERE {is_chosen} ORDER BY {', '.join(map(quoted_identifier, (*series, *moments)))}"
    ).df()
    (instruments,) = _fetch_one(connection, "SELECT count(*) FROM instrument_rows")
    return Sides(
        table,
        frame,
        tuple(diverging),
        rows.v1,
        rows.v2,
        rows.only_v1,
        rows.only_v2,
        instruments,
    )


def _results(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Read what was decided for every instrument of either side."""
    columns = ", ".join(
        f"{side}_{name} AS {name}_{side}"
        for name in ("verdict", "reason", "mamba_count")
        for side in ("v1", "v2")
    )
    return connection.execute(
        f"SELECT instrument_key, {columns} FROM joined ORDER BY instrument_key"
    ).df()


def _first_cells(
    connection: duckdb.DuckDBPyConnection, table: Table, column_name: str, differing: str
) -> pd.DataFrame:
    """Return the earliest unequal cell of every instrument, ranked by time, then instrument."""
    order = ", ".join(f"cell.{name}" for name in _time_order(table))
    return connection.execute(
        f"{_described(table, column_name, 'first', order)} FROM ("
        f"SELECT arg_min(cell, row({order})) AS cell FROM ({differing}) AS cell "
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


def row_key(table: Table, relation: str) -> str:
    """Return SQL for the key of a row of ``relation`` as readers see it: column=value, ..."""
    return " || ', ' || ".join(
        f"{quoted_text(name + '=')} || {relation}.{quoted_identifier(name)}::VARCHAR"
        for name in table.key
    )


def _time_order(table: Table) -> list[str]:
    """Return the quoted key columns in time order: moments, then numbers and labels, then instrument."""
    others = [name for name in table.key if name != "instrument_key"]
    others.sort(key=lambda name: table.column(name).kind not in _MOMENTS)
    return [quoted_identifier(name) for name in (*others, "instrument_key")]


def _fetch_one(connection: duckdb.DuckDBPyConnection, statement: str) -> tuple:
    (row,) = connection.execute(statement).fetchall()
    return row


def _verdict(
    rows: _RowCounts,
    counts: dict[str, _ColumnCounts],
    v1_files: Sequence[Path] | None,
    v2_files: Sequence[Path] | None,
    identical: bool,
) -> tuple[str, str]:
    """Return the state and the reason for it."""
    missing = [name for name, files in (("V1", v1_files), ("V2", v2_files)) if not files]
    if missing:
        return NOT_COMPARABLE, f"nothing stored for {' and '.join(missing)}"
    if rows.v1 == rows.v2 == 0:
        return NOT_COMPARABLE, "both sides have zero rows"
    compared = sum(column.cells_compared for column in counts.values())
    unequal = sum(column.cells_unequal for column in counts.values())
    expected = rows.v1 * len(counts)
    same_keys = rows.only_v1 == rows.only_v2 == 0
    if rows.v1 == rows.v2 and same_keys and compared != expected:
        return (
            NOT_COMPARABLE,
            f"{compared} cells were compared, {expected} expected: a key occurs more than once",
        )
    if rows.v1 == rows.v2 and same_keys and not unequal:
        how = "have the same content hash" if identical else "agree"
        return PASS, f"all {compared} cells of {rows.v1} rows {how}"
    findings = []
    if unequal:
        diverged = [name for name, column in counts.items() if column.cells_unequal]
        findings.append(f"{unequal} of {compared} cells differ, in {', '.join(diverged)}")
    if rows.only_v1:
        findings.append(f"{rows.only_v1} rows only in V1")
    if rows.only_v2:
        findings.append(f"{rows.only_v2} rows only in V2")
    if rows.v1 - rows.only_v1 != rows.v2 - rows.only_v2:
        findings.append(f"a key occurs more than once ({rows.v1} rows in V1, {rows.v2} in V2)")
    return DIVERGED, "; ".join(findings)


def _causes(diagnoses: tuple[Diagnosis, ...]) -> str:
    shown = "; ".join(f"{found.name} in {found.sentence}" for found in diagnoses[:CAUSES_IN_REASON])
    more = len(diagnoses) - CAUSES_IN_REASON
    return f"{shown}; and {more} more" if more > 0 else shown


def _diagnoses_frame(
    table: Table, day: pd.Timestamp, diagnoses: tuple[Diagnosis, ...]
) -> pd.DataFrame:
    contract = RECONCILIATION_DIAGNOSES[table.name]
    records = [
        {
            "rank": rank,
            "trading_day": day,
            "diagnosis": diagnosis.name,
            "column_names": ",".join(diagnosis.columns),
            "sentence": diagnosis.sentence,
            "evidence": diagnosis.evidence_text,
        }
        for rank, diagnosis in enumerate(diagnoses, start=1)
    ]
    return contract.conform(pd.DataFrame(records, columns=contract.column_names))


def _columns_frame(
    table: Table, day: pd.Timestamp, rows: _RowCounts, counts: dict[str, _ColumnCounts]
) -> pd.DataFrame:
    contract = RECONCILIATIONS[table.name]
    records = [
        {
            "column_name": column.name,
            "trading_day": day,
            "tolerance": column.tolerance.name,
            **_row_counts(rows),
            **vars(counts[column.name]),
            "cells_identical": counts[column.name].cells_compared
            - counts[column.name].cells_unequal
            - counts[column.name].cells_within_tolerance,
            "instruments": rows.instruments,
            "share_of_instruments_affected": (
                counts[column.name].instruments_affected / rows.instruments
                if rows.instruments
                else None
            ),
            "agrees": counts[column.name].cells_compared > 0
            and counts[column.name].cells_unequal == 0,
        }
        for column in table.value_columns
    ]
    return contract.conform(pd.DataFrame(records, columns=contract.column_names))


def _cells_frame(table: Table, day: pd.Timestamp, cells: list[pd.DataFrame]) -> pd.DataFrame:
    contract = RECONCILIATION_CELLS[table.name]
    if not any(len(frame) for frame in cells):
        return contract.empty()
    return contract.conform(pd.concat(cells, ignore_index=True).assign(trading_day=day))


def _summary_frame(
    table: Table,
    day: pd.Timestamp,
    rows: _RowCounts,
    counts: dict[str, _ColumnCounts],
    state: str,
    reason: str,
) -> pd.DataFrame:
    diverged = [name for name, column in counts.items() if column.cells_unequal]
    record = {
        "table_name": table.name,
        "trading_day": day,
        "state": state,
        "reason": reason,
        # Instruments are left out before files are compared, by ``pipeline/reconciling.py``.
        "state_of_compared": state,
        "instruments_left_out": 0,
        **_row_counts(rows),
        "cells_compared": sum(column.cells_compared for column in counts.values()),
        "cells_unequal": sum(column.cells_unequal for column in counts.values()),
        "null_differences": sum(column.null_differences for column in counts.values()),
        "cells_expected": rows.v1 * len(counts),
        "columns_diverged": ",".join(diverged) or None,
        # Measured apart from the comparison, see ``noise``.
        **dict.fromkeys(("noise_floor_cells", "noise_floor_relative", "noise_floor_ulp")),
    }
    return RECONCILIATION_SUMMARY.conform(pd.DataFrame([record]))


def _row_counts(rows: _RowCounts) -> dict[str, int]:
    return {
        "rows_v1": rows.v1,
        "rows_v2": rows.v2,
        "rows_only_v1": rows.only_v1,
        "rows_only_v2": rows.only_v2,
    }
