"""The text of a calendar file: holidays and sessions that extend or correct the built-in table without a release.

Belongs here: judging the rows. Does not belong here: reading the file (``settings``), the built-in dates
(``session_table.py``), what the rows change (``calendar.py``).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from datetime import date, time
from typing import NamedTuple, cast

from setbull_pipelines.market.calendar import Amendment
from setbull_pipelines.market.session_table import (
    FIRST_DAY,
    HOURS_NOT_KNOWN,
    LAST_DAY,
    PUBLISHED_UNTIL,
    REGULAR_HOURS,
    ClosedDay,
    Hours,
    SessionKind,
    UnusualSession,
)

COLUMNS = ("date", "kind", "intervals", "source")
HOLIDAY, PUBLISHED, REGULAR = "holiday", "published", "regular"
WITH_HOURS = ("special", "muhurat", "drill", "outage")
KINDS = (HOLIDAY, *WITH_HOURS, REGULAR, PUBLISHED)
"""``published`` says that the file has all that the exchange has published until this day."""
_INTERVAL = re.compile(r"(\d\d:\d\d)-(\d\d:\d\d)")


class InvalidCalendar(ValueError):
    """A calendar file that cannot be used; the message says line, what was found and what was expected."""


class _Row(NamedTuple):
    line: int
    day: date
    kind: str
    hours: Hours
    source: str


def parse_calendar(text: str) -> Amendment:
    """The rows of a CSV with the columns ``date``, ``kind``, ``intervals`` and ``source``, in any order.

    Intervals are local hours such as ``18:00-19:00``, several separated by spaces; empty for holidays, regular hours
    and hours that are not announced yet. Raises :class:`InvalidCalendar` at the first row that cannot be used.
    """
    lines = csv.reader(text.splitlines(), delimiter=_delimiter(text))
    header = [name.strip() for name in next(lines, [])]
    if sorted(header) != sorted(COLUMNS):
        raise _fault(1, f"the columns {', '.join(header) or 'none'}", ", ".join(COLUMNS))
    rows: dict[date, _Row] = {}
    published: _Row | None = None
    for fields in lines:
        if not any(field.strip() for field in fields):
            continue
        row = _row(lines.line_num, header, fields)
        if row.kind == PUBLISHED:
            if published:
                raise _fault(row.line, f"a second row of kind {PUBLISHED}", "one, the latest")
            published = row
            continue
        if row.day in rows:
            found = f"{row.day} again, as on line {rows[row.day].line}"
            raise _fault(row.line, found, "each date once; a session on a holiday is the session")
        rows[row.day] = row
    _require_coverage(rows.values(), published)
    return Amendment(
        tuple(
            ClosedDay(row.day, f"holiday, {row.source}", row.source)
            for row in rows.values()
            if row.kind == HOLIDAY
        ),
        tuple(
            UnusualSession(row.day, row.hours, cast(SessionKind, row.kind), row.source)
            for row in rows.values()
            if row.kind != HOLIDAY
        ),
        published.day if published else None,
    )


def _delimiter(text: str) -> str:
    """What is between the fields: a semicolon where the header says so, as spreadsheets of many countries write it."""
    return ";" if text.partition("\n")[0].count(";") == len(COLUMNS) - 1 else ","


def _row(line: int, header: list[str], fields: list[str]) -> _Row:
    if len(fields) != len(header):
        raise _fault(line, f"{len(fields)} fields", f"{len(header)} as in the header")
    found = {name: field.strip() for name, field in zip(header, fields, strict=True)}
    try:
        if len(found["date"]) != len("2027-01-26"):
            raise ValueError
        day = date.fromisoformat(found["date"])
    except ValueError:
        raise _fault(line, f"date {found['date']!r}", "a date YYYY-MM-DD") from None
    if day < FIRST_DAY:
        raise _fault(line, f"date {day}", f"{FIRST_DAY} or later, where the calendar begins")
    kind = found["kind"]
    if kind not in KINDS:
        raise _fault(line, f"kind {kind!r}", f"one of {', '.join(KINDS)}")
    if not found["source"]:
        raise _fault(
            line, "no source", "where the row is known from, such as the exchange's circular"
        )
    hours = tuple(_hours(line, found["intervals"]))
    if hours and kind not in WITH_HOURS:
        raise _fault(line, f"intervals {found['intervals']!r}", f"none for the kind {kind}")
    return _Row(line, day, kind, REGULAR_HOURS if kind == REGULAR else hours, found["source"])


def _hours(line: int, text: str) -> Iterator[tuple[time, time]]:
    if not text:
        yield from HOURS_NOT_KNOWN
        return
    before = time.min
    for part in text.split():
        matched = _INTERVAL.fullmatch(part)
        try:
            start, end = map(time.fromisoformat, matched.groups() if matched else ())
        except ValueError:
            expected = "hours such as 18:00-19:00, several separated by spaces"
            raise _fault(line, f"intervals {text!r}", expected) from None
        if not before <= start < end:
            raise _fault(
                line, f"intervals {text!r}", "intervals in order, each ending after its start"
            )
        yield start, end
        before = end


def _require_coverage(rows: Iterable[_Row], published: _Row | None) -> None:
    """Days that nobody covers are no days of the calendar, and a year without holidays is not complete."""
    rows = list(rows)
    until = max(published.day, LAST_DAY) if published else LAST_DAY
    for row in rows:
        if row.day > until:
            expected = (
                f"a date until {until}, or a row of kind {PUBLISHED} with the last day covered"
            )
            raise _fault(row.line, f"date {row.day}", expected)
    if published is None:
        return
    holidays = {row.day.year for row in rows if row.kind == HOLIDAY}
    for year in range(PUBLISHED_UNTIL.year + 1, published.day.year + 1):
        if year not in holidays:
            found = f"the kind {PUBLISHED} until {published.day} and no holiday of {year}"
            raise _fault(published.line, found, f"the exchange's holidays of {year}")


def _fault(line: int, found: str, expected: str) -> InvalidCalendar:
    return InvalidCalendar(f"line {line}: found {found}, expected {expected}")
