"""``setbull revisions``: what corrections changed, in the terminal.

Belongs here: reading and laying out. Does not belong here: counting and wording (``quality/revisions.py``).
"""

from __future__ import annotations

from datetime import date

import pandas as pd
from rich.markup import escape
from rich.table import Table as TextTable

from setbull_pipelines.cli.terminal import console
from setbull_pipelines.pipeline.instruments import key_of
from setbull_pipelines.pipeline.opening import open_warehouse
from setbull_pipelines.quality.revisions import (
    REVISIONS,
    changes,
    largest_changes,
    number,
    sentence,
)
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.errors import (
    MissingPartition,
)


def print_revisions(
    settings: Settings, day: date | None, instrument: str | None, rows: int
) -> None:
    """Print the corrections of a day (None: of all), of an instrument by key or symbol (None: of all).

    Raises MissingPartition for a day without a stored session, NoSuchInstrument.
    """
    warehouse = open_warehouse(settings)
    stored = warehouse.partitions(REVISIONS)
    if day is not None and day.isoformat() not in stored:
        expected = f"a session from {stored[0]} to {stored[-1]}" if stored else "a session of a run"
        raise MissingPartition(f"--day {day}: found no bars of that day, expected {expected}")
    revisions = warehouse.read(REVISIONS, None if day is None else [day.isoformat()])
    if instrument is not None:
        revisions = revisions[revisions["instrument_key"] == key_of(instrument, settings)]
    days = "all days" if day is None else f"{day}"
    console.print(f"{days}: {sentence(revisions)}")
    if len(revisions):
        found = changes(revisions)
        _print_largest(found)
        _print_changes(found, rows)


def _print_largest(found: pd.DataFrame) -> None:
    grid = _grid(("column", "bars", "largest change", "in %"), left=1)
    for row in largest_changes(found).itertuples():
        grid.add_row(
            row.column, f"{row.bars:,}", f"{number(row.change)} {row.unit}", number(row.percent)
        )
    console.print(grid)


def _print_changes(found: pd.DataFrame, rows: int) -> None:
    columns = ("instrument", "bar", "column", "was", "corrected at", "by", "old", "new", "%")
    grid = _grid(columns, left=6)
    for row in found.head(rows).itertuples():
        grid.add_row(
            escape(row.instrument_key),
            f"{row.timestamp:%Y-%m-%d %H:%M}",
            row.column,
            row.old_state,
            f"{row.revised_at:%Y-%m-%d %H:%M}",
            escape(row.new_source),
            *map(number, (row.old, row.new, row.percent)),
        )
    console.print(grid)
    if len(found) > rows:
        console.print(f"and {len(found) - rows:,} smaller changes (--rows, or table raw.revisions)")


def _grid(columns: tuple[str, ...], left: int) -> TextTable:
    grid = TextTable(box=None, pad_edge=False)
    for position, name in enumerate(columns):
        grid.add_column(name, justify="left" if position < left else "right", overflow="fold")
    return grid
