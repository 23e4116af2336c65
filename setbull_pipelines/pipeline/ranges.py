"""The rows of a table on several days, read at once and given day by day.

Belongs here: reading a range and telling its days apart. Does not belong here: which days are read together
(``chunks``), what is done with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import accumulate

import pandas as pd
import pyarrow

from setbull_pipelines.warehouse.errors import DamagedPartition
from setbull_pipelines.warehouse.pointers import Pointer, StoredTable
from setbull_pipelines.warehouse.store import Warehouse


def frames_by_day(
    stored: StoredTable, pointers: Mapping[str, Pointer], warehouse: Warehouse
) -> dict[str, pd.DataFrame]:
    """The rows of each partition as a frame. Raises as ``Warehouse.read``, for all of them if for one."""
    if not pointers:
        return {}
    together = warehouse.read(stored, pointers)
    if len(pointers) == 1:
        return dict.fromkeys(pointers, together)
    return {
        key: together.iloc[start:end].reset_index(drop=True)
        for key, start, end in _places(stored, pointers, len(together))
    }


def tables_by_day(
    stored: StoredTable, pointers: Mapping[str, Pointer], warehouse: Warehouse
) -> dict[str, pyarrow.Table]:
    """The rows of each partition in Arrow, with texts as plain strings. Raises as ``Warehouse.read_arrow``."""
    if not pointers:
        return {}
    together = warehouse.read_arrow(stored, pointers)
    return {
        key: together.slice(start, end - start)
        for key, start, end in _places(stored, pointers, len(together))
    }


def _places(
    stored: StoredTable, pointers: Mapping[str, Pointer], found: int
) -> Iterator[tuple[str, int, int]]:
    """Where the rows of each partition are: partitions are read in their order."""
    keys = sorted(pointers)
    counts = [pointers[key].rows for key in keys]
    if found != sum(counts):
        raise DamagedPartition(
            f"{stored.name} {keys[0]} to {keys[-1]}: read {found:,} rows, expected {sum(counts):,}: another run "
            "published meanwhile; run again"
        )
    ends = list(accumulate(counts))
    return zip(keys, [0, *ends[:-1]], ends, strict=True)
