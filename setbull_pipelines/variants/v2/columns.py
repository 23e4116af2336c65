"""Whole-column building blocks of V2: text codes, sort order, runs of equal keys, typed columns.

Belongs here: what several steps of V2 need to work on columns without a loop over rows or
instruments. Does not belong here: any rule of the market, names of table columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.compute

from setbull_pipelines.tables.contract import AT_LIMIT, INDIA

_DAY = 86_400_000_000
"""Microseconds."""
_Limit = TypeVar("_Limit", float, np.ndarray)
Order = np.ndarray | None
"""Row positions in sorted order; None when the rows are sorted already, the usual case."""


def shared_codes(*columns: pd.Series) -> tuple[list[np.ndarray], pd.Index]:
    """Code the texts of several columns by one sorted vocabulary: (codes per column, vocabulary).

    Codes sort like the texts, so everything after this works on integers.
    """
    coded = [_factorized(column, sort=True) for column in columns]
    vocabulary = pd.Index(coded[0][1])
    for _, texts in coded[1:]:
        vocabulary = vocabulary.union(pd.Index(texts))
    codes = [vocabulary.get_indexer(pd.Index(texts))[own] for own, texts in coded]
    return codes, vocabulary


def codes_in(vocabulary: pd.Index, column: pd.Series) -> np.ndarray:
    """The code of each text of ``column`` in ``vocabulary``; -1 for a text it lacks."""
    own, texts = _factorized(column)
    return vocabulary.get_indexer(pd.Index(texts))[own]


def _factorized(column: pd.Series, sort: bool = False) -> tuple[np.ndarray, pd.Index]:
    """As ``pd.factorize``, but rows that repeat the text before them cost a comparison instead of a look-up."""
    texts = pyarrow.array(column)
    chunks = texts.chunks if isinstance(texts, pyarrow.ChunkedArray) else [texts]
    runs = [pyarrow.compute.run_end_encode(chunk) for chunk in chunks]
    lengths = [np.diff(run.run_ends.to_numpy(), prepend=0) for run in runs]
    of_runs = pd.array(pyarrow.chunked_array([run.values for run in runs]), dtype="str")
    codes, distinct = pd.factorize(of_runs, sort=sort)
    return np.repeat(codes, np.concatenate(lengths)), distinct


def sort_order(groups: np.ndarray, times: np.ndarray) -> Order:
    """The order by group, then time, of rows that are unique by both.

    Sorted rows cost one comparison. Sorted blocks one after the other (partitions of several days)
    cost one linear sort of their runs of equal groups, because a stable sort keeps their time order.
    Any other order is sorted in full.
    """
    if _is_sorted(groups, times):
        return None
    starts = run_starts(groups)
    lengths = run_lengths(starts, len(groups))
    of_runs = groups[starts]
    # NumPy sorts 16-bit integers in linear time.
    small = of_runs.astype(np.uint16) if of_runs.max() <= np.iinfo(np.uint16).max else of_runs
    runs = np.argsort(small, kind="stable")
    order = positions_before((starts + lengths)[runs], lengths[runs])
    if not _is_sorted(groups[order], times[order]):
        order = np.lexsort((times, groups))
    return order


def _is_sorted(groups: np.ndarray, times: np.ndarray) -> bool:
    later_group = groups[1:] > groups[:-1]
    later_time = (groups[1:] == groups[:-1]) & (times[1:] >= times[:-1])
    return bool(np.all(later_group | later_time))


def ordered(values: np.ndarray, order: Order) -> np.ndarray:
    """``values`` in ``order``, contiguous and read-only: of sorted rows it is a view of an input frame.

    Kernels are compiled once per type, and an array that may be written to has another one.
    """
    result = (np.ascontiguousarray(values) if order is None else values[order]).view()
    result.flags.writeable = False
    return result


def run_starts(*keys: np.ndarray) -> np.ndarray:
    """Positions at which any of the keys differs from the row before, the first row included."""
    changed = np.ones(len(keys[0]), dtype=bool)
    changed[1:] = False
    for key in keys:
        changed[1:] |= key[1:] != key[:-1]
    return np.flatnonzero(changed)


def run_lengths(starts: np.ndarray, rows: int) -> np.ndarray:
    """Length of each run that ``starts`` begins, in a column of ``rows`` rows."""
    return np.diff(starts, append=rows)


def positions_before(ends: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The ``counts[i]`` positions before ``ends[i]``, ascending, of all i one after the other."""
    last_of_output = np.cumsum(counts)
    return np.arange(counts.sum()) + np.repeat(ends - last_of_output, counts)


def bar_key(codes: np.ndarray, days: np.ndarray) -> np.ndarray:
    """Code and day (microseconds of midnight) in one whole number that sorts by both: days fit into 32 bits."""
    return (codes << 32) + days // _DAY


def divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Quotients as float64, NaN where the denominator is 0."""
    quotients = np.full(len(denominator), np.nan)
    np.divide(numerator, denominator, out=quotients, where=denominator != 0)
    return quotients


def above(limit: _Limit) -> _Limit:
    """The upper end of what counts as equal to a limit: a column is above the limit where it is above this."""
    return limit + AT_LIMIT * abs(limit)


def below(limit: _Limit) -> _Limit:
    """The lower end of the same: a column is below the limit where it is below this."""
    return limit - AT_LIMIT * abs(limit)


def microseconds(column: pd.Series) -> np.ndarray:
    """A column of moments (UTC) or of days (midnight) as int64 microseconds since 1970."""
    return column.to_numpy("datetime64[us]").view("int64")


def moments(values: np.ndarray) -> pd.DatetimeIndex:
    """Microseconds since 1970 UTC as timestamps of the exchange's time zone."""
    return pd.DatetimeIndex(values.view("datetime64[us]")).tz_localize("UTC").tz_convert(INDIA)


def days(values: np.ndarray) -> np.ndarray:
    """Microseconds of naive midnights as a day column."""
    return values.view("datetime64[us]")


def midnights(values: np.ndarray) -> np.ndarray:
    """Microseconds UTC of the exchange's midnight of each day (microseconds of naive midnights)."""
    codes, distinct = pd.factorize(values)
    local = pd.DatetimeIndex(days(distinct)).tz_localize(INDIA)
    return local.to_numpy("datetime64[us]").view("int64")[codes]


def texts(vocabulary: Sequence[str] | pd.Index, codes: np.ndarray) -> pd.Series:
    """The text of each code; null for code -1."""
    return pd.Series(pd.array(vocabulary, dtype="str").take(codes, allow_fill=True))


def nullable_integers(values: np.ndarray, known: np.ndarray) -> pd.arrays.IntegerArray:
    """An Int64 column: ``values`` where ``known``, null elsewhere."""
    return pd.arrays.IntegerArray(values.astype("int64"), ~known)


def nullable_booleans(values: np.ndarray, known: np.ndarray) -> pd.arrays.BooleanArray:
    """A boolean column: ``values`` where ``known``, null elsewhere."""
    return pd.arrays.BooleanArray(values.astype(bool), ~known)
