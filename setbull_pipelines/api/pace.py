"""How often one client is answered: requests a second of an address, with ten seconds' worth at once.

Belongs here: counting requests, refusing those beyond. Does not belong here: tokens and bodies (``gate.py``),
connections (``patience.py``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from time import monotonic

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from setbull_pipelines.api.gate import error_answer

SECONDS_AT_ONCE = 10.0
"""A client that has asked nothing for a while may ask so many seconds' worth at once: a loop over all instruments."""
MOST_CLIENTS = 1_000
"""Addresses that are remembered."""


class Allowances:
    """What each client may still ask, as a bucket that fills up again.

    Of each client one moment is kept: when its bucket will be full. ``clock`` counts seconds from any moment.
    """

    def __init__(self, requests_per_second: float, clock: Callable[[], float]) -> None:
        self._seconds_each, self._clock = 1 / requests_per_second, clock
        self._full_at: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._full_at)

    def wait_of(self, client: str) -> float:
        """0 and one request less for the client, or the seconds after which it may ask again."""
        now = self._clock()
        full_at = max(self._full_at.get(client, now), now) + self._seconds_each
        if (wait := full_at - now - SECONDS_AT_ONCE) > 0:
            return wait
        self._full_at[client] = full_at
        if len(self._full_at) > MOST_CLIENTS:
            self._forget(now)
        return 0.0

    def _forget(self, now: float) -> None:
        """Keep the half of the clients that have least left, without those whose bucket is full by now."""
        latest = sorted(self._full_at.items(), key=lambda item: item[1])[-MOST_CLIENTS // 2 :]
        self._full_at = {client: full_at for client, full_at in latest if full_at > now}


class Pace:
    """Answers 429 to a client that asks too often, before anything else is looked at: wrong tokens count."""

    def __init__(self, app: ASGIApp, requests_per_second: float) -> None:
        self.app, self._limit = app, requests_per_second
        self._allowances = Allowances(requests_per_second, monotonic)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            address = (scope.get("client") or ("an unknown address",))[0]
            if wait := self._allowances.wait_of(address):
                await self._refusal(address, math.ceil(wait))(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _refusal(self, address: str, seconds: int) -> JSONResponse:
        sentence = (
            f"found more requests from {address} than api.requests_per_second = {self._limit} allows; "
            f"ask again in {seconds} s, and for several instruments in one request"
        )
        return error_answer(429, sentence, {"Retry-After": str(seconds)})
