"""Wrong indicators. The numbers are those of the list of divergences of the implementations replaced here.

Belongs here: mutants of indicator tables. Does not belong here: right formulas.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from setbull_pipelines.reconciliation.self_test.market import (
    ALTERNATING,
    DAYS,
    FALLING,
    RISING,
    SESSIONS,
    Market,
)
from setbull_pipelines.reconciliation.self_test.mutant import (
    Columns,
    Register,
    averages,
    each,
    ema,
    of_closes,
    wilder,
)
from setbull_pipelines.tables import INDICATORS_5MIN, INDICATORS_DAILY
from setbull_pipelines.tables.indicator_columns import INDICATOR_COLUMNS
from setbull_pipelines.variants import V2

_REGISTER = Register()
MUTANTS = _REGISTER.mutants
wrong = _REGISTER.wrong
BOLLINGER = ("bb_upper", "bb_middle", "bb_lower")
WIDTHS = ("bb_width", "bb_width_normalized", "bb_width_normalized_percentage")
EMAS = {"ema_5": 5, "ema_9": 9, "ema_20": 20, "ema_50": 50}
RUPEES = [column.name for column in INDICATORS_DAILY.columns if column.unit == "rupees"]
INDICATORS = [column.name for column in INDICATOR_COLUMNS]


def gains_and_losses(closes: pd.Series) -> tuple[pd.Series, pd.Series]:
    change = closes.diff().fillna(0)
    return change.clip(lower=0), (-change).clip(lower=0)


@wrong("1 sample deviation", INDICATORS_5MIN, "sample deviation", "bb_upper", "bb_lower", *WIDTHS)
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


@wrong(
    "2 Bollinger warm-up 0 instead of null",
    INDICATORS_5MIN,
    "null versus zero",
    *BOLLINGER,
    *WIDTHS,
)
def _(v2: Market) -> Columns:
    return {name: v2["indicators_5min"][name].fillna(0) for name in (*BOLLINGER, *WIDTHS)}


@wrong("37 every null stored as 0", INDICATORS_5MIN, "null versus zero", *INDICATORS, "vwap")
def _(v2: Market) -> Columns:
    return {name: v2["indicators_5min"][name].fillna(0) for name in (*INDICATORS, "vwap")}


@wrong("3 width as ratio", INDICATORS_5MIN, "ratio instead of rupees", "bb_width")
def _(v2: Market) -> Columns:
    return {"bb_width": v2["indicators_5min"]["bb_width_normalized"]}


@wrong("3 width capped at 100 rupees", INDICATORS_5MIN, "limited", "bb_width")
def _(v2: Market) -> Columns:
    return {"bb_width": v2["indicators_5min"]["bb_width"].clip(upper=100)}


@wrong(
    "4 normalized width as min-max", INDICATORS_5MIN, "minimum-maximum scale", "bb_width_normalized"
)
def _(v2: Market) -> Columns:
    widths = v2["indicators_5min"].groupby("instrument_key")["bb_width"]
    low, high = widths.transform("min"), widths.transform("max")
    return {"bb_width_normalized": (v2["indicators_5min"]["bb_width"] - low) / (high - low)}


@wrong(
    "5 percentage without x 100",
    INDICATORS_5MIN,
    "constant factor",
    "bb_width_normalized_percentage",
)
def _(v2: Market) -> Columns:
    return {"bb_width_normalized_percentage": v2["indicators_5min"]["bb_width_normalized"]}


@wrong("6 flat window as null", INDICATORS_5MIN, "null versus zero", *WIDTHS)
def _(v2: Market) -> Columns:
    indicators = v2["indicators_5min"]
    is_flat = indicators["bb_width"] == 0
    return {name: indicators[name].mask(is_flat) for name in WIDTHS}


@wrong("43 normalized widths 0", INDICATORS_5MIN, "zero instead of a value", *WIDTHS[1:])
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


@wrong("7 VWAP never reset", INDICATORS_5MIN, "missing daily reset", "vwap")
def _(v2: Market) -> Columns:
    bars = v2["candles_5min"]
    return {"vwap": vwap(bars, typical(bars), ["instrument_key"])}


@wrong("7 VWAP newest first", INDICATORS_5MIN, "reversed in time", "vwap")
def _(v2: Market) -> Columns:
    bars = v2["candles_5min"].iloc[::-1]
    return {"vwap": vwap(bars, typical(bars), ["instrument_key", "trading_day"])}


@wrong("8 VWAP without volume 0", INDICATORS_5MIN, "null versus zero", "vwap")
def _(v2: Market) -> Columns:
    return {"vwap": v2["indicators_5min"]["vwap"].fillna(0)}


@wrong("8 VWAP without volume the price", INDICATORS_5MIN, "untraded bars", "vwap")
def _(v2: Market) -> Columns:
    return {"vwap": v2["indicators_5min"]["vwap"].fillna(v2["candles_5min"]["close"])}


# The table holds no prices that could show which of them went in.
@wrong("9 VWAP of closes", INDICATORS_5MIN, "unknown shape", "vwap")
def _(v2: Market) -> Columns:
    bars = v2["candles_5min"]
    return {"vwap": vwap(bars, bars["close"], ["instrument_key", "trading_day"])}


@wrong("10 MA 9 looking ahead", INDICATORS_5MIN, "shift", "ma_9")
def _(v2: Market) -> Columns:
    def ahead(closes: pd.Series) -> pd.Series:
        return closes.iloc[::-1].rolling(9, min_periods=1).mean().iloc[::-1]

    return {"ma_9": of_closes(v2["candles_5min"], ahead)}


@wrong("11 MA 9 growing", INDICATORS_5MIN, "shorter warm-up", "ma_9")
def _(v2: Market) -> Columns:
    def growing(closes: pd.Series) -> pd.Series:
        return closes.rolling(9, min_periods=1).mean()

    return {"ma_9": of_closes(v2["candles_5min"], growing)}


@wrong("12 EMA 9 in MA 9", INDICATORS_5MIN, "column mix-up", "ma_9")
def _(v2: Market) -> Columns:
    return {"ma_9": v2["indicators_5min"]["ema_9"]}


@wrong("13 EMA 5 and VWAP emptied", INDICATORS_5MIN, "values lost", "ema_5", "vwap")
def _(v2: Market) -> Columns:
    return {"ema_5": np.nan, "vwap": np.nan}


@wrong("13 volume mean absent", INDICATORS_5MIN, "values lost", "volume_ma_10")
def _(v2: Market) -> Columns:
    return {"volume_ma_10": np.nan}


@wrong("14 EMA seeded with the first close", INDICATORS_5MIN, "seeding", *EMAS)
def _(v2: Market) -> Columns:
    return averages(
        v2["candles_5min"], EMAS, lambda closes, period: ema(closes, closes.iloc[0], 0, period)
    )


@wrong(
    "14 EMA 50 seeded with the first close, warm-up hidden", INDICATORS_5MIN, "seeding", "ema_50"
)
def _(v2: Market) -> Columns:
    seeded = of_closes(v2["candles_5min"], lambda closes: ema(closes, closes.iloc[0], 0, 50))
    return {"ema_50": seeded.where(v2["indicators_5min"]["ema_50"].notna())}


@wrong(
    "15 EMA period lowered to the bars there are",
    INDICATORS_DAILY,
    "shorter warm-up",
    "ema_20",
    "ema_50",
)
def _(v2: Market) -> Columns:
    def lowered(closes: pd.Series, period: int) -> pd.Series:
        period = min(period, len(closes))
        return ema(closes, closes.iloc[:period].mean(), period - 1, period)

    return averages(v2["candles_daily"], EMAS, lowered)


@wrong("16 EMA 9 not padded, paired by position", INDICATORS_5MIN, "shift", "ema_9")
def _(v2: Market) -> Columns:
    return {"ema_9": v2["indicators_5min"].groupby("instrument_key")["ema_9"].shift(-8)}


@wrong("17 EMA 20 missing", INDICATORS_5MIN, "values lost", "ema_20")
def _(v2: Market) -> Columns:
    return {"ema_20": np.nan}


@wrong("17 EMA 20 zero", INDICATORS_5MIN, "zero instead of a value", "ema_20")
def _(v2: Market) -> Columns:
    return {"ema_20": 0.0}


@wrong("18 RSI as RS", INDICATORS_5MIN, "RS instead of RSI", "rsi")
def _(v2: Market) -> Columns:
    def ratio(closes: pd.Series) -> pd.Series:
        gains, losses = gains_and_losses(closes)
        return wilder(gains, 1) / wilder(losses, 1)

    return {"rsi": of_closes(v2["candles_5min"], ratio)}


@wrong("19 RSI unseeded: the first change counts as 0", INDICATORS_5MIN, "seeding", "rsi")
def _(v2: Market) -> Columns:
    def unseeded(closes: pd.Series) -> pd.Series:
        gains, losses = gains_and_losses(closes)
        ratio = wilder(gains, 0) / wilder(losses, 0)
        return (100 - 100 / (1 + ratio)).mask(wilder(losses, 0) == 0, 100.0)

    return {"rsi": of_closes(v2["candles_5min"], unseeded)}


@wrong("20 RSI 0 without losses", INDICATORS_5MIN, "zero instead of a value", "rsi")
def _(v2: Market) -> Columns:
    rsi = v2["indicators_5min"]["rsi"]
    is_rising = v2["indicators_5min"]["instrument_key"] == ALTERNATING
    return {"rsi": rsi.mask(is_rising & (rsi == 100), 0.0)}


@wrong("21 RSI 0 of a flat series", INDICATORS_5MIN, "zero instead of a value", "rsi")
def _(v2: Market) -> Columns:
    rsi = v2["indicators_5min"]["rsi"]
    is_flat = v2["indicators_5min"]["instrument_key"] == FALLING
    return {"rsi": rsi.mask(is_flat & (rsi == 100), 0.0)}


@wrong("22 RSI 0 with too few bars", INDICATORS_DAILY, "null versus zero", "rsi")
def _(v2: Market) -> Columns:
    indicators = v2["indicators_daily"]
    return {"rsi": indicators["rsi"].mask(indicators["series"] == "minutes", 0.0)}


@wrong("23 ATR as high - low", INDICATORS_5MIN, "not smoothed", "atr")
def _(v2: Market) -> Columns:
    return {"atr": v2["candles_5min"]["high"] - v2["candles_5min"]["low"]}


@wrong("23 ATR of high - low without gaps", INDICATORS_5MIN, "one-sided", "atr")
def _(v2: Market) -> Columns:
    return {"atr": each(v2["candles_5min"], lambda bars: wilder(bars["high"] - bars["low"], 1))}


@wrong("24 ATR 0 with too few bars", INDICATORS_DAILY, "null versus zero", "atr")
def _(v2: Market) -> Columns:
    indicators = v2["indicators_daily"]
    return {"atr": indicators["atr"].mask(indicators["series"] == "minutes", 0.0)}


@wrong("26 Bollinger backward", INDICATORS_5MIN, "shift", *BOLLINGER, *WIDTHS)
def _(v2: Market) -> Columns:
    indicators = v2["indicators_5min"]
    return {
        name: indicators.groupby("instrument_key")[name].shift(-19)
        for name in (*BOLLINGER, *WIDTHS)
    }


@wrong(
    "28 one failure loses all of a short series",
    INDICATORS_DAILY,
    "values lost",
    # All that 12 bars are enough for.
    "ma_9",
    "ema_5",
    "ema_9",
    "volume_ma_10",
)
def _(v2: Market) -> Columns:
    indicators = v2["indicators_daily"]
    return {name: indicators[name].mask(indicators["series"] == "minutes") for name in INDICATORS}


@wrong(
    "35 no history before the last session",
    INDICATORS_5MIN,
    "history begins later",
    *EMAS,
    "ma_9",
    "bars_of_history",
)
def _(v2: Market) -> Columns:
    indicators, bars = v2["indicators_5min"], v2["candles_5min"]
    bars = bars[bars["trading_day"] == SESSIONS[-1]]
    alone = averages(
        bars,
        EMAS,
        lambda closes, period: ema(closes, closes.iloc[:period].mean(), period - 1, period),
    )
    alone["ma_9"] = of_closes(bars, lambda closes: closes.rolling(9).mean())
    alone["bars_of_history"] = bars.groupby("instrument_key").cumcount() + 1
    is_last = bars.index
    return {
        name: pd.concat([indicators[name].drop(is_last), column]) for name, column in alone.items()
    }


@wrong("41 rounded to 2 and 4 decimals", INDICATORS_5MIN, "rounding", *INDICATORS[1:-1], "vwap")
def _(v2: Market) -> Columns:
    decimals = {name: 4 if "normalized" in name else 2 for name in (*INDICATORS[1:-1], "vwap")}
    return {name: v2["indicators_5min"][name].round(places) for name, places in decimals.items()}


@wrong(
    "demerger of tomorrow applied today",
    INDICATORS_DAILY,
    "constant factor",
    *RUPEES,
    of_one_day=dict.fromkeys(RUPEES, "corporate action on one bar"),
)
def _(v2: Market) -> pd.DataFrame:
    indicators = v2["indicators_daily"]
    tomorrow = DAYS[-1] + pd.Timedelta(days=1)
    demerger = pd.DataFrame(
        {"instrument_key": [RISING], "ex_date": [tomorrow], "kind": ["demerger"], "ratio": [5.0]}
    )
    return V2.adjusted(indicators, INDICATORS_DAILY, demerger, tomorrow)


@wrong("cold bars called warm", INDICATORS_5MIN, "constant value", "is_warm")
def _(v2: Market) -> Columns:
    return {"is_warm": True}


@wrong(
    "look-back of two sessions less",
    INDICATORS_5MIN,
    "other look-back",
    *("ema_50", "rsi", "atr"),
    others={"bars_of_history": "other number of bars"},
)
def _(v2: Market) -> Columns:
    indicators, bars = v2["indicators_5min"], v2["candles_5min"]
    shorter = V2.indicators(bars[bars["trading_day"] >= SESSIONS[7]], "5minute")
    is_last = bars["trading_day"] >= SESSIONS[9]
    late = shorter[shorter["trading_day"] >= SESSIONS[9]].set_axis(bars.index[is_last])
    names = ("ema_50", "rsi", "atr", "bars_of_history")
    return {name: indicators[name].where(~is_last, late[name]) for name in names}


@wrong("EMA 9 begins three bars late", INDICATORS_5MIN, "longer warm-up", "ema_9")
def _(v2: Market) -> Columns:
    indicators = v2["indicators_5min"]
    return {"ema_9": indicators["ema_9"].where(indicators["bars_of_history"] >= 12)}


@wrong("RSI of the bar before", INDICATORS_5MIN, "shift", "rsi")
def _(v2: Market) -> Columns:
    return {"rsi": v2["indicators_5min"].groupby("instrument_key")["rsi"].shift(1)}


@wrong("VWAP in the order of the newest bar first", INDICATORS_5MIN, "reversed in time", "vwap")
def _(v2: Market) -> Columns:
    sessions = v2["indicators_5min"].groupby(["instrument_key", "trading_day"])["vwap"]
    return {"vwap": sessions.transform(lambda values: values.to_numpy()[::-1])}
