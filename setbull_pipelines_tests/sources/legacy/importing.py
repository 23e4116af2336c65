"""Rows of the old candle table, bringing what was exported into a data folder, and the candles that are then accepted.

Belongs here: what tests of files and of a real server share. Does not belong here: writing dumps, exports and
databases.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pandas as pd

from setbull_pipelines.settings import SampleSettings
from setbull_pipelines.sources.intake import take_in
from setbull_pipelines.sources.legacy.exporting import State, export, file_streams
from setbull_pipelines.sources.legacy.loading import load
from setbull_pipelines_tests.moments import LATER

KEY = "NSE_EQ|INE009A01021"


def candle(number: int, moment: datetime, interval: str = "1minute", **others: object) -> dict:
    row = {"id": str(number), "instrument_key": KEY, "timestamp": moment}
    prices = {"open": "100.00", "high": "101.50", "low": "99.00", "close": "100.50"}
    rest = {"volume": "10", "open_interest": "0", "time_interval": interval}
    return row | prices | rest | others


def minutes(count: int, day: int = 2) -> list[dict]:
    return [
        candle(number + 1 + 1000 * day, datetime(2025, 6, day, 9, 15 + number))
        for number in range(count)
    ]


def told(line: str) -> None:
    """Nobody listens."""


def bring(source: Path, folder: Path, zone: str | None = None) -> State:
    state = export(file_streams(source), folder, zone, told)
    load(folder)
    return state


def accepted(folder: Path, tmp_path: Path) -> pd.DataFrame:
    intake = take_in(folder, tmp_path / "landing", SampleSettings(), LATER)
    days = sorted({*intake.days("minutes"), *intake.days("daily")})
    landed = intake.load_range(days)
    return pd.concat([landed.candles_1min, landed.candles_daily_history])
