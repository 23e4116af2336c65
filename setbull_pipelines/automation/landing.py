"""What follows from new or changed input files: a pure decision over what the sensor remembers.

Belongs here: which files intake has yet to read, which sessions they touched, the memory as text. Does not belong
here: looking at files (``sources/watching.py``), Dagster (``landing_sensor``), reading the clock.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from setbull_pipelines.market.calendar import TradingCalendar
from setbull_pipelines.pipeline.dependents import depending
from setbull_pipelines.settings import Settings
from setbull_pipelines.sources.watching import FileState


class Taken(NamedTuple):
    """What ``raw.intake`` says of a file; the days are None when no row of it has one."""

    content_hash: str
    first_day: datetime.date | None
    last_day: datetime.date | None


@dataclass(frozen=True)
class Memory:
    """What is remembered between two looks.

    ``files`` as last seen, ``waiting`` for intake by content hash, ``sessions`` touched but not requested, each
    with what touched it. ``facts`` is the version of the corporate actions and aliases whose sessions were touched.
    """

    files: Mapping[str, FileState] = field(default_factory=dict)
    waiting: Mapping[str, str] = field(default_factory=dict)
    sessions: Mapping[datetime.date, str] = field(default_factory=dict)
    facts: str = ""

    def to_text(self) -> str:
        """As JSON, for the sensor's cursor."""
        return json.dumps(
            {
                "files": self.files,
                "waiting": self.waiting,
                "sessions": {day.isoformat(): cause for day, cause in self.sessions.items()},
                "facts": self.facts,
            }
        )

    @classmethod
    def from_text(cls, text: str) -> Memory:
        """The inverse of :meth:`to_text`."""
        document = json.loads(text)
        return cls(
            {source: FileState(*state) for source, state in document["files"].items()},
            document["waiting"],
            {
                datetime.date.fromisoformat(day): cause
                for day, cause in document["sessions"].items()
            },
            document.get("facts", ""),
        )


def notice(
    calendar: TradingCalendar,
    memory: Memory | None,
    files: Mapping[str, FileState],
    taken: Mapping[str, Taken],
) -> Memory:
    """The memory after a look at the folder and at ``raw.intake``.

    A file with another content than remembered waits until intake has read just that content; then the trading
    days from its first to its last are touched. At the first look (``memory`` is None) what intake has read is
    known, everything else is new.
    """
    hashes = {source: state.content_hash for source, state in files.items()}
    known = (
        {source: file.content_hash for source, file in taken.items()}
        if memory is None
        else {source: state.content_hash for source, state in memory.files.items()}
    )
    memory = memory or Memory()
    waiting = {source: found for source, found in memory.waiting.items() if source in files}
    waiting |= {source: found for source, found in hashes.items() if known.get(source) != found}
    read = {
        source: taken[source]
        for source, found in waiting.items()
        if source in taken and taken[source].content_hash == found
    }
    cause = digest({source: file.content_hash for source, file in read.items()})
    touched = {
        day: cause
        for file in read.values()
        if file.first_day is not None and file.last_day is not None
        for day in calendar.trading_days(file.first_day, file.last_day)
    }
    return Memory(
        files,
        {source: found for source, found in waiting.items() if source not in read},
        {**memory.sessions, **touched},
        memory.facts,
    )


def with_facts(memory: Memory, facts: str, touched: Collection[datetime.date]) -> Memory:
    """The memory after another version of the corporate actions and aliases, which touched these sessions."""
    return replace(
        memory, sessions={**memory.sessions, **dict.fromkeys(touched, facts)}, facts=facts
    )


def with_dependents(
    before: Memory | None, after: Memory, stored: Collection[datetime.date], settings: Settings
) -> Memory:
    """The memory with the ``stored`` sessions that look back on what was touched since ``before``."""
    known = before.sessions if before else {}
    touched = {day: cause for day, cause in after.sessions.items() if known.get(day) != cause}
    found = depending(touched, stored, settings)
    # What one look notices has one cause.
    added = dict.fromkeys(found, next(iter(touched.values()), ""))
    return replace(after, sessions=added | dict(after.sessions))


def release(
    calendar: TradingCalendar,
    memory: Memory,
    moment: datetime.datetime,
    done: Collection[datetime.date],
    under_way: Collection[datetime.date],
    at_most: int,
    first_offered: datetime.date = datetime.date.min,
) -> tuple[Memory, dict[datetime.date, str]]:
    """The touched sessions to request at ``moment`` (exchange time, without zone), and the memory without them.

    The oldest ones that follow each other, so that one run takes them in order. Sessions before the first one in
    ``done`` are history, which nobody refreshes: they are forgotten. Those that have not closed yet stay in the
    memory, and so do those from the first one under way on, since they look back on it, and those before
    ``first_offered``, which have no partitions until the definitions are loaded again.
    """
    first = min((day for day in done if day <= moment.date()), default=moment.date())
    kept = {day: cause for day, cause in memory.sessions.items() if day >= first}
    ready = [
        day
        for day in sorted(kept)
        if first_offered <= day < min(under_way, default=datetime.date.max)
        and calendar.has_closed(day, moment)
    ]
    stretch = calendar.trading_days(ready[0], ready[-1]) if ready else []
    ready = [day for day, session in zip(ready, stretch, strict=False) if day == session][:at_most]
    released = {day: kept.pop(day) for day in ready}
    return replace(memory, sessions=kept), released


def digest(hashes: Mapping[str, str]) -> str:
    """A short name for files with just these contents."""
    text = json.dumps(sorted(hashes.items()))
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
