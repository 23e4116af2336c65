"""Candles of brokers that answer with lists of moment, open, high, low, close and volume, wherever they put them.

The order is the one that all known brokers have; the first rows must bear it out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from setbull_pipelines.sources.file_names import instrument_in
from setbull_pipelines.sources.layouts import Sample, begins_with_a_moment
from setbull_pipelines.sources.raw_rows import RawRows, renamed

NAME = "lists of moment, open, high, low, close, volume"
_OF_OTHERS = ("data.candles.0", "candles.0", "data.0")
"""Where Upstox and Kite, Fyers, and Angel One have theirs."""
_FIRST = re.compile(r"(?P<place>.*\.)?0")
_MEANING = ("timestamp", "open", "high", "low", "close", "volume", "open_interest")


def recognises(names: Sequence[str], sample: Sample) -> bool:
    """Six or seven numbered columns: moments in the first, high and low in the third and fourth."""
    first = _FIRST.fullmatch(names[0]) if names else None
    if first is None or not sample:
        return False
    place = first["place"] or ""
    # Beside the symbols of several instruments Upstox and Kite cannot be told apart.
    if names[0] in _OF_OTHERS and (
        names[0] != _OF_OTHERS[0] or not names[6:7] or place in names[6]
    ):
        return False
    numbered = [name for name in names if re.fullmatch(rf"{re.escape(place)}\d+", name)]
    if len(numbered) not in (6, 7) or numbered != [f"{place}{n}" for n in range(len(numbered))]:
        return False
    return begins_with_a_moment(sample, names[0]) and all(_is_bar(row, place) for row in sample)


def as_rows(rows: RawRows) -> RawRows:
    """The values under their names."""
    width = sum(name.rpartition(".")[2].isdecimal() for name in rows.names)
    return replace(rows, columns=renamed(rows.columns, [*_MEANING[:width], *rows.names[width:]]))


identity = instrument_in


def _is_bar(row: Mapping[str, str | None], place: str) -> bool:
    try:
        opened, high, low, close = (
            float(row[f"{place}{number}"] or "nan") for number in range(1, 5)
        )
    except ValueError:
        return False
    return low <= min(opened, close) and high >= max(opened, close)
