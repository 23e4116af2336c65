"""The band-width dashboard of the replaced system, from the table of the band-width monitor.

Belongs here: its paths, and rows of the monitor under its names. Does not belong here: the monitor (``variants/``),
numbers over many rows (``derived/band_widths.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Annotated, Any

import numpy as np
import pandas as pd
from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse

from setbull_pipelines import tables
from setbull_pipelines.api.asking import (
    ERRORS,
    Paging,
    Tables,
    key_with_symbol,
    refused,
    require_known,
)
from setbull_pipelines.api.band_shapes import (
    BandAlertHistory,
    BandAlertType,
    BandRows,
    BandStatistics,
    BandStats,
    MarketStatus,
    OneBandRow,
)
from setbull_pipelines.api.reading import Reader
from setbull_pipelines.api.shapes import InstrumentKey
from setbull_pipelines.derived.band_widths import Widths, widths_of
from setbull_pipelines.market.calendar import NSE, OutsideCoverage
from setbull_pipelines.pipeline.instruments import NoSuchInstrument
from setbull_pipelines.pipeline.opening import now
from setbull_pipelines.pipeline.serving import served_table
from setbull_pipelines.pipeline.shown import plain, rounded

router = APIRouter(prefix="/bbw", tags=["band widths"], responses=ERRORS)
_ALERTS = tables.BB_WIDTH_ALERTS
_TYPES = {"range contracting": "bb_range_contracting"}
"""What the replaced system called a rule; the others have their names."""
_HISTORY_SESSIONS = 60
_RECENT = 5
_GROUP = "BBW_DASHBOARD"
Key = Annotated[
    InstrumentKey,
    Query(description="Instrument key, with | sent as %7C", examples=["NSE_EQ|INE002A01018"]),
]


@router.get("/dashboard-data", response_model=BandRows)
def dashboard_data(reader: Tables, page: Paging) -> JSONResponse:
    """How the width of each monitored stock stands at the end of the last session, by key.

    Monitored are the stocks of the groups of type BB_RANGE, or all where there is no such group.
    """
    return _told(*page.of(_rows(reader)), reader)


@router.get("/latest-day-data", response_model=BandRows)
def latest_day_data(reader: Tables, page: Paging) -> JSONResponse:
    """The same: the last session is what there is, whether the market is open or not."""
    rows, headers = page.of(_rows(reader))
    message = "Latest available day data retrieved successfully"
    return _told(rows, headers, reader, count=len(rows), message=message)


@router.get("/stocks", response_model=OneBandRow)
def stock(reader: Tables, instrument_key: Key) -> JSONResponse:
    """The row of one stock, monitored or not."""
    rows = _rows(reader, {instrument_key})
    if not rows:
        require_known(reader, [instrument_key])
        raise refused(f"{instrument_key} has no band on the last session", 404)
    return _told(rows[0], {}, reader)


@router.get("/stocks/{symbol}/history", response_model=BandRows)
def history(
    reader: Tables,
    page: Paging,
    symbol: Annotated[str, Path(min_length=1, max_length=50, examples=["RELIANCE"])],
    instrument_key: Key | None = None,
    days: Annotated[int, Query(ge=1, le=366, description="Calendar days up to the last")] = 7,
) -> JSONResponse:
    """One row a session, oldest first, of the key or else of the symbol."""
    key = instrument_key or _key_of(symbol, reader)
    stored = _days(reader)
    wanted = [day for day in stored if day > stored[-1] - timedelta(days=days)]
    rows, headers = page.of(_rows(reader, {key}, wanted))
    if not rows:
        require_known(reader, [key])
    message = "Stock BBW history retrieved successfully"
    extra = {"count": len(rows), "instrument_key": key, "days": days, "message": message}
    return _told(rows, headers, reader, **extra)


@router.get("/stats", response_model=BandStats)
def stats(reader: Tables) -> JSONResponse:
    """Counts and widths of the monitored stocks, with the newest alerts."""
    widths, events = _widths(reader), _events(reader)
    body = {
        "total_stocks": widths.instruments,
        "alerted_stocks": widths.alerting,
        **{f"{name}_count": count for name, count in widths.by_trend.items()},
        **_extent(widths),
        "recent_alerts": events[:_RECENT],
        "total_alerts": len(events),
    }
    return _told(body, {}, reader)


@router.get("/statistics", response_model=BandStatistics)
def statistics(reader: Tables) -> JSONResponse:
    """The same with the distributions of alerts and trends."""
    widths = _widths(reader)
    body = {
        "total_stocks": widths.instruments,
        **_extent(widths),
        "alert_distribution": {
            _TYPES.get(rule, rule): count for rule, count in widths.by_rule.items()
        },
        "trend_distribution": dict(widths.by_trend),
        "market_volatility": None,
        "squeeze_opportunities": widths.squeezed,
    }
    return _told(body, {}, reader)


@router.get("/alerts/active", response_model=BandRows)
def active_alerts(reader: Tables, page: Paging) -> JSONResponse:
    """The monitored stocks with an alert in the last session."""
    rows, headers = page.of([row for row in _rows(reader) if row["alert_triggered"]])
    return _told(rows, headers, reader, count=len(rows))


@router.get("/alerts/history", response_model=BandAlertHistory)
def alert_history(
    reader: Tables,
    page: Paging,
    alert_type: BandAlertType | None = None,
    symbol: Annotated[str | None, Query(min_length=1, max_length=50)] = None,
) -> JSONResponse:
    """The first alert of each monitored stock in each of the last 60 sessions, newest first; 50 without ``limit``."""
    events = _events(reader)
    found = [
        event
        for event in events
        if alert_type in (None, event["alert_type"]) and symbol in (None, event["symbol"])
    ]
    page.limit = page.limit or 50
    rows, headers = page.of(found)
    return _told(rows, headers, reader, count=len(rows), total=len(events))


@router.get("/market-status", response_model=MarketStatus)
def market_status(reader: Tables) -> JSONResponse:
    """Whether the exchange trades now, and how old the newest band is."""
    moment = now()
    hours = _hours(moment.date())
    clock = moment.time()
    bands = [row["timestamp"] for row in _rows(reader)]
    newest = max(bands, default=None)
    age = moment - datetime.fromisoformat(newest) if newest else None
    body = {
        "market_open": any(start <= clock < end for start, end in hours),
        "current_time": f"{moment:%Y-%m-%d %H:%M:%S}",
        "current_time_ist": f"{moment:%H:%M:%S}",
        "market_hours": ", ".join(f"{start:%H:%M} - {end:%H:%M} IST" for start, end in hours)
        or None,
        "last_data_timestamp": newest,
        "last_data_age_minutes": int(age.total_seconds() // 60) if age is not None else -1,
    }
    message = "Market status retrieved successfully"
    return JSONResponse(
        {"success": True, "data": body, "message": message}, headers={"Cache-Control": "no-store"}
    )


@router.delete("/alerts/history", include_in_schema=False)
def clear_history() -> None:
    """The stored sessions are the history."""
    raise refused(
        "the history of alerts is what the stored sessions say; this API changes nothing", 405
    )


@router.post("/alerts/configure", include_in_schema=False)
def configure() -> None:
    """Settings are a file."""
    raise refused(
        "alerts are configured in the settings file, in its groups bb_width and alerts", 405
    )


def _days(reader: Reader) -> list[date]:
    days = reader.days(served_table(_ALERTS))
    if not days:
        raise refused("nothing is served yet; run: setbull run", 503)
    return days


def _alerts(reader: Reader, keys: set[str] | None, days: list[date]) -> pd.DataFrame:
    """Rows of the monitor with a band, by day and key; without ``keys`` of the monitored stocks."""
    rows = reader.served(_ALERTS, days, keys or reader.band_range_keys())
    rows = rows[rows["bb_width"].notna()].sort_values(["trading_day", "instrument_key"])
    return rows.join(reader.instruments()["symbol"], on="instrument_key")


def _rows(
    reader: Reader, keys: set[str] | None = None, days: list[date] | None = None
) -> list[dict[str, Any]]:
    """The rows of the dashboard; without ``days`` of the last session."""
    days = days if days is not None else _days(reader)[-1:]
    published = {day.isoformat(): reader.published_at(_ALERTS, day) for day in days}
    bar = timedelta(minutes=reader.settings().aggregation.bar_minutes)
    rows = _alerts(reader, keys, days)
    for name in ("last_band", "alert_bar"):
        rows[name] = rows[name] + bar
    return [_row(row, published[row["trading_day"]]) for row in plain(rows)]


def _row(row: Mapping[str, Any], published_at: str | None) -> dict[str, Any]:
    """A row of the monitor under the names of the dashboard. Moments are ends of bars."""
    return {
        "symbol": row["symbol"],
        "instrument_key": row["instrument_key"],
        "current_bb_width": _decimals(row["bb_width"]),
        "historical_min_bb_width": _decimals(row["lowest_bb_width"]),
        "distance_from_min_percent": _decimals(row["distance_from_lowest_percent"]),
        "contracting_sequence_count": row["contracting_bands"],
        "candles_in_range_count": row["candles_in_range"],
        "bb_width_trend": row["bb_width_trend"],
        "alert_triggered": row["alert_rule"] is not None,
        "alert_triggered_at": row["alert_bar"],
        "alert_type": _TYPES.get(row["alert_rule"], row["alert_rule"]),
        "alert_message": _words(row),
        "pattern_strength": row["pattern_strength"],
        "timestamp": row["last_band"],
        "last_updated": published_at,
    }


def _events(reader: Reader) -> list[dict[str, Any]]:
    """The first alerts of the last sessions under the names of the replaced system, newest first."""
    rows = _alerts(reader, None, _days(reader)[-_HISTORY_SESSIONS:])
    rows = rows[rows["alert_rule"].notna()]
    rows = rows.sort_values(["alert_bar", "instrument_key"], ascending=[False, True])
    bar = timedelta(minutes=reader.settings().aggregation.bar_minutes)
    return [
        {
            "symbol": row["symbol"],
            "bb_width": _decimals(row["alert_bb_width"]),
            "lowest_min_bb_width": _decimals(row["lowest_bb_width"]),
            "pattern_length": None,
            "alert_type": _TYPES.get(row["alert_rule"], row["alert_rule"]),
            "timestamp": row["alert_bar"],
            "group_id": _GROUP,
            "message": _words(row),
        }
        for row in plain(rows.assign(alert_bar=rows["alert_bar"] + bar))
    ]


def _words(row: Mapping[str, Any]) -> str | None:
    if row["alert_rule"] is None:
        return None
    return (
        f"band width {row['alert_rule']}: {row['alert_bb_width']:.4f} rupees, "
        f"{row['alert_distance_percent']:+.2f} % from the lowest of the look-back"
    )


def _widths(reader: Reader) -> Widths:
    return widths_of(_alerts(reader, None, _days(reader)[-1:]))


def _extent(widths: Widths) -> dict[str, float | None]:
    return {
        "min_bb_width": _decimals(widths.least),
        "max_bb_width": _decimals(widths.greatest),
        "avg_bb_width": _decimals(widths.mean),
    }


def _key_of(symbol: str, reader: Reader) -> str:
    try:
        return key_with_symbol(symbol, reader.instruments().reset_index())
    except NoSuchInstrument as error:
        raise refused(str(error), 404) from None


def _hours(day: date) -> list[tuple[Any, Any]]:
    try:
        intervals = NSE.session(day).intervals if NSE.is_trading_day(day) else ()
    except OutsideCoverage:
        intervals = ()
    return [(interval.start, interval.end) for interval in intervals]


def _decimals(value: float | None) -> float | None:
    """Four decimals, as the replaced system wrote widths here."""
    return None if value is None or pd.isna(value) else float(rounded(np.asarray(value), 4))


def _told(
    data: object, headers: Mapping[str, str], reader: Reader, **beside: object
) -> JSONResponse:
    """The envelope of these paths; ``timestamp`` is when the session was last stored."""
    day = _days(reader)[-1]
    body = {"success": True, "data": data, "timestamp": reader.published_at(_ALERTS, day)}
    return JSONResponse(body | beside, headers=dict(headers))
