"""Rows of whole instruments for the recognisers, of two sides with the same keys in the same order.

Belongs here: which instruments are read, and both sides next to each other without a join. Does not belong here: sides
with other keys (``compare``, by SQL), judging shapes (``diagnosis``).
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate

import numpy as np
import pandas as pd
import pyarrow

from setbull_pipelines.reconciliation.cells import cells_of
from setbull_pipelines.reconciliation.rows import Rows, of_instruments
from setbull_pipelines.tables.contract import Table

_FRAME_TYPES = {
    pyarrow.int64(): pd.Int64Dtype(),
    pyarrow.int32(): pd.Int32Dtype(),
    pyarrow.bool_(): pd.BooleanDtype(),
}
"""Types of columns that may have a null, which pandas would make floats and objects of."""


def diverging_first(rows: Mapping[str, int], diverging: set[str], most_rows: int) -> list[str]:
    """The first instruments, the diverging ones before the others, with up to ``most_rows`` rows: one at least."""
    ordered = sorted(rows, key=lambda name: (name not in diverging, name))
    so_far = accumulate(rows[name] for name in ordered)
    return [
        name
        for place, (name, total) in enumerate(zip(ordered, so_far, strict=True))
        if total <= most_rows or place == 0
    ]


def side_by_side(
    table: Table, v1: Rows, v2: Rows, diverging: list[str], instruments: list[str]
) -> pd.DataFrame:
    """Both sides of ``instruments`` as ``sides.Sides`` wants them, but for the order of rows: that of the key."""
    others = [column.name for column in table.value_columns]
    ordered = sorted(instruments)
    wanted = ((v1, [*table.key, *others]), (v2, ["instrument_key", *diverging]))
    with ThreadPoolExecutor(2) as threads:
        left, right = threads.map(
            lambda side: of_instruments(side[0], side[1], ordered).combine_chunks(), wanted
        )
    columns = {name: left[name] for name in table.key}
    columns |= {f"v1_{name}": left[name] for name in others}
    columns |= {f"v2_{name}": right[name] for name in diverging}
    frame = _frame(columns)
    present = np.ones(len(frame), dtype=bool)
    flags = {"in_v1": present, "in_v2": present}
    for name in diverging:
        cells = cells_of(
            table.column(name), left[name].combine_chunks(), right[name].combine_chunks()
        )
        unequal = np.zeros(len(frame), dtype=bool)
        unequal[cells.places[cells.unequal]] = True
        flags[f"unequal_{name}"] = unequal
    return pd.concat([frame, pd.DataFrame(flags)], axis="columns")


def _frame(columns: dict[str, pyarrow.ChunkedArray]) -> pd.DataFrame:
    moments = {
        name: values.cast(pyarrow.timestamp("us")) if pyarrow.types.is_date(values.type) else values
        for name, values in columns.items()
    }
    return pyarrow.table(moments).to_pandas(types_mapper=_FRAME_TYPES.get)
