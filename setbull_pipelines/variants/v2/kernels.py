"""Compiled kernels of V2. Importing this module imports numba: import it inside functions only.

Belongs here: loops that a recursion forces and whole-column NumPy cannot express, and which column each writes. Does
not belong here: frames, settings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias, TypeVar

import numba
import numpy as np

from setbull_pipelines.tables.indicator_columns import INDICATOR_COLUMNS, PERIODS, Periods
from setbull_pipelines.tables.indicators import VWAP

Array: TypeAlias = np.ndarray
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


@compiled
def place_minutes(
    time: Array,  # int64[minute]: microseconds
    day: Array,  # int64[minute]: midnight of the trading day
    of_other_shape: Array,  # bool[minute]: whether the intervals of the second shape hold
    interval_start: Array,  # int64[interval]: those of the first shape, then as many of the second
    interval_end: Array,
    interval_day: Array,
    bar_length: int,  # microseconds
    interval: Array,  # int64[minute]: its interval, -1 without one
    bar_start: Array,  # int64[minute]: the start of its bar; bars count from the start of the interval
) -> int:
    """Find interval and bar of minutes, mostly in time order; return how many are in no interval of their day."""
    of_shape = len(interval_start) // 2
    if of_shape == 0:
        interval[:] = -1
        return len(time)
    outside = found = 0
    start_of_bar = end_of_bar = 0
    last_place = -1
    for minute in range(len(time)):
        moment = time[minute]
        while found + 1 < of_shape and moment >= interval_start[found + 1]:
            found += 1
        while found > 0 and moment < interval_start[found]:
            found -= 1
        place = found + of_shape if of_other_shape[minute] else found
        if (
            moment < interval_start[place]
            or moment >= interval_end[place]
            or day[minute] != interval_day[place]
        ):
            outside += 1
            interval[minute] = -1
            continue
        # A division takes longer than everything else, so one per bar.
        if place != last_place or moment < start_of_bar or moment >= end_of_bar:
            start_of_bar = moment - (moment - interval_start[place]) % bar_length
            end_of_bar = start_of_bar + bar_length
            last_place = place
        interval[minute] = place
        bar_start[minute] = start_of_bar
    return outside


@compiled
def write_bars(
    starts: Array,  # int64[bar]: first minute of each bar
    ends: Array,  # int64[bar]: the minute after its last
    open_: Array,
    high: Array,
    low: Array,
    close: Array,
    volume: Array,  # int64[minute]
    states_open_interest: Array,  # bool[minute]
    counts_untraded: Array,  # bool[bar]: whether minutes without volume count for prices
    prices: Array,  # float64[4, bar]: open, high, low, close
    integers: Array,  # int64[3, bar]: minutes that count, minutes traded, volume
    last_stating: Array,  # int64[bar]: the last counted minute that states open interest, -1 without one
) -> None:
    """Write one bar per run of minutes in time order; prices of a bar without a counted minute mean nothing."""
    for bar in range(len(starts)):
        counted = traded = total = 0
        last_stating[bar] = -1
        for minute in range(starts[bar], ends[bar]):
            if volume[minute] > 0:
                traded += 1
            elif not counts_untraded[bar]:
                continue
            if counted == 0:
                prices[0, bar] = open_[minute]
                highest, lowest = high[minute], low[minute]
            counted += 1
            total += volume[minute]
            highest = max(highest, high[minute])
            lowest = min(lowest, low[minute])
            prices[3, bar] = close[minute]
            if states_open_interest[minute]:
                last_stating[bar] = minute
        if counted:
            prices[1, bar], prices[2, bar] = highest, lowest
        integers[0, bar], integers[1, bar], integers[2, bar] = counted, traded, total


class Rows(NamedTuple):
    """The rows of its output that :func:`write_indicators` fills, by the names of their columns."""

    ma_9: int
    exponential: tuple[int, ...]
    """Positions of the exponential averages, in the order of ``Periods.exponential``."""
    rsi: int
    atr: int
    bb_upper: int
    bb_middle: int
    bb_lower: int
    bb_width: int
    bb_width_normalized: int
    bb_width_normalized_percentage: int
    volume_ma_10: int
    vwap: int


def rows_of(names: Sequence[str]) -> Rows:
    """The rows of an output that has one row per column, in the order of ``names``.

    Raises ValueError for a column that :func:`write_indicators` does not write: its row would hold anything.
    """
    exponential = [f"ema_{period}" for period in PERIODS.exponential]
    single = [name for name in Rows._fields if name != "exponential"]
    unwritten = [name for name in names if name not in (*single, *exponential)]
    if unwritten:
        raise ValueError(
            f"V2 does not write {unwritten}: name them in Rows, and write them in write_indicators, of "
            "setbull_pipelines/variants/v2/kernels.py"
        )
    return Rows(
        **{name: names.index(name) for name in single},
        exponential=tuple(names.index(name) for name in exponential),
    )


@compiled
def write_indicators(
    starts: Array,  # int64[series]: first bar of each series
    ends: Array,  # int64[series]: the bar after its last
    wanted: Array,  # int64[series]: how many of its last bars have a column in ``output``
    places: Array,  # int64[series]: the column of the first of them
    session: Array,  # int64[bar]: changes where VWAP restarts
    high: Array,
    low: Array,
    close: Array,
    volume: Array,  # int64[bar]
    periods: Periods,  # Periods
    row_of: Rows,  # Rows
    output: Array,  # float64[row, wanted bar]
) -> None:
    """Write all indicators of the wanted bars of many series in one pass; NaN where there is no value.

    The formulas of ``tables/indicator_columns.py``, equal to TA-Lib. Every window is added up anew, so a value depends
    only on its own series and no rounding error drifts from bar to bar: windows of bars that are not wanted are
    left out. The columns of a series are written one after the other while its bars are in the processor's nearest
    cache.
    """
    longest = np.max(ends - starts) if len(starts) else 0
    of_series = np.empty((len(output), longest))
    for series in range(len(starts)):
        bars = slice(starts[series], ends[series])
        count, first = ends[series] - starts[series], ends[series] - starts[series] - wanted[series]
        if first == count:
            continue
        # Where every bar is wanted its values are written in place.
        rows, at = (output, places[series]) if first == 0 else (of_series, 0)
        # Row by row: the compiler knows that a row is contiguous, of a part of the table it does not.
        prices = high[bars], low[bars], close[bars]
        means = max(first - periods.moving_average + 1, 0)
        _write_window_means(
            close[bars][means:],
            periods.moving_average,
            rows[row_of.ma_9, at + means : at + count],
        )
        for number, row in enumerate(row_of.exponential):
            _write_ema(close[bars], periods.exponential[number], rows[row, at : at + count])
        _write_rsi(close[bars], periods.rsi, rows[row_of.rsi, at : at + count])
        _write_atr(*prices, periods.atr, rows[row_of.atr, at : at + count])
        bands = max(first - periods.bands + 1, 0)
        of_bands = slice(at + bands, at + count)
        _write_bands(
            close[bars][bands:],
            periods.bands,
            periods.band_deviations,
            rows[row_of.bb_upper, of_bands],
            rows[row_of.bb_middle, of_bands],
            rows[row_of.bb_lower, of_bands],
            rows[row_of.bb_width, of_bands],
            rows[row_of.bb_width_normalized, of_bands],
            rows[row_of.bb_width_normalized_percentage, of_bands],
        )
        averages = max(first - periods.volume_average + 1, 0)
        _write_volume_average(
            volume[bars][averages:],
            periods.volume_average,
            rows[row_of.volume_ma_10, at + averages : at + count],
        )
        opening = first
        while opening > 0 and session[bars][opening - 1] == session[bars][opening]:
            opening -= 1
        _write_vwap(
            high[bars][opening:],
            low[bars][opening:],
            close[bars][opening:],
            volume[bars][opening:],
            session[bars][opening:],
            rows[row_of.vwap, at + opening : at + count],
        )
        if first > 0:
            place = places[series]
            for row in range(len(output)):
                for bar in range(first, count):
                    output[row, place + bar - first] = of_series[row, bar]


@compiled
def _write_window_means(values: Array, period: int, means: Array) -> None:
    means[: period - 1] = np.nan
    totals, last = means[period - 1 :], values[period - 1 :]
    totals[:] = 0.0
    # The place in the window is the outer loop: windows of neighbouring bars do not depend on each other, so the
    # processor adds up several at a time, each in its own order. Distances from one value of the window make the
    # mean of equal values exactly that value.
    for place in range(period):
        window = values[place:]
        for bar in range(len(totals)):
            totals[bar] += window[bar] - last[bar]
    for bar in range(len(totals)):
        totals[bar] = last[bar] + totals[bar] / period


@compiled
def _write_ema(close: Array, period: int, ema: Array) -> None:
    ema[: period - 1] = np.nan
    if len(close) < period:
        return
    last = close[period - 1]
    distance = 0.0
    for bar in range(period):
        distance += close[bar] - last
    average = last + distance / period
    ema[period - 1] = average
    weight = 2.0 / (period + 1.0)
    for bar in range(period, len(close)):
        average += weight * (close[bar] - average)
        ema[bar] = average


@compiled
def _write_rsi(close: Array, period: int, rsi: Array) -> None:
    rsi[:period] = np.nan
    average_gain = average_loss = 0.0
    for bar in range(1, len(close)):
        change = close[bar] - close[bar - 1]
        average_gain = _wilder(average_gain, max(change, 0.0), bar, period)
        average_loss = _wilder(average_loss, max(-change, 0.0), bar, period)
        if bar >= period:
            if average_loss == 0.0:
                rsi[bar] = 100.0
            else:
                # Equals 100 - 100 / (1 + gain / loss), without its cancellation near 0.
                rsi[bar] = 100.0 * average_gain / (average_gain + average_loss)


@compiled
def _write_atr(high: Array, low: Array, close: Array, period: int, atr: Array) -> None:
    atr[:period] = np.nan
    average = 0.0
    for bar in range(1, len(close)):
        before = close[bar - 1]
        true_range = max(high[bar] - low[bar], abs(high[bar] - before), abs(low[bar] - before))
        average = _wilder(average, true_range, bar, period)
        if bar >= period:
            atr[bar] = average


@compiled
def _wilder(average: float, value: float, bar: int, period: int) -> float:
    # The sum of the first ``period`` values until it becomes their mean, then Wilder's recursion. Its factors do not
    # depend on the bar, so that the compiler takes the divisions out of the loop.
    if bar < period:
        return average + value
    if bar == period:
        return (average + value) / period
    return average * ((period - 1) / period) + value * (1.0 / period)


@compiled
def _write_bands(
    close: Array,
    period: int,
    deviations: float,
    upper: Array,
    middle: Array,
    lower: Array,
    width: Array,
    ratio: Array,
    percent: Array,
) -> None:
    _write_window_means(close, period, middle)
    upper[: period - 1] = lower[: period - 1] = width[: period - 1] = np.nan
    ratio[: period - 1] = percent[: period - 1] = np.nan
    mean, squares = middle[period - 1 :], width[period - 1 :]
    squares[:] = 0.0
    for place in range(period):
        window = close[place:]
        for bar in range(len(mean)):
            distance = window[bar] - mean[bar]
            squares[bar] += distance * distance
    for bar in range(period - 1, len(close)):
        reach = deviations * np.sqrt(width[bar] / period)
        upper[bar] = middle[bar] + reach
        lower[bar] = middle[bar] - reach
        # Equals upper - lower, without the rounding of a high price in a narrow band.
        width[bar] = 2.0 * reach
        ratio[bar] = width[bar] / middle[bar] if middle[bar] != 0.0 else np.nan
        percent[bar] = 100.0 * ratio[bar]


@compiled
def _write_volume_average(volume: Array, period: int, average: Array) -> None:
    average[: period - 1] = np.nan
    total = 0
    for bar in range(len(volume)):
        # Whole numbers: adding the new and taking away the old volume is exact.
        total += volume[bar]
        if bar >= period:
            total -= volume[bar - period]
        if bar >= period - 1:
            average[bar] = total / period


@compiled
def _write_vwap(
    high: Array, low: Array, close: Array, volume: Array, session: Array, vwap: Array
) -> None:
    turnover = 0.0
    traded = 0
    for bar in range(len(volume)):
        if bar == 0 or session[bar] != session[bar - 1]:
            turnover = 0.0
            traded = 0
        turnover += (high[bar] + low[bar] + close[bar]) / 3.0 * volume[bar]
        traded += volume[bar]
        vwap[bar] = turnover / traded if traded > 0 else np.nan


def load() -> None:
    """Compile every kernel, or load its machine code, for the types that the rest of V2 calls it with."""

    def given(kind: str) -> Array:  # what columns.ordered gives
        values = np.zeros(1, kind)
        values.flags.writeable = False
        return values

    moments, prices, flags = given("int64"), given("float64"), given("bool")
    integers = np.zeros(1, "int64")
    place_minutes(moments, moments, flags, moments, moments, moments, 1, integers, integers.copy())
    write_bars(
        *(integers, integers + 1, prices, prices, prices, prices, moments, flags),
        np.zeros(1, "bool"),
        *(np.zeros((4, 1)), np.zeros((3, 1), "int64"), integers.copy()),
    )
    names = [column.name for column in (*INDICATOR_COLUMNS, VWAP)]
    write_indicators(
        *(integers, integers + 1, integers + 1, integers),
        *(moments, prices, prices, prices, moments),
        *(PERIODS, rows_of(names), np.zeros((len(names), 1))),
    )
