"""Minutes of a session of the generated sample, and the daily bar that follows from them.

Belongs here: trades, prices and volumes of minutes, and which of them the feed lost. Does not belong here: what should
happen on the day (``sample_plan.py``), rows of files (``sample.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from setbull_pipelines.market.session_frames import session_intervals
from setbull_pipelines.sources.sample_plan import Mood, Plan, listed_from

LOST_FEED_SESSIONS_AGO = 3
LOST_FEED_MINUTES = slice(145, 157)


@dataclass
class Minutes:
    """One day of minutes: one row per instrument, one column per minute, prices in ticks."""

    starts: pd.DatetimeIndex
    prices: dict[str, np.ndarray]
    volumes: np.ndarray
    delivered: np.ndarray


def invent_minutes(
    on: date,
    day: int,
    days: int,
    moods: Sequence[Mood],
    plan: Plan,
    random: np.random.Generator,
) -> Minutes:
    """The minutes of day number ``day`` of ``days``, which is ``on``: from the planned open to the planned close."""
    starts = _minute_starts(on)
    shape = (len(moods), len(starts))
    traded = random.random(shape) >= plan.untraded[:, None]
    traded[:, [0, -1]] = True
    locked = plan.locked[:, day]
    traded[locked] &= random.random((int(locked.sum()), shape[1])) < 0.15
    traded[locked, 0] = True

    path = _bridge(plan.opens[:, day], plan.closes[:, day], plan.spread[:, day], shape, random)
    # A minute without a trade repeats the last price.
    last_traded = np.maximum.accumulate(np.where(traded, np.arange(shape[1]), 0), axis=1)
    closes = np.take_along_axis(path, last_traded, axis=1)
    opens = np.concatenate([plan.opens[:, [day]], closes[:, :-1]], axis=1)
    wick = np.maximum(closes // 2500, 1)
    moving = traded & ~locked[:, None]
    highs = np.maximum(opens, closes) + moving * random.integers(0, wick + 1)
    lows = np.maximum(np.minimum(opens, closes) - moving * random.integers(0, wick + 1), 1)
    prices = {"open": opens, "high": highs, "low": lows, "close": closes}
    volumes = _minute_volumes(plan.volumes[:, day], traded, random)
    delivered = _delivered(day, days, moods, traded, random)
    return Minutes(starts, prices, volumes, delivered)


def _minute_starts(on: date) -> pd.DatetimeIndex:
    intervals = session_intervals([on])
    parts = [
        pd.date_range(start, end, freq="min", inclusive="left", unit="us")
        for start, end in zip(intervals["start"], intervals["end"], strict=True)
    ]
    return parts[0].append(parts[1:])


def _bridge(
    opens: np.ndarray,
    closes: np.ndarray,
    spread: np.ndarray,
    shape: tuple[int, int],
    random: np.random.Generator,
) -> np.ndarray:
    """A random walk in ticks from each open that ends at the close."""
    steps = random.normal(0.0, 1.0, shape) * (spread / np.sqrt(shape[1]))[:, None]
    walk = np.cumsum(steps, axis=1)
    share = np.arange(1, shape[1] + 1) / shape[1]
    walk -= share * walk[:, -1:]
    logarithm = np.log(opens)[:, None] + share * np.log(closes / opens)[:, None] + walk
    path = np.maximum(np.round(np.exp(logarithm)), 1).astype("int64")
    path[:, -1] = closes
    return path


def _minute_volumes(
    of_day: np.ndarray, traded: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """The volume of the day spread in the shape of a U, at least one share in every traded minute."""
    time = np.linspace(0, 1, traded.shape[1])
    busy = 1 + 4 * np.exp(-time / 0.05) + 2 * np.exp(-(1 - time) / 0.06)
    weights = busy * random.lognormal(0.0, 0.6, traded.shape) * traded
    weights /= weights.sum(axis=1, keepdims=True)
    return np.where(traded, np.maximum((weights * of_day[:, None]).astype("int64"), 1), 0)


def _delivered(
    day: int,
    days: int,
    moods: Sequence[Mood],
    traded: np.ndarray,
    random: np.random.Generator,
) -> np.ndarray:
    """Which minutes the feed delivered: nearly all, but for one lost stretch and single minutes."""
    delivered = random.random(traded.shape) >= 0.0005
    if day == days - LOST_FEED_SESSIONS_AGO:
        delivered[::2, LOST_FEED_MINUTES] = False
    delivered[:, [0, -1]] = True
    for row, first_day in enumerate(listed_from(moods, days)):
        if day < first_day:
            delivered[row] = False
    return delivered


def day_of_minutes(minutes: Minutes, random: np.random.Generator) -> dict[str, np.ndarray]:
    """The daily bar of delivered minutes; the official close is up to one tick beside the last trade."""
    highs = np.where(minutes.delivered, minutes.prices["high"], 0).max(axis=1)
    lows = np.where(minutes.delivered, minutes.prices["low"], np.iinfo("int64").max).min(axis=1)
    beside = random.integers(-1, 2, len(highs))
    # An instrument without any minute that day is left out of the tables; any positive bar will do.
    highs, lows = np.maximum(highs, 1), np.minimum(lows, np.maximum(highs, 1))
    return {
        "open": np.clip(minutes.prices["open"][:, 0], lows, highs),
        "high": highs,
        "low": lows,
        "close": np.clip(minutes.prices["close"][:, -1] + beside, lows, highs),
        "volume": (minutes.volumes * minutes.delivered).sum(axis=1),
    }
