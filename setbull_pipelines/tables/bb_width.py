"""Tables of the band-width monitor: what the widths of a session were, and how they stand against the look-back."""

from __future__ import annotations

from setbull_pipelines.settings import BB_WIDTH_RULES
from setbull_pipelines.tables.actions import ADJUSTMENT
from setbull_pipelines.tables.candles import COMPUTED_SCHEMAS
from setbull_pipelines.tables.checks import Rule
from setbull_pipelines.tables.columns import (
    AS_OF_DAY,
    INSTRUMENT_KEY,
    count,
    day,
    flag,
    label,
    moment,
    value,
)
from setbull_pipelines.tables.contract import RELATIVE, Column, Facts, Table, Tolerance
from setbull_pipelines.tables.indicators import INDICATORS_5MIN
from setbull_pipelines.tables.oracles import (
    HAND_ALERT,
    HAND_DISTANCE,
    HAND_FALLS,
    HAND_LOWEST,
    HAND_RANGE,
    HAND_SQUEEZE,
    HAND_WIDTH_STRENGTH,
    HAND_WIDTH_TREND,
    HAND_WIDTHS,
    NUMPY,
    OLD_PERCENTILES,
    Oracle,
)

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

_BAND_WIDTHS = INDICATORS_5MIN.sources("bb_width")
_WITHOUT_BAND = "null without a band in the session"


def _statistic(name: str, description: str, formula: str, *oracles: Oracle) -> Column:
    """A statistic of the widths of the session's bands."""
    return value(
        name,
        description,
        "rupees",
        formula=formula,
        null_rule=_WITHOUT_BAND,
        sources=_BAND_WIDTHS,
        oracles=oracles,
    )


def _percentile(percent: int) -> Column:
    return _statistic(
        f"p{percent}_bb_width",
        f"Percentile {percent} of the widths, by nearest rank (halves up): a width that occurred",
        f"of the n widths of the bands in rising order, the one at position ({percent} x (n - 1) + 50) div 100 from 0",
        *((NUMPY, OLD_PERCENTILES) if percent == 10 else (NUMPY,)),
    )


BB_WIDTH_DAILY = Table(
    name="bb_width_daily",
    description="Bollinger band widths of a session: one row per instrument with a five-minute bar on the day. A bar "
    "counts as a band when its width is known and not below bb_width.minimum_width (a flat window has none).",
    schemas=COMPUTED_SCHEMAS,
    key=("instrument_key", "trading_day"),
    columns=(
        *INDICATORS_5MIN.handed_on(INSTRUMENT_KEY, AS_OF_DAY),
        count(
            "bars",
            "Five-minute bars of the session",
            "bars",
            formula="number of five-minute bars of the session",
            sources=INDICATORS_5MIN.sources("timestamp"),
        ),
        count(
            "bands",
            "Those of them that have a band",
            "bars",
            formula="number of those with bb_width >= 0.001",
            sources=_BAND_WIDTHS,
        ),
        *(_percentile(percent) for percent in PERCENTILES),
        _statistic("mean_bb_width", "Mean of the widths", "sum of the widths / bands"),
        _statistic("min_bb_width", "Smallest of the widths", "smallest width"),
        _statistic("max_bb_width", "Largest of the widths", "largest width"),
    ),
    rules=(Rule("bands are at most bars", lambda frame: frame["bands"] <= frame["bars"]),),
    oracles=(HAND_WIDTHS,),
)

_LOOK_BACK = "3 sessions, of the last 20, with 10 bands and p10_bb_width >= 0.01"
_LOWEST = (
    *BB_WIDTH_DAILY.sources("trading_day", "bands", "p10_bb_width", "min_bb_width"),
    *ADJUSTMENT,
)
_OF_LOWEST: Facts = {
    "warm_up": _LOOK_BACK,
    "null_rule": "null with fewer such sessions",
    "sources": _LOWEST,
}
"""Columns that say what the lowest width of the look-back is."""
_WIDTHS = INDICATORS_5MIN.sources("timestamp", "bb_width")
_OF_LAST_BAND: Facts = {"null_rule": _WITHOUT_BAND, "sources": _WIDTHS}
_AGAINST_LOWEST: Facts = {
    "warm_up": _LOOK_BACK,
    "null_rule": "null with fewer such sessions, or without a band",
    "sources": _WIDTHS + _LOWEST,
}
"""Columns in which the last band is held against the lowest width."""
_OF_ALERT: Facts = {"null_rule": "null without an alert", "sources": _WIDTHS + _LOWEST}

BB_WIDTH_ALERTS = Table(
    name="bb_width_alerts",
    description="The band-width monitor: one row per instrument with a five-minute bar on the day, with how its "
    "width stands at the last band of the session and the first alert of the session. Rupees are those of the day.",
    schemas=COMPUTED_SCHEMAS,
    key=("instrument_key", "trading_day"),
    columns=(
        *INDICATORS_5MIN.handed_on(INSTRUMENT_KEY, AS_OF_DAY),
        count(
            "look_back_sessions",
            "Earlier sessions of the look-back with enough bands to find the lowest width in",
            "sessions",
            formula="number of sessions, of the 20 before, with bands >= 10 and p10_bb_width >= 0.01",
            sources=BB_WIDTH_DAILY.sources("trading_day", "bands"),
        ),
        day(
            "lowest_bb_day",
            "The one of them with the smallest 10th percentile; the earliest of equal ones",
            formula="the one of them with the smallest p10_bb_width, the earliest of equal ones",
            **_OF_LOWEST,
        ),
        value(
            "lowest_bb_width",
            "Smallest width of that session; null with too few sessions",
            "rupees",
            formula="min_bb_width of lowest_bb_day, adjusted to the day",
            **_OF_LOWEST,
        ),
        value(
            "lowest_bb_width_absolute",
            "Smallest width of all of these sessions",
            "rupees",
            formula="smallest min_bb_width of all of these sessions",
            **_OF_LOWEST,
        ),
        moment(
            "last_band",
            "Start of the last bar with a band",
            **_OF_LAST_BAND,
            oracles=(HAND_ALERT,),
        ),
        value(
            "bb_width",
            "Its width",
            "rupees",
            formula="bb_width of last_band",
            **_OF_LAST_BAND,
            oracles=(HAND_DISTANCE,),
        ),
        value(
            "distance_from_lowest_percent",
            "100 x (bb_width - lowest_bb_width) / lowest_bb_width; negative below it",
            "percent",
            tolerance=DISTANCE,
            formula="100 x (bb_width - lowest_bb_width) / lowest_bb_width",
            **_AGAINST_LOWEST,
            oracles=(HAND_DISTANCE,),
        ),
        count(
            "candles_in_range",
            "Bands in a row, the last one included, within bb_width.range_percent of lowest_bb_width",
            "bars",
            formula="number of bands in a row, up to the last, with |bb_width - lowest_bb_width| <= 0.001 x "
            "lowest_bb_width, at most 20",
            **_AGAINST_LOWEST,
            oracles=(HAND_RANGE,),
        ),
        count(
            "contracting_bands",
            "Times in a row, up to the last band, that the width fell",
            formula="number of bands in a row, up to the last, whose width is below that of the band before",
            **_OF_LAST_BAND,
            oracles=(HAND_FALLS,),
        ),
        label(
            "bb_width_trend",
            "Mean of the last bands against the mean of as many before them",
            TRENDS,
            formula="contracting when the mean of the last 3 widths is below 0.95 x the mean of the 3 before, "
            "expanding above 1.05 x, else stable",
            warm_up="6 bands, stable before",
            **_OF_LAST_BAND,
            oracles=(HAND_WIDTH_TREND,),
        ),
        label(
            "pattern_strength",
            "How far and how often in a row the width fell",
            STRENGTHS,
            formula="r = 100 x (a - bb_width) / a, a the width 2 bands before: strong with contracting_bands >= 5 and "
            "r > 10, moderate with >= 3 and > 5, else weak",
            warm_up="3 bands, weak before",
            **_OF_LAST_BAND,
            oracles=(HAND_WIDTH_STRENGTH,),
        ),
        flag(
            "is_squeeze",
            "True when bb_width is not above lowest_bb_width",
            formula="bb_width <= lowest_bb_width",
            **_AGAINST_LOWEST,
            oracles=(HAND_SQUEEZE,),
        ),
        label(
            "alert_rule",
            "Rule of the first alert of the session; null without an alert",
            BB_WIDTH_RULES,
            formula="the first rule that the first alerting band meets: 'range contracting' (in range after 2 falls), "
            "'threshold' (in range, the band before is not), 'squeeze'",
            warm_up=_LOOK_BACK,
            **_OF_ALERT,
        ),
        moment(
            "alert_bar",
            "Start of the bar of that alert",
            formula="start of that bar",
            **_OF_ALERT,
        ),
        value(
            "alert_bb_width",
            "Width of that bar",
            "rupees",
            formula="bb_width of that bar",
            **_OF_ALERT,
        ),
        value(
            "alert_distance_percent",
            "Its distance from lowest_bb_width",
            "percent",
            tolerance=DISTANCE,
            formula="distance_from_lowest_percent of that bar",
            **_OF_ALERT,
        ),
        count(
            "alerting_bands",
            "Bands of the session that meet a rule; an alert is sent for the first",
            "bars",
            formula="number of bands of the session that meet a rule",
            sources=_WIDTHS + _LOWEST,
        ),
    ),
    oracles=(HAND_LOWEST, HAND_ALERT),
)
