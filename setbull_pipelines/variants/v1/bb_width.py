"""V1 of the band-width monitor: the widths of a session, and one band after the other against the look-back.

Belongs here: statistics of a session, the lowest width, patterns, alert rules. Does not belong here: the bands
themselves (``indicators.py``), who gets an alert (``alerts/``).
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

import pandas as pd

from setbull_pipelines.settings import BandWidthSettings
from setbull_pipelines.tables.bb_width import (
    BB_WIDTH_ALERTS,
    BB_WIDTH_DAILY,
    CONTRACTING,
    EXPANDING,
    MODERATE,
    PERCENTILES,
    SAME_WIDTH,
    STABLE,
    STRONG,
    WEAK,
)
from setbull_pipelines.variants.v1.daily_series import day_of
from setbull_pipelines.variants.v1.rows import frame_of


class _Lowest(NamedTuple):
    """What the look-back of an instrument says; None with too few sessions."""

    sessions: int
    day: pd.Timestamp | None = None
    width: float | None = None
    absolute: float | None = None


class _Band(NamedTuple):
    """How a width stands when its bar has closed; None where there is no lowest width."""

    bar: pd.Timestamp
    width: float
    distance: float | None
    in_range: int | None
    contracting: int
    trend: str
    strength: str
    is_squeeze: bool | None
    rule: str | None
    """The alert rule that it meets."""


def bb_width(
    indicators_5min: pd.DataFrame, settings: BandWidthSettings = BandWidthSettings()
) -> pd.DataFrame:
    """Band widths of every session; the contract is in ``variants/protocol.py``."""
    rows = []
    for (key, day), bars in indicators_5min.groupby(["instrument_key", "trading_day"]):
        widths = sorted(width for _, width in _bands_of(bars, settings))
        row = {
            "instrument_key": key,
            "trading_day": day,
            "bars": len(bars),
            "bands": len(widths),
            **{f"p{percent}_bb_width": _percentile(widths, percent) for percent in PERCENTILES},
            "mean_bb_width": fmean(widths) if widths else None,
            "min_bb_width": min(widths, default=None),
            "max_bb_width": max(widths, default=None),
        }
        rows.append(row)
    return frame_of(BB_WIDTH_DAILY, rows)


def _bands_of(bars: pd.DataFrame, settings: BandWidthSettings) -> list[tuple[pd.Timestamp, float]]:
    """Start and width of every bar with a band, in time order; an unknown width is not above anything."""
    in_time = bars.sort_values("timestamp")
    pairs = zip(in_time["timestamp"], in_time["bb_width"], strict=True)
    return [(bar, width) for bar, width in pairs if width >= settings.minimum_width]


def _percentile(rising: Sequence[float], percent: int) -> float | None:
    if not rising:
        return None
    return rising[(percent * (len(rising) - 1) + 50) // 100]


def bb_width_alerts(
    indicators_5min: pd.DataFrame,
    bb_width_daily: pd.DataFrame,
    as_of: pd.Timestamp,
    settings: BandWidthSettings = BandWidthSettings(),
) -> pd.DataFrame:
    """The monitor of one day; the contract is in ``variants/protocol.py``."""
    today = day_of(as_of)
    earlier = bb_width_daily[bb_width_daily["trading_day"] < today]
    sessions_of = dict(iter(earlier.groupby("instrument_key")))
    rows = []
    for key, bars in indicators_5min[indicators_5min["trading_day"] == today].groupby(
        "instrument_key"
    ):
        lowest = _lowest(sessions_of.get(key, earlier.head(0)), settings)
        bands = _bands(_bands_of(bars, settings), lowest.width, settings)
        alerting = [band for band in bands if band.rule]
        last = bands[-1] if bands else None
        alert = alerting[0] if alerting else None
        row = {
            "instrument_key": key,
            "trading_day": today,
            "look_back_sessions": lowest.sessions,
            "lowest_bb_day": lowest.day,
            "lowest_bb_width": lowest.width,
            "lowest_bb_width_absolute": lowest.absolute,
            "last_band": last and last.bar,
            "bb_width": last and last.width,
            "distance_from_lowest_percent": last and last.distance,
            "candles_in_range": last and last.in_range,
            "contracting_bands": last and last.contracting,
            "bb_width_trend": last and last.trend,
            "pattern_strength": last and last.strength,
            "is_squeeze": last and last.is_squeeze,
            "alert_rule": alert and alert.rule,
            "alert_bar": alert and alert.bar,
            "alert_bb_width": alert and alert.width,
            "alert_distance_percent": alert and alert.distance,
            "alerting_bands": len(alerting),
        }
        rows.append(row)
    return frame_of(BB_WIDTH_ALERTS, rows)


def _lowest(sessions: pd.DataFrame, settings: BandWidthSettings) -> _Lowest:
    counting = [
        session
        for session in sessions.sort_values("trading_day").itertuples()
        if session.bands >= settings.minimum_bands and session.p10_bb_width >= settings.minimum_p10
    ]
    if len(counting) < settings.minimum_sessions:
        return _Lowest(len(counting))
    smallest = min(session.p10_bb_width for session in counting)
    chosen = next(
        session for session in counting if session.p10_bb_width <= smallest * (1 + SAME_WIDTH)
    )
    absolute = min(session.min_bb_width for session in counting)
    return _Lowest(len(counting), chosen.trading_day, chosen.min_bb_width, absolute)


def _bands(
    pairs: Sequence[tuple[pd.Timestamp, float]], lowest: float | None, settings: BandWidthSettings
) -> list[_Band]:
    """The bands of a session, each judged by itself and the ones before it."""
    widths = [width for _, width in pairs]
    bands: list[_Band] = []
    for position, (bar, width) in enumerate(pairs):
        before = bands[-1] if bands else None
        so_far = widths[: position + 1]
        contracting = 0
        if before is not None and width < before.width * (1 - SAME_WIDTH):
            contracting = before.contracting + 1
        band = _Band(
            bar,
            width,
            None if lowest is None else (width - lowest) / lowest * 100,
            None if lowest is None else _in_range(width, lowest, before, settings),
            contracting,
            _trend(so_far, settings),
            _strength(so_far, contracting, settings),
            None if lowest is None else width <= lowest * (1 + SAME_WIDTH),
            None,
        )
        bands.append(band._replace(rule=_rule(band, before, settings)))
    return bands


def _in_range(
    width: float, lowest: float, before: _Band | None, settings: BandWidthSettings
) -> int:
    if abs(width - lowest) > lowest * (settings.range_percent / 100 + SAME_WIDTH):
        return 0
    in_a_row = before.in_range if before else None
    return min((in_a_row or 0) + 1, settings.range_bands)


def _trend(widths: Sequence[float], settings: BandWidthSettings) -> str:
    size = settings.pattern_bands
    if len(widths) < 2 * size:
        return STABLE
    last, before = fmean(widths[-size:]), fmean(widths[-2 * size : -size])
    if last < before * (1 - settings.trend_percent / 100):
        return CONTRACTING
    return EXPANDING if last > before * (1 + settings.trend_percent / 100) else STABLE


def _strength(widths: Sequence[float], contracting: int, settings: BandWidthSettings) -> str:
    if len(widths) < settings.pattern_bands:
        return WEAK
    oldest = widths[-settings.pattern_bands]
    fall = (oldest - widths[-1]) / oldest * 100
    if contracting >= settings.strong_contractions and fall > settings.strong_percent:
        return STRONG
    if contracting >= settings.moderate_contractions and fall > settings.moderate_percent:
        return MODERATE
    return WEAK


def _rule(band: _Band, before: _Band | None, settings: BandWidthSettings) -> str | None:
    """The first alert rule that the band meets."""
    if band.distance is None:
        return None
    is_in_range = bool(band.in_range)
    was_in_range = before is not None and bool(before.in_range)
    was_expanding = before is not None and before.trend == EXPANDING
    met = {
        "range contracting": band.contracting >= settings.pattern_bands - 1 and is_in_range,
        "threshold": is_in_range and not was_in_range,
        "pattern": band.strength == STRONG,
        "squeeze": band.is_squeeze,
        "expansion": band.trend == EXPANDING and not was_expanding,
    }
    return next((rule for rule in settings.alert_rules if met[rule]), None)
