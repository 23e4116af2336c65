"""Example answers of the OpenAPI document, by path.

Belongs here: one short answer of each path, of invented numbers. Does not belong here: examples of bodies, which stand
with their types (``shapes.py``). A test holds each against the type of its answer. FastAPI would take what is null out
of them, so they are put into the finished document.
"""

from __future__ import annotations

_KEY, _STAMP = "NSE_EQ|INE002A01018", "2026-06-30T15:30:00+05:30"


def _wrapped(data: object) -> dict[str, object]:
    return {"success": True, "data": data}


_CANDLE = {
    "instrument_key": _KEY,
    "timestamp": "2026-06-30T09:15:00+05:30",
    "open": 1402.0,
    "high": 1405.5,
    "low": 1400.1,
    "close": 1404.2,
    "volume": 198643,
    "open_interest": None,
    "time_interval": "5minute",
    "ma_9": 1401.31,
    "bb_upper": 1410.02,
    "bb_middle": 1403.97,
    "bb_lower": 1397.92,
    "vwap": 1403.27,
    "ema_5": 1402.56,
    "ema_9": 1402.11,
    "ema_20": 1402.9,
    "ema_50": 1406.4,
    "atr": 2.31,
    "rsi": 48.2,
    "bb_width": 12.1,
    "bb_width_normalized": 0.0086,
    "bb_width_normalized_percentage": 0.8618,
    "lowest_bb_width": 4.12,
}
_INDICATORS = tuple(_CANDLE)[9:]
_LONGER = (
    _CANDLE
    | dict.fromkeys(_INDICATORS)
    | {
        "time_interval": "15minute",
        "ends_at": "2026-06-30T09:30:00+05:30",
        "is_complete": True,
    }
)
_HEALTH = _wrapped({"status": "UP", "time": _STAMP})
_CANDLES = _wrapped({"status": "success", "data": [_CANDLE]})
_MULTI = _wrapped({"status": "success", "data": {"5minute": [_CANDLE], "15minute": [_LONGER]}})
_QUOTES = _wrapped(
    {
        "status": "partial",
        "timestamp": _STAMP,
        "data": {
            _KEY: {
                "open": 1402.0,
                "high": 1419.9,
                "low": 1396.0,
                "close": 1411.4,
                "bb_width": 7.31,
                "lowest_bb_width": 4.12,
            }
        },
        "errors": {
            "NSE_EQ|INE000000000": "NSE_EQ|INE000000000 is not among the instruments; raw.instruments lists them"
        },
    }
)
_INTRADAY_QUOTES = _wrapped(
    {"status": "success", "timestamp": _STAMP, "data": {_KEY: _CANDLE}, "errors": {}}
)
_TOP_10 = _wrapped(
    [
        {
            "id": None,
            "symbol": "RELIANCE",
            "instrument_key": _KEY,
            "exchange_token": "2885",
            "trend": "BULLISH",
            "current_price": 1411.4,
            "mamba_count": 6,
            "bullish_mamba_count": 6,
            "bearish_mamba_count": 0,
            "avg_mamba_move": 1.5,
            "avg_non_mamba_move": 3.0,
            "mamba_series": [2, 1, 2, 1],
            "non_mamba_series": [3, 3, 3],
            "filter_date": "2026-06-30T00:00:00+05:30",
            "created_at": None,
            "updated_at": "2026-06-30T18:05:12+05:30",
        }
    ]
)
_FILTER_RUN = _wrapped(
    {
        "status": "success",
        "run_id": "84a9fd0b-a844-4ef2-bf74-ad9ea75e5615",
        "day": "2026-06-30",
        "unknown": [],
        "data": {
            "bullish_stocks": None,
            "bearish_stocks": None,
            "metrics": {
                "total_stocks": 2400,
                "basic_filter_pass": 640,
                "ema_filter_pass": 210,
                "rsi_filter_pass": 180,
                "mamba_filter_pass": 0,
                "bullish_stocks": 0,
                "bearish_stocks": 0,
                "processing_time_ms": 21500,
            },
        },
    }
)
_PLAN = _wrapped(
    {
        "id": "morning",
        "entryType": "1ST_ENTRY",
        "status": "PLANNED",
        "tradingDay": "2026-06-30",
        "stocks": [],
    }
)
_STORED = _wrapped(
    {
        "status": "success",
        "run_id": "5bb48293-e17e-49a4-99f3-676f82b1d3b5",
        "job": "fetch",
        "data": {
            "processedItems": 1,
            "successfulItems": 1,
            "failedItems": 0,
            "details": [
                {
                    "instrumentKey": _KEY,
                    "status": "success",
                    "recordsStored": 2,
                    "message": "the source has candles from 2025-05-14 to 2026-06-30",
                }
            ],
        },
    }
)
_BAND = {
    "symbol": "RELIANCE",
    "instrument_key": _KEY,
    "current_bb_width": 4.1187,
    "historical_min_bb_width": 4.1201,
    "distance_from_min_percent": -0.034,
    "contracting_sequence_count": 3,
    "candles_in_range_count": 1,
    "bb_width_trend": "contracting",
    "alert_triggered": True,
    "alert_triggered_at": "2026-06-30T14:35:00+05:30",
    "alert_type": "threshold",
    "alert_message": "band width threshold: 4.1222 rupees, +0.05 % from the lowest of the look-back",
    "pattern_strength": "moderate",
    "timestamp": _STAMP,
    "last_updated": "2026-06-30T18:05:12+05:30",
}
_ALERT = {
    "symbol": "RELIANCE",
    "bb_width": 4.1222,
    "lowest_min_bb_width": 4.1201,
    "pattern_length": None,
    "alert_type": "threshold",
    "timestamp": "2026-06-30T14:35:00+05:30",
    "group_id": "BBW_DASHBOARD",
    "message": _BAND["alert_message"],
}
_EXTENT = {
    "total_stocks": 1,
    "min_bb_width": 4.1187,
    "max_bb_width": 4.1187,
    "avg_bb_width": 4.1187,
}


def _banded(data: object, **beside: object) -> dict[str, object]:
    return {"success": True, "data": data, "timestamp": _BAND["last_updated"], **beside}


_BANDS = _banded([_BAND])
_ONE_BAND = _banded(_BAND)
_BAND_ALERTS = _banded([_ALERT], count=1, total=15)
_BAND_STATS = _banded(
    _EXTENT
    | {
        "alerted_stocks": 1,
        "contracting_count": 1,
        "expanding_count": 0,
        "stable_count": 0,
        "recent_alerts": [_ALERT],
        "total_alerts": 15,
    }
)
_BAND_STATISTICS = _banded(
    _EXTENT
    | {
        "alert_distribution": {"threshold": 1},
        "trend_distribution": {"contracting": 1, "expanding": 0, "stable": 0},
        "market_volatility": None,
        "squeeze_opportunities": 1,
    }
)
_MARKET_STATUS = {
    "success": True,
    "data": {
        "market_open": False,
        "current_time": "2026-06-30 18:30:00",
        "current_time_ist": "18:30:00",
        "market_hours": "09:15 - 15:30 IST",
        "last_data_timestamp": _STAMP,
        "last_data_age_minutes": 180,
    },
    "message": "Market status retrieved successfully",
}

ANSWERS: dict[tuple[str, str], dict[str, object]] = {
    ("get", "/candles/{instrument_key}/{timeframe}"): _CANDLES,
    ("post", "/candles/{instrument_key}/multi"): _MULTI,
    ("post", "/filter-pipeline/run"): _FILTER_RUN,
    ("get", "/filter-pipeline/fetch/top-10"): _TOP_10,
    ("post", "/groups/{group_id}/execute"): _PLAN,
    ("post", "/market/quotes"): _QUOTES,
    ("post", "/market/intraday-quotes"): _INTRADAY_QUOTES,
    ("post", "/historical-data/batch-store"): _STORED,
    ("get", "/bbw/dashboard-data"): _BANDS,
    ("get", "/bbw/latest-day-data"): _BANDS,
    ("get", "/bbw/stocks"): _ONE_BAND,
    ("get", "/bbw/stocks/{symbol}/history"): _BANDS,
    ("get", "/bbw/stats"): _BAND_STATS,
    ("get", "/bbw/statistics"): _BAND_STATISTICS,
    ("get", "/bbw/alerts/active"): _BANDS,
    ("get", "/bbw/alerts/history"): _BAND_ALERTS,
    ("get", "/bbw/market-status"): _MARKET_STATUS,
    ("get", "/health"): _HEALTH,
    ("get", "/ready"): _HEALTH,
}
"""An answer of each path, by verb and path below that of the version."""
