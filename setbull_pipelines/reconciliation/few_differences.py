"""What differs in the columns of two sides with the same keys, counted in memory from the rows that differ.

Belongs here: the counts of one column, its first and its worst cells, as ``columns`` gives them for sides that were
joined. Does not belong here: which rows differ (``aligned``), SQL of sides with other keys (``columns``), judging.

Mostly some last bits differ in some columns: then a few passes over arrays take less time than the questions would
take to plan.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate

import duckdb
import numpy as np
import pandas as pd
import pyarrow

from setbull_pipelines.reconciliation.aligned import Aligned, numbers_of
from setbull_pipelines.reconciliation.cells import Cells, cells_of
from setbull_pipelines.reconciliation.drift import BEYOND_ROUNDING
from setbull_pipelines.reconciliation.joining import row_key, time_order
from setbull_pipelines.reconciliation.outcome import ColumnCounts, all_equal
from setbull_pipelines.tables.contract import Column, Table


@dataclass(frozen=True)
class _Listed:
    """The cells of one column that are shown: the first of each instrument, then the worst."""

    column: Column
    cells: Cells
    first: np.ndarray
    worst: np.ndarray

    @property
    def _chosen(self) -> np.ndarray:
        return np.concatenate([self.first, self.worst])

    @property
    def places(self) -> np.ndarray:
        """Their rows among those that differ."""
        return self.cells.places[self._chosen]

    @property
    def is_unequal(self) -> np.ndarray:
        """Whether they differ by more than the tolerance: the worst need not."""
        return self.cells.unequal[self._chosen]

    def told_with(self, texts: pd.DataFrame) -> pd.DataFrame:
        """Rows of the cells table, of their ``texts``."""
        first, worst = len(self.first), len(self.worst)
        return texts.assign(
            column_name=self.column.name,
            role=["first"] * first + ["worst"] * worst,
            rank=[*range(1, first + 1), *range(1, worst + 1)],
            absolute_difference=self.cells.absolute[self._chosen],
            relative_difference=self.cells.relative[self._chosen],
        )


class FewDifferences:
    """Two sides with the same keys in the same order; the rows that differ are in memory."""

    def __init__(self, table: Table, aligned: Aligned, sample_cells: int) -> None:
        self._table, self._aligned, self._sample_cells = table, aligned, sample_cells
        self._rows = aligned.differing

    def compare_columns(
        self, connection: duckdb.DuckDBPyConnection
    ) -> dict[str, tuple[ColumnCounts, pd.DataFrame]]:
        """Return the counts of each column that differs, and its first and worst unequal cells."""
        chosen = self._listed
        texts = self._texts(chosen, connection)
        return {
            listed.column.name: (self._counts(listed, shown), shown[listed.is_unequal])
            for listed, shown in zip(chosen, texts, strict=True)
        }

    def unequal_instruments(self) -> set[str]:
        """The instruments with an unequal cell: of each that has one, a column has a first cell."""
        places = [listed.cells.places[listed.first] for listed in self._listed]
        rows = pyarrow.array(np.unique(np.concatenate(places)))
        return set(self._rows["instrument_key"].take(rows).to_pylist())

    @cached_property
    def _listed(self) -> list[_Listed]:
        return [self._choose(column) for column in self._aligned.columns]

    def _choose(self, column: Column) -> _Listed:
        sides = (self._rows[f"{side}_{column.name}"].combine_chunks() for side in ("v1", "v2"))
        cells = cells_of(column, *sides)
        first = self._first(cells) if cells.unequal.any() else np.empty(0, dtype=np.int64)
        return _Listed(column, cells, first, self._worst(cells))

    def _counts(self, listed: _Listed, shown: pd.DataFrame) -> ColumnCounts:
        cells, worst = listed.cells, shown.iloc[len(listed.first)]
        unequal = int(cells.unequal.sum())
        equal = all_equal(listed.column, self._aligned.rows)
        is_beyond = ~cells.unequal & (cells.measured > BEYOND_ROUNDING)
        return replace(
            equal,
            cells_unequal=unequal,
            null_differences=int(cells.one_sided.sum()),
            cells_within_tolerance=len(cells.places) - unequal,
            largest_absolute_difference=_largest(cells.absolute, equal.largest_absolute_difference),
            largest_relative_difference=_largest(cells.relative, equal.largest_relative_difference),
            median_relative_difference=_quantile(cells.relative, 50),
            p99_relative_difference=_quantile(cells.relative, 99),
            largest_ulp_difference=_largest(cells.ulps, equal.largest_ulp_difference),
            largest_within_tolerance=_largest(cells.measured[~cells.unequal], None),
            cells_above=int((is_beyond & cells.above).sum()),
            cells_below=int((is_beyond & ~cells.above).sum()),
            # Of each that is affected there is a first cell.
            instruments_affected=len(listed.first),
            worst_key=worst["row_key"],
            worst_v1=worst["v1"],
            worst_v2=worst["v2"],
        )

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

    def _worst(self, cells: Cells) -> np.ndarray:
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

    def _first(self, cells: Cells) -> np.ndarray:
        """The earliest unequal cell of every instrument, by time, then instrument."""
        candidates = np.flatnonzero(cells.unequal)
        moments = self._moments[cells.places[candidates]]
        in_time = candidates[np.argsort(moments)]
        _, first = np.unique(self._instruments[cells.places[in_time]], return_index=True)
        return in_time[np.sort(first)]

    def _texts(
        self, chosen: list[_Listed], connection: duckdb.DuckDBPyConnection
    ) -> list[pd.DataFrame]:
        """The first and the worst cells of each column as rows of the cells table, in words as SQL writes them.

        Columns of one type are asked for together.
        """
        by_type: dict[pyarrow.DataType, list[int]] = {}
        for place, listed in enumerate(chosen):
            of_type = self._rows.schema.field(f"v1_{listed.column.name}").type
            by_type.setdefault(of_type, []).append(place)
        found: dict[int, pd.DataFrame] = {}
        for of_type, places in by_type.items():
            texts = self._described([chosen[place] for place in places], of_type, connection)
            ends = accumulate(len(chosen[place].places) for place in places)
            for place, end in zip(places, ends, strict=True):
                listed = chosen[place]
                shown = texts.iloc[end - len(listed.places) : end].reset_index(drop=True)
                found[place] = listed.told_with(shown)
        return [found[place] for place in range(len(chosen))]

    def _described(
        self,
        chosen: list[_Listed],
        of_type: pyarrow.DataType,
        connection: duckdb.DuckDBPyConnection,
    ) -> pd.DataFrame:
        rows = [self._rows.take(pyarrow.array(listed.places)) for listed in chosen]
        columns = {
            name: pyarrow.chunked_array([chunk for each in rows for chunk in each[name].chunks])
            for name in self._table.key
        }
        for side in ("v1", "v2"):
            chunks = [
                chunk
                for listed, each in zip(chosen, rows, strict=True)
                for chunk in each[f"{side}_{listed.column.name}"].chunks
            ]
            columns[side] = pyarrow.chunked_array(chunks, of_type)
        columns["place"] = pyarrow.array(np.arange(sum(map(len, rows))))
        connection.register("cell", pyarrow.table(columns))
        v1, v2 = (
            f"nullif({side}, 'NaN'::DOUBLE)" if pyarrow.types.is_floating(of_type) else side
            for side in ("v1", "v2")
        )
        texts = connection.execute(
            f"SELECT instrument_key, {row_key(self._table, 'cell')} AS row_key, "
            f"{v1}::VARCHAR AS v1, {v2}::VARCHAR AS v2 FROM cell ORDER BY place"
        ).df()
        connection.unregister("cell")
        return texts


def _largest(values: np.ndarray, without: float | None) -> float | None:
    """The largest value, or what there is without any."""
    found = values[~np.isnan(values)]
    return float(found.max()) if len(found) else without


def _quantile(values: np.ndarray, percent: int) -> float | None:
    """The value that so many percent of all are at most: one that occurs."""
    found = values[~np.isnan(values)]
    if not len(found):
        return None
    place = max(-(-len(found) * percent // 100), 1) - 1
    return float(np.partition(found, place)[place])
