"""What the API reads: bars with their indicators, filter results and plans, of the variant that is served.

Belongs here: which stored days an answer is made of, joining candles and indicators, rounding for readers. Does not
belong here: HTTP (the routers), which variant serves (``pipeline/serving.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.api.shapes import MOST_SESSIONS, Candle, LongerCandle
from setbull_pipelines.pipeline.group_plans import GROUPS, read_plan
from setbull_pipelines.pipeline.longer_bars import (
    CANDLES_1MIN,
    is_stored,
    last_day_of,
    made_of,
    one_series,
    read_longer,
    require_length,
)
from setbull_pipelines.pipeline.serving import read_served, served_table, source_of_served
from setbull_pipelines.pipeline.shown import as_shown
from setbull_pipelines.quality.groups import PLAN
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables import Table
from setbull_pipelines.tables.columns import EXCHANGE, MINUTES
from setbull_pipelines.tables.contract import INDIA
from setbull_pipelines.tables.groups import BB_RANGE
from setbull_pipelines.warehouse.pointers import WHOLE, StoredTable
from setbull_pipelines.warehouse.store import Warehouse

_INSTRUMENTS = StoredTable("raw", tables.INSTRUMENTS)
_COVERAGE = StoredTable("raw", tables.COVERAGE)
_DAILY = StoredTable("raw", tables.CANDLES_DAILY_HISTORY)
_WITH_INDICATORS = {
    tables.CANDLES_5MIN.name: tables.INDICATORS_5MIN,
    tables.CANDLES_DAILY.name: tables.INDICATORS_DAILY,
}
_DEFAULT_DAYS = {"day": 30, "week": 182, "month": 365}
"""Calendar days before the end, where no start is given; 7 for bars of minutes."""
_LOWEST_WIDTH = ["instrument_key", "trading_day", "lowest_bb_width"]


class InvalidRange(ValueError):
    """From when to when was asked for cannot be answered; the message says what was found and what was expected."""


class Reader:
    """The stored tables as readers see them. ``settings`` is asked anew each time: the kill switch works at once."""

    def __init__(self, settings: Callable[[], Settings], warehouse: Warehouse) -> None:
        self.settings, self.warehouse = settings, warehouse

    @contextmanager
    def as_of_now(self) -> Iterator[Reader]:
        """A reader of all tables as they are now, whatever is published until the block ends."""
        with self.warehouse.snapshot() as warehouse:
            yield Reader(self.settings, warehouse)

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

    def behind_analyses(self, table: Table, day: date, keys: Collection[str]) -> pd.DataFrame:
        """Rows of a table that is not served, of the variant that each instrument's analysis was served from.

        None where they were removed to save space.
        """
        rollout, partition = self.settings().rollout, day.isoformat()
        served = read_served(tables.SEQUENCE_ANALYSIS, [day], self.warehouse, rollout, keys)
        parts = [table.empty()]
        for variant, rows in served.groupby("variant"):
            stored = StoredTable(str(variant), table)
            pointer = self.warehouse.pointer(stored, partition)
            if pointer and not pointer.evicted_at:
                wanted = set(rows["instrument_key"])
                parts.append(self.warehouse.read(stored, [partition], instrument_keys=wanted))
        return table.conform(pd.concat(parts))

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
            return self._answer(CANDLES_1MIN.table.empty(), timeframe)
        zone = ZoneInfo(INDIA)
        end = end or datetime.combine(days[-1], datetime.max.time(), zone)
        start = start or end - timedelta(days=_DEFAULT_DAYS.get(timeframe, 7))
        if end < start:
            raise InvalidRange(
                f"end: found {end.isoformat()}, expected no earlier than start {start.isoformat()}"
            )
        first, last = (moment.astimezone(zone).date() for moment in (start, end))
        # A longer bar that begins by the end is returned whole.
        wanted = [day for day in days if first <= day <= last_day_of(timeframe, last)]
        _require_sessions(wanted, timeframe)
        rows = self._rows(keys, timeframe, wanted)
        inside = (rows["timestamp"] >= pd.Timestamp(start)) & (
            rows["timestamp"] <= pd.Timestamp(end)
        )
        return self._answer(rows[inside], timeframe)

    def newest_bars(
        self, keys: Collection[str], timeframe: str
    ) -> tuple[date | None, pd.DataFrame]:
        """The last stored day, and the newest bar of each instrument that has one on it."""
        days = self.days(self._candles(timeframe))
        if not days:
            return None, self._answer(CANDLES_1MIN.table.empty(), timeframe)
        rows = self._rows(keys, timeframe, days[-1:])
        return days[-1], self._answer(rows.groupby("instrument_key").tail(1), timeframe)

    def stored_rows(self, timeframe: str, first: date, last: date) -> dict[str, int]:
        """How many candles of each instrument are stored from ``first`` to ``last``. Raises InvalidRange.

        Those of the source where a longer bar is made of them: one-minute or daily candles.
        """
        stored = self._source(timeframe)
        days = [day for day in self.days(stored) if first <= day <= last]
        _require_sessions(days, timeframe)
        rows = self.warehouse.read(stored, [day.isoformat() for day in days], ["instrument_key"])
        counts: dict[str, int] = rows["instrument_key"].value_counts().to_dict()
        return counts

    def coverage(self, timeframe: str) -> pd.DataFrame:
        """What the source has of each instrument: first and last day, by key."""
        rows = self.warehouse.read(_COVERAGE, [WHOLE])
        series = EXCHANGE if self._source(timeframe) == _DAILY else MINUTES
        return rows[rows["series"] == series].set_index("instrument_key")

    def instruments(self) -> pd.DataFrame:
        """The universe by instrument key."""
        return self.warehouse.read(_INSTRUMENTS, [WHOLE]).set_index("instrument_key")

    def unknown(self, keys: Collection[str]) -> list[str]:
        """Those of ``keys`` that are no instrument of the universe, in their order."""
        is_stored_yet = self.warehouse.pointer(_INSTRUMENTS, WHOLE) is not None
        known = set(self.instruments().index) if keys and is_stored_yet else set()
        return [key for key in dict.fromkeys(keys) if key not in known]

    def universe_published_at(self) -> str | None:
        """When the universe was last stored, in exchange time."""
        return self._published_at(_INSTRUMENTS, WHOLE)

    def published_at(self, table: Table, day: date) -> str | None:
        """When a served table of a day was last stored, in exchange time."""
        return self._published_at(source_of_served(table, self.settings().rollout), day.isoformat())

    def band_range_keys(self) -> set[str] | None:
        """The stocks of the groups that trade the band range; None without such a group."""
        if self.warehouse.pointer(GROUPS, WHOLE) is None:
            return None
        groups = self.warehouse.read(GROUPS, [WHOLE])
        return set(groups.loc[groups["entry_type"] == BB_RANGE, "instrument_key"]) or None

    def bars_of_day(self, keys: Collection[str], day: date) -> pd.DataFrame:
        """The daily bar of each instrument, with the columns of an answer."""
        return self._answer(self._rows(keys, "day", [day]), "day")

    def last_minutes(self, keys: Collection[str], day: date) -> pd.DataFrame:
        """The newest one-minute bar of each instrument on a day, with the columns of an answer."""
        there = [stored for stored in self.days(CANDLES_1MIN) if stored == day]
        rows = self._rows(keys, "1minute", there)
        return self._answer(rows.groupby("instrument_key").tail(1), "1minute")

    def plan(self, day: date) -> pd.DataFrame:
        """The plan of a day, its prices rounded as those of candles are."""
        rows = read_plan(day, self.warehouse, self.settings())
        return as_shown(rows)

    def planned_days(self) -> list[date]:
        """The trading days with a plan."""
        return self.days(PLAN)

    def _candles(self, timeframe: str) -> StoredTable:
        return CANDLES_1MIN if timeframe == "1minute" else made_of(timeframe, self.settings())

    def _source(self, timeframe: str) -> StoredTable:
        """Where the candles of the source are that a timeframe comes from; five-minute bars are counted as such."""
        stored = self._candles(timeframe)
        return _DAILY if stored.table.name == tables.CANDLES_DAILY.name else stored

    def _rows(self, keys: Collection[str], timeframe: str, days: Sequence[date]) -> pd.DataFrame:
        settings = self.settings()
        if timeframe == "1minute":
            partitions = [day.isoformat() for day in days]
            return self.warehouse.read(CANDLES_1MIN, partitions, instrument_keys=keys)
        if not is_stored(timeframe, settings):
            there = set(self.days(made_of(timeframe, settings)))
            wanted = [day for day in days if day in there]
            return read_longer(keys, timeframe, wanted, self.warehouse, settings)
        candles = tables.CANDLES_DAILY if timeframe == "day" else tables.CANDLES_5MIN
        bars = self.served(candles, days, keys)
        indicators = _WITH_INDICATORS[candles.name]
        values = self.served(indicators, days, keys).drop(columns="trading_day")
        joined = bars.merge(values, on=list(candles.key), how="left", validate="one_to_one")
        if candles is tables.CANDLES_DAILY:
            return one_series(joined)
        require_length(bars, settings)
        # One number per session: it stands on every bar of it.
        widths = self.served(tables.BB_WIDTH_ALERTS, days, keys)[_LOWEST_WIDTH]
        return joined.merge(widths, on=_LOWEST_WIDTH[:2], how="left", validate="many_to_one")

    def _answer(self, bars: pd.DataFrame, timeframe: str) -> pd.DataFrame:
        shape = Candle if is_stored(timeframe, self.settings()) else LongerCandle
        rows = bars.sort_values(["instrument_key", "timestamp"]).reset_index(drop=True)
        rows = rows.assign(time_interval=timeframe)
        for name in shape.model_fields:
            if name not in rows:
                rows[name] = np.nan
        return as_shown(rows[list(shape.model_fields)])

    def _published_at(self, stored: StoredTable, key: str) -> str | None:
        pointer = self.warehouse.pointer(stored, key)
        if pointer is None:
            return None
        moment = datetime.fromisoformat(pointer.published_at).astimezone(ZoneInfo(INDIA))
        return moment.isoformat()


def _require_sessions(days: Sequence[date], timeframe: str) -> None:
    if len(days) > MOST_SESSIONS[timeframe]:
        raise InvalidRange(
            f"start to end: found {len(days)} stored sessions of {timeframe} bars, expected at most "
            f"{MOST_SESSIONS[timeframe]}"
        )
