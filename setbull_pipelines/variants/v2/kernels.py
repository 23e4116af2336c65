"""Compiled kernels of V2. Importing this module imports numba: import it inside functions only.

Belongs here: loops that a recursion forces and whole-column NumPy cannot express. Does not belong
here: frames, settings, names of table columns (``indicators.py`` names the output rows).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numba
import numpy as np

Kernel = TypeVar("Kernel", bound=Callable[..., object])


def compiled(function: Kernel) -> Kernel:
    """Compile ``function``; keep the machine code beside the module, else in the user's cache.

    Where neither can be written it is compiled once per process. No fastmath: the order of
    additions, and with it every result, is the one that is written.
    """
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba found no folder for the machine code
        return numba.njit(nogil=True)(function)


MOVING_AVERAGE, FIRST_EMA, RSI, ATR = 0, 1, 5, 6
BAND_UPPER, BAND_MIDDLE, BAND_LOWER, BAND_WIDTH, BAND_RATIO, BAND_PERCENT = 7, 8, 9, 10, 11, 12
VOLUME_AVERAGE, VWAP = 13, 14
OUTPUT_ROWS = 15
"""Rows that :func:`write_indicators` fills."""


@compiled
def write_indicators(
    starts,  # int64[series]: first bar of each series
    ends,  # int64[series]: the bar after its last
    session,  # int64[bar]: changes where VWAP restarts
    high,
    low,
    close,
    volume,  # int64[bar]
    moving_average_period,
    ema_periods,  # int64[4]
    rsi_period,
    atr_period,
    band_period,
    band_deviations,
    volume_period,
    output,  # float64[OUTPUT_ROWS, bar]
):
    """Write all indicators of many series in one pass; NaN where there is no value.

    The formulas of ``tables/indicators.py``, equal to TA-Lib. Every window is added up anew, so a value depends
    only on its own series and no rounding error drifts from bar to bar.
    """
    ema_weights = 2.0 / (ema_periods + 1.0)
    for series in range(len(starts)):
        average_gain = average_loss = average_range = 0.0
        volume_sum = 0
        turnover = 0.0
        session_volume = 0
        for bar in range(starts[series], ends[series]):
            age = bar - starts[series]
            for row in range(OUTPUT_ROWS):
                output[row, bar] = np.nan

            if age >= moving_average_period - 1:
                output[MOVING_AVERAGE, bar] = _window_mean(close, bar, moving_average_period)

            for number in range(len(ema_periods)):
                period = ema_periods[number]
                row = FIRST_EMA + number
                if age == period - 1:
                    output[row, bar] = _window_mean(close, bar, period)
                elif age >= period:
                    previous = output[row, bar - 1]
                    output[row, bar] = previous + ema_weights[number] * (close[bar] - previous)

            if age > 0:
                change = close[bar] - close[bar - 1]
                average_gain = _wilder(average_gain, max(change, 0.0), age, rsi_period)
                average_loss = _wilder(average_loss, max(-change, 0.0), age, rsi_period)
                if age >= rsi_period:
                    if average_loss == 0.0:
                        output[RSI, bar] = 100.0
                    else:
                        # Equals 100 - 100 / (1 + gain / loss), without its cancellation near 0.
                        output[RSI, bar] = 100.0 * average_gain / (average_gain + average_loss)
                true_range = max(
                    high[bar] - low[bar],
                    abs(high[bar] - close[bar - 1]),
                    abs(low[bar] - close[bar - 1]),
                )
                average_range = _wilder(average_range, true_range, age, atr_period)
                if age >= atr_period:
                    output[ATR, bar] = average_range

            if age >= band_period - 1:
                middle, deviation = _window_deviation(close, bar, band_period)
                reach = band_deviations * deviation
                output[BAND_UPPER, bar] = middle + reach
                output[BAND_MIDDLE, bar] = middle
                output[BAND_LOWER, bar] = middle - reach
                # Equals upper - lower, without the rounding of a high price in a narrow band.
                width = 2.0 * reach
                output[BAND_WIDTH, bar] = width
                if middle != 0.0:
                    output[BAND_RATIO, bar] = width / middle
                    output[BAND_PERCENT, bar] = 100.0 * output[BAND_RATIO, bar]

            # Whole numbers: adding the new and taking away the old volume is exact.
            volume_sum += volume[bar]
            if age >= volume_period:
                volume_sum -= volume[bar - volume_period]
            if age >= volume_period - 1:
                output[VOLUME_AVERAGE, bar] = volume_sum / volume_period

            if age == 0 or session[bar] != session[bar - 1]:
                turnover = 0.0
                session_volume = 0
            turnover += (high[bar] + low[bar] + close[bar]) / 3.0 * volume[bar]
            session_volume += volume[bar]
            if session_volume > 0:
                output[VWAP, bar] = turnover / session_volume


@compiled
def _window_mean(values, last, period):
    # Distances from one value of the window: the mean of equal values is exactly that value.
    total = 0.0
    for position in range(last - period + 1, last + 1):
        total += values[position] - values[last]
    return values[last] + total / period


@compiled
def _window_deviation(values, last, period):
    mean = _window_mean(values, last, period)
    squares = 0.0
    for position in range(last - period + 1, last + 1):
        distance = values[position] - mean
        squares += distance * distance
    return mean, np.sqrt(squares / period)


@compiled
def _wilder(average, value, age, period):
    # The sum of the first ``period`` values until it becomes their mean, then Wilder's recursion.
    if age < period:
        return average + value
    if age == period:
        return (average + value) / period
    return (average * (period - 1) + value) / period
