"""Days of unusual sessions, and the calendar of the exchange with rows of a file, for the time of a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

from setbull_pipelines.market.calendar import NSE, Amendment
from setbull_pipelines.market.calendar_file import parse_calendar

MUHURAT, OUTAGE, AUCTION, DRILL = (
    date(2020, 11, 14),
    date(2021, 2, 24),
    date(2026, 8, 3),
    date(2024, 3, 2),
)
HEADER = "date,kind,intervals,source"


@contextmanager
def amended(*rows: str) -> Iterator[None]:
    """``NSE`` as after loading settings that name a file with these rows."""
    NSE.amend(parse_calendar("\n".join([HEADER, *rows])))
    try:
        yield
    finally:
        NSE.amend(Amendment())
