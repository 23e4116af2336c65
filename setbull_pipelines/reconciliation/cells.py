"""The cells of one column that differ, of two sides with the same keys in the same order.

Belongs here: how far apart two cells are and whether the tolerance allows it, as ``columns`` says it in SQL. Does not
belong here: which rows differ (``aligned``), counting and telling them (``few_differences``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow

from setbull_pipelines.reconciliation.aligned import differing_cells
from setbull_pipelines.reconciliation.outcome import NUMERIC
from setbull_pipelines.tables.contract import EXACT, Column, Kind

_LOWEST = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Cells:
    """The differing cells of one column; of other kinds than numbers all differences are NaN."""

    places: np.ndarray
    """Their rows among those that were given."""
    unequal: np.ndarray
    one_sided: np.ndarray
    """Null on one side: without a difference."""
    above: np.ndarray
    """Whether V2 is the larger."""
    absolute: np.ndarray
    relative: np.ndarray
    ulps: np.ndarray
    measured: np.ndarray
    """The difference as the tolerance measures it."""


def cells_of(column: Column, *sides: pyarrow.Array) -> Cells:
    """Return the cells of ``column`` that differ, of V1 and V2."""
    places = np.flatnonzero(differing_cells(column, *sides))
    if column.kind not in NUMERIC:
        nothing = np.full(len(places), np.nan)
        never, always = np.zeros(len(places), dtype=bool), np.ones(len(places), dtype=bool)
        is_null = [side.is_null().to_numpy(zero_copy_only=False)[places] for side in sides]
        one_sided = is_null[0] | is_null[1]
        return Cells(places, always, one_sided, never, nothing, nothing, nothing, nothing)
    if column.kind is Kind.FLOAT:
        v1, v2 = (side.to_numpy(zero_copy_only=False)[places] for side in sides)
        one_sided = np.isnan(v1) | np.isnan(v2)
        with np.errstate(over="ignore", invalid="ignore"):
            absolute = np.abs(v1 - v2)
        ulps = np.where(one_sided, np.nan, _apart(_float_numbers(v1), _float_numbers(v2)))
        larger = np.maximum(np.abs(v1), np.abs(v2))
    else:
        is_null = [side.is_null().to_numpy(zero_copy_only=False)[places] for side in sides]
        one_sided = is_null[0] | is_null[1]
        v1, v2 = (
            side.cast(pyarrow.int64()).fill_null(0).to_numpy(zero_copy_only=False)[places]
            for side in sides
        )
        absolute = np.where(one_sided, np.nan, _apart(v1, v2))
        ulps = np.full(len(places), np.nan)
        larger = np.maximum(np.abs(v1.astype(np.float64)), np.abs(v2.astype(np.float64)))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        relative = np.where(np.isinf(absolute), absolute, absolute / larger)
        unequal, measured = _judged(column, absolute, larger)
        above = v2 > v1
    return Cells(places, unequal, one_sided, above, absolute, relative, ulps, measured)


def _judged(
    column: Column, absolute: np.ndarray, larger: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Whether cells that differ are unequal, and their difference as the tolerance measures it."""
    tolerance = column.tolerance
    measured = np.full(len(absolute), np.nan)
    if tolerance.relative:
        measured = absolute / (larger + tolerance.absolute / tolerance.relative)
    if tolerance == EXACT:
        return np.ones(len(absolute), dtype=bool), measured
    return ~tolerance.allows(absolute, larger), measured


def _float_numbers(values: np.ndarray) -> np.ndarray:
    """The position of floats among all floats; neighbours differ by 1."""
    bits = values.view(np.int64)
    return np.where(bits < 0, _LOWEST - bits, bits)


def _apart(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """How far integers are apart: that can need more bits than they have."""
    larger, smaller = np.maximum(left, right), np.minimum(left, right)
    return (larger.view(np.uint64) - smaller.view(np.uint64)).astype(np.float64)
