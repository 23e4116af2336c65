"""Recognisers of a decision at a limit.

Belongs here: flags, labels and counts that differ where a number is equal to a limit. Does not belong here: values that
stop at a limit (``value_shapes``).
"""

from __future__ import annotations

import numpy as np

from setbull_pipelines.reconciliation.finding import FEW, Finding, column_shape
from setbull_pipelines.reconciliation.sides import Difference, close_to
from setbull_pipelines.tables.contract import Kind

_NUMBERS = (Kind.FLOAT, Kind.INTEGER, Kind.NULLABLE_INTEGER)


@column_shape("value equal to a limit", FEW)
def equal_to_a_limit(difference: Difference) -> Finding | None:
    """A decision differs exactly where a number of the row is equal to a limit.

    A number must be the same in all unequal rows, and in fewer of the others; these must lie on both sides.
    """
    if difference.column.kind is Kind.FLOAT or difference.cells < FEW:
        return None
    for column in difference.sides.table.value_columns:
        if column.kind not in _NUMBERS or column == difference.column:
            continue
        values = difference.sides.v1(column.name)
        limit = values[difference.unequal][0]
        is_equal = close_to(values, np.full(len(values), limit))
        others = values[~difference.unequal]
        if np.isnan(limit) or not is_equal[difference.unequal].all():
            continue
        if is_equal[~difference.unequal].sum() >= difference.cells:
            continue
        if not (others < limit).any() or not (others > limit).any():
            continue
        return Finding(
            f"differs only where {column.name} is {limit:g}: one side takes the limit in, the other does not",
            {"rows with this value": int(is_equal.sum())},
        )
    return None


LIMIT_SHAPES = (equal_to_a_limit,)
