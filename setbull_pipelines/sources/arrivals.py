"""When each input file arrived with which content: the journal that corrections and replays rest on.

Belongs here: the journal's file and what counts at a moment. Does not belong here: reading inputs (``intake.py``), what
was read (``landing.py``), a clock.

A file that is written again is another arrival; what was read of its earlier content stays in the landing. The journal
is one JSON file per input with its own hash, replaced as a whole, so that readers need no lock.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from setbull_pipelines import disk
from setbull_pipelines.sources import checked_json

_LOCK = ".arrivals.lock"
_RESOLUTION = timedelta(microseconds=1)


class Content(NamedTuple):
    """What a file holds: the hash of its bytes, and the name of the landing of what was read."""

    content_hash: str
    landing: str


@dataclass(frozen=True)
class Arrival:
    """From ``moment`` on, a file of the input had this content; None: it was there no longer."""

    source: str
    moment: datetime
    content: Content | None


class DamagedJournal(ValueError):
    """The journal cannot be read; the message names the file and what to do."""


def name_of_input(input: Path) -> str:
    """A short name of an input for files that are about it."""
    return hashlib.blake2b(os.fsencode(input.resolve()), digest_size=8).hexdigest()


class Journal:
    """The arrivals of one input, in the order in which they were noticed."""

    def __init__(self, landing: Path, input: Path) -> None:
        self._landing, self._path = landing, landing / f"arrivals-{name_of_input(input)}.json"

    def arrivals(self) -> list[Arrival]:
        """All arrivals so far. Raises DamagedJournal."""
        try:
            entries = checked_json.entries_from_text(self._path.read_text(encoding="utf-8"))
            return [
                Arrival(
                    entry["source"],
                    datetime.fromisoformat(entry["moment"]),
                    Content(*entry["content"]) if entry["content"] else None,
                )
                for entry in entries
            ]
        except FileNotFoundError:
            return []
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedJournal(
                f"{self._path}: found something else than a list of arrivals ({error!r}); restore it, or delete it "
                "to take every file in anew, without its earlier contents"
            ) from None

    def note(self, found: Mapping[str, Content], moment: datetime) -> list[Arrival]:
        """Add what changed since the last look, given the content of every file, and return all arrivals.

        ``moment`` has a time zone. Every look that finds something has a later one than those before it, also when
        the clock was set back, so that a file and a moment name one content.
        """
        with self._locked():
            before = self.arrivals()
            known = {
                arrival.source: arrival.content and arrival.content.content_hash
                for arrival in before
            }
            now = max([moment, *(arrival.moment + _RESOLUTION for arrival in before[-1:])])
            gone = [
                source for source, known_hash in known.items() if known_hash and source not in found
            ]
            changed: dict[str, Content | None] = dict.fromkeys(gone) | {
                source: content
                for source, content in found.items()
                if known.get(source) != content.content_hash
            }
            new = [Arrival(source, now, changed[source]) for source in sorted(changed)]
            if new:
                self._write([*before, *new])
            return [*before, *new]

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._landing / _LOCK).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _write(self, arrivals: Sequence[Arrival]) -> None:
        entries = [asdict(item) | {"moment": item.moment.isoformat()} for item in arrivals]
        disk.replace_durably(self._path, checked_json.to_text(entries).encode())


def counting(
    arrivals: Sequence[Arrival], as_of: datetime | None = None
) -> dict[str, list[Arrival]]:
    """Per file, the arrivals that count at ``as_of`` (None: after all of them), the last one being its content.

    Earlier contents of a file count as long as the file is there: they are what the last one corrects. A file that was
    removed takes all of them along.
    """
    of_source: dict[str, list[Arrival]] = {}
    for arrival in arrivals:
        if as_of is not None and arrival.moment > as_of:
            break
        if arrival.content is None:
            of_source.pop(arrival.source, None)
        else:
            of_source.setdefault(arrival.source, []).append(arrival)
    return of_source
