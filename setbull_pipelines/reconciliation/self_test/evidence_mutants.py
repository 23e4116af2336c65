"""Faults that other faults look like: each needs a shape of its own to be named rightly.

Belongs here: mutants that were misnamed before. Does not belong here: right formulas.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from setbull_pipelines.reconciliation.self_test.indicator_mutants import typical, vwap
from setbull_pipelines.reconciliation.self_test.market import AS_OF, RISING, Market
from setbull_pipelines.reconciliation.self_test.mutant import Columns, Register
from setbull_pipelines.tables import CANDLES_DAILY, INDICATORS_5MIN, INDICATORS_DAILY

_REGISTER = Register()
MUTANTS = _REGISTER.mutants
wrong = _REGISTER.wrong


@wrong("EMA 50 through float32", INDICATORS_5MIN, "rounding to float32", "ema_50")
def _(v2: Market) -> Columns:
    return {"ema_50": v2["indicators_5min"]["ema_50"].astype("float32").astype("float64")}


@wrong("daily RSI through float32", INDICATORS_DAILY, "rounding to float32", "rsi")
def _(v2: Market) -> Columns:
    return {"rsi": v2["indicators_daily"]["rsi"].astype("float32").astype("float64")}


@wrong(
    "nulls filled from the rows above",
    INDICATORS_5MIN,
    "neighbour's value in first bars",
    *("ema_50", "rsi"),
)
def _(v2: Market) -> Columns:
    by_day = v2["indicators_5min"].groupby("trading_day")
    return {name: by_day[name].ffill() for name in ("ema_50", "rsi")}


@wrong(
    "the bar of the ex-date in old shares",
    CANDLES_DAILY,
    "corporate action on one bar",
    *("open", "high", "low", "close", "volume"),
)
def _(v2: Market) -> Columns:
    bars = v2["candles_daily"]
    is_bar = (bars["instrument_key"] == RISING) & (bars["trading_day"] == AS_OF)
    prices = {
        name: bars[name].mask(is_bar, bars[name] * 5) for name in ("open", "high", "low", "close")
    }
    return prices | {"volume": bars["volume"].mask(is_bar, bars["volume"] // 5)}


@wrong(
    "VWAP reset on Mondays",
    INDICATORS_5MIN,
    "restart on other days",
    "vwap",
    of_one_day={"vwap": "missing daily reset"},
)
def _(v2: Market) -> Columns:
    bars = v2["candles_5min"]
    is_first = bars["trading_day"] == bars["trading_day"].min()
    monday = bars["trading_day"] - pd.to_timedelta(bars["trading_day"].dt.dayofweek, unit="D")
    weekly = bars.assign(week=monday)
    found = vwap(weekly, typical(bars), ["instrument_key", "week"])
    return {"vwap": found.mask(is_first, v2["indicators_5min"]["vwap"])}


@wrong("warm only beyond the limit", INDICATORS_5MIN, "value equal to a limit", "is_warm")
def _(v2: Market) -> Columns:
    indicators = v2["indicators_5min"]
    bars = indicators["bars_of_history"]
    return {"is_warm": indicators["is_warm"] & (bars > bars[indicators["is_warm"]].min())}


# One cell has no shape: a single bar that jumps is no missing average.
@wrong("ATR of one bar not smoothed", INDICATORS_5MIN, "single cell", "atr")
def _(v2: Market) -> Columns:
    atr = v2["indicators_5min"]["atr"]
    return {"atr": atr.where(np.arange(len(atr)) != len(atr) - 5, 9 * atr)}
