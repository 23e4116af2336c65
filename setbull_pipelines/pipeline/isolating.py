"""Finding the instruments that a computation fails for, so that the others go on.

Belongs here: searching by halves and what an error is called. Does not belong here: what is computed
(``computing``), what becomes of the instruments that failed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import pandas as pd

from setbull_pipelines.secrets import without_secrets
from setbull_pipelines.warehouse.errors import DamagedPartition, MissingPartition

Frames = Mapping[str, pd.DataFrame]
NOT_OF_AN_INSTRUMENT = (MissingPartition, DamagedPartition, MemoryError)
"""Errors that no choice of instruments avoids."""
ABOUT_ALL = ("history_starts",)
"""Frames that say something about all instruments together (the first day of any): never taken apart."""
_LONGEST_ERROR = 300


def without(frames: Frames, keys: Sequence[str]) -> dict[str, pd.DataFrame]:
    """The frames without the rows of these instruments."""
    return {
        name: frame
        if name in ABOUT_ALL
        else frame[~frame["instrument_key"].isin(keys)].reset_index(drop=True)
        for name, frame in frames.items()
    }


def of_instruments(frames: Frames, keys: Collection[str]) -> dict[str, pd.DataFrame]:
    """The frames with the rows of these instruments only."""
    return {
        name: frame
        if name in ABOUT_ALL
        else frame[frame["instrument_key"].isin(keys)].reset_index(drop=True)
        for name, frame in frames.items()
    }


def isolate(
    compute: Callable[[Frames], tuple[pd.DataFrame, ...]], frames: Frames
) -> tuple[list[tuple[pd.DataFrame, ...]], dict[str, str]]:
    """Compute what can be computed, and name the instruments for which ``compute`` raises, with the error.

    ``compute`` must treat instruments independently; every frame has ``instrument_key``. Returns the results of the
    groups of instruments that went well. One bad instrument of n costs about 2 log2(n) computations of shrinking size.
    """
    rows = [frame for name, frame in frames.items() if name not in ABOUT_ALL]
    if not any(map(len, rows)):
        return [compute(frames)], {}
    try:
        return [compute(frames)], {}
    except NOT_OF_AN_INSTRUMENT:
        raise
    except Exception as error:
        # Looked for where it is needed: among hundreds of thousands of rows that takes a tenth of computing them.
        keys = sorted({key for frame in rows for key in frame["instrument_key"].unique().tolist()})
        if len(keys) == 1:
            return [], {keys[0]: sentence(error)}
    middle = len(keys) // 2
    parts = (without(frames, keys[middle:]), without(frames, keys[:middle]))
    (left, left_errors), (right, right_errors) = (isolate(compute, part) for part in parts)
    return left + right, left_errors | right_errors


def sentence(error: Exception) -> str:
    """The error in one line, which is stored and shown: without secrets."""
    text = " ".join(without_secrets(f"{type(error).__name__}: {error}").split())
    return text if len(text) <= _LONGEST_ERROR else f"{text[: _LONGEST_ERROR - 3]}..."
