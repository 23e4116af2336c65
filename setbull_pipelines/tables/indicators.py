"""Tables of indicators: one row per bar, one column per indicator. Null during warm-up, never 0."""

from __future__ import annotations

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
from setbull_pipelines.tables.contract import EXACT, Table

INDICATOR_COLUMNS = (
    value("ma_9", "Simple moving average of 9 closes", "rupees"),
    value(
        "ema_5",
        "Exponential moving average, 5 bars, alpha 2/6, seeded with the mean of 5",
        "rupees",
    ),
    value(
        "ema_9",
        "Exponential moving average, 9 bars, alpha 2/10, seeded with the mean of 9",
        "rupees",
    ),
    value(
        "ema_20",
        "Exponential moving average, 20 bars, alpha 2/21, seeded with the mean of 20",
        "rupees",
    ),
    value(
        "ema_50",
        "Exponential moving average, 50 bars, alpha 2/51, seeded with the mean of 50",
        "rupees",
    ),
    value(
        "rsi", "Relative strength index (Wilder, 14); 100 when the average loss is 0", "0 to 100"
    ),
    value("atr", "Average true range (Wilder, 14); true range needs a previous close", "rupees"),
    value(
        "bb_upper", "Bollinger upper band: middle + 2 population deviations of 20 closes", "rupees"
    ),
    value("bb_middle", "Bollinger middle band: mean of 20 closes", "rupees"),
    value(
        "bb_lower", "Bollinger lower band: middle - 2 population deviations of 20 closes", "rupees"
    ),
    value("bb_width", "bb_upper - bb_lower", "rupees"),
    value("bb_width_normalized", "bb_width / bb_middle", "ratio"),
    value("bb_width_normalized_percentage", "100 x bb_width_normalized", "percent"),
    value("volume_ma_10", "Mean volume of 10 bars", "shares"),
)
VWAP = value(
    "vwap",
    "Volume-weighted mean of (high + low + close) / 3 since the open of the session; null while its volume is 0",
    "rupees",
)
HISTORY_COLUMNS = (
    count("bars_of_history", "Bars of the series inside the look-back, this one included", "bars"),
    flag(
        "is_warm",
        "True when the slowest column has 200 bars more than it needs, or the whole life of a new listing",
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
