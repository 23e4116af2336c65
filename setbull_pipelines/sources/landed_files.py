"""Files that were landed: their contents by now and before, and what counts of each.

Belongs here: which landing holds a content that is read by the rules of now, and which contents count at a moment. Does
not belong here: landing (``taking_in.py``), the landing's files (``landing.py``).
"""

from __future__ import annotations

import hashlib
import inspect
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, cached_property, partial
from importlib import import_module
from pathlib import Path, PurePath, PurePosixPath

import pandas as pd

import setbull_pipelines.sources as sources
from setbull_pipelines.market import calendar, instruments, session_frames, session_table
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.settings import InputSettings, fingerprint
from setbull_pipelines.sources import action_layouts, layouts
from setbull_pipelines.sources.arrivals import Arrival, DamagedJournal, counting
from setbull_pipelines.sources.file_names import NO_INSTRUMENT, said_by_settings
from setbull_pipelines.sources.found_files import NoInput
from setbull_pipelines.sources.landing import Landing, adopt_landing, open_landing
from setbull_pipelines.sources.moments import DAILY, MINUTES
from setbull_pipelines.sources.reading import file_suffix

_NOT_READING = frozenset(
    [
        "arrivals",
        "checked_json",
        "correcting",
        "coverage",
        "decided_actions",
        "found_files",
        "group_files",
        "intake",
        "known_contents",
        "landed_files",
        "listing",
        "looking",
        "resolving",
        "room_for_files",
        "sample",
        "sample_minutes",
        "sample_plan",
        "taking_in",
        "universe",
        "watching",
    ]
)
"""Modules of this room that decide nothing about what is read of one file."""


@dataclass(frozen=True)
class LandedFile:
    """A file with one content; ``is_current`` is False when it has another by now.

    Of an earlier content the accepted rows count: it is what the file said. What was rejected then, the next one
    repaired.
    """

    source: str
    listed_as: str
    content_hash: str
    landing: Landing
    ingested_at: datetime
    is_current: bool = True

    @cached_property
    def days(self) -> pd.DataFrame:
        """The landing's days, by what counts of them."""
        days = self.landing.days
        return days if self.is_current else days[days["accepted"] > 0].assign(rejected=0)

    @property
    def name_in_quarantine(self) -> str:
        """Tells an earlier content from the present one, which can have rows with the same numbers."""
        if self.is_current:
            return self.source
        return f"{self.source} (its content of {self.ingested_at.isoformat()})"

    @property
    def reason(self) -> str:
        """Why a rejected file is of no use. Files of equal bytes share a landing, but not the name that it is about."""
        reason, broken = self.landing.manifest["reason"], self.landing.manifest["broken"]
        if broken["rule"] != NO_INSTRUMENT:
            return reason
        return reason.replace(PurePosixPath(broken["value"]).name, self.name)

    @property
    def name(self) -> str:
        """The last part of its path."""
        return PurePosixPath(self.listed_as).name

    @property
    def identity(self) -> str:
        """What the rows and their provenance follow from."""
        return (
            f"{self.listed_as}|{self.content_hash}|{self.ingested_at.isoformat()}|{self.is_current}"
        )


def counting_files(
    landing: Path,
    arrivals: Sequence[Arrival],
    reading: InputSettings,
    as_of: datetime | None = None,
    land_again: Callable[[str, str, Path], None] | None = None,
) -> list[LandedFile]:
    """The files that count at a moment, by path, and of candle files also their earlier contents.

    An earlier content cannot be read again: where the rules have changed since, its rows are as judged then.
    ``land_again`` writes the folder of a file with a content hash anew, for as long as the file is in the input.
    """
    landed = []
    for source, of_source in sorted(counting(arrivals, as_of).items()):
        for arrival in of_source:
            content, is_current = arrival.content, arrival is of_source[-1]
            assert content is not None, "a file that was removed does not count"
            by_now = landing / folder_name(source, content.content_hash, reading)
            again = None
            if is_current and land_again:
                again = partial(land_again, source, content.content_hash, by_now)
            then = landing / content.landing
            read = open_landing(by_now, again) or open_landing(then) or adopt_landing(then)
            if read is None:
                raise NoInput(
                    f"{landing / content.landing}: found nothing whole, expected what was read of {source} on "
                    f"{arrival.moment:%Y-%m-%d}; restore it, or take the file out of the input for one run, so that "
                    "its earlier contents no longer count."
                )
            if is_current or read.kind in (MINUTES, DAILY):
                landed.append(
                    LandedFile(
                        source, source, content.content_hash, read, arrival.moment, is_current
                    )
                )
    return landed


def arrivals_of(read: Callable[[], list[Arrival]]) -> list[Arrival]:
    """The arrivals of a journal; :class:`NoInput` when it is damaged."""
    try:
        return read()
    except DamagedJournal as error:
        raise NoInput(str(error)) from error


def folder_name(source: str, content_hash: str, reading: InputSettings) -> str:
    """The landing of a content that is read by the rules of now.

    Rows that name no instrument have it from the path: equal bytes can be of two.
    """
    suffix = file_suffix(PurePath(source)) or ""
    in_path = [*layouts.identities(source), action_layouts.symbol_in_name(source) or ""]
    named = "|".join([*in_path, said_by_settings(source, reading) or ""])
    rules = reading_fingerprint(f"{suffix}{named}{fingerprint(reading)}")
    return f"{content_hash}-{rules}"


def reading_fingerprint(more: str) -> str:
    """Changes with the code, calendar and settings that judge rows, so that nothing is remembered by outdated rules."""
    digest = hashlib.blake2b(f"{more}{NSE.revision}".encode(), digest_size=4)
    digest.update(_code_of_reading().encode())
    return digest.hexdigest()


@cache
def _code_of_reading() -> str:
    digest = hashlib.blake2b(digest_size=16)
    names = sorted(
        module.name for module in pkgutil.iter_modules(sources.__path__) if not module.ispkg
    )
    reading = [
        import_module(f"{sources.__name__}.{name}") for name in names if name not in _NOT_READING
    ]
    for module in (
        *reading,
        *layouts.modules(),
        layouts,
        instruments,
        calendar,
        session_frames,
        session_table,
    ):
        digest.update(inspect.getsource(module).encode())
    return digest.hexdigest()
