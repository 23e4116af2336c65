"""Candles of Angel One (SmartAPI): ``data`` is a list of lists of six values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from setbull_pipelines.sources.file_names import instrument_in
from setbull_pipelines.sources.layouts import Sample, begins_with_a_moment
from setbull_pipelines.sources.raw_rows import RawRows, renamed

NAME = "Angel One"
_PLACES = tuple(f"data.{place}" for place in range(6))
_MEANING = ("timestamp", "open", "high", "low", "close", "volume")


def recognises(names: Sequence[str], sample: Sample) -> bool:
    """By the place of the lists in the answer."""
    return tuple(names[:6]) == _PLACES and begins_with_a_moment(sample, _PLACES[0])


def as_rows(rows: RawRows) -> RawRows:
    """The values under their names."""
    return replace(rows, columns=renamed(rows.columns, [*_MEANING, *rows.names[6:]]))


identity = instrument_in
