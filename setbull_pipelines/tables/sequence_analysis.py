"""The table of what the runs of an instrument say: trend, run lengths, scores, volume profile, patterns."""

from __future__ import annotations

from setbull_pipelines.tables.candles import COMPUTED_SCHEMAS
from setbull_pipelines.tables.columns import (
    AS_OF_DAY,
    INSTRUMENT_KEY,
    SERIES,
    count,
    day,
    flag,
    label,
    text,
    value,
)
from setbull_pipelines.tables.contract import RELATIVE, SCORE, Column, Sources, Table, Tolerance
from setbull_pipelines.tables.moves import MOVES_DAILY, TREND
from setbull_pipelines.tables.oracles import (
    HAND_CONTINUATION,
    HAND_RUN_PATTERNS,
    HAND_SCORES,
    HAND_TREND,
)
from setbull_pipelines.tables.sequences import MAMBA, NON_MAMBA, SEQUENCES

INSUFFICIENT_HISTORY = "insufficient_history"

_HISTORY = MOVES_DAILY.sources("move_day", "ema_50")
_MOVE_DAY = MOVES_DAILY.sources("move_day")
_SIDES = MOVES_DAILY.sources("close", "ema_50")
_IS_MAMBA = MOVES_DAILY.sources("is_mamba")
_VOLUME = MOVES_DAILY.sources("volume")
_ORDER = SEQUENCES.sources("sequence_number")
_KINDS = SEQUENCES.sources("kind")
_LENGTHS = SEQUENCES.sources("kind", "length")
_RANKED = SEQUENCES.sources("kind", "length", "strength")
_NO_RUN = "null without such a run"
_NO_TREND = "null where trend_reason is not"
_NO_VOLUME = "null where the volume of a day is not known"


def _run_pattern(
    name: str, description: str, formula: str, *also: str, null_rule: str = _NO_TREND
) -> Column:
    """A pattern of the current run, which is one of mamba days; from its days and the columns ``also``."""
    return flag(
        name,
        description,
        formula=f"the last run is of mamba days, {formula}",
        warm_up="21 days with EMA 50",
        null_rule=null_rule,
        sources=MOVES_DAILY.sources("is_mamba", "trend", *also) + _HISTORY,
        oracles=(HAND_RUN_PATTERNS,),
    )


RUN_PATTERNS = (
    _run_pattern(
        "run_after_gap",
        "The current mamba run began with a gap with the trend that none of its days has filled",
        "and BULLISH: each low of it > high of the day before the run; BEARISH: each high of it < low of that day; "
        "its first day is at most 5 calendar days (setting continuity_maximum_gap_days) after that day",
        *("high", "low"),
    ),
    _run_pattern(
        "run_after_pull_back",
        "The current mamba run goes on beyond an earlier one, after a pull-back that kept half of that one's move",
        "and the run before it, of other days, has at most 6 (setting long_run_days) and follows one of mamba days; S "
        "the first open and E the last close of that one, C the last close, W the lowest (BEARISH: the highest) close "
        "of the other days. BULLISH: (S + E) / 2 <= W < E < C; BEARISH: (S + E) / 2 >= W > E > C",
        *("open", "close"),
    ),
    _run_pattern(
        "run_after_squeeze",
        "The day before the current mamba run was squeezed",
        "and is_squeezed of the day before the run",
        "is_squeezed",
    ),
    _run_pattern(
        "run_on_volume",
        "The current mamba run has 1.5 times the mean volume of the days before it, or more",
        "and mean volume of its days >= 1.5 x mean volume of all days of the look-back before the run, which is "
        "above 0",
        "volume",
        null_rule=f"{_NO_TREND}, or the volume of a day is not known",
    ),
)
"""What the days of the current run, and those before it, look like. Each is false for a run of other days, with a
trend that is NEUTRAL, and where the look-back has no day before the run. A price within 1e-9 of a limit is at it."""


def _score(
    name: str,
    description: str,
    formula: str,
    sources: Sources,
    unit: str = "score",
    tolerance: Tolerance = SCORE,
    null_rule: str = "never null for an instrument with a bar on the as-of day",
) -> Column:
    return value(
        name,
        description,
        unit,
        tolerance=tolerance,
        formula=formula,
        null_rule=null_rule,
        sources=sources,
    )


SEQUENCE_ANALYSIS = Table(
    name="sequence_analysis",
    description="One row per instrument and as-of day: trend, run lengths, scores, volume profile, "
    "dominant pattern, patterns of the current run.",
    schemas=COMPUTED_SCHEMAS,
    key=("instrument_key",),
    columns=(
        *MOVES_DAILY.handed_on(INSTRUMENT_KEY, AS_OF_DAY, SERIES, TREND),
        label(
            "trend_reason",
            "Why the trend is unknown; null when it is known",
            (INSUFFICIENT_HISTORY,),
            formula="'insufficient_history' with fewer than 21 days or a day without EMA 50",
            null_rule="null when the trend is known",
            sources=_HISTORY,
            oracles=(HAND_TREND, HAND_SCORES),
        ),
        day("start_day", "First day of the look-back", sources=_MOVE_DAY),
        day("end_day", "Last day of the look-back", sources=_MOVE_DAY),
        count("days", "Daily bars in the look-back", "days", sources=_HISTORY),
        count("days_above_ema", "Days with close >= EMA 50", "days", sources=_SIDES),
        count("days_below_ema", "Days with close < EMA 50", "days", sources=_SIDES),
        value(
            "trend_percent",
            "Larger of the two day counts / days x 100; null when the trend is unknown",
            "percent",
            formula="max(days_above_ema, days_below_ema) / days x 100",
            warm_up="21 days with EMA 50",
            null_rule=_NO_TREND,
            sources=_SIDES,
            oracles=(HAND_TREND, HAND_SCORES),
        ),
        count("mamba_days", "Mamba days in the look-back", "days", sources=_IS_MAMBA),
        count("non_mamba_days", "Other days in the look-back", "days", sources=_IS_MAMBA),
        count("sequences", "Runs of both kinds", sources=_ORDER),
        count("mamba_sequences", "Runs of mamba days", sources=_KINDS),
        count("non_mamba_sequences", "Runs of other days", sources=_KINDS),
        text(
            "mamba_series",
            "Lengths of the mamba runs in time order, as a JSON list",
            sources=_LENGTHS + _ORDER,
        ),
        text(
            "non_mamba_series",
            "Lengths of the other runs in time order, as a JSON list",
            sources=_LENGTHS + _ORDER,
        ),
        count(
            "longest_mamba_sequence",
            "Length of the longest mamba run; 0 without one",
            "days",
            sources=_LENGTHS,
        ),
        count(
            "long_gaps",
            "Runs of other days longer than 6 days (setting long_run_days)",
            sources=_LENGTHS,
        ),
        value(
            "average_mamba_length",
            "Mean length of the mamba runs; null without one",
            "days",
            formula="mean length of the mamba runs",
            null_rule=_NO_RUN,
            sources=_LENGTHS,
        ),
        value(
            "average_non_mamba_length",
            "Mean length of the other runs; null without one",
            "days",
            formula="mean length of the other runs",
            null_rule=_NO_RUN,
            sources=_LENGTHS,
        ),
        label("current_kind", "Kind of the last run", (MAMBA, NON_MAMBA), sources=_KINDS + _ORDER),
        count(
            "current_length",
            "Length of the last run",
            "days",
            sources=SEQUENCES.sources("length") + _ORDER,
        ),
        _score(
            "length_score",
            "Sum over mamba runs of min(length / 5, 1), / all runs",
            "sum over mamba runs of min(length / 5, 1) / number of all runs",
            _LENGTHS,
        ),
        _score(
            "strength_score",
            "Mean strength of the mamba runs; 0 without one",
            "mean strength of the mamba runs; 0 without one",
            SEQUENCES.sources("kind", "strength"),
        ),
        _score(
            "consistency_score",
            "1 - min(sample variance of mamba run lengths / 10, 1)",
            "max(0, 1 - min(sample variance of the mamba run lengths / 10, 1)); 0 with fewer than 2 mamba runs",
            _LENGTHS,
        ),
        _score(
            "quality_score",
            "0.3 length + 0.4 strength + 0.3 consistency",
            "0.3 x length_score + 0.4 x strength_score + 0.3 x consistency_score",
            _RANKED,
        ),
        _score(
            "continuity_score",
            "1 - (mean gap of at most 5 days) / 5, at least 0",
            "max(0, 1 - g / 5), g the mean of the gaps of at most 5 days between runs; 0 without such a gap",
            SEQUENCES.sources("gap_days_to_next") + _ORDER,
        ),
        _score(
            "predictive_score",
            "Share of equal neighbours continued; always 0, since runs alternate",
            "of two neighbouring runs of one kind, the share followed by a third of that kind; 0 without such "
            "neighbours. Runs alternate between the kinds, so that it is always 0: a column of the replaced system",
            _KINDS + _ORDER,
        ),
        _score(
            "momentum_score",
            "0.7 recency-weighted + 0.3 plain mean strength of the last 5 runs",
            "over the last 5 runs, j = 1 the oldest: 0.7 x sum of (strength x j) / sum of j + 0.3 x mean strength",
            SEQUENCES.sources("strength") + _ORDER,
        ),
        _score(
            "volume_average",
            "Mean volume of the days",
            "mean volume of the days",
            _VOLUME,
            "shares",
            RELATIVE,
            null_rule=_NO_VOLUME,
        ),
        _score(
            "volume_strength",
            "Sum over mamba runs of (mean volume / volume_average), / all runs",
            "sum over mamba runs of (mean volume of the run / volume_average) / number of all runs; 0 where "
            "volume_average is 0",
            _VOLUME + SEQUENCES.sources("kind", "length", "total_volume"),
            "ratio",
            null_rule=_NO_VOLUME,
        ),
        _score(
            "volume_trend",
            "tanh(least-squares slope of volume per day / 1,000,000)",
            "tanh(s / 1,000,000), s the least-squares slope of volume on 0, 1, 2, ...: 6 W / (n (n^2 - 1)) over n "
            "days, W = sum of (2 i - (n - 1)) x volume, i = 0 the first day, in whole numbers; 0 with fewer than 2 "
            "days",
            _VOLUME,
            null_rule=_NO_VOLUME,
        ),
        _score(
            "volume_trend_relative",
            "Least-squares slope of volume per day / volume_average",
            "s / volume_average, s as for volume_trend; 0 where volume_average is 0",
            _VOLUME,
            "ratio per day",
            null_rule=_NO_VOLUME,
        ),
        _score(
            "volume_consistency",
            "1 - min(sample deviation of volume / volume_average, 1)",
            "max(0, 1 - min(sample deviation of volume / volume_average, 1)); 0 with fewer than 2 days or "
            "volume_average 0",
            _VOLUME,
            null_rule=_NO_VOLUME,
        ),
        text(
            "dominant_pattern",
            "KIND-length with the largest frequency x strength x success rate; always null, since that rate is never "
            "above 0",
            formula="KIND-length of the pattern with the largest frequency x strength x success_rate, the first in "
            "rank order",
            null_rule="null when none is above 0, which is always: success_rate is 0 or null, a column of the "
            "replaced system; dominant_by_continuation says what it was meant to say",
            sources=_RANKED + _ORDER,
        ),
        text(
            "dominant_by_continuation",
            "KIND-length with the largest frequency x strength x continuation rate; null when none is above 0",
            formula="KIND-length of the pattern with the largest frequency x strength x continuation_rate, the first "
            "in rank order",
            null_rule="null when none is above 0",
            sources=SEQUENCES.sources("kind", "length", "strength", "return_percent")
            + _ORDER
            + MOVES_DAILY.sources("trend"),
            oracles=(HAND_CONTINUATION,),
        ),
        *RUN_PATTERNS,
    ),
    oracles=(HAND_SCORES,),
)
