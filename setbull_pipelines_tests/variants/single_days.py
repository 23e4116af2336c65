"""Daily candles of single days with chosen prices, and their indicators with a chosen EMA 50.

Belongs here: what the worked examples of moves, runs and stages of both variants are computed from. Does not belong
here: expected values; days for V1 alone, which :mod:`v1.daily_frames` has.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from setbull_pipelines.tables import INDICATORS_DAILY
from setbull_pipelines_tests.variants.frames import bar_rows, bars_daily


def days_with_ema(
    rows: Sequence[tuple[float, float]],
    *,
    volumes: Sequence[int] | int = 1000,
    ema_50: Sequence[float] | float = 50.0,
    is_warm: bool = True,
    series: str = "exchange",
    last: str = "2025-06-30",
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Candles of (open, close) on consecutive days up to ``last``, and indicators with the given EMA 50."""
    opens, closes = (np.array(values, "float64") for values in zip(*rows, strict=True))
    first = pd.Timestamp(last) - pd.Timedelta(days=len(rows) - 1)
    candles = bars_daily(
        bar_rows(
            closes,
            high=np.maximum(opens, closes),
            low=np.minimum(opens, closes),
            volume=volumes,
            first=str(first.date()),
            step="1D",
        ).assign(open=opens),
        series,
    )
    keys = candles[["instrument_key", "series", "timestamp", "trading_day"]]
    empty = {name: np.nan for name in INDICATORS_DAILY.column_names if name not in keys}
    indicators = keys.assign(**empty).assign(
        ema_50=ema_50, rsi=60.0, bars_of_history=np.arange(len(keys)) + 1, is_warm=is_warm
    )
    return candles, INDICATORS_DAILY.conform(indicators)


AS_OF = pd.Timestamp("2025-06-30")
