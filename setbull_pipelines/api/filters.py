"""The filter pipeline: running it for a day, and the stocks that passed on the last one."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import Any

import pandas as pd
from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from setbull_pipelines import tables
from setbull_pipelines.api.analyses import analysis_of, numbers, two_decimals
from setbull_pipelines.api.asking import (
    ERRORS,
    JOB_ERRORS,
    LiveTables,
    Paging,
    Tables,
    answered,
    has_ended,
    refused,
    run_job,
)
from setbull_pipelines.api.jobs import JobRun
from setbull_pipelines.api.reading import Reader
from setbull_pipelines.api.shapes import (
    Envelope,
    FilteredStock,
    FilterRunAnswer,
    RunBody,
)
from setbull_pipelines.assets.common import DAILY_JOB_NAME, PARTITION_TAG
from setbull_pipelines.market.calendar import NSE, OutsideCoverage
from setbull_pipelines.pipeline.longer_bars import CANDLES_1MIN
from setbull_pipelines.pipeline.opening import now
from setbull_pipelines.pipeline.serving import served_table
from setbull_pipelines.pipeline.shown import plain
from setbull_pipelines.tables.filters import PASSING_VERDICTS, RANK_ORDER, STAGES, VERDICT_BULLISH

router = APIRouter(prefix="/filter-pipeline", tags=["filter pipeline"])
_STOCK = {
    "symbol": "symbol",
    "tradingSymbol": "symbol",
    "name": "name",
    "instrumentType": "series",
    "isin": "isin",
    "exchangeToken": "exchange_token",
    "tickSize": "tick_size",
    "lotSize": "lot_size",
}
_NOT_KEPT = ("id", "securityId", "isSelected", "createdAt")
"""What the replaced system had of a stock beyond the market: null."""


@router.post(
    "/run",
    response_model=Envelope[FilterRunAnswer],
    responses=JOB_ERRORS
    | {202: {"model": Envelope[FilterRunAnswer], "description": "Still running"}},
)
async def run(reader: LiveTables, body: RunBody | None = None) -> JSONResponse:
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
            "unknown": await run_in_threadpool(reader.unknown, body.instrumentKeys),
            "data": await run_in_threadpool(_result, reader, day, keys, job) if is_over else None,
        },
        200 if is_over else 202,
    )


@router.get(
    "/fetch/top-10",
    response_model=Envelope[list[FilteredStock] | None],
    responses=ERRORS,
)
def top_10(reader: Tables, page: Paging) -> JSONResponse:
    """The stocks that passed on the last stored day, by rank; all of them, in spite of the name, without ``limit``."""
    days = reader.days(served_table(tables.FILTER_RESULTS))
    rows = _ranked(reader.served(tables.FILTER_RESULTS, days[-1:]))
    if rows.empty:
        return answered(None)
    named = rows.join(reader.instruments()[["symbol", "exchange_token"]], on="instrument_key")
    updated_at = reader.published_at(tables.FILTER_RESULTS, days[-1])
    stocks, headers = page.of([_filtered(row, updated_at) for row in plain(named)])
    return answered(stocks, headers=headers)


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


def _filtered(row: dict[str, Any], updated_at: str | None) -> dict[str, object]:
    return {
        "id": None,
        "symbol": row["symbol"],
        "instrument_key": row["instrument_key"],
        "exchange_token": row["exchange_token"],
        "trend": row["trend"],
        "current_price": row["close"],
        "mamba_count": row["mamba_count"],
        "bullish_mamba_count": row["bullish_mamba_count"],
        "bearish_mamba_count": row["bearish_mamba_count"],
        "avg_mamba_move": two_decimals(row["average_mamba_length"]),
        "avg_non_mamba_move": two_decimals(row["average_non_mamba_length"]),
        "mamba_series": numbers(row["mamba_series"]),
        "non_mamba_series": numbers(row["non_mamba_series"]),
        "filter_date": f"{row['trading_day']}T00:00:00+05:30",
        "created_at": None,
        "updated_at": updated_at,
    }


def _result(reader: Reader, day: date, keys: Collection[str], run: JobRun) -> dict[str, object]:
    results = reader.served(tables.FILTER_RESULTS, [day], keys or None)
    passing = _ranked(results)
    chosen = set(passing["instrument_key"])
    analyses = reader.served(tables.SEQUENCE_ANALYSIS, [day], chosen)
    facts = {
        "analysis": _by_key(analyses),
        "candle": _by_key(reader.bars_of_day(chosen, day)),
        "minute": _by_key(reader.last_minutes(chosen, day)),
        "stock": _by_key(reader.instruments().reset_index()),
    }
    behind = {
        table.name: _all_by_key(reader.behind_analyses(table, day, chosen))
        for table in (tables.SEQUENCES, tables.MOVES_DAILY)
    }
    updated_at = reader.universe_published_at()
    stocks: dict[bool, list[dict[str, object]]] = {True: [], False: []}
    for row in plain(passing):
        is_bullish = row["verdict"] == VERDICT_BULLISH
        key = row["instrument_key"]
        of_stock = {name: rows.get(key) for name, rows in facts.items()}
        stock = _stock(key, of_stock["stock"], of_stock["minute"], updated_at)
        analysis = of_stock["analysis"] and analysis_of(
            of_stock["analysis"],
            stock,
            behind[tables.SEQUENCES.name].get(key, []),
            behind[tables.MOVES_DAILY.name].get(key, []),
        )
        entry = _entry(row, stock, of_stock["candle"], of_stock["minute"])
        stocks[is_bullish].append(entry | {"SequenceAnalysis": analysis})
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


def _all_by_key(rows: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in plain(rows):
        found.setdefault(row["instrument_key"], []).append(row)
    return found


def _stock(
    key: str, known: dict[str, Any] | None, minute: dict[str, Any] | None, updated_at: str | None
) -> dict[str, object]:
    """A row of the universe under the names of the replaced system. What is not known is null."""
    return (
        dict.fromkeys(_NOT_KEPT)
        | {
            "instrumentKey": key,
            "exchange": key.partition("_")[0],
            "lastPrice": minute["close"] if minute else None,
            "updatedAt": updated_at,
        }
        | {shown: (known or {}).get(name) for shown, name in _STOCK.items()}
    )


def _entry(
    row: dict[str, Any],
    stock: dict[str, object],
    candle: dict[str, Any] | None,
    minute: dict[str, Any] | None,
) -> dict[str, object]:
    """One stock under the names of the replaced system. What is not known is null."""
    is_bullish = row["verdict"] == VERDICT_BULLISH
    return {
        "Stock": stock,
        "LastCandle": candle,
        "ClosePrice": row["close"],
        "DailyVolume": candle["volume"] if candle else None,
        "EMA50": two_decimals(row["ema_50"]),
        "RSI14": two_decimals(row["rsi"]),
        "LastPrice": minute["close"] if minute else None,
        "LastVolume": minute["volume"] if minute else None,
        "IsBullish": is_bullish,
        "IsBearish": not is_bullish,
        "FilterResults": {f"{name}_filter": row[f"{name}_passed"] for name in STAGES},
        "FilterReasons": {f"{name}_filter": row[f"{name}_reason"] for name in STAGES},
    }
