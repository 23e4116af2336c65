"""V1 of the filters: the stages basic, EMA, RSI and mamba, one instrument at a time.

Belongs here: what each stage asks, and its answer in words. Does not belong here: the numbers it asks
about (indicators, sequence analysis), the wording (``variants/protocol.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

import pandas as pd

from setbull_pipelines.settings import FilterSettings, SequenceSettings
from setbull_pipelines.tables.filters import (
    FILTER_RESULTS,
    VERDICT_BEARISH,
    VERDICT_BULLISH,
    VERDICT_NOT_ENOUGH_DATA,
    VERDICT_REJECTED,
)
from setbull_pipelines.tables.moves import BEARISH, BULLISH
from setbull_pipelines.variants import protocol
from setbull_pipelines.variants.v1.daily_series import DailyBar, bars_of_chosen_series, day_of
from setbull_pipelines.variants.v1.limits import is_above, is_at_least
from setbull_pipelines.variants.v1.rows import frame_of

_VERDICT_OF_SIDE = {BULLISH: VERDICT_BULLISH, BEARISH: VERDICT_BEARISH}


@dataclass(frozen=True)
class _Stock:
    """What the stages know of one instrument: its bars up to the day, and its sequence analysis."""

    day: pd.Timestamp
    last_day: pd.Timestamp
    """The day of its last bar up to ``day``, in either series."""
    bars: Sequence[DailyBar]
    """The bars of the chosen series, oldest first; empty when there is none on ``day``."""
    analysis: Mapping[str, Any] | None


@dataclass(frozen=True)
class _Outcome:
    """The answer of a stage: ``passed`` is None when there is not enough data."""

    passed: bool | None
    reason: str
    columns: Mapping[str, Any]
    """Further columns of ``filter_results`` that the stage has found."""


def _answer(
    asked: Mapping[str, Any],
    columns: Mapping[str, Any],
    judged: Callable[[], tuple[bool, str, Mapping[str, Any]]],
) -> _Outcome:
    """The three answers of a stage: not enough data where a value that it asks about is missing, else what is judged.

    ``asked`` are these values by the name of their column, ``columns`` what is shown in any case; ``judged`` is
    asked when all values are there: whether they pass, why, and further columns.
    """
    for name, value in asked.items():
        if pd.isna(value):
            return _Outcome(None, protocol.MISSING.format(name=name), columns)
    passed, reason, found = judged()
    return _Outcome(passed, reason, {**columns, **found})


def filters(
    candles_daily: pd.DataFrame,
    indicators_daily: pd.DataFrame,
    analysis: pd.DataFrame,
    as_of: pd.Timestamp,
    settings: FilterSettings = FilterSettings(),
    sequence_settings: SequenceSettings = SequenceSettings(),
) -> pd.DataFrame:
    """``filter_results`` of a day, every instrument with its reasons; the contract is in ``variants/protocol.py``."""
    day = day_of(as_of)
    known = candles_daily[candles_daily["trading_day"] <= day]
    last_days = known.groupby("instrument_key")["trading_day"].max().to_dict()
    chosen = bars_of_chosen_series(candles_daily, indicators_daily, day)
    analysis_of = {
        row["instrument_key"]: row
        for row in analysis[analysis["trading_day"] == day].to_dict("records")
    }
    rows = []
    for instrument_key, last_day in last_days.items():
        bars = chosen.get(instrument_key, [])
        stock = _Stock(day, last_day, bars, analysis_of.get(instrument_key))
        row = dict.fromkeys(FILTER_RESULTS.column_names)
        row |= {
            "instrument_key": instrument_key,
            "trading_day": day,
            "profile": settings.profile,
            "series": bars[-1].series if bars else None,
        }
        rows.append(row | _verdict(stock, settings, sequence_settings))
    return frame_of(FILTER_RESULTS, rows)


def _verdict(
    stock: _Stock, settings: FilterSettings, sequence_settings: SequenceSettings
) -> dict[str, Any]:
    """The columns of all stages up to the first that is not passed, and the verdict."""
    columns: dict[str, Any] = {}
    stages: dict[str, Callable[[], _Outcome]] = {
        "basic": lambda: _basic(stock, settings),
        "ema": lambda: _ema(stock, settings),
        "rsi": lambda: _rsi(stock, columns["side"], settings),
        "mamba": lambda: _mamba(stock, columns["side"], settings, sequence_settings),
    }
    for stage, outcome_of_stage in stages.items():
        outcome = outcome_of_stage()
        columns |= outcome.columns
        columns[f"{stage}_passed"] = outcome.passed
        columns[f"{stage}_reason"] = outcome.reason
        columns["reason"] = outcome.reason
        if not outcome.passed:
            columns["stopped_at"] = stage
            columns["verdict"] = (
                VERDICT_NOT_ENOUGH_DATA if outcome.passed is None else VERDICT_REJECTED
            )
            return columns
    columns["verdict"] = _VERDICT_OF_SIDE[columns["side"]]
    return columns


def _basic(stock: _Stock, settings: FilterSettings) -> _Outcome:
    """Is the price in range, and is the stock traded enough?"""
    day = f"{stock.day:%Y-%m-%d}"
    if not stock.bars:
        reason = protocol.STALE.format(expected=day, found=f"{stock.last_day:%Y-%m-%d}")
        return _Outcome(None, reason, {})
    close = stock.bars[-1].close
    columns: dict[str, Any] = {"close": close}
    volumes = [bar.volume for bar in stock.bars[-settings.volume_days :]]
    if len(volumes) < settings.volume_days:
        reason = protocol.TOO_FEW_BARS.format(
            found=len(volumes), day=day, needed=settings.volume_days
        )
        return _Outcome(None, reason, columns)
    bar = stock.bars[-1]
    if not isnan(bar.unexplained_gap):
        gap_day = f"{bar.unexplained_gap_day:%Y-%m-%d}"
        reason = protocol.UNEXPLAINED_GAP.format(ratio=bar.unexplained_gap, day=gap_day)
        return _Outcome(None, reason, columns)
    has_volumes = not any(pd.isna(volume) for volume in volumes)
    average_volume = sum(volumes) // settings.volume_days if has_volumes else None

    def judged() -> tuple[bool, str, Mapping[str, Any]]:
        minimum, maximum = settings.minimum_close, settings.maximum_close
        minimum_volume = settings.minimum_average_volume
        assert average_volume is not None, "_answer asks for it first"
        threshold = protocol.BASIC_THRESHOLD.format(
            minimum_close=minimum, maximum_close=maximum, minimum_volume=minimum_volume
        )
        found = {"average_volume": average_volume, "basic_threshold": threshold}
        if close < minimum:
            return False, protocol.BASIC_CLOSE_LOW.format(close=close, limit=minimum), found
        if close > maximum:
            return False, protocol.BASIC_CLOSE_HIGH.format(close=close, limit=maximum), found
        if average_volume < minimum_volume:
            reason = protocol.BASIC_VOLUME_LOW.format(volume=average_volume, limit=minimum_volume)
            return False, reason, found
        return True, protocol.BASIC_PASSED.format(close=close, volume=average_volume), found

    return _answer({"close": close, "average_volume": average_volume}, columns, judged)


def _ema(stock: _Stock, settings: FilterSettings) -> _Outcome:
    """Is the close clearly above or below EMA 50? That is the side of the stock."""
    bar = stock.bars[-1]
    deviation = (bar.close - bar.ema_50) / bar.ema_50
    columns: dict[str, Any] = {"ema_50": bar.ema_50, "ema_deviation": deviation}
    if not bar.is_warm:
        return _Outcome(None, protocol.COLD.format(found=bar.bars_of_history), columns)

    def judged() -> tuple[bool, str, Mapping[str, Any]]:
        found = {"ema_threshold": settings.ema_deviation}
        if not is_above(abs(deviation), settings.ema_deviation):
            reason = protocol.EMA_REJECTED.format(
                close=bar.close, threshold=settings.ema_deviation * 100, ema=bar.ema_50
            )
            return False, reason, found
        side, wording = (
            (BULLISH, protocol.EMA_BULLISH) if deviation > 0 else (BEARISH, protocol.EMA_BEARISH)
        )
        reason = wording.format(close=bar.close, percent=abs(deviation) * 100, ema=bar.ema_50)
        return True, reason, {**found, "side": side}

    return _answer({"ema_50": bar.ema_50, "rsi": bar.rsi}, columns, judged)


def _rsi(stock: _Stock, side: str, settings: FilterSettings) -> _Outcome:
    """Does RSI support the side?"""
    rsi = stock.bars[-1].rsi
    limit = settings.rsi_bullish if side == BULLISH else settings.rsi_bearish

    def judged() -> tuple[bool, str, Mapping[str, Any]]:
        passed = is_at_least(rsi, limit) if side == BULLISH else not is_above(rsi, limit)
        wording = protocol.RSI_PASSED if passed else protocol.RSI_REJECTED
        return passed, wording.format(rsi=rsi, side=side, limit=limit), {}

    return _answer({"rsi": rsi}, {"rsi": rsi, "rsi_threshold": limit}, judged)


def _mamba(
    stock: _Stock, side: str, settings: FilterSettings, sequence_settings: SequenceSettings
) -> _Outcome:
    """Are there enough strong days, in long enough runs, close enough together, with the trend on the side?"""
    analysis = stock.analysis
    look_back_days = sequence_settings.look_back_days
    columns: dict[str, Any] = {}
    if analysis is not None:
        columns = _mamba_columns(analysis, look_back_days)
    if analysis is None or not pd.isna(analysis["trend_reason"]):
        return _Outcome(None, protocol.COLD_TREND.format(needed=look_back_days), columns)
    asked = {name: analysis[name] for name in _ASKED_BY_MAMBA}
    found = {"mamba_threshold": settings.mamba_ratio}
    return _answer(
        asked,
        columns,
        lambda: (*_mamba_judged(asked, side, settings, look_back_days), found),
    )


_ASKED_BY_MAMBA = (
    "mamba_days",
    "current_length",
    "longest_mamba_sequence",
    "mamba_sequences",
    "long_gaps",
    "trend",
)


def _mamba_judged(
    analysis: Mapping[str, Any], side: str, settings: FilterSettings, look_back_days: int
) -> tuple[bool, str]:
    mamba_days, trend = analysis["mamba_days"], analysis["trend"]
    if mamba_days / look_back_days < settings.mamba_ratio:
        return False, protocol.MAMBA_FEW_DAYS.format(
            found=mamba_days, days=look_back_days, share=settings.mamba_ratio * 100
        )
    longest = max(analysis["current_length"], analysis["longest_mamba_sequence"])
    if longest < settings.minimum_sequence_length:
        return False, protocol.MAMBA_SHORT.format(needed=settings.minimum_sequence_length)
    runs, long_gaps = analysis["mamba_sequences"], analysis["long_gaps"]
    allowed_gaps = runs // settings.long_gaps_per_mamba_sequences
    if runs > 1 and long_gaps > allowed_gaps:
        return False, protocol.MAMBA_LONG_GAPS.format(
            gaps=long_gaps, runs=runs, allowed=allowed_gaps
        )
    if trend != side:
        return False, protocol.MAMBA_TREND.format(trend=trend, side=side)
    return True, protocol.MAMBA_PASSED.format(
        found=mamba_days, days=look_back_days, trend=trend, side=side
    )


def _mamba_columns(analysis: Mapping[str, Any], look_back_days: int) -> dict[str, Any]:
    mamba_days, trend = analysis["mamba_days"], analysis["trend"]
    is_known = not pd.isna(mamba_days)
    return {
        "mamba_ratio": mamba_days / look_back_days if is_known else None,
        "trend": trend,
        "mamba_count": mamba_days if is_known else None,
        "bullish_mamba_count": (mamba_days if trend == BULLISH else 0) if is_known else None,
        "bearish_mamba_count": (mamba_days if trend == BEARISH else 0) if is_known else None,
        "average_mamba_length": analysis["average_mamba_length"],
        "average_non_mamba_length": analysis["average_non_mamba_length"],
        "mamba_series": analysis["mamba_series"],
        "non_mamba_series": analysis["non_mamba_series"],
    }
