"""The trading days as Dagster partitions: from the first session of the input to its last, or to the calendar's.

Belongs here: which days the UI offers. Does not belong here: which of them a run computes (``common``), when they are
asked for (``automation/``).

Static keys, not a daily definition with exclusions: Dagster writes the definition with its 1,400 closed days (135 KB)
into the event log for every check of every partition.
"""

from __future__ import annotations

import datetime
from functools import lru_cache

import dagster as dg

from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.pipeline.raw import first_session, last_session
from setbull_pipelines.settings import Settings


def trading_days(settings: Settings) -> dg.StaticPartitionsDefinition:
    """The partitions of every daily table.

    They begin with ``calendar.first_partition``, by default the first session of the input. While nothing is known of
    an input, they are all the days of the calendar. They end with the generated sample, and otherwise with the
    calendar: a daemon that runs for months asks for days that were still to come when it loaded them.
    """
    if settings.calendar.first_partition:
        first = datetime.date.fromisoformat(settings.calendar.first_partition)
    else:
        first = first_session(settings) or NSE.first_day
    last = last_session(settings) or NSE.last_day
    return _sessions(min(max(first, NSE.first_day), last), last, NSE.revision)


@lru_cache(maxsize=4)
def _sessions(
    first: datetime.date, last: datetime.date, revision: str
) -> dg.StaticPartitionsDefinition:
    """``revision`` is the calendar's: a calendar file can add days."""
    return dg.StaticPartitionsDefinition([day.isoformat() for day in NSE.trading_days(first, last)])
