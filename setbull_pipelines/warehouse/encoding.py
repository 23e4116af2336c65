"""Between a pandas frame, its table contract and the bytes of a Parquet file.

Belongs here: checking frames against the contract, frame to Parquet and Arrow back to frame, all
without touching the disk. Does not belong here: paths, pointers, caches. The same rows give the
same bytes whatever their order, their chunking or the batch they came in.
"""

from __future__ import annotations

import bisect
import copy
import math
from collections.abc import Collection, Iterable, Iterator, Mapping

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.compute
import pyarrow.parquet
from pandera.errors import SchemaErrors

from setbull_pipelines.tables.contract import Column, Kind, Table
from setbull_pipelines.warehouse.disk import content_hash
from setbull_pipelines.warehouse.errors import ContractViolation

# No identifier of a table can look like this, so it never meets a real column.
_BATCH_POSITION = "<position in batch>"
_CASES_SHOWN = 3
FEWEST_ROWS_IN_A_GROUP, MOST_GROUPS = 16_384, 32
"""How a file is divided. Rows are sorted by key, so whoever reads some instruments decodes few groups; of a file with
too many groups whoever reads all of it pays for them."""


def schema_hash(table: Table) -> str:
    """Return the hash of column names, order, types and nullability; wording does not count."""
    fields = [f"{field.name} {field.type} {field.nullable}" for field in table.arrow_schema]
    return content_hash("\n".join(fields).encode())


def ordered_slices(
    table: Table, label: str, frames: Mapping[str, pd.DataFrame]
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Check every frame of a batch against ``table``; yield each sorted by key, columns in order.

    ``label`` names the table in messages. Values are checked in one pass over the whole batch.
    Nothing is converted or filled in: a frame of the wrong type is refused, not repaired.
    Raises ContractViolation before the first slice is yielded.
    """
    named = [_checked_structure(table, f"{label} {key}", frame) for key, frame in frames.items()]
    lengths = [len(frame) for frame in named]
    batch = pd.concat(named, ignore_index=True) if len(named) > 1 else named[0]
    batch = batch.reset_index(drop=True)
    positions = np.repeat(np.arange(len(named)), lengths)
    _check_values(table, label, batch)
    # Mostly rows come in order, which costs a comparison of neighbours, and sorted rows repeat no key.
    if not _is_in_order(table, batch, positions):
        _check_unique_key(table, label, batch, positions, list(frames))
        order = [_BATCH_POSITION, *table.key]
        batch = batch.assign(**{_BATCH_POSITION: positions}).sort_values(order, ignore_index=True)
        batch = batch.drop(columns=_BATCH_POSITION)
    ends = np.cumsum(lengths)
    for partition, length, end in zip(frames, lengths, ends, strict=True):
        yield partition, batch.iloc[end - length : end]


def to_arrow(table: Table, frame: pd.DataFrame) -> pyarrow.Table:
    """Return a frame that :func:`ordered_slices` has passed as it is stored, text coded by dictionaries."""
    arrays = [_to_arrow(frame[column.name], column.kind) for column in table.columns]
    return pyarrow.Table.from_arrays(arrays, schema=table.arrow_schema)


def to_parquet(table: Table, rows: pyarrow.Table) -> bytes:
    """Return the Parquet file of rows that :func:`to_arrow` gave.

    No pandas metadata and no time of writing go in, so the bytes depend on the rows alone (and on
    the Arrow release, which names itself in the footer).
    """
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(
        rows,
        sink,
        compression="zstd",
        version="2.6",
        row_group_size=max(FEWEST_ROWS_IN_A_GROUP, math.ceil(len(rows) / MOST_GROUPS)),
        # Dictionaries of numbers that rarely repeat double the time of reading and writing.
        use_dictionary=[column.name for column in table.columns if column.kind is Kind.TEXT],
    )
    return sink.getvalue().to_pybytes()


def groups_with(
    metadata: pyarrow.parquet.FileMetaData, instrument_keys: Collection[str]
) -> list[int]:
    """Return the row groups that can hold rows of these instruments, by the smallest and largest key of each."""
    place = metadata.schema.names.index("instrument_key")
    wanted = sorted(instrument_keys)
    groups = []
    for group in range(metadata.num_row_groups):
        keys = metadata.row_group(group).column(place).statistics
        if keys is None or not keys.has_min_max:
            groups.append(group)
            continue
        after = bisect.bisect_left(wanted, keys.min)
        if after < len(wanted) and wanted[after] <= keys.max:
            groups.append(group)
    return groups


def plain_text(table: pyarrow.Table) -> pyarrow.Table:
    """Return ``table`` with every dictionary-coded column as plain strings."""
    for index, field in enumerate(table.schema):
        if pyarrow.types.is_dictionary(field.type):
            plain = field.with_type(field.type.value_type)
            table = table.set_column(index, plain, table.column(index).cast(plain.type))
    return table


def to_frame(columns: Iterable[Column], table: pyarrow.Table) -> pd.DataFrame:
    """Return ``table`` as a writable frame with the pandas dtypes of ``columns``, in that order."""
    return pd.DataFrame(
        {column.name: _to_pandas(table.column(column.name), column.kind) for column in columns}
    )


def _checked_structure(table: Table, label: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of ``frame`` in contract order, taken by name, or refuse it."""
    expected, found = table.column_names, [str(name) for name in frame.columns]
    missing = [name for name in expected if name not in found]
    unexpected = [name for name in found if name not in expected]
    repeated = sorted({name for name in found if found.count(name) > 1})
    if missing or unexpected or repeated:
        raise ContractViolation(
            f"{label}: missing columns {missing}, unexpected columns {unexpected}, "
            f"repeated columns {repeated}; expected {expected}"
        )
    frame = frame[expected]
    for column in table.columns:
        dtype = str(frame[column.name].dtype)
        if dtype != column.kind.pandas_dtype:
            raise ContractViolation(
                f"{label}: column {column.name} is {dtype}, expected {column.kind.pandas_dtype}"
            )
        if column.kind is Kind.DAY:
            days = frame[column.name].dropna()
            _refuse(
                label, column.name, "a date without time of day", days[days != days.dt.floor("D")]
            )
    return frame


def _check_values(table: Table, label: str, batch: pd.DataFrame) -> None:
    # One instrument may stand under the same key in two partitions of a batch, so uniqueness is
    # checked apart, per partition.
    schema = copy.copy(table.schema)
    schema.unique = None
    try:
        schema.validate(batch, lazy=True, inplace=True)
    except SchemaErrors as errors:
        raise ContractViolation(_readable(table, label, batch, errors.failure_cases)) from None


def _readable(table: Table, label: str, batch: pd.DataFrame, cases: pd.DataFrame) -> str:
    """Turn pandera's failure cases into sentences: column, rule, count, first failing rows."""
    sentences = []
    # pandera reports a rule over whole rows once per column; it is one finding.
    of_column = cases["schema_context"] == "Column"
    subjects = cases["column"].astype(object).where(of_column, "")
    for (column, check), failing in cases.groupby([subjects, "check"], sort=False):
        rows = failing["index"].dropna().drop_duplicates()
        shown = list(dict.fromkeys([*table.key, column] if column else table.column_names))
        examples = [
            ", ".join(f"{name}={batch.at[row, name]}" for name in shown)
            for row in rows.head(_CASES_SHOWN)
        ]
        subject = f"column {column}" if column else "rows"
        expected = "no nulls" if check == "not_nullable" else check
        sentences.append(
            f"{subject}: expected {expected}, found {max(len(rows), 1)} failing"
            + (f"; first: {' | '.join(examples)}" if examples else "")
        )
    return f"{label}: " + ". ".join(sentences)


def _is_in_order(table: Table, batch: pd.DataFrame, positions: np.ndarray) -> bool:
    """Whether the key of each row is above that of the row before it in the same frame of the batch."""
    above = positions[1:] > positions[:-1]
    equal = ~above
    for name in table.key:
        values = pyarrow.array(batch[name])
        if isinstance(values, pyarrow.ChunkedArray):
            values = values.combine_chunks()
        if values.null_count:
            return False
        before, after = values[:-1], values[1:]
        is_above = pyarrow.compute.greater(after, before).to_numpy(zero_copy_only=False)
        above |= equal & is_above
        equal &= pyarrow.compute.equal(after, before).to_numpy(zero_copy_only=False)
    return bool(above.all())


def _check_unique_key(
    table: Table, label: str, batch: pd.DataFrame, positions: np.ndarray, partitions: list[str]
) -> None:
    keys = batch[list(table.key)].assign(**{_BATCH_POSITION: positions})
    duplicates = keys[keys.duplicated()]
    if duplicates.empty:
        return
    shown = [
        f"{partitions[row.pop(_BATCH_POSITION)]}: "
        + ", ".join(f"{name}={value}" for name, value in row.items())
        for row in duplicates.head(_CASES_SHOWN).to_dict("records")
    ]
    raise ContractViolation(
        f"{label}: expected one row per key {table.key}, found {len(duplicates)} repeated; "
        f"first: {' | '.join(shown)}"
    )


def _refuse(label: str, column: str, expected: str, failing: pd.Series) -> None:
    if not failing.empty:
        raise ContractViolation(
            f"{label}: column {column}: expected {expected}, found {len(failing)} failing; "
            f"first: {', '.join(str(value) for value in failing.head(_CASES_SHOWN))}"
        )


def _to_arrow(values: pd.Series, kind: Kind) -> pyarrow.Array:
    array = pyarrow.array(values, from_pandas=True)
    if isinstance(array, pyarrow.ChunkedArray):
        array = array.combine_chunks()
    if kind is Kind.TEXT:
        # Encoded per file, in order of first appearance in key order: the dictionary, and with it
        # the bytes, depend on the rows of the file only.
        return array.cast(pyarrow.string()).dictionary_encode()
    return array.cast(kind.arrow_type)


def _to_pandas(column: pyarrow.ChunkedArray, kind: Kind) -> pd.Series:
    if kind in (Kind.TEXT, Kind.LONG_TEXT):
        # One chunk: later operations on a string column cost per chunk.
        text = pyarrow.chunked_array([column.cast(pyarrow.large_string()).combine_chunks()])
        return pd.Series(pd.StringDtype(na_value=np.nan).__from_arrow__(text))
    if kind is Kind.DAY:
        return column.cast(pyarrow.timestamp("us")).to_pandas()
    if kind in (Kind.NULLABLE_INTEGER, Kind.NULLABLE_BOOLEAN):
        return pd.Series(pd.api.types.pandas_dtype(kind.pandas_dtype).__from_arrow__(column))
    return column.to_pandas()
