"""Daily bars with chosen closes and corporate actions of their instruments, for both variants.

Belongs here: what tests of adjusting and of unexplained gaps are computed from. Does not belong here: expected values.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from setbull_pipelines.tables import CORPORATE_ACTIONS
from setbull_pipelines.variants import V1, V2
from setbull_pipelines_tests.variants.frames import bar_rows, bars_daily, trading_days

both = pytest.mark.parametrize("variant", [V1, V2], ids=["v1", "v2"])
KEY, OTHER = "NSE_EQ|TEST", "NSE_EQ|OTHER"
DAYS = trading_days("2025-01-01", 320)


def actions(*rows: tuple[str, object, str, float]) -> pd.DataFrame:
    columns = ["instrument_key", "ex_date", "kind", "ratio"]
    frame = pd.DataFrame(rows, columns=columns).assign(source="test")
    return CORPORATE_ACTIONS.conform(frame).drop(columns="source")


def daily(closes: list[float] | np.ndarray, volume=1000, key: str = KEY) -> pd.DataFrame:
    rows = bar_rows(closes, volume=volume, key=key)
    rows["timestamp"] = (
        pd.DatetimeIndex(DAYS[: len(closes)]).tz_localize("Asia/Kolkata").as_unit("us")
    )
    return bars_daily(rows)
