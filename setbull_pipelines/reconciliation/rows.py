"""The rows of one side of a comparison: files of a partition, or the same rows in memory.

Belongs here: what both have in common for those who compare them. Does not belong here: finding rows (``pipeline/``),
comparing (``compare``).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import pyarrow
import pyarrow.compute
import pyarrow.parquet

from setbull_pipelines.warehouse.encoding import plain_text

Rows: TypeAlias = Sequence[Path] | pyarrow.Table
"""Rows in memory have texts as plain strings, as ``Warehouse.read_arrow`` gives them."""


def is_missing(rows: Rows | None) -> bool:
    """Whether nothing is stored: another thing than a partition without rows."""
    return rows is None or (not isinstance(rows, pyarrow.Table) and not rows)


def count_of(rows: Rows | None) -> int:
    """How many rows there are, by the Parquet footers where they are in files."""
    if isinstance(rows, pyarrow.Table):
        return rows.num_rows
    return sum(pyarrow.parquet.read_metadata(path).num_rows for path in rows or ())


def instruments_in(rows: Rows) -> int:
    """How many instruments have a row."""
    found: set[str] = set()
    for keys in _columns(rows, "instrument_key"):
        found.update(keys.unique().to_pylist())
    return len(found)


def values_in(rows: Rows | None, name: str) -> int:
    """How many finite numbers a column has."""
    return sum(
        pyarrow.compute.sum(pyarrow.compute.is_finite(values)).as_py() or 0
        for values in _columns(rows, name)
    )


@contextmanager
def batches_of(rows: Rows, columns: list[str], size: int) -> Iterator[Iterator]:
    """Record batches of up to ``size`` rows, of one file at most; closed when the block ends."""
    if isinstance(rows, pyarrow.Table):
        yield iter(rows.select(columns).combine_chunks().to_batches(size))
        return
    (path,) = rows
    # Buffering ahead would hold whole row groups in memory, and gains nothing on a local disk.
    with pyarrow.parquet.ParquetFile(path, pre_buffer=False) as file:
        yield file.iter_batches(size, columns=columns)


def of_instruments(rows: Rows, columns: list[str], instruments: Sequence[str]) -> pyarrow.Table:
    """The rows of some instruments, which are sorted, of one file at most; texts as plain strings."""
    if not isinstance(rows, pyarrow.Table):
        (path,) = rows
        with pyarrow.parquet.ParquetFile(path) as file:
            rows = file.read_row_groups(_groups_with(file, instruments), columns=columns)
    chosen = pyarrow.array(instruments, pyarrow.string())
    is_chosen = pyarrow.compute.is_in(rows["instrument_key"], chosen)
    return plain_text(rows.select(columns).filter(is_chosen))


def _groups_with(file: pyarrow.parquet.ParquetFile, instruments: Sequence[str]) -> list[int]:
    """The row groups that can hold one of the instruments, by what the footer says of them."""
    column = file.schema.names.index("instrument_key")
    groups = []
    for group in range(file.num_row_groups):
        known = file.metadata.row_group(group).column(column).statistics
        if known is not None and known.has_min_max:
            place = bisect_left(instruments, known.min)
            if place == len(instruments) or instruments[place] > known.max:
                continue
        groups.append(group)
    return groups


def _columns(rows: Rows | None, name: str) -> Iterator[pyarrow.ChunkedArray]:
    if isinstance(rows, pyarrow.Table):
        yield rows[name]
        return
    for path in rows or ():
        yield pyarrow.parquet.ParquetFile(path).read([name])[name]
