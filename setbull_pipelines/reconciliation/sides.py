"""Both sides of one table as the recognisers of a difference see them.

Belongs here: the joined rows, the order of bars within a series, one diverging column as arrays. Does
not belong here: reading files (``compare``), judging shapes (``row_shapes``, ``column_shapes``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from setbull_pipelines.tables.contract import Column, Kind, Table

_MOMENTS = (Kind.TIMESTAMP, Kind.DAY)
_COUNTS = (Kind.INTEGER, Kind.NULLABLE_INTEGER)
_NUMBERS = (Kind.FLOAT, *_COUNTS)
_CLOSE = 1e-9
_CLOSE_TO_ZERO = 1e-12


def close_to(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Whether two float arrays agree up to rounding; two nulls agree, two infinities of one sign too."""
    with np.errstate(invalid="ignore", over="ignore"):
        near = np.abs(left - right) <= _CLOSE * np.maximum(np.abs(left), np.abs(right)) + (
            _CLOSE_TO_ZERO
        )
    finite = np.isfinite(left) & np.isfinite(right)
    return (finite & near) | (left == right) | (np.isnan(left) & np.isnan(right))


@dataclass(frozen=True)
class Sides:
    """The joined rows of V1 and V2, sorted by series, then time.

    ``rows`` holds the key, ``in_v1``, ``in_v2``, ``v1_<column>`` of every value column, and ``v2_<column>``
    and ``unequal_<column>`` of the diverging ones. It can be a part of the table: whole instruments,
    the diverging ones first. The counts are those of the whole table.
    """

    table: Table
    rows: pd.DataFrame
    diverging: tuple[str, ...]
    rows_v1: int
    rows_v2: int
    only_v1: int
    only_v2: int
    instruments: int
    """Instruments of either side in the whole table."""

    @cached_property
    def order_names(self) -> list[str]:
        """Key columns that order the rows of a series: a moment or a number."""
        return [
            name
            for name in self.table.key
            if self.table.column(name).kind in (*_MOMENTS, *_NUMBERS)
        ]

    @cached_property
    def series_names(self) -> list[str]:
        """Key columns that name a series: the instrument, for daily bars also 'exchange' or 'minutes'."""
        return [name for name in self.table.key if name not in self.order_names]

    @property
    def is_in_time_order(self) -> bool:
        """Whether the rows of a series follow each other in time."""
        return any(self.table.column(name).kind in _MOMENTS for name in self.order_names)

    @cached_property
    def repeats_a_key(self) -> bool:
        """Whether a key occurs more than once, so that rows are paired with several others."""
        return bool(self.rows.duplicated(list(self.table.key)).any())

    @cached_property
    def matched(self) -> pd.DataFrame:
        """The rows that both sides have."""
        both = self.rows["in_v1"].notna() & self.rows["in_v2"].notna()
        return self.rows[both].reset_index(drop=True)

    @cached_property
    def series(self) -> np.ndarray:
        """Number of the series of each matched row; rows of a series are neighbours."""
        return self.matched.groupby(self.series_names, sort=False).ngroup().to_numpy()

    @cached_property
    def series_rows(self) -> list[np.ndarray]:
        """Positions of the matched rows of each series, in order."""
        return _runs(self.series)

    @cached_property
    def session_rows(self) -> list[np.ndarray]:
        """The same per series and trading day; empty for tables without bars."""
        if not self.is_in_time_order or "timestamp" not in self.order_names:
            return []
        days = pd.factorize(self.matched["v1_trading_day"])[0]
        return _runs(self.series * (days.max(initial=0) + 1) + days)

    @cached_property
    def instrument(self) -> np.ndarray:
        """Instrument of each matched row."""
        return self.matched["instrument_key"].to_numpy(dtype=object)

    @cached_property
    def untraded(self) -> np.ndarray | None:
        """Which matched rows had no trade in V1 so far; None where the table does not say.

        VWAP is null exactly while the volume of the session is 0 or not known.
        """
        if "v1_volume" in self.matched:
            return ~(self.matched["v1_volume"].to_numpy("float64", na_value=np.nan) > 0)
        if "v1_vwap" in self.matched:
            return self.matched["v1_vwap"].isna().to_numpy()
        return None

    @cached_property
    def bars_of_history(self) -> np.ndarray | None:
        """Bars that V1 had for each matched row; None where the table does not say."""
        if "v1_bars_of_history" not in self.matched:
            return None
        return self.matched["v1_bars_of_history"].to_numpy("float64")

    def v1(self, name: str) -> np.ndarray:
        """A value column of V1, as floats or objects."""
        return _values(self.matched[f"v1_{name}"], self.table.column(name))

    def difference(self, name: str) -> Difference:
        """The diverging column ``name``."""
        column = self.table.column(name)
        return Difference(
            self,
            column,
            self.v1(name),
            _values(self.matched[f"v2_{name}"], column),
            self.matched[f"unequal_{name}"].to_numpy("bool"),
        )


def _values(values: pd.Series, column: Column) -> np.ndarray:
    if column.kind in _NUMBERS:
        return values.astype("Float64").to_numpy("float64", na_value=np.nan)
    return values.astype(object).where(values.notna(), None).to_numpy(dtype=object)


def _runs(codes: np.ndarray) -> list[np.ndarray]:
    """Positions of each stretch of equal codes."""
    if not len(codes):
        return []
    return np.split(np.arange(len(codes)), np.flatnonzero(np.diff(codes)) + 1)


@dataclass(frozen=True)
class Difference:
    """One diverging column in the rows that both sides have."""

    sides: Sides
    column: Column
    v1: np.ndarray
    v2: np.ndarray
    unequal: np.ndarray
    """Which cells differ by more than the tolerance."""

    @property
    def is_number(self) -> bool:
        """Whether both arrays are floats; otherwise they hold objects."""
        return self.column.kind in _NUMBERS

    @property
    def is_whole_number(self) -> bool:
        """Whether the column counts something."""
        return self.is_number and self.column.kind is not Kind.FLOAT

    @property
    def other_counts(self) -> list[str]:
        """The other columns of the table that count something."""
        return [
            column.name
            for column in self.sides.table.value_columns
            if column.kind in _COUNTS and column != self.column
        ]

    @cached_property
    def null1(self) -> np.ndarray:
        """Cells that are null in V1."""
        return pd.isna(self.v1)

    @cached_property
    def null2(self) -> np.ndarray:
        """Cells that are null in V2."""
        return pd.isna(self.v2)

    @cached_property
    def cells(self) -> int:
        """Number of unequal cells."""
        return int(self.unequal.sum())

    @cached_property
    def valued(self) -> np.ndarray:
        """Unequal cells with a value on both sides."""
        return self.unequal & ~self.null1 & ~self.null2

    @cached_property
    def affected_series(self) -> list[np.ndarray]:
        """Rows of each series with an unequal cell."""
        return [rows for rows in self.sides.series_rows if self.unequal[rows].any()]

    def pairs(self, least: int) -> tuple[np.ndarray, np.ndarray] | None:
        """V1 and V2 of all unequal cells, when they are ``least`` numbers or more and none is null."""
        if not self.is_number or self.cells < least or self.valued.sum() != self.cells:
            return None
        return self.v1[self.unequal], self.v2[self.unequal]
