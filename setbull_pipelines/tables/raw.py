"""Tables of what came in: instruments, files, quarantined rows, and how far back each series goes."""

from __future__ import annotations

from dataclasses import replace

from setbull_pipelines.tables.columns import (
    BAR_START,
    INGESTED_AT,
    INSTRUMENT_KEY,
    OPEN_INTEREST,
    PRICES,
    SERIES,
    STATES,
    TRADING_DAY,
    VOLUME,
    count,
    day,
    label,
    text,
    value,
)
from setbull_pipelines.tables.contract import EXACT, Column, Kind, Table

KINDS = ("minutes", "daily")

INSTRUMENTS = Table(
    name="instruments",
    description="The universe: one row per instrument. Unknown facts are null.",
    schemas=("raw",),
    key=("instrument_key",),
    partitioned=False,
    columns=(
        INSTRUMENT_KEY,
        text("symbol", "Trading symbol"),
        text("name", "Company name", nullable=True),
        text("isin", "ISIN of the security; null where the key holds none", nullable=True),
        text("exchange_token", "Token of the exchange", nullable=True),
        value("tick_size", "Smallest price step", "rupees", tolerance=EXACT),
        count("lot_size", "Shares per lot", "shares", nullable=True),
        label("series", "Exchange series (EQ, BE, SM, ...)", nullable=True),
        label(
            "source",
            "File the row came from, 'generated sample', or 'candles' when only candles name it",
        ),
    ),
)

INTAKE = Table(
    name="intake",
    description="One row per input file: what it is, and where its rows went. "
    "received = assigned to trading days + unassigned.",
    schemas=("raw",),
    key=("source",),
    partitioned=False,
    columns=(
        label("source", "Path of the file below the input, or 'generated sample: ...'"),
        label("content_hash", "Hash of the file's bytes"),
        Column(
            "ingested_at",
            Kind.TIMESTAMP,
            "When the file was first taken in with this content; its earlier contents stay known as revisions",
        ),
        label(
            "kind",
            "What the file holds",
            (
                "minutes",
                "daily",
                "instruments",
                "derivatives",
                "corporate_actions",
                "instrument_aliases",
                "rejected",
                "not read",
            ),
        ),
        text(
            "taken_for",
            "What the file was taken for, how it is written and what was taken for granted; null for a file that was "
            "not understood",
            nullable=True,
        ),
        text(
            "reason",
            "Why the file was rejected or not read, or which of its columns were ignored; null otherwise",
            nullable=True,
        ),
        count("received", "Rows in the file", "rows"),
        count(
            "assigned",
            "Rows that belong to a trading day, accepted or quarantined there; rows kept of other files",
            "rows",
        ),
        count("unassigned", "Rows without a trading day, all quarantined", "rows"),
        day("first_day", "First trading day with rows", nullable=True),
        day("last_day", "Last trading day with rows", nullable=True),
    ),
)

DERIVATIVE_UNDERLYINGS = Table(
    name="derivative_underlyings",
    description="Which stocks have derivatives, and since when: their continuous trading ends with the closing "
    "auction. Without a row nobody has said so, and raw.candles_1min says 'not known'.",
    schemas=("raw",),
    key=("instrument_key", "first_day"),
    partitioned=False,
    columns=(
        INSTRUMENT_KEY,
        day("first_day", "First day with derivatives"),
        day("last_day", "Last day with derivatives; null while it has them", nullable=True),
        label("source", "File the row came from"),
    ),
)

COVERAGE = Table(
    name="coverage",
    description="First and last day on which each series of each instrument has accepted rows.",
    schemas=("raw",),
    key=("instrument_key", "series"),
    partitioned=False,
    columns=(
        INSTRUMENT_KEY,
        SERIES,
        day("first_trading_day", "First trading day with an accepted row"),
        day("last_trading_day", "Last trading day with an accepted row"),
        count("rows", "Accepted rows", "rows"),
    ),
)

QUARANTINE = Table(
    name="quarantine",
    description="Every row that was not accepted, with the reason. accepted + quarantined + ignored "
    "duplicates + superseded = received, per trading day; rows without a trading day are in partition 'unassigned'.",
    schemas=("raw",),
    key=("source", "line"),
    columns=(
        label("source", "File the row came from"),
        Column(
            "line",
            Kind.INTEGER,
            "Line in a CSV file (the header is line 1), row number from 1 in Parquet",
            "line",
        ),
        day("trading_day", "Trading day of the row; null when it has none", nullable=True),
        text("instrument_key", "Instrument as far as it could be read", nullable=True),
        label("rule", "Short name of the rule that was broken"),
        label("column", "Column the reason is about", nullable=True),
        text("value", "Value found, as text", nullable=True),
        text("reason", "What was found and what was expected, in one sentence"),
        text("record", "The whole row as JSON"),
    ),
)

ACCOUNTING = Table(
    name="accounting",
    description="Where the rows of a trading day went, per kind of candle. "
    "received = accepted + quarantined + duplicates ignored + superseded. What a file held earlier counts "
    "by its accepted rows.",
    schemas=("raw",),
    key=("kind",),
    columns=(
        label("kind", "Kind of candle", KINDS),
        day("trading_day", "Trading day"),
        count("received", "Rows received", "rows"),
        count("accepted", "Rows accepted", "rows"),
        count("quarantined", "Rows quarantined", "rows"),
        count("duplicates_ignored", "Rows equal to an accepted or superseded row", "rows"),
        count("superseded", "Rows that a later file corrected, kept in raw.revisions", "rows"),
    ),
)

CANDLE_VALUES = (*PRICES, VOLUME, OPEN_INTEREST)


def _of_both(column: Column) -> tuple[Column, Column]:
    def named(which: str, words: str) -> Column:
        description = f"{column.description}: {words}"
        return replace(column, name=f"{which}_{column.name}", description=description)

    return named("old", "as known before"), named("new", "as corrected")


REVISIONS = Table(
    name="revisions",
    description="Corrections: one row for each time that a file brought other values for a bar than were known. The "
    "last ones are in raw.candles_1min and raw.candles_daily_history.",
    schemas=("raw",),
    key=("kind", "instrument_key", "timestamp", "revision"),
    columns=(
        label("kind", "Kind of candle", KINDS),
        INSTRUMENT_KEY,
        BAR_START,
        count("revision", "Number of the correction of this bar, from 1"),
        TRADING_DAY,
        label("changed", "Columns that changed, separated by commas"),
        *(column for of_bar in CANDLE_VALUES for column in _of_both(of_bar)),
        replace(INGESTED_AT, name="known_since", description="When the old values were taken in"),
        replace(INGESTED_AT, name="revised_at", description="When the new values were taken in"),
        label("old_source", "File that brought the old values"),
        label("new_source", "File that brought the new values"),
        label("old_state", "State of the old values when they were corrected", STATES),
        label("new_state", "State of the new values when they came", STATES),
    ),
)
