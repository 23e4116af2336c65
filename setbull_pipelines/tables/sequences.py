"""Tables of daily moves, the runs they form ("mamba" sequences), and what the runs say."""

from __future__ import annotations

import pandera.pandas as pa

from setbull_pipelines.tables.candles import COMPUTED_SCHEMAS
from setbull_pipelines.tables.columns import (
    AS_OF_DAY,
    INSTRUMENT_KEY,
    PRICES,
    SERIES,
    VOLUME,
    count,
    day,
    flag,
    label,
    text,
    value,
)
from setbull_pipelines.tables.contract import SCORE, Column, Kind, Table

BULLISH, BEARISH, NEUTRAL = "BULLISH", "BEARISH", "NEUTRAL"
MAMBA, NON_MAMBA = "MAMBA", "NON_MAMBA"
INSUFFICIENT_HISTORY = "insufficient_history"

TREND = label(
    "trend",
    "Side of EMA 50 on which at least 60 % of the closes lie; NEUTRAL when neither or when unknown",
    (BULLISH, BEARISH, NEUTRAL),
)
SEQUENCE_KIND = label("kind", "Run of mamba days or of other days", (MAMBA, NON_MAMBA))
POSITIVE_LENGTH = Column(
    "length", Kind.INTEGER, "Days of the run", "days", checks=(pa.Check.ge(1),)
)

MOVES_DAILY = Table(
    name="moves_daily",
    description="The last 21 daily bars of an instrument up to the as-of day, as moves: size, strength, "
    "side of EMA 50, and whether the day is a mamba day (a strong move with the trend). Prices and volumes are "
    "adjusted for the corporate actions up to the as-of day.",
    schemas=COMPUTED_SCHEMAS,
    key=("instrument_key", "move_day"),
    columns=(
        INSTRUMENT_KEY,
        day("move_day", "Trading day of the bar"),
        AS_OF_DAY,
        SERIES,
        *PRICES,
        VOLUME,
        value("ema_50", "EMA 50 of the bar", "rupees"),
        flag("is_above_ema", "True when close >= EMA 50; null without EMA 50", nullable=True),
        value(
            "move_percent",
            "Rise from the open, or fall measured from the close; never negative",
            "percent",
            nullable=False,
        ),
        flag("is_bullish", "True when close > open"),
        value(
            "strength",
            "min(move_percent / 10, 1) x 0.7 + min(volume / mean volume - 1, 1) x 0.3",
            "score",
            tolerance=SCORE,
            nullable=False,
        ),
        TREND,
        flag("is_mamba", "Strong move with the trend: > 5 % up in BULLISH, > 3 % down in BEARISH"),
        value("mamba_strength", "strength on mamba days, null on others", "score", tolerance=SCORE),
    ),
)

SEQUENCES = Table(
    name="sequences",
    description="Runs of consecutive mamba or non-mamba days within the look-back of the as-of day.",
    schemas=COMPUTED_SCHEMAS,
    key=("instrument_key", "sequence_number"),
    columns=(
        INSTRUMENT_KEY,
        Column(
            "sequence_number",
            Kind.INTEGER,
            "1 is the earliest run",
            "position",
            checks=(pa.Check.ge(1),),
        ),
        AS_OF_DAY,
        SERIES,
        SEQUENCE_KIND,
        POSITIVE_LENGTH,
        day("start_day", "First trading day of the run"),
        day("end_day", "Last trading day of the run"),
        value(
            "strength",
            "Mean mamba_strength of the days; 0 for NON_MAMBA",
            "score",
            tolerance=SCORE,
            nullable=False,
        ),
        value(
            "return_percent",
            "(last close - first open) / first open x 100",
            "percent",
            tolerance=SCORE,
            nullable=False,
        ),
        count(
            "total_volume",
            "Shares traded over the run; null where a volume is not known",
            "shares",
            nullable=True,
        ),
        count(
            "gap_days_to_next",
            "Calendar days from the end of this run to the start of the next; null for the last",
            "days",
            nullable=True,
        ),
    ),
)

SEQUENCE_ANALYSIS = Table(
    name="sequence_analysis",
    description="One row per instrument and as-of day: trend, run lengths, scores, volume profile, "
    "dominant pattern.",
    schemas=COMPUTED_SCHEMAS,
    key=("instrument_key",),
    columns=(
        INSTRUMENT_KEY,
        AS_OF_DAY,
        SERIES,
        TREND,
        label(
            "trend_reason",
            "Why the trend is unknown; null when it is known",
            (INSUFFICIENT_HISTORY,),
            nullable=True,
        ),
        day("start_day", "First day of the look-back"),
        day("end_day", "Last day of the look-back"),
        count("days", "Daily bars in the look-back", "days"),
        count("days_above_ema", "Days with close >= EMA 50", "days"),
        count("days_below_ema", "Days with close < EMA 50", "days"),
        value(
            "trend_percent",
            "Larger of the two day counts / days x 100; null when the trend is unknown",
            "percent",
        ),
        count("mamba_days", "Mamba days in the look-back", "days"),
        count("non_mamba_days", "Other days in the look-back", "days"),
        count("sequences", "Runs of both kinds"),
        count("mamba_sequences", "Runs of mamba days"),
        count("non_mamba_sequences", "Runs of other days"),
        text("mamba_series", "Lengths of the mamba runs in time order, as a JSON list"),
        text("non_mamba_series", "Lengths of the other runs in time order, as a JSON list"),
        count("longest_mamba_sequence", "Length of the longest mamba run; 0 without one", "days"),
        count("long_gaps", "Runs of other days longer than 6 days (setting long_run_days)"),
        value("average_mamba_length", "Mean length of the mamba runs; null without one", "days"),
        value(
            "average_non_mamba_length", "Mean length of the other runs; null without one", "days"
        ),
        label("current_kind", "Kind of the last run", (MAMBA, NON_MAMBA)),
        count("current_length", "Length of the last run", "days"),
        value(
            "length_score",
            "Sum over mamba runs of min(length / 5, 1), / all runs",
            "score",
            tolerance=SCORE,
        ),
        value(
            "strength_score",
            "Mean strength of the mamba runs; 0 without one",
            "score",
            tolerance=SCORE,
        ),
        value(
            "consistency_score",
            "1 - min(sample variance of mamba run lengths / 10, 1)",
            "score",
            tolerance=SCORE,
        ),
        value(
            "quality_score", "0.3 length + 0.4 strength + 0.3 consistency", "score", tolerance=SCORE
        ),
        value(
            "continuity_score",
            "1 - (mean gap of at most 5 days) / 5, at least 0",
            "score",
            tolerance=SCORE,
        ),
        value(
            "predictive_score",
            "Share of equal neighbours continued; always 0, since runs alternate",
            "score",
            tolerance=SCORE,
        ),
        value(
            "momentum_score",
            "0.7 recency-weighted + 0.3 plain mean strength of the last 5 runs",
            "score",
            tolerance=SCORE,
        ),
        value("volume_average", "Mean volume of the days", "shares"),
        value(
            "volume_strength",
            "Sum over mamba runs of (mean volume / volume_average), / all runs",
            "ratio",
            tolerance=SCORE,
        ),
        value(
            "volume_trend",
            "tanh(least-squares slope of volume per day / 1,000,000)",
            "score",
            tolerance=SCORE,
        ),
        value(
            "volume_trend_relative",
            "Least-squares slope of volume per day / volume_average",
            "ratio per day",
            tolerance=SCORE,
        ),
        value(
            "volume_consistency",
            "1 - min(sample deviation of volume / volume_average, 1)",
            "score",
            tolerance=SCORE,
        ),
        text(
            "dominant_pattern",
            "KIND-length with the largest frequency x strength x success rate; always null, since that rate is never "
            "above 0",
            nullable=True,
        ),
        text(
            "dominant_by_continuation",
            "KIND-length with the largest frequency x strength x continuation rate; null when none is above 0",
            nullable=True,
        ),
    ),
)

SEQUENCE_PATTERNS = Table(
    name="sequence_patterns",
    description="Runs of the same kind and length (2 days or more) counted per instrument and as-of day.",
    schemas=COMPUTED_SCHEMAS,
    key=("instrument_key", "pattern_rank"),
    columns=(
        INSTRUMENT_KEY,
        Column(
            "pattern_rank",
            Kind.INTEGER,
            "1 is first by frequency, then strength (both falling), kind, length (both rising)",
            "position",
            checks=(pa.Check.ge(1),),
        ),
        AS_OF_DAY,
        SEQUENCE_KIND,
        POSITIVE_LENGTH,
        count("frequency", "Runs of this kind and length"),
        value("strength", "Mean strength of these runs", "score", tolerance=SCORE, nullable=False),
        value(
            "average_gap_days",
            "Mean gap to the next run, of the runs that have one; null without",
            "days",
        ),
        value(
            "average_return_percent",
            "Mean return of these runs",
            "percent",
            tolerance=SCORE,
            nullable=False,
        ),
        value(
            "success_rate",
            "Share, of the runs that have a next run, whose next run is of the same kind: 0, as runs alternate; null "
            "without",
            "ratio",
            tolerance=SCORE,
        ),
        value(
            "continuation_rate",
            "Share, of the runs that have a next run, after which prices moved with the trend; "
            "null without trend or next run",
            "ratio",
            tolerance=SCORE,
        ),
    ),
)
