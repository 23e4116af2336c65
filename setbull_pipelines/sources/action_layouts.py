"""Layouts in which others tell corporate actions: the exchanges' downloads, and yfinance and Yahoo.

Belongs here: recognising a layout by its columns, and what one of its rows states. Does not belong here: the texts of
purposes (``action_purposes.py``), this project's own layout and the making of quarantine rows (``corporate_files.py``).

A layout that names shares by symbol gives ``NSE_EQ|SYMBOL``, for which intake finds the key in the universe.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from fractions import Fraction
from pathlib import PurePosixPath

import pyarrow

from setbull_pipelines.sources.action_purposes import UnreadablePurpose, share_actions
from setbull_pipelines.sources.raw_rows import RawRows, UnreadableFile
from setbull_pipelines.tables.actions import SPLIT_OR_BONUS

_EX_DATES = ("ex-date", "ex date", "exdate")
_PURPOSES = ("purpose", "subject")
_SHARES = frozenset(("EQ", "BE", "BZ", "SM", "ST", "SZ", ""))
"""Series of the exchange whose rows are about shares; bonds of a company have its symbol too."""
_STOCK_SPLITS = "stock splits"
_SYMBOL_COLUMNS = ("symbol", "ticker")
_NAMED = re.compile(r"(?P<symbol>[A-Za-z0-9&-]+?)(?:\.NS)?[-_]actions", re.IGNORECASE)
NAMED_EXAMPLE = "RELIANCE.NS_actions.csv"


@dataclass(frozen=True)
class Stated:
    """What a row states: the share, the day, and kinds with ratios (none when no price is changed)."""

    symbol: str
    isin: str
    ex_date: date
    actions: Sequence[tuple[str, float]]


class RowFault(Exception):
    """Why a row states nothing that counts: ``(rule, column, value, expected)``."""


@dataclass(frozen=True)
class Layout:
    """One way of telling actions; ``read`` gets the row's values by column and raises :class:`RowFault`."""

    name: str
    read: Callable[[Mapping[str, str]], Stated]


def layout_of(names: Sequence[str]) -> Layout | None:
    """The layout with these columns (in lower case); None where no layout has them."""
    has_purpose = _first(_PURPOSES, names) and _first(_EX_DATES, names)
    if has_purpose and "symbol" in names:
        return Layout("NSE corporate actions", _of_exchange("symbol"))
    if has_purpose and "security name" in names:
        return Layout("BSE corporate actions", _of_exchange("security name"))
    if "date" in names and _STOCK_SPLITS in names and _first(_SYMBOL_COLUMNS, names):
        return Layout("yfinance actions", _split_of_vendor)
    return None


def symbol_in_name(path: str) -> str | None:
    """The symbol of a file that is named ``SYMBOL_actions``, with or without ``.NS``."""
    found = _NAMED.match(PurePosixPath(path).name)
    return found["symbol"].upper() if found else None


def with_symbol(rows: RawRows, path: str) -> RawRows:
    """Rows of a layout that leaves the share to the file's name, with the symbol; others as they are."""
    names = rows.names
    if "date" not in names or _STOCK_SPLITS not in names or _first(_SYMBOL_COLUMNS, names):
        return rows
    if "close" in names:  # candles with the splits beside them
        return rows
    symbol = symbol_in_name(path)
    if symbol is None:
        raise UnreadableFile(
            f"found splits and dividends (yfinance) without the share that they are of, expected a column symbol or a "
            f"file name such as {NAMED_EXAMPLE}"
        )
    column = pyarrow.chunked_array([pyarrow.array([symbol] * len(rows.lines), pyarrow.string())])
    return replace(rows, columns=rows.columns.add_column(0, "symbol", column))


def _first(wanted: Sequence[str], names: Sequence[str]) -> str | None:
    return next((name for name in wanted if name in names), None)


def _of_exchange(symbol_column: str) -> Callable[[Mapping[str, str]], Stated]:
    def read(found: Mapping[str, str]) -> Stated:
        purpose_column = _first(_PURPOSES, list(found)) or ""
        day_column = _first(_EX_DATES, list(found)) or ""
        symbol, purpose = found[symbol_column], found[purpose_column]
        if found.get("series", "").upper() not in _SHARES:
            return Stated(symbol, "", date.min, ())
        try:
            actions = share_actions(purpose)
        except UnreadablePurpose as fault:
            raise RowFault("unreadable purpose", purpose_column, purpose, str(fault)) from None
        if not actions:
            return Stated(symbol, "", date.min, ())
        _require_symbol(symbol_column, symbol)
        day = _day(day_column, found[day_column])
        return Stated(symbol, found.get("isin", ""), day, actions)

    return read


def _split_of_vendor(found: Mapping[str, str]) -> Stated:
    symbol_column = _first(_SYMBOL_COLUMNS, list(found)) or ""
    symbol, text = found[symbol_column].upper().removesuffix(".NS"), found[_STOCK_SPLITS]
    if text in ("", "0", "0.0", "nan", "NaN"):
        return Stated(symbol, "", date.min, ())
    _require_symbol(symbol_column, symbol)
    moment = found["date"].partition(" ")[0].partition("T")[0]
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)(?:[:/](\d{1,9}(?:\.\d{1,9})?))?", text)
    expected = "new shares per old share as 2.0, 2:1 or 2/1"
    try:
        ratio = float(Fraction(match[1]) / Fraction(match[2] or 1)) if match else None
    except ZeroDivisionError:
        ratio = None
    if not ratio:
        raise RowFault("not a ratio", _STOCK_SPLITS, text, expected)
    return Stated(symbol, "", _day("date", moment), [(SPLIT_OR_BONUS, ratio)])


def _require_symbol(column: str, symbol: str) -> None:
    if not symbol:
        raise RowFault("missing value", column, symbol, "the trading symbol")


def _day(column: str, text: str) -> date:
    """A day whose month is a name or that begins with the year: 03-04-2025 alone could be two days."""
    for layout in ("%Y-%m-%d", "%d-%b-%Y", "%d %b %Y", "%d-%B-%Y", "%d %B %Y"):
        try:
            return datetime.strptime(text, layout).date()
        except ValueError:
            continue
    raise RowFault("unreadable date", column, text, "a date as 28-Oct-2024 or 2024-10-28")
