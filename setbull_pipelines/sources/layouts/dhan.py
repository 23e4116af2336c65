"""Candles of Dhan: one list for each of open, high, low, close, volume and timestamp, side by side.

The answers of version 1 call the moments ``start_Time`` and count them from 1980.
"""

from __future__ import annotations

from collections.abc import Sequence

from setbull_pipelines.sources.file_names import instrument_in
from setbull_pipelines.sources.layouts import Sample
from setbull_pipelines.sources.raw_rows import RawRows, UnreadableFile

NAME = "Dhan"
_COLUMNS = {"open", "high", "low", "close", "volume"}
_FROM_1980 = "start_time"


def recognises(names: Sequence[str], sample: Sample) -> bool:
    """By the columns, without any that names an instrument, and moments that are numbers."""
    if not sample or not _COLUMNS <= set(names) <= _COLUMNS | {
        "timestamp",
        _FROM_1980,
        "open_interest",
    }:
        return False
    moment = sample[0].get("timestamp") or sample[0].get(_FROM_1980) or ""
    # A CSV of these columns says the same: it is read in the same way, under its own name.
    return rows_side_by_side(names) and moment.replace(".", "", 1).isdigit()


def rows_side_by_side(names: Sequence[str]) -> bool:
    """Whether prices come before moments, as in the answers and in no usual CSV."""
    last = names.index(_FROM_1980 if _FROM_1980 in names else names[-1])
    return "timestamp" not in names[:last] and "open" in names[:last]


def as_rows(rows: RawRows) -> RawRows:
    """The columns as they are; moments of version 1 are refused, since nothing verifies when they count from."""
    if _FROM_1980 in rows.names:
        raise UnreadableFile(
            "found an answer of version 1 of Dhan (start_Time), expected one of version 2 with timestamp"
        )
    return rows


identity = instrument_in
