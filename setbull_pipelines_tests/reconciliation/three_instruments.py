"""Three instruments with twenty bars of one day, the same with other values in some bars, and files of both.

Belongs here: what tests of drilling down and of the page share. Does not belong here: writing and comparing partitions,
which :mod:`partition_files` has; what is told of them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from setbull_pipelines.reconciliation.drill_down import Sides
from setbull_pipelines.tables import CANDLES_5MIN, Table
from setbull_pipelines_tests.reconciliation.partition_files import TRADING_DAY, write

A, B, C = "NSE_EQ|A", "NSE_EQ|B", "NSE_EQ|C"
BAR = pd.Timedelta(minutes=5)
TIMES = pd.date_range("2026-06-30 09:15", periods=20, freq="5min", tz="Asia/Kolkata", unit="us")


def candles() -> pd.DataFrame:
    """Three instruments with twenty bars; close is 100 + the number of the bar."""
    close = 100.0 + np.arange(20)
    return CANDLES_5MIN.conform(
        pd.concat(
            pd.DataFrame(
                {
                    "instrument_key": key,
                    "timestamp": TIMES,
                    "trading_day": TRADING_DAY,
                    "open": close,
                    "high": close + 1,
                    "low": close - 1,
                    "close": close,
                    "volume": 1000,
                    "open_interest": pd.array([pd.NA] * 20, dtype="Int64"),
                    "minutes_traded": 5,
                    "minutes_present": 5,
                    "minutes_expected": 5,
                    "is_complete": True,
                }
            )
            for key in (A, B, C)
        )
    )


def changed(frame: pd.DataFrame, key: str, bars_changed: list[int], **values: object):
    """``frame`` with other values in some bars of one instrument."""
    chosen = (frame["instrument_key"] == key) & frame["timestamp"].isin(TIMES[bars_changed])
    assert chosen.sum() == len(bars_changed)
    copy = frame.copy()
    for name, value in values.items():
        copy.loc[chosen, name] = value
    return copy


def files(folder: Path, table: Table, v1: pd.DataFrame, v2: pd.DataFrame) -> Sides:
    """Both variants of a table, written to files."""
    return Sides(
        table,
        [write(table, v1, folder / f"{table.name}-1.parquet")],
        [write(table, v2, folder / f"{table.name}-2.parquet")],
    )
