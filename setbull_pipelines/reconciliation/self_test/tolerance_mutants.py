"""Deviations just beyond what each column may differ by, so that a loosened tolerance is noticed.

Belongs here: how far V2 may be from V1, written down a second time on purpose. It must not be read from the contracts:
a self-test that takes its limits from them would loosen with them. Does not belong here: any other fault.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from setbull_pipelines.reconciliation.self_test.market import AS_OF, Market
from setbull_pipelines.reconciliation.self_test.mutant import Register, Wrong
from setbull_pipelines.tables import COMPUTED_TABLES, Table
from setbull_pipelines.tables.contract import Column, Kind

_REGISTER = Register()
MUTANTS = _REGISTER.mutants
RELATIVE = 1e-9
"""Part of a value by which a float may differ."""
TO_THE_LAST_BIT = (
    *("open", "high", "low", "close", "unexplained_gap"),
    *("ema_threshold", "rsi_threshold", "mamba_threshold"),
)
"""Floats that are chosen, never computed: they may not differ at all. Neither may whole numbers."""
ABSOLUTE = {
    **dict.fromkeys(("distance_from_lowest_percent", "alert_distance_percent"), 2e-7),
    **dict.fromkeys(
        (
            *("strength", "mamba_strength", "return_percent", "average_return_percent"),
            *("success_rate", "continuation_rate", "ema_deviation"),
            *("length_score", "strength_score", "consistency_score", "quality_score"),
            *("continuity_score", "predictive_score", "momentum_score", "volume_strength"),
            *("volume_trend", "volume_trend_relative", "volume_consistency"),
        ),
        1e-12,
    ),
}
"""What is allowed on top of it, by column: a difference of numbers near 1 keeps their absolute rounding error."""
_WITHOUT_A_VALUE = ("unexplained_gap",)
"""The sample has no gap that a corporate action does not explain."""
_WHOLE_NUMBERS = (Kind.INTEGER, Kind.NULLABLE_INTEGER)


def beyond(column: Column, value: float) -> float:
    """Return the value of V2 that is twice as far from V1's ``value`` as the column may be."""
    if column.kind in _WHOLE_NUMBERS:
        return value + 1
    if column.name in TO_THE_LAST_BIT:
        return np.nextafter(value, np.inf)
    return value + 2 * (RELATIVE * abs(value) + ABSOLUTE.get(column.name, 0.0))


def judged_columns(table: Table) -> list[Column]:
    """The columns of numbers with a value in the sample; no tolerance can be put on a text, a flag or a day."""
    return [
        column
        for column in table.value_columns
        if column.kind in (Kind.FLOAT, *_WHOLE_NUMBERS) and column.name not in _WITHOUT_A_VALUE
    ]


def _deviating(table: Table) -> Wrong:
    def wrong(v2: Market) -> pd.DataFrame:
        """One cell of the last session in every column, that with the largest value."""
        changed = v2[table.name].copy()
        is_last = changed["trading_day"] == AS_OF
        for column in judged_columns(table):
            row = changed.loc[is_last, column.name].astype("float64").abs().idxmax()
            changed.loc[row, column.name] = beyond(column, changed.at[row, column.name])
        return changed

    return wrong


for _table in COMPUTED_TABLES:
    _REGISTER.wrong(
        f"one cell of every number of {_table.name} just beyond its tolerance",
        _table,
        "single cell",
        *(column.name for column in judged_columns(_table)),
    )(_deviating(_table))
