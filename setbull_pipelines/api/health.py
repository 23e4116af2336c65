"""Whether the server is up, and whether it can answer from its tables."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from setbull_pipelines import tables
from setbull_pipelines.api.asking import ERRORS, Tables, answered, refused
from setbull_pipelines.api.shapes import Envelope, Health
from setbull_pipelines.pipeline.opening import now
from setbull_pipelines.pipeline.serving import served_table

router = APIRouter(tags=["health"])
_NOW = {"Cache-Control": "no-store"}


@router.get("/health", response_model=Envelope[Health], responses=ERRORS)
def health() -> JSONResponse:
    """Up, as long as it answers at all; no table is looked at."""
    return _up()


@router.get("/ready", response_model=Envelope[Health], responses=ERRORS)
def ready(reader: Tables) -> JSONResponse:
    """Up when the settings are valid and the last served day can be read; else 503 with what is missing."""
    days = reader.days(served_table(tables.FILTER_RESULTS))
    if not days:
        raise refused("nothing is served yet; run: setbull run", 503)
    reader.served(tables.FILTER_RESULTS, days[-1:])
    return _up()


def _up() -> JSONResponse:
    moment = now().isoformat(timespec="seconds")
    return answered({"status": "UP", "time": moment}, headers=_NOW)
