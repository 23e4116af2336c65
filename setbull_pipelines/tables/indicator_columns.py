"""The indicators: one column each, by builders that know everything of their family.

Belongs here: indicators that are computed over the bars of a series, with their periods. Does not belong here: the
tables that have them, what a row says of its history (``indicators.py``), how much history follows (``look_back.py``).
"""

from __future__ import annotations

from typing import NamedTuple, Unpack

from setbull_pipelines.tables.actions import ADJUSTMENT
from setbull_pipelines.tables.columns import value
from setbull_pipelines.tables.contract import Column, Facts, Memory, Source, Sources
from setbull_pipelines.tables.oracles import (
    OLD_DATABASE,
    STOCK_INDICATORS,
    TALIB,
    TRADINGVIEW,
    VECTOR_BANDS,
    Oracle,
)

BARS = "bars"
"""Stands for the table of candles in the sources of an indicator, which is computed over more than one."""


class Periods(NamedTuple):
    """The periods of the indicators, in bars. Each belongs to its column, whose name or text says it: no setting."""

    moving_average: int = 9
    exponential: tuple[int, ...] = (5, 9, 20, 50)
    rsi: int = 14
    atr: int = 14
    bands: int = 20
    band_deviations: float = 2.0
    volume_average: int = 10


PERIODS = Periods()
"""Those of the columns below."""


def from_bars(*names: str) -> Sources:
    """Columns of the bars, which are adjusted for corporate actions before anything is computed over them."""
    return tuple(Source(BARS, name) for name in names) + ADJUSTMENT


def indicator(
    name: str, description: str, unit: str, memory: Memory, **facts: Unpack[Facts]
) -> Column:
    """An indicator; from closes, and null only before its first value, where nothing else is said."""
    of_closes: Facts = {
        "warm_up": f"first value at bar {memory.first}",
        "null_rule": "null before the first value",
        "sources": from_bars("close"),
    }
    return value(name, description, unit, memory=memory, **(of_closes | facts))


def moving_average(period: int) -> Column:
    """Simple moving average of closes."""
    return indicator(
        f"ma_{period}",
        f"Simple moving average of {period} closes",
        "rupees",
        Memory(period),
        formula=f"sum of the last {period} closes / {period}",
        oracles=(TALIB, STOCK_INDICATORS, OLD_DATABASE),
    )


_ALSO_KNOWN: dict[int, tuple[Oracle, ...]] = {
    5: (OLD_DATABASE,),
    9: (OLD_DATABASE,),
    20: (STOCK_INDICATORS,),
    50: (OLD_DATABASE,),
}
"""Oracles of exponential averages besides TA-Lib, which has any period, by period."""


def ema(period: int) -> Column:
    """Exponential moving average of closes."""
    return indicator(
        f"ema_{period}",
        f"Exponential moving average, {period} bars, alpha 2/{period + 1}, seeded with the mean of {period}",
        "rupees",
        Memory(period, 1 - 2 / (period + 1)),
        formula=f"e + 2 / {period + 1} x (close - e), e the value of the bar before",
        seed=f"mean of the first {period} closes",
        oracles=(TALIB, *_ALSO_KNOWN.get(period, ())),
    )


def wilder_memory(period: int) -> Memory:
    """Memory of a Wilder mean over changes or true ranges; the second bar is the first that has one."""
    return Memory(period + 1, 1 - 1 / period)


def rsi(period: int) -> Column:
    """Wilder's relative strength index."""
    return indicator(
        "rsi",
        f"Relative strength index (Wilder, {period}); 100 when the average loss is 0",
        "0 to 100",
        wilder_memory(period),
        formula=f"100 x G / (G + L); G and L are Wilder means over {period} of the rises and the falls from close to "
        f"close: m x {period - 1} / {period} + change / {period}. 100 where L is 0",
        seed=f"means of the first {period} rises and of the first {period} falls",
        oracles=(TALIB, STOCK_INDICATORS, OLD_DATABASE),
    )


def atr(period: int) -> Column:
    """Wilder's average true range."""
    return indicator(
        "atr",
        f"Average true range (Wilder, {period}); true range needs a previous close",
        "rupees",
        wilder_memory(period),
        formula=f"Wilder mean over {period} of max(high - low, |high - close before|, |low - close before|)",
        seed=f"mean of the first {period} true ranges; the first bar has none",
        sources=from_bars("high", "low", "close"),
        oracles=(TALIB, STOCK_INDICATORS, OLD_DATABASE),
    )


def bands(period: int, deviations: float) -> tuple[Column, ...]:
    """Bollinger bands: upper, middle and lower one, and their width in rupees, as a ratio and in percent."""
    memory = Memory(period)
    oracles = (TALIB, STOCK_INDICATORS, TRADINGVIEW, OLD_DATABASE, VECTOR_BANDS)
    no_ratio = "null before the first value, and where bb_middle is 0"
    return (
        indicator(
            "bb_upper",
            f"Bollinger upper band: middle + {deviations:g} population deviations of {period} closes",
            "rupees",
            memory,
            formula=f"bb_middle + {deviations:g} x d; d = sqrt(mean of (close - bb_middle)^2 over the last {period} "
            "bars)",
            oracles=oracles,
        ),
        indicator(
            "bb_middle",
            f"Bollinger middle band: mean of {period} closes",
            "rupees",
            memory,
            formula=f"sum of the last {period} closes / {period}",
            oracles=oracles,
        ),
        indicator(
            "bb_lower",
            f"Bollinger lower band: middle - {deviations:g} population deviations of {period} closes",
            "rupees",
            memory,
            formula=f"bb_middle - {deviations:g} x d, d as for bb_upper",
            oracles=oracles,
        ),
        indicator(
            "bb_width",
            "bb_upper - bb_lower",
            "rupees",
            memory,
            formula=f"{2 * deviations:g} x d, d as for bb_upper; exactly 0 for equal closes",
            oracles=(TALIB, TRADINGVIEW),
        ),
        indicator(
            "bb_width_normalized",
            "bb_width / bb_middle",
            "ratio",
            memory,
            formula="bb_width / bb_middle",
            null_rule=no_ratio,
            oracles=(STOCK_INDICATORS, OLD_DATABASE),
        ),
        indicator(
            "bb_width_normalized_percentage",
            "100 x bb_width_normalized",
            "percent",
            memory,
            formula="100 x bb_width / bb_middle",
            null_rule=no_ratio,
            oracles=(TRADINGVIEW,),
        ),
    )


def volume_average(period: int) -> Column:
    """Simple moving average of volumes."""
    return indicator(
        f"volume_ma_{period}",
        f"Mean volume of {period} bars",
        "shares",
        Memory(period),
        formula=f"sum of the last {period} volumes / {period}",
        null_rule="null before the first value, and where one of the volumes is not known",
        sources=from_bars("volume"),
        oracles=(TALIB,),
    )


INDICATOR_COLUMNS = (
    moving_average(PERIODS.moving_average),
    *(ema(period) for period in PERIODS.exponential),
    rsi(PERIODS.rsi),
    atr(PERIODS.atr),
    *bands(PERIODS.bands, PERIODS.band_deviations),
    volume_average(PERIODS.volume_average),
)
