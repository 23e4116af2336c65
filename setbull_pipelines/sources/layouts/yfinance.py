"""CSV written from yfinance: three header lines (price, ticker, date) since its columns have two levels.

Tickers of one download stand side by side. Asked to group by ticker, yfinance writes the ticker above the price. Older
ones do not say which of the lines is which.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from setbull_pipelines.sources.file_names import instrument_in
from setbull_pipelines.sources.layouts import Sample
from setbull_pipelines.sources.raw_rows import RawRows, UnreadableFile
from setbull_pipelines.sources.side_by_side import rows_of_each

NAME = "yfinance, three header lines"
_LEVELS = ("price", "ticker")
_PRICES = {"open", "high", "low", "close"}
_TICKER = re.compile(r"\^?[A-Za-z0-9][\w&.-]*[A-Za-z][\w&.-]*")
_NUMBER_OF_REPETITION = re.compile(r" \(\d+\)$")


def recognises(names: Sequence[str], sample: Sample) -> bool:
    """By the second header line, which is the first row here."""
    if len(sample) < 2:
        return False
    said = (sample[0][names[0]] or "").lower()
    if said not in _LEVELS and (said or names[0]):
        return False
    prices, tickers = _levels(names, sample)
    return set(prices) >= _PRICES and (bool(said) or all(map(_TICKER.fullmatch, tickers)))


def as_rows(rows: RawRows) -> RawRows:
    """The rows below the headers, ticker by ticker, with the ticker as the symbol; adjusted closes are left out."""
    sample = rows.sample(2)
    prices, tickers = _levels(rows.names, sample)
    if not all(tickers):
        place = tickers.index("") + 2
        raise UnreadableFile(f"found no ticker above column {place}, expected one above each")
    has_only_a_name = not any(sample[1][name] for name in rows.names[1:])
    below = 2 if has_only_a_name and (sample[1][rows.names[0]] or "").isalpha() else 1
    return rows_of_each(rows, below, prices, tickers)


identity = instrument_in


def _levels(names: Sequence[str], sample: Sample) -> tuple[list[str], list[str]]:
    """What each column but the first holds, in lower case, and its ticker."""
    above = [_NUMBER_OF_REPETITION.sub("", name) for name in names[1:]]
    beneath = [(sample[0][name] or "").strip() for name in names[1:]]
    said = (sample[0][names[0]] or "").lower()
    if said == "ticker" or (not said and set(above) >= _PRICES):
        return above, beneath
    return [name.lower() for name in beneath], [name.upper() for name in above]
