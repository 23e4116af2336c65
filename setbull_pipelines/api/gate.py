"""Who may ask: the token, pages of other origins, and the size of a body, before anything is read.

Belongs here: refusing requests. Does not belong here: answering them.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

LARGEST_BODY = 64 * 1024
"""Bytes of a body; 200 instrument keys need a tenth of it."""


def is_loopback(host: str) -> bool:
    """Whether a host name or address is that of this machine alone."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


class Gate:
    """Lets through what may be answered. Without a token only requests that name this machine are."""

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self.app, self._token = app, token.encode() if token else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (refusal := self._refusal(scope, Headers(scope=scope))):
            await refusal(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _refusal(self, scope: Scope, headers: Headers) -> JSONResponse | None:
        host = headers.get("host", "")
        if self._token is not None:
            given = headers.get("authorization", "")
            # Compared as bytes, in a time that does not depend on where they differ.
            if not hmac.compare_digest(given.encode("latin-1"), b"Bearer " + self._token):
                challenge = {"WWW-Authenticate": "Bearer"}
                return error_answer(
                    401, "expected the header Authorization: Bearer TOKEN", challenge
                )
        elif not is_loopback(_parts(f"//{host}").hostname or ""):
            # A page of another name that resolves to this machine would otherwise be answered.
            return error_answer(400, "header Host: expected a name of this machine")
        origin = headers.get("origin")
        if origin is not None and _parts(origin).netloc != host:
            return error_answer(403, "header Origin: found another site, expected none")
        if scope["method"] in ("GET", "HEAD"):
            return None
        if "transfer-encoding" in headers:
            return error_answer(411, "expected a body with Content-Length")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > LARGEST_BODY:
            return error_answer(413, f"Content-Length: expected at most {LARGEST_BODY} bytes")
        return None


def _parts(url: str) -> SplitResult:
    """The parts of an address, none of one that is no address."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def error_answer(
    status: int, sentence: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """What every refusal looks like."""
    return JSONResponse({"success": False, "error": sentence}, status, headers)
