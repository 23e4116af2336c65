"""Closed bars of the session under way, sent as they are served: server-sent events.

Belongs here: the path, the connections and their limits. Does not belong here: which events there are
(``pipeline/candle_events.py``), looking for them (``feed.py``).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Collection
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import Message, Receive, Scope, Send

from setbull_pipelines.api.asking import ERRORS, LiveTables, refused
from setbull_pipelines.api.feed import Feed
from setbull_pipelines.api.reading import Reader
from setbull_pipelines.api.shapes import MOST_INSTRUMENTS, Error
from setbull_pipelines.errors import SetbullError
from setbull_pipelines.pipeline.candle_events import kept_after
from setbull_pipelines.pipeline.instruments import keys_with_symbol, several

router = APIRouter(prefix="/stream", tags=["stream"])
logger = logging.getLogger(__name__)

MOST_STREAMS = 100
"""Open streams; of the connections that the server has, so many are left for requests."""
HEARTBEAT_SECONDS = 15.0
PATIENCE_SECONDS = 30.0
"""A reader that takes longer to take what it is sent is cut off, and goes on where it was when it comes back."""
_RETRY_MILLISECONDS = 2_000
_RESPONSES: dict[int | str, dict[str, Any]] = ERRORS | {
    200: {
        "description": "Events without an end: candle, revision, removal",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    },
    410: {"model": Error, "description": "What was asked for is not kept any more"},
}
Number = Annotated[int, Query(ge=0, le=2**53)]


class _Stream(StreamingResponse):
    """A stream that counts as a reader as long as it is open, and ends when the reader does not read."""

    media_type = "text/event-stream"

    def __init__(self, messages: AsyncIterator[bytes], feed: Feed) -> None:
        # Nothing between may keep events back, to compress them for instance.
        headers = {"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"}
        super().__init__(messages, headers=headers)
        self._feed = feed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._feed.readers >= MOST_STREAMS:
            raise refused(f"{MOST_STREAMS} streams are open, which is the most; try again", 503)

        async def patient(message: Message) -> None:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await send(message)

        self._feed.readers += 1
        try:
            await super().__call__(scope, receive, patient)
        except TimeoutError:
            logger.warning("a reader of the stream was cut off, since it does not read")
        finally:
            self._feed.readers -= 1


@router.get("/candles", response_class=StreamingResponse, responses=_RESPONSES)
async def candles(
    request: Request,
    reader: LiveTables,
    keys: Annotated[
        str | None,
        Query(description="Instrument keys or symbols with commas between them; all when left out"),
    ] = None,
    after: Annotated[
        Number | None, Query(description="Number of the last event that is known; 0: all")
    ] = None,
    last_event_id: Annotated[
        str | None, Header(description="The same, as browsers send it; counts more than after")
    ] = None,
) -> _Stream:
    """Every closed 5-minute bar once, with indicators and band width, in order; then what is corrected.

    Begins after the event that was named, without one with the next event.
    """
    feed: Feed = request.app.state.feed
    wanted = await run_in_threadpool(_instruments, keys, reader) if keys is not None else None
    number = _named(after, last_event_id)
    newest = await feed.newest()
    if number is None:
        number = newest
    elif number > newest:
        raise refused(
            f"after: found {number}, expected at most {newest}, the number of the last event"
        )
    elif (kept := await run_in_threadpool(kept_after, feed.warehouse)) > number:
        raise refused(
            f"after: found {number}, expected {kept} or more: earlier events are not kept any more; read the candles, "
            f"and go on after {kept}",
            410,
        )
    return _Stream(_messages(feed, number, wanted), feed)


def _named(after: int | None, last_event_id: str | None) -> int | None:
    if not last_event_id:
        return after
    # No other texts are numbers, such as those of other scripts.
    if not (last_event_id.isascii() and last_event_id.isdecimal()) or len(last_event_id) > 16:
        raise refused(
            f"header Last-Event-ID: found {last_event_id[:50]!r}, expected the number of an event"
        )
    return int(last_event_id)


def _instruments(keys: str, reader: Reader) -> set[str]:
    names = {name for text in keys.split(",") if (name := text.strip())}
    if not 1 <= len(names) <= MOST_INSTRUMENTS:
        raise refused(f"keys: found {len(names)}, expected 1 to {MOST_INSTRUMENTS}")
    instruments = reader.instruments().reset_index()
    known = set(instruments["instrument_key"])
    found = {
        name: [name] if name in known else keys_with_symbol(name, instruments) for name in names
    }
    for name, named in sorted(found.items()):
        if not named:
            raise refused(
                f"keys: found {name[:50]!r}, expected keys or symbols of known instruments"
            )
        if len(named) > 1:
            raise refused(f"keys: {several(name, named)}")
    return {key for named in found.values() for key in named}


async def _messages(
    feed: Feed, number: int, wanted: Collection[str] | None
) -> AsyncIterator[bytes]:
    """Where the reader is, then events; where it is again when there were none for a while."""
    yield f"retry: {_RETRY_MILLISECONDS}\nid: {number}\n\n".encode()
    told_at = time.monotonic()
    try:
        while not feed.has_ended:
            page = await feed.after(number)
            text = b"".join(
                told.text for told in page if wanted is None or told.instrument_key in wanted
            )
            number = page[-1].number if page else number
            if not text and time.monotonic() - told_at >= HEARTBEAT_SECONDS:
                text = f": nothing new\nid: {number}\n\n".encode()
            if text:
                yield text
                told_at = time.monotonic()
            if not page:
                await feed.pause()
    except SetbullError as error:
        # The status was sent long ago. A reader that comes back gets the error.
        logger.warning("a stream ended: %s", error)
