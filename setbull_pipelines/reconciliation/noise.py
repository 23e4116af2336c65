"""The noise floor of a result: how far V1 is from itself when only the way of computing it changes.

Belongs here: what a comparison of V1 with V1 says about a comparison of V1 with V2. Does not belong here: computing V1
(``pipeline/noise.py``), comparing (``compare``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pandas as pd

from setbull_pipelines.reconciliation.outcome import Comparison, all_equal
from setbull_pipelines.tables.contract import Table
from setbull_pipelines.tables.reconciliation import DIVERGED, NOT_COMPARABLE, PASS


@dataclass(frozen=True)
class NoiseFloor:
    """V1 of a small sample of instruments, computed twice in different ways."""

    cells: int
    largest_relative_difference: float | None
    """None without a numeric column."""
    largest_ulp_difference: float | None
    """None without a float column."""
    excess: str | None
    """Why the two differ by more than the tolerance of a column, or in their rows; None when they do not."""
    by_column: Mapping[str, float]
    """Largest difference within the tolerance, by column that has one, measured as the tolerance is."""


def measured(v1_against_v1: Comparison) -> NoiseFloor | None:
    """Read the noise floor off a comparison of V1 with itself; None when nothing could be compared."""
    if v1_against_v1.state == NOT_COMPARABLE:
        return None
    columns = v1_against_v1.columns
    return NoiseFloor(
        int(columns["cells_compared"].sum()),
        _largest(columns["largest_relative_difference"]),
        _largest(columns["largest_ulp_difference"]),
        v1_against_v1.reason if v1_against_v1.state == DIVERGED else None,
        columns.set_index("column_name")["largest_within_tolerance"].dropna().to_dict(),
    )


def without_noise(table: Table, rows: int) -> NoiseFloor:
    """What :func:`measured` reads off two results of ``rows`` rows, at least one, that are the same value by value."""
    equal = [all_equal(column, rows) for column in table.value_columns]
    relative, ulps = (
        _largest(pd.Series([getattr(column, name) for column in equal], dtype="float64"))
        for name in ("largest_relative_difference", "largest_ulp_difference")
    )
    return NoiseFloor(rows * len(equal), relative, ulps, None, {})


def with_noise(comparison: Comparison, floor: NoiseFloor | None) -> Comparison:
    """Record the noise floor with a result.

    Where V1 differs from itself by more than the tolerance, agreement with it is luck: a pass becomes
    'not comparable'. A divergence stays one, because noise in some cells must not hide a fault in others.
    """
    if floor is None:
        return comparison
    state, reason = comparison.state, comparison.reason
    if floor.excess is not None:
        state = NOT_COMPARABLE if state == PASS else state
        reason = f"{reason}; but V1 computed in another order differs from itself: {floor.excess}"
    summary = comparison.summary.assign(
        state=pd.array([state], dtype="str"),
        state_of_compared=pd.array([state], dtype="str"),
        reason=pd.array([reason], dtype="str"),
        noise_floor_cells=pd.array([floor.cells], dtype="Int64"),
        noise_floor_relative=floor.largest_relative_difference,
        noise_floor_ulp=floor.largest_ulp_difference,
    )
    summary = summary.astype({"noise_floor_relative": "float64", "noise_floor_ulp": "float64"})
    return replace(comparison, summary=summary, state=state, reason=reason)


def _largest(differences: pd.Series) -> float | None:
    largest = differences.max()
    return None if pd.isna(largest) else float(largest)
