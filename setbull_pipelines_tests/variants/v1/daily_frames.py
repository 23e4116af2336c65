"""Daily candles and their indicators with chosen values, for the tests of moves and filters.

Belongs here: frames of the contract from plain numbers. Does not belong here: expected values.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from setbull_pipelines.tables.candles import CANDLES_DAILY
from setbull_pipelines.tables.contract import INDIA
from setbull_pipelines.tables.indicators import INDICATORS_DAILY
from setbull_pipelines.tables.moves import MOVES_DAILY

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


def moves_from(flags: list[bool], volumes: list[int] | None = None) -> pd.DataFrame:
    """Moves of the last days, open 100, closes 101, 102, ..., strength 0.2, 0.4, ... on mamba days."""
    count = len(flags)
    closes = 101.0 + np.arange(count)
    strengths = 0.2 * (1 + np.arange(count))
    return MOVES_DAILY.conform(
        pd.DataFrame(
            {
                "instrument_key": "NSE_EQ|A",
                "move_day": DAYS[-count:],
                "trading_day": AS_OF,
                "series": "exchange",
                "open": 100.0,
                "high": closes,
                "low": 100.0,
                "close": closes,
                "volume": volumes or [100] * count,
                "ema_50": 90.0,
                "is_above_ema": True,
                "is_squeezed": False,
                "move_percent": closes - 100,
                "is_bullish": True,
                "strength": strengths,
                "trend": "BULLISH",
                "is_mamba": flags,
                "mamba_strength": np.where(flags, strengths, np.nan),
            }
        )
    )
