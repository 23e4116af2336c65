"""One 64-bit hash per instrument: of its rows in a partition, or of all that it was computed from.

Belongs here: hashing rows, by instrument and all of a partition. Does not belong here: the files that keep hashes
(``publishing``), what is compared with what (``pipeline/touched.py``).

Only hashes of one and the same instrument are ever compared, so 64 bits leave a chance of 5e-20 per comparison that
a change goes unseen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pyarrow
import pyarrow.compute

from setbull_pipelines.tables.contract import Kind, Table

_KEY = "instrument_key"
_HASH_BYTES = 8
_DIGEST_BYTES = 16
_ROWS_AT_ONCE = 16_384
_TEXTS = (Kind.TEXT, Kind.LONG_TEXT)
_SCHEMA = pyarrow.schema([(_KEY, pyarrow.string()), ("hash", pyarrow.uint64())])


def hashes_of_rows(table: Table, rows: pyarrow.Table) -> pyarrow.Table:
    """The hash of each instrument's rows, columns ``instrument_key`` and ``hash``, one row per instrument.

    ``rows`` are in key order, which begins with the instrument. Columns of provenance do not count; equal rows have
    equal hashes in whichever file and schema they are. ValueError for a table that is not ordered by instrument.
    """
    columns = {name: rows.column(name).combine_chunks() for name in rows.column_names}
    (hashes,) = hashes_of_partitions(table, columns, np.array([0, len(rows)]))
    return hashes


def hashes_of_partitions(
    table: Table, columns: Mapping[str, pyarrow.Array], bounds: np.ndarray
) -> list[pyarrow.Table]:
    """As :func:`hashes_of_rows` for each of several partitions, whose rows follow one another between ``bounds``."""
    if table.key[0] != _KEY:
        raise ValueError(f"table {table.name}: found key {table.key}, expected {_KEY} first")
    records = _records(table.without_provenance, columns, bounds[-1])
    codes = _dictionary(columns[_KEY])
    indices = codes.indices.to_numpy()
    is_start = np.diff(indices, prepend=-1) != 0
    is_start[bounds[:-1][bounds[:-1] < len(indices)]] = True
    starts = np.flatnonzero(is_start)
    ends = np.append(starts, len(indices))[1:]
    digests = _digests(table, records, starts.tolist(), ends.tolist(), _HASH_BYTES)
    hashes = np.frombuffer(b"".join(digests), "<u8")
    keys = pyarrow.array(indices[starts])
    cuts = np.searchsorted(starts, bounds).tolist()
    return [
        # Taken, not sliced: of a slice of texts other bytes are written than of the same texts alone.
        pyarrow.table(
            [codes.dictionary.take(keys[first:last]).cast(pyarrow.string()), hashes[first:last]],
            schema=_SCHEMA,
        )
        for first, last in pairwise(cuts)
    ]


def contents_of_partitions(
    table: Table, columns: Mapping[str, pyarrow.Array], bounds: np.ndarray
) -> list[str]:
    """One hash of all rows of each partition, provenance included, as 32 hexadecimal digits."""
    records = _records(table, columns, bounds[-1])
    places = bounds.tolist()
    return [each.hex() for each in _digests(table, records, places[:-1], places[1:], _DIGEST_BYTES)]


def _records(table: Table, columns: Mapping[str, pyarrow.Array], rows: int) -> np.ndarray:
    """One record per row, so that rows that follow one another are one stretch of bytes."""
    parts = []
    for column in table.columns:
        array = columns[column.name]
        if column.nullable:
            parts.append(array.is_null().to_numpy(zero_copy_only=False).view(np.uint8))
        parts.append(_fixed_width(array, column.kind))
    records = np.empty(rows, [(f"part_{number}", part.dtype) for number, part in enumerate(parts)])
    # Some rows after others: columns that are put side by side in memory that the processor still holds.
    for start in range(0, rows, _ROWS_AT_ONCE):
        for number, part in enumerate(parts):
            end = start + _ROWS_AT_ONCE
            records[f"part_{number}"][start:end] = part[start:end]
    return records


def _digests(
    table: Table, records: np.ndarray, starts: Sequence[int], ends: Sequence[int], size: int
) -> list[bytes]:
    width, data = records.itemsize, records.view(np.uint8).data
    keyed = hashlib.blake2b(digest_size=size, key=table.name.encode())
    digests = []
    for start, end in zip(starts, ends, strict=True):
        digest = keyed.copy()
        digest.update(data[start * width : end * width])
        digests.append(digest.digest())
    return digests


def of_mapping(hashes: Mapping[str, int]) -> pyarrow.Table:
    """Hashes by instrument as a table, in the order of instruments."""
    keys = sorted(hashes)
    return pyarrow.table(
        [keys, np.array([hashes[key] for key in keys], dtype=np.uint64)], schema=_SCHEMA
    )


def combined(hashes: pyarrow.Table) -> str:
    """One hash of all rows, as 32 hexadecimal digits: equal for tables with equal rows of the same instruments."""
    keys, values = hashes.columns
    digest = hashlib.blake2b("\n".join(keys.to_pylist()).encode(), digest_size=_DIGEST_BYTES)
    digest.update(values.to_numpy().astype("<u8").tobytes())
    return digest.hexdigest()


def _fixed_width(array: pyarrow.Array, kind: Kind) -> np.ndarray:
    """The values as bytes of equal width; 0 for null, which is told apart by its own mark."""
    if kind in _TEXTS:
        codes = _dictionary(array)
        values = [_hash_of_text(text) for text in codes.dictionary.to_pylist()]
        hashes = np.array([*values, 0], dtype=np.uint64)
        return hashes[_without_nulls(codes.indices, len(values)).to_numpy()]
    if kind is Kind.TIMESTAMP:
        array = array.cast(pyarrow.int64())
    elif kind is Kind.DAY:
        array = array.cast(pyarrow.int32())
    elif kind in (Kind.BOOLEAN, Kind.NULLABLE_BOOLEAN):
        array = array.cast(pyarrow.uint8())
    return _without_nulls(array, 0).to_numpy(zero_copy_only=False)


def _without_nulls(array: pyarrow.Array, instead: int) -> pyarrow.Array:
    # Where there are none, filling in would copy.
    return pyarrow.compute.fill_null(array, instead) if array.null_count else array


def with_coded_texts(
    table: Table, columns: Mapping[str, pyarrow.Array]
) -> dict[str, pyarrow.Array]:
    """The columns, with texts coded by dictionaries: once, for whoever hashes them twice."""
    texts = {column.name for column in table.columns if column.kind in _TEXTS}
    return {name: _dictionary(array) if name in texts else array for name, array in columns.items()}


def _dictionary(array: pyarrow.Array) -> pyarrow.DictionaryArray:
    return array if isinstance(array, pyarrow.DictionaryArray) else array.dictionary_encode()


@lru_cache(maxsize=50_000)  # every table names the same instruments
def _hash_of_text(text: str) -> int:
    digest = hashlib.blake2b(text.encode(), digest_size=_HASH_BYTES)
    return int.from_bytes(digest.digest(), "little")


def as_kept(pieces: Sequence[Mapping[str, pyarrow.Array]]) -> pyarrow.Table:
    """Hashes by instrument from the rows of the file that keeps them, where they are numbers with sign."""
    keys = [piece[_KEY].cast(pyarrow.string()) for piece in pieces]
    values = [piece["hash"].to_numpy().view("<u8") for piece in pieces]
    return pyarrow.table([pyarrow.concat_arrays(keys), np.concatenate(values)], schema=_SCHEMA)
