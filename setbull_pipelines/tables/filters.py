"""The table of filter results: one verdict per instrument and as-of day, with the reason of every stage."""

from __future__ import annotations

from setbull_pipelines.tables.candles import COMPUTED_SCHEMAS
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
from setbull_pipelines.tables.contract import EXACT, SCORE, Table

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

FILTER_RESULTS = Table(
    name="filter_results",
    description="Verdict of the filter stages basic, ema, rsi, mamba for every instrument with a daily "
    "bar in the look-back. Columns of stages that were not reached are null.",
    schemas=COMPUTED_SCHEMAS,
    key=("instrument_key",),
    columns=(
        INSTRUMENT_KEY,
        AS_OF_DAY,
        label("profile", "Settings profile of the thresholds"),
        label(
            "series", SERIES.description + "; null without a bar on the as-of day", nullable=True
        ),
        label("verdict", "Result of the whole chain", VERDICTS),
        label(
            "side",
            "Direction set by the EMA stage; null before it",
            ("BULLISH", "BEARISH"),
            nullable=True,
        ),
        label(
            "stopped_at",
            "Stage that ended the chain; null when all stages passed",
            STAGES,
            nullable=True,
        ),
        text("reason", "Why the chain ended where it did, in words"),
        flag("basic_passed", "Price and volume are in range", nullable=True),
        value("close", "Close of the as-of day", "rupees", tolerance=EXACT),
        count(
            "average_volume",
            "Mean volume of the last 10 bars, rounded down",
            "shares",
            nullable=True,
        ),
        text("basic_threshold", "Limits of the basic stage", nullable=True),
        text("basic_reason", "Outcome of the basic stage in words", nullable=True),
        flag("ema_passed", "Close is far enough from EMA 50", nullable=True),
        value("ema_50", "EMA 50 of the as-of day", "rupees"),
        value("ema_deviation", "(close - EMA 50) / EMA 50", "ratio", tolerance=SCORE),
        value(
            "ema_threshold",
            "Deviation that must be exceeded on either side",
            "ratio",
            tolerance=EXACT,
        ),
        text("ema_reason", "Outcome of the EMA stage in words", nullable=True),
        flag("rsi_passed", "RSI 14 supports the side", nullable=True),
        value("rsi", "RSI 14 of the as-of day", "0 to 100"),
        value(
            "rsi_threshold",
            "Lowest RSI of a bullish, highest of a bearish stock",
            "0 to 100",
            tolerance=EXACT,
        ),
        text("rsi_reason", "Outcome of the RSI stage in words", nullable=True),
        flag(
            "mamba_passed",
            "Enough mamba days, few long gaps, trend on the same side",
            nullable=True,
        ),
        value("mamba_ratio", "Mamba days / look-back days", "ratio"),
        value("mamba_threshold", "Smallest mamba ratio", "ratio", tolerance=EXACT),
        text("mamba_reason", "Outcome of the mamba stage in words", nullable=True),
        label("trend", "Trend of the look-back", ("BULLISH", "BEARISH", "NEUTRAL"), nullable=True),
        count("mamba_count", "Mamba days in the look-back", "days", nullable=True),
        count(
            "bullish_mamba_count",
            "Mamba days when the trend is BULLISH, else 0",
            "days",
            nullable=True,
        ),
        count(
            "bearish_mamba_count",
            "Mamba days when the trend is BEARISH, else 0",
            "days",
            nullable=True,
        ),
        value("average_mamba_length", "Mean length of the mamba runs", "days"),
        value("average_non_mamba_length", "Mean length of the other runs", "days"),
        text(
            "mamba_series", "Lengths of the mamba runs in time order, as a JSON list", nullable=True
        ),
        text(
            "non_mamba_series",
            "Lengths of the other runs in time order, as a JSON list",
            nullable=True,
        ),
    ),
)
