"""Requests as bytes, and an API that answers them in the process that asks: what fuzzing changes, and what is promised.

Belongs here: seeds of the API, the way in (uvicorn's protocol without a socket), promises of every answer. Does not
belong here: changing bytes and counting (``sources/fuzzing.py``, ``benchmarks/reliability/fuzz.py``), the few trials of
the suite (``test_fuzzed_requests.py``).
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from unittest import mock

import anyio.to_thread
import h11
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from setbull_pipelines.api.patience import ImpatientProtocol, limited
from setbull_pipelines.api.server import create_app
from setbull_pipelines.settings import Settings
from setbull_pipelines_tests.api.running import keys_of, webserver, with_dagster
from setbull_pipelines_tests.patience import PATIENCE
from setbull_pipelines_tests.pipeline.small_run import SmallRun
from setbull_pipelines_tests.sources.fuzzed_readers import BrokenPromise, Reader

TOKEN = "fuzzed"
_PROMISED = {
    *(200, 206, 304, 307, 400, 401, 403, 404, 405, 410, 411, 413),
    *(426, 431),  # uvicorn's, of requests that are no HTTP
}
"""A folder is whole and Dagster answers: 500 and 503 have no reason."""
_NOT_COMPUTED = b"compute and publish it first"
"""Said of a session that a run was asked for: the stand-in of Dagster computes nothing and says that it did."""
_LONGEST_ERROR = 4096
_HOST = b"127.0.0.1:8000"


class Refused(Exception):
    """The API refused a request, as it should."""


class Broken(BrokenPromise):
    """An answer that no request may get."""


@dataclass
class _Wire(asyncio.Transport):
    """The other end of a connection: keeps what is sent."""

    sent: bytearray = field(default_factory=bytearray)
    is_closed: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    def write(self, data: Any) -> None:
        self.sent += data

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 8000)}.get(name, default)

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...


class Api:
    """The application behind uvicorn's protocol, without a socket and without other threads."""

    def __init__(self, settings: Settings, token: str | None = None) -> None:
        self._loop = asyncio.new_event_loop()
        self._raised: list[Exception] = []
        # Thousands of trials a second are no client of a market's data.
        unlimited = replace(settings, api=replace(settings.api, requests_per_second=10**9))
        self.app = create_app(lambda: unlimited, token)
        self._config: uvicorn.Config = limited(self._watched(self.app), log="critical")
        self._config.access_log = False
        self._config.load()

    def answer(self, request: bytes) -> bytes:
        """What is sent to ``request``, of a stream what comes first. An error of the program is raised."""
        if not request:
            return b""  # asyncio calls no protocol with nothing
        self._raised.clear()
        asyncio.set_event_loop(self._loop)
        sent = self._loop.run_until_complete(self._asked(request))
        if self._raised:
            raise self._raised[0]
        return sent

    def close(self) -> None:
        """End the loop."""
        self._loop.close()

    async def _asked(self, request: bytes) -> bytes:
        wire, state = _Wire(), ServerState()
        protocol = ImpatientProtocol(self._config, state, {}, self._loop)
        protocol.connection_made(wire)
        protocol.data_received(request)
        deadline = time.monotonic() + PATIENCE
        # A stream has no end, and half a request no answer.
        while state.tasks and b"text/event-stream" not in wire.sent:
            await asyncio.wait(state.tasks, timeout=0.01)
            if time.monotonic() > deadline:
                raise Broken(f"no answer within {PATIENCE:.0f} seconds")
            if protocol.conn.their_state is h11.SEND_BODY:
                break  # the rest of the body does not come
        protocol.connection_lost(None)
        while state.tasks:
            await asyncio.wait(state.tasks, timeout=0.5)
            if time.monotonic() > deadline:
                raise Broken("an answer goes on after its reader went away")
        return bytes(wire.sent)

    def _watched(self, app: ASGIApp) -> ASGIApp:
        async def watched(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await app(scope, receive, send)
            except Exception as error:
                self._raised.append(error)

        return watched


def judge(answers: bytes) -> int:
    """The status of the first of ``answers``, 0 where there is none. Broken where it is not one that is promised."""
    if not answers:
        return 0
    head, _, body = answers.partition(b"\r\n\r\n")
    found = re.match(rb"HTTP/1\.1 (\d{3}) ", head)
    if not found:
        raise Broken(f"no answer of HTTP: {head[:80]!r}")
    status = int(found[1])
    if status not in _PROMISED and _NOT_COMPUTED not in body:
        raise Broken(f"status {status}: {body[:200]!r}")
    headers = head.lower()
    if status >= 400 and b"application/json" in headers and b"content-encoding" not in headers:
        length = re.search(rb"content-length: (\d+)", headers)
        _judge_error(body[: int(length[1])] if length else body)
    return status


def _judge_error(body: bytes) -> None:
    if not body:
        return  # to HEAD
    told = json.loads(body)
    if set(told) != {"success", "error"} or told["success"] is not False:
        raise Broken(f"an error in other words: {body[:200]!r}")
    sentence = told["error"]
    if not sentence or len(body) > _LONGEST_ERROR or "Traceback" in sentence:
        raise Broken(f"{len(body)} bytes of an error: {body[:200]!r}")


def whole(short: bytes) -> bytes:
    """A request of its first line, headers and body: what it needs to be read is added where it does not say it."""
    head, _, body = short.partition(b"\n\n")
    first, *headers = head.split(b"\n")
    words = first.split(b" ")
    method, target = words[0] or b"GET", b"%20".join(words[1:]) or b"/"
    names = {header.partition(b":")[0].strip().lower() for header in headers}
    added = {b"host": _HOST, b"x-user-id": b"1"}
    if body or method not in (b"GET", b"HEAD"):
        added |= {b"content-type": b"application/json", b"content-length": b"%d" % len(body)}
    lines = [
        b"%s %s HTTP/1.1" % (method, target),
        *headers,
        *(b"%s: %s" % pair for pair in added.items() if pair[0] not in names),
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def seeds_of(key: str, symbol: str, day: str) -> Mapping[str, tuple[str, bytes]]:
    """One short request of every path, with the parameters, headers and bodies that it has."""
    api, name = "/api/v1", key.replace("|", "%7C")
    posts = {
        f"/candles/{name}/multi": {
            "timeframes": ["5minute", "week"],
            "start": f"{day}T09:15:00+05:30",
            "end": f"{day}T15:30:00+05:30",
        },
        "/filter-pipeline/run": {"instrumentKeys": [key], "day": day},
        "/groups/morning/execute": {},
        "/market/quotes": {"symbols": [symbol], "keyType": "symbol", "interval": "1minute"},
        "/market/quotes?": {"instrumentKeys": [key]},
        "/market/intraday-quotes": {"instrumentKeys": [key], "interval": "15minute"},
        "/historical-data/batch-store": {
            "instrumentKeys": [key],
            "interval": "day",
            "fromDate": day,
            "toDate": day,
        },
    }
    gets = (
        f"{api}/candles/{name}/5minute?start={day}T09:15:00%2B05:30&end={day}T15:30:00Z&limit=5&offset=2",
        f"{api}/candles/{name}/month",
        f"{api}/filter-pipeline/fetch/top-10",
        f"{api}/bbw/dashboard-data?limit=3&offset=1",
        f"{api}/bbw/latest-day-data",
        f"{api}/bbw/stocks?instrument_key={name}",
        f"{api}/bbw/stocks/{symbol}/history?days=7&instrument_key={name}",
        f"{api}/bbw/statistics",
        f"{api}/bbw/alerts/active?limit=1",
        f"{api}/bbw/alerts/history?alert_type=threshold&symbol={symbol}&offset=1000000",
        f"{api}/bbw/market-status",
        f"{api}/stream/candles?keys={symbol},{name}&after=0\nLast-Event-ID: 0",
        f'{api}/health\nIf-None-Match: W/"a", *\nAccept-Encoding: gzip',
        f"{api}/ready",
        "/openapi.json",
        "/docs",
        "/reports",
        "/reports/index.html",
        f"/reports/{day}",
        f"/reports/candles_daily-{day}.html",
        f"/divergence/candles_daily/{day}",
        f"/chart/{symbol}?from={day}&to={day}&timeframe=5minute",
    )
    found = {f"GET {path.partition('?')[0]}": f"GET {path}".encode() for path in gets}
    for path, body in posts.items():
        text = f"POST {api}{path}\nOrigin: http://127.0.0.1:8000\n\n{json.dumps(body)}"
        found[f"POST {path}"] = text.encode()
    for verb, path in (("DELETE", "alerts/history"), ("POST", "alerts/configure")):
        found[f"{verb} {path}"] = f"{verb} {api}/bbw/{path}".encode()
    return {what: ("request", short) for what, short in found.items()}


async def _in_this_thread(function: Callable[..., Any], *arguments: Any, **_: Any) -> Any:
    return function(*arguments)


@contextmanager
def fuzzed(run: SmallRun) -> Iterator[dict[str, Reader]]:
    """The ways into an API over ``run``, to be fuzzed: a request, the bytes of one, and one without the token."""
    key, day = keys_of(run)[0], run.days[-1].isoformat()
    with (
        webserver(run.settings.data_directory) as dagster,
        # Other threads would not be seen by what follows the lines that are reached.
        mock.patch.object(anyio.to_thread, "run_sync", _in_this_thread),
    ):
        settings = with_dagster(run.settings, dagster.url)
        open_api, closed_api = Api(settings), Api(settings, TOKEN)
        symbol = str(open_api.app.state.reader.instruments().loc[key, "symbol"])
        seeds = seeds_of(key, symbol, day)
        wires = {what: (name, whole(short)) for what, (name, short) in seeds.items()}

        def ask(name: str, content: bytes) -> None:
            dagster.launched.clear()
            if not 200 <= judge(open_api.answer(whole(content))) < 400:
                raise Refused

        def ask_on_the_wire(name: str, content: bytes) -> None:
            dagster.launched.clear()
            if not 200 <= judge(open_api.answer(content)) < 400:
                raise Refused

        def ask_without_token(name: str, content: bytes) -> None:
            if TOKEN.encode() in content:
                raise Refused
            status = judge(closed_api.answer(whole(content)))
            if status not in (0, 400, 401, 404, 426, 431):
                raise Broken(f"answered with {status} without a token")
            raise Refused

        try:
            yield {
                "API, requests": Reader(seeds, ask, (Refused,)),
                "API, bytes": Reader(wires, ask_on_the_wire, (Refused,)),
                "API, without the token": Reader(seeds, ask_without_token, (Refused,)),
            }
        finally:
            open_api.close()
            closed_api.close()
