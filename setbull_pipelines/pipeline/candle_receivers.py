"""Sending live bars to receivers: webhooks, and a function of the user's own.

Belongs here: how far each receiver is, what it is sent next, one attempt. Does not belong here: which events there are
(``candle_events``), readers that ask themselves (``api/stream.py``), Dagster, a clock.

A receiver gets the events in the order of their numbers. What it did not accept is sent again, the wait twice as long
every time, and what follows waits. It can get events twice, after a crash or an answer that was lost, and knows them by
their numbers. Its place is moved before it is sent anything further, and reserved while it is sent something: who looks
meanwhile leaves it alone. A new receiver begins with the newest session.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from setbull_pipelines import disk, tables
from setbull_pipelines.alerts.outbox import wait_after
from setbull_pipelines.pipeline import candle_events
from setbull_pipelines.pipeline.channels import quiet
from setbull_pipelines.pipeline.shown import plain
from setbull_pipelines.pipeline.versions import code_version
from setbull_pipelines.secrets import without_secrets
from setbull_pipelines.settings import Settings, fingerprint
from setbull_pipelines.tables.contract import INDIA
from setbull_pipelines.warehouse.pointers import WHOLE, StoredTable
from setbull_pipelines.warehouse.store import Warehouse

logger = logging.getLogger(__name__)

RECEIVERS = StoredTable("operations", tables.CANDLE_RECEIVERS)
FUNCTION = "on_candle_close"
"""The receiver that is a function."""
EVENTS_AT_ONCE = 500
"""Most events of one message: some 400 KiB."""
SECONDS_AT_ONCE = 20.0
"""A receiver that is far behind gets no more in one round, so that others have their turn."""
_LONGEST_DOUBLING = 6
"""After so many failures the wait stays as it is: about an hour, with the default settings."""
Event = dict[str, Any]
Clock = Callable[[], datetime]
"""Gives the moment, with a zone."""


@dataclass(frozen=True)
class Receiver:
    """A row of ``operations.candle_receivers``."""

    receiver: str
    delivered_event: int
    attempts: int = 0
    next_attempt_at: datetime | None = None
    delivered_at: datetime | None = None
    last_error: str | None = None


@dataclass(frozen=True)
class Sent:
    """What one receiver got in one round; ``error`` says why it got no more."""

    receiver: str
    events: int
    error: str | None


def receivers_of(settings: Settings) -> tuple[str, ...]:
    """The names of all receivers of the settings."""
    own = settings.live
    return (*own.receivers, *((FUNCTION,) if own.on_candle_close else ()))


def receiving_code_version() -> str:
    """Code version of everything that says how far a receiver is."""
    return code_version("alerts/outbox.py", "tables", "pipeline/candle_receivers.py")


def read_receivers(warehouse: Warehouse) -> dict[str, Receiver]:
    """What is stored of receivers, by name; also of those that are not in the settings any more."""
    if warehouse.pointer(RECEIVERS, WHOLE) is None:
        return {}
    rows = warehouse.read(RECEIVERS, [WHOLE]).to_dict("records")
    return {row["receiver"]: _receiver(row) for row in rows}


def send_due(warehouse: Warehouse, settings: Settings, clock: Clock) -> list[Sent]:
    """Send every receiver what it lacks, unless it is to be left alone; a receiver that is down does not raise."""
    names = receivers_of(settings)
    if not names or not (last := candle_events.last_event(warehouse)):
        return []
    rounds = [_send_to(name, last, warehouse, settings, clock) for name in names]
    return [sent for sent in rounds if sent.events or sent.error]


def _send_to(name: str, last: int, warehouse: Warehouse, settings: Settings, clock: Clock) -> Sent:
    place = _reserved(name, last, warehouse, settings, clock)
    if place is None:
        return Sent(name, 0, None)
    count, error, until = 0, None, time.monotonic() + SECONDS_AT_ONCE
    while error is None and place.delivered_event < last and time.monotonic() < until:
        events = plain(candle_events.events_after(warehouse, place.delivered_event, EVENTS_AT_ONCE))
        accepted, error = _attempt(name, events, settings)
        if accepted:
            number = events[accepted - 1]["event_id"]
            place = replace(place, delivered_event=number, delivered_at=clock(), attempts=0)
            count += accepted
            _store(place, warehouse, settings)
    wait = wait_after(min(place.attempts, _LONGEST_DOUBLING), settings.alerts)
    ended = replace(
        place,
        attempts=place.attempts + 1 if error else 0,
        next_attempt_at=clock() + wait if error else None,
        last_error=error,
    )
    _store(ended, warehouse, settings)
    return Sent(name, count, error)


def _reserved(
    name: str, last: int, warehouse: Warehouse, settings: Settings, clock: Clock
) -> Receiver | None:
    """The place of a receiver that is due, to which nobody else sends until a round is over; else None."""
    with _writing(warehouse):
        now, places = clock(), read_receivers(warehouse)
        place = places.get(name) or Receiver(name, candle_events.before_newest(warehouse))
        if place.delivered_event >= last or (place.next_attempt_at or now) > now:
            return None
        if (kept := candle_events.kept_after(warehouse)) > place.delivered_event:
            logger.warning(
                "%s missed the events %s to %s, which are not kept any more",
                *(name, place.delivered_event + 1, kept),
            )
            place = replace(place, delivered_event=kept)
        until = now + timedelta(seconds=SECONDS_AT_ONCE + 2 * settings.alerts.timeout_seconds)
        place = replace(place, next_attempt_at=until)
        _publish({**places, name: place}, warehouse, settings)
    return place


def _attempt(name: str, events: Sequence[Event], settings: Settings) -> tuple[int, str | None]:
    """How many of the events, from the first on, were accepted, and why not more."""
    if name == FUNCTION:
        return _call(settings.live.on_candle_close, events)
    error = _post(name, events, settings.alerts.timeout_seconds)
    return (0 if error else len(events)), error


def _call(path: str, events: Sequence[Event]) -> tuple[int, str | None]:
    module, _, name = path.partition(":")
    accepted, until = 0, time.monotonic() + SECONDS_AT_ONCE
    try:
        function = getattr(import_module(module), name)
        for event in events:
            function(event)
            accepted += 1
            # Its place is not reserved for longer.
            if time.monotonic() > until:
                break
    except Exception as error:
        # What a user's function raises, and that it cannot be imported, may be anything.
        said = " ".join(f"{path} raised {type(error).__name__}: {error}".split())
        return accepted, without_secrets(said)
    return accepted, None


def _post(variable: str, events: Sequence[Event], timeout: float) -> str | None:
    url = os.environ.get(variable, "").strip()
    if not url.startswith(("https://", "http://")):
        return (
            f"environment variable {variable} does not hold an address that begins with https:// or http:// (not "
            "shown); put that of the receiver into it"
        )
    try:
        with quiet():
            status = asyncio.run(_status_of_post(url, {"events": list(events)}, timeout))
    except Exception as error:
        # A library may fail in any way; its words can hold the address.
        return f"no answer within {timeout:g} s ({type(error).__name__})"
    return None if 200 <= status < 300 else f"answered {status}, expected 200 to 299"


async def _status_of_post(url: str, body: object, timeout: float) -> int:
    """The status of the answer, which has to be there whole within ``timeout`` seconds."""
    import httpx

    async with asyncio.timeout(timeout), httpx.AsyncClient(timeout=timeout) as client:
        answer = await client.post(url, json=body)
        return answer.status_code


def _store(place: Receiver, warehouse: Warehouse, settings: Settings) -> None:
    with _writing(warehouse):
        _publish({**read_receivers(warehouse), place.receiver: place}, warehouse, settings)


@contextmanager
def _writing(warehouse: Warehouse) -> Iterator[None]:
    """Keep others out from reading how far receivers are to publishing it."""
    directory = warehouse.root.joinpath(*RECEIVERS.key)
    directory.mkdir(parents=True, exist_ok=True)
    with disk.writer_lock(directory):
        yield


def _publish(places: dict[str, Receiver], warehouse: Warehouse, settings: Settings) -> None:
    table = RECEIVERS.table
    rows = pd.DataFrame([_record(place) for place in places.values()], columns=table.column_names)
    warehouse.publish(
        RECEIVERS,
        WHOLE,
        table.conform(rows),
        code_version=receiving_code_version(),
        settings_hash=fingerprint(settings.live),
        inputs={},
        run_id="live",
    )


def _record(place: Receiver) -> dict[str, Any]:
    return {
        name: value.astimezone(ZoneInfo(INDIA)) if isinstance(value, datetime) else value
        for name, value in asdict(place).items()
    }


def _receiver(row: dict[str, Any]) -> Receiver:
    values = {name: None if pd.isna(value) else value for name, value in row.items()}
    return Receiver(
        **{
            name: value.to_pydatetime() if isinstance(value, pd.Timestamp) else value
            for name, value in values.items()
        }
    )
