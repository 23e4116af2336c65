"""Columns and row rules that several tables share, so that one name means one thing everywhere.

Belongs here: column builders used by more than one table. Does not belong here: columns of one table only.
"""

from __future__ import annotations

from typing import Unpack

import pandas as pd

from setbull_pipelines.tables.checks import Rule, above, at_least, one_of
from setbull_pipelines.tables.contract import (
    EXACT,
    RELATIVE,
    Column,
    Facts,
    Kind,
    Memory,
    Tolerance,
)

INSTRUMENT_KEY = Column(
    "instrument_key", Kind.TEXT, "Exchange segment and identifier, for example NSE_EQ|INE002A01018"
)
TRADING_DAY = Column("trading_day", Kind.DAY, "The NSE trading day of the row (Asia/Kolkata)")
AS_OF_DAY = Column(
    "trading_day", Kind.DAY, "The as-of day: the result uses nothing later than this trading day"
)
BAR_START = Column(
    "timestamp", Kind.TIMESTAMP, "Start of the bar; for daily bars midnight Asia/Kolkata"
)
EXCHANGE, MINUTES = "exchange", "minutes"
SERIES = Column(
    "series",
    Kind.TEXT,
    "Which daily series: 'exchange' (the source's own daily bars, official close) or 'minutes' (aggregated)",
    checks=(one_of((EXCHANGE, MINUTES)),),
)
PRICES = (
    Column("open", Kind.FLOAT, "First traded price", "rupees", checks=(above(0),)),
    Column("high", Kind.FLOAT, "Highest traded price", "rupees", checks=(above(0),)),
    Column("low", Kind.FLOAT, "Lowest traded price", "rupees", checks=(above(0),)),
    Column("close", Kind.FLOAT, "Last traded price", "rupees", checks=(above(0),)),
)
VOLUME = Column(
    "volume",
    Kind.NULLABLE_INTEGER,
    "Shares traded; null where nobody counts them, as of an index",
    "shares",
    nullable=True,
    checks=(at_least(0),),
    null_rule="null where that of a minute is not known, as of an index",
)
OPEN_INTEREST = Column(
    "open_interest",
    Kind.NULLABLE_INTEGER,
    "Open contracts at the end of the bar; null where the source does not say",
    "contracts",
    nullable=True,
    checks=(at_least(0),),
)


INGESTED_AT = Column(
    "ingested_at",
    Kind.TIMESTAMP,
    "When the values of the row were first taken in; a later file that says the same changes nothing",
)
PROVISIONAL, FINAL = "provisional", "final"
STATES = (PROVISIONAL, FINAL)


def _high_is_highest(frame: pd.DataFrame) -> pd.Series:
    return (frame["high"] >= frame["open"]) & (frame["high"] >= frame["close"])


def _low_is_lowest(frame: pd.DataFrame) -> pd.Series:
    return (frame["low"] <= frame["open"]) & (frame["low"] <= frame["close"])


OHLC_RULES = (
    Rule("high is at least open and close", _high_is_highest),
    Rule("low is at most open and close", _low_is_lowest),
)


def value(
    name: str,
    description: str,
    unit: str | None = None,
    *,
    tolerance: Tolerance = RELATIVE,
    nullable: bool = True,
    memory: Memory | None = None,
    **facts: Unpack[Facts],
) -> Column:
    """A computed float column; null where there is no value."""
    return Column(name, Kind.FLOAT, description, unit, nullable, tolerance, memory=memory, **facts)


def count(
    name: str,
    description: str,
    unit: str = "count",
    *,
    nullable: bool = False,
    **facts: Unpack[Facts],
) -> Column:
    """A whole number of things; exact. It can be null where a rule says when."""
    nullable = nullable or "null_rule" in facts
    kind = Kind.NULLABLE_INTEGER if nullable else Kind.INTEGER
    return Column(name, kind, description, unit, nullable, EXACT, (at_least(0),), **facts)


def flag(name: str, description: str, *, nullable: bool = False, **facts: Unpack[Facts]) -> Column:
    """A yes or no; null, where it can be or a rule says when, means not decided."""
    nullable = nullable or "null_rule" in facts
    kind = Kind.NULLABLE_BOOLEAN if nullable else Kind.BOOLEAN
    return Column(name, kind, description, None, nullable, **facts)


def label(
    name: str,
    description: str,
    allowed: tuple[str, ...] | None = None,
    *,
    nullable: bool = False,
    **facts: Unpack[Facts],
) -> Column:
    """A text with few distinct values. It can be null where a rule says when."""
    checks = (one_of(allowed),) if allowed else ()
    nullable = nullable or "null_rule" in facts
    return Column(name, Kind.TEXT, description, None, nullable, EXACT, checks, **facts)


def text(name: str, description: str, *, nullable: bool = False, **facts: Unpack[Facts]) -> Column:
    """Free text. It can be null where a rule says when."""
    nullable = nullable or "null_rule" in facts
    return Column(name, Kind.LONG_TEXT, description, None, nullable, **facts)


def day(name: str, description: str, *, nullable: bool = False, **facts: Unpack[Facts]) -> Column:
    """A calendar date. It can be null where a rule says when."""
    return Column(name, Kind.DAY, description, None, nullable or "null_rule" in facts, **facts)


def moment(name: str, description: str, **facts: Unpack[Facts]) -> Column:
    """The start of a bar of the day. It can be null where a rule says when."""
    return Column(name, Kind.TIMESTAMP, description, None, "null_rule" in facts, **facts)
