"""Which trading days the daily refresh should materialize now: a pure decision.

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


def decide(
    calendar: TradingCalendar,
    moment: datetime.datetime,
    done: Collection[datetime.date],
    under_way: Collection[datetime.date],
    at_most: int,
) -> Refresh:
    """The sessions to refresh at ``moment`` (exchange time, without zone).

    Today once its session has closed, and every earlier session since the first one in ``done`` that is
    missing (catch-up after downtime), at most ``at_most``, oldest first. Never a future day, never a
    day in ``done`` or ``under_way``.
    """
    today = moment.date()
    try:
        open_today = calendar.is_trading_day(today)
    except OutsideCoverage as error:
        return Refresh((), str(error))
    first = min((day for day in done if day <= today), default=today)
    candidates = calendar.trading_days(first, today)
    if open_today and not calendar.has_closed(today, moment):
        candidates = candidates[:-1]
        why_not_today = f"the session of {today} has not closed at {moment:%H:%M}"
    elif not open_today:
        why_not_today = f"{today} is not a trading day: {calendar.why_closed(today)}"
    else:
        why_not_today = f"{today} is materialized or under way"
    missing = [day for day in candidates if day not in done and day not in under_way]
    if missing:
        return Refresh(tuple(missing[:at_most]), f"{len(missing)} sessions are missing")
    return Refresh((), f"{why_not_today}; no earlier session is missing")
