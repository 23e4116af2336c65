"""Tables of indicators: one row per bar, one column per indicator. Null during warm-up, never 0.

Belongs here: the tables, and the columns that only one of them has or that speak of a row's history. Does not belong
here: the indicators of both tables (``indicator_columns.py``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from setbull_pipelines.settings import IndicatorSettings
from setbull_pipelines.tables.actions import ADJUSTMENT, CORPORATE_ACTIONS
from setbull_pipelines.tables.candles import CANDLES_5MIN, CANDLES_DAILY, COMPUTED_SCHEMAS
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
from setbull_pipelines.tables.contract import EXACT, Column, Source, Table
from setbull_pipelines.tables.indicator_columns import BARS, INDICATOR_COLUMNS
from setbull_pipelines.tables.look_back import bars_to_first_values, warm_bars
from setbull_pipelines.tables.oracles import OLD_VWAP, REAL_SPLITS, SESSION_VWAP, VECTOR_WARM
from setbull_pipelines.tables.raw import COVERAGE

WARM = warm_bars(IndicatorSettings().warm_margin_bars)
"""Bars of history from which a row is warm, with the default margin."""

VWAP = value(
    "vwap",
    "Volume-weighted mean of (high + low + close) / 3 since the open of the session; null while its "
    "volume is 0 or not known",
    "rupees",
    formula="sum of (high + low + close) / 3 x volume / sum of volume, over the bars of the session up to this one",
    seed="starts anew with the first bar of every trading day",
    null_rule="null while the volume of the session is 0, and from its first bar without a known volume on",
    sources=CANDLES_5MIN.sources("high", "low", "close", "volume"),
    oracles=(SESSION_VWAP, OLD_VWAP),
)
HISTORY_COLUMNS = (
    count(
        "bars_of_history",
        "Bars of the series inside the look-back, this one included",
        "bars",
        formula="number of the bar in its series within the look-back, 1 is the first",
        sources=(Source(BARS, "timestamp"),),
        oracles=(VECTOR_WARM,),
    ),
    flag(
        "is_warm",
        "True when the start of every recursion has at most the weight that it has of EMA 50 200 bars after its first "
        "value (0.034 %), or the whole life of a new listing is there",
        formula=f"bars_of_history >= {WARM}, or >= {bars_to_first_values()} for a series whose whole life lies in the "
        "look-back. The mean that EMA 50 starts from then has a weight of 0.034 %",
        sources=(Source(BARS, "timestamp"), *COVERAGE.sources("first_trading_day", "series")),
        oracles=(VECTOR_WARM,),
    ),
)
_GAP_SOURCES = (
    *CANDLES_DAILY.sources("open", "close", "trading_day"),
    *ADJUSTMENT,
    *CORPORATE_ACTIONS.sources("kind"),
)
GAP_COLUMNS = (
    value(
        "unexplained_gap",
        "Open / previous close, adjusted for corporate actions, of the latest bar whose price jumped without one and "
        "from which on the series is not warm yet; null when there is none",
        "ratio",
        tolerance=EXACT,
        formula="open / close before, of the latest bar at most 10 days after the one before with |open / close "
        f"before - 1| > 0.25 after adjusting and no genuine action on its day, for {WARM} bars from it on",
        warm_up="the first bar has no bar before it",
        null_rule=f"null without such a bar among the last {WARM}",
        sources=_GAP_SOURCES,
        oracles=(REAL_SPLITS,),
    ),
    day(
        "unexplained_gap_day",
        "Trading day of that bar",
        formula="trading_day of the bar of unexplained_gap",
        warm_up="as unexplained_gap",
        null_rule="null where unexplained_gap is",
        sources=_GAP_SOURCES,
        oracles=(REAL_SPLITS,),
    ),
)


def _over(candles: Table, columns: Iterable[Column]) -> tuple[Column, ...]:
    """Columns that are computed over the bars in ``candles``."""
    return tuple(
        replace(
            column,
            sources=tuple(
                Source(candles.name, source.column) if source.table == BARS else source
                for source in column.sources
            ),
        )
        for column in columns
    )


INDICATORS_5MIN = Table(
    name="indicators_5min",
    description="Indicators of the five-minute candles, across sessions, one row per traded bar, in prices of its "
    "trading day: earlier candles are adjusted for the corporate actions up to it.",
    schemas=COMPUTED_SCHEMAS,
    key=("instrument_key", "timestamp"),
    columns=(
        *CANDLES_5MIN.handed_on(INSTRUMENT_KEY, BAR_START, TRADING_DAY),
        *_over(CANDLES_5MIN, INDICATOR_COLUMNS),
        VWAP,
        *_over(CANDLES_5MIN, HISTORY_COLUMNS),
    ),
)

INDICATORS_DAILY = Table(
    name="indicators_daily",
    description="Indicators of the daily candles, per series, one row per daily bar, in prices of its trading day: "
    "earlier candles are adjusted for the corporate actions up to it.",
    schemas=COMPUTED_SCHEMAS,
    key=("instrument_key", "series", "timestamp"),
    columns=(
        *CANDLES_DAILY.handed_on(INSTRUMENT_KEY, SERIES, BAR_START, TRADING_DAY),
        *_over(CANDLES_DAILY, INDICATOR_COLUMNS),
        *_over(CANDLES_DAILY, HISTORY_COLUMNS),
        *GAP_COLUMNS,
    ),
)
