"""Sessions of chosen band widths, as the band-width monitor reads them.

Belongs here: bars, days and settings that its tests share. Does not belong here: expected values.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from setbull_pipelines.settings import BB_WIDTH_RULES, BandWidthSettings
from setbull_pipelines_tests.variants.frames import INDIA, trading_days

KEY = "NSE_EQ|TEST"
DAYS = trading_days("2026-06-01", 25)
TODAY = DAYS[-1]
ALL_RULES = BandWidthSettings(alert_rules=BB_WIDTH_RULES)


def session(widths: Sequence[float], day: pd.Timestamp = TODAY, key: str = KEY) -> pd.DataFrame:
    """What the monitor reads of ``indicators_5min``: one bar per width from 09:15 on."""
    start = day.tz_localize(INDIA) + pd.Timedelta(hours=9, minutes=15)
    return pd.DataFrame(
        {
            "instrument_key": pd.Series([key] * len(widths), dtype="str"),
            "timestamp": pd.date_range(start, periods=len(widths), freq="5min", unit="us"),
            "trading_day": pd.Series([day] * len(widths), dtype="datetime64[us]"),
            "bb_width": np.asarray(widths, dtype="float64"),
        }
    )


def bar_of(position: int) -> pd.Timestamp:
    """Start of the bar at a position of the session."""
    return session([0.0] * (position + 1))["timestamp"].iloc[-1]
