"""V1 of the analysis of runs: scores, volume profile and patterns, one instrument at a time.

Belongs here: ``sequence_analysis`` and ``sequence_patterns``. Does not belong here: how moves and runs are found
(``sequences.py``).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from math import nan, tanh
from statistics import fmean, stdev, variance
from typing import NamedTuple

import pandas as pd

from setbull_pipelines.settings import SequenceSettings
from setbull_pipelines.tables.moves import BEARISH, BULLISH
from setbull_pipelines.tables.sequence_analysis import INSUFFICIENT_HISTORY, SEQUENCE_ANALYSIS
from setbull_pipelines.tables.sequences import MAMBA, NON_MAMBA, SEQUENCE_PATTERNS
from setbull_pipelines.variants.v1.rows import frame_of
from setbull_pipelines.variants.v1.run_patterns import RunPatterns, run_patterns
from setbull_pipelines.variants.v1.sequences import Key, Move, moves_by_instrument

_TREND_SIGN = {BULLISH: 1, BEARISH: -1}
_FULL_LENGTH = 5
"""A run of this many days has the full length score."""
_RUNS_OF_MOMENTUM = 5
_VOLUME_SLOPE_SCALE = 1_000_000


class _Run(NamedTuple):
    """The columns of a row of ``sequences`` that scores are made of."""

    kind: str
    length: int
    strength: float
    return_percent: float
    total_volume: int
    """pd.NA where the volume of a day is not known."""
    gap_days_to_next: int
    """pd.NA for the last run."""


class _VolumeProfile(NamedTuple):
    """Volume columns of ``sequence_analysis``, without the prefix."""

    average: float
    strength: float
    trend: float
    trend_relative: float
    consistency: float


class _Pattern(NamedTuple):
    """The columns of a row of ``sequence_patterns``; None is null."""

    kind: str
    length: int
    frequency: int
    strength: float
    average_gap_days: float | None
    average_return_percent: float
    success_rate: float | None
    continuation_rate: float | None


def sequence_analysis(
    moves: pd.DataFrame,
    sequences: pd.DataFrame,
    settings: SequenceSettings = SequenceSettings(),
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """``sequence_analysis`` and ``sequence_patterns``; the contract is in ``variants/protocol.py``."""
    runs_of = _runs_by_instrument(sequences)
    analysis_rows: list[dict[str, object]] = []
    pattern_rows: list[dict[str, object]] = []
    for (trading_day, instrument_key), days in moves_by_instrument(moves):
        runs = runs_of[trading_day, instrument_key]
        patterns = patterns_of(runs, days[-1].trend, settings)
        identity = {"instrument_key": instrument_key, "trading_day": trading_day}
        analysis_rows.append(
            {
                **identity,
                **_trend_columns(days, settings),
                **_run_columns(runs, settings),
                **_score_columns(runs, settings),
                **{
                    f"volume_{name}": value
                    for name, value in volume_profile(days, runs)._asdict().items()
                },
                "dominant_pattern": _dominant(patterns, "success_rate"),
                "dominant_by_continuation": _dominant(patterns, "continuation_rate"),
                **_run_pattern_columns(days, settings),
            }
        )
        pattern_rows += [
            {**identity, "pattern_rank": rank, **pattern._asdict()}
            for rank, pattern in enumerate(patterns, start=1)
        ]
    return frame_of(SEQUENCE_ANALYSIS, analysis_rows), frame_of(SEQUENCE_PATTERNS, pattern_rows)


def length_score(runs: Sequence[_Run]) -> float:
    """Sum of min(length / 5, 1) over the mamba runs, divided by the number of all runs."""
    return sum(min(run.length / _FULL_LENGTH, 1) for run in _mamba(runs)) / len(runs)


def strength_score(runs: Sequence[_Run]) -> float:
    """Mean strength of the mamba runs; 0 without one."""
    mamba_runs = _mamba(runs)
    return fmean(run.strength for run in mamba_runs) if mamba_runs else 0.0


def consistency_score(runs: Sequence[_Run]) -> float:
    """1 minus a tenth of the sample variance of the mamba run lengths, at least 0; 0 for fewer than 2."""
    mamba_runs = _mamba(runs)
    if len(mamba_runs) < 2:
        return 0.0
    return max(0.0, 1 - min(variance(run.length for run in mamba_runs) / 10, 1))


def continuity_score(runs: Sequence[_Run], maximum_gap_days: int) -> float:
    """1 minus (mean gap of at most ``maximum_gap_days``) / ``maximum_gap_days``, at least 0; 0 without such a gap."""
    gaps = [run.gap_days_to_next for run in runs[:-1] if run.gap_days_to_next <= maximum_gap_days]
    return max(0.0, 1 - fmean(gaps) / maximum_gap_days) if gaps else 0.0


def predictive_score(runs: Sequence[_Run]) -> float:
    """The share of pairs of neighbours of one kind that a third of that kind follows; 0 without such pairs."""
    kinds = [run.kind for run in runs]
    followed_by_same = [
        third == second
        for first, second, third in zip(kinds, kinds[1:], kinds[2:], strict=False)
        if first == second
    ]
    return fmean(followed_by_same) if followed_by_same else 0.0


def momentum_score(runs: Sequence[_Run]) -> float:
    """0.7 x mean strength of the last 5 runs weighted 1, 2, ... (newest most) + 0.3 x their plain mean."""
    strengths = [run.strength for run in runs[-_RUNS_OF_MOMENTUM:]]
    weights = range(1, len(strengths) + 1)
    weighted = sum(s * w for s, w in zip(strengths, weights, strict=True)) / sum(weights)
    return 0.7 * weighted + 0.3 * fmean(strengths)


def volume_profile(days: Sequence[Move], runs: Sequence[_Run]) -> _VolumeProfile:
    """Level, trend and steadiness of the volume of the days, and the share of it in mamba runs.

    Null where the volume of a day is not known.
    """
    volumes = [move.volume for move in days]
    if any(volume is pd.NA for volume in volumes):
        return _VolumeProfile(nan, nan, nan, nan, nan)
    average = fmean(volumes)
    slope = slope_of(volumes)
    if average == 0:
        return _VolumeProfile(0.0, 0.0, 0.0, 0.0, 0.0)
    relative_volumes = [run.total_volume / run.length / average for run in _mamba(runs)]
    consistency = max(0.0, 1 - min(stdev(volumes) / average, 1)) if len(volumes) >= 2 else 0.0
    return _VolumeProfile(
        average=average,
        strength=sum(relative_volumes) / len(runs),
        trend=tanh(slope / _VOLUME_SLOPE_SCALE),
        trend_relative=slope / average,
        consistency=consistency,
    )


def slope_of(values: Sequence[int]) -> float:
    """Least-squares slope of whole numbers on 0, 1, 2, ...; exact up to its one division; 0 for fewer than 2."""
    count = len(values)
    if count < 2:
        return 0.0
    weighted = sum((2 * place - (count - 1)) * value for place, value in enumerate(values))
    return 6 * weighted / (count * (count**2 - 1))


def patterns_of(runs: Sequence[_Run], trend: str, settings: SequenceSettings) -> list[_Pattern]:
    """Runs of one kind and length counted, the most frequent first."""
    positions: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    for position, run in enumerate(runs):
        if run.length >= settings.pattern_minimum_length:
            positions[run.kind, run.length].append(position)

    patterns = []
    for (kind, length), found in positions.items():
        with_next = [(runs[i], runs[i + 1]) for i in found if i + 1 < len(runs)]
        sign = _TREND_SIGN.get(trend)
        patterns.append(
            _Pattern(
                kind=kind,
                length=length,
                frequency=len(found),
                strength=fmean(runs[i].strength for i in found),
                average_gap_days=_mean_or_none([run.gap_days_to_next for run, _ in with_next]),
                average_return_percent=fmean(runs[i].return_percent for i in found),
                success_rate=_mean_or_none([next_run.kind == kind for _, next_run in with_next]),
                continuation_rate=(
                    None
                    if sign is None
                    else _mean_or_none(
                        [sign * next_run.return_percent > 0 for _, next_run in with_next]
                    )
                ),
            )
        )
    return sorted(patterns, key=lambda p: (-p.frequency, -p.strength, p.kind, p.length))


def _dominant(patterns: Sequence[_Pattern], rate: str) -> str | None:
    """KIND-length of the first pattern with the largest frequency x strength x rate; None if not above 0."""
    best, best_weight = None, 0.0
    for pattern in patterns:
        weight = pattern.frequency * pattern.strength * (getattr(pattern, rate) or 0.0)
        if weight > best_weight:
            best, best_weight = f"{pattern.kind}-{pattern.length}", weight
    return best


def _trend_columns(days: Sequence[Move], settings: SequenceSettings) -> dict[str, object]:
    above = sum(move.is_above_ema is not pd.NA and move.is_above_ema for move in days)
    below = sum(move.is_above_ema is not pd.NA and not move.is_above_ema for move in days)
    is_known = _knows_trend(days, settings)
    return {
        "series": days[-1].series,
        "trend": days[-1].trend,
        "trend_reason": None if is_known else INSUFFICIENT_HISTORY,
        "start_day": days[0].move_day,
        "end_day": days[-1].move_day,
        "days": len(days),
        "days_above_ema": above,
        "days_below_ema": below,
        "trend_percent": max(above, below) / len(days) * 100 if is_known else None,
        "mamba_days": sum(move.is_mamba for move in days),
        "non_mamba_days": sum(not move.is_mamba for move in days),
    }


def _run_pattern_columns(days: Sequence[Move], settings: SequenceSettings) -> dict[str, object]:
    names = [f"run_{name}" for name in RunPatterns._fields]
    if not _knows_trend(days, settings):
        return dict.fromkeys(names)
    return dict(zip(names, run_patterns(days, settings), strict=True))


def _knows_trend(days: Sequence[Move], settings: SequenceSettings) -> bool:
    return len(days) >= settings.look_back_days and all(
        move.is_above_ema is not pd.NA for move in days
    )


def _run_columns(runs: Sequence[_Run], settings: SequenceSettings) -> dict[str, object]:
    mamba_lengths = [run.length for run in runs if run.kind == MAMBA]
    other_lengths = [run.length for run in runs if run.kind == NON_MAMBA]
    return {
        "sequences": len(runs),
        "mamba_sequences": len(mamba_lengths),
        "non_mamba_sequences": len(other_lengths),
        "mamba_series": json.dumps(mamba_lengths),
        "non_mamba_series": json.dumps(other_lengths),
        "longest_mamba_sequence": max(mamba_lengths, default=0),
        "long_gaps": sum(length > settings.long_run_days for length in other_lengths),
        "average_mamba_length": _mean_or_none(mamba_lengths),
        "average_non_mamba_length": _mean_or_none(other_lengths),
        "current_kind": runs[-1].kind,
        "current_length": runs[-1].length,
    }


def _score_columns(runs: Sequence[_Run], settings: SequenceSettings) -> dict[str, object]:
    length, strength = length_score(runs), strength_score(runs)
    consistency = consistency_score(runs)
    return {
        "length_score": length,
        "strength_score": strength,
        "consistency_score": consistency,
        "quality_score": 0.3 * length + 0.4 * strength + 0.3 * consistency,
        "continuity_score": continuity_score(runs, settings.continuity_maximum_gap_days),
        "predictive_score": predictive_score(runs),
        "momentum_score": momentum_score(runs),
    }


def _mamba(runs: Sequence[_Run]) -> list[_Run]:
    return [run for run in runs if run.kind == MAMBA]


def _mean_or_none(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def _runs_by_instrument(sequences: pd.DataFrame) -> dict[Key, list[_Run]]:
    """The runs of every as-of day and instrument, oldest first."""
    ordered = sequences.sort_values(
        ["trading_day", "instrument_key", "sequence_number"], kind="stable"
    )
    runs_of = {}
    for key, rows in ordered.groupby(["trading_day", "instrument_key"]):
        columns = (rows[name].tolist() for name in _Run._fields)
        runs_of[key] = [_Run(*values) for values in zip(*columns, strict=True)]
    return runs_of
