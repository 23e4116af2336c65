"""The old tables: which are read, their columns in the order of their migrations, and what a row is counted under.

Belongs here: names and kinds. Does not belong here: reading (``sql_dumps``, ``csv_exports``, ``live``), the new names.
"""

from __future__ import annotations

import codecs
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pandas as pd

from setbull_pipelines.errors import SetbullError

CANDLES, CANDLES_5MIN = "stock_candle_data", "stock_candle_data_5min"
FILTERED, UNIVERSE = "filtered_stocks", "stock_universe"
GROUPS, GROUP_STOCKS, STOCKS = "stock_groups", "stock_group_stocks", "stocks"
MINUTE, DAY = "1minute", "day"

_BAR = (
    "id instrument_key timestamp open high low close volume open_interest time_interval created_at"
)
COLUMNS: dict[str, tuple[str, ...]] = {
    CANDLES: tuple(
        f"{_BAR} ma_9 bb_upper bb_middle bb_lower vwap ema_5 ema_9 ema_50 atr rsi bb_width lowest_bb_width".split()
    ),
    CANDLES_5MIN: tuple(
        (
            f"{_BAR} updated_at active bb_upper bb_middle bb_lower bb_width bb_width_normalized "
            "bb_width_normalized_percentage ema_5 ema_9 ema_20 ema_50 atr rsi vwap ma_9 lowest_bb_width"
        ).split()
    ),
    FILTERED: (
        "id",
        "symbol",
        "instrument_key",
        "exchange_token",
        "trend",
        "current_price",
        "mamba_count",
        "bullish_mamba_count",
        "bearish_mamba_count",
        "avg_mamba_move",
        "avg_non_mamba_move",
        "mamba_series",
        "non_mamba_series",
        "filter_date",
        "created_at",
        "updated_at",
        "first_entry",
        "retest_entry",
        "second_entry",
    ),
    UNIVERSE: (
        "id",
        "symbol",
        "name",
        "exchange",
        "instrument_type",
        "isin",
        "instrument_key",
        "trading_symbol",
        "exchange_token",
        "last_price",
        "tick_size",
        "lot_size",
        "is_selected",
        "metadata",
        "created_at",
        "updated_at",
    ),
    GROUPS: ("id", "entry_type", "status", "created_at", "updated_at"),
    GROUP_STOCKS: ("id", "group_id", "stock_id"),
    STOCKS: ("id", "symbol", "name", "security_id"),
}
"""Without a CREATE TABLE or a header a row has these, in this order."""
USED: dict[str, tuple[str, ...]] = COLUMNS | {CANDLES: COLUMNS[CANDLES][:10]}
"""What is kept of a row. Nothing reads the indicators of one-minute and daily candles."""
REQUIRED: dict[str, tuple[str, ...]] = {
    CANDLES: (
        "instrument_key",
        "timestamp",
        "open",
        "high",
        "low",
        "close",
        "volume",
        "time_interval",
    ),
    CANDLES_5MIN: ("instrument_key", "timestamp", "open", "high", "low", "close", "volume"),
    FILTERED: ("symbol", "filter_date", "trend"),
    UNIVERSE: ("instrument_key", "symbol"),
    GROUPS: ("id", "entry_type"),
    GROUP_STOCKS: ("group_id", "stock_id"),
    STOCKS: ("id", "symbol"),
}
ROWS_IN_A_CHUNK = 100_000
_OF_DAYS = {"timestamp", "filter_date"}
_DAY_OR_MONTH_FIRST = r"\s*\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}\b"


class CannotImport(SetbullError, ValueError):
    """The old tables cannot be read; the message says what was found and what was expected."""


@dataclass(frozen=True)
class Chunk:
    """Some rows of one table, as text with None for NULL.

    ``stream`` is what is read from its beginning (a file, or a table of a database), ``number`` counts its chunks from
    0, ``mark`` is where the next chunk begins. ``read`` are the bytes of the stream that were
    read until its end, and how many there are; None where nobody knows.
    """

    stream: str
    number: int
    table: str
    rows: pd.DataFrame
    mark: str
    read: tuple[int, int] | None = None


@dataclass(frozen=True)
class Progress:
    """How far a stream was exported: chunks that are on disk, and where the next one begins."""

    chunks: int = 0
    mark: str = ""


@dataclass(frozen=True)
class Stream:
    """A source of chunks. ``identity`` changes when what was read of it is no longer what is there."""

    name: str
    identity: str
    states_utc: bool
    """Whether its moments are known to be UTC; otherwise the session they lie in shows their zone."""

    def chunks(self, done: Progress) -> Iterator[Chunk]:
        """The chunks after those that are ``done``. Raises CannotImport."""
        raise NotImplementedError

    def counts_there(self, done: Progress, zone: str) -> list[tuple[str, str, int]] | None:
        """Rows by interval and day as the source itself counts what is ``done``; None where it cannot count."""
        return None


def table_in_name(path: Path) -> str | None:
    """The table that a file name begins with; the longest that fits."""
    name = path.name.lower()
    fitting = [table for table in COLUMNS if name.startswith(table)]
    return max(fitting, key=len, default=None)


def identity_of(path: Path) -> str:
    """Changes when a file is written again."""
    status = path.stat()
    return f"{status.st_size} {status.st_mtime_ns}"


def encoding_of(path: Path) -> str:
    """The code page of a text file: UTF-16 where its mark says so, as a shell of Windows writes what it redirects."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        return "utf-16" if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8"


def bytes_read(file: IO[Any], path: Path) -> tuple[int, int]:
    """How many bytes of a file that is open for reading, packed or not, were read, and how many there are."""
    inner = getattr(file, "buffer", file)
    packed = getattr(inner, "fileobj", inner)
    return packed.tell(), path.stat().st_size


def chunk_of(
    stream: str,
    number: int,
    table: str,
    rows: pd.DataFrame,
    mark: str,
    read: tuple[int, int] | None = None,
) -> Chunk:
    """A chunk with the columns that are used.

    Raises CannotImport when one that is needed is missing or there twice, and for dates whose day and month cannot be
    told apart.
    """
    missing = [name for name in REQUIRED[table] if name not in rows.columns]
    if missing:
        raise CannotImport(
            f"{stream}: {table} has the columns {', '.join(rows.columns)}, expected also {', '.join(missing)}"
        )
    if not rows.columns.is_unique:
        twice = rows.columns[rows.columns.duplicated()][0]
        raise CannotImport(f"{stream}: {table} has the column {twice} twice, expected it once")
    for name in _OF_DAYS & set(rows.columns):
        is_doubtful = rows[name].astype("str").str.match(_DAY_OR_MONTH_FIRST)
        if is_doubtful.any():
            raise CannotImport(
                f"{stream}: {table} has {rows.loc[is_doubtful, name].iloc[0]!r} in column {name}, expected the year "
                "first as the database writes it, such as 2025-06-02 03:45:00; export it again in that form"
            )
    known = [name for name in rows.columns if name in USED[table]]
    return Chunk(stream, number, table, rows[known], mark, read)
