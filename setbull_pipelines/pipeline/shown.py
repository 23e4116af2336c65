"""Rows as readers are shown them: rounded, and as JSON values.

Belongs here: what the API and the events of live bars have in common. Does not belong here: which rows (``api/``,
``candle_events``), the texts of reports (``reporting/``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

DECIMALS, RATIO_DECIMALS = 2, 4
_RATIOS = (
    *("bb_width_normalized", "bb_width_normalized_percentage"),
    "distance_from_lowest_percent",
)


def as_shown(rows: pd.DataFrame) -> pd.DataFrame:
    """``rows`` with every float rounded: ratios to 4 decimals, prices and indicators to 2."""
    return rows.assign(
        **{
            name: rounded(rows[name].to_numpy(), RATIO_DECIMALS if name in _RATIOS else DECIMALS)
            for name in rows.select_dtypes("float64").columns
        }
    )


def rounded(values: np.ndarray, decimals: int) -> np.ndarray:
    """Halves away from zero, as the replaced system rounded.

    What differs in the last digits of a float is the same: V1 and V2 must not give readers 10.00 and 10.01.
    """
    scaled = np.round(np.abs(values) * 10**decimals, 6)
    away: np.ndarray = np.copysign(np.floor(scaled + 0.5) / 10**decimals, values)
    return away


def plain(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON values: null where there is none, moments as text with their offset, dates as dates."""
    shown = {}
    for name, column in rows.items():
        if isinstance(column.dtype, pd.DatetimeTZDtype):
            texts = [None if moment is pd.NaT else moment.isoformat() for moment in column]
        elif column.dtype.kind == "M":
            texts = [None if day is pd.NaT else f"{day:%Y-%m-%d}" for day in column]
        else:
            values = column.astype("object")
            texts = values.where(column.notna(), None).tolist()
        shown[name] = texts
    names = list(shown)
    return [dict(zip(names, row, strict=True)) for row in zip(*shown.values(), strict=True)]
