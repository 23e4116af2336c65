"""A session that is refreshed while it trades, on a copy of the small run.

Belongs here: its ticks, and corrections of it. Does not belong here: assertions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.pipeline import candle_events
from setbull_pipelines.pipeline.candle_events import EVENTS, READ
from setbull_pipelines.pipeline.running import AS_OF
from setbull_pipelines.pipeline.serving import served_table
from setbull_pipelines_tests.pipeline.small_run import PROVENANCE, SmallRun

_BAR_MINUTES = 5


@dataclass
class LiveSession:
    """A session of a run, the last one unless another is given, whose served tables are cut to what had closed."""

    run: SmallRun
    of: date | None = None

    def __post_init__(self) -> None:
        self.day = self.of or self.run.days[-1]
        self.warehouse = self.run.warehouse
        self.whole = {
            table.name: self.warehouse.read(served_table(table), [self.key]) for table in READ
        }

    @property
    def key(self) -> str:
        """The partition."""
        return self.day.isoformat()

    def serve(
        self,
        clock: str | None,
        change: Callable[[str, pd.DataFrame], pd.DataFrame] = lambda name, rows: rows,
    ) -> None:
        """Serve what had closed at a moment of the day, or all of it, after ``change``, without making events."""
        end = pd.Timestamp(f"{self.key} {clock or '15:30'}", tz="Asia/Kolkata")
        last = end - pd.Timedelta(minutes=_BAR_MINUTES)
        candles = tables.CANDLES_5MIN.name
        newest = change(candles, self.whole[candles])
        newest = newest[newest["timestamp"] <= last].groupby("instrument_key")["timestamp"].max()
        for table in READ:
            rows = change(table.name, self.whole[table.name])
            if "timestamp" in rows:
                rows = rows[rows["timestamp"] <= last]
            else:
                rows = rows[rows["instrument_key"].isin(newest.index)]
                rows = rows.assign(last_band=newest.reindex(rows["instrument_key"]).array)
            self.warehouse.publish(
                served_table(table),
                self.key,
                rows.reset_index(drop=True),
                **PROVENANCE | {"inputs": {AS_OF: f"{self.key} {clock}"} if clock else {}},
            )

    def record(self, is_under_way: bool = True) -> None:
        """Make the events of what is served."""
        list(
            candle_events.record(
                [self.day], self.warehouse, self.run.settings, "test", is_under_way
            )
        )

    def tick(self, clock: str, **change: Callable[[str, pd.DataFrame], pd.DataFrame]) -> None:
        """Serve what had closed at a moment, and make its events."""
        self.serve(clock, **change)
        self.record()

    def events(self) -> pd.DataFrame:
        """The whole log of the session."""
        return self.warehouse.read(EVENTS, [self.key])
