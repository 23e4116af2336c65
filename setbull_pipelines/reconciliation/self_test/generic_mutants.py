"""Faults of any kind: one cell, one row, one instrument, one column, one float beyond the tolerance.

Belongs here: mutants that no formula explains. Does not belong here: wrong formulas.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from setbull_pipelines.reconciliation.self_test.market import ALTERNATING, RISING, Market
from setbull_pipelines.reconciliation.self_test.mutant import Columns, Register
from setbull_pipelines.tables import INDICATORS_5MIN
from setbull_pipelines.tables.indicator_columns import INDICATOR_COLUMNS

_REGISTER = Register()
MUTANTS = _REGISTER.mutants
wrong = _REGISTER.wrong
ROW_NUMBER = 1750
"""A row of the last session, so that one trading day shows it."""
VALUES = [*(column.name for column in INDICATOR_COLUMNS), "vwap", "bars_of_history"]


@wrong("one cell", INDICATORS_5MIN, "single cell", "ema_20")
def _(v2: Market) -> pd.DataFrame:
    indicators = v2["indicators_5min"].copy()
    indicators.loc[ROW_NUMBER, "ema_20"] *= 1.000001
    return indicators


@wrong("one float beyond the tolerance", INDICATORS_5MIN, "single cell", "ema_50")
def _(v2: Market) -> pd.DataFrame:
    indicators = v2["indicators_5min"].copy()
    value = indicators.at[ROW_NUMBER, "ema_50"]
    indicators.loc[ROW_NUMBER, "ema_50"] = np.nextafter(last_agreeing(value), np.inf)
    return indicators


@wrong("one row with the values of the next", INDICATORS_5MIN, "single row", *VALUES)
def _(v2: Market) -> pd.DataFrame:
    indicators = v2["indicators_5min"].copy()
    indicators.loc[ROW_NUMBER, VALUES] = indicators.loc[ROW_NUMBER + 1, VALUES]
    return INDICATORS_5MIN.conform(indicators)


@wrong("one instrument with the values of another", INDICATORS_5MIN, "instrument mix-up", "atr")
def _(v2: Market) -> pd.DataFrame:
    indicators = v2["indicators_5min"].copy()
    is_first, is_third = (indicators["instrument_key"] == key for key in (RISING, ALTERNATING))
    indicators.loc[is_first, "atr"] = indicators.loc[is_third, "atr"].to_numpy()
    return indicators


@wrong("one instrument disturbed", INDICATORS_5MIN, "single instrument", "rsi")
def _(v2: Market) -> Columns:
    indicators = v2["indicators_5min"]
    disturbed = indicators["rsi"] + np.sin(np.arange(len(indicators)) ** 2)
    return {"rsi": indicators["rsi"].where(indicators["instrument_key"] != RISING, disturbed)}


# Noise has no shape: any name for it would be wrong.
@wrong("one column disturbed", INDICATORS_5MIN, "unknown shape", "rsi")
def _(v2: Market) -> Columns:
    indicators = v2["indicators_5min"]
    return {"rsi": indicators["rsi"] + np.sin(np.arange(len(indicators)) ** 2)}


@wrong("two columns swapped", INDICATORS_5MIN, "column mix-up", "ema_5", "ema_9")
def _(v2: Market) -> Columns:
    indicators = v2["indicators_5min"]
    return {"ema_5": indicators["ema_9"], "ema_9": indicators["ema_5"]}


def last_agreeing(v1: float) -> float:
    """Return the largest float that agrees with ``v1 > 0`` under a relative tolerance of 1e-9."""
    agreeing, beyond = v1, 2 * v1
    while math.nextafter(agreeing, beyond) != beyond:
        middle = (agreeing + beyond) / 2
        if middle - v1 <= 1e-9 * middle:
            agreeing = middle
        else:
            beyond = middle
    return agreeing
