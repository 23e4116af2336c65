"""Frames whose columns were joined to one name each: ``ITC_open``, ``Close TCS.NS``, ``('High', 'ITC.NS')``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from setbull_pipelines.sources.file_names import instrument_in
from setbull_pipelines.sources.layouts import Sample, begins_with_a_moment
from setbull_pipelines.sources.raw_rows import RawRows
from setbull_pipelines.sources.side_by_side import rows_of_each

NAME = "a column for each price of each instrument"
_PRICES = {"open", "high", "low", "close"}
_PRICE = r"(?P<price>open|high|low|close|adj close|volume)"
_SYMBOL = r"(?P<symbol>[a-z0-9^][a-z0-9&.:^-]*)"
_WAYS = tuple(
    re.compile(way)
    for way in (
        rf"\(['\"]{_PRICE}['\"], ?['\"]{_SYMBOL}['\"]\)",
        rf"\(['\"]{_SYMBOL}['\"], ?['\"]{_PRICE}['\"]\)",
        rf"{_PRICE}[_ |:]{_SYMBOL}",
        rf"{_SYMBOL}[_ |:]{_PRICE}",
    )
)


class _Column(NamedTuple):
    price: str
    symbol: str


def recognises(names: Sequence[str], sample: Sample) -> bool:
    """All columns but the first are of this form, and each instrument has the four prices."""
    columns = _columns(names)
    if not columns or not begins_with_a_moment(sample, names[0]):
        return False
    of: dict[str, set[str]] = {}
    for column in columns:
        of.setdefault(column.symbol, set()).add(column.price)
    return all(prices >= _PRICES for prices in of.values())


def as_rows(rows: RawRows) -> RawRows:
    """The rows of each instrument below those of the one before."""
    columns = _columns(rows.names)
    prices, symbols = zip(*((column.price, column.symbol) for column in columns), strict=True)
    return rows_of_each(rows, 0, prices, symbols)


identity = instrument_in


def _columns(names: Sequence[str]) -> list[_Column]:
    """What each column but the first holds; nothing where one of them says none of this."""
    for way in _WAYS:
        found = [way.fullmatch(name) for name in names[1:]]
        if found and all(found):
            return [_Column(match["price"], match["symbol"].upper()) for match in found if match]
    return []
