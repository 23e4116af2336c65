"""What comes out of a comparison: counts, verdict and the frames that are stored.

Belongs here: the outcome of comparing one table on one trading day, and what state it is in. Does not belong here:
comparing (``compare``), judging what is inside the tolerance (``drift``), text for readers (``report``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from setbull_pipelines.reconciliation.diagnosis import Diagnosis
from setbull_pipelines.tables.contract import EXACT, Column, Kind, Table
from setbull_pipelines.tables.reconciliation import (
    DIVERGED,
    NOT_COMPARABLE,
    PASS,
    RECONCILIATION_CELLS,
    RECONCILIATION_DIAGNOSES,
    RECONCILIATION_SUMMARY,
    RECONCILIATIONS,
)

CAUSES_IN_REASON = 3
"""Likely causes named in the reason of a verdict; all of them are in the diagnosis table."""
NUMERIC = (Kind.FLOAT, Kind.INTEGER, Kind.NULLABLE_INTEGER)


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
class RowCounts:
    v1: int
    v2: int
    only_v1: int
    only_v2: int
    instruments: int = 0
    """Instruments with a row on both sides."""


@dataclass(frozen=True)
class ColumnCounts:
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
    largest_within_tolerance: float | None = None
    cells_above: int = 0
    cells_below: int = 0
    instruments_affected: int = 0
    worst_key: str | None = None
    worst_v1: str | None = None
    worst_v2: str | None = None


def all_equal(column: Column, cells: int) -> ColumnCounts:
    """Return the counts of a column without a difference; a largest difference needs a cell."""
    largest = 0.0 if cells and column.kind in NUMERIC else None
    return ColumnCounts(
        cells,
        largest_absolute_difference=largest,
        largest_relative_difference=largest,
        largest_ulp_difference=largest if column.kind is Kind.FLOAT else None,
    )


def judged(
    rows: RowCounts,
    counts: dict[str, ColumnCounts],
    missing: Sequence[str],
    identical: bool,
) -> tuple[str, str]:
    """Return the state and the reason for it; ``missing`` names the sides for which nothing is stored."""
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


def causes_in_words(diagnoses: tuple[Diagnosis, ...]) -> str:
    shown = "; ".join(f"{found.name} in {found.sentence}" for found in diagnoses[:CAUSES_IN_REASON])
    more = len(diagnoses) - CAUSES_IN_REASON
    return f"{shown}; and {more} more" if more > 0 else shown


def diagnoses_frame(
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


def columns_frame(
    table: Table, day: pd.Timestamp, rows: RowCounts, counts: dict[str, ColumnCounts]
) -> pd.DataFrame:
    contract = RECONCILIATIONS[table.name]
    records = [
        {
            "column_name": column.name,
            "trading_day": day,
            "tolerance": column.tolerance.name,
            "relative_tolerance": column.tolerance.relative,
            "absolute_tolerance": column.tolerance.absolute,
            # Judged apart from the comparison, see ``drift``.
            "noise_floor": None,
            "warning": None,
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


def cells_frame(table: Table, day: pd.Timestamp, cells: list[pd.DataFrame]) -> pd.DataFrame:
    contract = RECONCILIATION_CELLS[table.name]
    if not any(len(frame) for frame in cells):
        return contract.empty()
    return contract.conform(pd.concat(cells, ignore_index=True).assign(trading_day=day))


def summary_frame(
    table: Table,
    day: pd.Timestamp,
    rows: RowCounts,
    counts: dict[str, ColumnCounts],
    state: str,
    reason: str,
) -> pd.DataFrame:
    diverged = [name for name, column in counts.items() if column.cells_unequal]
    record = {
        "table_name": table.name,
        "trading_day": day,
        "state": state,
        "reason": reason,
        # Instruments are left out before files are compared, by ``pipeline/compared.py``.
        "state_of_compared": state,
        "instruments_left_out": 0,
        **_row_counts(rows),
        "cells_compared": sum(column.cells_compared for column in counts.values()),
        "cells_unequal": sum(column.cells_unequal for column in counts.values()),
        "null_differences": sum(column.null_differences for column in counts.values()),
        "cells_expected": rows.v1 * len(counts),
        "columns_diverged": ",".join(diverged) or None,
        "tolerances": _tolerances(table),
        # Measured and judged apart from the comparison, see ``noise`` and ``drift``.
        "warning": None,
        **dict.fromkeys(("noise_floor_cells", "noise_floor_relative", "noise_floor_ulp")),
    }
    return RECONCILIATION_SUMMARY.conform(pd.DataFrame([record]))


def _tolerances(table: Table) -> str:
    """Every tolerance that a column of the table is compared with, in words."""
    in_force = {column.tolerance.name: column.tolerance for column in table.value_columns}
    return "; ".join(
        tolerance.name
        if tolerance == EXACT
        else f"{tolerance.name} {tolerance.relative:g} + {tolerance.absolute:g}"
        for tolerance in in_force.values()
    )


def _row_counts(rows: RowCounts) -> dict[str, int]:
    return {
        "rows_v1": rows.v1,
        "rows_v2": rows.v2,
        "rows_only_v1": rows.only_v1,
        "rows_only_v2": rows.only_v2,
    }
