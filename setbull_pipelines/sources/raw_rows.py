"""Rows of an input file as they were found, before anybody judges them.

Belongs here: what rows are, their names and line numbers, and their values as text. Does not belong here: reading bytes
(``reading.py`` and the modules that it chooses from), what columns mean (``layouts/``), which rows are good
(``candle_files.py``, ``universe_files.py``).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow
import pyarrow.compute as compute

from setbull_pipelines.sources.joined_names import joined_names
from setbull_pipelines.tables.contract import INDIA

MOST_COLUMNS = 1_000
MOST_COLUMNS_SIDE_BY_SIDE = 50_000
"""Where every instrument of an exchange has its own."""
_NEVER_TWICE = frozenset(
    (
        *("instrument_key", "symbol", "timestamp", "date", "time", "datetime"),
        *("open", "high", "low", "close", "volume", "open_interest"),
    )
)


class UnreadableFile(ValueError):
    """A file that cannot be used as a whole; the message says what was found and what was expected.

    ``rule`` is a short name of what it breaks, ``line`` and ``value`` are where that shows first, ``count`` how often.
    ``paste`` are the settings of ``[input]`` that would say what is meant.
    """

    def __init__(
        self,
        message: str,
        rule: str = "unreadable file",
        *,
        line: int | None = None,
        value: str | None = None,
        count: int | None = None,
        paste: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.rule, self.line, self.value, self.count = rule, line, value, count
        self.paste = dict(paste or {})


class NotATable(UnreadableFile):
    """A file that holds nothing of what is looked for, such as a note beside the candles."""


@dataclass(frozen=True)
class MalformedLine:
    """A line that is no row: it has another number of fields than the header, or what ``fault`` says."""

    line: int
    text: str
    fields_found: int
    fields_expected: int
    fault: str | None = None

    @property
    def reason(self) -> str:
        """What was found and what was expected."""
        if self.fault:
            return self.fault
        lines = self.text.strip().count("\n")
        if lines and self.text.count('"') % 2:
            return (
                f"Found a quotation mark that nothing closes, so that {lines} more lines are part of the row, expected "
                "both marks or none."
            )
        return (
            f"Found {self.fields_found} fields, expected {self.fields_expected} as in the header."
        )


@dataclass(frozen=True)
class RawRows:
    """Columns as found, names in lower case, with the line (CSV) or row number (Parquet, JSON) of each row.

    ``provisional`` is what a Parquet file's mark says, ``notes`` what the file was taken for, in words. Among rows
    ``with_series`` only those of the wanted exchange series are candles.
    """

    columns: pyarrow.Table
    lines: np.ndarray
    malformed: Sequence[MalformedLine] = field(default=())
    provisional: Mapping[str, Sequence[str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    with_series: bool = False

    @property
    def names(self) -> list[str]:
        """Column names in file order."""
        return self.columns.column_names

    @property
    def received(self) -> int:
        """Rows in the file, the malformed ones included."""
        return len(self.lines) + len(self.malformed)

    def sample(self, rows: int = 20) -> list[dict[str, str | None]]:
        """The first rows as texts by column, as far as one needs to see to tell what a file is."""
        first = self.columns.slice(0, rows)
        columns = [texts(column) for column in first.columns]
        return [dict(zip(self.names, row, strict=True)) for row in zip(*columns, strict=True)]


def texts(column: pyarrow.ChunkedArray) -> list[str | None]:
    """The values of a column as text, moments in Asia/Kolkata; None where there is no value."""
    if pyarrow.types.is_timestamp(column.type) and column.type.tz is not None:
        column = compute.cast(column, pyarrow.timestamp("us", tz=INDIA), safe=False)
    try:
        values = column.to_pylist()
    except (OverflowError, ValueError):  # dates beyond those Python knows
        values = compute.cast(column, pyarrow.string()).to_pylist()
    return [
        None if value is None else value.isoformat() if hasattr(value, "isoformat") else str(value)
        for value in values
    ]


def records(names: Sequence[str], columns: Iterable[Sequence[str | None]]) -> list[str]:
    """One JSON object per row, from columns of texts."""
    return [
        json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False)
        for row in zip(*columns, strict=True)
    ]


def column_names(found: Sequence[str], of_two_levels: bool = False) -> list[str]:
    """Names in lower case, each once: one that has no meaning here and comes again gets a number.

    Of two levels, as where several tickers stand side by side, any may come again: the layout knows the second level.
    """
    most = most_columns(found, of_two_levels)
    if len(found) > most:
        raise UnreadableFile(f"found {len(found):,} columns, expected at most {most:,}")
    names = [name.strip().lower() for name in found]
    counts = Counter(names)
    repeated = sorted(_NEVER_TWICE & {name for name, times in counts.items() if times > 1})
    if repeated and not of_two_levels:
        raise UnreadableFile(
            f"found the column {', '.join(repeated)} more than once, expected every column once"
        )
    seen: Counter[str] = Counter()
    numbered = []
    for name in names:
        seen[name] += 1
        again = f"{name} ({seen[name]})"
        numbered.append(again if seen[name] > 1 and again not in counts else name)
    if len(set(numbered)) < len(numbered):
        raise UnreadableFile("found columns that cannot be told apart, expected every column once")
    return numbered


def most_columns(found: Sequence[str], of_two_levels: bool = False) -> int:
    """How many columns a table may have: more where each instrument has its own, which their names must say."""
    if len(found) <= MOST_COLUMNS:
        return MOST_COLUMNS
    return MOST_COLUMNS_SIDE_BY_SIDE if of_two_levels or joined_names(found) else MOST_COLUMNS


def renamed(table: pyarrow.Table, names: Sequence[str]) -> pyarrow.Table:
    """The table under other names; two columns that would mean the same are refused."""
    return table.rename_columns(column_names(names))


def first_line(error: Exception) -> str:
    """The first line of what a library says of data that it cannot read."""
    lines = str(error).splitlines() or [type(error).__name__]
    return f"unreadable data ({lines[0][:200].rstrip('.')})"
