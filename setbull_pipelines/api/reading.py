"""What the API reads: bars with their indicators, filter results and plans, of the variant that is served.

Belongs here: which stored days an answer is made of, joining candles and indicators, rounding for readers. Does not
belong here: HTTP (the routers), which variant serves (``pipeline/serving.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.api.shapes import MOST_SESSIONS, Candle
from setbull_pipelines.pipeline.group_plans import read_plan
from setbull_pipelines.pipeline.serving import read_served, served_table
from setbull_pipelines.pipeline.shown import as_shown
from setbull_pipelines.quality.groups import PLAN
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables import Table
from setbull_pipelines.tables.columns import EXCHANGE, MINUTES
from setbull_pipelines.tables.contract import INDIA
from setbull_pipelines.warehouse.pointers import WHOLE, StoredTable
from setbull_pipelines.warehouse.store import Warehouse

CANDLES_1MIN = StoredTable("raw", tables.CANDLES_1MIN)
_INSTRUMENTS = StoredTable("raw", tables.INSTRUMENTS)
_COVERAGE = StoredTable("raw", tables.COVERAGE)
_STORED = {
    "1minute": CANDLES_1MIN,
    "5minute": served_table(tables.CANDLES_5MIN),
    "day": StoredTable("raw", tables.CANDLES_DAILY_HISTORY),
}
_TABLES = {
    "5minute": (tables.CANDLES_5MIN, tables.INDICATORS_5MIN),
    "day": (tables.CANDLES_DAILY, tables.INDICATORS_DAILY),
}
_DEFAULT_DAYS = {"1minute": 7, "5minute": 7, "day": 30}
"""Calendar days before the end, where no start is given."""
_LOWEST_WIDTH = ["instrument_key", "trading_day", "lowest_bb_width"]


class InvalidRange(ValueError):
    """From when to when was asked for cannot be answered; the message says what was found and what was expected."""


class Reader:
    """The stored tables as readers see them. ``settings`` is asked anew each time: the kill switch works at once."""

    def __init__(self, settings: Callable[[], Settings], warehouse: Warehouse) -> None:
        self.settings, self.warehouse = settings, warehouse

    def days(self, stored: StoredTable) -> list[date]:
        """The stored trading days of a table."""
        return [date.fromisoformat(key) for key in self.warehouse.partitions(stored)]

    def served(
        self, table: Table, days: Sequence[date], keys: Collection[str] | None = None
    ) -> pd.DataFrame:
        """Rows of a served table on those of ``days`` that were served, without the variant."""
        there = set(self.days(served_table(table)))
        wanted = [day for day in days if day in there]
        rows = read_served(table, wanted, self.warehouse, self.settings().rollout, keys)
        return rows.drop(columns="variant")

    def bars(
        self,
        keys: Collection[str],
        timeframe: str,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> pd.DataFrame:
        """Bars that begin from ``start`` to ``end`` (both included), with the columns of an answer, by key and time.

        Without an end to the last stored day, without a start some days before the end. Raises InvalidRange.
        """
        days = self.days(self._candles(timeframe))
        if not days:
            return _answer(CANDLES_1MIN.table.empty(), timeframe)
        zone = ZoneInfo(INDIA)
        end = end or datetime.combine(days[-1], datetime.max.time(), zone)
        start = start or end - timedelta(days=_DEFAULT_DAYS[timeframe])
        if end < start:
            raise InvalidRange(
                f"end: found {end.isoformat()}, expected no earlier than start {start.isoformat()}"
            )
        first, last = (moment.astimezone(zone).date() for moment in (start, end))
        wanted = [day for day in days if first <= day <= last]
        _require_sessions(wanted, timeframe)
        rows = self._rows(keys, timeframe, wanted)
        inside = (rows["timestamp"] >= pd.Timestamp(start)) & (
            rows["timestamp"] <= pd.Timestamp(end)
        )
        return _answer(rows[inside], timeframe)

    def newest_bars(
        self, keys: Collection[str], timeframe: str
    ) -> tuple[date | None, pd.DataFrame]:
        """The last stored day, and the newest bar of each instrument that has one on it."""
        days = self.days(self._candles(timeframe))
        if not days:
            return None, _answer(CANDLES_1MIN.table.empty(), timeframe)
        rows = self._rows(keys, timeframe, days[-1:])
        return days[-1], _answer(rows.groupby("instrument_key").tail(1), timeframe)

    def stored_rows(self, timeframe: str, first: date, last: date) -> dict[str, int]:
        """How many candles of each instrument are stored from ``first`` to ``last``. Raises InvalidRange."""
        stored = _STORED[timeframe]
        days = [day for day in self.days(stored) if first <= day <= last]
        _require_sessions(days, timeframe)
        rows = self.warehouse.read(stored, [day.isoformat() for day in days], ["instrument_key"])
        counts: dict[str, int] = rows["instrument_key"].value_counts().to_dict()
        return counts

    def coverage(self, timeframe: str) -> pd.DataFrame:
        """What the source has of each instrument: first and last day, by key."""
        rows = self.warehouse.read(_COVERAGE, [WHOLE])
        series = EXCHANGE if timeframe == "day" else MINUTES
        return rows[rows["series"] == series].set_index("instrument_key")

    def instruments(self) -> pd.DataFrame:
        """The universe by instrument key."""
        return self.warehouse.read(_INSTRUMENTS, [WHOLE]).set_index("instrument_key")

    def bars_of_day(self, keys: Collection[str], day: date) -> pd.DataFrame:
        """The daily bar of each instrument, with the columns of an answer."""
        return _answer(self._rows(keys, "day", [day]), "day")

    def plan(self, day: date) -> pd.DataFrame:
        """The plan of a day, its prices rounded as those of candles are."""
        rows = read_plan(day, self.warehouse, self.settings())
        return as_shown(rows)

    def planned_days(self) -> list[date]:
        """The trading days with a plan."""
        return self.days(PLAN)

    def _candles(self, timeframe: str) -> StoredTable:
        return served_table(_TABLES[timeframe][0]) if timeframe in _TABLES else CANDLES_1MIN

    def _rows(self, keys: Collection[str], timeframe: str, days: Sequence[date]) -> pd.DataFrame:
        if timeframe not in _TABLES:
            partitions = [day.isoformat() for day in days]
            return self.warehouse.read(CANDLES_1MIN, partitions, instrument_keys=keys)
        candles, indicators = _TABLES[timeframe]
        bars = self.served(candles, days, keys)
        values = self.served(indicators, days, keys).drop(columns="trading_day")
        joined = bars.merge(values, on=list(candles.key), how="left", validate="one_to_one")
        if candles is tables.CANDLES_DAILY:
            return _one_series(joined)
        # One number per session: it stands on every bar of it.
        widths = self.served(tables.BB_WIDTH_ALERTS, days, keys)[_LOWEST_WIDTH]
        return joined.merge(widths, on=_LOWEST_WIDTH[:2], how="left", validate="many_to_one")


def _require_sessions(days: Sequence[date], timeframe: str) -> None:
    if len(days) > MOST_SESSIONS[timeframe]:
        raise InvalidRange(
            f"start to end: found {len(days)} stored sessions of {timeframe} bars, expected at most "
            f"{MOST_SESSIONS[timeframe]}"
        )


def _one_series(bars: pd.DataFrame) -> pd.DataFrame:
    """The exchange's bars of instruments that have one on their last day, those made of minutes of the others."""
    last = bars.groupby("instrument_key")["timestamp"].transform("max")
    of_exchange = bars["series"] == EXCHANGE
    with_exchange = bars.loc[of_exchange & (bars["timestamp"] == last), "instrument_key"].unique()
    return bars[of_exchange == bars["instrument_key"].isin(with_exchange)]


def _answer(bars: pd.DataFrame, timeframe: str) -> pd.DataFrame:
    rows = bars.sort_values(["instrument_key", "timestamp"]).reset_index(drop=True)
    rows = rows.assign(time_interval=timeframe)
    for name in Candle.model_fields:
        if name not in rows:
            rows[name] = np.nan
    return as_shown(rows[list(Candle.model_fields)])
