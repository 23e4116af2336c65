"""The bars behind the charts of the daily report, as compact columns.

Belongs here: aligning stored bars to sessions and shortening numbers for drawing. Does not belong here: which
instruments get a chart (``content``), drawing (the page's script), computing indicators.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from setbull_pipelines.tables.contract import INDIA

Columns = dict[str, list[float | int | None]]

_BAR = ["instrument_key", "timestamp"]
# What is drawn, and to how many decimals: prices to the paisa, widths finer than a pixel.
_CANDLES = {"open": 2, "high": 2, "low": 2, "close": 2, "volume": 0}
_BANDS = {"bb_upper": 2, "bb_middle": 2, "bb_lower": 2, "bb_width_normalized_percentage": 3}
_DAILY = {**_BANDS, "ema_50": 2}
_INTRADAY = {**_BANDS, "vwap": 2}


def daily_columns(
    candles: pd.DataFrame, indicators: pd.DataFrame, sessions: Sequence[pd.Timestamp]
) -> dict[str, Columns]:
    """Per instrument one list per column, one entry per session; null where there is no bar or no value.

    ``candles`` and ``indicators`` hold one daily series per instrument.
    """
    bars = _joined(candles, indicators, _DAILY).set_index(["instrument_key", "trading_day"])
    keys = bars.index.unique("instrument_key").sort_values()
    grid = bars.reindex(pd.MultiIndex.from_product([keys, sessions]))
    return _columns(grid, [(key, len(sessions)) for key in keys], _CANDLES | _DAILY)


def intraday_columns(candles: pd.DataFrame, indicators: pd.DataFrame) -> dict[str, Columns]:
    """Per instrument one list per column of its bars of one day; ``minute`` counts from midnight in India."""
    bars = _joined(candles, indicators, _INTRADAY).sort_values(_BAR, kind="stable")
    starts = bars["timestamp"].dt.tz_convert(INDIA)
    bars["minute"] = starts.dt.hour * 60 + starts.dt.minute
    counts = bars["instrument_key"].value_counts().sort_index()
    return _columns(bars, list(counts.items()), {"minute": 0} | _CANDLES | _INTRADAY)


def _joined(
    candles: pd.DataFrame, indicators: pd.DataFrame, indicator_digits: Mapping[str, int]
) -> pd.DataFrame:
    return candles[[*_BAR, "trading_day", *_CANDLES]].merge(
        indicators[[*_BAR, *indicator_digits]], how="left", on=_BAR, validate="one_to_one"
    )


def _columns(
    rows: pd.DataFrame, counts: Sequence[tuple[str, int]], digits: Mapping[str, int]
) -> dict[str, Columns]:
    """Cut the columns into instruments; ``counts`` holds the number of rows of each, in the order of ``rows``."""
    whole = {
        name: [_shortest(value) for value in rows[name].astype("float64").round(places)]
        for name, places in digits.items()
    }
    by_instrument, first = {}, 0
    for key, count in counts:
        by_instrument[key] = {name: values[first : first + count] for name, values in whole.items()}
        first += count
    return by_instrument


def _shortest(value: float) -> float | int | None:
    """Whole numbers without a point; null for what is missing or not finite, which JSON cannot say."""
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() else value
