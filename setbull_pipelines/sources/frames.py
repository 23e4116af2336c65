"""Small steps on frames that several modules of intake take.

Belongs here: frames in the shape of a contract. Does not belong here: rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd

from setbull_pipelines.tables import Table


def texts_of(values: Sequence[str], numbers: pd.Series) -> pd.Series:
    """The texts that numbers stand for, with the index of the numbers."""
    taken = pd.Series(values, dtype="str").take(numbers.to_numpy())
    return taken.set_axis(numbers.index)


def order_of(*columns: np.ndarray) -> np.ndarray:
    """The order of rows by whole numbers, the most significant first; equal rows stay as they are."""
    key, size = np.zeros(len(columns[0]), "int64"), 1
    for column in columns:
        least = int(column.min()) if len(column) else 0
        span = (int(column.max()) - least + 1) if len(column) else 1
        size *= span
        if size >= 2**62:
            return np.lexsort(columns[::-1])
        key *= span
        key += column - least
    # Files are made of runs that are in order already, which this way of sorting knows.
    return np.argsort(key, kind="stable")


def concatenate(table: Table, frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The frames as one, without those that have no rows."""
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else table.empty()


def in_contract(table: Table, frame: pd.DataFrame) -> pd.DataFrame:
    """Column order and types of the contract; the order of the rows is kept."""
    return frame[table.column_names].astype(
        {column.name: column.kind.pandas_dtype for column in table.columns}
    )


def split(frame: pd.DataFrame, days: Sequence[date]) -> list[pd.DataFrame]:
    """The rows of each day of a frame that is sorted by trading day."""
    found = frame["trading_day"].to_numpy("datetime64[us]")
    wanted = np.array(days, "datetime64[D]").astype("datetime64[us]")
    starts, ends = np.searchsorted(found, wanted), np.searchsorted(found, wanted, side="right")
    return [
        frame.iloc[start:end].reset_index(drop=True)
        for start, end in zip(starts, ends, strict=True)
    ]
