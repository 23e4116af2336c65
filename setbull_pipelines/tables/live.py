"""Tables of live bars: the events that readers are sent, and how far each receiver is.

Belongs here: the two tables. Does not belong here: which events there are (``pipeline/candle_events.py``), sending.
"""

from __future__ import annotations

from dataclasses import replace

from setbull_pipelines.tables.bb_width import BB_WIDTH_ALERTS
from setbull_pipelines.tables.candles import CANDLES_5MIN
from setbull_pipelines.tables.columns import (
    BAR_START,
    INSTRUMENT_KEY,
    TRADING_DAY,
    count,
    label,
    text,
)
from setbull_pipelines.tables.contract import Column, Kind, Table
from setbull_pipelines.tables.indicators import INDICATORS_5MIN

CANDLE, REVISION, REMOVAL = CANDLE_EVENT_KINDS = ("candle", "revision", "removal")
_NULLABLE = {Kind.INTEGER: Kind.NULLABLE_INTEGER, Kind.BOOLEAN: Kind.NULLABLE_BOOLEAN}
_ALWAYS = "null in a removal"
_OF_THE_NEWEST = "null of a bar that was not the newest with a band when it was sent"


def _sent(table: Table, names: tuple[str, ...], null_rule: str = _ALWAYS) -> tuple[Column, ...]:
    """Columns of a served table as readers are sent them: what they mean, and no more of how they are computed."""
    return tuple(
        Column(
            column.name,
            _NULLABLE.get(column.kind, column.kind),
            column.description,
            column.unit,
            nullable=True,
            null_rule="; ".join(filter(None, (column.null_rule, null_rule))),
        )
        for column in map(table.column, names)
    )


OF_BAR = (
    *_sent(
        CANDLES_5MIN,
        ("open", "high", "low", "close", "volume", "open_interest", "is_complete"),
    ),
    *_sent(
        INDICATORS_5MIN,
        tuple(
            column.name
            for column in INDICATORS_5MIN.value_columns
            if column.name not in ("trading_day", "bars_of_history")
        ),
    ),
    *_sent(BB_WIDTH_ALERTS, ("lowest_bb_width", "alert_rule")),
)
"""What is known of a bar, whenever it is looked at."""
OF_NEWEST = _sent(
    BB_WIDTH_ALERTS,
    (
        *("distance_from_lowest_percent", "candles_in_range", "contracting_bands"),
        *("bb_width_trend", "pattern_strength", "is_squeeze"),
    ),
    _OF_THE_NEWEST,
)
"""What the band-width monitor says of the newest bar of an instrument, as long as it is the newest."""

CANDLE_EVENTS = Table(
    name="candle_events",
    description="What readers are sent of the sessions that were refreshed while they traded: one row per event, never "
    "changed. Numbers are rounded as the API rounds them, so that which variant serves makes no event.",
    schemas=("operations",),
    key=("event_id",),
    columns=(
        count("event_id", "1, 2, 3 ... in the order of sending, over all sessions", "event"),
        label(
            "event",
            "'candle': the next bar of its instrument has closed; 'revision': a bar up to the last one sent has other "
            "values, or came late; 'removal': a bar that was sent is not there any more",
            CANDLE_EVENT_KINDS,
        ),
        count("revision", "1 when the bar is sent for the first time, then 2, 3 ...", "revision"),
        INSTRUMENT_KEY,
        replace(BAR_START, description="Start of the bar"),
        TRADING_DAY,
        *OF_BAR,
        *OF_NEWEST,
    ),
)

CANDLE_RECEIVERS = Table(
    name="candle_receivers",
    description="How far each receiver of events is: one row per webhook and one for the function of the settings.",
    schemas=("operations",),
    key=("receiver",),
    partitioned=False,
    columns=(
        label("receiver", "Environment variable with the address, or 'on_candle_close'"),
        count("delivered_event", "Number of the last event that it accepted", "event"),
        count("attempts", "Attempts since then that it did not accept", "attempts"),
        Column(
            "next_attempt_at",
            Kind.TIMESTAMP,
            "Nothing is sent before, since an attempt is under way or failed; null when neither",
            nullable=True,
        ),
        Column(
            "delivered_at", Kind.TIMESTAMP, "When it accepted events the last time", nullable=True
        ),
        text("last_error", "Why the last attempt failed, without secrets", nullable=True),
    ),
)
