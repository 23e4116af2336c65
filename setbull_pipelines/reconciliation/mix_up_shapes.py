"""Recognisers of values of another series of the same instrument.

Belongs here: daily series mixed up. Does not belong here: values of other instruments or bars (``time_shapes``).
"""

from __future__ import annotations

from setbull_pipelines.reconciliation.finding import FEW, Finding, column_shape
from setbull_pipelines.reconciliation.sides import Difference, close_to


@column_shape("series mix-up", FEW)
def series_mix_up(difference: Difference) -> Finding | None:
    """V2 holds the value of the other daily series.

    V2 must equal V1 of the row with the same key but another series.
    """
    sides = difference.sides
    if "series" not in sides.table.key or not difference.is_number:
        return None
    key = [name for name in sides.table.key if name != "series"]
    other = sides.matched[[*key, "series"]].assign(value=difference.v1)
    wrong = sides.matched.loc[difference.unequal, [*key, "series"]].assign(
        found=difference.v2[difference.unequal]
    )
    paired = wrong.merge(other, on=key, suffixes=("", "_of_other"))
    paired = paired[paired["series"] != paired["series_of_other"]]
    if len(paired) != difference.cells or difference.cells < FEW:
        return None
    if not close_to(paired["found"].to_numpy(), paired["value"].to_numpy()).all():
        return None
    return Finding("V2 holds the value of the other series of the same instrument and day")


MIX_UP_SHAPES = (series_mix_up,)
