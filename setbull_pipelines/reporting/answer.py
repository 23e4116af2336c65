"""The answer of a day: which stocks are in the lists, since when, and which are no longer.

Belongs here: holding a day against the sessions before it, and the answer as plain text. Does not belong here: reading
those sessions (``pipeline/``), the layout of the page (``page.html``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from setbull_pipelines.reporting.content import Stored, ranked, stock_rows
from setbull_pipelines.tables.filters import PASSING_VERDICTS

NOT_REAL = "Not real prices: "
Lists = Mapping[str, Mapping[str, str]]
"""By session (YYYY-MM-DD), ascending, the verdict of every stock that passed on it, by instrument key."""


@dataclass(frozen=True)
class Standing:
    """A stock that is in one of the lists."""

    key: str
    symbol: str
    days: int
    """Sessions in a row that it is in this list, this one included."""
    is_known: bool
    """False where the earliest known session has it too: it may be there for longer."""
    moved: bool
    """Whether it was in the other list on the session before."""

    @property
    def words(self) -> str:
        """How long it is there."""
        if self.days == 1 and self.is_known:
            return "moved over from the other list" if self.moved else "new"
        return f"{ordinal(self.days)} day" if self.is_known else f"{ordinal(self.days)} day or more"


@dataclass(frozen=True)
class Dropped:
    """A stock that passed on the session before and does not any more."""

    key: str
    symbol: str
    was: str
    reason: str
    """Why not, in the words of the filters; that it has no row where it has none."""


@dataclass(frozen=True)
class Answer:
    """What a reader wants to know first."""

    standings: Mapping[str, Sequence[Standing]]
    """By passing verdict, in the order of its list."""
    dropped: Sequence[Dropped]
    before: str | None
    """The session that is compared with; None for the first one."""
    stocks: int
    """All that were looked at."""

    @property
    def headline(self) -> str:
        """The answer in one line."""
        passed = sum(map(len, self.standings.values()))
        line = f"{passed} of {self.stocks:,} stocks passed"
        if self.before:
            line += f": {self.new} new, {len(self.dropped)} dropped since {self.before}"
        return line

    @property
    def lines(self) -> list[str]:
        """The whole answer as text: the line, then a stock on each, as on the page."""
        found = [self.headline]
        for verdict, rows in self.standings.items():
            found += [
                "",
                f"{verdict}: {len(rows)}",
                *(f"  {row.symbol}, {row.words}" for row in rows),
            ]
        if self.before:
            found += ["", f"dropped since {self.before}: {len(self.dropped)}"]
            found += [f"  {row.symbol}, was {row.was}: {row.reason}" for row in self.dropped]
        return found

    @property
    def new(self) -> int:
        """Stocks that are in a list and were in none on the session before."""
        return sum(
            row.days == 1 and row.is_known and not row.moved
            for rows in self.standings.values()
            for row in rows
        )


def told(stored: Stored) -> list[str]:
    """The answer of a day as lines of text, with a warning before it where its prices are invented."""
    lines = answer_of(stock_rows(stored), stored.earlier).lines
    return [f"{NOT_REAL}{lines[0]}", *lines[1:]] if stored.is_generated else lines


def answer_of(rows: pd.DataFrame, earlier: Lists) -> Answer:
    """The answer for the stocks of a day (``stock_rows``) after the ``earlier`` sessions."""
    sessions = list(earlier)
    before = sessions[-1] if sessions else None
    last: Mapping[str, str] = earlier[before] if before else {}

    def standing(key: str, symbol: str, verdict: str) -> Standing:
        days = 1
        for session in reversed(sessions):
            if earlier[session].get(key) != verdict:
                break
            days += 1
        was = last.get(key)
        # Of a first session nobody knows since when.
        is_known = days <= len(sessions)
        return Standing(key, symbol, days, is_known, was is not None and was != verdict)

    passed = ranked(rows)
    standings = {
        verdict: [
            standing(row.instrument_key, row.symbol, verdict)
            for row in passed[passed["verdict"] == verdict].itertuples()
        ]
        for verdict in PASSING_VERDICTS
    }
    dropped = list(_dropped(rows, set(passed["instrument_key"]), last))
    return Answer(standings, dropped, before, len(rows))


def _dropped(rows: pd.DataFrame, passing: set[str], last: Mapping[str, str]) -> Iterable[Dropped]:
    by_key = rows.set_index("instrument_key")
    for key, was in sorted(last.items()):
        if key in passing:
            continue
        if key in by_key.index:
            row = by_key.loc[key]
            yield Dropped(key, row["symbol"], was, row["reason"])
        else:
            yield Dropped(key, key, was, "has no row on this day")


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th … 11th …"""
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"
