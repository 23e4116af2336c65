"""Which trading days a refresh should materialize now: pure decisions, for whole days and for the session under way.

Belongs here: the decision from the calendar, the moment and what exists. Does not belong here: Dagster
(``schedules``), reading the clock.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection
from dataclasses import dataclass

from setbull_pipelines.market.calendar import OutsideCoverage, TradingCalendar


@dataclass(frozen=True)
class Refresh:
    """Trading days to materialize, oldest first, or the reason why there are none."""

    days: tuple[datetime.date, ...]
    reason: str


@dataclass(frozen=True)
class Offered:
    """The first and the last day that have partitions."""

    first: datetime.date = datetime.date.min
    last: datetime.date = datetime.date.max

    def why_not(self, day: datetime.date) -> str | None:
        """Why the day is no partition; None for one between the first and the last."""
        if day > self.last:
            return f"the input ends with {self.last}"
        return f"the input begins with {self.first}" if day < self.first else None


def decide(
    calendar: TradingCalendar,
    moment: datetime.datetime,
    done: Collection[datetime.date],
    under_way: Collection[datetime.date],
    at_most: int,
    received_until: datetime.date = datetime.date.max,
    offered: Offered = Offered(),
) -> Refresh:
    """The sessions to refresh at ``moment`` (exchange time, without zone).

    Today once its session has closed, and every earlier session since the first one in ``done`` that is
    missing (catch-up after downtime), at most ``at_most``, oldest first. Never a future day, never a
    day in ``done`` or ``under_way``. Sessions after ``received_until`` wait: the broker was not asked for them.
    After the last covered day, and after the last ``offered`` one, only earlier sessions are caught up.
    """
    today = moment.date()
    open_today, beyond = False, ""
    try:
        open_today = calendar.is_trading_day(today)
    except OutsideCoverage as error:
        if today < calendar.first_day or not done:
            return Refresh((), str(error))
        beyond = str(error)
    not_offered = offered.why_not(today)
    if not_offered and (today < offered.first or not done):
        return Refresh((), not_offered)
    last = min(today, calendar.last_day, offered.last)
    first = max(min((day for day in done if day <= last), default=last), offered.first)
    candidates = calendar.trading_days(first, last)
    if beyond:
        why_not_today = beyond
    elif not_offered:
        why_not_today = not_offered
    elif open_today and not calendar.has_closed(today, moment):
        candidates = candidates[:-1]
        why_not_today = f"the session of {today} has not closed at {moment:%H:%M}"
    elif not open_today:
        why_not_today = f"{today} is not a trading day: {calendar.why_closed(today)}"
    else:
        why_not_today = f"{today} is materialized or under way"
    missing = [day for day in candidates if day not in done and day not in under_way]
    waiting = [day for day in missing if day > received_until]
    missing = missing[: len(missing) - len(waiting)]
    if waiting and not missing:
        return Refresh((), f"{len(waiting)} sessions wait for a fetch, the first is {waiting[0]}")
    if missing:
        return Refresh(tuple(missing[:at_most]), f"{len(missing)} sessions are missing")
    return Refresh((), f"{why_not_today}; no earlier session is missing")


def decide_intraday(
    calendar: TradingCalendar,
    moment: datetime.datetime,
    done: Collection[datetime.date],
    unfinished: Collection[str],
    bar_minutes: int,
    offered: Offered = Offered(),
) -> Refresh:
    """Whether to refresh the session under way at ``moment`` (exchange time, without zone).

    While an interval of the session is open and a bar of it has closed, and once more within ``bar_minutes`` after
    its end, for its last bar. Never beside one of the ``unfinished`` runs (their jobs), so that late runs do
    not pile up, never on a day in ``done``, which was computed as a whole, and on no other than ``offered`` days.
    """
    today = moment.date()
    try:
        if not calendar.is_trading_day(today):
            return Refresh((), f"{today} is not a trading day: {calendar.why_closed(today)}")
    except OutsideCoverage as error:
        return Refresh((), str(error))
    if not_offered := offered.why_not(today):
        return Refresh((), not_offered)
    bar = datetime.timedelta(minutes=bar_minutes)
    intervals = [
        (
            datetime.datetime.combine(today, interval.start),
            datetime.datetime.combine(today, interval.end),
        )
        for interval in calendar.session(today).intervals
    ]
    if not intervals:
        return Refresh((), f"the hours of {today} are not in the calendar")
    if not any(min(start + bar, end) <= moment <= end + bar for start, end in intervals):
        return Refresh((), f"no bar of {today} closes at {moment:%H:%M}")
    if today in done:
        return Refresh((), f"{today} is materialized as a whole day")
    if unfinished:
        return Refresh((), f"a run of {', '.join(sorted(set(unfinished)))} is not finished")
    return Refresh((today,), f"the session of {today} is under way")
