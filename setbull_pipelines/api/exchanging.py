"""What HTTP gives every answer: its headers alone (HEAD), and a tag so that what a client has is not sent again.

Belongs here: what is the same for all paths and depends on no content. Does not belong here: who may ask (``gate.py``),
compressing, which is Starlette's.
"""

from __future__ import annotations

from hashlib import blake2b

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_OF_CONTENT = ("content-type", "content-length", "content-encoding")
"""Headers that an answer without content does not have."""


class HeadersAlone:
    """Answers HEAD as GET is answered, without the body."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return
        with anyio.CancelScope() as until_known:

            async def send_headers(message: Message) -> None:
                if message["type"] == "http.response.body":
                    await send({"type": "http.response.body", "body": b""})
                    # An answer that goes on for ever has said all that was asked for.
                    until_known.cancel()
                else:
                    await send(message)

            await self.app({**scope, "method": "GET"}, receive, send_headers)


class Tagged:
    """Gives an ETag to every answer to GET that is sent at once, and answers 304 where the client has that tag.

    The tag is weak: it is that of the content, compressed or not. What says ``Cache-Control: no-store`` has none.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self.app(scope, receive, send)
            return
        known = _tags(Headers(scope=scope).get("if-none-match", ""))
        begun: Message | None = None

        async def send_tagged(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start" and message["status"] == 200:
                begun = message
                return
            if begun is None:
                await send(message)
                return
            start, begun = begun, None
            headers = MutableHeaders(raw=start["headers"])
            is_whole = message["type"] == "http.response.body" and not message.get("more_body")
            if is_whole and "no-store" not in headers.get("cache-control", ""):
                tag = f'"{blake2b(message.get("body", b""), digest_size=16).hexdigest()}"'
                headers["ETag"] = f"W/{tag}"
                headers.setdefault("Cache-Control", "no-cache")
                if tag in known or "*" in known:
                    headers.add_vary_header("Accept-Encoding")
                    start["status"], message = 304, {"type": "http.response.body", "body": b""}
                    for name in _OF_CONTENT:
                        del headers[name]
            await send(start)
            await send(message)

        await self.app(scope, receive, send_tagged)


def _tags(header: str) -> set[str]:
    """The tags of ``If-None-Match``, weak or not: what is compared is what they name."""
    return {tag.strip().removeprefix("W/") for tag in header.split(",")} - {""}
