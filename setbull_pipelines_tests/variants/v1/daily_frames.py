"""Daily candles and their indicators with chosen values, for the tests of moves and filters.

Belongs here: frames of the contract from plain numbers. Does not belong here: expected values.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from setbull_pipelines.tables.candles import CANDLES_DAILY
from setbull_pipelines.tables.contract import INDIA
from setbull_pipelines.tables.indicators import INDICATORS_DAILY

AS_OF = pd.Timestamp("2025-06-30")
"""A Monday."""
DAYS = list(pd.bdate_range(end=AS_OF, periods=60))


def candles(
    prices: Sequence[tuple[float, float]],
    volume: int | Sequence[int] = 500_000,
    series: str = "exchange",
    key: str = "NSE_EQ|A",
) -> pd.DataFrame:
    """One bar per (open, close), the last one on ``AS_OF``."""
    frame = pd.DataFrame(prices, columns=["open", "close"], dtype="float64")
    days = pd.Series(DAYS[-len(prices) :])
    return CANDLES_DAILY.conform(
        frame.assign(
            instrument_key=key,
            series=series,
            timestamp=days.dt.tz_localize(INDIA),
            trading_day=days,
            high=frame.max(axis=1),
            low=frame.min(axis=1),
            volume=volume,
            open_interest=pd.NA,
            minutes_traded=pd.NA,
            minutes_present=pd.NA,
            minutes_expected=pd.NA,
            is_complete=pd.NA,
        )
    )


def indicators_of(
    bars: pd.DataFrame,
    ema_50: float | Sequence[float] = 100.0,
    rsi: float | None = 60.0,
    is_warm: bool = True,
    bars_of_history: int = 300,
) -> pd.DataFrame:
    """A row of indicators per bar with the values that moves and filters read; the others are null."""
    known = bars[["instrument_key", "series", "timestamp", "trading_day"]].assign(
        ema_50=ema_50, rsi=rsi, is_warm=is_warm, bars_of_history=bars_of_history
    )
    return INDICATORS_DAILY.conform(known.reindex(columns=INDICATORS_DAILY.column_names))
