"""Tables of stock groups: what a person listed, what of it was refused, and the plan of entries made of it."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from setbull_pipelines.tables.actions import CORPORATE_ACTIONS
from setbull_pipelines.tables.candles import CANDLES_5MIN, CANDLES_DAILY
from setbull_pipelines.tables.checks import Rule, above, at_most
from setbull_pipelines.tables.columns import (
    INSTRUMENT_KEY,
    TRADING_DAY,
    count,
    day,
    flag,
    label,
    text,
    value,
)
from setbull_pipelines.tables.contract import EXACT, Column, Kind, Table
from setbull_pipelines.tables.indicators import INDICATORS_DAILY
from setbull_pipelines.tables.raw import QUARANTINE

FIRST_ENTRY, SECOND_ENTRY, BB_RANGE = "1ST_ENTRY", "2_30_ENTRY", "BB_RANGE"
ENTRY_TYPES = (FIRST_ENTRY, SECOND_ENTRY, BB_RANGE)
LONG, SHORT = "LONG", "SHORT"
DIRECTIONS = (LONG, SHORT)
FIXED, DYNAMIC = "FIXED", "DYNAMIC"
POSITION_TYPES = (FIXED, DYNAMIC)
LEVELS = {"1": 1.0, "1_25": 1.25, "1_5": 1.5, "1_75": 1.75, "2": 2.0}
"""The entries of a plan by the end of their column names: distances from the stop, in risks per share."""

_GROUP_ID = label("group_id", "Name of the group, as in its file")
_ENTRY_TYPE = label("entry_type", "When the group enters", ENTRY_TYPES)
_STOP_LOSS = Column(
    "stop_loss_percent",
    Kind.FLOAT,
    "Distance of the stop from the entry",
    "percent",
    checks=(above(0), at_most(5)),
)
_POSITION_TYPE = label(
    "position_type",
    "DYNAMIC: five equal legs; FIXED: all at the entry and a tenth more at each further level",
    POSITION_TYPES,
)

STOCK_GROUPS = Table(
    name="stock_groups",
    description="The stock groups in force: one row per group and instrument, from the file that groups.file names.",
    schemas=("raw",),
    key=("group_id", "instrument_key"),
    partitioned=False,
    columns=(
        _GROUP_ID,
        INSTRUMENT_KEY,
        _ENTRY_TYPE,
        label(
            "direction",
            "Side that the file asks for; null: EMA 50 decides",
            DIRECTIONS,
            nullable=True,
        ),
        _STOP_LOSS,
        _POSITION_TYPE,
        count("line", "Line of the file, its header is line 1", "line"),
    ),
)

STOCK_GROUPS_QUARANTINE = replace(
    QUARANTINE,
    name="stock_groups_quarantine",
    description="Every row of the file of groups that was not accepted, with the reason: it is in no plan. "
    "accepted + quarantined = rows of the file.",
    partitioned=False,
)


def _planned(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["is_planned"]]


def _stop_is_behind_the_entry(frame: pd.DataFrame) -> bool:
    rows = _planned(frame)
    is_long = rows["direction"] == LONG
    return bool(((rows["stop_price"] < rows["entry_price"]) == is_long).all())


def _all_or_nothing(frame: pd.DataFrame) -> bool:
    numbers = frame[["entry_price", "stop_price", "risk_per_share", "quantity"]]
    return bool((numbers.notna().all(axis=1) >= frame["is_planned"]).all())


_ENTERED_BY = STOCK_GROUPS.sources("entry_type")
"""Decides at which bar a plan is made."""
_RANGE = _ENTERED_BY + CANDLES_5MIN.sources("timestamp", "high", "low")
_BEFORE = INDICATORS_DAILY.sources("series", "trading_day", "is_warm", "bars_of_history")
"""Which daily bar is used, and whether its indicators may be."""
_DAILY_ATR = INDICATORS_DAILY.sources("atr") + _BEFORE
_SIDE = (
    *STOCK_GROUPS.sources("direction"),
    *CANDLES_DAILY.sources("close"),
    *INDICATORS_DAILY.sources("ema_50"),
    *_BEFORE,
)
_ENTRY = _RANGE + _SIDE
_STOP = _ENTRY + STOCK_GROUPS.sources("stop_loss_percent")
_LEGS = _STOP + STOCK_GROUPS.sources("position_type")
_COMPARED = _RANGE + _DAILY_ATR + CORPORATE_ACTIONS.sources("ex_date")

GROUP_EXECUTION_PLAN = Table(
    name="group_execution_plan",
    description="Where the instruments of the stock groups would be entered: one row per group and instrument, from "
    "served bars that had closed at the entry time and from daily indicators of the session before. A plan to read: "
    "nothing here places an order.",
    schemas=("served",),
    key=("group_id", "instrument_key"),
    columns=(
        *STOCK_GROUPS.handed_on(_GROUP_ID, INSTRUMENT_KEY),
        *CANDLES_5MIN.handed_on(TRADING_DAY),
        *STOCK_GROUPS.handed_on(_ENTRY_TYPE),
        Column(
            "entry_time",
            Kind.TIMESTAMP,
            "When the plan could be made: the end of the bar that is entered on; null for a type without a time",
            nullable=True,
            sources=_ENTERED_BY,
        ),
        flag("is_planned", "True when there are entry, stop and quantity", sources=_STOP),
        text(
            "reason",
            "How the direction was found; of an instrument that is not planned, why not",
            sources=_STOP,
        ),
        label("direction", "Side of the entry", DIRECTIONS, nullable=True, sources=_SIDE),
        day(
            "indicators_day",
            "Session before the day, whose daily indicators were used",
            nullable=True,
            sources=CANDLES_DAILY.sources("trading_day") + INDICATORS_DAILY.sources("trading_day"),
        ),
        value(
            "morning_range",
            "High - low of the first five-minute bar of the session; null while it is not there",
            "rupees",
            tolerance=EXACT,
            sources=_RANGE,
        ),
        value(
            "daily_atr",
            "ATR 14 of the indicators' day",
            "rupees",
            sources=_DAILY_ATR + _ENTERED_BY,
        ),
        value(
            "atr_to_morning_range",
            "daily_atr / morning_range; null where either is missing or the range is 0",
            "ratio",
            sources=_COMPARED,
        ),
        text(
            "range_reason",
            "Why atr_to_morning_range is null; null where it is not",
            nullable=True,
            sources=_COMPARED,
        ),
        value(
            "entry_price",
            "High (LONG) or low (SHORT) of the bar that is entered on: level 1",
            "rupees",
            tolerance=EXACT,
            sources=_ENTRY,
        ),
        *STOCK_GROUPS.handed_on(_STOP_LOSS),
        value(
            "stop_price",
            "Level 0: the stop, in steps of 0.05",
            "rupees",
            tolerance=EXACT,
            sources=_STOP,
        ),
        value(
            "risk_per_share",
            "|entry_price - stop_price|",
            "rupees",
            tolerance=EXACT,
            sources=_STOP,
        ),
        value(
            "risk",
            "What the instrument may lose, from the settings",
            "rupees",
            nullable=False,
            sources=_ENTERED_BY,
        ),
        count(
            "quantity",
            "Whole shares that the risk allows",
            "shares",
            nullable=True,
            sources=_STOP,
        ),
        *STOCK_GROUPS.handed_on(_POSITION_TYPE),
        *(
            value(
                f"level_{name}",
                f"Price of the entry at level {level:g}",
                "rupees",
                tolerance=EXACT,
                sources=_STOP,
            )
            for name, level in LEVELS.items()
            if name != "1"
        ),
        *(
            count(
                f"quantity_{name}",
                f"Shares of the leg at level {level:g}",
                "shares",
                nullable=True,
                sources=_LEGS,
            )
            for name, level in LEVELS.items()
        ),
    ),
    rules=(
        Rule("the stop is below a LONG and above a SHORT entry", _stop_is_behind_the_entry),
        Rule("a planned instrument has entry, stop, risk and quantity", _all_or_nothing),
    ),
)
