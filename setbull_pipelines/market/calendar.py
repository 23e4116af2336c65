"""Trading days and sessions of the exchange, answered from the dated table.

Belongs here: questions about days and hours, on plain dates and times. Does not belong here: the
dates themselves (``session_table.py``), the text of a calendar file (``calendar_file.py``), work on columns of
timestamps (``session_frames.py``), files, a clock. Imports the standard library only: Dagster partitions are built
from it at load.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from functools import cached_property
from hashlib import blake2b
from typing import TypeVar

from setbull_pipelines.market.session_table import (
    CLOSED_DAYS,
    CLOSING_AUCTION,
    FIRST_DAY,
    FULL,
    LAST_DAY,
    NSE_CLOSING_AUCTION,
    PROVISIONAL,
    PUBLISHED_UNTIL,
    REGULAR_HOURS,
    REGULAR_SOURCE,
    UNUSUAL_SESSIONS,
    ClosedDay,
    ClosingAuction,
    Hours,
    SessionKind,
    SessionShape,
    UnusualSession,
)

_Dated = TypeVar("_Dated", ClosedDay, UnusualSession)
_SATURDAY = 5
_MINUTE = timedelta(minutes=1)


class OutsideCoverage(ValueError):
    """A question about a day the dated table does not cover; a missing year is never guessed."""


class MarketClosed(ValueError):
    """A session was asked for on a day without one."""


@dataclass(frozen=True)
class Interval:
    """Continuous trading from ``start`` (included) to ``end`` (excluded), local wall-clock time."""

    start: time
    end: time

    @property
    def minutes(self) -> int:
        """Number of one-minute bars the interval holds."""
        return (self.end.hour - self.start.hour) * 60 + self.end.minute - self.start.minute


@dataclass(frozen=True)
class Session:
    """The trading of one day: its intervals in order, and where they are known from.

    ``intervals`` is empty on an announced day whose hours are not in the table.
    """

    day: date
    intervals: tuple[Interval, ...]
    kind: SessionKind
    source: str

    @property
    def minutes(self) -> int | None:
        """Expected one-minute bars of an instrument that trades all day; None for unknown hours."""
        if not self.intervals:
            return None
        return sum(interval.minutes for interval in self.intervals)


@dataclass(frozen=True)
class Amendment:
    """What a calendar file says on top of the built-in table; each of its days counts instead of the table's."""

    closed_days: tuple[ClosedDay, ...] = ()
    sessions: tuple[UnusualSession, ...] = ()
    """With the kind ``regular`` for days that the table closes, or gives other hours, by mistake."""
    published_until: date | None = None
    """Until this day the file has every holiday and special session that the exchange has published."""

    @property
    def revision(self) -> str:
        """A short hash of what it says; empty for nothing."""
        if self == Amendment():
            return ""
        said = (sorted(self.closed_days), sorted(self.sessions), self.published_until)
        return blake2b(repr(said).encode(), digest_size=8).hexdigest()


class _Table:
    """The days of a calendar as they are in force."""

    def __init__(
        self,
        first_day: date,
        last_day: date,
        published_until: date,
        closed_days: Iterable[ClosedDay],
        sessions: Iterable[UnusualSession],
    ) -> None:
        self.first_day, self.last_day, self.published_until = first_day, last_day, published_until
        self.holiday_names = {closed.day: closed.name for closed in closed_days}
        self.unusual_sessions = {
            row.day: Session(row.day, _intervals(row.hours), row.kind, row.source)
            for row in sessions
        }

    def is_open(self, day: date) -> bool:
        if day in self.unusual_sessions:
            return True
        return day.weekday() < _SATURDAY and day not in self.holiday_names

    def intervals(self, day: date) -> tuple[Interval, ...]:
        session = self.unusual_sessions.get(day)
        return session.intervals if session else _REGULAR_INTERVALS

    @cached_property
    def trading_days(self) -> list[date]:
        return [day for day in _every_day(self.first_day, self.last_day) if self.is_open(day)]


class TradingCalendar:
    """Trading days of one exchange between two dates, both included.

    Days are ``datetime.date``; a ``datetime`` (also a pandas ``Timestamp``) is refused with
    ``TypeError`` because its date depends on a time zone. A day outside the coverage raises
    :class:`OutsideCoverage`. Days after ``published_until`` (default: none) are provisional.
    """

    def __init__(
        self,
        name: str,
        first_day: date,
        last_day: date,
        closed_days: Iterable[ClosedDay],
        unusual_sessions: Iterable[UnusualSession],
        closing_auction: ClosingAuction | None = None,
        published_until: date | None = None,
    ) -> None:
        self.name = name
        self.closing_auction = closing_auction
        self._closed_days, self._sessions = tuple(closed_days), tuple(unusual_sessions)
        self._built_in = self._table = _Table(
            first_day, last_day, published_until or last_day, self._closed_days, self._sessions
        )
        self.revision = ""

    @property
    def first_day(self) -> date:
        """The first covered day."""
        return self._table.first_day

    @property
    def last_day(self) -> date:
        """The last covered day, provisional ones included."""
        return self._table.last_day

    @property
    def published_until(self) -> date:
        """The last day that is covered as the exchange has published it."""
        return self._table.published_until

    def amend(self, amendment: Amendment) -> None:
        """Put ``amendment`` in force, in place of an earlier one.

        The calendar itself changes, and not a copy of it: all that hold it have to see the same days.
        """
        if amendment.revision == self.revision:
            return
        built_in = self._built_in
        until = max(amendment.published_until or date.min, built_in.published_until)
        said = {row.day for row in amendment.closed_days}
        said |= {row.day for row in amendment.sessions}

        def kept(rows: Iterable[_Dated]) -> list[_Dated]:
            # What was provisional ends where the exchange has spoken.
            return [
                row
                for row in rows
                if row.day not in said and not built_in.published_until < row.day <= until
            ]

        self._table = _Table(
            built_in.first_day,
            max(built_in.last_day, until),
            until,
            [*kept(self._closed_days), *amendment.closed_days],
            [*kept(self._sessions), *amendment.sessions],
        )
        self.revision = amendment.revision

    def amended_hours(self, day: date) -> str | None:
        """The hours of a day on which the amendment says something else than the built-in table; None on others.

        What is computed from the hours of a day follows from this text: with the same one it is still right.
        """
        day, built_in = self._covered(day), self._built_in
        if self._is_open(day) == built_in.is_open(day) and (
            self._table.intervals(day) == built_in.intervals(day)
        ):
            return None
        if not self._is_open(day):
            return "closed"
        hours = " ".join(
            f"{part.start:%H:%M}-{part.end:%H:%M}" for part in self._table.intervals(day)
        )
        return hours or "hours not known"

    def is_trading_day(self, day: date) -> bool:
        """Whether the exchange trades on ``day``, for however short a time."""
        return self._is_open(self._covered(day))

    def session(self, day: date, shape: SessionShape = FULL) -> Session:
        """The session of a trading day; :class:`MarketClosed` on any other.

        With the shape ``closing auction``, of a stock with derivatives: its continuous trading only.
        """
        if not self.is_trading_day(day):
            raise MarketClosed(
                f"{day} is not a trading day of {self.name} ({self.why_closed(day)}); "
                f"ask is_trading_day first."
            )
        session = self._table.unusual_sessions.get(day)
        if session is None:
            provisional = f"; {PROVISIONAL}" if day > self.published_until else ""
            source = f"{REGULAR_SOURCE}{provisional}"
            session = Session(day, _REGULAR_INTERVALS, "regular", source)
        auction = self.closing_auction
        if shape != CLOSING_AUCTION or auction is None or not self.has_closing_auction(day):
            return session
        *earlier, last = session.intervals
        return replace(
            session,
            intervals=(*earlier, Interval(last.start, auction.start)),
            source=f"{session.source}; closing auction: {auction.source}",
        )

    def has_closing_auction(self, day: date) -> bool:
        """Whether stocks with derivatives stop trading continuously before the others on ``day``.

        Only on days with the regular hours: nothing is announced for evening sessions and drills.
        """
        if self.closing_auction is None or day < self.closing_auction.first_day:
            return False
        if not self.is_trading_day(day):
            return False
        return self._table.intervals(day) == _REGULAR_INTERVALS

    def closes_at(self, day: date) -> time | None:
        """When nothing trades any more on a trading day, auction included; None for unknown hours."""
        if self.closing_auction is not None and self.has_closing_auction(day):
            return self.closing_auction.end
        intervals = self.session(day).intervals
        return intervals[-1].end if intervals else None

    def has_closed(self, day: date, moment: datetime, margin_minutes: int = 0) -> bool:
        """Whether a trading day was over ``margin_minutes`` before ``moment`` (exchange time), auction included.

        A day whose hours are not in the table is over at midnight.
        """
        if day != moment.date():
            return day < moment.date()
        end = self.closes_at(day)
        if end is None:
            return False
        close = datetime.combine(day, end, moment.tzinfo)
        return moment >= close + timedelta(minutes=margin_minutes)

    def bars_closed_until(
        self, moment: datetime, newest: datetime, bar_minutes: int
    ) -> datetime | None:
        """Where the last bar of the moment's day ends that will not change any more; None when there is none.

        Both moments are in exchange time; ``newest`` is the start of the newest minute that was received. While its
        interval is open, and a minute longer, that minute may be unfinished: it and all later ones do not count.
        """
        until = None
        for interval in self.session(moment.date()).intervals:
            start, end = (
                datetime.combine(moment.date(), clock, moment.tzinfo)
                for clock in (interval.start, interval.end)
            )
            is_over = moment >= end + _MINUTE
            known = end if is_over else min(moment, newest, end)
            bars = (known - start) // (bar_minutes * _MINUTE)
            if known == end:
                until = end
            elif bars > 0:
                until = start + bars * bar_minutes * _MINUTE
        return until

    def why_closed(self, day: date) -> str:
        """``"weekend"`` or the name of the holiday; ``ValueError`` when ``day`` is a trading day."""
        if self.is_trading_day(day):
            raise ValueError(
                f"{day} is a trading day of {self.name}; it has no reason to be closed."
            )
        return self._table.holiday_names.get(day, "weekend")

    def trading_days(self, first: date, last: date) -> list[date]:
        """Trading days from ``first`` to ``last``, both included, in order."""
        self._check_range(first, last)
        days = self._table.trading_days
        return days[bisect_left(days, first) : bisect_right(days, last)]

    def closed_days(self, first: date, last: date) -> list[date]:
        """Every other day of the same range, weekends included, in order."""
        self._check_range(first, last)
        return [day for day in _every_day(first, last) if not self._is_open(day)]

    def next(self, day: date, n: int = 1) -> date:
        """The ``n``-th trading day strictly after ``day``, which need not be one itself."""
        self._check_step(n)
        position = bisect_right(self._table.trading_days, self._covered(day)) + n - 1
        if position >= len(self._table.trading_days):
            raise OutsideCoverage(self._refusal(f"Trading day number {n} after {day}"))
        return self._table.trading_days[position]

    def previous(self, day: date, n: int = 1) -> date:
        """The ``n``-th trading day strictly before ``day``, which need not be one itself."""
        self._check_step(n)
        position = bisect_left(self._table.trading_days, self._covered(day)) - n
        if position < 0:
            raise OutsideCoverage(self._refusal(f"Trading day number {n} before {day}"))
        return self._table.trading_days[position]

    def _is_open(self, day: date) -> bool:
        return self._table.is_open(day)

    def _covered(self, day: date) -> date:
        if isinstance(day, datetime):
            raise TypeError(f"expected a date without a time of day, found {day!r}; use .date().")
        if not self.first_day <= day <= self.last_day:
            raise OutsideCoverage(self._refusal(str(day)))
        return day

    def _check_range(self, first: date, last: date) -> None:
        if self._covered(last) < self._covered(first):
            raise ValueError(f"the range ends on {last}, before its first day {first}.")

    @staticmethod
    def _check_step(n: int) -> None:
        if n < 1:
            raise ValueError(f"expected a number of trading days of at least 1, found {n}.")

    def _refusal(self, what: str) -> str:
        return (
            f"{what} is outside the {self.name} calendar, which covers {self.first_day} to "
            f"{self.last_day}; ask for a covered day or enter the missing year's holidays and "
            f"special sessions in the file that the setting calendar.file names."
        )


def _every_day(first: date, last: date) -> Iterable[date]:
    return (first + timedelta(days=offset) for offset in range((last - first).days + 1))


def _intervals(hours: Hours) -> tuple[Interval, ...]:
    return tuple(Interval(start, end) for start, end in hours)


_REGULAR_INTERVALS = _intervals(REGULAR_HOURS)

NSE = TradingCalendar(
    "NSE",
    FIRST_DAY,
    LAST_DAY,
    CLOSED_DAYS,
    UNUSUAL_SESSIONS,
    NSE_CLOSING_AUCTION,
    PUBLISHED_UNTIL,
)
"""The cash market of the National Stock Exchange of India; loading settings amends it by their calendar file."""
