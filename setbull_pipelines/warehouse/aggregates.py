"""Bars held against an aggregation of their minutes in SQL, independent of every other way to make them.

Belongs here: the statement, and DuckDB over two frames. Does not belong here: what the result means (``quality/``),
making bars (``variants/``), the calendar.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import duckdb
import pandas as pd
import pyarrow

MINUTES_OF_A_DAY = 24 * 60
COMPARED = ("open", "high", "low", "close", "volume", "open_interest", "minutes_traded")
_OF_BARS = ("instrument_key", "timestamp", *COMPARED)
_OF_MINUTES = _OF_BARS[:-1]
_MICROSECONDS_OF_A_MINUTE = 60_000_000
_PLACED = f"(epoch_us(timestamp) - $midnight) // {_MICROSECONDS_OF_A_MINUTE}"
_HELD_AGAINST_MINUTES = f"""
    WITH placed AS (
        SELECT *, {_PLACED} AS minute FROM minutes
        WHERE volume > 0 OR $include_untraded OR split_part(instrument_key, '|', 1) LIKE '%_INDEX'
    ), aggregated AS (
        SELECT instrument_key, first_minute + (minute - first_minute) // $bar_minutes * $bar_minutes AS bar,
               arg_min(open, minute) AS open, max(high) AS high, min(low) AS low, arg_max(close, minute) AS close,
               CASE WHEN count(volume) = count(*) THEN sum(volume) END AS volume,
               arg_max(open_interest, minute) AS open_interest,
               count(*) FILTER (volume > 0) AS minutes_traded
        FROM placed JOIN intervals ON minute >= first_minute AND minute < end_minute
        GROUP BY ALL
    )
    SELECT coalesce(found.instrument_key, expected.instrument_key) AS instrument_key,
           coalesce(found.bar, expected.bar) AS bar,
           found.bar IS NULL AS is_missing, expected.bar IS NULL AS is_surplus,
           {", ".join(f"found.{name} AS found_{name}, expected.{name} AS expected_{name}" for name in COMPARED)}
    FROM (SELECT *, {_PLACED} AS bar FROM bars) AS found
    FULL JOIN aggregated AS expected USING (instrument_key, bar)
    WHERE is_missing OR is_surplus
       OR {" OR ".join(f"found.{name} IS DISTINCT FROM expected.{name}" for name in COMPARED)}
    ORDER BY 1, 2
"""


@dataclass(frozen=True)
class WrongBar:
    """A bar that is not what its minutes give."""

    instrument_key: str
    minute: int
    """Its start, in minutes after midnight of its day."""
    column: str | None
    """The first column that differs; None where the bar, or its minutes, are missing."""
    found: str
    expected: str


def wrong_bars(
    bars: pd.DataFrame,
    minutes: pd.DataFrame,
    midnight: pd.Timestamp,
    intervals: Iterable[tuple[int, int]],
    bar_minutes: int,
    include_untraded: bool,
) -> list[WrongBar]:
    """Every bar of a day, by instrument and time, with a value other than its minutes give; exact, nulls are equal.

    ``bars`` and ``minutes`` are the rows of ``midnight`` (with zone), the latter as in ``raw.candles_1min``. A bar
    begins every ``bar_minutes`` from the start of each interval (minutes after midnight, end excluded). Minutes
    without volume count only with ``include_untraded``, those of indices always.
    """
    starts, ends = zip(*intervals, strict=True)
    connection = _database(os.getpid()).cursor()
    try:
        connection.register("bars", _arrow(bars, _OF_BARS))
        connection.register("minutes", _arrow(minutes, _OF_MINUTES))
        connection.register(
            "intervals", pyarrow.table({"first_minute": starts, "end_minute": ends})
        )
        found = connection.sql(
            _HELD_AGAINST_MINUTES,
            params={
                "midnight": int(midnight.timestamp() * 1_000_000),
                "bar_minutes": bar_minutes,
                "include_untraded": include_untraded,
            },
        ).to_arrow_table()
    finally:
        connection.close()
    return [_wrong(row) for row in found.to_pylist()]


@cache
def _database(process: int) -> duckdb.DuckDBPyConnection:
    """An empty database whose connections each see the frames of one day: making one takes longer than asking it.

    One for each ``process``, as it does not survive a fork.
    """
    return duckdb.connect(":memory:")


def _arrow(frame: pd.DataFrame, columns: Iterable[str]) -> pyarrow.Table:
    return pyarrow.Table.from_pandas(frame[list(columns)], preserve_index=False)


def _wrong(row: dict) -> WrongBar:
    key, minute = row["instrument_key"], row["bar"]
    if row["is_missing"]:
        volume = row["expected_volume"]
        shares = "without volume" if volume is None else f"of {volume:,} shares"
        return WrongBar(key, minute, None, "no bar", f"one {shares}")
    if row["is_surplus"]:
        return WrongBar(key, minute, None, "a bar", "none, since no minute of it counts")
    column = next(name for name in COMPARED if row[f"found_{name}"] != row[f"expected_{name}"])
    return WrongBar(
        key, minute, column, f"{row[f'found_{column}']}", f"{row[f'expected_{column}']}"
    )
