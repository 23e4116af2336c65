"""What lies behind the diverging cells: which instruments, from which input rows, among which bars.

Belongs here: questions that are asked only when something differs, in SQL over the rows of the table and
of the step's inputs. Does not belong here: whether and where something differs (``compare``), which rows
those are (``pipeline``), drawing (``pictures``), text (``report``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from setbull_pipelines.reconciliation.diagnosis import ROW
from setbull_pipelines.reconciliation.joining import joined_sides, row_key, unequal_cell
from setbull_pipelines.reconciliation.rows import Rows
from setbull_pipelines.tables.contract import Kind, Table
from setbull_pipelines.tables.reconciliation import (
    RECONCILIATION_BARS,
    RECONCILIATION_INSTRUMENTS,
    RECONCILIATION_WINDOWS,
)
from setbull_pipelines.warehouse.queries import quoted_identifier, quoted_text

_NUMBERS = (Kind.FLOAT, Kind.INTEGER, Kind.NULLABLE_INTEGER)
_MOMENT_NAMES = ("timestamp", "move_day", "end_day", "trading_day")
"""What says when a row was, the most exact first."""
_SERIES_NAMES = ("instrument_key", "series")


@dataclass(frozen=True)
class Sides:
    """The rows of one table in both variants; a raw table has the same on both sides."""

    table: Table
    v1: Rows
    v2: Rows


def instrument_counts(
    output: Sides, cells: pd.DataFrame, trading_day: pd.Timestamp
) -> pd.DataFrame:
    """Return ``RECONCILIATION_INSTRUMENTS``: unequal cells by instrument and column.

    ``cells`` (``RECONCILIATION_CELLS`` of the day) names the diverged columns.
    """
    contract = RECONCILIATION_INSTRUMENTS[output.table.name]
    both = "coalesce(in_v1 AND in_v2, false)"
    counts = []
    for name in cells["column_name"].unique():
        if name == ROW:
            compared, unequal = "count(*)", f"count_if(NOT {both})"
        else:
            compared = f"count_if({both})"
            unequal = f"count_if({both} AND {unequal_cell(output.table.column(name))})"
        counts.append(
            f"SELECT instrument_key, {quoted_text(name)} AS column_name, {compared} AS cells_compared, "
            f"{unequal} AS cells_unequal FROM joined GROUP BY instrument_key HAVING {unequal} > 0"
        )
    if not counts:
        return contract.empty()
    with joined_sides(output.table, output.v1, output.v2) as connection:
        found = connection.execute(" UNION ALL ".join(counts)).df()
    return contract.conform(found.assign(trading_day=trading_day))


def windows(
    output: Sides,
    inputs: Sequence[Sides],
    cells: pd.DataFrame,
    trading_day: pd.Timestamp,
    rows: int,
    duration: pd.Timedelta,
) -> pd.DataFrame:
    """Return ``RECONCILIATION_WINDOWS``: the input rows of the first and the worst cell of each column.

    ``rows`` are kept per cell and input: the last that begin before the row of the cell ends, in the
    cell's own daily series. ``duration`` is that of a row of ``output``: a bar or a day; ``inputs`` hold
    the whole look-back of the step.
    """
    contract = RECONCILIATION_WINDOWS[output.table.name]
    targets = _targets(output, cells)
    targets = targets.assign(ends=targets["moment"] + duration)
    found = [_input_rows(item, targets, rows) for item in inputs if len(targets)]
    if not any(map(len, found)):
        return contract.empty()
    return contract.conform(pd.concat(found, ignore_index=True).assign(trading_day=trading_day))


def bars(
    output: Sides,
    cells: pd.DataFrame,
    diagnoses: pd.DataFrame,
    trading_day: pd.Timestamp,
    charts: int,
    chart_bars: int,
) -> pd.DataFrame:
    """Return ``RECONCILIATION_BARS``: both variants around the first diverging bar of ``trading_day``.

    One column for each of the first ``charts`` causes (``RECONCILIATION_DIAGNOSES``), of the instrument
    with its worst cell: ``chart_bars`` bars, a quarter of them before the first diverging one where there
    are as many after it. ``output`` holds the earlier sessions too. Empty for tables without bars.
    """
    contract = RECONCILIATION_BARS[output.table.name]
    if not {"timestamp", "move_day"} & set(output.table.key):
        return contract.empty()
    targets = _targets(output, cells)
    worst = targets[targets["role"] == "worst"].set_index("column_name")
    found = []
    for name in _charted(output.table, diagnoses, worst.index, charts):
        target = worst.loc[name]
        drawn = _bars_of(output, name, target, trading_day)
        is_candidate = ~drawn["is_equal"] & (drawn["day"] == trading_day)
        if not is_candidate.any():
            continue
        first = int(is_candidate.to_numpy().argmax())
        start = max(0, min(first - chart_bars // 4, len(drawn) - chart_bars))
        drawn = drawn.assign(is_first=drawn.index == first).iloc[start : start + chart_bars]
        found.append(drawn.drop(columns="day").assign(column_name=name))
    if not found:
        return contract.empty()
    return contract.conform(pd.concat(found, ignore_index=True).assign(trading_day=trading_day))


def _charted(table: Table, diagnoses: pd.DataFrame, diverged: pd.Index, charts: int) -> list[str]:
    """Return the first column with numbers of each cause, the most specific cause first."""
    chosen = []
    for columns in diagnoses.sort_values("rank")["column_names"]:
        for name in columns.split(","):
            if name in diverged and name != ROW and table.column(name).kind in _NUMBERS:
                chosen.append(name)
                break
    return chosen[:charts]


def _value(table: Table, name: str) -> str:
    """Return SQL for a column of ``joined`` in which both sides agree, or only one side has a row."""
    if name in table.key:
        return f"joined.{quoted_identifier(name)}"
    v1, v2 = (f"joined.{quoted_identifier(f'{side}_{name}')}" for side in ("v1", "v2"))
    return f"coalesce({v1}, {v2})"


def _moment(table: Table) -> str:
    name = next(name for name in _MOMENT_NAMES if name in table.column_names)
    return f"{_value(table, name)}::TIMESTAMPTZ"


def _series(table: Table) -> list[str]:
    return [name for name in _SERIES_NAMES if name in table.column_names]


def _targets(output: Sides, cells: pd.DataFrame) -> pd.DataFrame:
    """Return the first and the worst cell of each column with series and moment of its row.

    Columns: column_name, role, instrument_key, series (null where the table has none), row_key, moment.
    """
    best = cells.loc[cells["rank"] == 1, ["column_name", "role", "instrument_key", "row_key"]]
    series = _value(output.table, "series") if "series" in output.table.column_names else "NULL"
    instruments = best["instrument_key"].unique().tolist()
    with joined_sides(output.table, output.v1, output.v2, instruments) as connection:
        connection.register("best", best)
        return connection.execute(
            f"SELECT best.*, {series}::VARCHAR AS series, {_moment(output.table)} AS moment "
            f"FROM best JOIN joined ON {row_key(output.table, 'joined')} = best.row_key "
            "ORDER BY column_name, role"
        ).df()


def _input_rows(item: Sides, targets: pd.DataFrame, rows: int) -> pd.DataFrame:
    """Return the last ``rows`` rows of one input up to each target, one line per column of the input."""
    columns = item.table.without_provenance.value_columns
    both = "coalesce(in_v1 AND in_v2, false)"
    equal = {column.name: f"({both} AND NOT {unequal_cell(column)})" for column in columns}
    same = " AND ".join(
        f"{_value(item.table, name)} = targets.{quoted_identifier(name)}"
        for name in _series(item.table)
        if name == "instrument_key" or targets["series"].notna().any()
    )
    others = [name for name in item.table.key if name not in _SERIES_NAMES]
    order = ", ".join([_moment(item.table), *(_value(item.table, name) for name in others)])
    cell = "PARTITION BY targets.column_name, targets.role"
    kept = (
        "SELECT targets.column_name, targets.role, targets.instrument_key AS target_instrument, "
        f"targets.row_key, {row_key(item.table, 'joined')} AS input_key, joined.*, "
        f"row_number() OVER ({cell} ORDER BY row({order}) DESC) - 1 AS rows_back, "
        f"arg_min({row_key(item.table, 'joined')}, row({order})) "
        f"FILTER (NOT ({' AND '.join(equal.values())})) OVER ({cell}) AS first_difference "
        f"FROM targets JOIN joined ON {same} AND {_moment(item.table)} < targets.ends"
    )
    lines = " UNION ALL ".join(
        f"SELECT column_name, role, {quoted_text(item.table.name)} AS input_table, rows_back, "
        f"{quoted_text(column.name)} AS input_column, target_instrument AS instrument_key, row_key, "
        f"input_key, {_text('v1', column.name)} AS v1, {_text('v2', column.name)} AS v2, "
        f"{equal[column.name]} AS is_equal, first_difference FROM kept"
        for column in columns
    )
    instruments = targets["instrument_key"].unique().tolist()
    with joined_sides(item.table, item.v1, item.v2, instruments) as connection:
        connection.register("targets", targets)
        return connection.execute(
            f"WITH kept AS (SELECT * FROM ({kept}) WHERE rows_back < {rows:d}) {lines}"
        ).df()


def _text(side: str, name: str) -> str:
    return f"{quoted_identifier(f'{side}_{name}')}::VARCHAR"


def _bars_of(
    output: Sides, name: str, target: pd.Series, trading_day: pd.Timestamp
) -> pd.DataFrame:
    """Return all bars of a column in the series of ``target``, in time order."""
    table = output.table
    has_series = "series" in table.key
    v1, v2 = (f"{quoted_identifier(f'{side}_{name}')}::DOUBLE" for side in ("v1", "v2"))
    query = (
        f"SELECT {_moment(table)} AS timestamp, {_value(table, 'trading_day')} AS day, instrument_key, "
        f"{'series' if has_series else 'NULL'}::VARCHAR AS series, {v1} AS v1, {v2} AS v2, "
        f"{v2} - {v1} AS difference, "
        f"coalesce(in_v1 AND in_v2, false) AND NOT {unequal_cell(table.column(name))} AS is_equal "
        f"FROM joined {'WHERE series = $series' if has_series else ''} ORDER BY 1"
    )
    parameters = {"series": target["series"]} if has_series else {}
    with joined_sides(table, output.v1, output.v2, [target["instrument_key"]]) as connection:
        return connection.execute(query, parameters).df()
