"""Tables of the runs that daily moves form ("mamba" sequences), and of the patterns among the runs."""

from __future__ import annotations

from dataclasses import replace

from setbull_pipelines.tables.candles import COMPUTED_SCHEMAS
from setbull_pipelines.tables.checks import at_least
from setbull_pipelines.tables.columns import (
    AS_OF_DAY,
    INSTRUMENT_KEY,
    SERIES,
    count,
    day,
    label,
    value,
)
from setbull_pipelines.tables.contract import SCORE, Column, Kind, Table
from setbull_pipelines.tables.moves import MOVES_DAILY
from setbull_pipelines.tables.oracles import HAND_CONTINUATION, HAND_RUNS, HAND_SCORES

MAMBA, NON_MAMBA = "MAMBA", "NON_MAMBA"

SEQUENCE_KIND = label("kind", "Run of mamba days or of other days", (MAMBA, NON_MAMBA))
POSITIVE_LENGTH = Column("length", Kind.INTEGER, "Days of the run", "days", checks=(at_least(1),))

_RUN = MOVES_DAILY.sources("is_mamba")
_DAYS = MOVES_DAILY.sources("move_day") + _RUN

SEQUENCES = Table(
    name="sequences",
    description="Runs of consecutive mamba or non-mamba days within the look-back of the as-of day.",
    schemas=COMPUTED_SCHEMAS,
    key=("instrument_key", "sequence_number"),
    columns=(
        *MOVES_DAILY.handed_on(INSTRUMENT_KEY),
        Column(
            "sequence_number",
            Kind.INTEGER,
            "1 is the earliest run",
            "position",
            checks=(at_least(1),),
            sources=_RUN,
        ),
        *MOVES_DAILY.handed_on(AS_OF_DAY, SERIES),
        replace(SEQUENCE_KIND, sources=_RUN),
        replace(POSITIVE_LENGTH, sources=_RUN),
        day("start_day", "First trading day of the run", sources=_DAYS),
        day("end_day", "Last trading day of the run", sources=_DAYS),
        value(
            "strength",
            "Mean mamba_strength of the days; 0 for NON_MAMBA",
            "score",
            tolerance=SCORE,
            nullable=False,
            formula="mean of mamba_strength over the days of the run; 0 for NON_MAMBA",
            sources=MOVES_DAILY.sources("mamba_strength") + _RUN,
        ),
        value(
            "return_percent",
            "(last close - first open) / first open x 100",
            "percent",
            tolerance=SCORE,
            nullable=False,
            sources=MOVES_DAILY.sources("open", "close") + _RUN,
        ),
        count(
            "total_volume",
            "Shares traded over the run; null where a volume is not known",
            "shares",
            formula="sum of the volumes of the days of the run",
            null_rule="null where one of them is not known",
            sources=MOVES_DAILY.sources("volume") + _RUN,
        ),
        count(
            "gap_days_to_next",
            "Calendar days from the end of this run to the start of the next; null for the last",
            "days",
            formula="start_day of the next run - end_day, calendar days",
            null_rule="null for the last run",
            sources=_DAYS,
        ),
    ),
    oracles=(HAND_RUNS,),
)

_RANKED = SEQUENCES.sources("kind", "length", "strength")
"""What puts the patterns in order, and so decides which of them a row is about."""
_ORDER = SEQUENCES.sources("sequence_number")
_NO_NEXT = "null when none of the runs has a next run"

SEQUENCE_PATTERNS = Table(
    name="sequence_patterns",
    description="Runs of the same kind and length (2 days or more) counted per instrument and as-of day.",
    schemas=COMPUTED_SCHEMAS,
    key=("instrument_key", "pattern_rank"),
    columns=(
        *SEQUENCES.handed_on(INSTRUMENT_KEY),
        Column(
            "pattern_rank",
            Kind.INTEGER,
            "1 is first by frequency, then strength (both falling), kind, length (both rising)",
            "position",
            checks=(at_least(1),),
            sources=_RANKED,
        ),
        *SEQUENCES.handed_on(AS_OF_DAY),
        replace(SEQUENCE_KIND, sources=_RANKED),
        replace(POSITIVE_LENGTH, sources=_RANKED),
        count("frequency", "Runs of this kind and length", sources=_RANKED),
        value(
            "strength",
            "Mean strength of these runs",
            "score",
            tolerance=SCORE,
            nullable=False,
            sources=_RANKED,
        ),
        value(
            "average_gap_days",
            "Mean gap to the next run, of the runs that have one; null without",
            "days",
            formula="mean of gap_days_to_next of the runs that have a next run",
            null_rule=_NO_NEXT,
            sources=SEQUENCES.sources("gap_days_to_next") + _RANKED + _ORDER,
        ),
        value(
            "average_return_percent",
            "Mean return of these runs",
            "percent",
            tolerance=SCORE,
            nullable=False,
            sources=SEQUENCES.sources("return_percent") + _RANKED,
        ),
        value(
            "success_rate",
            "Share, of the runs that have a next run, whose next run is of the same kind: 0, as runs alternate; null "
            "without",
            "ratio",
            tolerance=SCORE,
            formula="share, of the runs that have a next run, whose next run is of the same kind. Runs alternate "
            "between the kinds, so that it is always 0: a column of the replaced system",
            null_rule=_NO_NEXT,
            sources=_RANKED + _ORDER,
        ),
        value(
            "continuation_rate",
            "Share, of the runs that have a next run, after which prices moved with the trend; "
            "null without trend or next run",
            "ratio",
            tolerance=SCORE,
            formula="share, of the runs that have a next run, with sign x return_percent of the next run > 0; sign is "
            "1 for a BULLISH, -1 for a BEARISH trend",
            null_rule=f"{_NO_NEXT}, or the trend is NEUTRAL",
            sources=SEQUENCES.sources("return_percent")
            + _RANKED
            + _ORDER
            + MOVES_DAILY.sources("trend"),
            oracles=(HAND_SCORES, HAND_CONTINUATION),
        ),
    ),
    oracles=(HAND_SCORES,),
)
