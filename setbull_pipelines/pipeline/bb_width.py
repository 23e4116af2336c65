"""The latest session of the band-width monitor, as readers get it.

Belongs here: which stored day that is, its alerts as plain values. Does not belong here: messages about them
(``alerts/``), computing them (``variants/``), Dagster, a clock.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from setbull_pipelines import tables
from setbull_pipelines.alerts.bb_width import BandAlert, MonitoredSession
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.pipeline.serving import read_served, source_of_served
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables.contract import INDIA
from setbull_pipelines.warehouse.pointers import WHOLE, StoredTable
from setbull_pipelines.warehouse.store import Warehouse

_INSTRUMENTS = StoredTable("raw", tables.INSTRUMENTS)


def latest_session(warehouse: Warehouse, settings: Settings) -> MonitoredSession | None:
    """The latest day that is served, under the kill switch that V1 has; None when there is none.

    Raises MissingPartition, DamagedPartition and ContractViolation as :func:`read_served`.
    """
    table = tables.BB_WIDTH_ALERTS
    stored = source_of_served(table, settings.rollout)
    if not (keys := warehouse.partitions(stored)):
        return None
    day = date.fromisoformat(max(keys))
    rows = read_served(table, [day], warehouse, settings.rollout)
    told = rows[rows["alert_rule"].notna()]
    symbols = _symbols(warehouse) if len(told) else {}
    intervals = NSE.session(day).intervals
    # A day whose hours are not announced may trade at any of them.
    opens_at = intervals[0].start if intervals else time.min
    closes_at = NSE.closes_at(day) or time.max
    return MonitoredSession(
        day=day,
        opens_at=datetime.combine(day, opens_at, ZoneInfo(INDIA)),
        closes_at=datetime.combine(day, closes_at, ZoneInfo(INDIA)),
        published_at=datetime.fromisoformat(warehouse.pointer(stored, max(keys)).published_at),
        alerts=tuple(
            BandAlert(
                row.instrument_key,
                row.alert_rule,
                row.alert_bar.to_pydatetime() + timedelta(minutes=settings.aggregation.bar_minutes),
                row.alert_bb_width,
                row.lowest_bb_width,
                row.alert_distance_percent,
                symbols.get(row.instrument_key),
            )
            for row in told.itertuples()
        ),
    )


def _symbols(warehouse: Warehouse) -> dict[str, str]:
    """The symbol of every instrument that has one, by its key."""
    if warehouse.pointer(_INSTRUMENTS, WHOLE) is None:
        return {}
    known = warehouse.read(_INSTRUMENTS, [WHOLE], ["instrument_key", "symbol"])
    known = known[known["symbol"].notna()]
    return dict(zip(known["instrument_key"], known["symbol"], strict=True))
