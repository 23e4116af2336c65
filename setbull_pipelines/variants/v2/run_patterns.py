"""V2 of what the run that a look-back ends with looks like, for all look-backs at once.

Belongs here: the columns ``run_...`` of ``sequence_analysis``. Does not belong here: what all runs
of a look-back say (``analysis.py``).

Prices of a falling trend are turned upside down first, so that every rule is that of a rising one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from setbull_pipelines.settings import SequenceSettings
from setbull_pipelines.tables.moves import BEARISH, BULLISH
from setbull_pipelines.variants.v2 import columns

_CONFIRMING_VOLUME = 1.5
"""Least mean volume of a run that confirms it, over that of the days before."""
_DAY = 86_400_000_000
"""Microseconds."""


@dataclass(frozen=True)
class _Runs:
    """All runs of the look-backs, as rows of the moves, and per look-back which of them is the last.

    A look-back with fewer runs borrows those of the one before it; ``count`` says where that is so.
    """

    first: np.ndarray
    length: np.ndarray
    last: np.ndarray
    count: np.ndarray

    @classmethod
    def read(cls, code: np.ndarray, is_mamba: np.ndarray) -> _Runs:
        first = columns.run_starts(code, is_mamba)
        first_of_look_back = columns.run_starts(code[first])
        count = columns.run_lengths(first_of_look_back, len(first))
        return cls(
            first=first,
            length=columns.run_lengths(first, len(code)),
            last=first_of_look_back + count - 1,
            count=count,
        )


def run_patterns(
    frame: pd.DataFrame, code: np.ndarray, is_known: np.ndarray, settings: SequenceSettings
) -> dict[str, pd.arrays.BooleanArray]:
    """The pattern columns by name, null where the trend is not known.

    ``frame`` has the moves sorted by ``code``, which numbers the look-backs, and day.
    """
    is_mamba = frame["is_mamba"].to_numpy(dtype=bool)
    runs = _Runs.read(code, is_mamba)
    has_direction = frame["trend"].isin((BULLISH, BEARISH)).to_numpy()
    begins = runs.first[runs.last]
    can_show = (runs.count > 1) & is_mamba[begins] & has_direction[begins]

    counts_volume = np.logical_and.reduceat(
        frame["volume"].notna().to_numpy(), columns.run_starts(code)
    )
    is_squeezed = frame["is_squeezed"].to_numpy(dtype=bool, na_value=False)
    shown = {
        "run_after_gap": _keeps_a_gap(frame, runs, settings),
        "run_after_pull_back": _resumes(frame, runs, settings),
        "run_after_squeeze": is_squeezed[begins - 1],
        "run_on_volume": _has_confirming_volume(frame, code, runs),
    }
    known = dict.fromkeys(shown, is_known) | {"run_on_volume": is_known & counts_volume}
    return {
        name: columns.nullable_booleans(can_show & values, known[name])
        for name, values in shown.items()
    }


def _upright(frame: pd.DataFrame, name: str) -> np.ndarray:
    """A price of every move, turned upside down in a falling trend; highs and lows trade places there."""
    mirrored = {"high": "low", "low": "high"}.get(name, name)
    falls = (frame["trend"] == BEARISH).to_numpy()
    return np.where(falls, -frame[mirrored].to_numpy("float64"), frame[name].to_numpy("float64"))


def _keeps_a_gap(frame: pd.DataFrame, runs: _Runs, settings: SequenceSettings) -> np.ndarray:
    begins = runs.first[runs.last]
    lowest = np.minimum.reduceat(_upright(frame, "low"), runs.first)[runs.last]
    day = columns.microseconds(frame["move_day"])
    is_next = day[begins] - day[begins - 1] <= settings.continuity_maximum_gap_days * _DAY
    return is_next & (lowest > columns.above(_upright(frame, "high")[begins - 1]))


def _resumes(frame: pd.DataFrame, runs: _Runs, settings: SequenceSettings) -> np.ndarray:
    close = _upright(frame, "close")
    rested, pushed = np.maximum(runs.last - 1, 0), np.maximum(runs.last - 2, 0)
    start = _upright(frame, "open")[runs.first[pushed]]
    end = close[runs.first[rested] - 1]
    lowest = np.minimum.reduceat(close, runs.first)[rested]
    latest = close[runs.first[runs.last] + runs.length[runs.last] - 1]
    return (
        (runs.count > 2)
        & (runs.length[rested] <= settings.long_run_days)
        & (lowest >= columns.below((start + end) / 2))
        & (end > columns.above(lowest))
        & (latest > columns.above(end))
    )


def _has_confirming_volume(frame: pd.DataFrame, code: np.ndarray, runs: _Runs) -> np.ndarray:
    volume = frame["volume"].to_numpy("int64", na_value=0)
    look_backs = columns.run_starts(code)
    of_run = np.add.reduceat(volume, runs.first)[runs.last]
    before = np.add.reduceat(volume, look_backs) - of_run
    mean_before = columns.divide(before, runs.first[runs.last] - look_backs)
    ratio = columns.divide(of_run / runs.length[runs.last], mean_before)
    return ratio >= columns.below(_CONFIRMING_VOLUME)
