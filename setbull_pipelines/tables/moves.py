"""The table of daily moves: how far and with how much volume a stock moved, and whether it was with the trend."""

from __future__ import annotations

from dataclasses import replace

from setbull_pipelines.tables.actions import ADJUSTMENT
from setbull_pipelines.tables.candles import CANDLES_DAILY, COMPUTED_SCHEMAS
from setbull_pipelines.tables.columns import (
    AS_OF_DAY,
    INSTRUMENT_KEY,
    PRICES,
    SERIES,
    VOLUME,
    day,
    flag,
    label,
    value,
)
from setbull_pipelines.tables.contract import SCORE, Table
from setbull_pipelines.tables.indicators import INDICATORS_DAILY
from setbull_pipelines.tables.oracles import (
    HAND_MOVES,
    HAND_SQUEEZED,
    HAND_STRENGTH,
    HAND_TREND,
)

BULLISH, BEARISH, NEUTRAL = "BULLISH", "BEARISH", "NEUTRAL"

_EMA = INDICATORS_DAILY.sources("ema_50")
_CHANNEL = INDICATORS_DAILY.sources("bb_upper", "bb_lower", "ema_20", "atr")
_AGAINST_EMA = CANDLES_DAILY.sources("close") + _EMA + ADJUSTMENT
_NO_EMA = "null where EMA 50 is"
_STRENGTH = CANDLES_DAILY.sources("open", "close", "volume")

TREND = label(
    "trend",
    "Side of EMA 50 on which at least 60 % of the closes lie; NEUTRAL when neither or when unknown",
    (BULLISH, BEARISH, NEUTRAL),
    formula="BEARISH if closes below EMA 50 are 60 % of the 21 days or more, else BULLISH if those at or above are, "
    "else NEUTRAL",
    warm_up="21 days with EMA 50, NEUTRAL before",
    sources=_AGAINST_EMA,
    oracles=(HAND_TREND,),
)

MOVES_DAILY = Table(
    name="moves_daily",
    description="The last 21 daily bars of an instrument up to the as-of day, as moves: size, strength, "
    "side of EMA 50, and whether the day is a mamba day (a strong move with the trend). Prices and volumes are "
    "adjusted for the corporate actions up to the as-of day.",
    schemas=COMPUTED_SCHEMAS,
    key=("instrument_key", "move_day"),
    columns=(
        *CANDLES_DAILY.handed_on(INSTRUMENT_KEY),
        day("move_day", "Trading day of the bar", sources=CANDLES_DAILY.sources("trading_day")),
        *CANDLES_DAILY.handed_on(AS_OF_DAY),
        replace(
            SERIES,
            sources=CANDLES_DAILY.sources("series") + INDICATORS_DAILY.sources("is_warm"),
        ),
        *(
            replace(
                column,
                formula=f"{column.name} of the daily bar, adjusted to the as-of day",
                sources=CANDLES_DAILY.sources(column.name) + ADJUSTMENT,
            )
            for column in (*PRICES, replace(VOLUME, null_rule="null where that of the bar is"))
        ),
        value(
            "ema_50",
            "EMA 50 of the bar",
            "rupees",
            formula="ema_50 of indicators_daily, adjusted to the as-of day",
            warm_up="50 daily bars",
            null_rule="null where indicators_daily has none",
            sources=_EMA + ADJUSTMENT,
            oracles=(HAND_TREND,),
        ),
        flag(
            "is_above_ema",
            "True when close >= EMA 50; null without EMA 50",
            formula="close >= ema_50",
            null_rule=_NO_EMA,
            sources=_AGAINST_EMA,
            oracles=(HAND_TREND,),
        ),
        flag(
            "is_squeezed",
            "Bollinger bands inside the Keltner channel; null while one of the two has no value",
            formula="bb_upper < ema_20 + 1.5 x atr and bb_lower > ema_20 - 1.5 x atr, of indicators_daily; within 1e-9 "
            "of the channel is at it, and not inside",
            warm_up="20 daily bars",
            null_rule="null where bb_upper, bb_lower, ema_20 or atr is",
            sources=_CHANNEL + ADJUSTMENT,
            oracles=(HAND_SQUEEZED,),
        ),
        value(
            "move_percent",
            "Rise from the open, or fall measured from the close; never negative",
            "percent",
            nullable=False,
            formula="close > open: (close - open) / open x 100; else (open - close) / close x 100",
            sources=CANDLES_DAILY.sources("open", "close") + ADJUSTMENT,
        ),
        flag(
            "is_bullish",
            "True when close > open",
            sources=CANDLES_DAILY.sources("open", "close") + ADJUSTMENT,
        ),
        value(
            "strength",
            "min(move_percent / 10, 1) x 0.7 + min(volume / mean volume - 1, 1) x 0.3",
            "score",
            tolerance=SCORE,
            nullable=False,
            formula="0.7 x min(move_percent / 10, 1) + 0.3 x min(volume / mean volume of the 21 days - 1, 1); the "
            "second term is 0 where that mean is 0",
            sources=_STRENGTH + ADJUSTMENT,
            oracles=(HAND_STRENGTH,),
        ),
        TREND,
        flag(
            "is_mamba",
            "Strong move with the trend: > 5 % up in BULLISH, > 3 % down in BEARISH",
            formula="strength >= 0.1, and (trend BULLISH, close > open, move_percent > 5) or (trend BEARISH, close <= "
            "open, move_percent > 3); within 1e-9 of a limit is at it, so a rise of exactly 5 % is never above",
            warm_up="as trend",
            sources=_STRENGTH + _EMA + ADJUSTMENT,
        ),
        value(
            "mamba_strength",
            "strength on mamba days, null on others",
            "score",
            tolerance=SCORE,
            formula="strength where is_mamba",
            null_rule="null on other days",
            sources=_STRENGTH + _EMA + ADJUSTMENT,
            oracles=(HAND_STRENGTH,),
        ),
    ),
    oracles=(HAND_MOVES,),
)
