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
from itertools import chain, pairwise

import numpy as np
import pyarrow
import pyarrow.compute

from setbull_pipelines.tables.contract import Kind, Table
from setbull_pipelines.warehouse.files import side_by_side

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
    table: Table, columns: Mapping[str, pyarrow.Array], bounds: np.ndarray, threads: int = 1
) -> list[pyarrow.Table]:
    """As :func:`hashes_of_rows` for each of several partitions, whose rows follow one another between ``bounds``.

    ``threads`` hash side by side: copying and hashing many rows both release the interpreter lock.
    """
    if table.key[0] != _KEY:
        raise ValueError(f"table {table.name}: found key {table.key}, expected {_KEY} first")
    records = _Records(table.without_provenance, columns)
    codes = _dictionary(columns[_KEY])
    indices = codes.indices.to_numpy()
    is_start = np.diff(indices, prepend=-1) != 0
    is_start[bounds[:-1][bounds[:-1] < len(indices)]] = True
    starts = np.flatnonzero(is_start)
    places = np.append(starts, len(indices))
    # Whole instruments, of about so many rows together.
    firsts = np.unique(np.searchsorted(starts, np.arange(0, len(indices), _ROWS_AT_ONCE)))
    stretches = list(pairwise([*firsts.tolist(), len(starts)]))
    digests = side_by_side(
        threads, lambda stretch: records.digests(places[stretch[0] : stretch[1] + 1]), stretches
    )
    hashes = np.frombuffer(b"".join(chain.from_iterable(digests)), "<u8")
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
    table: Table, columns: Mapping[str, pyarrow.Array], bounds: np.ndarray, threads: int = 1
) -> list[str]:
    """One hash of all rows of each partition, provenance included, as 32 hexadecimal digits."""
    records = _Records(table, columns)
    return side_by_side(
        threads, lambda ends: records.digest(*ends).hexdigest(), list(pairwise(bounds.tolist()))
    )


class _Records:
    """Rows as records of one width, so that rows that follow one another are one stretch of bytes.

    They are made some rows after others, in memory that the processor still holds when they are hashed.
    """

    def __init__(self, table: Table, columns: Mapping[str, pyarrow.Array]) -> None:
        self._name = table.name.encode()
        self._parts: list[np.ndarray] = []
        for column in table.columns:
            array = columns[column.name]
            if column.nullable:
                is_null = array.is_null().to_numpy(zero_copy_only=False)
                self._parts.append(is_null.view(np.uint8))
            self._parts.append(_fixed_width(array, column.kind))
        self._type = np.dtype(
            [(f"part_{number}", part.dtype) for number, part in enumerate(self._parts)]
        )

    def digests(self, places: np.ndarray) -> list[bytes]:
        """The hash of the rows between each two of ``places``, which are few together."""
        width, data = self._type.itemsize, self._bytes(places[0], places[-1])
        keyed = hashlib.blake2b(digest_size=_HASH_BYTES, key=self._name)
        digests = []
        for start, end in pairwise(((places - places[0]) * width).tolist()):
            digest = keyed.copy()
            digest.update(data[start:end])
            digests.append(digest.digest())
        return digests

    def digest(self, first: int, end: int) -> hashlib.blake2b:
        """The hash of any number of rows together."""
        digest = hashlib.blake2b(digest_size=_DIGEST_BYTES, key=self._name)
        for start in range(first, end, _ROWS_AT_ONCE):
            digest.update(self._bytes(start, min(start + _ROWS_AT_ONCE, end)))
        return digest

    def _bytes(self, start: int, end: int) -> memoryview:
        records = np.empty(end - start, self._type)
        for number, part in enumerate(self._parts):
            records[f"part_{number}"] = part[start:end]
        return records.view(np.uint8).data


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
    """The values as bytes of equal width; 0 for null, which has a mark of its own besides."""
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
    table: Table, columns: Mapping[str, pyarrow.Array], threads: int = 1
) -> dict[str, pyarrow.Array]:
    """The columns, with texts coded by dictionaries, so that a caller that hashes them twice codes them once."""
    texts = [column.name for column in table.columns if column.kind in _TEXTS]
    coded = side_by_side(threads, lambda name: _dictionary(columns[name]), texts)
    return {**columns, **dict(zip(texts, coded, strict=True))}


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
