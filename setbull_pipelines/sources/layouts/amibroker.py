"""Exports of AmiBroker and the quotes of its format: column names between ``<`` and ``>``, or ``Ticker,Date/Time``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from setbull_pipelines.sources.file_names import instrument_in
from setbull_pipelines.sources.layouts import Sample, plain
from setbull_pipelines.sources.raw_rows import RawRows, renamed

NAME = "AmiBroker"
_TICKER, _DAY, _PRICES = "<ticker>", "<dtyyyymmdd>", {"<open>", "<high>", "<low>", "<close>"}
_MEANING = {
    "<ticker>": "symbol",
    "<dtyyyymmdd>": "date",
    "<date>": "date",
    "<time>": "time",
    "<open>": "open",
    "<high>": "high",
    "<low>": "low",
    "<close>": "close",
    "<vol>": "volume",
    "<volume>": "volume",
    "<openint>": "open_interest",
    "<o/i>": "open_interest",
    "date/time": "timestamp",
    "ticker": "symbol",
}
_NEEDED = {"ticker", "date/time", "open", "high", "low", "close"}


def recognises(names: Sequence[str], sample: Sample) -> bool:
    """By its names; MetaTrader's have no ticker."""
    found = set(names)
    return found >= {_TICKER, *_PRICES} or found >= {_DAY, *_PRICES} or found >= _NEEDED


def as_rows(rows: RawRows) -> RawRows:
    """The columns under their names, dates with hyphens, which tell them from numbers."""
    names = [_MEANING.get(name, name.strip("<>")) for name in rows.names]
    return plain.as_rows(replace(rows, columns=renamed(rows.columns, names)))


identity = instrument_in
