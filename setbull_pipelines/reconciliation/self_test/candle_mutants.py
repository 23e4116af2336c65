"""Wrong candles.

Belongs here: mutants of values and of the set of rows in candle tables. Does not belong here: right formulas.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from setbull_pipelines.reconciliation.self_test.market import FALLING, RISING, Market
from setbull_pipelines.reconciliation.self_test.mutant import Columns, Register
from setbull_pipelines.tables import CANDLES_5MIN, CANDLES_DAILY

_REGISTER = Register()
MUTANTS = _REGISTER.mutants
wrong = _REGISTER.wrong
VALUES = (
    *("open", "high", "low", "close", "volume", "open_interest"),
    *("minutes_traded", "minutes_present", "is_complete"),
)


@wrong("30 open interest summed", CANDLES_5MIN, "sum instead of last", "open_interest")
def _(v2: Market) -> Columns:
    minutes, bars = v2["candles_1min"], v2["candles_5min"]
    buckets = [minutes["instrument_key"], minutes["timestamp"].dt.floor("5min")]
    sums = minutes["open_interest"].groupby(buckets).sum(min_count=1)
    key = pd.MultiIndex.from_frame(bars[["instrument_key", "timestamp"]])
    return {"open_interest": sums.reindex(key).array}


@wrong("30 open interest 0", CANDLES_5MIN, "zero instead of a value", "open_interest")
def _(v2: Market) -> Columns:
    return {"open_interest": 0}


@wrong("30 open interest lost", CANDLES_5MIN, "values lost", "open_interest")
def _(v2: Market) -> Columns:
    return {"open_interest": pd.NA}


@wrong("30 open interest null as 0", CANDLES_DAILY, "null versus zero", "open_interest")
def _(v2: Market) -> Columns:
    return {"open_interest": v2["candles_daily"]["open_interest"].fillna(0)}


@wrong("33 prices rounded to 6 decimals", CANDLES_5MIN, "rounding", "open", "high", "low", "close")
def _(v2: Market) -> Columns:
    return {name: v2["candles_5min"][name].round(6) for name in ("open", "high", "low", "close")}


@wrong("33 prices rounded to 2 decimals", CANDLES_DAILY, "rounding", "open", "high", "low", "close")
def _(v2: Market) -> Columns:
    return {name: v2["candles_daily"][name].round(2) for name in ("open", "high", "low", "close")}


@wrong("volume of one minute counted twice", CANDLES_5MIN, "constant factor", "volume")
def _(v2: Market) -> Columns:
    volume = v2["candles_5min"]["volume"]
    return {"volume": volume + volume // 5}


@wrong("untraded minutes counted as traded", CANDLES_5MIN, "column mix-up", "minutes_traded")
def _(v2: Market) -> Columns:
    return {"minutes_traded": v2["candles_5min"]["minutes_present"]}


@wrong("daily close of the minutes in the exchange series", CANDLES_DAILY, "series mix-up", "close")
def _(v2: Market) -> Columns:
    bars = v2["candles_daily"]
    key = ["instrument_key", "trading_day"]
    minutes = bars[bars["series"] == "minutes"].set_index(key)["close"]
    of_minutes = minutes.reindex(pd.MultiIndex.from_frame(bars[key])).to_numpy()
    return {"close": bars["close"].where(np.isnan(of_minutes), of_minutes)}


@wrong("prices in paise", CANDLES_5MIN, "constant factor", "open", "high", "low", "close")
def _(v2: Market) -> Columns:
    return {name: v2["candles_5min"][name] * 100 for name in ("open", "high", "low", "close")}


@wrong("one share forgotten in every bar", CANDLES_DAILY, "constant offset", "volume")
def _(v2: Market) -> Columns:
    return {"volume": v2["candles_daily"]["volume"] - 1}


@wrong("previous close as open of untraded bars", CANDLES_5MIN, "untraded bars", "open")
def _(v2: Market) -> Columns:
    bars = v2["candles_5min"]
    previous = bars.groupby("instrument_key")["close"].shift().fillna(bars["low"] - 1)
    return {"open": bars["open"].where(bars["volume"] > 0, previous - 0.01)}


# ---------------------------------------------------------------- rows


@wrong("32 clock shifted by 5:30", CANDLES_5MIN, "shifted clock", "(row)", *VALUES)
def _(v2: Market) -> pd.DataFrame:
    # Bars of 14:45 and later take the keys of bars before 09:55, so that cells are paired wrongly.
    bars = v2["candles_5min"]
    return bars.assign(timestamp=bars["timestamp"] - pd.Timedelta("5h30min"))


@wrong("38 three bars stored of every 75", CANDLES_5MIN, "missing rows", "(row)")
def _(v2: Market) -> pd.DataFrame:
    bars = v2["candles_5min"]
    return bars[bars.groupby(["instrument_key", "trading_day"]).cumcount() < 3]


@wrong("45 off-session bar added", CANDLES_5MIN, "added rows", "(row)")
def _(v2: Market) -> pd.DataFrame:
    return pd.concat([v2["candles_5min"], _late_bar(v2)])


@wrong("45 off-session bar instead of the last", CANDLES_5MIN, "other rows", "(row)")
def _(v2: Market) -> pd.DataFrame:
    return pd.concat([v2["candles_5min"].iloc[:-1], _late_bar(v2)])


def _late_bar(v2: Market) -> pd.DataFrame:
    last = v2["candles_5min"].iloc[[-1]]
    return last.assign(timestamp=last["timestamp"] + pd.Timedelta(minutes=15))


@wrong("bars without volume left out", CANDLES_5MIN, "untraded bars left out", "(row)")
def _(v2: Market) -> pd.DataFrame:
    return v2["candles_5min"][v2["candles_5min"]["volume"] > 0]


@wrong("one instrument lost", CANDLES_5MIN, "lost instruments", "(row)")
def _(v2: Market) -> pd.DataFrame:
    return v2["candles_5min"][v2["candles_5min"]["instrument_key"] != FALLING]


@wrong(
    "49 the key of the first row for all rows",
    CANDLES_5MIN,
    "duplicated rows",
    "(row)",
    *VALUES,
)
def _(v2: Market) -> pd.DataFrame:
    return v2["candles_5min"].assign(instrument_key=RISING)


@wrong("one bar stored twice", CANDLES_5MIN, "duplicated rows", "(row)")
def _(v2: Market) -> pd.DataFrame:
    bars = v2["candles_5min"]
    return pd.concat([bars, bars.iloc[[850]]])


@wrong("no row at all", CANDLES_DAILY, "empty side", "(row)")
def _(v2: Market) -> pd.DataFrame:
    return v2["candles_daily"].iloc[:0]
