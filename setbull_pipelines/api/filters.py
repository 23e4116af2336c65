"""The filter pipeline: running it for a day, and the stocks that passed on the last one."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import date
from typing import Annotated, Any

import numpy as np
import pandas as pd
from fastapi import APIRouter, Query
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from setbull_pipelines import tables
from setbull_pipelines.api.asking import (
    ERRORS,
    JOB_ERRORS,
    Tables,
    answered,
    has_ended,
    refused,
    run_job,
)
from setbull_pipelines.api.jobs import JobRun
from setbull_pipelines.api.reading import CANDLES_1MIN, Reader
from setbull_pipelines.api.shapes import (
    Envelope,
    FilteredStock,
    FilterRunAnswer,
    RunBody,
)
from setbull_pipelines.assets.common import PARTITION_TAG
from setbull_pipelines.automation.jobs import DAILY_JOB_NAME
from setbull_pipelines.market.calendar import NSE, OutsideCoverage
from setbull_pipelines.pipeline.opening import now
from setbull_pipelines.pipeline.serving import served_table
from setbull_pipelines.pipeline.shown import plain, rounded
from setbull_pipelines.tables.filters import PASSING_VERDICTS, RANK_ORDER, STAGES, VERDICT_BULLISH

router = APIRouter(prefix="/filter-pipeline", tags=["filter pipeline"])
_STOCK = {
    "symbol": "symbol",
    "name": "name",
    "isin": "isin",
    "exchangeToken": "exchange_token",
    "tickSize": "tick_size",
    "lotSize": "lot_size",
}


@router.post(
    "/run",
    response_model=Envelope[FilterRunAnswer],
    responses=JOB_ERRORS
    | {202: {"model": Envelope[FilterRunAnswer], "description": "Still running"}},
)
async def run(reader: Tables, body: RunBody | None = None) -> JSONResponse:
    """Start the job ``daily`` for a trading day and return its result, or the run's id where that takes longer."""
    body = body or RunBody()
    day = await run_in_threadpool(_runnable, body.day, reader)
    tags = {PARTITION_TAG: day.isoformat()}
    job = await run_job(reader, DAILY_JOB_NAME, tags, f"setbull run --from {day} --to {day}")
    is_over = has_ended(job)
    keys = set(body.instrumentKeys)
    return answered(
        {
            "status": "success" if is_over else "started",
            "run_id": job.run_id,
            "day": day.isoformat(),
            "data": await run_in_threadpool(_result, reader, day, keys, job) if is_over else None,
        },
        200 if is_over else 202,
    )


@router.get("/fetch/top-10", response_model=Envelope[list[FilteredStock] | None], responses=ERRORS)
def top_10(
    reader: Tables, limit: Annotated[int | None, Query(ge=1, le=5000)] = None
) -> JSONResponse:
    """The stocks that passed on the last stored day, by rank; all of them, in spite of the name, without ``limit``."""
    days = reader.days(served_table(tables.FILTER_RESULTS))
    rows = _ranked(reader.served(tables.FILTER_RESULTS, days[-1:])).head(limit or 5000)
    if rows.empty:
        return answered(None)
    named = rows.join(reader.instruments()[["symbol", "exchange_token"]], on="instrument_key")
    return answered([_filtered(row) for row in plain(named)])


def _runnable(day: date | None, reader: Reader) -> date:
    if day is None:
        stored = reader.days(CANDLES_1MIN)
        if not stored:
            raise refused("day: found none and nothing is stored, expected a trading day")
        return stored[-1]
    try:
        if not NSE.is_trading_day(day):
            raise refused(f"day: found {day}, expected a trading day")
    except OutsideCoverage as error:
        raise refused(f"day: {error}") from None
    if not NSE.has_closed(day, now()):
        raise refused(f"day: found {day}, expected a session that has closed")
    return day


def _ranked(results: pd.DataFrame) -> pd.DataFrame:
    """The results that passed, as they are listed everywhere."""
    passing = results[results["verdict"].isin(PASSING_VERDICTS)]
    return passing.sort_values(list(RANK_ORDER), ascending=list(RANK_ORDER.values()))


def _filtered(row: dict[str, Any]) -> dict[str, object]:
    return {
        "symbol": row["symbol"],
        "instrument_key": row["instrument_key"],
        "exchange_token": row["exchange_token"],
        "trend": row["trend"],
        "current_price": row["close"],
        "mamba_count": row["mamba_count"],
        "bullish_mamba_count": row["bullish_mamba_count"],
        "bearish_mamba_count": row["bearish_mamba_count"],
        "avg_mamba_move": _two_decimals(row["average_mamba_length"]),
        "avg_non_mamba_move": _two_decimals(row["average_non_mamba_length"]),
        "mamba_series": _list(row["mamba_series"]),
        "non_mamba_series": _list(row["non_mamba_series"]),
        "filter_date": f"{row['trading_day']}T00:00:00+05:30",
    }


def _result(reader: Reader, day: date, keys: Collection[str], run: JobRun) -> dict[str, object]:
    results = reader.served(tables.FILTER_RESULTS, [day], keys or None)
    passing = _ranked(results)
    chosen = set(passing["instrument_key"])
    analyses = reader.served(tables.SEQUENCE_ANALYSIS, [day], chosen)
    facts = {
        "analysis": _by_key(analyses),
        "candle": _by_key(reader.bars_of_day(chosen, day)),
        "stock": _by_key(reader.instruments().reset_index()),
    }
    stocks: dict[bool, list[dict[str, object]]] = {True: [], False: []}
    for row in plain(passing):
        is_bullish = row["verdict"] == VERDICT_BULLISH
        of_stock = {name: rows.get(row["instrument_key"]) for name, rows in facts.items()}
        stocks[is_bullish].append(_entry(row, is_bullish, **of_stock))
    passed = {f"{name}_filter_pass": int(results[f"{name}_passed"].sum()) for name in STAGES}
    return {
        "bullish_stocks": stocks[True] or None,
        "bearish_stocks": stocks[False] or None,
        "metrics": {
            "total_stocks": len(results),
            **passed,
            "bullish_stocks": len(stocks[True]),
            "bearish_stocks": len(stocks[False]),
            "processing_time_ms": run.milliseconds,
        },
    }


def _by_key(rows: pd.DataFrame) -> dict[str, dict[str, Any]]:
    return {row["instrument_key"]: row for row in plain(rows)}


def _entry(
    row: dict[str, Any],
    is_bullish: bool,
    analysis: dict[str, Any] | None,
    candle: dict[str, Any] | None,
    stock: dict[str, Any] | None,
) -> dict[str, object]:
    """One stock under the names of the replaced system. What is not known is null."""
    return {
        "Stock": {"instrumentKey": row["instrument_key"]}
        | {shown: (stock or {}).get(name) for shown, name in _STOCK.items()},
        "LastCandle": candle,
        "ClosePrice": row["close"],
        "DailyVolume": candle["volume"] if candle else None,
        "EMA50": _two_decimals(row["ema_50"]),
        "RSI14": _two_decimals(row["rsi"]),
        "IsBullish": is_bullish,
        "IsBearish": not is_bullish,
        "SequenceAnalysis": _analysis(analysis) if analysis else None,
        "FilterResults": {f"{name}_filter": row[f"{name}_passed"] for name in STAGES},
        "FilterReasons": {f"{name}_filter": row[f"{name}_reason"] for name in STAGES},
    }


def _analysis(row: dict[str, Any]) -> dict[str, object]:
    return {
        "Trend": {
            "Type": row["trend"],
            "AboveEMACount": row["days_above_ema"],
            "BelowEMACount": row["days_below_ema"],
            "TrendPercentage": _two_decimals(row["trend_percent"]),
            "StartDate": row["start_day"],
            "EndDate": row["end_day"],
        },
        "MambaSequences": _list(row["mamba_series"]),
        "NonMambaSequences": _list(row["non_mamba_series"]),
        "AverageMambaLen": _two_decimals(row["average_mamba_length"]),
        "AverageNonMambaLen": _two_decimals(row["average_non_mamba_length"]),
        "CurrentSequence": {"Type": row["current_kind"], "Length": row["current_length"]},
        "TotalMambaDays": row["mamba_days"],
        "TotalNonMambaDays": row["non_mamba_days"],
    }


def _list(text: str | None) -> list[int] | None:
    """A list of lengths; null for none and for an empty one, as it always was."""
    return json.loads(text) or None if text else None


def _two_decimals(value: float | None) -> float | None:
    return None if value is None else float(rounded(np.asarray(value), 2))
