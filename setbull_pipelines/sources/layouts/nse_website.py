"""The history of one security from the exchange's website: no symbol, Indian thousands, names that end in a blank."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from setbull_pipelines.sources.day_files import trimmed, with_iso_dates
from setbull_pipelines.sources.file_names import instrument_in, stem
from setbull_pipelines.sources.layouts import Sample
from setbull_pipelines.sources.raw_rows import RawRows, renamed

NAME = "history of one security from the website of NSE"
_MEANING = {"date": "timestamp"}
_COLUMNS = {"date", "series", "open", "high", "low", "prev. close", "close", "volume"}
_FILE = re.compile(r"Quote-Equity-([A-Z0-9&]+(?:-[A-Z0-9&]+)*?)-(?:[A-Z0-9]{2}|ALL)(?:-\d.*)?")


def recognises(names: Sequence[str], sample: Sample) -> bool:
    """By the columns."""
    return set(names) >= _COLUMNS


def as_rows(rows: RawRows) -> RawRows:
    """The columns under their names, with ISO dates."""
    table = rows.columns.select([name for name in rows.names if name])
    table = renamed(table, [_MEANING.get(name, name) for name in table.column_names])
    return replace(rows, columns=with_iso_dates(trimmed(table, "series")), with_series=True)


def identity(path: str) -> str | None:
    """``Quote-Equity-RELIANCE-EQ-01-06-2024-to-01-06-2025.csv`` as the website names it, or a usual form."""
    if found := _FILE.match(stem(path)):
        return found[1]
    return instrument_in(path)
