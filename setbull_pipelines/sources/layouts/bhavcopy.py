"""The exchange's day files (bhavcopy) of the cash market in the layout until July 2024."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from setbull_pipelines.sources.day_files import keyed_by_isin, with_iso_dates
from setbull_pipelines.sources.layouts import Sample
from setbull_pipelines.sources.raw_rows import RawRows, renamed

NAME = "bhavcopy of NSE, layout until July 2024"
_MEANING = {"tottrdqty": "volume"}
_COLUMNS = {"symbol", "series", "open", "high", "low", "close", "timestamp", "isin", *_MEANING}


def recognises(names: Sequence[str], sample: Sample) -> bool:
    """By the columns."""
    return set(names) >= _COLUMNS


def as_rows(rows: RawRows) -> RawRows:
    """The columns under their names, keyed by ISIN, with ISO dates."""
    # It ends its header with a comma, which makes a column without a name.
    table = rows.columns.select([name for name in rows.names if name])
    table = renamed(table, [_MEANING.get(name, name) for name in table.column_names])
    return keyed_by_isin(replace(rows, columns=with_iso_dates(table), with_series=True))


def identity(path: str) -> str | None:
    """None: every row names its share."""
    return None
