"""Compare V1 and V2 of a computed table for one trading day, cell by cell.

Belongs here: what is asked of both sides in which case, and the outcome. Does not belong
here: which rows are current (``warehouse``), what a tolerance is (``tables``), SQL of joined sides (``joining``,
``columns``), text for readers (``report``), Dagster.

Two sides with the same keys in the same order are read side by side (``aligned``), and only the rows that differ are
looked at further, in memory (``few_differences``), and some whole instruments for the cause
(``whole_instruments``). All others are joined in DuckDB, once, into a temporary table. Every
differing column is then compared by queries that read that column only. Row counts come from the sides themselves,
apart from both, so that a comparison which lost rows on the way is noticed and cannot pass.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date

import duckdb
import pandas as pd
import pyarrow

from setbull_pipelines.reconciliation.aligned import Aligned, read_aligned
from setbull_pipelines.reconciliation.columns import (
    compare_column,
    differing_columns,
    one_sided_rows,
)
from setbull_pipelines.reconciliation.decisions import changed_decisions
from setbull_pipelines.reconciliation.diagnosis import Diagnosis, diagnose
from setbull_pipelines.reconciliation.few_differences import FewDifferences
from setbull_pipelines.reconciliation.joining import (
    IN_BOTH,
    MOMENTS,
    cell,
    connected,
    fetch_one,
    join,
    unequal_cell,
)
from setbull_pipelines.reconciliation.outcome import (
    NUMERIC,
    ColumnCounts,
    Comparison,
    RowCounts,
    all_equal,
    causes_in_words,
    cells_frame,
    columns_frame,
    diagnoses_frame,
    judged,
    summary_frame,
)
from setbull_pipelines.reconciliation.rows import Rows, count_of, instruments_in, is_missing
from setbull_pipelines.reconciliation.sides import Sides
from setbull_pipelines.reconciliation.whole_instruments import diverging_first, side_by_side
from setbull_pipelines.settings import ReconciliationSettings
from setbull_pipelines.tables.contract import Table
from setbull_pipelines.tables.filters import FILTER_RESULTS
from setbull_pipelines.tables.reconciliation import RECONCILIATION_DECISIONS
from setbull_pipelines.warehouse.queries import quoted_identifier

ROWS_DIAGNOSED = 200_000
"""Rows that are read into memory to recognise the shape of a difference, in whole instruments."""


def compare(
    table: Table,
    v1: Rows | None,
    v2: Rows | None,
    trading_day: date | pd.Timestamp,
    settings: ReconciliationSettings,
    *,
    identical: bool = False,
) -> Comparison:
    """Compare the rows that both variants have of ``trading_day``.

    A side that is None, or no file, is missing. ``identical`` says that the content hashes of
    both sides are equal: cells then count as compared without being read. NaN counts as null; a
    cell that is null on one side only is unequal, and so is an infinity against anything else.

    The state is 'pass' only when both sides have the same rows, every column agrees, and the cells
    compared are rows of V1 x value columns, above 0. It is 'not comparable' when a side is missing,
    when both are empty, or when as many rows were found but another number of cells was compared
    than expected. Everything else is 'diverged'.

    Raises KeyError for a table that is not reconciled, duckdb.Error or OSError for unreadable files.
    """
    rows = RowCounts(count_of(v1), count_of(v2), 0, 0)
    day = pd.Timestamp(trading_day)
    found = _Found({})
    missing = [name for name, side in (("V1", v1), ("V2", v2)) if is_missing(side)]
    if missing:
        rows = RowCounts(rows.v1, rows.v2, rows.v1, rows.v2)
        found.counts = {column.name: ColumnCounts(0) for column in table.value_columns}
    elif identical and rows.v1 == rows.v2:
        rows = replace(rows, instruments=instruments_in(v1))
        found.counts = {column.name: all_equal(column, rows.v1) for column in table.value_columns}
    else:
        # Ranks need the whole list, also of the rows that are equal.
        aligned = None if table == FILTER_RESULTS else read_aligned(table, v1, v2)
        if aligned is None:
            rows, found = _compare_joined(table, v1, v2, rows, day, settings)
        else:
            rows = replace(rows, instruments=len(aligned.instruments))
            found = _compare_aligned(table, v1, v2, rows, aligned, settings)
    state, reason = judged(rows, found.counts, missing, identical)
    if found.diagnoses:
        reason = f"{reason}; likely cause: {causes_in_words(found.diagnoses)}"
    return Comparison(
        columns=columns_frame(table, day, rows, found.counts),
        cells=cells_frame(table, day, found.cells),
        summary=summary_frame(table, day, rows, found.counts, state, reason),
        diagnoses=diagnoses_frame(table, day, found.diagnoses),
        decisions=RECONCILIATION_DECISIONS.empty() if found.decisions is None else found.decisions,
        state=state,
        reason=reason,
    )


@dataclass
class _Found:
    """What reading both sides has shown."""

    counts: dict[str, ColumnCounts]
    cells: list[pd.DataFrame] = field(default_factory=list)
    diagnoses: tuple[Diagnosis, ...] = ()
    decisions: pd.DataFrame | None = None
    """None where nothing differs, and of tables that decide nothing."""

    @property
    def diverged(self) -> list[str]:
        """The columns with an unequal cell."""
        return [name for name, column in self.counts.items() if column.cells_unequal]


def _compare_aligned(
    table: Table,
    v1: Rows,
    v2: Rows,
    rows: RowCounts,
    aligned: Aligned,
    settings: ReconciliationSettings,
) -> _Found:
    found = _Found({column.name: all_equal(column, aligned.rows) for column in table.value_columns})
    if not aligned.columns:
        return found
    differences = FewDifferences(table, aligned, settings.sample_cells)
    with connected() as connection:
        for name, (counts, cells) in differences.compare_columns(connection).items():
            found.counts[name] = counts
            found.cells.append(cells)
    if found.diverged:
        instruments = diverging_first(
            aligned.instruments, differences.unequal_instruments(), ROWS_DIAGNOSED
        )
        both = side_by_side(table, v1, v2, found.diverged, instruments)
        order = _series_and_moments(table)
        if order != list(table.key):
            both = both.sort_values(order, ignore_index=True)
        sides = _sides(table, both, found.diverged, rows, len(aligned.instruments))
        found.diagnoses = diagnose(sides)
    return found


def _compare_joined(
    table: Table,
    v1: Rows,
    v2: Rows,
    rows: RowCounts,
    day: pd.Timestamp,
    settings: ReconciliationSettings,
) -> tuple[RowCounts, _Found]:
    with connected() as connection:
        join(connection, table, v1, v2)
        only_v1, only_v2, both, instruments = fetch_one(
            connection,
            "SELECT count(*) FILTER (in_v2 IS NULL), count(*) FILTER (in_v1 IS NULL), "
            f"count(*) FILTER ({IN_BOTH}), "
            f"count(DISTINCT instrument_key) FILTER ({IN_BOTH}) FROM joined",
        )
        rows = RowCounts(rows.v1, rows.v2, only_v1, only_v2, instruments)
        found = _Found({column.name: all_equal(column, both) for column in table.value_columns})
        for column in differing_columns(connection, table):
            found.counts[column.name], cells = compare_column(
                connection, table, column, both, settings.sample_cells
            )
            found.cells.append(cells)
        if only_v1 or only_v2:
            found.cells.append(one_sided_rows(connection, table, settings.sample_cells))
        if found.diverged or only_v1 or only_v2 or rows.v1 != rows.v2:
            found.diagnoses = diagnose(_joined_sides(connection, table, found.diverged, rows))
            if table == FILTER_RESULTS:
                found.decisions = changed_decisions(_results(connection), day)
    return rows, found


def _joined_sides(
    connection: duckdb.DuckDBPyConnection, table: Table, diverging: list[str], rows: RowCounts
) -> Sides:
    """Read both sides of whole instruments, the diverging ones first, up to a bounded number of rows."""
    columns = [column for column in table.value_columns if column.name in diverging]
    differs = " OR ".join([f"NOT coalesce({IN_BOTH}, false)", *map(unequal_cell, columns)])
    selected = [
        *map(quoted_identifier, table.key),
        "in_v1",
        "in_v2",
        *(cell("v1", column) for column in table.value_columns),
        *(cell("v2", column) for column in columns),
        *(f"{unequal_cell(column)} AS {cell('unequal', column)}" for column in columns),
    ]
    counted = connection.execute(
        f'SELECT instrument_key, count(*) AS "rows", count_if({differs}) > 0 AS diverges '
        "FROM joined GROUP BY instrument_key"
    ).fetchall()
    instruments = diverging_first(
        {name: count for name, count, _ in counted},
        {name for name, _, diverges in counted if diverges},
        ROWS_DIAGNOSED,
    )
    connection.register("chosen", pyarrow.table({"chosen_key": instruments}))
    frame = connection.execute(
        f"SELECT {', '.join(selected)} FROM joined "
        "WHERE instrument_key IN (SELECT chosen_key FROM chosen) "
        f"ORDER BY {', '.join(map(quoted_identifier, _series_and_moments(table)))}"
    ).df()
    return _sides(table, frame, diverging, rows, len(counted))


def _series_and_moments(table: Table) -> list[str]:
    """The key in the order in which the recognisers want rows."""
    moments = [name for name in table.key if table.column(name).kind in (*MOMENTS, *NUMERIC)]
    return [*(name for name in table.key if name not in moments), *moments]


def _sides(
    table: Table, frame: pd.DataFrame, diverging: list[str], rows: RowCounts, instruments: int
) -> Sides:
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
