"""The list of instruments as the broker sends it, packed, with shares, a future and an index."""

from __future__ import annotations

import gzip
import json

from setbull_pipelines_tests.sources.upstox.broker import INFY, TCS

PATH = "/market-quote/instruments/exchange/NSE.json.gz"


def stock(key: str, symbol: str, series: str = "EQ", **others: object) -> dict:
    return {
        "segment": "NSE_EQ",
        "name": f"{symbol} LIMITED",
        "exchange": "NSE",
        "isin": key.partition("|")[2],
        "instrument_type": series,
        "instrument_key": key,
        "lot_size": 1,
        "freeze_quantity": 100000.0,
        "exchange_token": "16927",
        "tick_size": 5.0,
        "trading_symbol": symbol,
        "short_name": symbol,
        "security_type": "NORMAL",
    } | others


def future(key: str) -> dict:
    return {
        "weekly": False,
        "segment": "NSE_FO",
        "name": "071NSETEST",
        "exchange": "NSE",
        "expiry": 2111423399000,
        "instrument_type": "FUT",
        "instrument_key": "NSE_FO|36702",
        "lot_size": 50,
        "underlying_key": key,
        "tick_size": 5.0,
        "underlying_type": "EQUITY",
        "trading_symbol": "071NSETEST FUT 27 NOV 36",
        "strike_price": 0.0,
    }


def zipped(text: str) -> bytes:
    """``text`` in gzip without the moment of packing, which would make every collection another one."""
    return gzip.compress(text.encode(), mtime=0)


def packed(*entries: dict) -> bytes:
    return zipped(json.dumps(entries))


INDEX = {
    "segment": "NSE_INDEX",
    "name": "Nifty 50",
    "exchange": "NSE",
    "instrument_type": "INDEX",
    "instrument_key": "NSE_INDEX|Nifty 50",
    "trading_symbol": "NIFTY",
}
LISTED = packed(
    stock(TCS, "TCS"),
    stock(INFY, "INFY"),
    stock("NSE_EQ|IN0020200062", "SGBMAY28", "SG"),
    INDEX,
    future(INFY),
    future("NSE_INDEX|Nifty 50"),
    future("NSE_EQ|DUMMYSAN011"),
)
