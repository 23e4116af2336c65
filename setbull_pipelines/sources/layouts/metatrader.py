"""Exports of MetaTrader: ``<DATE> <TIME> <OPEN> ... <TICKVOL> <VOL> <SPREAD>``, separated by tabs, no symbol.

Times are those of the broker's server. ``<VOL>`` counts shares; where all of them are 0, ``<TICKVOL>`` counts price
changes and is no volume.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from setbull_pipelines.sources.file_names import instrument_in, stem
from setbull_pipelines.sources.layouts import Sample, plain
from setbull_pipelines.sources.raw_rows import RawRows, UnreadableFile, renamed

NAME = "MetaTrader"
_MEANING = {
    "<date>": "date",
    "<time>": "time",
    "<open>": "open",
    "<high>": "high",
    "<low>": "low",
    "<close>": "close",
    "<vol>": "volume",
}
_NOT_CANDLES = ("<tickvol>", "<spread>")
_FILE = re.compile(r"([A-Z0-9&.-]+)_(?:M1|M5|M15|M30|H1|H4|Daily|D1)_\d+_\d+")


def recognises(names: Sequence[str], sample: Sample) -> bool:
    """By the count of price changes, which no other has under this name, or dates with dots in brackets."""
    return {"<date>", "<open>", "<high>", "<low>", "<close>", "<tickvol>"} <= set(names)


def as_rows(rows: RawRows) -> RawRows:
    """The columns under their names; without the count of price changes."""
    kept = [name for name in rows.names if name not in _NOT_CANDLES]
    if "<vol>" not in kept:
        raise UnreadableFile(
            "found counts of price changes (<TICKVOL>) and no <VOL>, expected the shares traded"
        )
    table = rows.columns.select(kept)
    table = renamed(table, [_MEANING.get(name, name) for name in kept])
    return plain.as_rows(replace(rows, columns=table))


def identity(path: str) -> str | None:
    """``RELIANCE_M1_202506020915_202506021529.csv`` as MetaTrader names it, or a usual form."""
    if found := _FILE.fullmatch(stem(path)):
        return found[1]
    return instrument_in(path)
