"""New events for all readers of the stream: looked for once, turned into text once.

Belongs here: when the log is looked at, what is held of it, how an event is written. Does not belong here: HTTP
(``stream.py``), which events there are (``pipeline/candle_events.py``).
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from operator import attrgetter

from starlette.concurrency import run_in_threadpool

from setbull_pipelines.pipeline.candle_events import events_after, last_event
from setbull_pipelines.pipeline.shown import plain
from setbull_pipelines.warehouse.store import Warehouse

LOOK_SECONDS = 0.5
"""Between two looks at the log: what a new event waits at most."""
EVENTS_AT_ONCE = 5_000
_HELD = 20_000
"""Events held as text: those of some looks; a reader that is further behind has its own read."""
_number = attrgetter("number")


@dataclass(frozen=True)
class Told:
    """An event as it is sent."""

    number: int
    instrument_key: str
    text: bytes


class Feed:
    """The log of events for the readers of one application."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self.readers = 0
        """Connections that are open."""
        self._ends = asyncio.Event()
        self._looking, self._holding = asyncio.Lock(), threading.Lock()
        self._newest, self._looked_at = 0, float("-inf")
        self._held: list[Told] = []
        self._held_after: int | None = None
        """All events after this number, up to the last one that is held, are held; None before the first reader."""

    @property
    def has_ended(self) -> bool:
        """Whether the server ends: then every stream does."""
        return self._ends.is_set()

    def end(self) -> None:
        """Let all streams end."""
        self._ends.set()

    async def pause(self) -> None:
        """Wait until the log is looked at again, or the server ends."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ends.wait(), LOOK_SECONDS)

    async def newest(self) -> int:
        """The number of the last event. Raises DamagedPartition, StoreUnavailable."""
        async with self._looking:
            if time.monotonic() - self._looked_at >= LOOK_SECONDS:
                self._newest = await run_in_threadpool(last_event, self.warehouse)
                self._looked_at = time.monotonic()
            return self._newest

    async def after(self, number: int) -> Sequence[Told]:
        """Events after a number in their order, the first of them where there are many; none where there is none.

        Raises as :func:`events_after`, and as :meth:`newest`.
        """
        newest = await self.newest()
        return await run_in_threadpool(self._after, number) if newest > number else ()

    def _after(self, number: int) -> Sequence[Told]:
        with self._holding:
            if self._held_after is None:
                self._held_after = number
            if number >= self._held_after:
                if number >= self._held_until:
                    self._hold_more()
                first = bisect_right(self._held, number, key=_number)
                return self._held[first : first + EVENTS_AT_ONCE]
        return self._read(number)

    @property
    def _held_until(self) -> int:
        return self._held[-1].number if self._held else self._held_after or 0

    def _hold_more(self) -> None:
        self._held += self._read(self._held_until)
        if len(self._held) > _HELD:
            self._held_after = self._held[-_HELD - 1].number
            del self._held[:-_HELD]

    def _read(self, number: int) -> list[Told]:
        rows = plain(events_after(self.warehouse, number, EVENTS_AT_ONCE))
        return [Told(row["event_id"], row["instrument_key"], _text(row)) for row in rows]


def _text(row: dict[str, object]) -> bytes:
    data = json.dumps(row, allow_nan=False, separators=(",", ":"))
    return f"id: {row['event_id']}\nevent: {row['event']}\ndata: {data}\n\n".encode()
