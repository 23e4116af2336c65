"""The first minutes of one session, all of them at one price: what rules about days and bars are shown.

Belongs here: rows of ``raw.candles_1min``. Does not belong here: what a rule says of them.
"""

from __future__ import annotations

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.market.session_table import FULL

DAY = pd.Timestamp("2025-06-03")


def minutes(
    count: int, day: pd.Timestamp = DAY, shape: str = FULL, key: str = "NSE_EQ|A", volume: int = 1
) -> pd.DataFrame:
    start = (day + pd.Timedelta(hours=9, minutes=15)).tz_localize("Asia/Kolkata")
    times = [start + pd.Timedelta(minutes=minute) for minute in range(count)]
    return tables.CANDLES_1MIN.without_provenance.conform(
        pd.DataFrame(
            {
                "instrument_key": key,
                "timestamp": times,
                "trading_day": day,
                **dict.fromkeys(("open", "high", "low", "close"), 100.0),
                "volume": volume,
                "open_interest": None,
                "session_shape": shape,
            }
        )
    )
