"""V2 of the band-width monitor: all bands of all instruments in one column of widths.

Belongs here: ``bb_width`` and ``bb_width_alerts``. Does not belong here: the bands themselves (``kernels.py``), who
gets an alert (``alerts/``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from setbull_pipelines.settings import BB_WIDTH_RULES, BandWidthSettings
from setbull_pipelines.tables.bb_width import (
    BB_WIDTH_ALERTS,
    BB_WIDTH_DAILY,
    CONTRACTING,
    EXPANDING,
    PERCENTILES,
    SAME_WIDTH,
    STABLE,
    STRENGTHS,
    STRONG,
    TRENDS,
)
from setbull_pipelines.variants.v2 import columns
from setbull_pipelines.variants.v2.daily_series import as_of_day

_STRONG = STRENGTHS.index(STRONG)
_EXPANDING = TRENDS.index(EXPANDING)


def bb_width(
    indicators_5min: pd.DataFrame, settings: BandWidthSettings = BandWidthSettings()
) -> pd.DataFrame:
    """Band widths of every session; see ``Variant.bb_width``."""
    if indicators_5min.empty:
        return BB_WIDTH_DAILY.empty()
    (codes,), instruments = columns.shared_codes(indicators_5min["instrument_key"])
    day = columns.microseconds(indicators_5min["trading_day"])
    width = indicators_5min["bb_width"].to_numpy("float64")
    # Bars without a band come last in their session, so that the others are its first ones.
    width = np.where(width >= settings.minimum_width, width, np.inf)
    order = np.lexsort((width, day, codes))
    codes, day, width = codes[order], day[order], width[order]
    starts = columns.run_starts(codes, day)
    bars = columns.run_lengths(starts, len(codes))
    is_band = np.isfinite(width)
    bands = np.add.reduceat(is_band, starts, dtype="int64")

    def at(position: np.ndarray) -> np.ndarray:
        return np.where(bands > 0, width[starts + np.maximum(position, 0)], np.nan)

    total = np.add.reduceat(np.where(is_band, width, 0.0), starts)
    return pd.DataFrame(
        {
            "instrument_key": columns.texts(instruments, codes[starts]),
            "trading_day": columns.days(day[starts]),
            "bars": bars,
            "bands": bands,
            **{
                f"p{percent}_bb_width": at((percent * (bands - 1) + 50) // 100)
                for percent in PERCENTILES
            },
            "mean_bb_width": columns.divide(total, bands),
            "min_bb_width": at(np.zeros_like(bands)),
            "max_bb_width": at(bands - 1),
        }
    )


def bb_width_alerts(
    indicators_5min: pd.DataFrame,
    bb_width_daily: pd.DataFrame,
    as_of: pd.Timestamp,
    settings: BandWidthSettings = BandWidthSettings(),
) -> pd.DataFrame:
    """The monitor of one day; see ``Variant.bb_width_alerts``."""
    today = as_of_day(as_of)
    bars = indicators_5min[columns.microseconds(indicators_5min["trading_day"]) == today]
    if bars.empty:
        return BB_WIDTH_ALERTS.empty()
    (codes,), instruments = columns.shared_codes(bars["instrument_key"])
    lowest = _lowest(bb_width_daily, instruments, today, settings)

    width = bars["bb_width"].to_numpy("float64")
    time = columns.microseconds(bars["timestamp"])
    rows = np.flatnonzero(width >= settings.minimum_width)
    rows = rows[np.lexsort((time[rows], codes[rows]))]
    bands = _bands(codes[rows], width[rows], lowest.width, settings)
    # The row of each instrument's last band, and of its first alert; -1 where it has none.
    last, alert = np.full(len(instruments), -1), np.full(len(instruments), -1)
    last[codes[rows]] = np.arange(len(rows))
    alerting = np.flatnonzero(bands.rule >= 0)
    alert[codes[rows][alerting][::-1]] = alerting[::-1]
    start = columns.moments(time[rows])

    def taken(values: np.ndarray, position: np.ndarray) -> np.ndarray:
        return pd.Series(values).reindex(position).to_numpy("float64")

    def times(position: np.ndarray) -> pd.Series:
        return pd.Series(start).reindex(position).array

    def labels(names: tuple[str, ...], codes_of: np.ndarray, position: np.ndarray) -> pd.Series:
        return columns.texts(names, pd.Series(codes_of).reindex(position, fill_value=-1).to_numpy())

    has_band = last >= 0
    has_lowest = has_band & ~np.isnan(lowest.width)
    return pd.DataFrame(
        {
            "instrument_key": columns.texts(instruments, np.arange(len(instruments))),
            "trading_day": columns.days(np.full(len(instruments), today)),
            "look_back_sessions": lowest.sessions,
            "lowest_bb_day": lowest.day,
            "lowest_bb_width": lowest.width,
            "lowest_bb_width_absolute": lowest.absolute,
            "last_band": times(last),
            "bb_width": taken(width[rows], last),
            "distance_from_lowest_percent": taken(bands.distance, last),
            "candles_in_range": _integers(bands.in_range, last, has_lowest),
            "contracting_bands": _integers(bands.contracting, last, has_band),
            "bb_width_trend": labels(TRENDS, bands.trend, last),
            "pattern_strength": labels(STRENGTHS, bands.strength, last),
            "is_squeeze": columns.nullable_booleans(
                pd.Series(bands.is_squeeze).reindex(last, fill_value=False).to_numpy(), has_lowest
            ),
            "alert_rule": labels(BB_WIDTH_RULES, bands.rule, alert),
            "alert_bar": times(alert),
            "alert_bb_width": taken(width[rows], alert),
            "alert_distance_percent": taken(bands.distance, alert),
            "alerting_bands": np.bincount(codes[rows][alerting], minlength=len(instruments)),
        }
    )


def _integers(
    values: np.ndarray, position: np.ndarray, known: np.ndarray
) -> pd.arrays.IntegerArray:
    return columns.nullable_integers(
        pd.Series(values).reindex(position, fill_value=0).to_numpy(), known
    )


@dataclass(frozen=True)
class _Lowest:
    """Per instrument, what its look-back says; NaN and NaT with too few sessions."""

    sessions: np.ndarray
    day: np.ndarray
    width: np.ndarray
    absolute: np.ndarray


def _lowest(
    bb_width_daily: pd.DataFrame, instruments: pd.Index, today: int, settings: BandWidthSettings
) -> _Lowest:
    size = len(instruments)
    code = columns.codes_in(instruments, bb_width_daily["instrument_key"])
    day = columns.microseconds(bb_width_daily["trading_day"])
    p10 = bb_width_daily["p10_bb_width"].to_numpy("float64")
    counts = (
        (code >= 0)
        & (day < today)
        & (bb_width_daily["bands"].to_numpy("int64") >= settings.minimum_bands)
        & (p10 >= settings.minimum_p10)
    )
    code, day, p10 = code[counts], day[counts], p10[counts]
    width = bb_width_daily["min_bb_width"].to_numpy("float64")[counts]
    sessions = np.bincount(code, minlength=size)
    smallest, absolute = np.full(size, np.inf), np.full(size, np.inf)
    np.minimum.at(smallest, code, p10)
    np.minimum.at(absolute, code, width)
    chosen = np.flatnonzero(p10 <= smallest[code] * (1 + SAME_WIDTH))
    # Latest first, so that the earliest one is written last.
    chosen = chosen[np.argsort(day[chosen])[::-1]]
    lowest, lowest_day = np.full(size, np.nan), np.full(size, np.datetime64("NaT", "us"))
    lowest[code[chosen]], lowest_day[code[chosen]] = width[chosen], columns.days(day[chosen])
    is_known = sessions >= settings.minimum_sessions
    return _Lowest(
        sessions,
        np.where(is_known, lowest_day, np.datetime64("NaT", "us")),
        np.where(is_known, lowest, np.nan),
        np.where(is_known, absolute, np.nan),
    )


@dataclass(frozen=True)
class _Bands:
    """Per band, how it stands; trend and strength as positions in their names, rule -1 where none is met."""

    distance: np.ndarray
    in_range: np.ndarray
    contracting: np.ndarray
    trend: np.ndarray
    strength: np.ndarray
    is_squeeze: np.ndarray
    rule: np.ndarray


def _bands(
    code: np.ndarray, width: np.ndarray, lowest_of: np.ndarray, settings: BandWidthSettings
) -> _Bands:
    """Judge bands that are sorted by instrument and time. A comparison with an unknown lowest width is False."""
    row = np.arange(len(code))
    starts = columns.run_starts(code)
    first = np.repeat(starts, columns.run_lengths(starts, len(code)))
    number = row - first
    lowest = lowest_of[code]
    size = settings.pattern_bands

    falls = (number > 0) & (width < _earlier(width, 1) * (1 - SAME_WIDTH))
    contracting = _in_a_row(falls, first)
    is_in_range = np.abs(width - lowest) <= lowest * (settings.range_percent / 100 + SAME_WIDTH)

    recent = sum((_earlier(width, back) for back in range(size)), np.zeros(len(width))) / size
    before = _earlier(recent, size)
    has_before = number >= 2 * size - 1
    share = settings.trend_percent / 100
    trend = np.select(
        [
            has_before & (recent < before * (1 - share)),
            has_before & (recent > before * (1 + share)),
        ],
        [TRENDS.index(CONTRACTING), _EXPANDING],
        TRENDS.index(STABLE),
    )
    oldest = _earlier(width, size - 1)
    fall = np.where(number >= size - 1, (oldest - width) / oldest * 100, 0.0)
    # Positions of weak, moderate and strong: each limit that is passed is one step up.
    strength = np.select(
        [
            (contracting >= settings.strong_contractions) & (fall > settings.strong_percent),
            (contracting >= settings.moderate_contractions) & (fall > settings.moderate_percent),
        ],
        [_STRONG, _STRONG - 1],
        0,
    )
    is_squeeze = width <= lowest * (1 + SAME_WIDTH)

    def begins(state: np.ndarray) -> np.ndarray:
        return state & ((number == 0) | ~_earlier(state, 1))

    met = {
        "range contracting": is_in_range & (contracting >= size - 1),
        "threshold": begins(is_in_range),
        "pattern": strength == _STRONG,
        "squeeze": is_squeeze,
        "expansion": begins(trend == _EXPANDING),
    }
    has_lowest = ~np.isnan(lowest)
    rules = settings.alert_rules
    return _Bands(
        (width - lowest) / lowest * 100,
        np.minimum(_in_a_row(is_in_range, first), settings.range_bands),
        contracting,
        trend,
        strength,
        is_squeeze,
        np.select(
            [met[rule] & has_lowest for rule in rules],
            [BB_WIDTH_RULES.index(rule) for rule in rules],
            -1,
        )
        if rules
        else np.full(len(code), -1),
    )


def _earlier(values: np.ndarray, rows: int) -> np.ndarray:
    """The value ``rows`` rows earlier; anything in the first ones, which belong to no such pair."""
    return np.roll(values, rows)


def _in_a_row(state: np.ndarray, first: np.ndarray) -> np.ndarray:
    """How many rows up to this one, none before ``first``, have the state without a break."""
    row = np.arange(len(state))
    broken = np.maximum.accumulate(np.where(state, -1, row)) if len(state) else row
    return row - np.maximum(broken, first - 1)
