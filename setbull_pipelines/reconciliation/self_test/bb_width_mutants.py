"""Wrong statistics of band widths, wrong lowest widths, patterns and alerts.

Belongs here: mutants of the tables of the band-width monitor, among them the faults of the system that it replaces.
Does not belong here: right formulas.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from setbull_pipelines.reconciliation.self_test.market import RISING, SESSIONS, WIDTHS, Market
from setbull_pipelines.reconciliation.self_test.mutant import Columns, Register
from setbull_pipelines.settings import BandWidthSettings
from setbull_pipelines.tables import BB_WIDTH_ALERTS, BB_WIDTH_DAILY
from setbull_pipelines.tables.bb_width import PERCENTILES, STABLE
from setbull_pipelines.variants import V2

_REGISTER = Register()
MUTANTS = _REGISTER.mutants
wrong = _REGISTER.wrong
SESSION = ["instrument_key", "trading_day"]
RANKED = [f"p{percent}_bb_width" for percent in PERCENTILES]
STATISTICS = [*RANKED, "mean_bb_width", "min_bb_width", "max_bb_width"]
LOWEST = ("lowest_bb_width", "lowest_bb_width_absolute")
DISTANCE = "distance_from_lowest_percent"


def _ranked(v2: Market, position: Callable[[int, int], int]) -> Columns:
    """Percentiles of every session at other positions, from the percent and the number of widths."""
    bars = v2["indicators_5min"]
    bands = bars[bars["bb_width"] >= WIDTHS.minimum_width]
    sessions = [np.sort(widths) for _, widths in bands.groupby(SESSION)["bb_width"]]
    return {
        name: [widths[position(percent, len(widths))] for widths in sessions]
        for name, percent in zip(RANKED, PERCENTILES, strict=True)
    }


def _alerts(
    v2: Market,
    *,
    bars: pd.DataFrame | None = None,
    sessions: pd.DataFrame | None = None,
    settings: BandWidthSettings = WIDTHS,
) -> pd.DataFrame:
    """The monitor of every session, from other bars, another look-back or other settings."""
    bars = v2["indicators_5min"] if bars is None else bars
    sessions = v2["bb_width_daily"] if sessions is None else sessions
    days = [V2.bb_width_alerts(bars, sessions, day, settings) for day in SESSIONS]
    return BB_WIDTH_ALERTS.conform(pd.concat(days))


@wrong("percentile ranks counted from 1", BB_WIDTH_DAILY, "one-sided", *RANKED)
def _(v2: Market) -> Columns:
    return _ranked(v2, lambda percent, size: (percent * (size - 1) + 50) // 100 + 1)


@wrong("percentiles of the falling order", BB_WIDTH_DAILY, "one-sided", *RANKED[:-1])
def _(v2: Market) -> Columns:
    return _ranked(v2, lambda percent, size: ((100 - percent) * (size - 1) + 50) // 100)


@wrong("widths of the sample deviation", BB_WIDTH_DAILY, "sample deviation", *STATISTICS)
def _(v2: Market) -> Columns:
    return {name: v2["bb_width_daily"][name] * np.sqrt(20 / 19) for name in STATISTICS}


@wrong("widths of a session rounded to 2 decimals", BB_WIDTH_DAILY, "rounding", *STATISTICS)
def _(v2: Market) -> Columns:
    return {name: v2["bb_width_daily"][name].round(2) for name in STATISTICS}


@wrong("mean of the extreme widths", BB_WIDTH_DAILY, "unknown shape", "mean_bb_width")
def _(v2: Market) -> Columns:
    daily = v2["bb_width_daily"]
    return {"mean_bb_width": (daily["min_bb_width"] + daily["max_bb_width"]) / 2}


@wrong("a flat bar counted as a band", BB_WIDTH_DAILY, "single cell", "bands")
def _(v2: Market) -> Columns:
    return {"bands": v2["indicators_5min"].groupby(SESSION)["bb_width"].count().to_numpy()}


@wrong("bars without a band not counted", BB_WIDTH_DAILY, "column mix-up", "bars")
def _(v2: Market) -> Columns:
    return {"bars": v2["bb_width_daily"]["bands"]}


@wrong("widths of the session before", BB_WIDTH_DAILY, "shift", *STATISTICS)
def _(v2: Market) -> Columns:
    of_instrument = v2["bb_width_daily"].groupby("instrument_key")
    return {name: of_instrument[name].shift(1) for name in STATISTICS}


@wrong(
    "no row without a look-back",
    BB_WIDTH_ALERTS,
    "missing rows",
    "(row)",
    of_one_day={"(row)": "empty side"},
)
def _(v2: Market) -> pd.DataFrame:
    return v2["bb_width_alerts"].query("look_back_sessions > 0")


@wrong(
    "look-back of the sample deviation",
    BB_WIDTH_ALERTS,
    "sample deviation",
    *LOWEST,
    others={DISTANCE: "one-sided"},
)
def _(v2: Market) -> Columns:
    daily = v2["bb_width_daily"]
    biased = {name: daily[name] * np.sqrt(20 / 19) for name in STATISTICS}
    alerts = _alerts(v2, sessions=daily.assign(**biased))
    return {name: alerts[name] for name in (*LOWEST, DISTANCE)}


@wrong("look-back with the day itself", BB_WIDTH_ALERTS, "shift", "look_back_sessions", *LOWEST)
def _(v2: Market) -> Columns:
    daily = v2["bb_width_daily"]
    earlier = daily.assign(trading_day=daily["trading_day"] - pd.Timedelta(microseconds=1))
    alerts = _alerts(v2, sessions=earlier)
    return {name: alerts[name] for name in ("look_back_sessions", *LOWEST)}


@wrong(
    "lowest width of a single session",
    BB_WIDTH_ALERTS,
    "shorter warm-up",
    *("lowest_bb_day", *LOWEST, DISTANCE),
)
def _(v2: Market) -> Columns:
    alerts = _alerts(v2, settings=replace(WIDTHS, minimum_sessions=1))
    return {name: alerts[name] for name in ("lowest_bb_day", *LOWEST, DISTANCE)}


@wrong("lowest width 0 without one", BB_WIDTH_ALERTS, "null versus zero", *LOWEST)
def _(v2: Market) -> Columns:
    return {name: v2["bb_width_alerts"][name].fillna(0) for name in LOWEST}


@wrong(
    "distance as a ratio",
    BB_WIDTH_ALERTS,
    "constant factor",
    *(DISTANCE, "alert_distance_percent"),
)
def _(v2: Market) -> Columns:
    alerts = v2["bb_width_alerts"]
    return {name: alerts[name] / 100 for name in (DISTANCE, "alert_distance_percent")}


@wrong("distance 0 without a lowest width", BB_WIDTH_ALERTS, "null versus zero", DISTANCE)
def _(v2: Market) -> Columns:
    return {DISTANCE: v2["bb_width_alerts"][DISTANCE].fillna(0)}


@wrong("monitor of the ratio", BB_WIDTH_ALERTS, "one-sided", "bb_width", "alert_bb_width")
def _(v2: Market) -> Columns:
    bars = v2["indicators_5min"]
    alerts = _alerts(v2, bars=bars.assign(bb_width=bars["bb_width_normalized"]))
    return {name: alerts[name] for name in ("bb_width", "alert_bb_width")}


LAST_BAND = ("last_band", "bb_width", "contracting_bands", "bb_width_trend", "pattern_strength")


@wrong("last bar never looked at", BB_WIDTH_ALERTS, "unknown shape", *LAST_BAND)
def _(v2: Market) -> Columns:
    bars = v2["indicators_5min"]
    is_last = bars["timestamp"] == bars.groupby(SESSION)["timestamp"].transform("max")
    alerts = _alerts(v2, bars=bars[~is_last])
    return {name: alerts[name] for name in LAST_BAND}


@wrong(
    "bands in range counted over the session", BB_WIDTH_ALERTS, "unknown shape", "candles_in_range"
)
def _(v2: Market) -> Columns:
    alerts = v2["bb_width_alerts"].set_index(SESSION)
    bars = v2["indicators_5min"].join(alerts["lowest_bb_width"], on=SESSION)
    distance = (bars["bb_width"] / bars["lowest_bb_width"] - 1).abs()
    is_near = (distance <= WIDTHS.range_percent / 100).astype("Int64")
    counts = is_near.groupby([bars[name] for name in SESSION]).sum()
    return {"candles_in_range": counts.where(alerts["lowest_bb_width"].notna()).array}


@wrong("falls counted up to 5", BB_WIDTH_ALERTS, "limited", "contracting_bands")
def _(v2: Market) -> Columns:
    return {"contracting_bands": v2["bb_width_alerts"]["contracting_bands"].clip(upper=5)}


@wrong("trend always stable", BB_WIDTH_ALERTS, "constant value", "bb_width_trend")
def _(v2: Market) -> Columns:
    return {"bb_width_trend": STABLE}


@wrong(
    "a fall with the sign of a rise is weak", BB_WIDTH_ALERTS, "constant value", "pattern_strength"
)
def _(v2: Market) -> Columns:
    never = replace(WIDTHS, moderate_contractions=10**6, strong_contractions=10**6)
    return {"pattern_strength": _alerts(v2, settings=never)["pattern_strength"]}


@wrong("squeeze below 5 % of the lowest width", BB_WIDTH_ALERTS, "constant value", "is_squeeze")
def _(v2: Market) -> Columns:
    alerts = v2["bb_width_alerts"]
    return {"is_squeeze": alerts["bb_width"] <= 0.05 * alerts["lowest_bb_width"]}


@wrong("every band in range alerts", BB_WIDTH_ALERTS, "unknown shape", "alerting_bands")
def _(v2: Market) -> Columns:
    alerts = v2["bb_width_alerts"]
    return {"alerting_bands": alerts["alerting_bands"] + alerts["candles_in_range"].fillna(0)}


@wrong("rules in the opposite order", BB_WIDTH_ALERTS, "single cell", "alert_rule")
def _(v2: Market) -> Columns:
    opposite = replace(WIDTHS, alert_rules=WIDTHS.alert_rules[::-1])
    return {"alert_rule": _alerts(v2, settings=opposite)["alert_rule"]}


@wrong("alert of one instrument a bar late", BB_WIDTH_ALERTS, "single instrument", "alert_bar")
def _(v2: Market) -> Columns:
    alerts = v2["bb_width_alerts"]
    late = alerts["alert_bar"] + pd.Timedelta(minutes=5)
    return {"alert_bar": alerts["alert_bar"].where(alerts["instrument_key"] != RISING, late)}
