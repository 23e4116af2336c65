"""V2 of the analysis of runs: scores, volume profile and patterns, for all instruments and as-of days at once.

Belongs here: ``sequence_analysis``. Does not belong here: how moves and runs are found
(``sequences.py``).

What is called an instrument below is one on one as-of day. Every sum per instrument is a ``bincount`` over rows
sorted by instrument and time, so it adds in one fixed order whatever the order of the input.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.compute

from setbull_pipelines.settings import SequenceSettings
from setbull_pipelines.tables import SEQUENCE_ANALYSIS, SEQUENCE_PATTERNS
from setbull_pipelines.tables.moves import BEARISH, BULLISH
from setbull_pipelines.tables.sequence_analysis import INSUFFICIENT_HISTORY
from setbull_pipelines.tables.sequences import MAMBA, NON_MAMBA
from setbull_pipelines.variants.v2 import columns
from setbull_pipelines.variants.v2.run_patterns import run_patterns

_KINDS = (MAMBA, NON_MAMBA)
"""In sort order, so that kinds sort by their position."""
_FULL_LENGTH = 5
_FULL_VARIANCE = 10
_MOMENTUM_RUNS = 5
_VOLUME_TREND_SCALE = 1_000_000
_HALF = 2**31
"""What volumes are divided by to get two numbers of half as many digits."""


def sequence_analysis(
    moves: pd.DataFrame,
    sequences: pd.DataFrame,
    settings: SequenceSettings = SequenceSettings(),
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Analysis per as-of day and instrument, and patterns; see ``Variant.sequence_analysis``.

    Raises ValueError for moves and runs of different instruments.
    """
    if moves.empty and sequences.empty:
        return SEQUENCE_ANALYSIS.empty(), SEQUENCE_PATTERNS.empty()
    (move_codes, run_codes), instruments, as_of = _looks_back(moves, sequences)
    _require_same_instruments(move_codes, run_codes, instruments, as_of)
    looked_back = _LookBack.read(moves, move_codes)
    runs = _Runs.read(sequences, run_codes)

    trend, volume = _trend(looked_back, settings), _volume_profile(looked_back)
    patterns = _patterns(runs, looked_back.trend_sign, settings)
    weight = patterns["frequency"] * patterns["strength"]
    analysis = pd.DataFrame(
        {
            "instrument_key": instruments,
            "trading_day": as_of,
            **trend,
            **_counts(runs, settings),
            **_scores(runs, settings),
            **volume,
            "volume_strength": _volume_strength(runs, volume["volume_average"]),
            "dominant_pattern": _dominant(patterns, weight * patterns["success_rate"], runs),
            "dominant_by_continuation": _dominant(
                patterns, weight * patterns["continuation_rate"], runs
            ),
            **run_patterns(
                looked_back.frame,
                looked_back.code,
                pd.isna(trend["trend_reason"]).to_numpy(),
                settings,
            ),
        }
    )
    of_pattern = patterns["instrument"].to_numpy()
    named_patterns = patterns.assign(
        instrument_key=instruments.take(of_pattern).array,
        trading_day=as_of[of_pattern],
        kind=columns.texts(_KINDS, patterns["kind"].to_numpy()),
    )
    return analysis[SEQUENCE_ANALYSIS.column_names], named_patterns[SEQUENCE_PATTERNS.column_names]


def _looks_back(
    moves: pd.DataFrame, sequences: pd.DataFrame
) -> tuple[list[np.ndarray], pd.Series, np.ndarray]:
    """Number the look-backs, one per instrument and as-of day, by both: (codes per frame, instrument, as-of day)."""
    instrument_codes, names = columns.shared_codes(
        moves["instrument_key"], sequences["instrument_key"]
    )
    days = [columns.microseconds(frame["trading_day"]) for frame in (moves, sequences)]
    keys = [columns.bar_key(codes, day) for codes, day in zip(instrument_codes, days, strict=True)]
    of_key, first = np.unique(np.concatenate(keys), return_index=True)
    codes = [np.searchsorted(of_key, key) for key in keys]
    instruments = columns.texts(names, np.concatenate(instrument_codes)[first])
    return codes, instruments, columns.days(np.concatenate(days)[first])


def _require_same_instruments(
    move_codes: np.ndarray, run_codes: np.ndarray, instruments: pd.Series, as_of: np.ndarray
) -> None:
    has_moves = np.bincount(move_codes, minlength=len(instruments)) > 0
    has_runs = np.bincount(run_codes, minlength=len(instruments)) > 0
    different = has_moves != has_runs
    if different.any():
        raise ValueError(
            f"sequence_analysis: {instruments[different].iloc[0]} has only one of moves and sequences as of "
            f"{np.datetime_as_string(as_of[different][0], 'D')}, expected both"
        )


@dataclass(frozen=True)
class _LookBack:
    """The moves sorted by look-back and day; ``code`` numbers the look-backs without gaps."""

    frame: pd.DataFrame
    code: np.ndarray
    days: np.ndarray
    first: np.ndarray

    @classmethod
    def read(cls, moves: pd.DataFrame, codes: np.ndarray) -> _LookBack:
        order = columns.sort_order(codes, columns.microseconds(moves["move_day"]))
        code = columns.ordered(codes, order)
        first = columns.run_starts(code)
        return cls(
            frame=moves if order is None else moves.take(order),
            code=code,
            days=columns.run_lengths(first, len(code)),
            first=first,
        )

    def total(self, values: np.ndarray) -> np.ndarray:
        """The sum of ``values`` (one per move) per look-back."""
        return np.bincount(self.code, weights=values, minlength=len(self.first))

    @property
    def trend_sign(self) -> np.ndarray:
        """+1 BULLISH, -1 BEARISH, 0 NEUTRAL, per instrument."""
        trend = self.frame["trend"].iloc[self.first]
        return (trend == BULLISH).to_numpy("int64") - (trend == BEARISH).to_numpy("int64")


def _trend(looked_back: _LookBack, settings: SequenceSettings) -> dict[str, object]:
    frame, days = looked_back.frame, looked_back.days
    close, ema = frame["close"].to_numpy("float64"), frame["ema_50"].to_numpy("float64")
    above = looked_back.total(close >= ema).astype("int64")
    below = looked_back.total(close < ema).astype("int64")
    mamba = looked_back.total(frame["is_mamba"].to_numpy(dtype=bool)).astype("int64")
    is_known = (days >= settings.look_back_days) & (looked_back.total(np.isnan(ema)) == 0)
    first, last = looked_back.first, looked_back.first + days - 1
    return {
        "series": frame["series"].iloc[first].array,
        "trend": frame["trend"].iloc[first].array,
        "trend_reason": columns.texts((INSUFFICIENT_HISTORY,), np.where(is_known, -1, 0)),
        "start_day": frame["move_day"].iloc[first].array,
        "end_day": frame["move_day"].iloc[last].array,
        "days": days,
        "days_above_ema": above,
        "days_below_ema": below,
        "trend_percent": np.where(is_known, np.maximum(above, below) / days * 100, np.nan),
        "mamba_days": mamba,
        "non_mamba_days": days - mamba,
    }


def _volume_profile(looked_back: _LookBack) -> dict[str, np.ndarray]:
    days, total = looked_back.days, looked_back.total
    volume = looked_back.frame["volume"].to_numpy("float64", na_value=np.nan)
    average = total(volume) / days
    is_unknown = np.isnan(average)
    slope = _quotient(6 * _weighted_by_place(looked_back), days * (days**2 - 1))
    squares = total((volume - np.repeat(average, days)) ** 2)
    deviation = np.sqrt(_quotient(squares, days - 1))
    has_scale = (days >= 2) & (average > 0)
    relative_deviation = _quotient(deviation, average)
    profile = {
        "volume_average": average,
        "volume_trend": np.tanh(slope / _VOLUME_TREND_SCALE),
        "volume_trend_relative": _quotient(slope, average),
        "volume_consistency": np.where(has_scale, 1 - np.minimum(relative_deviation, 1), 0.0),
    }
    return {name: np.where(is_unknown, np.nan, values) for name, values in profile.items()}


def _weighted_by_place(looked_back: _LookBack) -> np.ndarray:
    """Sum of (2 x place - (days - 1)) x volume per instrument, place 0 the first day, rounded once.

    Whole numbers in two halves: a large volume has no room for its weight, and as float64 not for its last digits.
    """
    days, first = looked_back.days, looked_back.first
    volume = looked_back.frame["volume"].to_numpy("int64", na_value=0)
    place = np.arange(len(volume)) - np.repeat(first, days)
    weight = 2 * place - np.repeat(days - 1, days)
    high, low = np.divmod(volume, _HALF)
    return np.add.reduceat(weight * high, first) * float(_HALF) + np.add.reduceat(
        weight * low, first
    )


@dataclass(frozen=True)
class _Runs:
    """The runs as arrays sorted by instrument and number; ``kind`` is the position in the kinds."""

    code: np.ndarray
    count: np.ndarray
    first: np.ndarray
    kind: np.ndarray
    length: np.ndarray
    strength: np.ndarray
    return_percent: np.ndarray
    volume: np.ndarray
    gap: np.ndarray

    @classmethod
    def read(cls, sequences: pd.DataFrame, codes: np.ndarray) -> _Runs:
        order = columns.sort_order(codes, sequences["sequence_number"].to_numpy("int64"))
        frame = sequences if order is None else sequences.take(order)
        code = columns.ordered(codes, order)
        first = columns.run_starts(code)
        return cls(
            code=code,
            count=columns.run_lengths(first, len(code)),
            first=first,
            kind=np.where(frame["kind"] == MAMBA, 0, 1),
            length=frame["length"].to_numpy("int64"),
            strength=frame["strength"].to_numpy("float64"),
            return_percent=frame["return_percent"].to_numpy("float64"),
            volume=frame["total_volume"].to_numpy("float64", na_value=np.nan),
            gap=frame["gap_days_to_next"].to_numpy("float64", na_value=np.nan),
        )

    @property
    def is_mamba(self) -> np.ndarray:
        return self.kind == 0

    @property
    def number(self) -> np.ndarray:
        """Position of the run within its instrument, from 0."""
        return np.arange(len(self.code)) - np.repeat(self.first, self.count)

    def has_run_after(self, steps: int) -> np.ndarray:
        """Whether the instrument has a run ``steps`` runs later."""
        return self.number + steps < np.repeat(self.count, self.count)

    def total(self, values: np.ndarray) -> np.ndarray:
        """The sum of ``values`` (one per run) per instrument."""
        return np.bincount(self.code, weights=values, minlength=len(self.first))


def _counts(runs: _Runs, settings: SequenceSettings) -> dict[str, object]:
    is_mamba, length = runs.is_mamba, runs.length
    mamba_runs = runs.total(is_mamba).astype("int64")
    other_runs = runs.count - mamba_runs
    longest = np.zeros(len(runs.first), dtype="int64")
    np.maximum.at(longest, runs.code[is_mamba], length[is_mamba])
    last = runs.first + runs.count - 1
    return {
        "sequences": runs.count,
        "mamba_sequences": mamba_runs,
        "non_mamba_sequences": other_runs,
        "mamba_series": _json_lists(runs.code[is_mamba], length[is_mamba], len(runs.first)),
        "non_mamba_series": _json_lists(runs.code[~is_mamba], length[~is_mamba], len(runs.first)),
        "longest_mamba_sequence": longest,
        "long_gaps": runs.total(~is_mamba & (length > settings.long_run_days)).astype("int64"),
        "average_mamba_length": columns.divide(runs.total(length * is_mamba), mamba_runs),
        "average_non_mamba_length": columns.divide(runs.total(length * ~is_mamba), other_runs),
        "current_kind": columns.texts(_KINDS, runs.kind[last]),
        "current_length": length[last],
    }


def _scores(runs: _Runs, settings: SequenceSettings) -> dict[str, np.ndarray]:
    count, total, is_mamba = runs.count, runs.total, runs.is_mamba
    mamba_runs = total(is_mamba)
    length_score = total(np.minimum(runs.length / _FULL_LENGTH, 1) * is_mamba) / count
    strength_score = _quotient(total(runs.strength * is_mamba), mamba_runs)

    mean_length = _quotient(total(runs.length * is_mamba), mamba_runs)
    squares = total((runs.length - mean_length[runs.code]) ** 2 * is_mamba)
    variance = _quotient(squares, mamba_runs - 1)
    # Two mamba runs imply two runs.
    consistency_score = np.where(mamba_runs >= 2, 1 - np.minimum(variance / _FULL_VARIANCE, 1), 0.0)

    maximum_gap = settings.continuity_maximum_gap_days
    is_close = runs.has_run_after(1) & (runs.gap <= maximum_gap)
    close_gaps = total(is_close)
    mean_gap = _quotient(total(np.where(is_close, runs.gap, 0)), close_gaps)
    continuity_score = np.where(close_gaps > 0, np.maximum(0, 1 - mean_gap / maximum_gap), 0.0)

    # Rolled past the end, the next run belongs to another instrument; has_run_after(2) excludes it.
    equal_pair = runs.has_run_after(2) & (runs.kind == np.roll(runs.kind, -1))
    continued = equal_pair & (runs.kind == np.roll(runs.kind, -2))
    predictive_score = _quotient(total(continued), total(equal_pair))

    recent = np.minimum(count, _MOMENTUM_RUNS)
    # 1 for the oldest of the recent runs; 0 and less for those before.
    rank = np.maximum(runs.number - np.repeat(count - recent, count) + 1, 0)
    recency_weighted = total(runs.strength * rank) / total(rank)
    plain = total(runs.strength * (rank > 0)) / recent
    return {
        "length_score": length_score,
        "strength_score": strength_score,
        "consistency_score": consistency_score,
        "quality_score": 0.3 * length_score + 0.4 * strength_score + 0.3 * consistency_score,
        "continuity_score": continuity_score,
        "predictive_score": predictive_score,
        "momentum_score": 0.7 * recency_weighted + 0.3 * plain,
    }


def _volume_strength(runs: _Runs, volume_average: np.ndarray) -> np.ndarray:
    relative = _quotient(runs.volume / runs.length, volume_average[runs.code])
    strength = runs.total(relative * runs.is_mamba) / runs.count
    return np.where(np.isnan(volume_average), np.nan, strength)


def _patterns(runs: _Runs, trend_sign: np.ndarray, settings: SequenceSettings) -> pd.DataFrame:
    """One row per instrument, kind and length in rank order; instrument and kind as codes."""
    has_next = runs.has_run_after(1)
    next_is_same = has_next & (runs.kind == np.roll(runs.kind, -1))
    sign = trend_sign[runs.code]
    next_continues = has_next & (sign * np.roll(runs.return_percent, -1) > 0)

    rows = np.flatnonzero(runs.length >= settings.pattern_minimum_length)
    rows = rows[np.lexsort((runs.length[rows], runs.kind[rows], runs.code[rows]))]
    starts = columns.run_starts(runs.code[rows], runs.kind[rows], runs.length[rows])
    frequency = columns.run_lengths(starts, len(rows))
    pattern = np.repeat(np.arange(len(starts)), frequency)

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(pattern, weights=values[rows], minlength=len(starts))

    followed = total(has_next)
    with_trend = np.where(sign[rows[starts]] != 0, followed, 0)
    patterns = pd.DataFrame(
        {
            "instrument": runs.code[rows[starts]],
            "kind": runs.kind[rows[starts]],
            "length": runs.length[rows[starts]],
            "frequency": frequency,
            "strength": total(runs.strength) / frequency,
            "average_gap_days": columns.divide(total(np.where(has_next, runs.gap, 0)), followed),
            "average_return_percent": total(runs.return_percent) / frequency,
            "success_rate": columns.divide(total(next_is_same), followed),
            "continuation_rate": columns.divide(total(next_continues), with_trend),
        }
    )
    instrument = patterns["instrument"].to_numpy()
    order = np.lexsort(
        (
            patterns["length"],
            patterns["kind"],
            -patterns["strength"],
            -patterns["frequency"],
            instrument,
        )
    )
    first = columns.run_starts(instrument)
    rank = (
        np.arange(len(rows[starts]))
        + 1
        - np.repeat(first, columns.run_lengths(first, len(instrument)))
    )
    # Sorting within instruments leaves each instrument's rows in the same places.
    return patterns.take(order).reset_index(drop=True).assign(pattern_rank=rank)


def _dominant(patterns: pd.DataFrame, score: pd.Series, runs: _Runs) -> pd.Series:
    """Per instrument the first pattern in rank order with the largest score above 0, as text."""
    positive = patterns.assign(score=score)[score > 0]
    best = positive.sort_values("score", ascending=False, kind="stable")
    best = best.drop_duplicates("instrument")
    texts = np.full(len(runs.first), None, dtype=object)
    # At most one short text per instrument, from values that are computed already.
    texts[best["instrument"]] = [
        f"{_KINDS[kind]}-{length}"
        for kind, length in zip(best["kind"], best["length"], strict=True)
    ]
    return pd.Series(texts, dtype="str")


def _json_lists(code: np.ndarray, values: np.ndarray, instruments: int) -> pd.Series:
    """Per instrument the JSON list of its ``values``, which are sorted by ``code``."""
    ends = np.cumsum(np.bincount(code, minlength=instruments))
    offsets = pyarrow.array(np.concatenate([[0], ends]), pyarrow.int32())
    texts = pyarrow.array(values).cast(pyarrow.string())
    joined = pyarrow.compute.binary_join(pyarrow.ListArray.from_arrays(offsets, texts), ", ")
    lists = pyarrow.compute.binary_join_element_wise("[", joined, "]", "")
    return pd.Series(pd.array(lists, dtype="str"))


def _quotient(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Quotients, 0 where the denominator is not above 0: the scores' rule for "there is none"."""
    return np.where(denominator > 0, columns.divide(numerator, denominator), 0.0)
