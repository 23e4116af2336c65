"""Saved candle responses of Upstox: ``data.candles``, lists of seven values, the newest first.

The body names no instrument: the path begins with the key, as the request did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from setbull_pipelines.sources.file_names import instrument_in
from setbull_pipelines.sources.layouts import Sample, begins_with_a_moment
from setbull_pipelines.sources.raw_rows import RawRows, renamed

NAME = "Upstox response"
COLUMNS = tuple(f"data.candles.{place}" for place in range(7))
"""What a response has, in its order, also one without candles."""
_MEANING = ("timestamp", "open", "high", "low", "close", "volume", "open_interest")


def recognises(names: Sequence[str], sample: Sample) -> bool:
    """Seven values, and moments with the colon in their offset that Kite's lack."""
    first = (sample[0].get(COLUMNS[0]) or "") if sample else ""
    is_response = tuple(names[:7]) == COLUMNS and begins_with_a_moment(sample, COLUMNS[0])
    return is_response and not first.endswith("+0530")


def as_rows(rows: RawRows) -> RawRows:
    """The values under their names."""
    return replace(rows, columns=renamed(rows.columns, [*_MEANING, *rows.names[7:]]))


identity = instrument_in
