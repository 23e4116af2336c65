"""Wrong moves, runs, scores and patterns.

Belongs here: mutants of the sequence tables. Does not belong here: right formulas.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from setbull_pipelines.reconciliation.self_test.market import DAYS, RISING, Market
from setbull_pipelines.reconciliation.self_test.mutant import Columns, Register
from setbull_pipelines.tables import MOVES_DAILY, SEQUENCE_ANALYSIS, SEQUENCE_PATTERNS, SEQUENCES

_REGISTER = Register()
MUTANTS = _REGISTER.mutants
wrong = _REGISTER.wrong


@wrong(
    "fall measured from the open",
    MOVES_DAILY,
    "other base",
    "move_percent",
    others={"strength": "echo", "mamba_strength": "echo"},
)
def _(v2: Market) -> Columns:
    moves = v2["moves_daily"]
    percent = (moves["close"] / moves["open"] - 1).abs() * 100
    volume_part = moves["strength"] - 0.7 * (moves["move_percent"] / 10).clip(upper=1)
    strength = volume_part + 0.7 * (percent / 10).clip(upper=1)
    return {
        "move_percent": percent,
        "strength": strength,
        "mamba_strength": strength.where(moves["is_mamba"]),
    }


@wrong(
    "volume share of the strength not below 0",
    MOVES_DAILY,
    "one-sided",
    "strength",
    others={"mamba_strength": "echo"},
)
def _(v2: Market) -> Columns:
    moves = v2["moves_daily"]
    price_part = 0.7 * (moves["move_percent"] / 10).clip(upper=1)
    strength = price_part + (moves["strength"] - price_part).clip(lower=0)
    return {"strength": strength, "mamba_strength": strength.where(moves["is_mamba"])}


@wrong("mamba strength 0 on other days", MOVES_DAILY, "null versus zero", "mamba_strength")
def _(v2: Market) -> Columns:
    return {"mamba_strength": v2["moves_daily"]["mamba_strength"].fillna(0)}


@wrong(
    "bars before a split left in old shares",
    MOVES_DAILY,
    "constant factor",
    *("open", "high", "low", "close", "volume", "ema_50"),
)
def _(v2: Market) -> Columns:
    moves = v2["moves_daily"]
    is_old = (moves["instrument_key"] == RISING) & (moves["move_day"] < DAYS[-6])
    prices = ("open", "high", "low", "close", "ema_50")
    old = {name: moves[name].mask(is_old, moves[name] * 5) for name in prices}
    return old | {"volume": moves["volume"].mask(is_old, moves["volume"] // 5)}


@wrong("return from the first close", SEQUENCES, "first one left out", "return_percent")
def _(v2: Market) -> Columns:
    closes = v2["moves_daily"].set_index(["instrument_key", "move_day"])["close"]
    runs = v2["sequences"]
    first, last = (
        closes.loc[list(zip(runs["instrument_key"], runs[day], strict=True))].to_numpy()
        for day in ("start_day", "end_day")
    )
    return {"return_percent": (last / first - 1) * 100}


@wrong("gap of the last run 0", SEQUENCES, "null versus zero", "gap_days_to_next")
def _(v2: Market) -> Columns:
    return {"gap_days_to_next": v2["sequences"]["gap_days_to_next"].fillna(0)}


def per_instrument(v2: Market, formula: Callable[[pd.DataFrame], float]) -> np.ndarray:
    """Apply ``formula`` to the runs of every instrument, in the order of the analysis table."""
    runs = v2["sequences"].assign(
        mean_volume=v2["sequences"]["total_volume"] / v2["sequences"]["length"]
    )
    results = {key: formula(group) for key, group in runs.groupby("instrument_key")}
    return v2["sequence_analysis"]["instrument_key"].map(results).to_numpy(dtype="float64")


def mamba(runs: pd.DataFrame) -> pd.DataFrame:
    return runs[runs["kind"] == "MAMBA"]


def length_of_all(runs: pd.DataFrame) -> float:
    return min(runs["length"].mean() / 5, 1)


def consistency_of_all(runs: pd.DataFrame) -> float:
    variation = runs["length"].std(ddof=1) / runs["length"].mean()
    return max(0.0, 1 - min(variation / 2, 1))


@wrong("51 length score of all runs", SEQUENCE_ANALYSIS, "other count", "length_score")
def _(v2: Market) -> Columns:
    return {"length_score": per_instrument(v2, length_of_all)}


@wrong("52 strength score of all runs", SEQUENCE_ANALYSIS, "other count", "strength_score")
def _(v2: Market) -> Columns:
    return {"strength_score": per_instrument(v2, lambda runs: runs["strength"].mean())}


# The runs behind the mean and the deviation are in another table.
@wrong(
    "53 consistency by coefficient of variation",
    SEQUENCE_ANALYSIS,
    "unknown shape",
    "consistency_score",
)
def _(v2: Market) -> Columns:
    return {"consistency_score": per_instrument(v2, consistency_of_all)}


@wrong(
    "53 consistency by population variance",
    SEQUENCE_ANALYSIS,
    "divisor off by one",
    "consistency_score",
)
def _(v2: Market) -> Columns:
    return {
        "consistency_score": per_instrument(
            v2, lambda runs: 1 - mamba(runs)["length"].var(ddof=0) / 10
        )
    }


# Its weights are right; the wrong parts are in no column of the table.
@wrong("54 quality of the parts of 51 to 53", SEQUENCE_ANALYSIS, "unknown shape", "quality_score")
def _(v2: Market) -> Columns:
    return {
        "quality_score": per_instrument(
            v2,
            lambda runs: (
                0.3 * length_of_all(runs)
                + 0.4 * runs["strength"].mean()
                + 0.3 * consistency_of_all(runs)
            ),
        )
    }


@wrong(
    "continuity with the last run as gap 0",
    SEQUENCE_ANALYSIS,
    "divisor off by one",
    "continuity_score",
)
def _(v2: Market) -> Columns:
    return {
        "continuity_score": per_instrument(
            v2, lambda runs: 1 - runs["gap_days_to_next"].fillna(0).mean() / 5
        )
    }


@wrong(
    "56 everything 0 without a run of 2 days",
    SEQUENCE_ANALYSIS,
    "zero instead of a value",
    *("length_score", "strength_score", "consistency_score", "quality_score"),
    *("continuity_score", "momentum_score", "volume_average", "volume_strength"),
    *("volume_trend", "volume_trend_relative", "volume_consistency"),
)
def _(v2: Market) -> Columns:
    analysis = v2["sequence_analysis"]
    longest = v2["sequences"].groupby("instrument_key")["length"].max()
    is_choppy = analysis["instrument_key"].map(longest) < 2
    scores = [name for name in analysis if name.endswith("_score")]
    volumes = [name for name in analysis if name.startswith("volume_")]
    return {name: analysis[name].mask(is_choppy, 0.0) for name in scores + volumes}


# The strengths of the last runs, which are weighted, are in another table.
@wrong("momentum weighted oldest first", SEQUENCE_ANALYSIS, "unknown shape", "momentum_score")
def _(v2: Market) -> Columns:
    def oldest_heaviest(runs: pd.DataFrame) -> float:
        last = runs["strength"].tail(5)
        weights = np.arange(len(last), 0, -1)
        return 0.7 * (last * weights).sum() / weights.sum() + 0.3 * last.mean()

    return {"momentum_score": per_instrument(v2, oldest_heaviest)}


# The volumes per run are in another table; so they are for the next three.
@wrong("61 average volume per run", SEQUENCE_ANALYSIS, "unknown shape", "volume_average")
def _(v2: Market) -> Columns:
    return {"volume_average": per_instrument(v2, lambda runs: runs["mean_volume"].mean())}


@wrong(
    "62 volume strength as mean of the mamba runs",
    SEQUENCE_ANALYSIS,
    "other count",
    "volume_strength",
)
def _(v2: Market) -> Columns:
    mean = per_instrument(v2, lambda runs: mamba(runs)["mean_volume"].mean())
    return {"volume_strength": mean / v2["sequence_analysis"]["volume_average"]}


def slope(volumes: pd.Series) -> float:
    return np.polyfit(np.arange(len(volumes)), volumes.to_numpy("float64"), 1)[0]


@wrong("63 volume trend per run", SEQUENCE_ANALYSIS, "unknown shape", "volume_trend")
def _(v2: Market) -> Columns:
    return {
        "volume_trend": per_instrument(v2, lambda runs: np.tanh(slope(runs["mean_volume"]) / 1e6))
    }


@wrong(
    "volume trend with absolute slope for relative",
    SEQUENCE_ANALYSIS,
    "column mix-up",
    "volume_trend_relative",
)
def _(v2: Market) -> Columns:
    return {"volume_trend_relative": v2["sequence_analysis"]["volume_trend"]}


@wrong("64 volume consistency per run", SEQUENCE_ANALYSIS, "unknown shape", "volume_consistency")
def _(v2: Market) -> Columns:
    def per_run(runs: pd.DataFrame) -> float:
        volumes = runs["mean_volume"]
        return max(0.0, 1 - min(volumes.std(ddof=1) / volumes.mean(), 1))

    return {"volume_consistency": per_instrument(v2, per_run)}


@wrong(
    "64 volume consistency by population deviation",
    SEQUENCE_ANALYSIS,
    "sample deviation",
    "volume_consistency",
)
def _(v2: Market) -> Columns:
    volumes = v2["moves_daily"].groupby("instrument_key")["volume"]
    consistency = 1 - volumes.std(ddof=0) / volumes.mean()
    return {
        "volume_consistency": v2["sequence_analysis"]["instrument_key"]
        .map(consistency)
        .to_numpy("float64")
    }


@wrong("dominant pattern lost", SEQUENCE_ANALYSIS, "values lost", "dominant_by_continuation")
def _(v2: Market) -> Columns:
    return {"dominant_by_continuation": pd.Series([None] * 3, dtype="str")}


# Two cells, one of them null, say too little.
@wrong("57 last run counted as gap 0", SEQUENCE_PATTERNS, "unknown shape", "average_gap_days")
def _(v2: Market) -> Columns:
    runs = v2["sequences"].assign(gap=v2["sequences"]["gap_days_to_next"].fillna(0))
    shape = ["instrument_key", "kind", "length"]
    gaps = runs.groupby(shape)["gap"].mean().astype("float64")
    patterns = v2["sequence_patterns"]
    return {"average_gap_days": gaps.loc[list(patterns[shape].itertuples(index=False))].to_numpy()}


@wrong(
    "58 average return divided by one run more",
    SEQUENCE_PATTERNS,
    "divisor off by one",
    "average_return_percent",
)
def _(v2: Market) -> Columns:
    patterns = v2["sequence_patterns"]
    frequency = patterns["frequency"]
    return {
        "average_return_percent": patterns["average_return_percent"] * frequency / (frequency + 1)
    }


@wrong(
    "60 patterns in another order",
    SEQUENCE_PATTERNS,
    "other order",
    *("kind", "length", "frequency", "strength", "average_gap_days"),
    *("average_return_percent", "success_rate", "continuation_rate"),
)
def _(v2: Market) -> Columns:
    patterns = v2["sequence_patterns"]
    reverse = patterns.sort_values(["instrument_key", "pattern_rank"], ascending=[True, False])
    names = [name for name in patterns if name not in SEQUENCE_PATTERNS.key]
    return {name: reverse[name].array for name in names}


@wrong("success rate without a next run 0", SEQUENCE_PATTERNS, "null versus zero", "success_rate")
def _(v2: Market) -> Columns:
    return {"success_rate": v2["sequence_patterns"]["success_rate"].fillna(0)}
