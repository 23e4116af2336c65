"""Times of V1 and V2, step by step and for a whole day, on generated random-walk candles.

``python -m benchmarks.variants --help`` lists the sizes. Medians over repeats; the first call of V2,
which loads or compiles its kernels, is timed apart. Belongs here: the generator, the clock, the printed
table. Does not belong here: targets, checks of results (the reconciliation compares V1 and V2).
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.market.session_frames import session_intervals
from setbull_pipelines.tables import CANDLES_1MIN, CANDLES_DAILY_HISTORY
from setbull_pipelines.variants import V1, V2, Variant

MINUTE = pd.Timedelta(minutes=1)
STEPS = ("aggregation", "indicators", "sequences", "filters", "whole day")


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


def random_walks(generator: np.random.Generator, series: int, bars: int) -> dict[str, np.ndarray]:
    """Prices in ticks of 0.05 and volumes of ``series`` random walks one after the other."""
    start = generator.uniform(40, 1_200, size=(series, 1))
    close = start * np.exp(np.cumsum(generator.normal(0, 0.02, size=(series, bars)), axis=1))
    open_ = np.concatenate([start, close[:, :-1]], axis=1)
    spread = np.abs(generator.normal(0, 0.004, size=(2, series, bars)))
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
    values["volume"] = np.where(generator.random(series * bars) < 0.05, 0, volume)
    return values


def candles(
    generator: np.random.Generator, instruments: int, starts: pd.DatetimeIndex
) -> pd.DataFrame:
    """Raw candles of ``instruments`` at each of ``starts``, in the columns of the raw tables."""
    keys = np.array([f"NSE_EQ|INE{number:06d}01" for number in range(instruments)])
    frame = pd.DataFrame(
        {
            "instrument_key": pd.Series(np.repeat(keys, len(starts)), dtype="str"),
            "timestamp": np.tile(np.arange(len(starts)), instruments),
            **random_walks(generator, instruments, len(starts)),
            "open_interest": pd.array([pd.NA], dtype="Int64").repeat(instruments * len(starts)),
            "source": "benchmark",
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


def generate(
    instruments: int, sessions_5min: int, sessions_daily: int, last_day: date, seed: int
) -> Input:
    """The input of one day; equal arguments give equal candles."""
    generator = np.random.default_rng(seed)
    earlier = [NSE.previous(last_day, back) for back in range(sessions_daily - 1, 0, -1)]
    midnights = pd.DatetimeIndex([*earlier, last_day]).as_unit("us").tz_localize("Asia/Kolkata")
    earlier_minutes = session_minutes(earlier[len(earlier) - sessions_5min + 1 :])
    history = candles(generator, instruments, earlier_minutes[::5])
    return Input(
        as_of=pd.Timestamp(last_day),
        candles_1min=candles(generator, instruments, session_minutes([last_day])),
        candles_5min_history=history.drop(columns=["source", "session_shape"]),
        candles_daily_history=candles(generator, instruments, midnights)[
            CANDLES_DAILY_HISTORY.column_names
        ],
    )


class Day:
    """The steps of one day by one variant; each step keeps what the next one needs."""

    def __init__(self, variant: Variant, given: Input) -> None:
        self._variant = variant
        self._given = given

    def aggregation(self) -> None:
        """One session of minutes to five-minute and daily candles."""
        self._candles_5min = self._variant.to_5min(self._given.candles_1min)
        self._candles_daily = self._variant.to_daily(
            self._given.candles_1min, self._given.candles_daily_history
        )

    def indicators(self) -> None:
        """Five-minute and daily indicators with their look-back."""
        history = self._given.candles_5min_history
        candles_5min = pd.concat([history, self._candles_5min[history.columns]])
        self._variant.indicators(candles_5min, "5minute")
        self._indicators_daily = self._variant.indicators(self._candles_daily, "day")

    def sequences(self) -> None:
        """Moves, runs and their analysis."""
        moves = self._variant.moves(self._candles_daily, self._indicators_daily, self._given.as_of)
        runs = self._variant.sequences(moves)
        self._analysis, _ = self._variant.sequence_analysis(moves, runs)

    def filters(self) -> None:
        """The verdicts."""
        self._variant.filters(
            self._candles_daily, self._indicators_daily, self._analysis, self._given.as_of
        )


def timed(action: Callable[[], object]) -> float:
    """Seconds that ``action`` takes."""
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def medians(variant: Variant, given: Input, repeats: int) -> dict[str, float]:
    """Median seconds of every step and of the whole day."""
    days = []
    for _ in range(repeats):
        day = Day(variant, given)
        seconds = {step: timed(getattr(day, step)) for step in STEPS[:-1]}
        days.append(seconds | {"whole day": sum(seconds.values())})
    return {step: statistics.median(day[step] for day in days) for step in STEPS}


def main() -> None:
    """Parse the sizes, time both variants, print one line per step."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.variants", description=__doc__)
    parser.add_argument("--instruments", type=int, default=100)
    parser.add_argument("--sessions-5min", type=int, default=9, help="the day included")
    parser.add_argument("--sessions-daily", type=int, default=300, help="the day included")
    parser.add_argument("--last-day", type=date.fromisoformat, default=date(2025, 6, 30))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5, help="of V2; V1 runs at most 3 times")
    parser.add_argument(
        "--without-v1", action="store_true", help="for sizes that V1 is too slow for"
    )
    arguments = parser.parse_args()
    sizes = (arguments.instruments, arguments.sessions_5min, arguments.sessions_daily)
    given = generate(*sizes, arguments.last_day, arguments.seed)
    print(
        f"{arguments.instruments} instruments: {len(given.candles_1min):,} minutes, "
        f"{len(given.candles_5min_history):,} earlier five-minute bars, "
        f"{len(given.candles_daily_history):,} daily bars"
    )

    warm_up = timed(lambda: medians(V2, generate(2, 2, 2, arguments.last_day, arguments.seed), 1))
    print(f"V2 warm-up (imports, loads or compiles its kernels): {warm_up:.2f} s")
    v2 = medians(V2, given, arguments.repeats)
    v1 = {} if arguments.without_v1 else medians(V1, given, min(arguments.repeats, 3))
    print(f"{'':12} {'V1 s':>9} {'V2 s':>9} {'V1 / V2':>9}")
    for step in STEPS:
        slow = (
            f"{v1[step]:9.3f} {v2[step]:9.3f} {v1[step] / v2[step]:8.1f}x"
            if v1
            else f"{'-':>9} {v2[step]:9.3f}"
        )
        print(f"{step:12} {slow}")


if __name__ == "__main__":
    main()
