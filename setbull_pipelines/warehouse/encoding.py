"""Between a pandas frame, its table contract and the bytes of a Parquet file.

Belongs here: frame to Parquet and Arrow back to frame, all without touching the disk. Does not belong here: checking
frames against the contract (``validation``), paths, pointers, caches. The same rows in key order give the same bytes
whatever their chunking or the batch they came in.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate, pairwise

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
from pandas.api.internals import create_dataframe_from_blocks

from setbull_pipelines.disk import content_hash
from setbull_pipelines.tables.contract import INDIA, Column, Kind, Table

_TEXTS = (Kind.TEXT, Kind.LONG_TEXT)
_PLAIN = (Kind.FLOAT, Kind.INTEGER, Kind.BOOLEAN, Kind.DAY)
FEWEST_ROWS_IN_A_GROUP, MOST_GROUPS = 16_384, 32
"""How a file is divided. Rows are sorted by key, so that a reader of a few instruments decodes few groups; a reader
of the whole file pays for each group."""
_TABLES_REMEMBERED = 1000


@lru_cache(maxsize=_TABLES_REMEMBERED)
def schema_hash(table: Table) -> str:
    """Return the hash of column names, order, types and nullability; wording does not count."""
    fields = [f"{field.name} {field.type} {field.nullable}" for field in table.arrow_schema]
    return content_hash("\n".join(fields).encode())


def to_arrow(table: Table, frame: pd.DataFrame) -> pyarrow.Table:
    """Return a frame that keeps the contract, in key order, as it is stored, text coded by dictionaries."""
    columns = {
        column.name: plain_column(frame[column.name], column.kind) for column in table.columns
    }
    return stored_rows(table, columns, 0, len(frame))


def plain_column(values: pd.Series, kind: Kind) -> pyarrow.Array:
    """Return a column of any number of files in one piece, in its type on disk; text is large and not coded."""
    array = pyarrow.array(values, from_pandas=True)
    if isinstance(array, pyarrow.ChunkedArray):
        array = array.combine_chunks()
    return array.cast(pyarrow.large_string() if kind in _TEXTS else kind.arrow_type)


def stored_rows(
    table: Table, columns: Mapping[str, pyarrow.Array], start: int, end: int
) -> pyarrow.Table:
    """Return some of the rows that :func:`plain_column` gave as a file holds them."""
    return rows_of_file(table, columns, [(start, end)])


def rows_of_file(
    table: Table, columns: Mapping[str, pyarrow.Array], spans: Sequence[tuple[int, int]]
) -> pyarrow.Table:
    """As :func:`stored_rows`, of several stretches of rows, one after the other."""
    arrays = []
    for column in table.columns:
        parts = [columns[column.name].slice(start, end - start) for start, end in spans]
        array = parts[0] if len(parts) == 1 else pyarrow.concat_arrays(parts)
        if column.kind in _TEXTS:
            array = array.cast(pyarrow.string())
        if column.kind is Kind.TEXT:
            # Encoded per file, in order of first appearance: the dictionary depends on the rows of the file only.
            array = array.dictionary_encode()
        arrays.append(array)
    return pyarrow.Table.from_arrays(arrays, schema=table.arrow_schema)


def groups_of_rows(rows: pyarrow.Table, lengths: Sequence[int]) -> list[dict[str, pyarrow.Array]]:
    """Return the columns of each group of a file as reading it back gives them, in memory of their own.

    They may share that of a frame, which its owner may change, or of many other rows.
    """
    starts = [0, *accumulate(lengths)]
    return [_held(rows.slice(start, end - start)) for start, end in pairwise(starts)]


def _held(rows: pyarrow.Table) -> dict[str, pyarrow.Array]:
    held = {}
    for name, column in zip(rows.column_names, rows.columns, strict=True):
        array = column.chunk(0)
        # Of one array alone no copy is made.
        held[name] = pyarrow.concat_arrays([array, array[:0]])
    return held


def group_lengths(lengths: Sequence[int]) -> list[int]:
    """How the rows of a file are divided, given how many each of its partitions has.

    Small partitions share a group, a large one has groups of its own.
    """
    groups, gathered = [], 0
    for length in lengths:
        if length >= FEWEST_ROWS_IN_A_GROUP:
            groups += [gathered] if gathered else []
            gathered = 0
            size = max(FEWEST_ROWS_IN_A_GROUP, math.ceil(length / MOST_GROUPS))
            groups += [size] * (length // size) + ([length % size] if length % size else [])
            continue
        gathered += length
        if gathered >= FEWEST_ROWS_IN_A_GROUP:
            groups.append(gathered)
            gathered = 0
    return groups + ([gathered] if gathered else [])


def to_parquet(
    rows: pyarrow.Table,
    lengths: Sequence[int] | None = None,
    footer: Mapping[str, str] | None = None,
) -> bytes:
    """Return the Parquet file of rows that :func:`to_arrow` gave, in groups of ``lengths``, with words of ours.

    No pandas metadata and no time of writing go in, so the bytes depend on what is given alone (and on the Arrow
    release, which names itself in the footer).
    """
    sink = pyarrow.BufferOutputStream()
    with pyarrow.parquet.ParquetWriter(
        sink,
        rows.schema,
        compression="zstd",
        version="2.6",
        # Dictionaries of numbers that rarely repeat double the time of reading and writing.
        use_dictionary=[
            each.name for each in rows.schema if pyarrow.types.is_dictionary(each.type)
        ],
    ) as writer:
        start = 0
        for length in group_lengths([len(rows)]) if lengths is None else lengths:
            writer.write_table(rows.slice(start, length), row_group_size=length)
            start += length
        if footer:
            writer.add_key_value_metadata(footer)
    return sink.getvalue().to_pybytes()


def instruments_of_groups(
    metadata: pyarrow.parquet.FileMetaData,
) -> tuple[tuple[str, str] | None, ...]:
    """Return the smallest and largest instrument of each row group; None where that is not known."""
    names = metadata.schema.names
    if "instrument_key" not in names:
        return (None,) * metadata.num_row_groups
    found = []
    for group in range(metadata.num_row_groups):
        keys = metadata.row_group(group).column(names.index("instrument_key")).statistics
        found.append((keys.min, keys.max) if keys is not None and keys.has_min_max else None)
    return tuple(found)


def plain_text(table: pyarrow.Table) -> pyarrow.Table:
    """Return ``table`` with every dictionary-coded column as plain strings."""
    for index, field in enumerate(table.schema):
        if pyarrow.types.is_dictionary(field.type):
            plain = field.with_type(field.type.value_type)
            table = table.set_column(index, plain, table.column(index).cast(plain.type))
    return table


def to_frame(columns: Iterable[Column], table: pyarrow.Table) -> pd.DataFrame:
    """Return ``table`` as a writable frame with the pandas dtypes of ``columns``, in that order."""
    columns = list(columns)
    # Columns of one type in one block: a frame of many blocks costs more to make and to use.
    alike: dict[str, list[int]] = {}
    blocks = []
    for place, column in enumerate(columns):
        if column.kind in _PLAIN:
            alike.setdefault(column.kind.pandas_dtype, []).append(place)
        else:
            values = _extension(table.column(column.name), column.kind)
            blocks.append((values, np.array([place])))
    for dtype, places in alike.items():
        block = np.empty((len(places), len(table)), dtype)
        for row, place in zip(block, places, strict=True):
            _fill(row, table.column(columns[place].name))
        blocks.append((block, np.array(places)))
    return create_dataframe_from_blocks(
        blocks,
        pd.RangeIndex(len(table)),
        pd.Index([column.name for column in columns], dtype="str"),
    )


def _fill(row: np.ndarray, column: pyarrow.ChunkedArray) -> None:
    start = 0
    for chunk in column.chunks:
        row[start : start + len(chunk)] = chunk.to_numpy(zero_copy_only=False)
        start += len(chunk)


def _extension(column: pyarrow.ChunkedArray, kind: Kind) -> pd.api.extensions.ExtensionArray:
    if kind in _TEXTS:
        # One chunk: later operations on a string column cost per chunk.
        text = pyarrow.chunked_array([column.cast(pyarrow.large_string()).combine_chunks()])
        return pd.StringDtype(na_value=np.nan).__from_arrow__(text)
    if kind is Kind.TIMESTAMP:
        moments = np.empty(len(column), "datetime64[us]")
        _fill(moments, column)
        return pd.DatetimeIndex(moments, tz="UTC").tz_convert(INDIA).array
    return kind.dtype.__from_arrow__(column)
