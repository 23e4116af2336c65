"""Tables of candles: raw one-minute and daily bars, aggregated five-minute and daily bars."""

from __future__ import annotations

from dataclasses import replace

from setbull_pipelines.market.session_table import SESSION_SHAPES
from setbull_pipelines.tables.checks import Rule
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
from setbull_pipelines.tables.contract import Column, Facts, Table
from setbull_pipelines.tables.oracles import (
    BROKER_DAYS,
    COPIED,
    HAND_MINUTES,
    POLARS_SCRIPT,
    SQL,
)

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
    "trade are kept with volume 0. Nothing is filled in. What was known of a bar before it was corrected is in "
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

_FORMULAS = {
    "open": "price of the first traded minute of the bar",
    "high": "largest high of the traded minutes",
    "low": "smallest low of the traded minutes",
    "close": "close of the last traded minute of the bar",
    "volume": "sum of the volumes of the minutes",
}
_TRADED: Facts = {
    "formula": "number of minutes with volume > 0",
    "sources": CANDLES_1MIN.sources("timestamp", "volume"),
}
_PRESENT: Facts = {
    "formula": "number of minutes delivered",
    "sources": CANDLES_1MIN.sources("timestamp"),
}
_EXPECTED: Facts = {
    "formula": "number of minutes of the bar inside its session interval",
    "sources": CANDLES_1MIN.sources("timestamp", "session_shape"),
}
_COMPLETE: Facts = {
    "formula": "minutes_present = minutes_expected",
    "sources": CANDLES_1MIN.sources("timestamp", "session_shape"),
}

CANDLES_5MIN = Table(
    name="candles_5min",
    description="Five-minute candles, left-closed and left-labelled from the open of each session "
    "interval, of traded minutes only. A bucket without a trade has no row.",
    schemas=COMPUTED_SCHEMAS,
    key=("instrument_key", "timestamp"),
    columns=(
        *CANDLES_1MIN.handed_on(INSTRUMENT_KEY, BAR_START, TRADING_DAY),
        *(
            replace(column, formula=_FORMULAS[column.name])
            for column in CANDLES_1MIN.handed_on(*PRICES, VOLUME)
        ),
        replace(
            OPEN_INTEREST,
            formula="open interest of the last traded minute that states one",
            null_rule="null where no traded minute states one",
            sources=CANDLES_1MIN.sources("open_interest"),
            oracles=(HAND_MINUTES,),
        ),
        count("minutes_traded", "Minutes of the bar with a trade", "minutes", **_TRADED),
        count(
            "minutes_present",
            "Minutes of the bar that the source delivered",
            "minutes",
            **_PRESENT,
            oracles=(HAND_MINUTES,),
        ),
        count(
            "minutes_expected",
            "Minutes of the bar inside the session interval",
            "minutes",
            **_EXPECTED,
            oracles=(HAND_MINUTES,),
        ),
        flag(
            "is_complete",
            "True when every expected minute was delivered",
            **_COMPLETE,
            oracles=(HAND_MINUTES,),
        ),
    ),
    rules=(
        *OHLC_RULES,
        Rule(
            "minutes traded are at most minutes present",
            lambda frame: frame["minutes_traded"] <= frame["minutes_present"],
        ),
    ),
    oracles=(POLARS_SCRIPT, SQL, HAND_MINUTES),
)


def _from_both(*columns: Column) -> tuple[Column, ...]:
    """Columns that series 'minutes' takes from the minutes, and series 'exchange' from the source's daily bars."""
    return tuple(
        replace(
            column,
            sources=CANDLES_1MIN.sources(column.name) + CANDLES_DAILY_HISTORY.sources(column.name),
        )
        for column in columns
    )


_NOT_OF_EXCHANGE: Facts = {
    "null_rule": "null in series 'exchange', whose minutes nobody counted",
    "oracles": (HAND_MINUTES, COPIED),
}

CANDLES_DAILY = Table(
    name="candles_daily",
    description="Daily candles in two series that are never mixed: 'exchange' (the source's own daily "
    "bar) and 'minutes' (aggregated from one-minute candles).",
    schemas=COMPUTED_SCHEMAS,
    key=("instrument_key", "series", "timestamp"),
    columns=(
        *_from_both(INSTRUMENT_KEY),
        replace(
            SERIES,
            sources=CANDLES_1MIN.sources("trading_day")
            + CANDLES_DAILY_HISTORY.sources("trading_day"),
        ),
        *_from_both(BAR_START, TRADING_DAY),
        *(
            replace(column, formula=f"{_FORMULAS[column.name]}; 'exchange': the source's own")
            for column in _from_both(*PRICES, VOLUME)
        ),
        *(
            replace(
                column,
                formula="as in candles_5min; 'exchange': the source's own",
                null_rule="null where the source states none",
                oracles=(HAND_MINUTES, COPIED),
            )
            for column in _from_both(OPEN_INTEREST)
        ),
        count(
            "minutes_traded",
            "Minutes with a trade; null for 'exchange'",
            "minutes",
            **_TRADED,
            **_NOT_OF_EXCHANGE,
        ),
        count(
            "minutes_present",
            "Minutes delivered; null for 'exchange'",
            "minutes",
            **_PRESENT,
            **_NOT_OF_EXCHANGE,
        ),
        count(
            "minutes_expected",
            "Minutes of the session; null for 'exchange'",
            "minutes",
            **_EXPECTED,
            **_NOT_OF_EXCHANGE,
        ),
        flag(
            "is_complete",
            "True when every minute of the session was delivered; null for 'exchange'",
            **_COMPLETE,
            **_NOT_OF_EXCHANGE,
        ),
    ),
    rules=OHLC_RULES,
    oracles=(SQL, BROKER_DAYS, COPIED),
)
