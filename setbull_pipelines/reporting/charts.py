"""The bars behind the charts of the daily report, as compact columns.

Belongs here: aligning stored bars to sessions and shortening numbers for drawing. Does not belong here: which
instruments get a chart (``content``), drawing (the page's script), computing indicators.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from setbull_pipelines.tables.contract import INDIA

Columns = dict[str, list[float | int | None]]

# What is drawn, and to how many decimals: prices to the paisa, widths finer than a pixel.
_CANDLES = {"open": 2, "high": 2, "low": 2, "close": 2, "volume": 0}
_BANDS = {"bb_upper": 2, "bb_middle": 2, "bb_lower": 2, "bb_width_normalized_percentage": 3}
_DAILY = {**_BANDS, "ema_50": 2}
_INTRADAY = {**_BANDS, "vwap": 2}


def daily_columns(
    candles: pd.DataFrame, indicators: pd.DataFrame, sessions: Iterable[pd.Timestamp]
) -> dict[str, Columns]:
    """Per instrument one list per column, one entry per session; null where there is no bar or no value.

    ``candles`` and ``indicators`` hold one daily series per instrument.
    """
    bars = _joined(candles, indicators, _DAILY)
    index = pd.Index(sessions)
    return {
        key: _columns(rows.set_index("trading_day").reindex(index), _CANDLES | _DAILY)
        for key, rows in bars.groupby("instrument_key")
    }


def intraday_columns(candles: pd.DataFrame, indicators: pd.DataFrame) -> dict[str, Columns]:
    """Per instrument one list per column of its bars of one day; ``minute`` counts from midnight in India."""
    bars = _joined(candles, indicators, _INTRADAY)
    starts = bars["timestamp"].dt.tz_convert(INDIA)
    bars["minute"] = starts.dt.hour * 60 + starts.dt.minute
    return {
        key: _columns(rows, {"minute": 0} | _CANDLES | _INTRADAY)
        for key, rows in bars.groupby("instrument_key")
    }


def _joined(
    candles: pd.DataFrame, indicators: pd.DataFrame, indicator_digits: Mapping[str, int]
) -> pd.DataFrame:
    bar = ["instrument_key", "timestamp"]
    return candles[[*bar, "trading_day", *_CANDLES]].merge(
        indicators[[*bar, *indicator_digits]], how="left", on=bar, validate="one_to_one"
    )


def _columns(rows: pd.DataFrame, digits: Mapping[str, int]) -> Columns:
    return {
        name: [_shortest(value) for value in rows[name].astype("float64").round(places)]
        for name, places in digits.items()
    }


def _shortest(value: float) -> float | int | None:
    """Whole numbers without a point; null for what is missing or not finite, which JSON cannot say."""
    if value != value or value in (float("inf"), float("-inf")):
        return None
    return int(value) if value.is_integer() else value
