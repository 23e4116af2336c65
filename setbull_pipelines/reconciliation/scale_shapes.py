"""Recognisers of another column at another scale.

Belongs here: scaling between a lowest and a highest value. Does not belong here: factors and bases (``value_shapes``).
"""

from __future__ import annotations

import numpy as np

from setbull_pipelines.reconciliation.finding import FEW, Finding, column_shape
from setbull_pipelines.reconciliation.sides import Difference, close_to

_POINTS = 10
"""Values of a series below which a straight line through them says little."""


@column_shape("minimum-maximum scale", FEW)
def minimum_maximum_scale(difference: Difference) -> Finding | None:
    """V2 is another column scaled to 0 at its smallest and 1 at its largest value of the series.

    Scale every float column of V1 per series and compare.
    """
    if not difference.is_number or difference.valued.sum() < FEW:
        return None
    for column in difference.sides.table.value_columns:
        if column.kind is not difference.column.kind:
            continue
        values = difference.sides.v1(column.name)
        if all(
            _is_scaled(values[rows], difference.v2[rows]) for rows in difference.affected_series
        ):
            return Finding(
                f"V2 is {column.name} between a lowest and a highest value of each series, from 0 to 1",
                {"series": len(difference.affected_series)},
            )
        if all(
            close_to(difference.v2[rows], _scaled(values[rows])).all()
            for rows in difference.affected_series
        ):
            return Finding(
                f"V2 is {column.name} scaled between its minimum and maximum of the series"
            )
    return None


def _is_scaled(values: np.ndarray, found: np.ndarray) -> bool:
    """Whether ``found`` is a straight line over ``values`` from 0 to 1, whatever the range is."""
    if (np.isnan(values) != np.isnan(found)).any():
        return False
    known, line = values[~np.isnan(values)], found[~np.isnan(found)]
    if len(np.unique(known)) < _POINTS or line.min() < 0 or line.max() > 1:
        return False
    slope, start = np.polyfit(known, line, 1)
    return bool(slope > 0 and np.allclose(line, start + slope * known, rtol=0, atol=1e-9))


def _scaled(values: np.ndarray) -> np.ndarray:
    known = values[~np.isnan(values)]
    if not len(known) or known.min() == known.max():
        return values * np.nan
    return (values - known.min()) / (known.max() - known.min())


SCALE_SHAPES = (minimum_maximum_scale,)
