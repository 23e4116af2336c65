"""Writing frames as partition files and comparing two of them, for the tests of this folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet

from setbull_pipelines.reconciliation.compare import Comparison, compare
from setbull_pipelines.settings import ReconciliationSettings
from setbull_pipelines.tables.contract import Table
from setbull_pipelines.tables.reconciliation import (
    RECONCILIATION_CELLS,
    RECONCILIATION_DECISIONS,
    RECONCILIATION_DIAGNOSES,
    RECONCILIATION_SUMMARY,
    RECONCILIATIONS,
)

TRADING_DAY = pd.Timestamp("2026-06-30")


def write(table: Table, frame: pd.DataFrame, path: Path, *, keep_nan: bool = False) -> Path:
    """Write ``frame`` with the Arrow schema of ``table``; NaN as null unless ``keep_nan``.

    Nullability is left out, so that rows which break the contract can be written too.
    """
    arrays = []
    for column in table.columns:
        values = frame[column.name]
        if keep_nan and values.dtype == np.float64:
            arrays.append(pyarrow.array(values.to_numpy(), from_pandas=False))
        else:
            array = pyarrow.array(values, from_pandas=True)
            if isinstance(array, pyarrow.ChunkedArray):
                array = array.combine_chunks()
            arrays.append(array.cast(column.kind.arrow_type))
    schema = pyarrow.schema([field.with_nullable(True) for field in table.arrow_schema])
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_arrays(arrays, schema=schema), path)
    return path


def compare_frames(
    folder: Path,
    table: Table,
    v1: pd.DataFrame,
    v2: pd.DataFrame,
    *,
    sample_cells: int = 20,
) -> Comparison:
    """Publish both sides as the warehouse lays them out, and compare."""
    day = f"trading_day={TRADING_DAY:%Y-%m-%d}"
    return compare(
        table,
        [write(table, v1, folder / "v1" / table.name / day / "a.parquet")],
        [write(table, v2, folder / "v2" / table.name / day / "b.parquet")],
        TRADING_DAY,
        ReconciliationSettings(sample_cells=sample_cells),
    )


def check_contracts(table: Table, comparison: Comparison) -> None:
    """Fail unless every frame of ``comparison`` fulfils its table contract."""
    RECONCILIATIONS[table.name].schema.validate(comparison.columns)
    RECONCILIATION_CELLS[table.name].schema.validate(comparison.cells)
    RECONCILIATION_SUMMARY.schema.validate(comparison.summary)
    RECONCILIATION_DIAGNOSES[table.name].schema.validate(comparison.diagnoses)
    RECONCILIATION_DECISIONS.schema.validate(comparison.decisions)


def diverged_columns(comparison: Comparison) -> set[str]:
    """Return the columns that the summary names as diverged."""
    names = comparison.summary.at[0, "columns_diverged"]
    return set() if pd.isna(names) else set(names.split(","))


def column_row(comparison: Comparison, name: str) -> pd.Series:
    """Return the row of one compared column."""
    return comparison.columns.set_index("column_name").loc[name]


def cells_of(comparison: Comparison, name: str, role: str) -> pd.DataFrame:
    """Return the listed cells of one column in one role, by rank."""
    cells = comparison.cells
    chosen = cells[(cells["column_name"] == name) & (cells["role"] == role)]
    return chosen.sort_values("rank", ignore_index=True)
