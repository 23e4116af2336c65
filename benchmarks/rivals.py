"""Other ways to compare two Parquet files cell by cell, as a person would write them: one process, one rival.

``python benchmarks/rivals.py NAME LEFT RIGHT KEY COLUMNS TOLERANCE`` (names separated by commas) prints the seconds it
took after the imports, and the unequal cells.
Belongs here: rivals. Does not belong here: anything of the project, so that it also runs in `.venv-referee`.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable


def duckdb_join(left: str, right: str, key: list[str], columns: list[str], relative: float) -> int:
    """A hand-written full join with one aggregate over all columns."""
    import duckdb

    unequal = " + ".join(
        f"count_if(a.{name} IS DISTINCT FROM b.{name} AND NOT coalesce("
        f"abs(a.{name} - b.{name}) <= {relative!r} * greatest(abs(a.{name}), abs(b.{name})), false))"
        for name in columns
    )
    (found,) = duckdb.execute(
        f"SELECT {unequal} FROM read_parquet(?) AS a FULL JOIN read_parquet(?) AS b "
        f"USING ({', '.join(key)})",
        [left, right],
    ).fetchone()
    return found


def duckdb_except(
    left: str, right: str, key: list[str], columns: list[str], relative: float
) -> int:
    """EXCEPT, which knows rows only, and no tolerance: the result is a number of rows."""
    import duckdb

    names = ", ".join([*key, *columns])
    (found,) = duckdb.execute(
        f"SELECT count(*) FROM (SELECT {names} FROM read_parquet(?) "
        f"EXCEPT SELECT {names} FROM read_parquet(?))",
        [left, right],
    ).fetchone()
    return found


def pandas_merge(left: str, right: str, key: list[str], columns: list[str], relative: float) -> int:
    """merge on the key, then isclose per column."""
    import numpy as np
    import pandas as pd

    sides = [pd.read_parquet(path, columns=[*key, *columns]) for path in (left, right)]
    both = sides[0].merge(sides[1], on=key, how="outer", suffixes=("_a", "_b"))
    return sum(
        int(
            (
                ~np.isclose(
                    both[f"{name}_a"], both[f"{name}_b"], rtol=relative, atol=0, equal_nan=True
                )
            ).sum()
        )
        for name in columns
    )


def polars_join(left: str, right: str, key: list[str], columns: list[str], relative: float) -> int:
    """A lazy full join with one aggregate over all columns, streamed."""
    import polars as pl

    a, b = (pl.scan_parquet(path).select(*key, *columns) for path in (left, right))
    both = a.join(b, on=key, how="full", suffix="_b")

    def unequal(name: str) -> pl.Expr:
        x, y = pl.col(name), pl.col(f"{name}_b")
        near = (x - y).abs() <= relative * pl.max_horizontal(x.abs(), y.abs())
        return (x.ne_missing(y) & ~near.fill_null(False)).sum()

    return both.select(sum(unequal(name) for name in columns)).collect(engine="streaming").item()


def datacompy(left: str, right: str, key: list[str], columns: list[str], relative: float) -> int:
    """The outside referee of the tests, on pandas frames."""
    import pandas as pd
    from datacompy import PandasCompare

    sides = [
        pd.read_parquet(path, columns=[*key, *columns]).astype({key[0]: "str"})
        for path in (left, right)
    ]
    stats = PandasCompare(*sides, join_columns=key, rel_tol=relative).column_stats
    return sum(int(column["unequal_cnt"]) for column in stats)


Rival = Callable[[str, str, list[str], list[str], float], int]
RIVALS: dict[str, tuple[Rival, str]] = {
    "duckdb_join": (duckdb_join, "duckdb"),
    "duckdb_except": (duckdb_except, "duckdb"),
    "pandas_merge": (pandas_merge, "pandas"),
    "polars_join": (polars_join, "polars"),
    "datacompy": (datacompy, "datacompy"),
}
"""Each with the package that is imported before its clock starts."""

if __name__ == "__main__":
    _, chosen, left_path, right_path, key_names, column_names, tolerance = sys.argv
    run, package = RIVALS[chosen]
    importlib.import_module(package)
    started = time.perf_counter()
    unequal_cells = run(
        left_path, right_path, key_names.split(","), column_names.split(","), float(tolerance)
    )
    print(time.perf_counter() - started, unequal_cells)
