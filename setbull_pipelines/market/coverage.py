"""How far the calendar reaches: what is left of it on a day, and the days behind its end.

Belongs here: the steps at which people are reminded, and the words. Does not belong here: checks and alerts, a clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from setbull_pipelines.market.calendar import TradingCalendar
from setbull_pipelines.market.session_table import REGULAR_HOURS

REMINDERS = (60, 30, 7)
"""Days before the last published day on which people are reminded."""
_SATURDAY = 5
_WHAT_TO_DO = (
    "enter the exchange's holidays and special sessions of the next year in the file that the setting calendar.file "
    "names (docs/operations.md, Each December)"
)


@dataclass(frozen=True)
class Outlook:
    """What is left of a calendar on a day."""

    days_left: int
    """Days until the last one that is covered as published; negative after it."""
    reached: int | None
    """The last of :data:`REMINDERS` that was reached, 0 from the last published day on; None: enough is left."""
    sentence: str

    @property
    def is_over(self) -> bool:
        """Whether the last published day has come."""
        return self.reached == 0


def outlook(calendar: TradingCalendar, day: date) -> Outlook:
    """What is left of ``calendar`` on ``day``, which need not be covered."""
    until, last = calendar.published_until, calendar.last_day
    left = (until - day).days
    reached = min((step for step in (*REMINDERS, 0) if step >= left), default=None)
    name = f"the {calendar.name} calendar as published"
    if reached is None:
        return Outlook(left, None, f"{name} reaches until {until}, {left:,} days after {day}")
    said = f"{name} ends on {until}, {left:,} days after {day}"
    if reached == 0:
        said = f"{name} ended on {until}"
        if day > last:
            said += f" and the provisional one on {last}: no later session is run, and none is known to be missed"
        elif last > until:
            said += f"; until {last} it is provisional: Mondays to Fridays count as sessions"
    return Outlook(left, reached, f"{said}; {_WHAT_TO_DO}")


def weekdays_beyond(calendar: TradingCalendar, moment: datetime) -> list[date]:
    """Mondays to Fridays after the last covered day whose regular hours are over at ``moment`` (exchange time).

    There may have been a session on each; nobody knows.
    """
    beyond = (moment.date() - calendar.last_day).days
    days = (calendar.last_day + timedelta(days=offset) for offset in range(1, beyond + 1))
    return [
        day
        for day in days
        if day.weekday() < _SATURDAY and regular_close(day) <= moment.replace(tzinfo=None)
    ]


def regular_close(day: date) -> datetime:
    """The end of the regular hours (exchange time, without zone), which a day beyond the coverage may have had."""
    return datetime.combine(day, REGULAR_HOURS[-1][1])
