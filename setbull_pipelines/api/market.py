"""Quotes of many instruments, from stored bars: the last session so far, and the newest bar with its indicators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import pandas as pd
from fastapi import APIRouter, Header
from fastapi.responses import JSONResponse

from setbull_pipelines import tables
from setbull_pipelines.api.asking import (
    WITH_BODY,
    Tables,
    answered,
    key_with_symbol,
    not_an_instrument,
)
from setbull_pipelines.api.reading import Reader
from setbull_pipelines.api.shapes import (
    Envelope,
    IntradayBody,
    IntradayQuotes,
    MarketBody,
    Quotes,
)
from setbull_pipelines.pipeline.instruments import NoSuchInstrument
from setbull_pipelines.pipeline.opening import now
from setbull_pipelines.pipeline.serving import served_table
from setbull_pipelines.pipeline.shown import plain

router = APIRouter(prefix="/market", tags=["market"], responses=WITH_BODY)
User = Annotated[str, Header(alias="X-User-Id", min_length=1, description="Who asks; not checked")]
_QUOTED = ("open", "high", "low", "close", "bb_width", "lowest_bb_width")


@router.post("/quotes", response_model=Envelope[Quotes])
def quotes(body: MarketBody, user: User, reader: Tables) -> JSONResponse:
    """Open, high, low and newest close of the last stored session, and the width of its newest bands."""
    asked, errors = _asked(body, reader)
    days = reader.days(served_table(tables.CANDLES_5MIN))
    found: dict[str, dict[str, object]] = {}
    if days and asked:
        bars = reader.served(tables.CANDLES_5MIN, days[-1:], set(asked.values()))
        sessions = bars.groupby("instrument_key").agg(
            open=("open", "first"), high=("high", "max"), low=("low", "min")
        )
        _, newest = reader.newest_bars(set(asked.values()), "5minute")
        columns = ["close", "bb_width", "lowest_bb_width"]
        of_key = sessions.join(newest.set_index("instrument_key")[columns])
        rows = dict(zip(of_key.index, plain(of_key[list(_QUOTED)]), strict=True))
        found = {name: rows[key] for name, key in asked.items() if key in rows}
    return _answer(asked, found, errors, days[-1] if days else None, reader)


@router.post("/intraday-quotes", response_model=Envelope[IntradayQuotes])
def intraday_quotes(body: IntradayBody, user: User, reader: Tables) -> JSONResponse:
    """The newest stored bar of each instrument with its indicators."""
    asked = {key: key for key in body.instrumentKeys}
    day, rows = reader.newest_bars(set(asked), body.interval) if asked else (None, pd.DataFrame())
    found = {str(row["instrument_key"]): row for row in plain(rows)} if asked else {}
    return _answer(asked, found, {}, day, reader)


def _asked(body: MarketBody, reader: Reader) -> tuple[dict[str, str], dict[str, str]]:
    """The instrument key of every name that was asked for, and the sentence of every other one."""
    if body.keyType == "instrument_key":
        return {key: key for key in body.instrumentKeys}, {}
    if not body.symbols:
        return {}, {}
    instruments = reader.instruments().reset_index()
    keys: dict[str, str] = {}
    errors: dict[str, str] = {}
    for symbol in body.symbols:
        try:
            keys[symbol] = key_with_symbol(symbol, instruments)
        except NoSuchInstrument as error:
            errors[symbol] = str(error)
    return keys, errors


def _answer(
    asked: Mapping[str, str],
    found: Mapping[str, Any],
    errors: Mapping[str, str],
    day: object,
    reader: Reader,
) -> JSONResponse:
    """Always 200: what is missing is named in the answer. No names at all are a success."""
    missing = [name for name in asked if name not in found]
    unknown = set(reader.unknown([asked[name] for name in missing])) if day else set()
    errors = dict(errors)
    for name in missing:
        if asked[name] in unknown:
            errors[name] = not_an_instrument(name)
        else:
            errors[name] = f"no bar of {name} on {day}" if day else "no bars are stored"
    status = "success" if not errors else "partial" if found else "error"
    return answered(
        {"status": status, "timestamp": now().isoformat(), "data": dict(found), "errors": errors}
    )
