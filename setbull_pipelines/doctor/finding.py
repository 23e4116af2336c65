"""What an examination says of one part of a data folder.

Belongs here: its shape. Does not belong here: looking (the other modules of the room).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import dagster as dg

from setbull_pipelines.settings import Settings

WELL, NOTE, FAULT = "well", "note", "fault"
"""Nothing to do; something that a person may want to know; something is wrong."""


@dataclass(frozen=True)
class DataFolder:
    """What is examined, and the moment (with a time zone).

    ``instance`` opens Dagster's, which fails where its files are damaged; None where there is none.
    """

    settings: Settings
    moment: datetime
    instance: Callable[[], dg.DagsterInstance] | None


@dataclass(frozen=True)
class Finding:
    """One sentence about one part of the folder.

    ``remedy`` says what is to be done or typed. ``repair`` does it and returns what was done, in words, which is then
    ``done``; it is there only where nothing is lost by it that cannot be had again.
    """

    part: str
    state: str
    told: str
    remedy: str | None = None
    repair: Callable[[], str] | None = None
    done: str | None = None


Examination = Callable[[DataFolder], Sequence[Finding]]


def size(number_of_bytes: float) -> str:
    """Bytes in the unit that people read them in."""
    value, units = float(number_of_bytes), ["bytes", "KB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:,.0f} {units[0]}" if units[0] == "bytes" else f"{value:,.1f} {units[0]}"
