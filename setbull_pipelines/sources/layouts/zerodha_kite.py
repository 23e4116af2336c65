"""Candles of Zerodha Kite: the answer of its API, and CSV written from its client.

``data.candles`` has six values, seven with open interest; moments are written ``+0530``. The CSV has a column ``date``
with the offset and no symbol.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from setbull_pipelines.sources.file_names import instrument_in
from setbull_pipelines.sources.layouts import Sample, begins_with_a_moment, plain
from setbull_pipelines.sources.raw_rows import RawRows, renamed

NAME = "Zerodha Kite"
_PLACES = tuple(f"data.candles.{place}" for place in range(7))
_MEANING = ("timestamp", "open", "high", "low", "close", "volume", "open_interest")
_COLUMNS = {"date", "open", "high", "low", "close", "volume"}
_ALSO = {"", "oi", "unnamed: 0", "instrument_token", "symbol", "tradingsymbol"}
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d\+05:?30")


def recognises(names: Sequence[str], sample: Sample) -> bool:
    """By the number of values and the offset of the first moment."""
    if not sample:
        return False
    if tuple(names[:6]) == _PLACES[:6] and begins_with_a_moment(sample, _PLACES[0]):
        return len(names) == 6 or (sample[0][_PLACES[0]] or "").endswith("+0530")
    found = set(names)
    is_csv = _COLUMNS <= found <= _COLUMNS | _ALSO
    return is_csv and bool(_MOMENT.fullmatch(sample[0]["date"] or ""))


def as_rows(rows: RawRows) -> RawRows:
    """The values under their names."""
    if rows.names[0] == _PLACES[0]:
        width = min(len(rows.names), 7)
        names = [*_MEANING[:width], *rows.names[width:]]
        return replace(rows, columns=renamed(rows.columns, names))
    return plain.as_rows(rows)


identity = instrument_in
