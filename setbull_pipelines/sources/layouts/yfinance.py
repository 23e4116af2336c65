"""CSV written from yfinance: three header lines (price, ticker, date) since its columns have two levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pyarrow

from setbull_pipelines.sources.file_names import instrument_key_in, symbol_in
from setbull_pipelines.sources.layouts import Sample
from setbull_pipelines.sources.raw_rows import RawRows, UnreadableFile, renamed

NAME = "yfinance, three header lines"
_KINDS = {"open", "high", "low", "close", "adj close", "volume"}


def recognises(names: Sequence[str], sample: Sample) -> bool:
    """By the second header line, which is the first row here."""
    if len(sample) < 2 or not {"price", "open", "high", "low", "close"} <= set(names):
        return False
    return (sample[0]["price"] or "").lower() == "ticker"


def as_rows(rows: RawRows) -> RawRows:
    """The rows below the headers, with the ticker of the second as the symbol; the adjusted close is left out."""
    first, second = rows.sample(2)
    tickers = {first[name] for name in rows.names if name in _KINDS} - {None}
    if len(tickers) != 1:
        raise UnreadableFile(
            f"found the tickers {', '.join(sorted(map(str, tickers))) or 'none'} side by side, expected one in a file"
        )
    has_name = (second["price"] or "").lower() in ("date", "datetime")
    below = 2 if has_name else 1
    table = rows.columns.slice(below)
    names = ["timestamp" if name == "price" else name for name in rows.names]
    table = renamed(table, names).select([name for name in names if name != "adj close"])
    symbols = pyarrow.chunked_array([pyarrow.array([tickers.pop()] * len(table), pyarrow.string())])
    return replace(rows, columns=table.add_column(0, "symbol", symbols), lines=rows.lines[below:])


def identity(path: str) -> str | None:
    """The key or symbol in the name of the file."""
    return instrument_key_in(path) or symbol_in(path)
