"""Small input frames for the tests of V2.

Belongs here: building raw and computed rows from short lists. Does not belong here: expected values.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from setbull_pipelines.market.session_table import FULL
from setbull_pipelines.tables import CANDLES_1MIN, CANDLES_DAILY, CANDLES_DAILY_HISTORY

STOCK = "NSE_EQ|INE000A01010"


def minutes(
    rows: Sequence[tuple[str, float, float, float, float, int]],
    day: str = "2025-06-02",
    instrument: str = STOCK,
    open_interest: Sequence[int | None] | None = None,
    shape: str = FULL,
) -> pd.DataFrame:
    """Raw one-minute candles from (clock time, open, high, low, close, volume)."""
    clock, open_, high, low, close, volume = zip(*rows, strict=True)
    frame = pd.DataFrame(
        {
            "instrument_key": instrument,
            "timestamp": pd.DatetimeIndex([f"{day} {time}" for time in clock]).tz_localize(
                "Asia/Kolkata"
            ),
            "trading_day": pd.Timestamp(day),
            "open": open_,
            "high": high,
            "low": low,
            "close": close,
            "volume": volume,
            "open_interest": pd.array(open_interest or [None] * len(rows), dtype="Int64"),
            "session_shape": shape,
        }
    )
    return CANDLES_1MIN.without_provenance.conform(frame)


def steady_minutes(
    intervals: Sequence[tuple[str, str]], day: str, instrument: str = STOCK, shape: str = FULL
) -> pd.DataFrame:
    """One traded minute of volume 1 and price 100 for every minute of the given clock intervals."""
    clocks = [
        time.strftime("%H:%M")
        for start, end in intervals
        for time in pd.date_range(f"{day} {start}", f"{day} {end}", freq="min", inclusive="left")
    ]
    return minutes(
        [(clock, 100, 100, 100, 100, 1) for clock in clocks], day, instrument, shape=shape
    )


def bars(
    close: Sequence[float],
    *,
    high: Sequence[float] | None = None,
    low: Sequence[float] | None = None,
    volume: Sequence[int] | None = None,
    instrument: str = STOCK,
    series: str = "exchange",
    last_day: str = "2025-06-30",
    opens: Sequence[float] | None = None,
) -> pd.DataFrame:
    """Daily candles on consecutive weekdays that end on ``last_day``."""
    close = np.asarray(close, dtype=float)
    count = len(close)
    days = pd.bdate_range(end=last_day, periods=count)
    frame = pd.DataFrame(
        {
            "instrument_key": instrument,
            "series": series,
            "timestamp": days.tz_localize("Asia/Kolkata"),
            "trading_day": days,
            "open": close if opens is None else opens,
            "high": close if high is None else high,
            "low": close if low is None else low,
            "close": close,
            "volume": [1000] * count if volume is None else volume,
            "open_interest": pd.array([None] * count, dtype="Int64"),
            "minutes_traded": pd.array([None] * count, dtype="Int64"),
            "minutes_present": pd.array([None] * count, dtype="Int64"),
            "minutes_expected": pd.array([None] * count, dtype="Int64"),
            "is_complete": pd.array([None] * count, dtype="boolean"),
        }
    )
    return CANDLES_DAILY.conform(frame)


def daily_history(close: Sequence[float], instrument: str = STOCK) -> pd.DataFrame:
    """Raw daily candles of the source on consecutive weekdays that end on 2025-06-30."""
    frame = bars(close, instrument=instrument)
    history = CANDLES_DAILY_HISTORY.without_provenance
    return history.conform(frame[history.column_names])


def shuffled(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows in a random order that is the same every time, with their old index."""
    return frame.sample(frac=1, random_state=7)
