"""What is marked in the chart of a stock: minutes that were not delivered or not accepted, and corporate actions.

Belongs here: finding them in stored rows, and their words. Does not belong here: bars (``stock_chart``), drawing
(``chart.js``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pandas as pd

from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.market.session_table import FULL
from setbull_pipelines.reporting.stock_chart import wall_clock
from setbull_pipelines.tables.actions import GENUINE, SHARE_ACTIONS
from setbull_pipelines.tables.contract import INDIA

_MOMENTS = ("timestamp", "datetime", "date_time", "time", "date")
"""Names under which a row of a file may say when it is of."""
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Gap:
    """Minutes of a session in a row that were not delivered."""

    day: date
    start: datetime
    """On the clock in India, without a zone."""
    minutes: int

    @property
    def time(self) -> int:
        """The first missing minute in seconds as the chart counts them."""
        return int(pd.Timestamp(self.start).timestamp())

    @property
    def words(self) -> str:
        """From when to when."""
        end = self.start + self.minutes * _MINUTE
        minutes = "minute" if self.minutes == 1 else "minutes"
        return f"{self.minutes} {minutes} missing, {self.start:%H:%M} to {end:%H:%M}"


@dataclass(frozen=True)
class Refused:
    """A row that was quarantined."""

    day: date
    time: int | None
    """Seconds as the chart counts them; None where the row does not say them plainly."""
    words: str


def gaps_in(minutes: pd.DataFrame, days: Iterable[date]) -> list[Gap]:
    """The gaps of every session of ``days`` (those that minutes are expected of), in time order.

    ``minutes`` are the delivered ones. A day before the first or after the last of them has no gap: the stock was not
    listed, or its source did not reach there. Neither has a day whose hours are not known.
    """
    if minutes.empty:
        return []
    local = minutes["timestamp"].dt.tz_convert(INDIA).dt.tz_localize(None)
    delivered = set(local.dt.to_pydatetime()) if len(local) else set()
    shapes = dict(
        zip(minutes["trading_day"].dt.date, minutes["session_shape"].astype(str), strict=True)
    )
    first, last = min(shapes), max(shapes)
    return [
        gap
        for day in sorted(days)
        if first <= day <= last
        for gap in _gaps_of(day, shapes.get(day, FULL), delivered)
    ]


def _gaps_of(day: date, shape: str, delivered: set[datetime]) -> Iterator[Gap]:
    for interval in NSE.session(day, shape).intervals:  # type: ignore[arg-type]  # a checked label
        start: datetime | None = None
        moment = datetime.combine(day, interval.start)
        end = moment + interval.minutes * _MINUTE
        while moment <= end:
            is_missing = moment < end and moment not in delivered
            if is_missing and start is None:
                start = moment
            elif not is_missing and start is not None:
                yield Gap(day, start, (moment - start) // _MINUTE)
                start = None
            moment += _MINUTE


def refused_rows(quarantined: pd.DataFrame) -> list[Refused]:
    """The quarantined rows of the stock, by day and moment."""
    found = [
        Refused(row.trading_day.date(), _moment_of(row.record, row.trading_day), row.reason)
        for row in quarantined.dropna(subset=["trading_day"]).itertuples()
    ]
    return sorted(found, key=lambda row: (row.day, row.time or 0))


def _moment_of(record: str, day: pd.Timestamp) -> int | None:
    """The minute that a row is of, where it says one of its day in the usual way."""
    try:
        row = json.loads(record)
    except ValueError:
        return None
    found = [row.get(name) for name in _MOMENTS] if isinstance(row, dict) else []
    for text in found:
        if not isinstance(text, str) or len(text) <= len("2026-06-30"):
            continue
        moment = pd.to_datetime(text, errors="coerce")
        if pd.isna(moment):
            continue
        moment = moment.tz_localize(INDIA) if moment.tzinfo is None else moment.tz_convert(INDIA)
        if moment.tz_localize(None).normalize() == day:
            return wall_clock(pd.DatetimeIndex([moment]))[0]
    return None


@dataclass(frozen=True)
class Action:
    """A corporate action, and what earlier prices are divided by, and earlier volumes multiplied, to hold them
    against later ones."""

    day: str
    words: str
    price_ratio: float
    share_ratio: float


def actions_in(actions: pd.DataFrame) -> list[Action]:
    """The corporate actions in order."""
    return [
        Action(
            f"{row.ex_date:%Y-%m-%d}",
            "the price really moved" if row.kind == GENUINE else f"{row.kind} {row.ratio:g}",
            1.0 if row.kind == GENUINE else float(row.ratio),
            float(row.ratio) if row.kind in SHARE_ACTIONS else 1.0,
        )
        for row in actions.sort_values(["ex_date", "kind"]).itertuples()
    ]
