"""Rows that know their version, and whether what a reader saw is of one commit: for ``table_formats``.

Belongs here: making such rows and judging them. Does not belong here: formats (``formats``), clocks, faults.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pyarrow

from benchmarks.formats import NUMBERS, SCHEMA, TABLES

DAYS = [
    str(day)
    for day in (date(2024, 1, 1) + timedelta(days=number) for number in range(900))
    if day.weekday() < 5
]
FEW_DAYS = DAYS[:20]


def day_of(day: str, instruments: int, bars: int, version: int) -> pyarrow.Table:
    """Rows of one day, each with the version; their number follows from it, so that a mixture shows."""
    count = instruments * bars
    keys = np.repeat([f"NSE_EQ|{number:06d}" for number in range(instruments)], bars)
    values = np.random.default_rng(hash((day, version)) % 2**32)
    columns = {
        "instrument_key": keys,
        "bar": np.tile(np.arange(bars), instruments),
        "trading_day": pyarrow.array([date.fromisoformat(day)] * count, pyarrow.date32()),
        "version": np.full(count, version),
        **{name: values.random(count).round(4) for name in NUMBERS},
    }
    return pyarrow.table(columns, schema=SCHEMA)


def days_of(days: list[str], instruments: int, bars: int, version: int) -> pyarrow.Table:
    """As :func:`day_of`, of several days."""
    return pyarrow.concat_tables([day_of(day, instruments, bars, version) for day in days])


def instruments_in(version: int) -> int:
    """How many instruments a day of that version has."""
    return 40 + version % 7


def both(days: list[str], version: int) -> dict[str, tuple[pyarrow.Table, list[str]]]:
    """The same rows for both tables."""
    rows = days_of(days, instruments_in(version), 1, version)
    return dict.fromkeys(TABLES, (rows, days))


def summary(rows: pyarrow.Table) -> dict[str, tuple[int, int, int]]:
    """By day: rows, smallest and largest version."""
    found = rows.group_by("trading_day").aggregate(
        [("version", "count"), ("version", "min"), ("version", "max")]
    )
    return {
        str(row["trading_day"]): (row["version_count"], row["version_min"], row["version_max"])
        for row in found.to_pylist()
    }


def is_torn(of_tables: list[dict[str, tuple[int, int, int]]], days: list[str]) -> bool:
    """Whether a day is missing, mixes versions, has rows too few or many, or differs between the tables."""
    return of_tables[0] != of_tables[1] or any(
        sorted(found) != days
        or any(low != high or count != instruments_in(low) for count, low, high in found.values())
        for found in of_tables
    )


def tables_now(store: object) -> list[dict[str, tuple[int, int, int]]]:
    """Both tables as of one commit."""
    with store.snapshot() as reader:
        return [summary(reader.read(table)) for table in TABLES]
