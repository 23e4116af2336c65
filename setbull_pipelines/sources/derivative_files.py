"""Lists of the stocks that have derivatives, and since when: they end their day with a closing auction.

Belongs here: recognising and reading such lists. Does not belong here: reading bytes (``raw_rows.py``), what a
closing auction does to a session (``market/``), joining several lists (``intake.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from setbull_pipelines.market.instruments import InvalidInstrumentKey, parse_instrument_key
from setbull_pipelines.sources.instrument_columns import EQUITY_SEGMENT, key_of_share
from setbull_pipelines.sources.raw_rows import RawRows, UnreadableFile, records, texts
from setbull_pipelines.sources.verdicts import REJECTED_COLUMNS
from setbull_pipelines.tables import DERIVATIVE_UNDERLYINGS

FROM, TO = "derivatives_from", "derivatives_to"
LANDED_COLUMNS = [name for name in DERIVATIVE_UNDERLYINGS.column_names if name != "source"]


@dataclass(frozen=True)
class CheckedDerivatives:
    """The rows of one list, judged.

    ``underlyings`` has :data:`LANDED_COLUMNS`, the last row of each key counting. With ``keyed_by_symbol`` the
    keys are ``NSE_EQ|SYMBOL`` for want of better.
    """

    underlyings: pd.DataFrame
    rejected: pd.DataFrame
    received: int
    keyed_by_symbol: bool
    ignored_columns: list[str]


def is_derivatives(names: list[str]) -> bool:
    """Whether a file with these columns lists stocks with derivatives."""
    return FROM in names


def check_derivatives(rows: RawRows) -> CheckedDerivatives:
    """Judge every row; raises :class:`UnreadableFile` when no column names the stock."""
    named_by = next((name for name in ("instrument_key", "symbol") if name in rows.names), None)
    if named_by is None:
        raise UnreadableFile(
            f"found the columns {', '.join(rows.names)}, expected also instrument_key or symbol"
        )
    columns = {
        name: texts(column) for name, column in zip(rows.names, rows.columns.columns, strict=True)
    }
    by_key: dict[tuple[str, date], tuple[int, dict[str, Any]]] = {}
    rejected = []
    as_found = records(rows.names, columns.values())
    for row, record in enumerate(as_found):
        found = {name: (values[row] or "").strip() for name, values in columns.items()}
        line = int(rows.lines[row])
        try:
            underlying = _underlying(found, named_by)
        except _Fault as fault:
            rejected.append(_rejection(line, fault, record))
            continue
        key = (underlying["instrument_key"], underlying["first_day"])
        if key in by_key and by_key[key][1] != underlying:
            earlier = by_key[key][0]
            superseded = _Fault(
                "superseded", named_by, found[named_by], f"it once; line {line} says otherwise"
            )
            rejected.append(_rejection(int(rows.lines[earlier]), superseded, as_found[earlier]))
        by_key[key] = (row, underlying)
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
    return CheckedDerivatives(
        underlyings=pd.DataFrame(
            [underlying for _, underlying in by_key.values()], columns=LANDED_COLUMNS
        ),
        rejected=pd.DataFrame(rejected, columns=REJECTED_COLUMNS),
        received=rows.received,
        keyed_by_symbol=named_by == "symbol",
        ignored_columns=[name for name in rows.names if name not in (named_by, "symbol", FROM, TO)],
    )


class _Fault(Exception):
    """Why a row says nothing about a stock."""

    def __init__(self, rule: str, column: str, value: str, expected: str) -> None:
        super().__init__(f"Found {value!r} in column {column}, expected {expected}.")
        self.rule, self.column, self.value = rule, column, value


def _underlying(found: dict[str, str], named_by: str) -> dict[str, Any]:
    name = found[named_by]
    key = key_of_share(name) if named_by == "symbol" else name
    try:
        segment = parse_instrument_key(key).segment
    except InvalidInstrumentKey:
        segment = None
    if segment != EQUITY_SEGMENT:
        raise _Fault("invalid instrument", named_by, name, f"a stock of {EQUITY_SEGMENT}")
    first = _day(found, FROM)
    last = _day(found, TO) if found.get(TO) else None
    if last is not None and last < first:
        raise _Fault("ends before it begins", TO, found[TO], f"a day from {first} on, or nothing")
    return {"instrument_key": key, "first_day": first, "last_day": last}


def _day(found: dict[str, str], column: str) -> date:
    try:
        return date.fromisoformat(found[column])
    except ValueError:
        expected = "a date such as 2026-08-03"
        raise _Fault("unreadable date", column, found[column], expected) from None


def _rejection(line: int, fault: _Fault, record: str) -> dict[str, Any]:
    return {
        "line": line,
        "rule": fault.rule,
        "column": fault.column,
        "value": fault.value,
        "reason": str(fault),
        "record": record,
    }
