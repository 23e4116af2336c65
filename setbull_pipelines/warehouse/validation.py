"""Whether frames keep the contract of their table, and their rows in the order in which they are stored.

Belongs here: checking the rows of many partitions in one go, the sentences that say what is wrong, sorting, cutting
into partitions. Does not belong here: bytes of files (``encoding``), paths, pointers, what a contract is (``tables``).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.compute as compute

from setbull_pipelines.tables.checks import Limit, Rule
from setbull_pipelines.tables.contract import Column, Kind, Table, type_name
from setbull_pipelines.warehouse import encoding
from setbull_pipelines.warehouse.errors import ContractViolation

DAY_COLUMN = "trading_day"
"""Names, in the rows of a table that is stored by day, the partition of each."""
# No identifier of a table can look like this, so it never meets a real column.
_BATCH_POSITION = "<position in batch>"
_CASES_SHOWN = 3
_MICROSECONDS_OF_A_DAY = 86_400_000_000


@dataclass(frozen=True)
class Batch:
    """Rows of some partitions of a table that keep its contract, in partition then key order."""

    table: Table
    partitions: tuple[str, ...]
    bounds: np.ndarray
    """Where the rows of each partition begin, and behind them where the last one's end."""
    columns: Mapping[str, pyarrow.Array]
    """As :func:`encoding.plain_column` gives them."""


def batch_of_frames(table: Table, label: str, frames: Mapping[str, pd.DataFrame]) -> Batch:
    """The rows of ``frames`` by partition, if they keep the contract; ``label`` names the table in messages.

    Nothing is converted or filled in: a frame of the wrong type is refused, not repaired. ContractViolation otherwise.
    """
    named = [_checked_structure(table, f"{label} {key}", frame) for key, frame in frames.items()]
    rows = pd.concat(named, ignore_index=True) if len(named) > 1 else named[0]
    lengths = [len(frame) for frame in named]
    positions = np.repeat(np.arange(len(named)), lengths)
    return _checked(table, label, rows.reset_index(drop=True), positions, tuple(frames))


def batch_of_range(
    table: Table, label: str, frame: pd.DataFrame, partitions: Sequence[str]
) -> Batch:
    """As :func:`batch_of_frames`, of one frame whose column ``trading_day`` tells which partition a row belongs to.

    A partition without rows is empty. ContractViolation also for a row of a day that is not among ``partitions``,
    ValueError where the table has no such column, or a partition is named twice.
    """
    if DAY_COLUMN not in table.column_names or len(set(partitions)) < len(partitions):
        raise ValueError(
            f"{label}: found partitions {list(partitions)}, expected days, each once, and a column {DAY_COLUMN}"
        )
    rows = _checked_structure(table, label, frame).reset_index(drop=True)
    days = np.array(partitions, dtype="datetime64[us]")
    order = np.argsort(days)
    found = rows[DAY_COLUMN].to_numpy()
    places = np.searchsorted(days[order], found)
    is_other = ~np.isin(found, days)
    if is_other.any():
        others = pd.Series(found[is_other]).drop_duplicates()
        _refuse(label, DAY_COLUMN, "one of the days to be published", others)
    positions = order[places]
    return _checked(table, label, rows, positions, tuple(partitions))


def _checked(
    table: Table, label: str, rows: pd.DataFrame, positions: np.ndarray, partitions: tuple[str, ...]
) -> Batch:
    """``positions`` says for each row which of ``partitions`` it belongs to."""
    for column in table.columns:
        if column.kind is Kind.DAY:
            _check_days(label, column, rows[column.name], positions, partitions)
    columns = {
        column.name: encoding.plain_column(rows[column.name], column.kind)
        for column in table.columns
    }
    if not _keeps_rules(table, rows, columns):
        _refuse_values(table, label, rows, positions, partitions)
    # Mostly rows come in order, which costs a comparison of neighbours, and sorted rows repeat no key.
    if np.any(positions[1:] < positions[:-1]):
        order = np.argsort(positions, kind="stable")
        rows, positions = rows.take(order), positions[order]
        columns = _taken(columns, order)
    if not _is_in_order([columns[name] for name in table.key], positions):
        keys = rows[list(table.key)].assign(**{_BATCH_POSITION: positions})
        keys = keys.reset_index(drop=True)
        _check_unique_key(table, label, keys, partitions)
        columns = _taken(columns, keys.sort_values([_BATCH_POSITION, *table.key]).index.to_numpy())
    lengths = np.bincount(positions, minlength=len(partitions))
    return Batch(table, partitions, np.concatenate([[0], np.cumsum(lengths)]), columns)


def _taken(columns: Mapping[str, pyarrow.Array], order: np.ndarray) -> dict[str, pyarrow.Array]:
    rows = pyarrow.array(order)
    return {name: array.take(rows) for name, array in columns.items()}


def _checked_structure(table: Table, label: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of ``frame`` in contract order, taken by name, or refuse it."""
    expected, found = table.column_names, [str(name) for name in frame.columns]
    if found != expected:
        missing = [name for name in expected if name not in found]
        unexpected = [name for name in found if name not in expected]
        repeated = sorted({name for name in found if found.count(name) > 1})
        if missing or unexpected or repeated:
            raise ContractViolation(
                f"{label}: missing columns {missing}, unexpected columns {unexpected}, "
                f"repeated columns {repeated}; expected {expected}"
            )
        frame = frame[expected]
    for column, dtype in zip(table.columns, frame.dtypes, strict=True):
        if type_name(dtype) != column.kind.pandas_dtype:
            raise ContractViolation(
                f"{label}: column {column.name} is {dtype}, expected {column.kind.pandas_dtype}"
            )
    return frame


def _check_days(
    label: str,
    column: Column,
    values: pd.Series,
    positions: np.ndarray,
    partitions: tuple[str, ...],
) -> None:
    days = values.to_numpy()
    has_time = (days.view(np.int64) % _MICROSECONDS_OF_A_DAY != 0) & ~np.isnat(days)
    if has_time.any():
        first = positions[np.argmax(has_time)]
        failing = values[has_time & (positions == first)]
        label = f"{label} {partitions[first]}"
        _refuse(label, column.name, "a date without time of day", failing)


def _keeps_rules(table: Table, rows: pd.DataFrame, columns: Mapping[str, pyarrow.Array]) -> bool:
    """Whether pandera would accept the values. It takes milliseconds per frame, this a tenth of one."""
    for column in table.columns:
        array = columns[column.name]
        if array.null_count and not column.nullable:
            return False
        if not all(_keeps(check, array, rows[column.name]) for check in column.checks):
            return False
    return all(_is_kept(rule, rows) for rule in table.rules)


def _is_kept(rule: Rule, rows: pd.DataFrame) -> bool:
    """As pandera, which also looks for rows that are null throughout; it is asked where the rule does not hold."""
    kept = rule.holds(rows)
    return bool(np.all(kept)) or bool(rule.in_pandera(rows).check_passed)


def _keeps(check: Limit | Rule, array: pyarrow.Array, values: pd.Series) -> bool:
    if isinstance(check, Limit) and isinstance(check.limit, tuple):
        if check.name == "isin" and pyarrow.types.is_large_string(array.type):
            return set(array.unique().drop_null().to_pylist()) <= set(check.limit)
    elif isinstance(check, Limit) and check.name in ("greater_than", "greater_than_or_equal_to"):
        smallest = compute.min(array).as_py()
        if smallest is None:
            return True
        return smallest > check.limit or (smallest == check.limit and check.name != "greater_than")
    elif isinstance(check, Limit) and check.name == "less_than_or_equal_to":
        largest = compute.max(array).as_py()
        return largest is None or largest <= check.limit
    return bool(check.in_pandera(values).check_passed)


def _refuse_values(
    table: Table,
    label: str,
    rows: pd.DataFrame,
    positions: np.ndarray,
    partitions: tuple[str, ...],
) -> None:
    from pandera.errors import SchemaErrors

    # One instrument may stand under the same key in two partitions of a batch, so uniqueness is
    # checked apart, per partition.
    schema = copy.copy(table.schema)
    schema.unique = None
    try:
        schema.validate(rows, lazy=True, inplace=True)
    except SchemaErrors as errors:
        names = [partitions[position] for position in positions] if len(partitions) > 1 else None
        raise ContractViolation(
            _readable(table, label, rows, errors.failure_cases, names)
        ) from None


def _readable(
    table: Table,
    label: str,
    rows: pd.DataFrame,
    cases: pd.DataFrame,
    partitions: Sequence[str] | None,
) -> str:
    """Turn pandera's failure cases into sentences: column, rule, count, first failing rows and their partitions."""
    sentences = []
    # pandera reports a rule over whole rows once per column; it is one finding.
    of_column = cases["schema_context"] == "Column"
    subjects = cases["column"].astype(object).where(of_column, "")
    for (column, check), failing in cases.groupby([subjects, "check"], sort=False):
        failing_rows = failing["index"].dropna().drop_duplicates()
        shown = list(dict.fromkeys([*table.key, column] if column else table.column_names))
        examples = [
            ", ".join(f"{name}={rows.at[row, name]}" for name in shown)
            + (f" in {partitions[int(row)]}" if partitions else "")
            for row in failing_rows.head(_CASES_SHOWN)
        ]
        subject = f"column {column}" if column else "rows"
        expected = "no nulls" if check == "not_nullable" else check
        sentences.append(
            f"{subject}: expected {expected}, found {max(len(failing_rows), 1)} failing"
            + (f"; first: {' | '.join(examples)}" if examples else "")
        )
    return f"{label}: " + ". ".join(sentences)


def _is_in_order(keys: Sequence[pyarrow.Array], positions: np.ndarray) -> bool:
    """Whether the key of each row is above that of the row before it in the same partition."""
    above = positions[1:] > positions[:-1]
    equal = ~above
    if any(values.null_count for values in keys):
        return False
    for values in keys:
        before, after = values[:-1], values[1:]
        is_above = compute.greater(after, before).to_numpy(zero_copy_only=False)
        above |= equal & is_above
        equal &= compute.equal(after, before).to_numpy(zero_copy_only=False)
    return bool(above.all())


def _check_unique_key(
    table: Table, label: str, keys: pd.DataFrame, partitions: tuple[str, ...]
) -> None:
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
    raise ContractViolation(
        f"{label}: column {column}: expected {expected}, found {len(failing)} failing; "
        f"first: {', '.join(str(value) for value in failing.head(_CASES_SHOWN))}"
    )
