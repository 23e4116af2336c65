"""CSV written from yfinance: three header lines (price, ticker, date) since its columns have two levels.

Tickers of one download stand side by side. Asked to group by ticker, yfinance writes the ticker above the price.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow
import pyarrow.compute as compute

from setbull_pipelines.sources.file_names import instrument_in
from setbull_pipelines.sources.layouts import Sample
from setbull_pipelines.sources.raw_rows import RawRows, UnreadableFile, renamed

NAME = "yfinance, three header lines"
_LEVELS = ("price", "ticker")
_PRICES = {"open", "high", "low", "close"}
_NUMBER_OF_REPETITION = re.compile(r" \(\d+\)$")


def recognises(names: Sequence[str], sample: Sample) -> bool:
    """By the second header line, which is the first row here."""
    if len(sample) < 2 or (sample[0][names[0]] or "").lower() not in _LEVELS:
        return False
    return set(_levels(names, sample)[0]) >= _PRICES


def as_rows(rows: RawRows) -> RawRows:
    """The rows below the headers, ticker by ticker, with the ticker as the symbol; adjusted closes are left out."""
    sample = rows.sample(2)
    prices, tickers = _levels(rows.names, sample)
    if not all(tickers):
        place = tickers.index("") + 2
        raise UnreadableFile(f"found no ticker above column {place}, expected one above each")
    below = 2 if (sample[1][rows.names[0]] or "").lower() in ("date", "datetime") else 1
    table, lines = rows.columns.slice(below), rows.lines[below:]
    symbols = list(dict.fromkeys(tickers))
    tables = [_of_ticker(table, symbol, prices, tickers) for symbol in symbols]
    if len(symbols) == 1:
        return replace(rows, columns=tables[0], lines=lines)
    # A line is a row of each ticker, and rows are known by their line.
    step = 10 ** len(str(int(lines[-1]) if len(lines) else 1))
    kept = [_with_values(of_ticker) for of_ticker in tables]
    left_out = sum(int((~has_values).sum()) for has_values in kept)
    notes = [
        f"{len(symbols)} tickers side by side: line {step + below + 2} stands for line {below + 2} of the second, "
        f"{symbols[1]}, and so on"
    ]
    if left_out:
        notes.append(f"{left_out:,} days or minutes without any value of a ticker left out")
    return replace(
        rows,
        columns=pyarrow.concat_tables(
            [
                of_ticker.filter(pyarrow.array(has_values))
                for of_ticker, has_values in zip(tables, kept, strict=True)
            ],
            promote_options="default",
        ),
        lines=np.concatenate(
            [lines[has_values] + step * place for place, has_values in enumerate(kept)]
        ),
        notes=(*rows.notes, *notes),
    )


identity = instrument_in


def _levels(names: Sequence[str], sample: Sample) -> tuple[list[str], list[str]]:
    """What each column but the first holds, in lower case, and of which ticker."""
    above = [_NUMBER_OF_REPETITION.sub("", name) for name in names[1:]]
    beneath = [(sample[0][name] or "").strip() for name in names[1:]]
    if (sample[0][names[0]] or "").lower() == "ticker":
        return above, beneath
    return [name.lower() for name in beneath], [name.upper() for name in above]


def _of_ticker(
    table: pyarrow.Table, symbol: str, prices: Sequence[str], tickers: Sequence[str]
) -> pyarrow.Table:
    wanted = [
        place
        for place, (price, ticker) in enumerate(zip(prices, tickers, strict=True))
        if ticker == symbol and price != "adj close"
    ]
    own = table.select([0, *(place + 1 for place in wanted)])
    symbols = pyarrow.chunked_array([pyarrow.array([symbol] * len(own), pyarrow.string())])
    own = own.add_column(0, "ticker", symbols)
    return renamed(own, ["symbol", "timestamp", *(prices[place] for place in wanted)])


def _with_values(of_ticker: pyarrow.Table) -> np.ndarray:
    """Which rows have more than their symbol and moment."""
    found = np.zeros(len(of_ticker), bool)
    for column in of_ticker.columns[2:]:
        found |= compute.is_valid(column).to_numpy(zero_copy_only=False)
    return found
