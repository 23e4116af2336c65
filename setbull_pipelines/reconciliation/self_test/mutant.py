"""What a mutant is, and formulas that several wrong ones need.

Belongs here: the type, the register of a module, building blocks of wrong formulas. Does not belong
here: the mutants themselves (``*_mutants``), running them (``score``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from setbull_pipelines.reconciliation.self_test.market import Market
from setbull_pipelines.tables import Table

AS_OF_TABLES = (
    *("moves_daily", "sequences", "sequence_analysis", "sequence_patterns"),
    "filter_results",
)
"""Tables that are made anew for an as-of day: the sample holds one day of them, as production compares."""
Columns = Mapping[str, object]
Wrong = Callable[[Market], Columns | pd.DataFrame]


@dataclass(frozen=True)
class Mutant:
    """One wrong detail in one table of V2, and what must be found."""

    name: str
    table: Table
    diagnoses: Mapping[str, str]
    """Name of the diagnosis by column that must diverge; '(row)' for rows."""
    wrong: Wrong
    """The columns it replaces, or the whole table, from all tables of V2."""
    of_one_day: Mapping[str, str] = field(default_factory=dict)
    """Diagnoses by column that one trading day deserves where it shows less of the fault than all days do."""

    @property
    def has_days(self) -> bool:
        """Whether production compares the table in pieces: the rows of one trading day at a time."""
        return self.table.name not in AS_OF_TABLES

    def applied_to(self, v2: Market) -> pd.DataFrame:
        """Return the wrong table."""
        changed = self.wrong(v2)
        if isinstance(changed, pd.DataFrame):
            return changed[self.table.column_names]
        return self.table.conform(v2[self.table.name].assign(**changed))


@dataclass(frozen=True)
class Register:
    """The mutants of one module, in order."""

    mutants: list[Mutant] = field(default_factory=list)

    def wrong(
        self,
        name: str,
        table: Table,
        diagnosis: str,
        *columns: str,
        others: Mapping[str, str] | None = None,
        of_one_day: Mapping[str, str] | None = None,
    ) -> Callable[[Wrong], Wrong]:
        """Register a wrong formula, the columns that must diverge and their diagnosis."""

        def register(wrong: Wrong) -> Wrong:
            diagnoses = {**dict.fromkeys(columns, diagnosis), **(others or {})}
            self.mutants.append(Mutant(name, table, diagnoses, wrong, of_one_day or {}))
            return wrong

        return register


def each(bars: pd.DataFrame, formula: Callable[[pd.DataFrame], pd.Series]) -> pd.Series:
    """Apply ``formula`` to the bars of one series at a time."""
    keys = [name for name in ("instrument_key", "series") if name in bars]
    return pd.concat([formula(group) for _, group in bars.groupby(keys)])


def of_closes(bars: pd.DataFrame, formula: Callable[[pd.Series], pd.Series]) -> pd.Series:
    """Apply ``formula`` to the closes of one series at a time."""
    return each(bars, lambda group: formula(group["close"]))


def averages(
    bars: pd.DataFrame,
    periods: Mapping[str, int],
    average: Callable[[pd.Series, int], pd.Series],
) -> dict[str, pd.Series]:
    """Apply ``average`` to the closes of one series at a time, with each of the ``periods``."""

    def of(period: int) -> pd.Series:
        return of_closes(bars, lambda closes: average(closes, period))

    return {name: of(period) for name, period in periods.items()}


def ema(values: pd.Series, seed: float, first: int, period: int) -> pd.Series:
    """Exponential mean that is ``seed`` at position ``first`` and null before."""
    result = [np.nan] * first + [seed]
    for value in values.iloc[first + 1 :]:
        result.append(result[-1] + 2 / (period + 1) * (value - result[-1]))
    return pd.Series(result[: len(values)], index=values.index)


def wilder(values: pd.Series, first: int) -> pd.Series:
    """Wilder mean over 14, seeded at position 14 with the mean of ``values[first:15]``."""
    result = values * np.nan
    if len(values) > 14:
        result.iloc[14] = values.iloc[first:15].mean()
    for position in range(15, len(values)):
        result.iloc[position] = (13 * result.iloc[position - 1] + values.iloc[position]) / 14
    return result
