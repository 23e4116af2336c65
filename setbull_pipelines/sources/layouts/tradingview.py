"""CSV exported from TradingView: ``time,open,high,low,close,Volume`` and the plots of the chart, no symbol."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from setbull_pipelines.sources.file_names import instrument_in, stem
from setbull_pipelines.sources.instrument_columns import is_name_of_index
from setbull_pipelines.sources.layouts import Sample
from setbull_pipelines.sources.raw_rows import RawRows, renamed

NAME = "TradingView"
_COLUMNS = ("time", "open", "high", "low", "close")
_FILE = re.compile(r"(NSE|BSE)[_:]([A-Z0-9_&-]+), ?\w+")


def recognises(names: Sequence[str], sample: Sample) -> bool:
    """By its first five columns; its times hold the day or are epoch seconds."""
    if tuple(names[:5]) != _COLUMNS or "date" in names or not sample:
        return False
    moment = sample[0]["time"] or ""
    return moment.isdigit() or bool(re.match(r"\d{4}-\d\d-\d\d", moment))


def as_rows(rows: RawRows) -> RawRows:
    """The first time is the moment; plots are ignored."""
    names = ["timestamp", *rows.names[1:]]
    return replace(rows, columns=renamed(rows.columns, names))


def identity(path: str) -> str | None:
    """``NSE_RELIANCE, 5.csv`` as TradingView names it, or a usual form.

    None for ``NSE_M_M, 5.csv``: an underscore stands for ``&`` or ``-``, which the exchange's symbol has.
    """
    if found := _FILE.fullmatch(stem(path)):
        exchange, symbol = found.groups()
        if "_" in symbol and not is_name_of_index(symbol):
            return None
        return f"BSE:{symbol}" if exchange == "BSE" else symbol
    return instrument_in(path)
