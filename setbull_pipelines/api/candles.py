"""Candles of one instrument, in one timeframe or in several."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import JSONResponse

from setbull_pipelines.api.asking import (
    ERRORS,
    WITH_BODY,
    Paging,
    Tables,
    answered,
    require_known,
)
from setbull_pipelines.api.shapes import (
    Candles,
    Envelope,
    InstrumentKey,
    Moment,
    MultiBody,
    MultiCandles,
    Timeframe,
)
from setbull_pipelines.pipeline.shown import plain

router = APIRouter(prefix="/candles", tags=["candles"])
Key = Annotated[
    InstrumentKey,
    Path(description="Instrument key, with | sent as %7C", examples=["NSE_EQ|INE002A01018"]),
]


@router.get(
    "/{instrument_key}/{timeframe}",
    response_model=Envelope[Candles],
    responses=ERRORS,
)
def candles(
    instrument_key: Key,
    timeframe: Timeframe,
    reader: Tables,
    page: Paging,
    start: Moment | None = None,
    end: Moment | None = None,
) -> JSONResponse:
    """Bars that begin from start to end, oldest first. Bars that are stored have their indicators; 1minute bars none.

    Without an end to the last stored session, without a start 7 calendar days before it (day 30, week 182, month 365).
    """
    rows = reader.bars([instrument_key], timeframe, start, end)
    if rows.empty:
        require_known(reader, [instrument_key])
    bars, headers = page.of(plain(rows))
    return answered({"status": "success", "data": bars}, headers=headers)


@router.post(
    "/{instrument_key}/multi",
    response_model=Envelope[MultiCandles],
    responses=WITH_BODY,
)
def multi(instrument_key: Key, body: MultiBody, reader: Tables) -> JSONResponse:
    """The same for several timeframes."""
    bars = {
        timeframe: plain(reader.bars([instrument_key], timeframe, body.start, body.end))
        for timeframe in body.timeframes
    }
    if not any(bars.values()):
        require_known(reader, [instrument_key])
    return answered({"status": "success", "data": bars})
