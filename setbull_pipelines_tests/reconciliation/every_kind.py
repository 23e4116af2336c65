"""A table with a column of every kind, and two sides of it.

Belongs here: the contract, its rows, and changing one cell. Does not belong here: assertions.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from setbull_pipelines.settings import ReconciliationSettings
from setbull_pipelines.tables.contract import EXACT, RELATIVE, SCORE, Column, Kind, Table
from setbull_pipelines_tests.reconciliation.partition_files import TRADING_DAY

SETTINGS = ReconciliationSettings()
EVERY_KIND = Table(
    name="indicators_5min",
    description="A column of every kind and every tolerance.",
    schemas=("v1", "v2"),
    key=("instrument_key", "timestamp"),
    columns=(
        Column("instrument_key", Kind.TEXT, "Instrument"),
        Column("timestamp", Kind.TIMESTAMP, "Start of the bar"),
        Column("trading_day", Kind.DAY, "Day"),
        Column("price", Kind.FLOAT, "Exact float", nullable=True, tolerance=EXACT),
        Column("mean", Kind.FLOAT, "Relative float", nullable=True, tolerance=RELATIVE),
        Column("score", Kind.FLOAT, "Score float", nullable=True, tolerance=SCORE),
        Column("volume", Kind.INTEGER, "Integer"),
        Column("open_interest", Kind.NULLABLE_INTEGER, "Nullable integer", nullable=True),
        Column("label", Kind.TEXT, "Label", nullable=True),
        Column("reason", Kind.LONG_TEXT, "Text", nullable=True),
        Column("is_complete", Kind.BOOLEAN, "Flag"),
        Column("passed", Kind.NULLABLE_BOOLEAN, "Nullable flag", nullable=True),
        Column("traded_at", Kind.TIMESTAMP, "Moment", nullable=True),
        Column("start_day", Kind.DAY, "Nullable day", nullable=True),
    ),
)
VALUE_COLUMNS = 12
INSTRUMENTS = ("NSE_EQ|INE000000001", "NSE_EQ|INE000000002", "NSE_EQ|INE000000003")
BARS = 4
ROWS = len(INSTRUMENTS) * BARS
CELLS = ROWS * VALUE_COLUMNS


def of_every_kind() -> pd.DataFrame:
    """Three instruments of four bars; row number = instrument x 4 + bar."""
    row = np.arange(ROWS)
    times = pd.date_range("2026-06-30 09:15", periods=BARS, freq="5min", tz="Asia/Kolkata")
    return EVERY_KIND.conform(
        pd.DataFrame(
            {
                "instrument_key": np.repeat(INSTRUMENTS, BARS),
                "timestamp": list(times) * len(INSTRUMENTS),
                "trading_day": TRADING_DAY,
                "price": 100.0 + row,
                "mean": 250.0 + row,
                "score": 0.5,
                "volume": 1000 + row,
                "open_interest": pd.array([pd.NA, *range(1, ROWS)], dtype="Int64"),
                "label": "MAMBA",
                "reason": "close is in range",
                "is_complete": True,
                "passed": pd.array([pd.NA] + [True] * (ROWS - 1), dtype="boolean"),
                "traded_at": list(times) * len(INSTRUMENTS),
                "start_day": pd.Timestamp("2026-06-01"),
            }
        )
    )


def changed(frame: pd.DataFrame, column: str, row: int, value: object) -> pd.DataFrame:
    result = frame.copy()
    result.loc[row, column] = value
    return result
