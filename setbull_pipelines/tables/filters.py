"""The table of filter results: one verdict per instrument and as-of day, with the reason of every stage."""

from __future__ import annotations

from setbull_pipelines.tables.actions import ADJUSTMENT
from setbull_pipelines.tables.candles import CANDLES_DAILY, COMPUTED_SCHEMAS
from setbull_pipelines.tables.columns import (
    AS_OF_DAY,
    INSTRUMENT_KEY,
    SERIES,
    count,
    flag,
    label,
    text,
    value,
)
from setbull_pipelines.tables.contract import EXACT, SCORE, Column, Facts, Table
from setbull_pipelines.tables.indicators import INDICATORS_DAILY, WARM
from setbull_pipelines.tables.oracles import HAND_BULLISH, HAND_PASSING, HAND_STAGES, REPORT
from setbull_pipelines.tables.sequence_analysis import SEQUENCE_ANALYSIS

VERDICT_BULLISH, VERDICT_BEARISH = "bullish", "bearish"
VERDICT_REJECTED, VERDICT_NOT_ENOUGH_DATA = "rejected", "not enough data"
VERDICTS = (VERDICT_BULLISH, VERDICT_BEARISH, VERDICT_REJECTED, VERDICT_NOT_ENOUGH_DATA)
PASSING_VERDICTS = (VERDICT_BULLISH, VERDICT_BEARISH)
STAGES = ("basic", "ema", "rsi", "mamba")
RANK_ORDER = {"mamba_count": False, "instrument_key": True}
"""How the bullish and the bearish instruments of a day are listed: column, and whether it ascends.

The order of the top-10 list of the replaced system: most mamba days first; its ties, which had no order,
are broken by instrument as everywhere.
"""

_VOLUME = CANDLES_DAILY.sources("volume") + ADJUSTMENT
_BASIC = (
    *CANDLES_DAILY.sources("trading_day", "close"),
    *_VOLUME,
    *INDICATORS_DAILY.sources("unexplained_gap"),
)
_CLOSE = CANDLES_DAILY.sources("close")
_EMA = _CLOSE + INDICATORS_DAILY.sources("ema_50", "is_warm", "bars_of_history")
_RSI = INDICATORS_DAILY.sources("rsi")
_MAMBA_DAYS = SEQUENCE_ANALYSIS.sources("mamba_days")
_MAMBA = SEQUENCE_ANALYSIS.sources(
    "mamba_days",
    "current_length",
    "longest_mamba_sequence",
    "mamba_sequences",
    "long_gaps",
    "trend",
    "trend_reason",
)
_CHAIN = tuple(dict.fromkeys(_BASIC + _EMA + _RSI + _MAMBA))
"""What all stages ask about."""


def _unless_decided(stage: str) -> str:
    """The null rule of what a stage decides, or holds a value against."""
    return f"null where the {stage} stage was not reached or had not enough data"


def _unless_reached(stage: str) -> str:
    return f"null where the {stage} stage was not reached"


_AT_MAMBA: Facts = {
    "null_rule": "null where the mamba stage was not reached or there is no analysis",
    "oracles": (HAND_PASSING,),
}


def _average_length(column: str, runs: str) -> Column:
    return value(
        column,
        f"Mean length of the {runs} runs",
        "days",
        formula=f"{column} of sequence_analysis",
        null_rule="null where the mamba stage was not reached, or there is no such run",
        sources=SEQUENCE_ANALYSIS.sources(column),
        oracles=(HAND_BULLISH,),
    )


FILTER_RESULTS = Table(
    name="filter_results",
    description="Verdict of the filter stages basic, ema, rsi, mamba for every instrument with a daily "
    "bar in the look-back. Columns of stages that were not reached are null.",
    schemas=COMPUTED_SCHEMAS,
    key=("instrument_key",),
    columns=(
        *CANDLES_DAILY.handed_on(INSTRUMENT_KEY, AS_OF_DAY),
        label(
            "profile",
            "Settings profile of the thresholds",
            sources=CANDLES_DAILY.sources("instrument_key"),
        ),
        label(
            "series",
            SERIES.description + "; null without a bar on the as-of day",
            formula="'exchange', unless only 'minutes' has a bar on the as-of day, or only its bar is warm",
            null_rule="null without a bar on the as-of day",
            sources=CANDLES_DAILY.sources("series") + INDICATORS_DAILY.sources("is_warm"),
        ),
        label(
            "verdict",
            "Result of the whole chain",
            VERDICTS,
            formula="'bullish' or 'bearish', as side, when all stages passed; else 'rejected', or 'not enough data' "
            "where a stage could not be decided",
            sources=_CHAIN,
            oracles=(REPORT, HAND_STAGES),
        ),
        label(
            "side",
            "Direction set by the EMA stage; null before it",
            ("BULLISH", "BEARISH"),
            formula="BULLISH if ema_deviation > 0.03, BEARISH if < -0.03; within 1e-9 of the limit is at it",
            null_rule="null until the ema stage is passed",
            sources=_EMA,
            oracles=(REPORT, HAND_STAGES),
        ),
        label(
            "stopped_at",
            "Stage that ended the chain; null when all stages passed",
            STAGES,
            null_rule="null when all stages passed",
            sources=_CHAIN,
        ),
        text("reason", "Why the chain ended where it did, in words", sources=_CHAIN),
        flag(
            "basic_passed",
            "Price and volume are in range",
            formula="50 <= close <= 1000 and average_volume >= 400,000",
            warm_up="10 daily bars",
            null_rule=_unless_decided("basic"),
            sources=_BASIC,
        ),
        value(
            "close",
            "Close of the as-of day",
            "rupees",
            tolerance=EXACT,
            formula="close of the daily bar",
            null_rule="null without a bar on the as-of day",
            sources=_CLOSE,
        ),
        count(
            "average_volume",
            "Mean volume of the last 10 bars, rounded down",
            "shares",
            formula="floor(sum of the last 10 volumes / 10)",
            warm_up="10 daily bars",
            null_rule=_unless_decided("basic"),
            sources=_VOLUME,
        ),
        text(
            "basic_threshold",
            "Limits of the basic stage",
            null_rule=_unless_decided("basic"),
            sources=CANDLES_DAILY.sources("close", "volume"),
        ),
        text(
            "basic_reason",
            "Outcome of the basic stage in words",
            null_rule="never null",
            sources=_BASIC,
        ),
        flag(
            "ema_passed",
            "Close is far enough from EMA 50",
            formula="|ema_deviation| > 0.03",
            warm_up=f"{WARM} daily bars (is_warm)",
            null_rule=_unless_decided("ema"),
            sources=_EMA,
        ),
        value(
            "ema_50",
            "EMA 50 of the as-of day",
            "rupees",
            formula="ema_50 of indicators_daily",
            warm_up="50 daily bars",
            null_rule="null where the ema stage was not reached, or the bar has none",
            sources=INDICATORS_DAILY.sources("ema_50"),
        ),
        value(
            "ema_deviation",
            "(close - EMA 50) / EMA 50",
            "ratio",
            tolerance=SCORE,
            formula="(close - ema_50) / ema_50",
            warm_up="50 daily bars",
            null_rule="null where ema_50 is",
            sources=_CLOSE + INDICATORS_DAILY.sources("ema_50"),
            oracles=(REPORT, HAND_PASSING),
        ),
        value(
            "ema_threshold",
            "Deviation that must be exceeded on either side",
            "ratio",
            tolerance=EXACT,
            formula="0.03",
            null_rule=_unless_decided("ema"),
            sources=_CLOSE + INDICATORS_DAILY.sources("ema_50"),
        ),
        text(
            "ema_reason",
            "Outcome of the EMA stage in words",
            null_rule=_unless_reached("ema"),
            sources=_EMA,
        ),
        flag(
            "rsi_passed",
            "RSI 14 supports the side",
            formula="BULLISH: rsi >= 50; BEARISH: rsi <= 55; within 1e-9 of the limit is at it",
            null_rule=_unless_decided("rsi"),
            sources=_RSI + _EMA,
        ),
        value(
            "rsi",
            "RSI 14 of the as-of day",
            "0 to 100",
            formula="rsi of indicators_daily",
            warm_up="15 daily bars",
            null_rule=_unless_reached("rsi"),
            sources=_RSI,
        ),
        value(
            "rsi_threshold",
            "Lowest RSI of a bullish, highest of a bearish stock",
            "0 to 100",
            tolerance=EXACT,
            formula="50 for BULLISH, 55 for BEARISH",
            null_rule=_unless_reached("rsi"),
            sources=_RSI + _EMA,
        ),
        text(
            "rsi_reason",
            "Outcome of the RSI stage in words",
            null_rule=_unless_reached("rsi"),
            sources=_RSI + _EMA,
        ),
        flag(
            "mamba_passed",
            "Enough mamba days, few long gaps, trend on the same side",
            formula="mamba_ratio >= 0.2; the last run, of either kind, or the longest mamba run has 1 day or more; at "
            "most 1 mamba run, or long_gaps <= floor(mamba runs / 3); trend = side",
            warm_up="21 days with EMA 50",
            null_rule=_unless_decided("mamba"),
            sources=_MAMBA + _EMA,
        ),
        value(
            "mamba_ratio",
            "Mamba days / look-back days",
            "ratio",
            formula="mamba_days / 21",
            null_rule=_AT_MAMBA["null_rule"],
            sources=_MAMBA_DAYS,
        ),
        value(
            "mamba_threshold",
            "Smallest mamba ratio",
            "ratio",
            tolerance=EXACT,
            formula="0.2",
            null_rule=_unless_decided("mamba"),
            sources=_MAMBA_DAYS,
        ),
        text(
            "mamba_reason",
            "Outcome of the mamba stage in words",
            null_rule=_unless_reached("mamba"),
            sources=_MAMBA + _EMA,
        ),
        label(
            "trend",
            "Trend of the look-back",
            ("BULLISH", "BEARISH", "NEUTRAL"),
            sources=SEQUENCE_ANALYSIS.sources("trend"),
            **_AT_MAMBA,
        ),
        count(
            "mamba_count", "Mamba days in the look-back", "days", sources=_MAMBA_DAYS, **_AT_MAMBA
        ),
        count(
            "bullish_mamba_count",
            "Mamba days when the trend is BULLISH, else 0",
            "days",
            sources=SEQUENCE_ANALYSIS.sources("mamba_days", "trend"),
            **_AT_MAMBA,
        ),
        count(
            "bearish_mamba_count",
            "Mamba days when the trend is BEARISH, else 0",
            "days",
            sources=SEQUENCE_ANALYSIS.sources("mamba_days", "trend"),
            **_AT_MAMBA,
        ),
        _average_length("average_mamba_length", "mamba"),
        _average_length("average_non_mamba_length", "other"),
        text(
            "mamba_series",
            "Lengths of the mamba runs in time order, as a JSON list",
            sources=SEQUENCE_ANALYSIS.sources("mamba_series"),
            **_AT_MAMBA,
        ),
        text(
            "non_mamba_series",
            "Lengths of the other runs in time order, as a JSON list",
            sources=SEQUENCE_ANALYSIS.sources("non_mamba_series"),
            **_AT_MAMBA,
        ),
    ),
    oracles=(HAND_STAGES, HAND_PASSING),
)
