"""Instrument files: which instruments exist, under which key, symbol and tick.

Belongs here: recognising and reading lists of instruments, CSV or the broker's JSON master. Does not belong
here: reading bytes (``raw_rows.py``), candles, joining several lists (``intake.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from setbull_pipelines.market.instruments import (
    InvalidInstrumentKey,
    isin_of,
    parse_instrument_key,
)
from setbull_pipelines.sources.candle_files import has_prices
from setbull_pipelines.sources.instrument_columns import (
    EQUITY_SEGMENT,
    key_of_share,
    key_of_symbol,
)
from setbull_pipelines.sources.raw_rows import RawRows, records, texts
from setbull_pipelines.sources.verdicts import REJECTED_COLUMNS
from setbull_pipelines.tables import INSTRUMENTS

SYMBOL_COLUMNS = ("latest_symbol", "symbol", "trading_symbol", "tradingsymbol")
FACT_COLUMNS = (
    "isin",
    "isin_source",
    "tick_size",
    "tick_size_paise",
    "lot_size",
    "exchange_token",
)
EXCHANGE_COLUMNS = ("exchange", "exch_seg")
"""Brokers' lists of all markets say in them which one a row is of."""
_SHOWN_COLUMNS = (*SYMBOL_COLUMNS, "name", "exchange_token", "series", "instrument_type")
_FORMULA = ("=", "+", "@", "-")
"""With these begins what a spreadsheet computes: lists of the report are opened in one, and no share is called so."""
PAISE_PER_RUPEE = 100


@dataclass(frozen=True)
class CheckedUniverse:
    """The rows of one instrument file, judged.

    ``instruments`` is ``raw.instruments`` without the source, one row per key, sorted; ``keys_by_symbol`` also
    knows former symbols.
    """

    instruments: pd.DataFrame
    keys_by_symbol: dict[str, str]
    rejected: pd.DataFrame
    received: int


def is_universe(names: list[str]) -> bool:
    """Whether a file with these columns lists instruments: it names them and states facts, not prices."""
    named = "instrument_key" in names or any(name in names for name in SYMBOL_COLUMNS)
    return named and not has_prices(names) and any(name in names for name in FACT_COLUMNS)


def check_universe(rows: RawRows) -> CheckedUniverse:
    """Judge every row. The last of several rows with one key is kept; equal ones count as one."""
    columns = {
        name: texts(column) for name, column in zip(rows.names, rows.columns.columns, strict=True)
    }
    names = list(columns)
    by_key: dict[str, tuple[int, dict[str, Any]]] = {}
    keys_by_symbol: dict[str, str] = {}
    rejected: list[dict[str, Any]] = []

    def reject(row: int, key: str | None, fault: _Fault) -> None:
        found = {name: values[row] for name, values in columns.items()}
        rejected.append(
            {
                "line": int(rows.lines[row]),
                "instrument_key": key,
                "rule": fault.rule,
                "column": fault.column,
                "value": fault.value,
                "reason": fault.reason,
                "record": records(names, [[value] for value in found.values()])[0],
            }
        )

    for row in range(len(rows.lines)):
        found = {name: (values[row] or "").strip() for name, values in columns.items()}
        try:
            instrument = _instrument(found)
        except _Fault as fault:
            reject(row, found.get("instrument_key") or None, fault)
            continue
        key = instrument["instrument_key"]
        if key in by_key and by_key[key][1] != instrument:
            reason = (
                f"Found {key} again in line {rows.lines[row]} with other facts, expected it once."
            )
            reject(by_key[key][0], key, _Fault("superseded", "instrument_key", key, reason))
        by_key[key] = (row, instrument)
        for name in SYMBOL_COLUMNS:
            if symbol := found.get(name):
                if key.startswith(EQUITY_SEGMENT):
                    bare = key_of_symbol(symbol).rpartition("|")[2]
                    keys_by_symbol[symbol.upper()] = keys_by_symbol[bare.upper()] = key
                else:
                    keys_by_symbol.setdefault(symbol, key)
    rejected += [
        {
            "line": malformed.line,
            "rule": "malformed row",
            "value": malformed.text,
            "reason": malformed.reason,
            "record": records(["row"], [[malformed.text]])[0],
        }
        for malformed in rows.malformed
    ]
    facts = [name for name in INSTRUMENTS.column_names if name != "source"]
    kept = [by_key[key][1] for key in sorted(by_key)]
    return CheckedUniverse(
        instruments=pd.DataFrame(kept, columns=facts),
        keys_by_symbol=keys_by_symbol,
        rejected=pd.DataFrame(rejected, columns=REJECTED_COLUMNS),
        received=rows.received,
    )


class _Fault(Exception):
    """Why a row names no instrument."""

    def __init__(self, rule: str, column: str, value: str | None, reason: str) -> None:
        super().__init__(reason)
        self.rule, self.column, self.value, self.reason = rule, column, value, reason


def _instrument(found: dict[str, str]) -> dict[str, Any]:
    symbol = next((found[name] for name in SYMBOL_COLUMNS if found.get(name)), None)
    if symbol is None:
        raise _Fault(
            "missing value",
            "symbol",
            None,
            "Found no value in column symbol, expected the trading symbol.",
        )
    for name in _SHOWN_COLUMNS:
        if len(text := found.get(name) or "") > 1 and text.startswith(_FORMULA):
            reason = f"Found {text[:50]!r} in column {name}, expected no formula of a spreadsheet."
            raise _Fault("formula", name, text, reason)
    key = found.get("instrument_key") or _key(found, symbol)
    try:
        parse_instrument_key(key)
    except InvalidInstrumentKey as error:
        raise _Fault("invalid instrument", "instrument_key", key, str(error)) from error
    tick_in_paise = _number(found, "tick_size_paise")
    tick_in_rupees = _number(found, "tick_size")
    lot = _number(found, "lot_size")
    if lot is not None and lot != int(lot):
        raise _number_fault("fractional lot_size", "lot_size", found, "a whole number")
    return {
        "instrument_key": key,
        "symbol": symbol,
        "name": found.get("name") or None,
        "isin": _isin(found.get("isin")) or isin_of(key),
        "exchange_token": found.get("exchange_token") or None,
        "tick_size": (tick_in_rupees if tick_in_paise is None else tick_in_paise / PAISE_PER_RUPEE),
        "lot_size": None if lot is None else int(lot),
        "series": found.get("series") or found.get("instrument_type") or None,
    }


def _key(found: dict[str, str], symbol: str) -> str:
    """The key of a row without one, by ISIN or symbol, on the exchange that the row says."""
    column = next((name for name in EXCHANGE_COLUMNS if found.get(name)), "")
    exchange = found[column].upper().removesuffix("_EQ") if column else "NSE"
    if exchange not in ("NSE", "BSE"):
        reason = (
            f"Found {found[column]!r} in column {column}, expected NSE or BSE; futures, options and other markets "
            "are not read."
        )
        raise _Fault("other market", column, found[column], reason)
    if found.get("isin"):
        return f"{exchange}_EQ|{found['isin'].upper()}"
    return key_of_symbol(symbol, exchange)


def _isin(text: str | None) -> str | None:
    try:
        return isin_of(key_of_share(text)) if text else None
    except InvalidInstrumentKey:
        return None


def _number(found: dict[str, str], column: str) -> float | None:
    text = found.get(column)
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        raise _number_fault("not a number", column, found, "a number") from None
    if not 0 < number < float("inf"):
        raise _number_fault("not positive", column, found, "a finite number above 0")
    return number


def _number_fault(rule: str, column: str, found: dict[str, str], expected: str) -> _Fault:
    reason = f"Found {found[column]!r} in column {column}, expected {expected}."
    return _Fault(rule, column, found[column], reason)
