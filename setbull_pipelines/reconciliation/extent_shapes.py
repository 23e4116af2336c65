"""Recognisers of how far a difference reaches, when its values say nothing.

Belongs here: one cell, one row, one instrument. Does not belong here: shapes of values and of time.
"""

from __future__ import annotations

import numpy as np

from setbull_pipelines.reconciliation.finding import LITERAL, Finding, column_shape
from setbull_pipelines.reconciliation.sides import Difference


def _cell(difference: Difference) -> str:
    row = difference.sides.matched.iloc[int(np.argmax(difference.unequal))]
    return ", ".join(f"{name}={row[name]}" for name in difference.sides.table.key)


@column_shape("single row", LITERAL)
def single_row(difference: Difference) -> Finding | None:
    """One row differs, in several columns.

    All diverging columns must differ in the same single row.
    """
    sides = difference.sides
    flags = sides.matched[[f"unequal_{name}" for name in sides.diverging]].to_numpy("bool")
    if len(sides.diverging) < 2 or flags.any(axis=1).sum() != 1:
        return None
    return Finding(f"one row differs ({_cell(difference)})")


@column_shape("single cell", LITERAL)
def single_cell(difference: Difference) -> Finding | None:
    """One cell differs.

    The column must have one unequal cell.
    """
    if difference.cells != 1:
        return None
    return Finding(f"one cell differs ({_cell(difference)})", {"cells": len(difference.v1)})


@column_shape("single instrument", LITERAL)
def single_instrument(difference: Difference) -> Finding | None:
    """Only one of several instruments differs.

    All unequal cells must belong to one instrument.
    """
    affected = set(difference.sides.instrument[difference.unequal].tolist())
    if len(affected) != 1 or difference.sides.instruments < 2:
        return None
    return Finding(
        f"only {affected.pop()} differs", {"of instruments": difference.sides.instruments}
    )


EXTENT_SHAPES = (single_row, single_cell, single_instrument)
"""From specific to general."""
