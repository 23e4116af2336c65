"""The exchange's day file of its indices (``ind_close_all_02062025.csv``): one row for each index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pyarrow

from setbull_pipelines.sources.layouts import Sample
from setbull_pipelines.sources.raw_rows import RawRows, renamed, texts

NAME = "day file of the indices of NSE"
_MEANING = {
    "index name": "instrument_key",
    "index date": "timestamp",
    "open index value": "open",
    "high index value": "high",
    "low index value": "low",
    "closing index value": "close",
    "volume": "volume",
}


def recognises(names: Sequence[str], sample: Sample) -> bool:
    """By the columns."""
    return set(names) >= set(_MEANING)


def as_rows(rows: RawRows) -> RawRows:
    """The columns under their names, every name as that of an index."""
    table = renamed(rows.columns.select(list(_MEANING)), list(_MEANING.values()))
    names = [(text or "").strip() for text in texts(table["instrument_key"])]
    keys = pyarrow.array([f"NSE_INDEX|{name}" if name else None for name in names])
    place = table.column_names.index("instrument_key")
    table = table.set_column(place, "instrument_key", pyarrow.chunked_array([keys]))
    return replace(rows, columns=table)


def identity(path: str) -> str | None:
    """None: every row names its index."""
    return None
