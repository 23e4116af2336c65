"""Which daily series stands for an instrument on a day, and its bars with their indicators.

Belongs here: the choice between 'exchange' and 'minutes' that moves and filters share. Does not belong
here: what is computed from the bars.
"""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from setbull_pipelines.tables.columns import EXCHANGE, MINUTES
from setbull_pipelines.tables.contract import INDIA

_OF_INDICATORS = (
    "ema_20",
    "ema_50",
    "atr",
    "bb_upper",
    "bb_lower",
    "rsi",
    "bars_of_history",
    "is_warm",
    "unexplained_gap",
    "unexplained_gap_day",
)


class DailyBar(NamedTuple):
    """One daily bar and its indicators; averages, bands, ``rsi``, ``unexplained_gap`` are NaN without a value."""

    series: str
    trading_day: pd.Timestamp
    open: float
    high: float
    low: float
    close: float
    volume: int
    """pd.NA where it is not known."""
    ema_20: float
    ema_50: float
    atr: float
    bb_upper: float
    bb_lower: float
    rsi: float
    bars_of_history: int
    is_warm: bool
    unexplained_gap: float
    unexplained_gap_day: pd.Timestamp


def day_of(as_of: pd.Timestamp) -> pd.Timestamp:
    """The trading day of a moment as naive midnight; a moment without time zone is exchange time."""
    if as_of.tzinfo is not None:
        as_of = as_of.tz_convert(INDIA).tz_localize(None)
    return as_of.normalize()


def bars_of_chosen_series(
    candles_daily: pd.DataFrame, indicators_daily: pd.DataFrame, day: pd.Timestamp
) -> dict[str, list[DailyBar]]:
    """Bars up to ``day`` in time order, of the chosen series of every instrument with a bar on ``day``.

    A candle without a row of indicators counts as not warm, with 0 bars of history.
    """
    bar_key = ["instrument_key", "series", "trading_day"]
    bars = candles_daily[candles_daily["trading_day"] <= day].merge(
        indicators_daily[[*bar_key, *_OF_INDICATORS]],
        on=bar_key,
        how="left",
        validate="one_to_one",
    )
    bars["bars_of_history"] = bars["bars_of_history"].fillna(0).astype("int64")
    bars["is_warm"] = bars["is_warm"].eq(True).fillna(False)
    bars = bars.sort_values(bar_key)
    bars_of_series: dict[tuple[str, str], list[DailyBar]] = {}
    for key, rows in bars.groupby(["instrument_key", "series"]):
        columns = (rows[name].tolist() for name in DailyBar._fields)
        bars_of_series[key] = [DailyBar(*values) for values in zip(*columns, strict=True)]

    chosen = {}
    for instrument_key in bars["instrument_key"].unique():
        exchange = bars_of_series.get((instrument_key, EXCHANGE), [])
        minutes = bars_of_series.get((instrument_key, MINUTES), [])
        if _has_bar_on(day, exchange) and (
            exchange[-1].is_warm or not _has_warm_bar_on(day, minutes)
        ):
            chosen[instrument_key] = exchange
        elif _has_bar_on(day, minutes):
            chosen[instrument_key] = minutes
    return chosen


def _has_bar_on(day: pd.Timestamp, bars: list[DailyBar]) -> bool:
    return bool(bars) and bars[-1].trading_day == day


def _has_warm_bar_on(day: pd.Timestamp, bars: list[DailyBar]) -> bool:
    return _has_bar_on(day, bars) and bars[-1].is_warm
