"""Headers alone, tags and compression, around an application of three paths."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator

import httpx
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from setbull_pipelines.api.exchanging import HeadersAlone, Tagged

LONG = {"rows": list(range(2000))}


async def _long(request: Request) -> Response:
    return JSONResponse(LONG)


async def _now(request: Request) -> Response:
    return JSONResponse({}, headers={"Cache-Control": "no-store"})


async def _wrong(request: Request) -> Response:
    return JSONResponse({}, 404)


async def _for_ever(request: Request) -> Response:
    async def chunks() -> AsyncIterator[str]:
        while True:
            yield "data: x\n\n"
            if "once" in request.query_params:
                return
            await asyncio.sleep(0)

    return StreamingResponse(chunks(), media_type="text/event-stream")


APP = Starlette(
    routes=[
        Route("/long", _long, methods=["GET"]),
        Route("/now", _now, methods=["GET"]),
        Route("/wrong", _wrong, methods=["GET"]),
        Route("/stream", _for_ever, methods=["GET"]),
    ],
    middleware=[
        Middleware(HeadersAlone),
        Middleware(GZipMiddleware, minimum_size=1024),
        Middleware(Tagged),
    ],
)


def ask(method: str, path: str, **headers: str) -> httpx.Response:
    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(app=APP)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            request = client.build_request(method, path, headers={"Accept-Encoding": ""} | named)
            return await asyncio.wait_for(client.send(request), 10)

    return asyncio.run(asked())


def test_what_a_client_has_is_not_sent_again() -> None:
    first = ask("GET", "/long")
    tag = first.headers["etag"]
    assert first.json() == LONG
    assert tag.startswith('W/"')
    for known in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
        again = ask("GET", "/long", If_None_Match=known)
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
        assert again.headers["vary"] == "Accept-Encoding"
        assert "content-length" not in again.headers
        assert "content-type" not in again.headers
    assert ask("GET", "/long", If_None_Match='"other"').json() == LONG


def test_the_tag_is_of_what_is_told_whether_compressed_or_not() -> None:
    plain = ask("GET", "/long")
    packed = ask("GET", "/long", Accept_Encoding="gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    assert packed.json() == LONG == json.loads(gzip.decompress(gzip.compress(plain.content)))
    assert packed.headers["etag"] == plain.headers["etag"]
    tag = plain.headers["etag"]
    assert ask("GET", "/long", Accept_Encoding="gzip", If_None_Match=tag).status_code == 304


def test_what_is_of_this_moment_or_wrong_or_goes_on_has_no_tag() -> None:
    for path, status in (("/now", 200), ("/wrong", 404), ("/stream?once", 200)):
        answer = ask("GET", path, If_None_Match="*")
        assert answer.status_code == status
        assert "etag" not in answer.headers
    assert ask("GET", "/stream?once").text == "data: x\n\n"


def test_headers_alone_are_those_of_the_whole_answer() -> None:
    for path in ("/long", "/now", "/wrong"):
        for encoding in ("", "gzip"):
            whole = ask("GET", path, Accept_Encoding=encoding)
            alone = ask("HEAD", path, Accept_Encoding=encoding)
            assert alone.content == b""
            assert (alone.status_code, alone.headers) == (whole.status_code, whole.headers)
    tag = ask("GET", "/long").headers["etag"]
    assert ask("HEAD", "/long", If_None_Match=tag).status_code == 304


def test_headers_of_an_answer_without_end_come_at_once() -> None:
    answer = ask("HEAD", "/stream")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.content == b""
