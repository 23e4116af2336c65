"""Tables of the band-width monitor: what the widths of a session were, and how they stand against the look-back."""

from __future__ import annotations

import pandera.pandas as pa

from setbull_pipelines.settings import BB_WIDTH_RULES
from setbull_pipelines.tables.candles import COMPUTED_SCHEMAS
from setbull_pipelines.tables.columns import (
    AS_OF_DAY,
    INSTRUMENT_KEY,
    count,
    day,
    flag,
    label,
    value,
)
from setbull_pipelines.tables.contract import RELATIVE, Column, Kind, Table, Tolerance

PERCENTILES = (10, 15, 20, 25, 50)
CONTRACTING, EXPANDING, STABLE = "contracting", "expanding", "stable"
TRENDS = (CONTRACTING, EXPANDING, STABLE)
WEAK, MODERATE, STRONG = "weak", "moderate", "strong"
STRENGTHS = (WEAK, MODERATE, STRONG)
SAME_WIDTH = RELATIVE.relative
"""Widths that differ by less than this share of themselves count as equal in every decision: the same closes in
another order give widths that differ in their last digits."""
DISTANCE = Tolerance(
    "distance",
    1e-9,
    2e-7,
    "100 x (a / b - 1) of two widths that may each be 1e-9 of themselves apart: near 0 percent only the absolute error "
    "of 2e-7 percent is left, a five-hundred-thousandth of the alert's range",
)

BB_WIDTH_DAILY = Table(
    name="bb_width_daily",
    description="Bollinger band widths of a session: one row per instrument with a five-minute bar on the day. A bar "
    "counts as a band when its width is known and not below bb_width.minimum_width (a flat window has none).",
    schemas=COMPUTED_SCHEMAS,
    key=("instrument_key", "trading_day"),
    columns=(
        INSTRUMENT_KEY,
        AS_OF_DAY,
        count("bars", "Five-minute bars of the session", "bars"),
        count("bands", "Those of them that have a band", "bars"),
        *(
            value(
                f"p{percent}_bb_width",
                f"Percentile {percent} of the widths, by nearest rank (halves up): a width that occurred",
                "rupees",
            )
            for percent in PERCENTILES
        ),
        value("mean_bb_width", "Mean of the widths", "rupees"),
        value("min_bb_width", "Smallest of the widths", "rupees"),
        value("max_bb_width", "Largest of the widths", "rupees"),
    ),
    rules=(pa.Check(lambda frame: frame["bands"] <= frame["bars"], name="bands are at most bars"),),
)

BB_WIDTH_ALERTS = Table(
    name="bb_width_alerts",
    description="The band-width monitor: one row per instrument with a five-minute bar on the day, with how its "
    "width stands at the last band of the session and the first alert of the session. Rupees are those of the day.",
    schemas=COMPUTED_SCHEMAS,
    key=("instrument_key", "trading_day"),
    columns=(
        INSTRUMENT_KEY,
        AS_OF_DAY,
        count(
            "look_back_sessions",
            "Earlier sessions of the look-back with enough bands to find the lowest width in",
            "sessions",
        ),
        day(
            "lowest_bb_day",
            "The one of them with the smallest 10th percentile; the earliest of equal ones",
            nullable=True,
        ),
        value(
            "lowest_bb_width",
            "Smallest width of that session; null with too few sessions",
            "rupees",
        ),
        value("lowest_bb_width_absolute", "Smallest width of all of these sessions", "rupees"),
        Column("last_band", Kind.TIMESTAMP, "Start of the last bar with a band", nullable=True),
        value("bb_width", "Its width", "rupees"),
        value(
            "distance_from_lowest_percent",
            "100 x (bb_width - lowest_bb_width) / lowest_bb_width; negative below it",
            "percent",
            tolerance=DISTANCE,
        ),
        count(
            "candles_in_range",
            "Bands in a row, the last one included, within bb_width.range_percent of lowest_bb_width",
            "bars",
            nullable=True,
        ),
        count(
            "contracting_bands",
            "Times in a row, up to the last band, that the width fell",
            nullable=True,
        ),
        label(
            "bb_width_trend",
            "Mean of the last bands against the mean of as many before them",
            TRENDS,
            nullable=True,
        ),
        label(
            "pattern_strength",
            "How far and how often in a row the width fell",
            STRENGTHS,
            nullable=True,
        ),
        flag("is_squeeze", "True when bb_width is not above lowest_bb_width", nullable=True),
        label(
            "alert_rule",
            "Rule of the first alert of the session; null without an alert",
            BB_WIDTH_RULES,
            nullable=True,
        ),
        Column("alert_bar", Kind.TIMESTAMP, "Start of the bar of that alert", nullable=True),
        value("alert_bb_width", "Width of that bar", "rupees"),
        value(
            "alert_distance_percent",
            "Its distance from lowest_bb_width",
            "percent",
            tolerance=DISTANCE,
        ),
        count(
            "alerting_bands",
            "Bands of the session that meet a rule; people are told of the first",
            "bars",
        ),
    ),
)
