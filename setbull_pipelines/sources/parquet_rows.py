"""Rows of Parquet files.

Belongs here: Parquet bytes to typed columns, what holds for every table of Arrow's, the mark of provisional candles.
Does not belong here: what columns mean (``layouts/``), other files (``reading.py``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import pyarrow
import pyarrow.compute as compute
import pyarrow.parquet

from setbull_pipelines.sources.raw_rows import RawRows, UnreadableFile, first_line, renamed
from setbull_pipelines.sources.room_for_files import VALUES, require_room

_BYTES_OF_A_VALUE, MOST_TIMES_LARGER = 8, 1_000
PROVISIONAL_MARK = b"setbull.provisional"
"""In the metadata of a Parquet file: JSON, per trading day the instrument keys whose candles the broker gave for a
session under way."""


def parquet_rows(content: bytes, limit_mib: int) -> RawRows:
    """The rows of a Parquet file, with columns of the types that it has."""
    try:
        metadata = pyarrow.parquet.read_metadata(pyarrow.BufferReader(content))
        require_size(metadata.num_rows, metadata.num_columns, content, limit_mib)
        table = pyarrow.parquet.read_table(pyarrow.BufferReader(content))
        return rows_of_table(table)
    except (UnreadableFile, MemoryError):
        raise
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        raise UnreadableFile(f"found {first_line(error)}, expected a whole Parquet file") from error


def rows_of_table(table: pyarrow.Table) -> RawRows:
    """The rows of a table that was read; raises Arrow's errors where its values are none."""
    # Arrow cannot yet pick rows out of a column of string views.
    for number, column in enumerate(table.schema):
        if pyarrow.types.is_string_view(column.type):
            table = table.set_column(
                number, column.name, compute.cast(table.column(number), pyarrow.string())
            )
    names, metadata = table.column_names, table.schema.metadata or {}
    table.validate(full=True)
    table = renamed(table, names)
    return RawRows(table, np.arange(1, len(table) + 1), provisional=_provisional(metadata))


def require_size(rows: int, columns: int, content: bytes, limit_mib: int) -> None:
    """Refuse a file of columns that says the same so often that its rows are a thousand times its size.

    And one whose rows memory does not hold.
    """
    size = rows * columns * _BYTES_OF_A_VALUE
    if size > limit_mib * 2**20 and size > MOST_TIMES_LARGER * len(content):
        raise UnreadableFile(
            f"found a file of columns of {len(content):,} bytes whose rows take more than {limit_mib:,} MiB, expected "
            "at most that; where it is no mistake, raise unpacked_limit_mib in [input]"
        )
    require_room(size, VALUES)


def _provisional(metadata: Mapping[bytes, bytes]) -> dict[str, list[str]]:
    try:
        mark = json.loads(metadata.get(PROVISIONAL_MARK, b"{}"))
        return {day: list(keys) for day, keys in mark.items()}
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise UnreadableFile(
            f"found a mark {PROVISIONAL_MARK.decode()} that cannot be read ({error!r}), expected JSON, per trading "
            "day a list of instrument keys"
        ) from error
