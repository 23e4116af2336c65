"""The comparison finds every known way in which the two old implementations differed.

The numbers are those of the list of divergences between the old V1 and V2; cases
without a number are faults of the same kind. Each case takes the true output of V2, replaces one
detail by the wrong formula, written out here in a few lines, and must be told apart from V1 in
exactly the columns that the detail touches. All days are published as one partition, because some
faults show in the first session only and others from the second on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from setbull_pipelines.tables import (
    CANDLES_5MIN,
    CANDLES_DAILY,
    FILTER_RESULTS,
    INDICATORS_5MIN,
    INDICATORS_DAILY,
    MOVES_DAILY,
    SEQUENCE_ANALYSIS,
    SEQUENCE_PATTERNS,
    SEQUENCES,
    Table,
)
from setbull_pipelines.tables.indicators import INDICATOR_COLUMNS
from setbull_pipelines.variants import V1, V2
from setbull_pipelines_tests.reconciliation.partition_files import (
    TRADING_DAY,
    check_contracts,
    column_row,
    compare_frames,
    diverged_columns,
    last_agreeing,
)
from setbull_pipelines_tests.reconciliation.sample_market import (
    ALTERNATING,
    FALLING,
    RISING,
    SESSIONS,
    Market,
    both_variants,
)

TABLES = (
    CANDLES_5MIN,
    CANDLES_DAILY,
    INDICATORS_5MIN,
    INDICATORS_DAILY,
    MOVES_DAILY,
    SEQUENCES,
    SEQUENCE_ANALYSIS,
    SEQUENCE_PATTERNS,
    FILTER_RESULTS,
)
Columns = Mapping[str, object]
BOLLINGER = ("bb_upper", "bb_middle", "bb_lower")
WIDTHS = ("bb_width", "bb_width_normalized", "bb_width_normalized_percentage")
EMAS = {"ema_5": 5, "ema_9": 9, "ema_20": 20, "ema_50": 50}
INDICATORS = [column.name for column in INDICATOR_COLUMNS]


@pytest.fixture(scope="module")
def variants() -> tuple[Market, Market]:
    return both_variants()


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_without_a_fault_both_variants_agree(tmp_path, variants, table) -> None:
    v1, v2 = variants
    comparison = compare_frames(tmp_path, table, v1[table.name], v2[table.name])
    check_contracts(table, comparison)
    assert comparison.state == "pass", comparison.reason
    cells = len(v1[table.name]) * len(table.value_columns)
    assert comparison.summary.at[0, "cells_compared"] == cells > 0


@dataclass(frozen=True)
class Fault:
    """One wrong detail: the columns it replaces, computed from the other tables of V2."""

    name: str
    table: Table
    wrong: Callable[[Market], Columns]
    diverging: frozenset[str]


FAULTS: list[Fault] = []


def fault(
    name: str, table: Table, *diverging: str
) -> Callable[[Callable[[Market], Columns]], Callable[[Market], Columns]]:
    """Register a wrong formula under its number and name, and the columns that must diverge."""

    def register(wrong: Callable[[Market], Columns]) -> Callable[[Market], Columns]:
        FAULTS.append(Fault(name, table, wrong, frozenset(diverging)))
        return wrong

    return register


def each(bars: pd.DataFrame, formula: Callable[[pd.DataFrame], pd.Series]) -> pd.Series:
    """Apply ``formula`` to the bars of one series at a time."""
    keys = [name for name in ("instrument_key", "series") if name in bars]
    return pd.concat([formula(group) for _, group in bars.groupby(keys)])


def of_closes(bars: pd.DataFrame, formula: Callable[[pd.Series], pd.Series]) -> pd.Series:
    return each(bars, lambda group: formula(group["close"]))


def ema(values: pd.Series, seed: float, first: int, period: int) -> pd.Series:
    """Exponential mean that is ``seed`` at position ``first`` and null before."""
    result = [np.nan] * first + [seed]
    for value in values.iloc[first + 1 :]:
        result.append(result[-1] + 2 / (period + 1) * (value - result[-1]))
    return pd.Series(result[: len(values)], index=values.index)


def wilder(values: pd.Series, first: int) -> pd.Series:
    """Wilder mean over 14, seeded at position 14 with the mean of ``values[first:15]``."""
    result = values * np.nan
    if len(values) > 14:
        result.iloc[14] = values.iloc[first:15].mean()
    for position in range(15, len(values)):
        result.iloc[position] = (13 * result.iloc[position - 1] + values.iloc[position]) / 14
    return result


def gains_and_losses(closes: pd.Series) -> tuple[pd.Series, pd.Series]:
    change = closes.diff().fillna(0)
    return change.clip(lower=0), (-change).clip(lower=0)


# ---------------------------------------------------------------- indicators


@fault("1 sample deviation", INDICATORS_5MIN, "bb_upper", "bb_lower", *WIDTHS)
def _(v2: Market) -> Columns:
    middle = v2["indicators_5min"]["bb_middle"]
    deviation = of_closes(v2["candles_5min"], lambda closes: closes.rolling(20).std(ddof=1))
    return {
        "bb_upper": middle + 2 * deviation,
        "bb_lower": middle - 2 * deviation,
        "bb_width": 4 * deviation,
        "bb_width_normalized": 4 * deviation / middle,
        "bb_width_normalized_percentage": 400 * deviation / middle,
    }


@fault("2 Bollinger warm-up 0 instead of null", INDICATORS_5MIN, *BOLLINGER, *WIDTHS)
def _(v2: Market) -> Columns:
    return {name: v2["indicators_5min"][name].fillna(0) for name in (*BOLLINGER, *WIDTHS)}


@fault("37 every null stored as 0", INDICATORS_5MIN, *INDICATORS, "vwap")
def _(v2: Market) -> Columns:
    return {name: v2["indicators_5min"][name].fillna(0) for name in (*INDICATORS, "vwap")}


@fault("3 width as ratio", INDICATORS_5MIN, "bb_width")
def _(v2: Market) -> Columns:
    return {"bb_width": v2["indicators_5min"]["bb_width_normalized"]}


@fault("3 width capped at 100 rupees", INDICATORS_5MIN, "bb_width")
def _(v2: Market) -> Columns:
    return {"bb_width": v2["indicators_5min"]["bb_width"].clip(upper=100)}


@fault("4 normalized width as min-max", INDICATORS_5MIN, "bb_width_normalized")
def _(v2: Market) -> Columns:
    widths = v2["indicators_5min"].groupby("instrument_key")["bb_width"]
    low, high = widths.transform("min"), widths.transform("max")
    return {"bb_width_normalized": (v2["indicators_5min"]["bb_width"] - low) / (high - low)}


@fault("5 percentage without x 100", INDICATORS_5MIN, "bb_width_normalized_percentage")
def _(v2: Market) -> Columns:
    return {"bb_width_normalized_percentage": v2["indicators_5min"]["bb_width_normalized"]}


@fault("6 flat window as null", INDICATORS_5MIN, *WIDTHS)
def _(v2: Market) -> Columns:
    indicators = v2["indicators_5min"]
    is_flat = indicators["bb_width"] == 0
    return {name: indicators[name].mask(is_flat) for name in WIDTHS}


@fault("43 normalized widths 0", INDICATORS_5MIN, *WIDTHS[1:])
def _(v2: Market) -> Columns:
    return dict.fromkeys(WIDTHS[1:], 0.0)


def vwap(bars: pd.DataFrame, price: pd.Series, keys: list[str]) -> pd.Series:
    """Volume-weighted mean in the order of ``bars``, starting anew with every group of ``keys``."""
    groups = [bars[key] for key in keys]
    value = (price * bars["volume"]).groupby(groups).cumsum()
    volume = bars["volume"].groupby(groups).cumsum()
    return value / volume.where(volume > 0)


def typical(bars: pd.DataFrame) -> pd.Series:
    return (bars["high"] + bars["low"] + bars["close"]) / 3


@fault("7 VWAP never reset", INDICATORS_5MIN, "vwap")
def _(v2: Market) -> Columns:
    bars = v2["candles_5min"]
    return {"vwap": vwap(bars, typical(bars), ["instrument_key"])}


@fault("7 VWAP newest first", INDICATORS_5MIN, "vwap")
def _(v2: Market) -> Columns:
    bars = v2["candles_5min"].iloc[::-1]
    return {"vwap": vwap(bars, typical(bars), ["instrument_key", "trading_day"])}


@fault("8 VWAP without volume 0", INDICATORS_5MIN, "vwap")
def _(v2: Market) -> Columns:
    return {"vwap": v2["indicators_5min"]["vwap"].fillna(0)}


@fault("8 VWAP without volume the price", INDICATORS_5MIN, "vwap")
def _(v2: Market) -> Columns:
    return {"vwap": v2["indicators_5min"]["vwap"].fillna(v2["candles_5min"]["close"])}


@fault("9 VWAP of closes", INDICATORS_5MIN, "vwap")
def _(v2: Market) -> Columns:
    bars = v2["candles_5min"]
    return {"vwap": vwap(bars, bars["close"], ["instrument_key", "trading_day"])}


@fault("10 MA 9 looking ahead", INDICATORS_5MIN, "ma_9")
def _(v2: Market) -> Columns:
    def ahead(closes: pd.Series) -> pd.Series:
        return closes.iloc[::-1].rolling(9, min_periods=1).mean().iloc[::-1]

    return {"ma_9": of_closes(v2["candles_5min"], ahead)}


@fault("11 MA 9 growing", INDICATORS_5MIN, "ma_9")
def _(v2: Market) -> Columns:
    def growing(closes: pd.Series) -> pd.Series:
        return closes.rolling(9, min_periods=1).mean()

    return {"ma_9": of_closes(v2["candles_5min"], growing)}


@fault("12 EMA 9 in MA 9", INDICATORS_5MIN, "ma_9")
def _(v2: Market) -> Columns:
    return {"ma_9": v2["indicators_5min"]["ema_9"]}


@fault("13 EMA 5 and VWAP emptied", INDICATORS_5MIN, "ema_5", "vwap")
def _(v2: Market) -> Columns:
    return {"ema_5": np.nan, "vwap": np.nan}


@fault("13 volume mean absent", INDICATORS_5MIN, "volume_ma_10")
def _(v2: Market) -> Columns:
    return {"volume_ma_10": np.nan}


@fault("14 EMA seeded with the first close", INDICATORS_5MIN, *EMAS)
def _(v2: Market) -> Columns:
    return {
        name: of_closes(v2["candles_5min"], lambda c, p=period: ema(c, c.iloc[0], 0, p))
        for name, period in EMAS.items()
    }


@fault("14 EMA 50 seeded with the first close, warm-up hidden", INDICATORS_5MIN, "ema_50")
def _(v2: Market) -> Columns:
    seeded = of_closes(v2["candles_5min"], lambda closes: ema(closes, closes.iloc[0], 0, 50))
    return {"ema_50": seeded.where(v2["indicators_5min"]["ema_50"].notna())}


@fault("15 EMA period lowered to the bars there are", INDICATORS_DAILY, "ema_20", "ema_50")
def _(v2: Market) -> Columns:
    def lowered(closes: pd.Series, period: int) -> pd.Series:
        period = min(period, len(closes))
        return ema(closes, closes.iloc[:period].mean(), period - 1, period)

    return {
        name: of_closes(v2["candles_daily"], lambda c, p=period: lowered(c, p))
        for name, period in EMAS.items()
    }


@fault("16 EMA 9 not padded, paired by position", INDICATORS_5MIN, "ema_9")
def _(v2: Market) -> Columns:
    return {"ema_9": v2["indicators_5min"].groupby("instrument_key")["ema_9"].shift(-8)}


@fault("17 EMA 20 missing", INDICATORS_5MIN, "ema_20")
def _(v2: Market) -> Columns:
    return {"ema_20": np.nan}


@fault("17 EMA 20 zero", INDICATORS_5MIN, "ema_20")
def _(v2: Market) -> Columns:
    return {"ema_20": 0.0}


@fault("18 RSI as RS", INDICATORS_5MIN, "rsi")
def _(v2: Market) -> Columns:
    def ratio(closes: pd.Series) -> pd.Series:
        gains, losses = gains_and_losses(closes)
        return wilder(gains, 1) / wilder(losses, 1)

    return {"rsi": of_closes(v2["candles_5min"], ratio)}


@fault("19 RSI unseeded: the first change counts as 0", INDICATORS_5MIN, "rsi")
def _(v2: Market) -> Columns:
    def unseeded(closes: pd.Series) -> pd.Series:
        gains, losses = gains_and_losses(closes)
        ratio = wilder(gains, 0) / wilder(losses, 0)
        return (100 - 100 / (1 + ratio)).mask(wilder(losses, 0) == 0, 100.0)

    return {"rsi": of_closes(v2["candles_5min"], unseeded)}


@fault("20 RSI 0 without losses", INDICATORS_5MIN, "rsi")
def _(v2: Market) -> Columns:
    rsi = v2["indicators_5min"]["rsi"]
    is_rising = v2["indicators_5min"]["instrument_key"] == ALTERNATING
    return {"rsi": rsi.mask(is_rising & (rsi == 100), 0.0)}


@fault("21 RSI 0 of a flat series", INDICATORS_5MIN, "rsi")
def _(v2: Market) -> Columns:
    rsi = v2["indicators_5min"]["rsi"]
    is_flat = v2["indicators_5min"]["instrument_key"] == FALLING
    return {"rsi": rsi.mask(is_flat & (rsi == 100), 0.0)}


@fault("22 RSI 0 with too few bars", INDICATORS_DAILY, "rsi")
def _(v2: Market) -> Columns:
    indicators = v2["indicators_daily"]
    return {"rsi": indicators["rsi"].mask(indicators["series"] == "minutes", 0.0)}


@fault("23 ATR as high - low", INDICATORS_5MIN, "atr")
def _(v2: Market) -> Columns:
    return {"atr": v2["candles_5min"]["high"] - v2["candles_5min"]["low"]}


@fault("23 ATR of high - low without gaps", INDICATORS_5MIN, "atr")
def _(v2: Market) -> Columns:
    return {"atr": each(v2["candles_5min"], lambda bars: wilder(bars["high"] - bars["low"], 1))}


@fault("24 ATR 0 with too few bars", INDICATORS_DAILY, "atr")
def _(v2: Market) -> Columns:
    indicators = v2["indicators_daily"]
    return {"atr": indicators["atr"].mask(indicators["series"] == "minutes", 0.0)}


@fault("26 Bollinger backward", INDICATORS_5MIN, *BOLLINGER, *WIDTHS)
def _(v2: Market) -> Columns:
    indicators = v2["indicators_5min"]
    return {
        name: indicators.groupby("instrument_key")[name].shift(-19)
        for name in (*BOLLINGER, *WIDTHS)
    }


@fault(
    "28 one failure loses all of a short series",
    INDICATORS_DAILY,
    # All that 12 bars are enough for.
    "ma_9",
    "ema_5",
    "ema_9",
    "volume_ma_10",
)
def _(v2: Market) -> Columns:
    indicators = v2["indicators_daily"]
    return {name: indicators[name].mask(indicators["series"] == "minutes") for name in INDICATORS}


@fault("35 no history before the last session", INDICATORS_5MIN, *EMAS, "ma_9", "bars_of_history")
def _(v2: Market) -> Columns:
    indicators, bars = v2["indicators_5min"], v2["candles_5min"]
    bars = bars[bars["trading_day"] == SESSIONS[-1]]
    alone: dict[str, pd.Series] = {
        name: of_closes(bars, lambda c, p=period: ema(c, c.iloc[:p].mean(), p - 1, p))
        for name, period in EMAS.items()
    }
    alone["ma_9"] = of_closes(bars, lambda closes: closes.rolling(9).mean())
    alone["bars_of_history"] = bars.groupby("instrument_key").cumcount() + 1
    is_last = bars.index
    return {
        name: pd.concat([indicators[name].drop(is_last), column]) for name, column in alone.items()
    }


@fault("41 rounded to 2 and 4 decimals", INDICATORS_5MIN, *INDICATORS[1:-1], "vwap")
def _(v2: Market) -> Columns:
    decimals = {name: 4 if "normalized" in name else 2 for name in (*INDICATORS[1:-1], "vwap")}
    return {name: v2["indicators_5min"][name].round(places) for name, places in decimals.items()}


@fault("cold bars called warm", INDICATORS_5MIN, "is_warm")
def _(v2: Market) -> Columns:
    return {"is_warm": True}


# ---------------------------------------------------------------- candles


@fault("30 open interest summed", CANDLES_5MIN, "open_interest")
def _(v2: Market) -> Columns:
    return {"open_interest": v2["candles_5min"]["open_interest"] * 5}


@fault("30 open interest 0", CANDLES_5MIN, "open_interest")
def _(v2: Market) -> Columns:
    return {"open_interest": 0}


@fault("30 open interest lost", CANDLES_5MIN, "open_interest")
def _(v2: Market) -> Columns:
    return {"open_interest": pd.NA}


@fault("30 open interest null as 0", CANDLES_DAILY, "open_interest")
def _(v2: Market) -> Columns:
    return {"open_interest": v2["candles_daily"]["open_interest"].fillna(0)}


@fault("33 prices rounded to 6 decimals", CANDLES_5MIN, "open", "high", "low", "close")
def _(v2: Market) -> Columns:
    return {name: v2["candles_5min"][name].round(6) for name in ("open", "high", "low", "close")}


@fault("33 prices rounded to 2 decimals", CANDLES_DAILY, "open", "high", "low", "close")
def _(v2: Market) -> Columns:
    return {name: v2["candles_daily"][name].round(2) for name in ("open", "high", "low", "close")}


@fault("volume of one minute counted twice", CANDLES_5MIN, "volume")
def _(v2: Market) -> Columns:
    volume = v2["candles_5min"]["volume"]
    return {"volume": volume + volume // 5}


@fault("untraded minutes counted as traded", CANDLES_5MIN, "minutes_traded")
def _(v2: Market) -> Columns:
    return {"minutes_traded": v2["candles_5min"]["minutes_present"]}


@fault("daily close of the minutes in the exchange series", CANDLES_DAILY, "close")
def _(v2: Market) -> Columns:
    bars = v2["candles_daily"]
    key = ["instrument_key", "trading_day"]
    minutes = bars[bars["series"] == "minutes"].set_index(key)["close"]
    of_minutes = minutes.reindex(pd.MultiIndex.from_frame(bars[key])).to_numpy()
    return {"close": bars["close"].where(np.isnan(of_minutes), of_minutes)}


# ---------------------------------------------------------------- moves and runs


@fault("fall measured from the open", MOVES_DAILY, "move_percent", "strength", "mamba_strength")
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


@fault("volume share of the strength not below 0", MOVES_DAILY, "strength", "mamba_strength")
def _(v2: Market) -> Columns:
    moves = v2["moves_daily"]
    price_part = 0.7 * (moves["move_percent"] / 10).clip(upper=1)
    strength = price_part + (moves["strength"] - price_part).clip(lower=0)
    return {"strength": strength, "mamba_strength": strength.where(moves["is_mamba"])}


@fault("mamba strength 0 on other days", MOVES_DAILY, "mamba_strength")
def _(v2: Market) -> Columns:
    return {"mamba_strength": v2["moves_daily"]["mamba_strength"].fillna(0)}


@fault("return from the first close", SEQUENCES, "return_percent")
def _(v2: Market) -> Columns:
    closes = v2["moves_daily"].set_index(["instrument_key", "move_day"])["close"]
    runs = v2["sequences"]
    first, last = (
        closes.loc[list(zip(runs["instrument_key"], runs[day], strict=True))].to_numpy()
        for day in ("start_day", "end_day")
    )
    return {"return_percent": (last / first - 1) * 100}


@fault("gap of the last run 0", SEQUENCES, "gap_days_to_next")
def _(v2: Market) -> Columns:
    return {"gap_days_to_next": v2["sequences"]["gap_days_to_next"].fillna(0)}


# ---------------------------------------------------------------- scores


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


@fault("51 length score of all runs", SEQUENCE_ANALYSIS, "length_score")
def _(v2: Market) -> Columns:
    return {"length_score": per_instrument(v2, length_of_all)}


@fault("52 strength score of all runs", SEQUENCE_ANALYSIS, "strength_score")
def _(v2: Market) -> Columns:
    return {"strength_score": per_instrument(v2, lambda runs: runs["strength"].mean())}


@fault("53 consistency by coefficient of variation", SEQUENCE_ANALYSIS, "consistency_score")
def _(v2: Market) -> Columns:
    return {"consistency_score": per_instrument(v2, consistency_of_all)}


@fault("53 consistency by population variance", SEQUENCE_ANALYSIS, "consistency_score")
def _(v2: Market) -> Columns:
    return {
        "consistency_score": per_instrument(
            v2, lambda runs: 1 - mamba(runs)["length"].var(ddof=0) / 10
        )
    }


@fault("54 quality of the parts of 51 to 53", SEQUENCE_ANALYSIS, "quality_score")
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


@fault("continuity with the last run as gap 0", SEQUENCE_ANALYSIS, "continuity_score")
def _(v2: Market) -> Columns:
    return {
        "continuity_score": per_instrument(
            v2, lambda runs: 1 - runs["gap_days_to_next"].fillna(0).mean() / 5
        )
    }


@fault(
    "56 everything 0 without a run of 2 days",
    SEQUENCE_ANALYSIS,
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


@fault("momentum weighted oldest first", SEQUENCE_ANALYSIS, "momentum_score")
def _(v2: Market) -> Columns:
    def oldest_heaviest(runs: pd.DataFrame) -> float:
        last = runs["strength"].tail(5)
        weights = np.arange(len(last), 0, -1)
        return 0.7 * (last * weights).sum() / weights.sum() + 0.3 * last.mean()

    return {"momentum_score": per_instrument(v2, oldest_heaviest)}


@fault("61 average volume per run", SEQUENCE_ANALYSIS, "volume_average")
def _(v2: Market) -> Columns:
    return {"volume_average": per_instrument(v2, lambda runs: runs["mean_volume"].mean())}


@fault("62 volume strength as mean of the mamba runs", SEQUENCE_ANALYSIS, "volume_strength")
def _(v2: Market) -> Columns:
    mean = per_instrument(v2, lambda runs: mamba(runs)["mean_volume"].mean())
    return {"volume_strength": mean / v2["sequence_analysis"]["volume_average"]}


def slope(volumes: pd.Series) -> float:
    return np.polyfit(np.arange(len(volumes)), volumes.to_numpy("float64"), 1)[0]


@fault("63 volume trend per run", SEQUENCE_ANALYSIS, "volume_trend")
def _(v2: Market) -> Columns:
    return {
        "volume_trend": per_instrument(v2, lambda runs: np.tanh(slope(runs["mean_volume"]) / 1e6))
    }


@fault("volume trend with absolute slope for relative", SEQUENCE_ANALYSIS, "volume_trend_relative")
def _(v2: Market) -> Columns:
    return {"volume_trend_relative": v2["sequence_analysis"]["volume_trend"]}


@fault("64 volume consistency per run", SEQUENCE_ANALYSIS, "volume_consistency")
def _(v2: Market) -> Columns:
    def per_run(runs: pd.DataFrame) -> float:
        volumes = runs["mean_volume"]
        return max(0.0, 1 - min(volumes.std(ddof=1) / volumes.mean(), 1))

    return {"volume_consistency": per_instrument(v2, per_run)}


@fault("64 volume consistency by population deviation", SEQUENCE_ANALYSIS, "volume_consistency")
def _(v2: Market) -> Columns:
    volumes = v2["moves_daily"].groupby("instrument_key")["volume"]
    consistency = 1 - volumes.std(ddof=0) / volumes.mean()
    return {
        "volume_consistency": v2["sequence_analysis"]["instrument_key"]
        .map(consistency)
        .to_numpy("float64")
    }


@fault("dominant pattern lost", SEQUENCE_ANALYSIS, "dominant_by_continuation")
def _(v2: Market) -> Columns:
    return {"dominant_by_continuation": pd.Series([None] * 3, dtype="str")}


# ---------------------------------------------------------------- patterns


@fault("57 last run counted as gap 0", SEQUENCE_PATTERNS, "average_gap_days")
def _(v2: Market) -> Columns:
    runs = v2["sequences"].assign(gap=v2["sequences"]["gap_days_to_next"].fillna(0))
    shape = ["instrument_key", "kind", "length"]
    gaps = runs.groupby(shape)["gap"].mean().astype("float64")
    patterns = v2["sequence_patterns"]
    return {"average_gap_days": gaps.loc[list(patterns[shape].itertuples(index=False))].to_numpy()}


@fault("58 average return divided by one run more", SEQUENCE_PATTERNS, "average_return_percent")
def _(v2: Market) -> Columns:
    patterns = v2["sequence_patterns"]
    frequency = patterns["frequency"]
    return {
        "average_return_percent": patterns["average_return_percent"] * frequency / (frequency + 1)
    }


@fault(
    "60 patterns in another order",
    SEQUENCE_PATTERNS,
    *("kind", "length", "frequency", "strength", "average_gap_days"),
    *("average_return_percent", "success_rate", "continuation_rate"),
)
def _(v2: Market) -> Columns:
    patterns = v2["sequence_patterns"]
    reverse = patterns.sort_values(["instrument_key", "pattern_rank"], ascending=[True, False])
    names = [name for name in patterns if name not in SEQUENCE_PATTERNS.key]
    return {name: reverse[name].array for name in names}


@fault("success rate without a next run 0", SEQUENCE_PATTERNS, "success_rate")
def _(v2: Market) -> Columns:
    return {"success_rate": v2["sequence_patterns"]["success_rate"].fillna(0)}


# ---------------------------------------------------------------- filters


@fault("deviation relative to the close", FILTER_RESULTS, "ema_deviation")
def _(v2: Market) -> Columns:
    results = v2["filter_results"]
    return {"ema_deviation": 1 - results["ema_50"] / results["close"]}


@fault("average volume rounded up", FILTER_RESULTS, "average_volume")
def _(v2: Market) -> Columns:
    bars = v2["candles_daily"]
    volumes = bars[bars["series"] == "exchange"].groupby("instrument_key")["volume"]
    return {"average_volume": np.ceil(volumes.apply(lambda v: v.tail(10).mean())).to_numpy("int64")}


@fault("direction of the EMA stage ignored", FILTER_RESULTS, "verdict", "side")
def _(v2: Market) -> Columns:
    return {"verdict": "bullish", "side": "BULLISH"}


@fault("mamba days of a bearish trend counted as bullish", FILTER_RESULTS, "bullish_mamba_count")
def _(v2: Market) -> Columns:
    return {"bullish_mamba_count": v2["filter_results"]["mamba_count"]}


# ---------------------------------------------------------------- the comparison finds them


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_wrong_formula_diverges_in_its_columns_and_no_other(tmp_path, variants, fault) -> None:
    v1, v2 = variants
    name = fault.table.name
    faulty = fault.table.conform(v2[name].assign(**fault.wrong(v2)))
    comparison = compare_frames(tmp_path, fault.table, v1[name], faulty)
    assert comparison.state == "diverged"
    assert diverged_columns(comparison) == fault.diverging
    assert comparison.summary.at[0, "rows_only_v1"] == 0
    listed = comparison.cells.groupby("column_name")["role"].agg(set)
    assert dict(listed) == {column: {"first", "worst"} for column in fault.diverging}


def test_55_continuity_that_ignores_a_gap_of_0(tmp_path, variants) -> None:
    moves, runs = variants[1]["moves_daily"], variants[1]["sequences"].copy()
    runs.loc[0, "gap_days_to_next"] = 0
    v1, _ = V1.sequence_analysis(moves, runs)
    v2, _ = V2.sequence_analysis(moves, runs)
    agreeing = compare_frames(tmp_path / "a", SEQUENCE_ANALYSIS, v1, v2)
    assert agreeing.state == "pass"
    gaps = runs.loc[runs["instrument_key"] == RISING, "gap_days_to_next"].dropna()
    v2.loc[v2["instrument_key"] == RISING, "continuity_score"] = 1 - gaps[gaps > 0].mean() / 5
    comparison = compare_frames(tmp_path / "b", SEQUENCE_ANALYSIS, v1, v2)
    assert diverged_columns(comparison) == {"continuity_score"}
    assert column_row(comparison, "continuity_score")["cells_unequal"] == 1


# ---------------------------------------------------------------- rows


def _off_session(bars: pd.DataFrame) -> pd.DataFrame:
    late = bars.iloc[[-1]].copy()
    late["timestamp"] += pd.Timedelta(minutes=15)
    return pd.concat([bars, late])


ROW_FAULTS = {
    "32 clock shifted by 5:30": (
        lambda bars: bars.assign(timestamp=bars["timestamp"] - pd.Timedelta("5h30min")),
        # Bars of 09:15 to 09:55 moved away from, and bars before 09:15 moved to.
        None,
    ),
    "38 three bars stored of every 75": (
        lambda bars: bars[bars.groupby(["instrument_key", "trading_day"]).cumcount() < 3],
        (72 * 36, 0),
    ),
    "45 off-session bar added": (_off_session, (0, 1)),
    "bars without volume left out": (lambda bars: bars[bars["volume"] > 0], (24, 0)),
    "one instrument lost": (lambda bars: bars[bars["instrument_key"] != FALLING], (900, 0)),
}


@pytest.mark.parametrize("name", ROW_FAULTS)
def test_a_wrong_set_of_rows_diverges(tmp_path, variants, name) -> None:
    v1, v2 = variants
    change, only = ROW_FAULTS[name]
    comparison = compare_frames(
        tmp_path, CANDLES_5MIN, v1["candles_5min"], change(v2["candles_5min"])
    )
    assert comparison.state == "diverged"
    summary = comparison.summary.iloc[0]
    found = (summary["rows_only_v1"], summary["rows_only_v2"])
    if only is None:
        assert min(found) > 0
    else:
        assert found == only
        assert diverged_columns(comparison) == set()
    assert "(row)" in set(comparison.cells["column_name"])


def test_49_the_key_of_the_first_row_for_all_rows_diverges(tmp_path, variants) -> None:
    v1, v2 = variants
    mislabelled = v2["candles_5min"].assign(instrument_key=RISING)
    comparison = compare_frames(tmp_path, CANDLES_5MIN, v1["candles_5min"], mislabelled)
    assert comparison.state == "diverged"
    assert comparison.summary.at[0, "rows_only_v1"] == 1800
    assert "a key occurs more than once" in comparison.reason


# ---------------------------------------------------------------- faults of any kind


def test_one_cell_among_48600_is_found(tmp_path, variants) -> None:
    v1, v2 = variants
    faulty = v2["indicators_5min"].copy()
    faulty.loc[1234, "ema_20"] *= 1.000001
    comparison = compare_frames(tmp_path, INDICATORS_5MIN, v1["indicators_5min"], faulty)
    assert diverged_columns(comparison) == {"ema_20"}
    summary = comparison.summary.iloc[0]
    assert (summary["cells_unequal"], summary["cells_compared"]) == (1, 48_600)
    cells = comparison.cells
    assert cells["role"].tolist() == ["first", "worst"]
    assert cells["row_key"].nunique() == 1
    assert str(faulty.at[1234, "timestamp"]) in cells["row_key"].iloc[0]


def test_one_row_with_the_values_of_the_next_is_found(tmp_path, variants) -> None:
    v1, v2 = variants
    faulty = v2["indicators_5min"].copy()
    names = [*INDICATORS, "vwap", "bars_of_history"]
    faulty.loc[1234, names] = faulty.loc[1235, names]
    faulty = INDICATORS_5MIN.conform(faulty)
    comparison = compare_frames(tmp_path, INDICATORS_5MIN, v1["indicators_5min"], faulty)
    assert diverged_columns(comparison) == set(names)
    assert (comparison.columns["cells_unequal"].isin([0, 1])).all()


def test_one_instrument_with_the_values_of_another_is_found(tmp_path, variants) -> None:
    v1, v2 = variants
    faulty = v2["indicators_5min"].copy()
    is_first, is_third = (faulty["instrument_key"] == key for key in (RISING, ALTERNATING))
    faulty.loc[is_first, "atr"] = faulty.loc[is_third, "atr"].to_numpy()
    comparison = compare_frames(tmp_path, INDICATORS_5MIN, v1["indicators_5min"], faulty)
    assert diverged_columns(comparison) == {"atr"}
    assert column_row(comparison, "atr")["cells_unequal"] == 900 - 14
    assert set(comparison.cells["instrument_key"]) == {RISING}


def test_two_swapped_columns_are_found(tmp_path, variants) -> None:
    v1, v2 = variants
    faulty = v2["indicators_5min"]
    faulty = faulty.assign(ema_5=faulty["ema_9"], ema_9=faulty["ema_5"])
    comparison = compare_frames(tmp_path, INDICATORS_5MIN, v1["indicators_5min"], faulty)
    assert diverged_columns(comparison) == {"ema_5", "ema_9"}


@pytest.mark.parametrize("beyond", [False, True])
def test_one_float_within_and_one_beyond_the_tolerance(tmp_path, variants, beyond) -> None:
    v1, v2 = variants
    faulty = v2["indicators_5min"].copy()
    last = last_agreeing(v1["indicators_5min"].at[1234, "ema_50"])
    faulty.loc[1234, "ema_50"] = np.nextafter(last, np.inf) if beyond else last
    comparison = compare_frames(tmp_path, INDICATORS_5MIN, v1["indicators_5min"], faulty)
    assert comparison.state == ("diverged" if beyond else "pass")
    assert diverged_columns(comparison) == ({"ema_50"} if beyond else set())


def test_a_side_that_lost_its_partition_never_passes(tmp_path, variants) -> None:
    v1, _ = variants
    comparison = compare_frames(
        tmp_path, INDICATORS_5MIN, v1["indicators_5min"], INDICATORS_5MIN.empty()
    )
    assert comparison.state == "diverged"
    assert comparison.summary.at[0, "cells_compared"] == 0
    assert comparison.summary.at[0, "trading_day"] == TRADING_DAY
