"""From plain Python rows to a frame that satisfies a table contract.

Belongs here: that one step. Does not belong here: what the rows contain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from setbull_pipelines.tables import Table


def frame_of(table: Table, rows: Sequence[Mapping[str, object]]) -> pd.DataFrame:
    """Return the rows as a frame of ``table``; None is null, no row is an empty frame.

    Raises ValueError when the rows have missing or unexpected columns.
    """
    if not rows:
        return table.empty()
    # As objects until conform() knows the types: a column of integers and None would become float64,
    # which cannot hold every int64.
    return table.conform(pd.DataFrame(rows, dtype=object))
