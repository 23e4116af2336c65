"""V1 of the patterns of the current run: after a gap, after a pull-back, after a squeeze, on volume.

Belongs here: what the days of the last run and those before it look like, one instrument at a time. Does not belong
here: scores and patterns of all runs (``analysis.py``), how moves and runs are found (``sequences.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from statistics import fmean
from typing import NamedTuple

import pandas as pd

from setbull_pipelines.settings import SequenceSettings
from setbull_pipelines.tables.moves import BEARISH, NEUTRAL
from setbull_pipelines.variants.v1.limits import is_above, is_at_least
from setbull_pipelines.variants.v1.sequences import Move

_VOLUME_RATIO = 1.5
"""Mean volume of a run over that of the days before it from which on volume confirms the run."""


class RunPatterns(NamedTuple):
    """The patterns of the current run, under the names of ``sequence_analysis`` without the prefix; None is null."""

    after_gap: bool
    after_pull_back: bool
    after_squeeze: bool
    on_volume: bool | None


def run_patterns(days: Sequence[Move], settings: SequenceSettings) -> RunPatterns:
    """The patterns of the run that ends with the last of ``days``, which are in time order and have a known trend."""
    runs = [list(run) for _, run in groupby(days, key=lambda move: move.is_mamba)]
    run = runs[-1]
    before = days[: -len(run)]
    knows_volumes = all(move.volume is not pd.NA for move in days)
    if not run[0].is_mamba or run[0].trend == NEUTRAL or not before:
        return RunPatterns(False, False, False, False if knows_volumes else None)
    return RunPatterns(
        after_gap=_left_a_gap(before[-1], run, settings.continuity_maximum_gap_days),
        after_pull_back=len(runs) >= 3
        and _goes_on(runs[-3], runs[-2], run, settings.long_run_days),
        after_squeeze=before[-1].is_squeezed is not pd.NA and before[-1].is_squeezed,
        on_volume=_has_more_volume(before, run) if knows_volumes else None,
    )


def _left_a_gap(day_before: Move, run: Sequence[Move], maximum_days: int) -> bool:
    """Whether no price of the run came back to the range of the day before it."""
    if (run[0].move_day - day_before.move_day).days > maximum_days:
        return False
    if run[0].trend == BEARISH:
        return all(is_above(day_before.low, move.high) for move in run)
    return all(is_above(move.low, day_before.high) for move in run)


def _goes_on(
    earlier: Sequence[Move], others: Sequence[Move], run: Sequence[Move], maximum_days: int
) -> bool:
    """Whether the run closed beyond the earlier one, of whose move the days between them kept half."""
    if len(others) > maximum_days:
        return False
    start, end = earlier[0].open, earlier[-1].close
    closes = [move.close for move in others]
    if run[0].trend == BEARISH:
        return (
            is_at_least((start + end) / 2, max(closes))
            and is_above(max(closes), end)
            and is_above(end, run[-1].close)
        )
    return (
        is_at_least(min(closes), (start + end) / 2)
        and is_above(end, min(closes))
        and is_above(run[-1].close, end)
    )


def _has_more_volume(before: Sequence[Move], run: Sequence[Move]) -> bool:
    mean_before = fmean(move.volume for move in before)
    mean_of_run = fmean(move.volume for move in run)
    return mean_before > 0 and is_at_least(mean_of_run / mean_before, _VOLUME_RATIO)
