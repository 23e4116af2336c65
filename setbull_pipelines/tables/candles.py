"""Tables of candles: raw one-minute and daily bars, aggregated five-minute and daily bars."""

from __future__ import annotations

from dataclasses import replace

import pandera.pandas as pa

from setbull_pipelines.market.session_table import SESSION_SHAPES
from setbull_pipelines.tables.columns import (
    BAR_START,
    INGESTED_AT,
    INSTRUMENT_KEY,
    OHLC_RULES,
    OPEN_INTEREST,
    PRICES,
    SERIES,
    STATES,
    TRADING_DAY,
    VOLUME,
    count,
    flag,
    label,
)
from setbull_pipelines.tables.contract import Column, Table

COMPUTED_SCHEMAS = ("v1", "v2")


def _provenance(column: Column) -> Column:
    return replace(column, is_provenance=True)


_RAW_COLUMNS = (
    INSTRUMENT_KEY,
    BAR_START,
    TRADING_DAY,
    *PRICES,
    VOLUME,
    OPEN_INTEREST,
    _provenance(label("source", "File the row came from, or 'generated sample'")),
    _provenance(INGESTED_AT),
    _provenance(
        label(
            "state",
            "'provisional' while all files with these values were taken in, or asked for, before the session had "
            "closed; else 'final'",
            STATES,
        )
    ),
)

CANDLES_1MIN = Table(
    name="candles_1min",
    description="One-minute candles as received, one row per instrument and minute; minutes without a "
    "trade are kept with volume 0. Nothing is filled in. Of a corrected bar the values that were known before are in "
    "raw.revisions.",
    schemas=("raw",),
    key=("instrument_key", "timestamp"),
    columns=(
        *_RAW_COLUMNS,
        label(
            "session_shape",
            "How the instrument traded on the day: 'full' to the end of the session, 'closing auction' to its "
            "start, 'not known' where no file lists the stocks with derivatives ('full' is assumed)",
            SESSION_SHAPES,
        ),
    ),
    rules=OHLC_RULES,
)

CANDLES_DAILY_HISTORY = Table(
    name="candles_daily_history",
    description="Daily candles of the source itself (official close), one row per instrument and day.",
    schemas=("raw",),
    key=("instrument_key", "timestamp"),
    columns=_RAW_COLUMNS,
    rules=OHLC_RULES,
)

CANDLES_5MIN = Table(
    name="candles_5min",
    description="Five-minute candles, left-closed and left-labelled from the open of each session "
    "interval, of traded minutes only. A bucket without a trade has no row.",
    schemas=COMPUTED_SCHEMAS,
    key=("instrument_key", "timestamp"),
    columns=(
        INSTRUMENT_KEY,
        BAR_START,
        TRADING_DAY,
        *PRICES,
        VOLUME,
        OPEN_INTEREST,
        count("minutes_traded", "Minutes of the bar with a trade", "minutes"),
        count("minutes_present", "Minutes of the bar that the source delivered", "minutes"),
        count("minutes_expected", "Minutes of the bar inside the session interval", "minutes"),
        flag("is_complete", "True when every expected minute was delivered"),
    ),
    rules=(
        *OHLC_RULES,
        pa.Check(
            lambda frame: frame["minutes_traded"] <= frame["minutes_present"],
            name="minutes traded are at most minutes present",
        ),
    ),
)

CANDLES_DAILY = Table(
    name="candles_daily",
    description="Daily candles in two series that are never mixed: 'exchange' (the source's own daily "
    "bar) and 'minutes' (aggregated from one-minute candles).",
    schemas=COMPUTED_SCHEMAS,
    key=("instrument_key", "series", "timestamp"),
    columns=(
        INSTRUMENT_KEY,
        SERIES,
        BAR_START,
        TRADING_DAY,
        *PRICES,
        VOLUME,
        OPEN_INTEREST,
        count(
            "minutes_traded", "Minutes with a trade; null for 'exchange'", "minutes", nullable=True
        ),
        count(
            "minutes_present", "Minutes delivered; null for 'exchange'", "minutes", nullable=True
        ),
        count(
            "minutes_expected",
            "Minutes of the session; null for 'exchange'",
            "minutes",
            nullable=True,
        ),
        flag(
            "is_complete",
            "True when every minute of the session was delivered; null for 'exchange'",
            nullable=True,
        ),
    ),
    rules=OHLC_RULES,
)
