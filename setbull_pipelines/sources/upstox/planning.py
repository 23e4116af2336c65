"""What to ask for: the sessions that are wanted and not there, as segments.

Belongs here: pure decisions from calendar, moment and what is kept. Does not belong here: paths and limits of
calls (``calls.py``), files, a clock.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

import numpy as np

from setbull_pipelines.market.calendar import TradingCalendar
from setbull_pipelines.sources.upstox.answers import Candles
from setbull_pipelines.sources.upstox.calls import Call

SegmentKind = Literal[
    "full_range", "historical_backfill", "gap", "recent_update", "running_session"
]


@dataclass(frozen=True)
class Segment:
    """Sessions from ``first`` to ``last`` that are to be asked for."""

    kind: SegmentKind
    first: date
    last: date

    def __str__(self) -> str:
        return f"{self.kind} {self.first} to {self.last}"


def wanted_sessions(
    calendar: TradingCalendar, moment: datetime, count: int, settle_minutes: int
) -> list[date]:
    """The last ``count`` sessions that have closed and settled at ``moment`` (exchange time), in order."""
    today = moment.date()
    settled = calendar.is_trading_day(today) and calendar.has_closed(today, moment, settle_minutes)
    last = today if settled else calendar.previous(today)
    first = calendar.previous(last, count - 1) if count > 1 else last
    return calendar.trading_days(first, last)


def running_session(
    calendar: TradingCalendar, moment: datetime, final: Set[date], also_open: bool
) -> Segment | None:
    """Today's session where it has closed and is not there in its final form; with ``also_open`` from its start."""
    today = moment.date()
    if not calendar.is_trading_day(today) or today in final:
        return None
    intervals = calendar.session(today).intervals
    has_begun = bool(intervals) and moment.time() >= intervals[0].start
    if calendar.has_closed(today, moment) or (also_open and has_begun):
        return Segment("running_session", today, today)
    return None


def missing_segments(wanted: Sequence[date], final: Set[date]) -> list[Segment]:
    """The wanted sessions that are not ``final``, in runs without a break, oldest first.

    ``final`` are the sessions of the instrument that are kept and will not change.
    """
    if not final:
        return [Segment("full_range", wanted[0], wanted[-1])] if wanted else []
    earliest, latest = min(final), max(final)
    runs: list[list[date]] = []
    previous: date | None = None
    for day in wanted:
        if day not in final:
            if previous is None:
                runs.append([])
            runs[-1].append(day)
        previous = None if day in final else day
    return [Segment(_kind(run[0], run[-1], earliest, latest), run[0], run[-1]) for run in runs]


def _kind(first: date, last: date, earliest: date, latest: date) -> SegmentKind:
    if last < earliest:
        return "historical_backfill"
    return "recent_update" if first > latest else "gap"


def last_final_session(
    calendar: TradingCalendar,
    call: Call,
    candles: Candles,
    received_at: datetime,
    settle_minutes: int,
) -> date | None:
    """Up to which session the answer is final; None when it is for none.

    The last session that has settled needs a candle for it: how soon after the close the broker moves a session into
    its history is not documented. No candle of an earlier one means that there was no trade.
    """
    if call.running:
        return None
    (newest,) = wanted_sessions(calendar, received_at, 1, settle_minutes)
    last = min(call.last, newest)
    if last == newest and not (candles.days == np.datetime64(newest)).any():
        last = calendar.previous(newest)
    return last if last >= call.first else None
