"""What differs in the columns of two sides with the same keys, counted in memory from the rows that differ.

Belongs here: the counts of one column, its first and its worst cells, as ``columns`` gives them for sides that were
joined. Does not belong here: which rows differ (``aligned``), SQL of sides with other keys (``columns``), judging.

Mostly some last bits differ in some columns: then a few passes over arrays take less time than the questions would
take to plan.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property

import duckdb
import numpy as np
import pandas as pd
import pyarrow
import pyarrow.compute

from setbull_pipelines.reconciliation.aligned import Aligned, differing_cells, numbers_of
from setbull_pipelines.reconciliation.drift import BEYOND_ROUNDING
from setbull_pipelines.reconciliation.joining import row_key, time_order
from setbull_pipelines.reconciliation.outcome import NUMERIC, ColumnCounts, all_equal
from setbull_pipelines.tables.contract import EXACT, Column, Kind, Table
from setbull_pipelines.warehouse.queries import quoted_identifier

Connect = Callable[[], AbstractContextManager[duckdb.DuckDBPyConnection]]
_LOWEST = np.iinfo(np.int64).min


@dataclass(frozen=True)
class _Cells:
    """The differing cells of one column; of other kinds than numbers all differences are NaN."""

    places: np.ndarray
    """Their rows among those that differ."""
    unequal: np.ndarray
    one_sided: np.ndarray
    """Null on one side: without a difference."""
    above: np.ndarray
    """Whether V2 is the larger."""
    absolute: np.ndarray
    relative: np.ndarray
    ulps: np.ndarray
    measured: np.ndarray
    """The difference as the tolerance measures it."""


class FewDifferences:
    """Two sides with the same keys in the same order, of which the rows that differ are in memory."""

    def __init__(self, table: Table, aligned: Aligned, sample_cells: int) -> None:
        self._table, self._aligned, self._sample_cells = table, aligned, sample_cells
        self._rows = aligned.differing

    def compare_column(
        self, column: Column, connection: duckdb.DuckDBPyConnection
    ) -> tuple[ColumnCounts, pd.DataFrame]:
        """Return the counts of a column that differs, and its first and worst unequal cells."""
        cells = self._cells(column)
        unequal = int(cells.unequal.sum())
        worst = self._worst(cells)
        first = self._first(cells) if unequal else np.empty(0, dtype=np.int64)
        shown = self._described(column, cells, np.concatenate([first, worst]), connection)
        worst_cell = shown.iloc[len(first)]
        roles = ["first"] * len(first) + ["worst"] * len(worst)
        ranks = [*range(1, len(first) + 1), *range(1, len(worst) + 1)]
        is_listed = np.concatenate([np.ones(len(first), dtype=bool), cells.unequal[worst]])
        shown.insert(1, "role", roles)
        shown.insert(2, "rank", ranks)
        equal = all_equal(column, self._aligned.rows)
        is_beyond = ~cells.unequal & (cells.measured > BEYOND_ROUNDING)
        largest = _largest(cells.absolute), _largest(cells.relative), _largest(cells.ulps)
        counts = replace(
            equal,
            cells_unequal=unequal,
            null_differences=int(cells.one_sided.sum()),
            cells_within_tolerance=len(cells.places) - unequal,
            largest_absolute_difference=_or(largest[0], equal.largest_absolute_difference),
            largest_relative_difference=_or(largest[1], equal.largest_relative_difference),
            median_relative_difference=_quantile(cells.relative, 50),
            p99_relative_difference=_quantile(cells.relative, 99),
            largest_ulp_difference=_or(largest[2], equal.largest_ulp_difference),
            largest_within_tolerance=_largest(cells.measured[~cells.unequal]),
            cells_above=int((is_beyond & cells.above).sum()),
            cells_below=int((is_beyond & ~cells.above).sum()),
            instruments_affected=len(np.unique(self._instruments[cells.places[cells.unequal]])),
            worst_key=worst_cell["row_key"],
            worst_v1=worst_cell["v1"],
            worst_v2=worst_cell["v2"],
        )
        return counts, shown[is_listed]

    @cached_property
    def _instruments(self) -> np.ndarray:
        return numbers_of(self._rows["instrument_key"].combine_chunks())

    @cached_property
    def _moments(self) -> np.ndarray:
        """The place of each row when they are in time order."""
        keys = [numbers_of(self._rows[name].combine_chunks()) for name in time_order(self._table)]
        places = np.empty(self._rows.num_rows, dtype=np.int64)
        places[np.lexsort(keys[::-1])] = np.arange(len(places))
        return places

    def _cells(self, column: Column) -> _Cells:
        sides = [self._rows[f"{side}_{column.name}"].combine_chunks() for side in ("v1", "v2")]
        places = np.flatnonzero(differing_cells(column, *sides))
        if column.kind not in NUMERIC:
            nothing = np.full(len(places), np.nan)
            never, always = np.zeros(len(places), dtype=bool), np.ones(len(places), dtype=bool)
            is_null = (side.is_null().to_numpy(zero_copy_only=False)[places] for side in sides)
            one_sided = next(is_null) | next(is_null)
            return _Cells(places, always, one_sided, never, nothing, nothing, nothing, nothing)
        if column.kind is Kind.FLOAT:
            v1, v2 = (side.to_numpy(zero_copy_only=False)[places] for side in sides)
            one_sided = np.isnan(v1) | np.isnan(v2)
            with np.errstate(over="ignore", invalid="ignore"):
                absolute = np.abs(v1 - v2)
            ulps = np.where(one_sided, np.nan, _apart(_float_numbers(v1), _float_numbers(v2)))
            larger = np.maximum(np.abs(v1), np.abs(v2))
        else:
            is_null = [side.is_null().to_numpy(zero_copy_only=False)[places] for side in sides]
            one_sided = is_null[0] | is_null[1]
            v1, v2 = (
                side.cast(pyarrow.int64()).fill_null(0).to_numpy(zero_copy_only=False)[places]
                for side in sides
            )
            absolute = np.where(one_sided, np.nan, _apart(v1, v2))
            ulps = np.full(len(places), np.nan)
            larger = np.maximum(np.abs(v1.astype(np.float64)), np.abs(v2.astype(np.float64)))
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            relative = np.where(np.isinf(absolute), absolute, absolute / larger)
            unequal, measured = _judged(column, absolute, larger)
            above = v2 > v1
        return _Cells(places, unequal, one_sided, above, absolute, relative, ulps, measured)

    def _worst(self, cells: _Cells) -> np.ndarray:
        """The cells furthest apart, unequal ones first, then those with a difference, ties by key."""
        candidates = np.arange(len(cells.places))
        if self._sample_cells <= cells.unequal.sum():
            candidates = candidates[cells.unequal]
        # Where nothing is subtracted, the first keys are the worst.
        furthest = np.where(np.isnan(cells.absolute), -1.0, cells.absolute)[candidates]
        if len(candidates) > 4 * self._sample_cells and cells.unequal[candidates].all():
            least = np.partition(furthest, -self._sample_cells)[-self._sample_cells]
            candidates, furthest = candidates[furthest >= least], furthest[furthest >= least]
        order = np.lexsort((-furthest, ~cells.unequal[candidates]))
        return candidates[order[: self._sample_cells]]

    def _first(self, cells: _Cells) -> np.ndarray:
        """The earliest unequal cell of every instrument, by time, then instrument."""
        candidates = np.flatnonzero(cells.unequal)
        moments = self._moments[cells.places[candidates]]
        in_time = candidates[np.argsort(moments)]
        _, first = np.unique(self._instruments[cells.places[in_time]], return_index=True)
        return in_time[np.sort(first)]

    def _described(
        self,
        column: Column,
        cells: _Cells,
        chosen: np.ndarray,
        connection: duckdb.DuckDBPyConnection,
    ) -> pd.DataFrame:
        """The chosen cells as rows of the cells table, in words as SQL writes them."""
        rows = self._rows.take(pyarrow.array(cells.places[chosen]))
        keys = {name: rows[name] for name in self._table.key}
        values = {side: rows[f"{side}_{column.name}"] for side in ("v1", "v2")}
        places = {"place": pyarrow.array(np.arange(len(chosen)))}
        connection.register("cell", pyarrow.table(keys | values | places))
        v1, v2 = (
            f"nullif({side}, 'NaN'::DOUBLE)" if column.kind is Kind.FLOAT else side
            for side in ("v1", "v2")
        )
        described = connection.execute(
            f"SELECT {quoted_identifier('instrument_key')}, {row_key(self._table, 'cell')} AS row_key, "
            f"{v1}::VARCHAR AS v1, {v2}::VARCHAR AS v2 FROM cell ORDER BY place"
        ).df()
        connection.unregister("cell")
        described.insert(0, "column_name", column.name)
        return described.assign(
            absolute_difference=cells.absolute[chosen], relative_difference=cells.relative[chosen]
        )


def _judged(
    column: Column, absolute: np.ndarray, larger: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Whether cells that differ are unequal, and their difference as the tolerance measures it."""
    tolerance = column.tolerance
    measured = np.full(len(absolute), np.nan)
    if tolerance.relative:
        measured = absolute / (larger + tolerance.absolute / tolerance.relative)
    if tolerance == EXACT:
        return np.ones(len(absolute), dtype=bool), measured
    # An infinite difference would be within "relative x infinity".
    agrees = np.isfinite(absolute) & (absolute <= tolerance.relative * larger + tolerance.absolute)
    return ~agrees, measured


def _float_numbers(values: np.ndarray) -> np.ndarray:
    """The position of floats among all floats; neighbours differ by 1."""
    bits = values.view(np.int64)
    return np.where(bits < 0, _LOWEST - bits, bits)


def _apart(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """How far integers are apart: that can need more bits than they have."""
    larger, smaller = np.maximum(left, right), np.minimum(left, right)
    return (larger.view(np.uint64) - smaller.view(np.uint64)).astype(np.float64)


def _largest(values: np.ndarray) -> float | None:
    found = values[~np.isnan(values)]
    return float(found.max()) if len(found) else None


def _or(value: float | None, otherwise: float | None) -> float | None:
    return otherwise if value is None else value


def _quantile(values: np.ndarray, percent: int) -> float | None:
    """The value that so many percent of all are at most: one that occurs."""
    found = values[~np.isnan(values)]
    if not len(found):
        return None
    place = max(-(-len(found) * percent // 100), 1) - 1
    return float(np.partition(found, place)[place])
