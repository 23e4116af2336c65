"""Wrong filter results.

Belongs here: mutants of the filter table. Does not belong here: right formulas.
"""

from __future__ import annotations

import numpy as np

from setbull_pipelines.reconciliation.self_test.market import Market
from setbull_pipelines.reconciliation.self_test.mutant import Columns, Register
from setbull_pipelines.tables import FILTER_RESULTS

_REGISTER = Register()
MUTANTS = _REGISTER.mutants
wrong = _REGISTER.wrong


@wrong("deviation relative to the close", FILTER_RESULTS, "other base", "ema_deviation")
def _(v2: Market) -> Columns:
    results = v2["filter_results"]
    return {"ema_deviation": 1 - results["ema_50"] / results["close"]}


@wrong("average volume rounded up", FILTER_RESULTS, "constant offset", "average_volume")
def _(v2: Market) -> Columns:
    bars = v2["candles_daily"]
    volumes = bars[bars["series"] == "exchange"].groupby("instrument_key")["volume"]
    return {"average_volume": np.ceil(volumes.apply(lambda v: v.tail(10).mean())).to_numpy("int64")}


# One instrument of three is bearish: one row does not show that a value is constant, or whose column it is.
@wrong(
    "direction of the EMA stage ignored",
    FILTER_RESULTS,
    "single row",
    "side",
    others={"verdict": "echo"},
)
def _(v2: Market) -> Columns:
    return {"verdict": "bullish", "side": "BULLISH"}


@wrong(
    "mamba days of a bearish trend counted as bullish",
    FILTER_RESULTS,
    "single cell",
    "bullish_mamba_count",
)
def _(v2: Market) -> Columns:
    return {"bullish_mamba_count": v2["filter_results"]["mamba_count"]}
