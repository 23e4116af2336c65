"""Recognisers of values that went through a narrower number.

Belongs here: decimals, single precision. Does not belong here: other relations to V1 (``value_shapes``).
"""

from __future__ import annotations

import numpy as np

from setbull_pipelines.reconciliation.finding import FEW, Finding, column_shape
from setbull_pipelines.reconciliation.sides import Difference, close_to

_SINGLE_STEP = 2.0**-23
"""The distance of a float32 from the next one, as a part of it."""


@column_shape("rounding to float32", FEW)
def single_precision(difference: Difference) -> Finding | None:
    """V2 went through float32.

    V2 must be a float32 in every row of the affected series, and at most one step of it from V1.

    Of other floats one in 500 million is a float32; whole numbers and short decimals of a price are not told
    apart by this, and are no float32 that V1 is beside.
    """
    pairs = difference.pairs(FEW)
    if pairs is None or difference.is_whole_number:
        return None
    rows = np.concatenate(difference.affected_series)
    values = difference.v2[rows][~difference.null2[rows]]
    if not (values.astype(np.float32).astype(np.float64) == values).all():
        return None
    distance = np.abs(pairs[1] - pairs[0])
    if (distance > _SINGLE_STEP * np.abs(pairs[0])).any():
        return None
    relative = float((distance / np.abs(pairs[1])).max())
    return Finding("V2 is V1 rounded to a float32", {"largest relative difference": relative})


@column_shape("rounding", FEW)
def rounding(difference: Difference) -> Finding | None:
    """V2 is V1 rounded to a number of decimals.

    V2 must have d decimals everywhere and be at most half a unit of the last from V1.
    """
    pairs = difference.pairs(FEW)
    if pairs is None:
        return None
    largest = float(np.abs(pairs[1] - pairs[0]).max())
    for decimals in range(9):
        unit = 10.0**-decimals
        if not close_to(difference.v2, np.round(difference.v2, decimals)).all():
            continue
        if largest <= unit / 2 * (1 + 1e-6) and largest > unit / 100:
            return Finding(f"V2 is rounded to {decimals} decimals", {"largest difference": largest})
    return None


ROUNDING_SHAPES = (single_precision, rounding)
"""From specific to general."""
