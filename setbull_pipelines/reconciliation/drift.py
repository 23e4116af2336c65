"""What a verdict must warn of although every cell agrees: differences that rounding does not explain, and none at all.

Belongs here: judging the differences inside the tolerance against the noise floor. Does not belong here: comparing
(``compare``), measuring the noise floor (``noise``), checks (``quality/``).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd

from setbull_pipelines.reconciliation.noise import NoiseFloor
from setbull_pipelines.reconciliation.outcome import Comparison
from setbull_pipelines.reconciliation.rows import Rows, values_in
from setbull_pipelines.tables.contract import Table
from setbull_pipelines.tables.reconciliation import NOT_COMPARABLE, PASS

ROUNDING = 2.0**-52
"""The distance of a float from the next one, as a part of it: the least that a noise floor can be."""
FAR = 10_000
"""Noise floors from which on a difference is no rounding.

In 151,000 real 5-minute bars and 20,000 daily ones the largest difference of V2 is 1,000 times the rounding of a float
(a lower band near 0), and less than 30 times in all other columns.
"""
BEYOND_ROUNDING = 64 * ROUNDING
"""Differences above this are counted by their sign. Below it one sign is no drift: the rounding of a recursion stays
on the side where it began (in the same bars V2's ATR is above V1's in 97 of 100 cells, by up to 10 floats)."""
NO_CHANCE = 20
"""Differences that chance gives one sign once in half a million times."""
ROUNDED_APART = {
    "indicators_5min": ("rsi", "atr"),
    "indicators_daily": ("rsi", "atr"),
}
"""Columns that V1 and V2 add up in another order, by table: most of their cells differ in the last bits."""
_LEAST_CELLS = 50
"""Values of these columns below which bits that are all equal say nothing."""


def with_warnings(
    comparison: Comparison, table: Table, floor: NoiseFloor | None, v1: Rows | None
) -> Comparison:
    """Tell what is wrong inside the tolerance: in the columns, in the verdict and in the reason of a pass.

    A column drifts when its largest difference within the tolerance is ``FAR`` times its noise floor, or when 20 cells
    or more differ by more than rounding and all to one side. The state stays. Bits that are equal in every cell of
    columns that are known to be rounded apart are named in the reason; nothing says that they are wrong.
    """
    if comparison.state == NOT_COMPARABLE:
        return comparison
    floors = comparison.columns["column_name"].map(dict(floor.by_column) if floor else {})
    # Exact columns have no noise: whatever differs there is a fault.
    is_tolerant = comparison.columns["relative_tolerance"] > 0
    measured = floors.astype("float64").fillna(0.0).clip(lower=ROUNDING).where(is_tolerant)
    columns = comparison.columns.assign(
        noise_floor=measured if floor else float("nan"),
        warning=pd.array(
            [
                _warning(row, ROUNDING if pd.isna(noise) else noise, is_measured=floor is not None)
                for row, noise in zip(comparison.columns.itertuples(), measured, strict=True)
            ],
            dtype="str",
        ),
    )
    warnings = columns["warning"].dropna().tolist()
    reason = comparison.reason
    if comparison.state == PASS:
        for told in (*warnings, _equal_bits(comparison, table, v1)):
            reason = f"{reason}; {told}" if told else reason
    summary = comparison.summary.assign(
        reason=pd.array([reason], dtype="str"),
        warning=pd.array(["; ".join(warnings) or None], dtype="str"),
    )
    return replace(comparison, columns=columns, summary=summary, reason=reason)


def _warning(row: Any, floor: float, *, is_measured: bool) -> str | None:
    """The sentence about one column; None when rounding explains what differs."""
    largest = row.largest_within_tolerance
    if pd.isna(largest):
        return None
    cells = row.cells_above + row.cells_below
    is_far = largest > FAR * floor
    is_one_sided = cells >= NO_CHANCE and 0 in (row.cells_above, row.cells_below)
    if not is_far and not (is_one_sided and largest > BEYOND_ROUNDING / ROUNDING * floor):
        return None
    side, share = (
        ("above", row.cells_above)
        if row.cells_above >= row.cells_below
        else ("below", row.cells_below)
    )
    measured = "measured" if is_measured else "not measured, rounding of a float"
    return (
        f"warning: {row.column_name} drifts inside its tolerance of {row.relative_tolerance:g}: largest difference "
        f"{largest:.2g}, noise floor {floor:.2g} ({measured}), V2 {side} V1 in {share / cells:.0%} of {cells:,} cells "
        "that differ by more than rounding"
    )


def _equal_bits(comparison: Comparison, table: Table, v1: Rows | None) -> str | None:
    """The sentence about columns without a difference in the last bit where there always are some; None elsewhere."""
    names = ROUNDED_APART.get(table.name, ())
    columns = comparison.columns[comparison.columns["column_name"].isin(names)]
    if not names or (columns["cells_identical"] < columns["cells_compared"]).any():
        return None
    values = sum(values_in(v1, name) for name in names)
    if values < _LEAST_CELLS:
        return None
    return (
        f"V2 has V1's bits in all {values:,} values of {' and '.join(names)}, which the two variants round "
        "differently: was V2 computed by its own code?"
    )
