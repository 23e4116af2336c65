"""How long the server waits for a request, how many it answers at a time, and what it ends first.

Belongs here: limits of connections, the end of the server. Does not belong here: what may be asked (``gate.py``).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_SECONDS = 10.0
"""From the first byte of a request, or from the connection, until all of it has to be there."""
LARGEST_CROWD = 200
"""Connections at a time; those beyond are answered with 503."""


class ImpatientProtocol(H11Protocol):
    """HTTP/1.1 that closes a connection on which no whole request arrives in time.

    uvicorn waits for ever: some hundred connections that send half a request would use up the files of the process.
    """

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take in what arrived, and wait on while that is not all."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, error: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().connection_lost(error)

    def _watch(self) -> None:
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._stop_waiting()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(REQUEST_SECONDS, self._give_up)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.close()


class Server(uvicorn.Server):
    """A server that says when it ends: it would wait for answers that have no end."""

    def __init__(self, config: uvicorn.Config, says_end: Callable[[], None]) -> None:
        super().__init__(config)
        self._says_end = says_end

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End answers, then the server."""
        self._says_end()
        await super().shutdown(sockets)


def limited(
    app: ASGIApp, host: str = "127.0.0.1", port: int = 0, log: str = "info"
) -> uvicorn.Config:
    """How ``app`` is served on an address, with these limits."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level=log,
        http=ImpatientProtocol,
        limit_concurrency=LARGEST_CROWD,
    )
