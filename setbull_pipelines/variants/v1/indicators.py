"""V1 of the indicators: the textbook formulas, one series of bars at a time.

Belongs here: the formulas and the rule for warm values. Does not belong here: making the bars, deciding
what a value means for a filter.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise
from math import nan

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view

from setbull_pipelines.settings import IndicatorSettings
from setbull_pipelines.tables.actions import GENUINE
from setbull_pipelines.tables.columns import MINUTES
from setbull_pipelines.tables.indicator_columns import PERIODS, Periods
from setbull_pipelines.tables.indicators import INDICATORS_5MIN, INDICATORS_DAILY
from setbull_pipelines.tables.look_back import bars_to_first_values, warm_bars
from setbull_pipelines.variants.protocol import Timeframe
from setbull_pipelines.variants.v1.daily_series import day_of


def indicators(
    candles: pd.DataFrame,
    timeframe: Timeframe,
    history_starts: pd.DataFrame | None = None,
    settings: IndicatorSettings = IndicatorSettings(),
    since: pd.Timestamp | None = None,
    periods: Periods = PERIODS,
    actions: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """One row of indicators per candle; the contract is in ``variants/protocol.py``.

    Raises ValueError for an unknown timeframe.
    """
    if timeframe not in ("5minute", "day"):
        raise ValueError(f"timeframe: found {timeframe!r}, expected '5minute' or 'day'")
    table = INDICATORS_5MIN if timeframe == "5minute" else INDICATORS_DAILY
    if candles.empty:
        return table.empty()
    if timeframe == "5minute":
        candles = candles.assign(series=MINUTES)
    new_listings = _new_listings(candles, history_starts)

    ordered = candles.sort_values(["instrument_key", "series", "timestamp"], ignore_index=True)
    warm_from = {
        True: bars_to_first_values(),
        False: warm_bars(settings.warm_margin_bars),
    }
    columns_of_series = []
    for series_key, bars in ordered.groupby(["instrument_key", "series"], sort=False):
        columns = _indicator_columns(bars, periods)
        if timeframe == "5minute":
            columns["vwap"] = volume_weighted_average_price(bars)
        bars_of_history = np.arange(1, len(bars) + 1)
        columns["bars_of_history"] = bars_of_history
        columns["is_warm"] = bars_of_history >= warm_from[series_key in new_listings]
        if timeframe == "day":
            columns |= unexplained_gaps(bars, settings, _genuine_days(actions, series_key[0]))
        columns_of_series.append(columns)
    # Each series is one block of the ordered rows, so the blocks of a column follow each other.
    result = ordered[["instrument_key", "series", "timestamp", "trading_day"]].assign(
        **{
            name: np.concatenate([columns[name] for columns in columns_of_series])
            for name in columns_of_series[0]
        }
    )
    if since is not None:
        result = result[result["trading_day"] >= day_of(since)]
    return table.conform(result.drop(columns="series") if timeframe == "5minute" else result)


def simple_moving_average(values: Sequence[float], period: int) -> np.ndarray:
    """Mean of the last ``period`` values; null for the first ``period - 1``."""
    result = np.full(len(values), nan)
    if len(values) >= period:
        result[period - 1 :], _ = _window_means_and_offsets(values, period)
    return result


def exponential_moving_average(values: Sequence[float], period: int) -> list[float]:
    """Average with alpha = 2 / (period + 1), seeded with the mean of the first ``period`` values (TA-Lib).

    Null for the first ``period - 1``.
    """
    result = [nan] * len(values)
    if len(values) < period:
        return result
    alpha = 2 / (period + 1)
    average = simple_moving_average(values[:period], period)[-1].item()
    result[period - 1] = average
    for index in range(period, len(values)):
        average += alpha * (values[index] - average)
        result[index] = average
    return result


def wilder_average(values: Sequence[float], period: int) -> list[float]:
    """Wilder's smoothing: the mean of the first ``period`` values, then average += (value - average) / period.

    Null for the first ``period - 1``.
    """
    result = [nan] * len(values)
    if len(values) < period:
        return result
    average = sum(values[:period]) / period
    result[period - 1] = average
    for index in range(period, len(values)):
        average = (average * (period - 1) + values[index]) / period
        result[index] = average
    return result


def relative_strength_index(closes: Sequence[float], period: int) -> list[float]:
    """Wilder's RSI, 0 to 100; 100 when the average loss is 0; null for the first ``period`` bars."""
    changes = [after - before for before, after in pairwise(closes)]
    average_gains = wilder_average([max(change, 0.0) for change in changes], period)
    average_losses = wilder_average([max(-change, 0.0) for change in changes], period)
    # 100 x G / (G + L) is 100 - 100 / (1 + G / L) without its loss of digits near 0.
    return [
        nan,  # the first bar has no change
        *(
            100.0 if loss == 0 else 100.0 * gain / (gain + loss)
            for gain, loss in zip(average_gains, average_losses, strict=True)
        ),
    ]


def average_true_range(
    highs: Sequence[float], lows: Sequence[float], closes: Sequence[float], period: int
) -> list[float]:
    """Wilder's ATR in rupees; the first true range is that of the second bar; null for the first ``period`` bars."""
    true_ranges = [
        max(high - low, abs(high - previous_close), abs(low - previous_close))
        for high, low, previous_close in zip(highs[1:], lows[1:], closes, strict=False)
    ]
    return [nan, *wilder_average(true_ranges, period)]


def bollinger_bands(
    closes: Sequence[float], period: int, deviations: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Upper, middle, lower band and width in rupees; null for the first ``period - 1`` bars.

    The deviation is that of the population (divisor ``period``), in two passes: first the mean, then the
    squares of the distances to it.
    """
    upper, middle, lower, width = (np.full(len(closes), nan) for _ in range(4))
    if len(closes) >= period:
        means, offsets = _window_means_and_offsets(closes, period)
        distances = offsets - offsets.mean(axis=1, keepdims=True)
        half_width = deviations * np.sqrt((distances**2).mean(axis=1))
        upper[period - 1 :] = means + half_width
        middle[period - 1 :] = means
        lower[period - 1 :] = means - half_width
        # upper - lower, before the rounding of the bands to the digits of a price
        width[period - 1 :] = 2 * half_width
    return upper, middle, lower, width


def volume_weighted_average_price(bars: pd.DataFrame) -> list[float]:
    """Mean of (high + low + close) / 3 weighted by volume since the first bar of the trading day, in rupees.

    ``bars`` are of one instrument, in time order. Null while the volume of the day is 0, and from the first bar of the
    day whose volume is not known.
    """
    result = []
    current_day, traded_value, traded_volume, is_known = None, 0.0, 0, True
    names = ("trading_day", "high", "low", "close", "volume")
    for day, high, low, close, volume in zip(*(bars[n].tolist() for n in names), strict=True):
        if day != current_day:
            current_day, traded_value, traded_volume, is_known = day, 0.0, 0, True
        is_known = is_known and volume is not pd.NA
        if not is_known:
            result.append(nan)
            continue
        traded_value += (high + low + close) / 3 * volume
        traded_volume += volume
        result.append(traded_value / traded_volume if traded_volume > 0 else nan)
    return result


def unexplained_gaps(
    bars: pd.DataFrame,
    settings: IndicatorSettings,
    genuine_days: Collection[pd.Timestamp] = (),
) -> dict[str, Sequence[float] | np.ndarray]:
    """Ratio and day of the latest overnight jump that the indicators of each bar still carry; null without one.

    ``bars`` are adjusted daily bars of one series, in time order. On ``genuine_days`` the price really moved.
    """
    opens, closes, days = (bars[name].tolist() for name in ("open", "close", "trading_day"))
    ratios, gap_days = [], []
    latest, bars_until_warm = None, warm_bars(settings.warm_margin_bars)
    for index in range(len(bars)):
        if index > 0:
            ratio = opens[index] / closes[index - 1]
            is_overnight = (days[index] - days[index - 1]).days <= settings.overnight_days
            is_far = is_overnight and abs(ratio - 1) > settings.maximum_unexplained_gap
            if is_far and days[index] not in genuine_days:
                latest = (index, ratio, days[index])
        if latest is not None and index - latest[0] < bars_until_warm:
            ratios.append(latest[1])
            gap_days.append(latest[2])
        else:
            ratios.append(nan)
            gap_days.append(pd.NaT)
    return {
        "unexplained_gap": ratios,
        "unexplained_gap_day": pd.Series(gap_days, dtype="datetime64[us]").to_numpy(),
    }


def _genuine_days(actions: pd.DataFrame | None, instrument_key: str) -> set[pd.Timestamp]:
    """The days on which the price of an instrument really moved far overnight."""
    if actions is None:
        return set()
    own = (actions["instrument_key"] == instrument_key) & (actions["kind"] == GENUINE)
    return set(actions.loc[own, "ex_date"])


def _indicator_columns(
    bars: pd.DataFrame, periods: Periods
) -> dict[str, Sequence[float] | np.ndarray]:
    """Every indicator of one series of bars in time order, except VWAP."""
    highs, lows, closes = (bars[name].tolist() for name in ("high", "low", "close"))
    upper, middle, lower, width = bollinger_bands(closes, periods.bands, periods.band_deviations)
    width_normalized = np.divide(width, middle, out=np.full(len(bars), nan), where=middle != 0)
    return {
        "ma_9": simple_moving_average(closes, periods.moving_average),
        **{
            f"ema_{of_column}": exponential_moving_average(closes, period)
            for of_column, period in zip(PERIODS.exponential, periods.exponential, strict=True)
        },
        "rsi": relative_strength_index(closes, periods.rsi),
        "atr": average_true_range(highs, lows, closes, periods.atr),
        "bb_upper": upper,
        "bb_middle": middle,
        "bb_lower": lower,
        "bb_width": width,
        "bb_width_normalized": width_normalized,
        "bb_width_normalized_percentage": 100 * width_normalized,
        "volume_ma_10": simple_moving_average(
            bars["volume"].to_numpy("float64", na_value=nan), periods.volume_average
        ),
    }


def _window_means_and_offsets(
    values: Sequence[float], period: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean of each window of ``period`` values, and the values of the window minus its first value.

    Every window is summed by itself and relative to its first value, so that the mean of equal values
    is exactly that value, which sum / period is not (20 x 0.1 / 20).
    """
    windows = sliding_window_view(np.asarray(values, dtype=np.float64), period)
    offsets = windows - windows[:, :1]
    return windows[:, 0] + offsets.mean(axis=1), offsets


def _new_listings(
    candles: pd.DataFrame, history_starts: pd.DataFrame | None
) -> set[tuple[str, str]]:
    """(instrument_key, series) of the new listings: those whose whole history ``candles`` holds."""
    if history_starts is None:
        history_starts = (
            candles.groupby(["instrument_key", "series"])["trading_day"]
            .min()
            .rename("first_trading_day")
            .reset_index()
        )
    earliest_of_series = history_starts.groupby("series")["first_trading_day"].transform("min")
    starts = history_starts["first_trading_day"]
    is_new = (starts > earliest_of_series) & (starts >= candles["trading_day"].min())
    new = history_starts[is_new]
    return set(zip(new["instrument_key"], new["series"], strict=True))
