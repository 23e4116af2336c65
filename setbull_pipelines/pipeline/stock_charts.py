"""How the chart of a stock is made: which sessions, the rows of both lanes gathered, where its links lead.

Belongs here: what is read of each table, the limits of a range. Does not belong here: what is shown
(``reporting/stock_chart.py``), where the page goes (``cli/``, ``api/``), pictures of a day (``charting``).

Bars are read from the lanes, since days of a look-back were never served. What cannot be read is left out and
named on the page.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.errors import SetbullError
from setbull_pipelines.pipeline.comparing_days import SUMMARY
from setbull_pipelines.pipeline.instruments import unique_names
from setbull_pipelines.pipeline.overview import readable
from setbull_pipelines.pipeline.page_links import Places
from setbull_pipelines.pipeline.references import References, references_of
from setbull_pipelines.pipeline.serving import served_table, source_of_served
from setbull_pipelines.quality.rollout_log import LOG
from setbull_pipelines.reporting.content import GENERATED
from setbull_pipelines.reporting.stock_chart import (
    CANDLE,
    DAY,
    FIVE_MINUTES,
    TABLES,
    TIMEFRAMES,
    Bars,
    Session,
    StockChart,
    drawn_columns,
)
from setbull_pipelines.rollout.bucketing import Variant
from setbull_pipelines.rollout.stages import Component
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables import Table
from setbull_pipelines.tables.columns import EXCHANGE, MINUTES
from setbull_pipelines.tables.reconciliation import DIVERGED
from setbull_pipelines.warehouse.pointers import WHOLE, StoredTable
from setbull_pipelines.warehouse.store import Warehouse

MOST_SESSIONS: Mapping[str, int] = {DAY: 1500, FIVE_MINUTES: 60}
"""Sessions on one page, by timeframe: six years of days, a quarter of five minutes, each some megabytes at most."""
_WITHOUT_A_RANGE: Mapping[str, int] = {DAY: 250, FIVE_MINUTES: 10}
"""Sessions that are shown where no first day is asked for."""
_CANDLES_1MIN = StoredTable("raw", tables.CANDLES_1MIN)
_INSTRUMENTS = StoredTable("raw", tables.INSTRUMENTS)
_ACTIONS = StoredTable("raw", tables.CORPORATE_ACTIONS)
_COVERAGE = StoredTable("raw", tables.COVERAGE)
_QUARANTINE = StoredTable("raw", tables.QUARANTINE)
_SERVED_BY: Mapping[Component, Table] = {
    Component.AGGREGATION: tables.CANDLES_DAILY,
    Component.INDICATORS: tables.INDICATORS_DAILY,
    Component.SEQUENCES: tables.FILTER_RESULTS,
}
"""The served table that tells the variant of each component."""
_KEY = "instrument_key"


class NothingToChart(SetbullError, LookupError):
    """The stock has no bars in the range; the message says what is stored."""


class TooLong(SetbullError, ValueError):
    """The page would be too large; the message says what to ask for instead."""


@dataclass(frozen=True)
class Range:
    """What was asked for, as a person says it: the sentences name it so."""

    first: date | None
    last: date | None
    timeframe: str | None
    """None: both."""
    typed: str = "--from {first} --to {last}"
    """How a range is written where it was asked for."""


def gather_chart(
    key: str, asked: Range, warehouse: Warehouse, settings: Settings, places: Places
) -> StockChart:
    """Read everything that the chart of the instrument with this key shows.

    Raises NothingToChart for a range without bars of it, TooLong, MissingPartition where nothing was ever taken in.
    """
    return _Gathering(key, asked, warehouse, settings, places).chart()


class _Gathering:
    """The rows of one stock, and what could not be read of them."""

    def __init__(
        self, key: str, asked: Range, warehouse: Warehouse, settings: Settings, places: Places
    ) -> None:
        self._key, self._asked, self._warehouse = key, asked, warehouse
        self._settings, self._places = settings, places
        self._unreadable: list[str] = []
        self._removed: dict[str, list[str]] = {}
        self._notes: list[str] = []
        instruments = self._whole(_INSTRUMENTS)
        self._instrument = instruments[instruments[_KEY] == key]
        self._symbol = str(self._instrument["symbol"].iloc[0]) if len(self._instrument) else key

    def chart(self) -> StockChart:
        """The chart; raises as :func:`gather_chart`."""
        wanted = TIMEFRAMES if self._asked.timeframe is None else (self._asked.timeframe,)
        days = {timeframe: self._days(timeframe) for timeframe in wanted}
        if not any(days.values()):
            raise NothingToChart(self._without_bars())
        references = references_of(self._warehouse)
        last = max(found[-1] for found in days.values() if found)
        moment = pd.Timestamp(last)
        keys = references.with_former_keys([self._key], moment)
        series, bars = EXCHANGE, {}
        for timeframe, found in days.items():
            both = [
                self._bars(variant, timeframe, found, keys, references, moment)
                for variant in Variant
            ]
            if timeframe == DAY:
                has_exchange = any((rows["series"] == EXCHANGE).any() for rows in both)
                series = EXCHANGE if has_exchange else MINUTES
                both = [rows[rows["series"] == series] for rows in both]
            bars[timeframe] = Bars(*both)
        if not any(len(rows) for found in bars.values() for rows in (found.v1, found.v2)):
            raise NothingToChart(self._without_bars())
        first = min(found[0] for found in days.values() if found)
        sessions = sorted({day for found in days.values() for day in found})
        of_minutes = [
            day
            for day in days.get(FIVE_MINUTES, ())
            if self._warehouse.pointer(_CANDLES_1MIN, f"{day}")
        ]
        minutes = self._of_days(
            _CANDLES_1MIN, of_minutes, [_KEY, "timestamp", "trading_day", "session_shape"], keys
        )
        refused = self._of_days(_QUARANTINE, sessions)
        actions = self._whole(_ACTIONS)
        is_ours = actions[_KEY].isin(keys) & actions["ex_date"].between(
            pd.Timestamp(first), pd.Timestamp(last)
        )
        told = self._sessions(sessions, keys)
        return StockChart(
            key=self._key,
            symbol=self._symbol,
            name=self._named(),
            first=first,
            last=last,
            bars=bars,
            series=series,
            sessions=told,
            corporate_actions=actions[is_ours],
            minutes=minutes,
            minute_days=of_minutes,
            quarantined=refused[refused[_KEY].isin(keys)],
            is_generated=bool((self._instrument["source"] == GENERATED).any()),
            notes=[*self._notes, *self._left_out()],
            overview=self._places.overview,
        )

    # Which sessions

    def _stored(self, timeframe: str) -> list[date]:
        candles = TABLES[timeframe][0]
        return sorted(
            {
                date.fromisoformat(key)
                for variant in Variant
                for key in self._warehouse.partitions(StoredTable(variant.value, candles))
            }
        )

    def _days(self, timeframe: str) -> list[date]:
        first, last = self._asked.first, self._asked.last
        stored = self._stored(timeframe)
        found = [
            day
            for day in stored
            if (first is None or first <= day) and (last is None or day <= last)
        ]
        if first is None:
            return found[-_WITHOUT_A_RANGE[timeframe] :]
        most = MOST_SESSIONS[timeframe]
        if len(found) <= most:
            return found
        kind = "daily" if timeframe == DAY else "5-minute"
        if timeframe == FIVE_MINUTES and self._asked.timeframe is None:
            self._notes.append(
                f"Bars of five minutes: of the last {most} sessions of the range, from {found[-most]}; of others by: "
                f"setbull chart {self._symbol} --timeframe {FIVE_MINUTES} --from {found[0]} --to {found[most - 1]}"
            )
            return found[-most:]
        raise TooLong(
            f"found {len(found):,} sessions of {kind} bars from {found[0]} to {found[-1]}, expected at most {most:,} "
            f"on a page: {self._asked.typed.format(first=found[-most], last=found[-1])}"
        )

    def _without_bars(self) -> str:
        first, last = self._asked.first, self._asked.last
        named = self._symbol if self._symbol == self._key else f"{self._symbol} ({self._key})"
        stored = [day for timeframe in TIMEFRAMES for day in self._stored(timeframe)]
        if not stored:
            return f"{named}: nothing is stored yet; run: setbull run"
        span = "".join([*([f" from {first}"] if first else []), *([f" to {last}"] if last else [])])
        coverage = self._whole(_COVERAGE)
        own = coverage[coverage[_KEY] == self._key]
        has = "the input has none at all"
        if len(own):
            begin, end = own["first_trading_day"].min(), own["last_trading_day"].max()
            has = f"the input has them from {begin:%Y-%m-%d} to {end:%Y-%m-%d}"
        return (
            f"{named} has no bars{span}, expected a range with some: {has}, and sessions from {min(stored)} to "
            f"{max(stored)} are stored"
        )

    # What is read

    def _whole(self, stored: StoredTable) -> pd.DataFrame:
        known = list(self._warehouse.pointers(stored, [WHOLE]))
        return readable(self._warehouse, stored, known, stored.table.column_names, self._unreadable)

    def _of_days(
        self,
        stored: StoredTable,
        days: Iterable[date],
        columns: Sequence[str] | None = None,
        keys: Collection[str] | None = None,
    ) -> pd.DataFrame:
        """The rows of the days that are stored and can be read."""
        pointers = self._warehouse.pointers(stored, [f"{day}" for day in days])
        gone = [name for name, pointer in pointers.items() if pointer.evicted_at]
        if gone:
            self._removed.setdefault(stored.name, []).extend(gone)
        names = [name for name in pointers if name not in set(gone)]
        wanted = list(columns or stored.table.column_names)
        return readable(self._warehouse, stored, names, wanted, self._unreadable, keys)

    def _bars(
        self,
        variant: Variant,
        timeframe: str,
        days: Sequence[date],
        keys: set[str],
        references: References,
        moment: pd.Timestamp,
    ) -> pd.DataFrame:
        candles, indicators = TABLES[timeframe]
        key = [_KEY, *(["series"] if timeframe == DAY else []), "timestamp"]
        names = [column.name for column in drawn_columns(timeframe)[len(CANDLE) :]]
        left, right = (
            references.under_current_keys(
                self._of_days(StoredTable(variant.value, table), days, columns, keys), moment
            )
            for table, columns in (
                (candles, [*key, "trading_day", *CANDLE]),
                (indicators, [*key, "trading_day", *names]),
            )
        )
        joined = left.merge(
            right.drop(columns="trading_day"), how="left", on=key, validate="one_to_one"
        )
        return joined[joined[_KEY] == self._key].sort_values("timestamp", ignore_index=True)

    def _sessions(self, days: Sequence[date], keys: set[str]) -> list[Session]:
        """The sessions that something is known of beyond bars."""
        rollout = self._settings.rollout
        columns = ["trading_day", _KEY, "verdict", "reason"]
        source = source_of_served(tables.FILTER_RESULTS, rollout)
        verdicts = _by_day(self._of_days(source, days, columns, keys))
        summary = _by_day(self._of_days(SUMMARY, days, ["trading_day", "table_name", "state"]))
        log = self._whole(LOG).dropna(subset=["session"])
        log = _by_day(log.rename(columns={"session": "trading_day"}))
        served = {
            component.label: _by_day(
                self._of_days(served_table(table), days, ["trading_day", _KEY, "variant"], keys)
            )
            for component, table in _SERVED_BY.items()
        }
        report_at = unique_names(self._settings).get(self._key, self._key)
        found = []
        for day in days:
            if not any(day in known for known in (verdicts, summary, log)):
                continue
            verdict = verdicts.get(day)
            states = _pairs(summary.get(day), "table_name", "state")
            variants = {
                label: Variant.V1.value if rollout.kill else str(rows[day]["variant"].iloc[0])
                for label, rows in served.items()
                if day in rows
            }
            found.append(
                Session(
                    day,
                    verdict=None if verdict is None else _text(verdict["verdict"].iloc[0]),
                    reason=None if verdict is None else _text(verdict["reason"].iloc[0]),
                    stages=_pairs(log.get(day), "component", "to_stage"),
                    served=variants,
                    states=states,
                    report=self._places.report(day, report_at),
                    differences={
                        name: self._places.difference(name, day)
                        for name, state in states.items()
                        if state == DIVERGED
                    },
                )
            )
        return found

    # Words

    def _named(self) -> str | None:
        return _text(self._instrument["name"].iloc[0]) if len(self._instrument) else None

    def _left_out(self) -> Iterable[str]:
        for name, days in self._removed.items():
            yield (
                f"{name}: {len(set(days))} sessions from {min(days)} to {max(days)} were removed to save space; they "
                f"come back by: setbull run --from {min(days)} --to {max(days)}"
            )
        if self._unreadable:
            yield f"Could not be read: {', '.join(self._unreadable)}; setbull doctor says more"


def _by_day(rows: pd.DataFrame) -> dict[date, pd.DataFrame]:
    return {day.date(): found for day, found in rows.groupby("trading_day")}


def _pairs(rows: pd.DataFrame | None, names: str, values: str) -> dict[str, str]:
    """Two columns as a mapping, in which the last row of a name counts."""
    return {} if rows is None else dict(zip(rows[names], rows[values], strict=True))


def _text(value: object) -> str | None:
    return None if pd.isna(value) else str(value)
