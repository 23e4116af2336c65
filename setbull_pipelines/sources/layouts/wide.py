"""Frames whose columns were joined to one name each: ``ITC_open``, ``Close TCS.NS``, ``('High', 'ITC.NS')``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from setbull_pipelines.sources.file_names import instrument_in
from setbull_pipelines.sources.joined_names import joined_names
from setbull_pipelines.sources.layouts import Sample, begins_with_a_moment
from setbull_pipelines.sources.raw_rows import RawRows
from setbull_pipelines.sources.side_by_side import rows_of_each

NAME = "a column for each price of each instrument"
_PRICES = {"open", "high", "low", "close"}


def recognises(names: Sequence[str], sample: Sample) -> bool:
    """All columns but that of moments are of this form, and each instrument has the four prices."""
    found = joined_names(names)
    if found is None or not begins_with_a_moment(sample, names[found[0]]):
        return False
    of: dict[str, set[str]] = {}
    for column in found[1]:
        of.setdefault(column.symbol, set()).add(column.price)
    return all(prices >= _PRICES for prices in of.values())


def as_rows(rows: RawRows) -> RawRows:
    """The rows of each instrument below those of the one before."""
    place, columns = joined_names(rows.names) or (0, [])
    # Where an index was written as the last column, as Parquet files of frames have it.
    others = [number for number in range(len(rows.names)) if number != place]
    prices, symbols = zip(*((column.price, column.symbol) for column in columns), strict=True)
    table = rows.columns.select([place, *others])
    return rows_of_each(replace(rows, columns=table), 0, prices, symbols)


identity = instrument_in
