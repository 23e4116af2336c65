"""A session under way: which of its minutes count at a moment, and the mark of what was computed of them.

Belongs here: the choice of input rows that both variants share, and the mark among a partition's inputs. Does not
belong here: when a session is refreshed (``automation/refresh.py``), making bars (``variants/``).
"""

from __future__ import annotations

from datetime import date, datetime

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.warehouse.errors import MissingPartition
from setbull_pipelines.warehouse.pointers import Pointer, StoredTable
from setbull_pipelines.warehouse.store import Warehouse

AS_OF = "as of"
"""Name among the inputs of a partition of a session under way. A whole day is computed from other inputs."""


def mark_of(day: date, as_of: datetime | None) -> dict[str, str]:
    """What to add to the inputs of a partition of ``day``; nothing when the whole day is computed."""
    is_under_way = as_of is not None and as_of.date() == day
    return {AS_OF: f"{as_of:%Y-%m-%d %H:%M}"} if is_under_way else {}


def minutes_of_closed_bars(
    candles_1min: pd.DataFrame, as_of: datetime, bar_minutes: int
) -> pd.DataFrame:
    """The rows of ``raw.candles_1min`` of a day that belong to bars which have closed at ``as_of``.

    ``as_of`` is in exchange time, without zone.
    """
    clock = candles_1min["timestamp"].dt.tz_localize(None)
    newest = clock.max()
    until = None
    if not pd.isna(newest):
        until = NSE.bars_closed_until(as_of, newest.to_pydatetime(), bar_minutes)
    closed = clock < until if until is not None else pd.Series(False, candles_1min.index)
    return candles_1min[closed].reset_index(drop=True)


def further_on(day: date, as_of: datetime, warehouse: Warehouse) -> str | None:
    """What is stored of ``day`` that a run at ``as_of`` (exchange time, without zone) would cut back, or None."""
    key, moment = day.isoformat(), mark_of(day, as_of)[AS_OF]
    for table in tables.COMPUTED_TABLES:
        for schema in ("v1", "v2"):
            stored = StoredTable(schema, table)
            pointer = warehouse.pointer(stored, key)
            found = pointer.inputs.get(AS_OF) if pointer else moment
            if found is None:
                return f"{stored.name} {key} is stored as a whole day"
            if found > moment:
                return f"{stored.name} {key} is stored as of {found}"
    return None


def require_same_moment(
    reader: str, name: str, pointer: Pointer, expected: dict[str, str], day: str
) -> None:
    """:class:`MissingPartition` when the partition was computed up to another moment than its reader.

    A look-back over a session that was never finished would look like one over a short day.
    """
    found, wanted = pointer.inputs.get(AS_OF), expected.get(AS_OF)
    if found != wanted:
        raise MissingPartition(
            f"{reader} needs {name} of {day} {f'as of {wanted}' if wanted else 'as a whole day'}, but it was computed "
            f"{f'as of {found}, from a session under way' if found else 'as a whole day'}; run: "
            f"setbull run --from {day} --to {day}"
        )
