"""Two sides read side by side, for the usual case that both have the same keys in the same order.

Belongs here: noticing that case, and which rows and columns differ at all. Does not belong here: any other case
(``compare`` joins the files then), tolerances, SQL.

Files of the warehouse are sorted by key, so that row n of V1 normally stands for the same key as row n of V2. Then no
join is needed: a comparison is one pass over both files, in memory for a few batches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import pyarrow
import pyarrow.compute

from setbull_pipelines.reconciliation.rows import Rows, batches_of, count_of
from setbull_pipelines.tables.contract import Column, Kind, Table

_BATCH_ROWS = 2**18
_MOST_DIFFERING_ROWS = 2_000_000
"""Differing rows held in memory; a join, which can use the disk, is made when there are more."""


@dataclass(frozen=True)
class Aligned:
    """What two files with the same keys in the same order have in them."""

    rows: int
    instruments: Counter[str]
    """Rows by instrument."""
    columns: tuple[Column, ...]
    """Value columns with a difference of any size."""
    differing: pyarrow.Table
    """Rows with a difference: the key, ``v1_<name>`` and ``v2_<name>`` of every value column."""


def read_aligned(table: Table, v1_rows: Rows, v2_rows: Rows) -> Aligned | None:
    """Read both sides in step: rows in memory, or one file each.

    None when they do not have the same unique keys in the same ascending order, or differ in too many
    rows: the caller must join them. Two nulls agree, and so do null and NaN. Raises OSError or
    pyarrow.ArrowException for unreadable files.
    """
    sides = (v1_rows, v2_rows)
    if any(not isinstance(rows, pyarrow.Table) and len(rows) != 1 for rows in sides):
        return None
    if count_of(v1_rows) != count_of(v2_rows):
        return None
    instruments: Counter[str] = Counter()
    differing: list[pyarrow.Table] = []
    columns: dict[str, Column] = {}
    rows = rows_differing = 0
    last: tuple | None = None
    with (
        batches_of(v1_rows, table.column_names, _BATCH_ROWS) as v1_batches,
        batches_of(v2_rows, table.column_names, _BATCH_ROWS) as v2_batches,
        closing(_in_step(v1_batches, v2_batches)) as pairs,  # before a file that a thread reads
    ):
        for v1, v2 in pairs:
            if v1 is None or v2 is None or len(v1) != len(v2):
                return None
            if not all(_same(v1[name], v2[name]) for name in table.key):
                return None
            if not _ascends(v1, table, last):
                return None
            if len(v1):
                last = _key(v1, table, len(v1) - 1)
            rows += len(v1)
            for counted in pyarrow.compute.value_counts(v1["instrument_key"]).to_pylist():
                instruments[counted["values"]] += counted["counts"]
            differs = np.zeros(len(v1), dtype=bool)
            for column in table.value_columns:
                of_column = _differs(column, v1[column.name], v2[column.name])
                if of_column is not None and of_column.any():
                    columns[column.name] = column
                    differs |= of_column
            if differs.any():
                rows_differing += int(differs.sum())
                if rows_differing > _MOST_DIFFERING_ROWS:
                    return None
                differing.append(_side_by_side(table, v1, v2, differs))
    return Aligned(
        rows,
        instruments,
        tuple(column for column in table.value_columns if column.name in columns),
        pyarrow.concat_tables(differing)
        if differing
        else _side_by_side_schema(table).empty_table(),
    )


def _in_step(
    v1: Iterator, v2: Iterator
) -> Generator[tuple[pyarrow.RecordBatch | None, pyarrow.RecordBatch | None]]:
    """The batches of both sides in pairs, None for a side that has no more of them.

    Each side is decoded in a thread of its own, one batch ahead of what is looked at.
    """
    with ThreadPoolExecutor(2) as threads:
        ahead = [threads.submit(next, side, None) for side in (v1, v2)]
        while True:
            left, right = (decoded.result() for decoded in ahead)
            if left is None and right is None:
                return
            ahead = [threads.submit(next, side, None) for side in (v1, v2)]
            yield left, right


def _plain(values: pyarrow.Array) -> pyarrow.Array:
    if pyarrow.types.is_dictionary(values.type):
        return values.dictionary_decode()
    return values


def _same(left: pyarrow.Array, right: pyarrow.Array) -> bool:
    # Dictionaries can hold the same texts in another order.
    return left.equals(right) or _plain(left).equals(_plain(right))


def _ascends(batch: pyarrow.RecordBatch, table: Table, last: tuple | None) -> bool:
    """Whether the keys rise strictly from ``last`` through the batch, so that none occurs twice."""
    if not len(batch):
        return True
    if any(batch[name].null_count for name in table.key):
        return False
    if last is not None and not last < _key(batch, table, 0):
        return False
    is_above, is_equal = np.zeros(len(batch) - 1, dtype=bool), np.ones(len(batch) - 1, dtype=bool)
    for name in table.key:
        numbers = numbers_of(batch[name])
        is_above |= is_equal & (numbers[1:] > numbers[:-1])
        is_equal &= numbers[1:] == numbers[:-1]
    return bool(is_above.all())


def numbers_of(values: pyarrow.Array) -> np.ndarray:
    """Integers in the order of the values, of a column of a key."""
    if pyarrow.types.is_string(values.type):
        values = values.dictionary_encode()
    if pyarrow.types.is_dictionary(values.type):
        places = np.empty(len(values.dictionary), dtype=np.int64)
        places[np.argsort(values.dictionary.to_numpy(zero_copy_only=False))] = np.arange(
            len(places)
        )
        return places[values.indices.to_numpy()]
    if pyarrow.types.is_date32(values.type):
        values = values.cast(pyarrow.int32())
    return values.cast(pyarrow.int64()).to_numpy()


def _key(batch: pyarrow.RecordBatch, table: Table, row: int) -> tuple:
    return tuple(batch[name][row].as_py() for name in table.key)


def _differs(column: Column, v1: pyarrow.Array, v2: pyarrow.Array) -> np.ndarray | None:
    """Which cells differ at all; None for none."""
    return None if v1.equals(v2) else differing_cells(column, v1, v2)


def differing_cells(column: Column, v1: pyarrow.Array, v2: pyarrow.Array) -> np.ndarray:
    """Which cells differ at all: two nulls agree, and so do null and NaN."""
    if column.kind is Kind.FLOAT:
        # Null becomes NaN.
        left, right = (side.to_numpy(zero_copy_only=False) for side in (v1, v2))
        return (left != right) & ~(np.isnan(left) & np.isnan(right))
    left, right = _plain(v1), _plain(v2)
    is_other = pyarrow.compute.fill_null(pyarrow.compute.not_equal(left, right), False)
    one_sided = pyarrow.compute.xor(left.is_null(), right.is_null())
    return pyarrow.compute.or_(is_other, one_sided).to_numpy(zero_copy_only=False)


def _side_by_side_schema(table: Table) -> pyarrow.Schema:
    fields = [table.arrow_schema.field(name) for name in table.key]
    for side in ("v1", "v2"):
        fields += [
            table.arrow_schema.field(column.name).with_name(f"{side}_{column.name}")
            for column in table.value_columns
        ]
    return pyarrow.schema(
        [
            field.with_type(field.type.value_type).with_nullable(True)
            if pyarrow.types.is_dictionary(field.type)
            else field.with_nullable(True)
            for field in fields
        ]
    )


def _side_by_side(
    table: Table, v1: pyarrow.RecordBatch, v2: pyarrow.RecordBatch, rows: np.ndarray
) -> pyarrow.Table:
    chosen = pyarrow.array(rows)
    names = [column.name for column in table.value_columns]
    arrays = [
        *(_plain(v1[name].filter(chosen)) for name in table.key),
        *(_plain(side[name].filter(chosen)) for side in (v1, v2) for name in names),
    ]
    return pyarrow.Table.from_arrays(arrays, schema=_side_by_side_schema(table))
