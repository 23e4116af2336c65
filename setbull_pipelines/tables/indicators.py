"""Tables of indicators: one row per bar, one column per indicator. Null during warm-up, never 0."""

from __future__ import annotations

from dataclasses import dataclass

from setbull_pipelines.tables.candles import COMPUTED_SCHEMAS
from setbull_pipelines.tables.columns import (
    BAR_START,
    INSTRUMENT_KEY,
    SERIES,
    TRADING_DAY,
    count,
    day,
    flag,
    value,
)
from setbull_pipelines.tables.contract import EXACT, Column, Memory, Table


@dataclass(frozen=True)
class Periods:
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


def _exponential(period: int) -> Column:
    return value(
        f"ema_{period}",
        f"Exponential moving average, {period} bars, alpha 2/{period + 1}, seeded with the mean of {period}",
        "rupees",
        memory=Memory(period, 1 - 2 / (period + 1)),
    )


def _wilder(name: str, description: str, unit: str, period: int) -> Column:
    """The first change or true range is that of the second bar."""
    return value(name, description, unit, memory=Memory(period + 1, 1 - 1 / period))


_BANDS = Memory(PERIODS.bands)

INDICATOR_COLUMNS = (
    value(
        "ma_9", "Simple moving average of 9 closes", "rupees", memory=Memory(PERIODS.moving_average)
    ),
    *(_exponential(period) for period in PERIODS.exponential),
    _wilder(
        "rsi",
        "Relative strength index (Wilder, 14); 100 when the average loss is 0",
        "0 to 100",
        PERIODS.rsi,
    ),
    _wilder(
        "atr",
        "Average true range (Wilder, 14); true range needs a previous close",
        "rupees",
        PERIODS.atr,
    ),
    value(
        "bb_upper",
        "Bollinger upper band: middle + 2 population deviations of 20 closes",
        "rupees",
        memory=_BANDS,
    ),
    value("bb_middle", "Bollinger middle band: mean of 20 closes", "rupees", memory=_BANDS),
    value(
        "bb_lower",
        "Bollinger lower band: middle - 2 population deviations of 20 closes",
        "rupees",
        memory=_BANDS,
    ),
    value("bb_width", "bb_upper - bb_lower", "rupees", memory=_BANDS),
    value("bb_width_normalized", "bb_width / bb_middle", "ratio", memory=_BANDS),
    value("bb_width_normalized_percentage", "100 x bb_width_normalized", "percent", memory=_BANDS),
    value(
        "volume_ma_10", "Mean volume of 10 bars", "shares", memory=Memory(PERIODS.volume_average)
    ),
)
VWAP = value(
    "vwap",
    "Volume-weighted mean of (high + low + close) / 3 since the open of the session; null while its "
    "volume is 0 or not known",
    "rupees",
)
HISTORY_COLUMNS = (
    count("bars_of_history", "Bars of the series inside the look-back, this one included", "bars"),
    flag(
        "is_warm",
        "True when the start of every recursion has at most the weight that it has of EMA 50 200 bars after its first "
        "value (0.034 %), or the whole life of a new listing is there",
    ),
)
GAP_COLUMNS = (
    value(
        "unexplained_gap",
        "Open / previous close, adjusted for corporate actions, of the latest bar whose price jumped without one and "
        "from which on the series is not warm yet; null when there is none",
        "ratio",
        tolerance=EXACT,
    ),
    day("unexplained_gap_day", "Trading day of that bar", nullable=True),
)

INDICATORS_5MIN = Table(
    name="indicators_5min",
    description="Indicators of the five-minute candles, across sessions, one row per traded bar, in prices of its "
    "trading day: earlier candles are adjusted for the corporate actions up to it.",
    schemas=COMPUTED_SCHEMAS,
    key=("instrument_key", "timestamp"),
    columns=(INSTRUMENT_KEY, BAR_START, TRADING_DAY, *INDICATOR_COLUMNS, VWAP, *HISTORY_COLUMNS),
)

INDICATORS_DAILY = Table(
    name="indicators_daily",
    description="Indicators of the daily candles, per series, one row per daily bar, in prices of its trading day: "
    "earlier candles are adjusted for the corporate actions up to it.",
    schemas=COMPUTED_SCHEMAS,
    key=("instrument_key", "series", "timestamp"),
    columns=(
        INSTRUMENT_KEY,
        SERIES,
        BAR_START,
        TRADING_DAY,
        *INDICATOR_COLUMNS,
        *HISTORY_COLUMNS,
        *GAP_COLUMNS,
    ),
)
