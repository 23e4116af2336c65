"""Random minutes of two shares for a day, which the old code and V1 make bars of.

Belongs here: the minutes. Does not belong here: what the old code makes of them.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from setbull_pipelines.tables.contract import INDIA

KEYS = ("NSE_EQ|INE009A01021", "NSE_EQ|INE062A01020")
TODAY, BEFORE = pd.Timestamp("2025-06-03"), pd.Timestamp("2025-06-02")


def minutes_of(day: pd.Timestamp, seed: int) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    frames = []
    for key in KEYS:
        closes = 400 + np.round(np.cumsum(generator.normal(0, 0.4, 375)), 2)
        opens = np.append(closes[:1], closes[:-1])
        frames.append(
            pd.DataFrame(
                {
                    "instrument_key": key,
                    "timestamp": pd.date_range(
                        day + pd.Timedelta(hours=9, minutes=15), periods=375, freq="min", tz=INDIA
                    ).as_unit("us"),
                    "trading_day": day.as_unit("us"),
                    "open": opens,
                    "high": np.maximum(opens, closes) + 0.5,
                    "low": np.minimum(opens, closes) - 0.25,
                    "close": closes,
                    "volume": generator.integers(10, 500, 375),
                    "open_interest": pd.array([0] * 375, "Int64"),
                    "session_shape": "full",
                }
            )
        )
    return pd.concat(frames, ignore_index=True)
