"""The first rows of a table as Markdown, with units.

Belongs here: numbers and moments as people read them. Does not belong here: choosing or reading rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from setbull_pipelines.tables.contract import INDIA, Column, Kind, Table

COLUMNS_SHOWN = 12
_SIGNS = {"rupees": "₹", "percent": "%"}
_LONGEST = 60


def preview(rows: pd.DataFrame, table: Table, names: Sequence[str] | None = None) -> str:
    """Return the rows as a Markdown table of the columns ``names``; others are counted.

    None: the key, then the others in their order, :data:`COLUMNS_SHOWN` of them.
    """
    if rows.empty:
        return "no rows"
    in_order = list(dict.fromkeys((*table.key, *table.column_names)))
    columns = [table.column(name) for name in names or in_order[:COLUMNS_SHOWN]]
    lines = [_line(map(_heading, columns)), _line("---" for _ in columns)]
    for row in rows[[column.name for column in columns]].itertuples(index=False):
        lines.append(_line(map(_cell, row, columns)))
    more = len(table.columns) - len(columns)
    if more:
        lines.append(f"\nand {more} more column{'s' * (more > 1)}")
    return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _heading(column: Column) -> str:
    return f"{column.name} [{_SIGNS.get(column.unit, column.unit)}]" if column.unit else column.name


def _cell(value: Any, column: Column) -> str:
    if pd.isna(value):
        return ""
    if column.kind is Kind.TIMESTAMP:
        local = value.tz_convert(INDIA)
        return f"{local:%Y-%m-%d}" if local == local.normalize() else f"{local:%Y-%m-%d %H:%M}"
    if column.kind is Kind.DAY:
        return f"{value:%Y-%m-%d}"
    if column.kind in (Kind.INTEGER, Kind.NULLABLE_INTEGER):
        return f"{value:,}"
    if column.kind is Kind.FLOAT:
        return f"{value:,.2f}" if column.unit in _SIGNS else f"{value:,.4g}"
    if column.kind in (Kind.BOOLEAN, Kind.NULLABLE_BOOLEAN):
        return "yes" if value else "no"
    text = " ".join(str(value).split())
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    # Before Markdown reads it: keys hold a bar.
    return text.replace("|", "\\|")
