"""A real HTTP server that speaks the candle API, with the shapes of recorded answers.

Belongs here: the server and the candles it invents. Does not belong here: assertions.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import pandas as pd

from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.tables import INSTRUMENTS

TOKEN = "eyJhbGciOiJIUzI1NiJ9.c2VjcmV0.T0KENabcdef0123"
INFY, TCS, SBIN = "NSE_EQ|INE009A01021", "NSE_EQ|INE467B01029", "NSE_EQ|INE062A01020"


@dataclass(frozen=True)
class Reply:
    """A scripted answer instead of candles."""

    status: int = 200
    body: bytes | str | dict = b""
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drips: bool = False
    cut: bool = False

    @property
    def payload(self) -> bytes:
        if isinstance(self.body, dict):
            return json.dumps(self.body).encode()
        return self.body.encode() if isinstance(self.body, str) else self.body


def listed(*keys: str) -> pd.DataFrame:
    """A list of instruments as its reader gives it; symbols are the last part of the keys."""
    columns = [name for name in INSTRUMENTS.column_names if name != "source"]
    records = [{"instrument_key": key, "symbol": key.partition("|")[2][-5:]} for key in keys]
    return pd.DataFrame(records, columns=columns)


def error_body(code: str, message: str) -> dict:
    """An error as the broker writes it: every field twice."""
    error = {"errorCode": code, "message": message, "error_code": code, "property_path": None}
    return {"status": "error", "errors": [error]}


def candle_body(rows: list[list]) -> dict:
    return {"status": "success", "data": {"candles": rows}}


def minute_rows(key: str, day: date, minutes: int = 3) -> list[list]:
    """The first minutes of a session, oldest first; prices depend on key and day."""
    price = 100.0 + sum(map(ord, key)) % 50 + day.day
    return [
        [
            f"{day}T09:{15 + n}:00+05:30",
            price + n,
            price + n + 1,
            price + n - 1,
            price + n,
            10 + n,
            0,
        ]
        for n in range(minutes)
    ]


def daily_rows(key: str, day: date) -> list[list]:
    rows = minute_rows(key, day)
    high, low = max(row[2] for row in rows), min(row[3] for row in rows)
    volume = sum(row[5] for row in rows)
    return [[f"{day}T00:00:00+05:30", rows[0][1], high, low, rows[-1][4], volume, 0]]


@dataclass
class Broker:
    """What the server was asked, and how it answers.

    Without a script for the key it invents candles of every session asked for, newest first; of ``today`` only to
    the question about the running day, until ``history_has_today``.
    """

    port: int
    today: date = date(2026, 11, 20)
    history_has_today: bool = False
    scripts: dict[str, list[Reply]] = field(default_factory=dict)
    files: dict[str, Reply] = field(default_factory=dict)
    """By path: what is served besides the API."""
    paths: list[str] = field(default_factory=list)
    authorizations: set[str | None] = field(default_factory=set)
    hold_after: int | None = None
    """From this number of requests on, requests are not answered until :attr:`released` is set."""
    released: threading.Event = field(default_factory=threading.Event)
    under_way: int = 0
    most_at_once: int = 0
    answered: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def reply_to(self, path: str) -> Reply:
        if path in self.files:
            return self.files[path]
        parts = path.strip("/").split("/")
        running = parts[2] == "intraday"
        key = unquote(parts[3] if running else parts[2])
        if script := self.scripts.get(key):
            return script.pop(0)
        what = parts[4:] if running else parts[3:]
        daily = what[0].startswith("day")
        if running:
            days = [self.today]
        else:
            last, first = (date.fromisoformat(part) for part in what[-2:])
            days = [
                first + timedelta(days=n)
                for n in range((last - first).days + 1)
                if NSE.is_trading_day(first + timedelta(days=n))
            ]
            days = [d for d in days if d < self.today + timedelta(days=self.history_has_today)]
        rows = [
            row
            for day in reversed(days)
            for row in (daily_rows(key, day) if daily else minute_rows(key, day)[::-1])
        ]
        return Reply(body=candle_body(rows))


class _Server(ThreadingHTTPServer):
    """Says nothing of clients that are gone, which tests kill: CPython 3.11 reads source to print a traceback, and two
    threads that do so at once, this and pytest's, end with a SystemError."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def broker() -> Iterator[Broker]:
    """The server in a thread, on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            with state.lock:
                state.paths.append(self.path)
                state.authorizations.add(self.headers.get("Authorization"))
                held = state.hold_after is not None and len(state.paths) > state.hold_after
                reply = None if held else state.reply_to(self.path)
                state.under_way += 1
                state.most_at_once = max(state.most_at_once, state.under_way)
            try:
                if reply is None:
                    state.released.wait(60)
                    self.close_connection = True
                    return
                self._send(reply)
            except OSError:
                pass  # the client gave up waiting
            finally:
                with state.lock:
                    state.under_way -= 1

        def _send(self, reply: Reply) -> None:
            time.sleep(reply.delay)
            payload = reply.payload
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload) + (10 if reply.cut else 0)))
            self.end_headers()
            if reply.drips:
                for byte in payload:
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                    time.sleep(0.05)
            else:
                self.wfile.write(payload)
            if reply.cut:
                self.wfile.flush()
                self.close_connection = True
            state.answered.append(self.path)

        def log_message(self, *arguments: object) -> None:
            pass

    server = _Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state = Broker(server.server_port)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
