"""A mutant as production sees it: the rows of one trading day, without those before and after.

Belongs here: which day shows a fault, and what the comparison of that day alone says. Does not belong here: mutants,
the comparison of all days at once (``score``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from setbull_pipelines.reconciliation.diagnosis import UNKNOWN
from setbull_pipelines.reconciliation.extent_shapes import EXTENT_SHAPES
from setbull_pipelines.reconciliation.outcome import Comparison
from setbull_pipelines.reconciliation.self_test.market import AS_OF, SESSIONS
from setbull_pipelines.reconciliation.self_test.mutant import Mutant
from setbull_pipelines.tables import Table
from setbull_pipelines.tables.contract import Kind
from setbull_pipelines.tables.reconciliation import DIVERGED

_CAUSELESS = (UNKNOWN, *(shape.name for shape in EXTENT_SHAPES))
"""Diagnoses that claim no cause."""


@dataclass(frozen=True)
class OneDay:
    """What the comparison of one trading day said about a mutant."""

    trading_day: pd.Timestamp
    """The last session, which is an ordinary one, if it shows the fault; else the first that does."""
    state: str
    expected: Mapping[str, str]
    """Name of the diagnosis that each diverging column deserves."""
    found: Mapping[str, str]

    @property
    def is_ordinary(self) -> bool:
        """Whether an ordinary day shows the fault; else only an earlier one does, such as the first of a series."""
        return self.trading_day == AS_OF

    @property
    def is_caught(self) -> bool:
        """Whether the day diverged, and in no column that is right."""
        return self.state == DIVERGED and bool(self.found) and set(self.found) <= set(self.expected)

    @property
    def is_named(self) -> bool:
        """Whether every column found got the diagnosis that it deserves."""
        return self.is_caught and not any(
            self._is_other(column, name) for column, name in self.found.items()
        )

    @property
    def is_misnamed(self) -> bool:
        """Whether a wrong cause was claimed; to claim none is no error."""
        return self.is_caught and any(
            self._is_other(column, name) and name not in _CAUSELESS
            for column, name in self.found.items()
        )

    def _is_other(self, column: str, name: str) -> bool:
        # A fault without a known cause is one cell, row or instrument on a day that shows no more of it.
        expected = self.expected[column]
        return name != expected and not (name in _CAUSELESS and expected in _CAUSELESS)


def diagnoses_of(comparison: Comparison) -> dict[str, str]:
    """Name of the diagnosis by column."""
    return {
        column: row.diagnosis
        for row in comparison.diagnoses.itertuples()
        for column in row.column_names.split(",")
    }


def on_one_day(
    mutant: Mutant,
    v1: pd.DataFrame,
    right: pd.DataFrame,
    wrong: pd.DataFrame,
    compared: Callable[[pd.DataFrame, pd.DataFrame], Comparison],
) -> OneDay | None:
    """Compare the day that shows the fault; None when no session of the sample does.

    ``right`` and ``wrong`` are the table of V2 without and with the fault, ``compared`` compares V1 with V2.
    """
    for day in (AS_OF, *SESSIONS):
        v1_rows, right_rows, wrong_rows = (
            frame[frame["trading_day"] == day].reset_index(drop=True)
            for frame in (v1, right, wrong)
        )
        if _differ(mutant.table, right_rows, wrong_rows):
            found = compared(v1_rows, wrong_rows)
            expected = {**mutant.diagnoses, **mutant.of_one_day}
            return OneDay(day, found.state, expected, diagnoses_of(found))
    return None


def _differ(table: Table, right: pd.DataFrame, wrong: pd.DataFrame) -> bool:
    """Whether the fault changes a cell by more than a column may differ, or the rows."""
    if not wrong[list(table.key)].equals(right[list(table.key)]):
        return True
    for column in table.value_columns:
        one, other = right[column.name], wrong[column.name]
        if column.kind is not Kind.FLOAT:
            differs = not one.equals(other)
        else:
            apart, larger = (one - other).abs(), np.maximum(one.abs(), other.abs())
            is_near = apart.isna() | column.tolerance.allows(apart, larger)
            differs = not is_near.all() or not one.isna().equals(other.isna())
        if differs:
            return True
    return False
