"""``setbull invalidate``: one instrument's rows are to be computed again.

Belongs here: the sentences and the command to run afterwards. Does not belong here: marking (``pipeline/touched.py``).
"""

from __future__ import annotations

from datetime import date

from setbull_pipelines.errors import SetbullError
from setbull_pipelines.pipeline.comparing_days import SUMMARY
from setbull_pipelines.pipeline.dependents import depending
from setbull_pipelines.pipeline.instruments import key_of
from setbull_pipelines.pipeline.opening import open_warehouse
from setbull_pipelines.pipeline.touched import invalidate
from setbull_pipelines.settings import Settings


class NothingStored(SetbullError, ValueError):
    """No computed partition of the range was computed for the instrument; the message says which were looked at."""


def mark(settings: Settings, instrument: str, first: date | None, last: date | None) -> list[str]:
    """Mark the instrument, named by key or symbol, and say what will be computed, with which command.

    Raises NoSuchInstrument, NothingStored, DamagedPartition.
    """
    warehouse, instrument_key = open_warehouse(settings), key_of(instrument, settings)
    marked = invalidate(warehouse, instrument_key, first, last)
    if marked is None:
        raise NothingStored(
            f"instrument {instrument_key!r} has no computed rows from {first or 'the first'} to "
            f"{last or 'the last'} stored session in {settings.data_directory}; expected a key such as "
            "'NSE_EQ|INE002A01018', as in the table raw.instruments"
        )
    lines = [
        f"{instrument_key} will be computed again in {sum(marked.partitions.values())} partitions from "
        f"{marked.first} to {marked.last}; nothing was deleted, and its rows stay as they are until then",
        *(f"  {name}: {count} sessions" for name, count in marked.partitions.items()),
    ]
    done = [date.fromisoformat(key) for key in warehouse.partitions(SUMMARY)]
    start = max(marked.first, min(done, default=marked.first))
    sessions = depending([start], done, settings) or [marked.first, marked.last]
    lines.append(f"now run: setbull run --from {sessions[0]} --to {sessions[-1]}")
    return lines
