"""The generated sample: invented candles that look like NSE's, for a first run without any data.

Belongs here: inventing prices and volumes. Does not belong here: judging them; the sample takes the same way
as any file. Identifiers are no ISINs, so that nobody takes the instruments for real ones. The same settings
give the same rows, and the minutes of a session do not depend on how many other sessions have minutes. Prices
are computed in ticks (whole numbers) and become rupees at the end.

What is in it on purpose: minutes without a trade, minutes the feed lost, a day locked at the upper circuit,
a split, a new listing, hardly traded stocks, prices outside every usual filter, and stocks
in all the moods that the filter stages tell apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum

import numpy as np
import pandas as pd
import pyarrow

from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.market.instruments import instrument_key
from setbull_pipelines.market.session_frames import session_intervals
from setbull_pipelines.settings import SampleSettings
from setbull_pipelines.sources.raw_rows import RawRows

TICKS_PER_RUPEE = 20
MOOD_SESSIONS = 70
"""Sessions at the end of the history in which a stock follows its mood; before them all just wander."""
SPLIT_SHARES = 5
LISTED_SESSIONS_AGO = 8
SPLIT_SESSIONS_AGO = 6
LOCKED_SESSIONS_AGO = 4
LOST_FEED_SESSIONS_AGO = 3
LOST_FEED_MINUTES = slice(145, 157)
CIRCUIT_LIMIT = 0.05


class Mood(Enum):
    """How a stock behaves at the end of the history: what a filter stage should make of it."""

    RUNNER = "rises, with a day above 5 % every few days"
    FALLER = "falls, with a day below -3 % every few days"
    CLIMBER = "rises quietly"
    SLIDER = "falls quietly"
    IDLE = "goes nowhere"
    TIRED = "has risen far and gives way, still far above its average"
    REBOUND = "has fallen far and recovers, still far below its average"
    CHEAP = "costs less than 50 rupees"
    DEAR = "costs more than 1000 rupees"
    QUIET = "is hardly traded"
    LOCKED = "is locked at its upper circuit for a day"
    SPLIT = "splits its shares"
    LISTED = "is newly listed"


_CAST = (
    Mood.RUNNER,
    Mood.FALLER,
    Mood.IDLE,
    Mood.CHEAP,
    Mood.DEAR,
    Mood.QUIET,
    Mood.TIRED,
    Mood.REBOUND,
    Mood.CLIMBER,
    Mood.LOCKED,
    Mood.SPLIT,
    Mood.LISTED,
)
"""The first instruments, so that the smallest sample has one of each; others repeat ``_CHORUS``."""
_CHORUS = (
    Mood.RUNNER,
    Mood.FALLER,
    Mood.CLIMBER,
    Mood.SLIDER,
    Mood.IDLE,
    Mood.RUNNER,
    Mood.FALLER,
    Mood.QUIET,
    Mood.IDLE,
    Mood.TIRED,
    Mood.REBOUND,
    Mood.CHEAP,
    Mood.DEAR,
)


@dataclass(frozen=True)
class Sample:
    """The sample but for its minutes, as rows of three files."""

    daily: RawRows
    instruments: RawRows
    corporate_actions: RawRows


def daily_days(settings: SampleSettings) -> list[date]:
    """The sessions that have daily bars, in order."""
    return _sessions(settings)


def minute_days(settings: SampleSettings) -> list[date]:
    """The sessions that have minutes, in order."""
    return _sessions(settings)[-settings.minute_sessions :]


def generate(settings: SampleSettings, take_minutes: Callable[[date, RawRows], None]) -> Sample:
    """Invent the sample: ``daily_sessions`` of daily bars, the last ``minute_sessions`` of them with minutes.

    ``take_minutes`` is given the minutes of each of these, one session at a time: those of a whole exchange over
    some weeks fit no memory.
    """
    random = np.random.default_rng(settings.seed)
    moods = [
        _CAST[number] if number < len(_CAST) else _CHORUS[(number - len(_CAST)) % len(_CHORUS)]
        for number in range(settings.instruments)
    ]
    days = _sessions(settings)
    keys = [instrument_key("NSE_EQ", _symbol(number)) for number in range(len(moods))]
    plan = _plan_days(moods, len(days), random)
    daily = _invent_daily_bars(plan, random)
    for day in range(len(days) - settings.minute_sessions, len(days)):
        of_day = np.random.default_rng([settings.seed, days[day].toordinal()])
        minutes = _invent_minutes(days[day], day, len(days), moods, plan, of_day)
        take_minutes(days[day], _rows(_minute_table(minutes, keys)))
        for name, values in _day_of_minutes(minutes, of_day).items():
            daily[name][:, day] = values
    return Sample(
        daily=_rows(_daily_table(daily, days, keys, _listed_from(moods, len(days)))),
        instruments=_rows(_instrument_table(keys)),
        corporate_actions=_rows(_action_table(moods, days, keys)),
    )


def _sessions(settings: SampleSettings) -> list[date]:
    last = date.fromisoformat(settings.last_day)
    known = [
        day for day in NSE.trading_days(NSE.first_day, last) if NSE.session(day).minutes is not None
    ]
    return known[-settings.daily_sessions :]


def _symbol(number: int) -> str:
    return f"SAMPLE{number + 1:04d}"


@dataclass
class _Plan:
    """What should happen: ticks as whole numbers, one row per instrument, one column per day."""

    opens: np.ndarray
    closes: np.ndarray
    spread: np.ndarray
    volumes: np.ndarray
    untraded: np.ndarray
    locked: np.ndarray


def _plan_days(moods: Sequence[Mood], days: int, random: np.random.Generator) -> _Plan:
    """Opens, closes and volumes of every day, from a daily return inside the session and a gap before it."""
    count = len(moods)
    shape = (count, days)
    inside = random.normal(0.0, 0.008, shape)
    gaps = random.normal(0.0, 0.003, shape)
    busy = random.lognormal(0.0, 0.25, shape)
    for row, mood in enumerate(moods):
        _apply_mood(row, mood, inside, gaps, busy, random)

    # The last close is chosen and the path laid backwards from it, so that a price range is kept.
    steps = np.cumsum(np.log1p(inside) + np.log1p(gaps), axis=1)
    last_close = np.array([_last_close(mood, random) for mood in moods])
    rupees = last_close[:, None] * np.exp(steps - steps[:, -1:])
    before = np.concatenate([rupees[:, :1] / np.exp(steps[:, :1]), rupees[:, :-1]], axis=1)
    shares = np.ones(shape)
    for row, mood in enumerate(moods):
        if mood is Mood.SPLIT:
            shares[row, : max(days - SPLIT_SESSIONS_AGO, 0)] = SPLIT_SHARES
    opens = _ticks(before * (1 + gaps) * shares)
    closes = _ticks(rupees * shares)

    normal_volume = np.array([_normal_volume(mood, random) for mood in moods])
    volumes = np.maximum(normal_volume[:, None] * busy / shares, 40).astype("int64")
    untraded = np.array([_untraded_share(mood, random) for mood in moods])
    locked = np.zeros(shape, bool)
    for row, mood in enumerate(moods):
        if mood is Mood.LOCKED and days > LOCKED_SESSIONS_AGO:
            _lock(row, days - LOCKED_SESSIONS_AGO, opens, closes, locked)
    spread = np.where(locked, 0.0, 0.006)
    return _Plan(opens, closes, spread, volumes, untraded, locked)


def _apply_mood(
    row: int,
    mood: Mood,
    inside: np.ndarray,
    gaps: np.ndarray,
    busy: np.ndarray,
    random: np.random.Generator,
) -> None:
    """Bend the wandering of one instrument in its last sessions."""
    days = inside.shape[1]
    end = np.arange(max(days - MOOD_SESSIONS, 0), days)
    if mood in (Mood.RUNNER, Mood.FALLER):
        cycle = 5 if row % 3 == 2 else 4  # every fifth day is too seldom for the mamba stage
        striking = (end + row) % cycle == 0
        rising = mood is Mood.RUNNER
        calm = (
            random.uniform(-0.016, -0.002, len(end))
            if rising
            else random.uniform(-0.004, 0.009, len(end))
        )
        strong = (
            random.uniform(0.056, 0.085, len(end))
            if rising
            else -random.uniform(0.034, 0.055, len(end))
        )
        inside[row, end] = np.where(striking, strong, calm)
        busy[row, end] *= np.where(striking, 2.2, 0.8)
        gaps[row, end] *= 0.5
    elif mood in (Mood.CLIMBER, Mood.SLIDER):
        inside[row, end] += 0.004 if mood is Mood.CLIMBER else -0.004
    elif mood in (Mood.TIRED, Mood.REBOUND):
        turned = end >= days - 9 - row % 5
        up = 1 if mood is Mood.TIRED else -1
        inside[row, end] = 0.4 * inside[row, end] + up * np.where(turned, -0.014, 0.012)
    elif mood is Mood.IDLE:
        # Back towards the mean each day, so that the price stays near its average.
        inside[row, end] -= 0.5 * np.concatenate([[0.0], inside[row, end][:-1]])
        inside[row, end] *= 0.6


def _last_close(mood: Mood, random: np.random.Generator) -> float:
    if mood is Mood.CHEAP:
        return float(random.uniform(9, 40))
    if mood is Mood.DEAR:
        return float(random.uniform(1600, 4800))
    return float(random.uniform(180, 620))


def _normal_volume(mood: Mood, random: np.random.Generator) -> float:
    if mood is Mood.QUIET:
        return float(random.uniform(3_000, 60_000))
    return float(random.uniform(900_000, 6_000_000))


def _untraded_share(mood: Mood, random: np.random.Generator) -> float:
    if mood is Mood.QUIET:
        return float(random.uniform(0.3, 0.7))
    return float(random.uniform(0.0, 0.03))


def _lock(row: int, day: int, opens: np.ndarray, closes: np.ndarray, locked: np.ndarray) -> None:
    """One price all day, the circuit limit above the close before; later days move up with it."""
    limit = np.floor(closes[row, day - 1] * (1 + CIRCUIT_LIMIT)).astype("int64")
    factor = limit / closes[row, day]
    closes[row, day:] = np.round(closes[row, day:] * factor).astype("int64")
    opens[row, day:] = np.round(opens[row, day:] * factor).astype("int64")
    opens[row, day] = closes[row, day] = limit
    locked[row, day] = True


def _ticks(rupees: np.ndarray) -> np.ndarray:
    return np.maximum(np.round(rupees * TICKS_PER_RUPEE), 2).astype("int64")


def _invent_daily_bars(plan: _Plan, random: np.random.Generator) -> dict[str, np.ndarray]:
    """Daily bars of the days without minutes: highs and lows a little outside open and close."""
    shape = plan.opens.shape
    above = np.abs(random.normal(0.0, plan.spread, shape))
    below = np.abs(random.normal(0.0, plan.spread, shape))
    top = np.maximum(plan.opens, plan.closes)
    bottom = np.minimum(plan.opens, plan.closes)
    return {
        "open": plan.opens.copy(),
        "high": np.round(top * (1 + above)).astype("int64"),
        "low": np.maximum(np.round(bottom * (1 - below)), 1).astype("int64"),
        "close": plan.closes.copy(),
        "volume": plan.volumes.copy(),
    }


@dataclass
class _Minutes:
    """One day of minutes: one row per instrument, one column per minute, prices in ticks."""

    starts: pd.DatetimeIndex
    prices: dict[str, np.ndarray]
    volumes: np.ndarray
    delivered: np.ndarray


def _invent_minutes(
    on: date,
    day: int,
    days: int,
    moods: Sequence[Mood],
    plan: _Plan,
    random: np.random.Generator,
) -> _Minutes:
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
    return _Minutes(starts, prices, volumes, delivered)


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
    for row, first_day in enumerate(_listed_from(moods, days)):
        if day < first_day:
            delivered[row] = False
    return delivered


def _listed_from(moods: Sequence[Mood], days: int) -> np.ndarray:
    """The first day of each instrument, as a position in the history."""
    new = np.array([mood is Mood.LISTED for mood in moods])
    return np.where(new, max(days - LISTED_SESSIONS_AGO, 0), 0)


def _day_of_minutes(minutes: _Minutes, random: np.random.Generator) -> dict[str, np.ndarray]:
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


def _minute_table(minutes: _Minutes, keys: Sequence[str]) -> pyarrow.Table:
    instruments, positions = np.nonzero(minutes.delivered)
    return pyarrow.table(
        {
            "instrument_key": _key_column(keys, instruments),
            "timestamp": pyarrow.array(minutes.starts[positions]),
            **{
                name: pyarrow.array(_rupees(values[instruments, positions]))
                for name, values in minutes.prices.items()
            },
            "volume": pyarrow.array(minutes.volumes[instruments, positions]),
        }
    )


def _daily_table(
    daily: dict[str, np.ndarray], days: Sequence[date], keys: Sequence[str], listed: np.ndarray
) -> pyarrow.Table:
    instruments, positions = np.nonzero(np.arange(len(days)) >= listed[:, None])
    found = {name: values[instruments, positions] for name, values in daily.items()}
    return pyarrow.table(
        {
            "instrument_key": _key_column(keys, instruments),
            "timestamp": pyarrow.array(list(days)).take(pyarrow.array(positions)),
            **{
                name: pyarrow.array(values if name == "volume" else _rupees(values))
                for name, values in found.items()
            },
        }
    )


def _instrument_table(keys: Sequence[str]) -> pyarrow.Table:
    numbers = range(len(keys))
    return pyarrow.table(
        {
            "instrument_key": list(keys),
            "symbol": [_symbol(number) for number in numbers],
            "name": [f"Generated {number + 1:02d}" for number in numbers],
            "tick_size": [str(1 / TICKS_PER_RUPEE)] * len(keys),
            "lot_size": ["1"] * len(keys),
            "series": ["EQ"] * len(keys),
        }
    )


def _action_table(
    moods: Sequence[Mood], days: Sequence[date], keys: Sequence[str]
) -> pyarrow.Table:
    """The announced splits; without one in a history that is too short to hold it."""
    split = [
        key
        for key, mood in zip(keys, moods, strict=True)
        if mood is Mood.SPLIT and len(days) > SPLIT_SESSIONS_AGO
    ]
    columns = {
        "instrument_key": split,
        "ex_date": [days[-SPLIT_SESSIONS_AGO].isoformat()] * len(split) if split else [],
        "kind": ["split"] * len(split),
        "ratio": [str(SPLIT_SHARES)] * len(split),
    }
    return pyarrow.table(
        {name: pyarrow.array(values, pyarrow.string()) for name, values in columns.items()}
    )


def _key_column(keys: Sequence[str], numbers: np.ndarray) -> pyarrow.DictionaryArray:
    return pyarrow.DictionaryArray.from_arrays(
        pyarrow.array(numbers.astype("int32")), pyarrow.array(list(keys))
    )


def _rupees(ticks: np.ndarray) -> np.ndarray:
    return ticks / TICKS_PER_RUPEE


def _rows(table: pyarrow.Table) -> RawRows:
    return RawRows(table, np.arange(1, len(table) + 1))
