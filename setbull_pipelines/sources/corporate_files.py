"""Files of corporate actions and of instrument aliases: what happened to a share and to its key.

Belongs here: recognising both kinds of file, the rules for their rows. Does not belong here: reading bytes
(``raw_rows.py``), what the exchanges and vendors write (``action_layouts.py``), which of several rows for one fact
counts (``intake.py``), adjusting prices (``variants/``).
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
from setbull_pipelines.sources.action_layouts import Layout, RowFault, layout_of
from setbull_pipelines.sources.instrument_columns import key_of_share
from setbull_pipelines.sources.raw_rows import RawRows, records, texts
from setbull_pipelines.sources.verdicts import REJECTED_COLUMNS
from setbull_pipelines.tables.actions import ACTION_KINDS, GENUINE, SHARE_ACTIONS, SPLIT_OR_BONUS

ACTIONS_KIND, ALIASES_KIND = "corporate_actions", "instrument_aliases"
ACTION_COLUMNS = ("ex_date", "kind", "ratio")
ALIAS_COLUMNS = ("old_instrument_key", "new_instrument_key", "from_date")
LARGEST_RATIO = 1000
"""A larger ratio, or its inverse, is a slip of the pen: the largest split seen at NSE was 1:100."""

_EXPECTED_RATIO = (
    f"new shares per old share as 10, 1.5 or 4/3, at most {LARGEST_RATIO} and not 1 "
    f"(a 1:2 split is 2, a bonus of 1 for 2 is 3/2)"
)
_SAME_RATIO = 1e-6
_RATIO = re.compile(r"\d{1,9}(\.\d{1,9}|/\d{1,9})?")


@dataclass(frozen=True)
class CheckedFacts:
    """The rows of one file, judged: ``accepted`` has the columns of the kind's table without source, and the line."""

    kind: str
    accepted: pd.DataFrame
    rejected: pd.DataFrame
    received: int
    keyed_by_symbol: bool
    note: str | None = None
    """What ``raw.intake`` tells of the file."""


class NotARatio(ValueError):
    """A text that is no ratio of an action; the message says what was expected."""


def ratio_of(text: str) -> float:
    """New shares per old share, as a file would write it. Raises NotARatio."""
    try:
        return _ratio(text)
    except _Fault as fault:
        raise NotARatio(str(fault)) from None


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
    states_ratios = named and all(name in names for name in ACTION_COLUMNS)
    return ACTIONS_KIND if states_ratios or layout_of(names) else None


def check_facts(rows: RawRows, kind: str) -> CheckedFacts:
    """Judge every row of a file of a ``kind`` that :func:`facts_kind` gave."""
    layout = None
    read: Callable[[Mapping[str, str]], dict[str, Any]]
    if kind == ALIASES_KIND:
        read = _alias
    elif all(name in rows.names for name in ACTION_COLUMNS):
        read = _action
    else:
        layout = layout_of(rows.names)
    columns = {
        name: texts(column) for name, column in zip(rows.names, rows.columns.columns, strict=True)
    }
    accepted, rejected, unmoved = [], [], 0
    for row, line in enumerate(rows.lines.tolist()):
        found = {name: (values[row] or "").strip() for name, values in columns.items()}
        try:
            stated = [read(found)] if layout is None else _stated(layout, found)
            accepted += [fact | {"line": line} for fact in stated]
            unmoved += not stated
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
            "reason": malformed.reason,
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
        note=None
        if layout is None
        else f"{layout.name}; {unmoved} rows without a change of shares (dividends, meetings, other securities)",
    )


def told_twice(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of kind "split or bonus" where the splits and bonuses of that share and day are stated as such.

    With ``is_equal``: whether both come to the same ratio. ``rows`` have the table's key, ``ratio``, ``source`` and
    ``line``; the result is those that do not count.
    """
    if rows.empty:
        return rows.assign(is_equal=pd.Series(dtype="bool"))
    day = ["instrument_key", "ex_date"]
    is_vague = rows["kind"] == SPLIT_OR_BONUS
    exact = rows[rows["kind"].isin(SHARE_ACTIONS) & ~is_vague]
    stated = exact.groupby(day, as_index=False)["ratio"].prod()
    both = rows[is_vague].reset_index().merge(stated, on=day, suffixes=("", "_stated"))
    both["is_equal"] = (both["ratio"] / both["ratio_stated"] - 1).abs() < _SAME_RATIO
    return both.set_index("index")


def _stated(layout: Layout, found: Mapping[str, str]) -> list[dict[str, Any]]:
    try:
        row = layout.read(found)
    except RowFault as fault:
        raise _Fault(*fault.args) from None
    return [
        {
            "instrument_key": key_of_share(row.isin or row.symbol),
            "ex_date": pd.Timestamp(row.ex_date),
            "kind": kind,
            "ratio": _possible(ratio, f"{ratio:g}"),
        }
        for kind, ratio in row.actions
    ]


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
        key = key_of_share(symbol)
    return {
        "instrument_key": key,
        "ex_date": _day(found, "ex_date"),
        "kind": kind,
        "ratio": _nothing(found["ratio"]) if kind == GENUINE else _ratio(found["ratio"]),
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
    try:
        # Fraction alone would also read 1e999999999, digit by digit.
        ratio = float(Fraction(text)) if _RATIO.fullmatch(text) else None
    except ZeroDivisionError:
        ratio = None
    if ratio is None:
        raise _Fault("not a ratio", "ratio", text, _EXPECTED_RATIO)
    return _possible(ratio, text)


def _possible(ratio: float, text: str) -> float:
    if not 1 / LARGEST_RATIO <= ratio <= LARGEST_RATIO or ratio == 1:
        raise _Fault("impossible ratio", "ratio", text, _EXPECTED_RATIO)
    return ratio


def _nothing(text: str) -> float:
    """The ratio of a genuine move, which adjusts nothing."""
    if text not in ("", "1", "1.0"):
        raise _Fault(
            "impossible ratio", "ratio", text, "1 or no value: a genuine move adjusts no price"
        )
    return 1.0
