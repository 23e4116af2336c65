"""A generated exchange: random-walk candles of one day and its look-back, kept in files for every contestant.

Belongs here: the generator, writing and reading its files. Does not belong here: what is measured on them
(``contestants``), the clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.market.session_frames import session_intervals
from setbull_pipelines.tables import CANDLES_1MIN, CANDLES_DAILY_HISTORY
from setbull_pipelines.variants import V2
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.store import Warehouse

MINUTES = StoredTable("raw", CANDLES_1MIN)
LAST_DAY = date(2025, 6, 30)
SESSIONS_5MIN = 9
SESSIONS_DAILY = 300


@dataclass(frozen=True)
class Input:
    """What the steps of one day start from."""

    as_of: pd.Timestamp
    candles_1min: pd.DataFrame
    """One session."""
    candles_5min_history: pd.DataFrame
    """The sessions before it, aggregated."""
    candles_daily_history: pd.DataFrame
    """Daily bars of the source, the day included."""


def random_walks(
    generator: np.random.Generator, series: int, bars: int, volatility: float
) -> dict[str, np.ndarray]:
    """Prices in ticks of 0.05 and volumes of ``series`` random walks one after the other.

    ``volatility`` is the standard deviation of the logarithm of one bar's move.
    """
    start = generator.uniform(40, 1_200, size=(series, 1))
    close = start * np.exp(np.cumsum(generator.normal(0, volatility, size=(series, bars)), axis=1))
    open_ = np.concatenate([start, close[:, :-1]], axis=1)
    spread = np.abs(generator.normal(0, volatility / 5, size=(2, series, bars)))
    prices = {
        "open": open_,
        "high": np.maximum(open_, close) * (1 + spread[0]),
        "low": np.minimum(open_, close) * (1 - spread[1]),
        "close": close,
    }
    values = {
        name: np.maximum(np.round(p / 0.05) * 0.05, 0.05).ravel() for name, p in prices.items()
    }
    # About one bar in twenty is without a trade, as in real one-minute data.
    volume = generator.integers(0, 2_000_000, size=series * bars)
    values["volume"] = pd.array(
        np.where(generator.random(series * bars) < 0.05, 0, volume), dtype="Int64"
    )
    return values


def candles(
    generator: np.random.Generator,
    instruments: int,
    starts: pd.DatetimeIndex,
    volatility: float,
) -> pd.DataFrame:
    """Raw candles of ``instruments`` at each of ``starts``, in the columns of the raw tables."""
    keys = np.array([f"NSE_EQ|INE{number:06d}01" for number in range(instruments)])
    frame = pd.DataFrame(
        {
            "instrument_key": pd.Series(np.repeat(keys, len(starts)), dtype="str"),
            "timestamp": np.tile(np.arange(len(starts)), instruments),
            **random_walks(generator, instruments, len(starts), volatility),
            "open_interest": _open_interest(generator, instruments * len(starts)),
            "source": "benchmark",
            "ingested_at": starts[-1],
            "state": "final",
            "session_shape": "full",
        }
    )
    position = frame["timestamp"].to_numpy()
    frame["timestamp"] = starts[position]
    frame["trading_day"] = starts.tz_localize(None).normalize()[position]
    return frame[CANDLES_1MIN.column_names]


def session_minutes(days: list[date]) -> pd.DatetimeIndex:
    """The start of every minute of the sessions of ``days``."""
    intervals = session_intervals(days)
    minutes = [
        pd.date_range(row.start, row.end, freq="min", inclusive="left", unit="us")
        for row in intervals.itertuples()
    ]
    return minutes[0].append(minutes[1:])


def _open_interest(generator: np.random.Generator, rows: int) -> pd.arrays.IntegerArray:
    # About one row in ten does not state it.
    return pd.arrays.IntegerArray(
        generator.integers(0, 5_000_000, size=rows), generator.random(rows) < 0.1
    )


def generate(instruments: int, seed: int = 1) -> Input:
    """The input of one day; equal arguments give equal candles."""
    generator = np.random.default_rng(seed)
    earlier = [NSE.previous(LAST_DAY, back) for back in range(SESSIONS_DAILY - 1, 0, -1)]
    midnights = pd.DatetimeIndex([*earlier, LAST_DAY]).as_unit("us").tz_localize("Asia/Kolkata")
    earlier_minutes = session_minutes(earlier[1 - SESSIONS_5MIN :])
    history = candles(generator, instruments, earlier_minutes[::5], 0.002)
    daily = candles(generator, instruments, midnights, 0.02)[CANDLES_DAILY_HISTORY.column_names]
    return Input(
        as_of=pd.Timestamp(LAST_DAY),
        candles_1min=candles(generator, instruments, session_minutes([LAST_DAY]), 0.001),
        candles_5min_history=_by_partition(
            history[CANDLES_1MIN.without_provenance.column_names].drop(columns="session_shape")
        ),
        candles_daily_history=_by_partition(daily),
    )


def write(given: Input, folder: Path) -> None:
    """Keep ``given`` below ``folder``: the minutes as a partition of a warehouse, the rest as plain files.

    What the later steps start from is kept too, so that each can be measured without those before it.
    """
    Warehouse(folder).publish(
        MINUTES,
        LAST_DAY.isoformat(),
        given.candles_1min,
        code_version="benchmark",
        settings_hash="benchmark",
        inputs={},
        run_id="benchmark",
    )
    daily = V2.to_daily(given.candles_1min, given.candles_daily_history)
    frames = {
        "candles_5min_history": given.candles_5min_history,
        "candles_daily_history": given.candles_daily_history,
        "candles_5min": with_history(given, V2.to_5min(given.candles_1min)),
        "candles_daily": daily,
        "indicators_daily": V2.indicators(daily, "day"),
    }
    for name, frame in frames.items():
        frame.to_parquet(folder / f"{name}.parquet")


def with_history(given: Input, candles_5min: pd.DataFrame) -> pd.DataFrame:
    """The day's five-minute candles after those of the look-back."""
    history = given.candles_5min_history
    return pd.concat([history, candles_5min[history.columns]], ignore_index=True)


def minutes_file(folder: Path) -> Path:
    """The Parquet file of the day's minutes."""
    (path,) = Warehouse(folder).files(MINUTES)
    return path


def read_minutes(folder: Path) -> pd.DataFrame:
    """The day's minutes as the pipeline reads them: the columns it needs, every byte checked, nothing remembered."""
    columns = CANDLES_1MIN.without_provenance.column_names
    return Warehouse(folder, cache_bytes=0).read(MINUTES, [LAST_DAY.isoformat()], columns)


def read(folder: Path, name: str) -> pd.DataFrame:
    """One of the plain files that :func:`write` has kept."""
    return pd.read_parquet(folder / f"{name}.parquet")


def _by_partition(frame: pd.DataFrame) -> pd.DataFrame:
    # The order of partitions read one after the other.
    return frame.sort_values("trading_day", kind="stable", ignore_index=True)
