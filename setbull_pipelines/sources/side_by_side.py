"""Instruments side by side, one below the other: a wide table as rows of each.

Belongs here: taking a table apart by the instrument of each column. Does not belong here: how the columns of a layout
say what they are of (``layouts/``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow
import pyarrow.compute as compute

from setbull_pipelines.sources.raw_rows import RawRows, renamed

_NOT_USED = "adj close"


def rows_of_each(
    rows: RawRows, below: int, prices: Sequence[str], symbols: Sequence[str]
) -> RawRows:
    """The rows from number ``below`` on, instrument by instrument, with its symbol.

    The first column has the moments; ``prices`` and ``symbols`` say what each of the others holds.
    """
    table, lines = rows.columns.slice(below), rows.lines[below:]
    places: dict[str, list[int]] = {}
    for place, (price, symbol) in enumerate(zip(prices, symbols, strict=True)):
        if price != _NOT_USED:
            places.setdefault(symbol, []).append(place)
    tables = [
        _of_one(table, symbol, [(place + 1, prices[place]) for place in own])
        for symbol, own in places.items()
    ]
    if len(tables) == 1:
        return replace(rows, columns=tables[0], lines=lines)
    # A line is a row of each instrument, and rows are known by their line.
    step = 10 ** len(str(int(lines[-1]) if len(lines) else 1))
    kept = [_with_values(of_one) for of_one in tables]
    left_out = sum(int((~has_values).sum()) for has_values in kept)
    second = list(places)[1]
    first_line = int(lines[0]) if len(lines) else below + 2
    notes = [
        f"{len(tables):,} tickers side by side: line {step + first_line} stands for line {first_line} of the second, "
        f"{second}, and so on"
    ]
    if left_out:
        notes.append(f"{left_out:,} days or minutes without any value of a ticker left out")
    return replace(
        rows,
        columns=pyarrow.concat_tables(
            [
                of_one.filter(pyarrow.array(has_values))
                for of_one, has_values in zip(tables, kept, strict=True)
            ],
            promote_options="default",
        ),
        lines=np.concatenate(
            [lines[has_values] + step * place for place, has_values in enumerate(kept)]
        ),
        notes=(*rows.notes, *notes),
    )


def _of_one(table: pyarrow.Table, symbol: str, places: Sequence[tuple[int, str]]) -> pyarrow.Table:
    own = table.select([0, *(place for place, _ in places)])
    symbols = pyarrow.chunked_array([pyarrow.array([symbol] * len(own), pyarrow.string())])
    own = own.add_column(0, "ticker", symbols)
    return renamed(own, ["symbol", "timestamp", *(price for _, price in places)])


def _with_values(of_one: pyarrow.Table) -> np.ndarray:
    """Which rows have more than their symbol and moment."""
    found = np.zeros(len(of_one), bool)
    for column in of_one.columns[2:]:
        found |= compute.is_valid(column).to_numpy(zero_copy_only=False)
    return found
