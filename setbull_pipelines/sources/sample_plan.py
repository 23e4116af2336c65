"""What happens to the stocks of the generated sample: their moods, and opens, closes and volumes of every day.

Belongs here: the cast, and bending a random walk so that each filter stage has something to say. Does not belong here:
minutes (``sample_minutes.py``), rows of files (``sample.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

TICKS_PER_RUPEE = 20
MOOD_SESSIONS = 70
"""Sessions at the end of the history in which a stock follows its mood; before them all just wander."""
SPLIT_SHARES = 5
LISTED_SESSIONS_AGO = 8
SPLIT_SESSIONS_AGO = 6
LOCKED_SESSIONS_AGO = 4
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


@dataclass
class Plan:
    """What should happen: ticks as whole numbers, one row per instrument, one column per day."""

    opens: np.ndarray
    closes: np.ndarray
    spread: np.ndarray
    volumes: np.ndarray
    untraded: np.ndarray
    locked: np.ndarray


def plan_days(moods: Sequence[Mood], days: int, random: np.random.Generator) -> Plan:
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
    return Plan(opens, closes, spread, volumes, untraded, locked)


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


def moods_of(instruments: int) -> list[Mood]:
    """The mood of each of so many instruments."""
    return [
        _CAST[number] if number < len(_CAST) else _CHORUS[(number - len(_CAST)) % len(_CHORUS)]
        for number in range(instruments)
    ]


def listed_from(moods: Sequence[Mood], days: int) -> np.ndarray:
    """The first day of each instrument, as a position in the history."""
    new = np.array([mood is Mood.LISTED for mood in moods])
    return np.where(new, max(days - LISTED_SESSIONS_AGO, 0), 0)
