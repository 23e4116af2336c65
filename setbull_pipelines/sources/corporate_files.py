"""Files of corporate actions and of instrument aliases: what happened to a share and to its key.

Belongs here: recognising both kinds of file, the rules for their rows. Does not belong here: reading bytes
(``raw_rows.py``), which of several rows for one fact counts (``intake.py``), adjusting prices (``variants/``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

import pandas as pd

from setbull_pipelines.market.instruments import InvalidInstrumentKey, parse_instrument_key
from setbull_pipelines.sources.instrument_columns import EQUITY_SEGMENT
from setbull_pipelines.sources.raw_rows import RawRows, records, texts
from setbull_pipelines.sources.verdicts import REJECTED_COLUMNS
from setbull_pipelines.tables.actions import ACTION_KINDS

ACTIONS_KIND, ALIASES_KIND = "corporate_actions", "instrument_aliases"
ACTION_COLUMNS = ("ex_date", "kind", "ratio")
ALIAS_COLUMNS = ("old_instrument_key", "new_instrument_key", "from_date")
LARGEST_RATIO = 1000
"""A larger ratio, or its inverse, is a slip of the pen: the largest split seen at NSE was 1:100."""

_RATIO = re.compile(r"\d{1,9}(\.\d{1,9}|/\d{1,9})?")


@dataclass(frozen=True)
class CheckedFacts:
    """The rows of one file, judged: ``accepted`` has the columns of the kind's table without source, and the line."""

    kind: str
    accepted: pd.DataFrame
    rejected: pd.DataFrame
    received: int
    keyed_by_symbol: bool


class _Fault(Exception):
    """Why a row states no fact."""

    def __init__(self, rule: str, column: str, value: str | None, expected: str) -> None:
        found = "no value" if not value else repr(value)
        super().__init__(f"Found {found} in column {column}, expected {expected}.")
        self.rule, self.column, self.value = rule, column, value


def facts_kind(names: list[str]) -> str | None:
    """Which kind of file has these columns: corporate actions, aliases, or None for neither."""
    if all(name in names for name in ALIAS_COLUMNS):
        return ALIASES_KIND
    named = "instrument_key" in names or "symbol" in names
    return ACTIONS_KIND if named and all(name in names for name in ACTION_COLUMNS) else None


def check_facts(rows: RawRows) -> CheckedFacts:
    """Judge every row of a file that :func:`facts_kind` knows."""
    kind = facts_kind(rows.names)
    read: Callable[[Mapping[str, str]], dict[str, Any]] = (
        _alias if kind == ALIASES_KIND else _action
    )
    columns = {
        name: texts(column) for name, column in zip(rows.names, rows.columns.columns, strict=True)
    }
    accepted, rejected = [], []
    for row, line in enumerate(rows.lines.tolist()):
        found = {name: (values[row] or "").strip() for name, values in columns.items()}
        try:
            accepted.append(read(found) | {"line": line})
        except _Fault as fault:
            rejected.append(
                {
                    "line": line,
                    "instrument_key": found.get("instrument_key") or found.get("symbol") or None,
                    "rule": fault.rule,
                    "column": fault.column,
                    "value": fault.value or None,
                    "reason": str(fault),
                    "record": records(list(found), [[value] for value in found.values()])[0],
                }
            )
    rejected += [
        {
            "line": malformed.line,
            "rule": "malformed row",
            "value": malformed.text,
            "reason": f"Found {malformed.fields_found} fields, expected {malformed.fields_expected} "
            f"as in the header.",
            "record": records(["row"], [[malformed.text]])[0],
        }
        for malformed in rows.malformed
    ]
    facts = (
        ["old_instrument_key", "instrument_key", "from_date"]
        if kind == ALIASES_KIND
        else ["instrument_key", *ACTION_COLUMNS]
    )
    return CheckedFacts(
        kind=kind,
        accepted=pd.DataFrame(accepted, columns=[*facts, "line"]),
        rejected=pd.DataFrame(rejected, columns=REJECTED_COLUMNS),
        received=rows.received,
        keyed_by_symbol=kind == ACTIONS_KIND and "instrument_key" not in rows.names,
    )


def _action(found: Mapping[str, str]) -> dict[str, Any]:
    kind = found["kind"].lower()
    if kind not in ACTION_KINDS:
        raise _Fault("unknown kind", "kind", found["kind"], f"one of {', '.join(ACTION_KINDS)}")
    if "instrument_key" in found:
        key = _key(found, "instrument_key")
    else:
        symbol = found["symbol"]
        if not symbol:
            raise _Fault("missing value", "symbol", symbol, "the trading symbol")
        key = f"{EQUITY_SEGMENT}|{symbol}"
    return {
        "instrument_key": key,
        "ex_date": _day(found, "ex_date"),
        "kind": kind,
        "ratio": _ratio(found["ratio"]),
    }


def _alias(found: Mapping[str, str]) -> dict[str, Any]:
    old, new = _key(found, "old_instrument_key"), _key(found, "new_instrument_key")
    if old == new:
        raise _Fault("invalid instrument", "new_instrument_key", new, "another key than the old")
    return {
        "old_instrument_key": old,
        "instrument_key": new,
        "from_date": _day(found, "from_date"),
    }


def _key(found: Mapping[str, str], column: str) -> str:
    key = found[column]
    try:
        parse_instrument_key(key)
    except InvalidInstrumentKey:
        expected = "SEGMENT|IDENTIFIER, such as NSE_EQ|INE002A01018"
        raise _Fault("invalid instrument", column, key, expected) from None
    return key


def _day(found: Mapping[str, str], column: str) -> pd.Timestamp:
    try:
        return pd.Timestamp(date.fromisoformat(found[column]))
    except ValueError:
        raise _Fault("unreadable date", column, found[column], "a date YYYY-MM-DD") from None


def _ratio(text: str) -> float:
    """``10``, ``1.5`` or ``4/3``: a fraction says what decimals cannot."""
    expected = (
        f"new shares per old share as 10, 1.5 or 4/3, at most {LARGEST_RATIO} and not 1 "
        f"(a 1:2 split is 2, a bonus of 1 for 2 is 3/2)"
    )
    try:
        # Fraction alone would also read 1e999999999, digit by digit.
        ratio = float(Fraction(text)) if _RATIO.fullmatch(text) else None
    except ZeroDivisionError:
        ratio = None
    if ratio is None:
        raise _Fault("not a ratio", "ratio", text, expected)
    if not 1 / LARGEST_RATIO <= ratio <= LARGEST_RATIO or ratio == 1:
        raise _Fault("impossible ratio", "ratio", text, expected)
    return ratio
