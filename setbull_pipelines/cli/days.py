"""Which trading days a run of the command line covers.

Belongs here: days from coverage, settings and what the user asked. Does not belong here: executing, and
which earlier sessions a lane looks back at (``pipeline/look_back.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from setbull_pipelines.errors import SetbullError
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.settings import Settings

DEFAULT_DAYS_WITHOUT_MINUTES = 20
SAMPLE_DAYS = 5
_NEAR = timedelta(days=15)
"""No stretch without a session was longer since the calendar begins."""
LONGEST_GAP = 5
"""Sessions without candles that a run still covers, so that the hole is seen; longer ones are left out."""


class NothingToRun(SetbullError, ValueError):
    """The input and the asked range have no trading day in common; the message says both."""


class NotARange(SetbullError, ValueError):
    """No input can have a trading day of the asked range; the message says which of three reasons holds."""


@dataclass(frozen=True)
class AskedDays:
    """The trading days of a run, ascending."""

    days: tuple[date, ...]
    note: str | None = None
    """What is shown of the choice."""


def refuse_impossible(first: date | None, last: date | None, today: date) -> None:
    """Raise NotARange for a range that is reversed, in the future, or of days on which the exchange is closed."""
    if first and last and first > last:
        raise NotARange(
            f"--from {first} lies after --to {last}, expected the earlier day first: --from {last} --to {first}"
        )
    if first and first > today:
        raise NotARange(
            f"--from {first} lies in the future, expected a session that has closed: today is {today}"
        )
    if (
        first
        and last
        and NSE.first_day <= first
        and last <= NSE.last_day
        and not NSE.trading_days(first, last)
    ):
        raise NotARange(
            f"{_closed(first, last)}, expected a range with a session{_near(first, last)}"
        )


def _closed(first: date, last: date) -> str:
    if first < last:
        return f"NSE is closed on every day from {first:%A} {first} to {last:%A} {last}"
    return f"NSE is closed on {first:%A} {first} ({NSE.why_closed(first)})"


def _near(first: date, last: date) -> str:
    """The sessions before and after, where the calendar knows them."""
    before = NSE.trading_days(max(NSE.first_day, first - _NEAR), first)[-1:]
    after = NSE.trading_days(last, min(NSE.last_day, last + _NEAR))[:1]
    found = " and ".join(str(day) for day in (*before, *after))
    return f"; the nearest are {found}" if found else ""


def choose_days(
    minute_days: Sequence[date],
    daily_days: Sequence[date],
    settings: Settings,
    first: date | None,
    last: date | None,
    corrected: Sequence[date] = (),
) -> AskedDays:
    """Choose the days of a run among the input's days between ``first`` and ``last`` (None: chosen here).

    Without both: the days with minutes and the sessions between them, without long stretches that the
    input does not cover; for the generated sample the last few of them; for an input of daily bars only
    the last 20, because every earlier one is looked back at. ``corrected`` are stored sessions that are out
    of date, which come along. None lies before ``calendar.first_partition``.
    """
    begin = settings.calendar.first_partition
    found = sorted({*minute_days, *daily_days})
    minute_days, daily_days, corrected = (
        [day for day in days if day.isoformat() >= begin]
        for days in (minute_days, daily_days, corrected)
    )
    stored = sorted({*minute_days, *daily_days})
    if not stored:
        if found:
            raise NothingToRun(
                f"the input covers {found[0]} to {found[-1]}, expected a trading day from calendar.first_partition "
                f"({begin}) on"
            )
        raise NothingToRun(
            "the input has candles of sessions under way only, expected one that has closed: run again after the close"
        )
    note = None
    if first is None and last is None:
        candidates = sorted(minute_days) or stored
        if settings.input is None:
            candidates = candidates[-SAMPLE_DAYS:]
        elif not minute_days:
            candidates = candidates[-DEFAULT_DAYS_WITHOUT_MINUTES:]
            note = (
                f"the input has daily bars only: the last {len(candidates)} sessions are run; "
                "name FROM=YYYY-MM-DD (and TO=) for more"
            )
        stretches = _stretches(candidates)
    else:
        first, last = first or stored[0], last or stored[-1]
        lower, upper = max(first, stored[0]), min(last, stored[-1])
        days = NSE.trading_days(lower, upper) if lower <= upper else []
        if not days:
            raise NothingToRun(
                f"no trading day between {first} and {last} lies in the input, which covers "
                f"{stored[0]} to {stored[-1]}"
            )
        stretches = [days]

    asked = {day for stretch in stretches for day in stretch}
    if along := sorted({*corrected} - asked):
        stretches = _stretches(sorted({*asked, *along}), longest_gap=0)
        sentence = (
            f"{len(along)} stored sessions from {along[0]} to {along[-1]} were corrected or look back on corrected "
            "ones: they are brought up to date as well"
        )
        note = f"{note}; {sentence}" if note else sentence

    return AskedDays(tuple(day for stretch in stretches for day in stretch), note)


def closed_days(days: Sequence[date], moment: datetime) -> list[date]:
    """The days whose session is over at ``moment`` (exchange time); a session under way is no day to run."""
    return [day for day in days if NSE.has_closed(day, moment)]


def consecutive(days: Sequence[date]) -> list[list[date]]:
    """Split ascending trading days where a session lies between two of them."""
    return _stretches(days, longest_gap=0)


def _stretches(days: Sequence[date], longest_gap: int = LONGEST_GAP) -> list[list[date]]:
    """Runs of sessions that cover ``days``; a gap of more than ``longest_gap`` sessions splits them."""
    stretches: list[list[date]] = []
    for day in days:
        if stretches:
            missing = NSE.trading_days(stretches[-1][-1], day)[1:-1]
            if len(missing) <= longest_gap:
                stretches[-1] += [*missing, day]
                continue
        stretches.append([day])
    return stretches
