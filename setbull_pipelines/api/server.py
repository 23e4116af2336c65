"""The application and the server that runs it.

Belongs here: putting the routers together, the shape of errors, who may listen where. Does not belong here: paths.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from fastapi import FastAPI, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware

from setbull_pipelines.api import (
    bands,
    candles,
    filters,
    groups,
    health,
    history,
    market,
    pages,
    reference,
    stream,
)
from setbull_pipelines.api.examples import ANSWERS
from setbull_pipelines.api.exchanging import HeadersAlone, Tagged
from setbull_pipelines.api.feed import Feed
from setbull_pipelines.api.gate import Gate, error_answer, is_loopback
from setbull_pipelines.api.jobs import NoDagster
from setbull_pipelines.api.pace import Pace
from setbull_pipelines.api.patience import Server, limited
from setbull_pipelines.api.reading import InvalidRange, Reader
from setbull_pipelines.errors import SetbullError
from setbull_pipelines.pipeline.longer_bars import BarsOfAnotherLength
from setbull_pipelines.pipeline.opening import open_warehouse
from setbull_pipelines.settings import InvalidSettings, Settings, load_settings
from setbull_pipelines.warehouse.errors import (
    ContractViolation,
    DamagedPartition,
    MissingPartition,
    StoreUnavailable,
)

PREFIX = "/api/v1"
_WORTH_COMPRESSING = 1024
"""Bytes of an answer from which on it is compressed for clients that take gzip."""
_UNUSABLE = (
    BarsOfAnotherLength,
    ContractViolation,
    DamagedPartition,
    InvalidSettings,
    MissingPartition,
    NoDagster,
    StoreUnavailable,
)
"""What the tables, the settings or Dagster cannot give now: 503."""
_REPLACED = ("HTTPValidationError", "ValidationError")
"""FastAPI's own shapes of errors, which ours replace."""


class NotAllowed(SetbullError, ValueError):
    """An address that may not be listened on without a token."""


def create_app(settings: Callable[[], Settings], token: str | None = None) -> FastAPI:
    """The application over the data folder of ``settings``, which are asked for anew with every request."""
    app = FastAPI(
        title="setbull_pipelines",
        version="1",
        description="Read-only: candles, indicators, filter results and plans as they are served. No order is placed.",
        # Their pages would load scripts of another site; reference.py has one of our own.
        docs_url=None,
        redoc_url=None,
        dependencies=[Security(HTTPBearer(auto_error=False))] if token else [],
    )
    app.state.reader = Reader(settings, open_warehouse(settings()))
    app.state.feed = Feed(app.state.reader.warehouse)
    for family in (candles, filters, groups, history, market, bands, health, stream):
        app.include_router(family.router, prefix=PREFIX)
    for family in (pages, reference):
        app.include_router(family.router)
    # The last one sees a request first, and an answer last.
    app.add_middleware(Tagged)
    app.add_middleware(GZipMiddleware, minimum_size=_WORTH_COMPRESSING, compresslevel=5)
    app.add_middleware(HeadersAlone)
    app.add_middleware(Gate, token=token)
    app.add_middleware(Pace, requests_per_second=settings().api.requests_per_second)
    # Starlette calls a handler with the class that it was added for, and its types say any exception.
    app.add_exception_handler(HTTPException, _stated)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, _invalid)  # type: ignore[arg-type]
    app.add_exception_handler(Exception, _unexpected)
    for kind in _UNUSABLE:
        app.add_exception_handler(kind, _unusable)
    app.add_exception_handler(InvalidRange, _refused)  # type: ignore[arg-type]
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]  # FastAPI's own way
    return app


def serve(
    settings: Settings, host: str, port: int, environment: Mapping[str, str] = os.environ
) -> None:
    """Listen until interrupted. NotAllowed for an address beyond this machine without a token."""
    token = environment.get(settings.api.token_variable) or None
    if token is None and not is_loopback(host):
        raise NotAllowed(
            f"--host: found {host}, expected an address of this machine: others are answered only with a token in "
            f"{settings.api.token_variable}"
        )
    app = create_app(load_settings, token)
    Server(limited(app, host, port), app.state.feed.end).run()


async def _stated(request: Request, error: HTTPException) -> JSONResponse:
    return error_answer(error.status_code, str(error.detail), error.headers)


async def _refused(request: Request, error: InvalidRange) -> JSONResponse:
    return error_answer(400, str(error))


async def _unusable(request: Request, error: Exception) -> JSONResponse:
    return error_answer(503, str(error))


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    return error_answer(500, "internal error; the log of setbull api says more")


async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
    """The first fault of the request in one sentence: where, and what was expected."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return error_answer(400, f"{where}: {first['msg'].removeprefix('Value error, ')}")


def _document(app: FastAPI) -> dict[str, object]:
    """The OpenAPI document, in which wrong input gets 400 as it does."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        for operations in document["paths"].values():
            for operation in operations.values():
                operation["responses"].pop("422", None)
        for (verb, path), answer in ANSWERS.items():
            told = document["paths"][PREFIX + path][verb]["responses"]["200"]
            told["content"]["application/json"]["example"] = answer
        for name in _REPLACED:
            document["components"]["schemas"].pop(name, None)
        app.openapi_schema = document
    return app.openapi_schema
