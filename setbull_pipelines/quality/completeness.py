"""How complete a stored day is, in numbers that the UI plots over the days: instruments and bars, of those expected.

Belongs here: what is expected, from the calendar and from what the source covers. Does not belong here: limits and
verdicts (``raw``, ``computed``), reading tables.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.market.session_table import FULL, SessionShape
from setbull_pipelines.quality.verdict import Scalar
from setbull_pipelines.tables.columns import EXCHANGE, MINUTES

COLUMNS = ("instrument_key", "session_shape")
"""Columns of a day's rows that are read, where the table has them."""
RECENT_SESSIONS = 5
"""An instrument is expected for so many sessions after its last candle; a delisted one is not missing for ever."""
_ONE_MINUTE = "candles_1min"
_FIVE_MINUTES = ("candles_5min", "indicators_5min")
_BAND_WIDTHS = ("bb_width_daily", "bb_width_alerts")
_SERIES = {_ONE_MINUTE: MINUTES, "candles_daily_history": EXCHANGE} | dict.fromkeys(
    (*_FIVE_MINUTES, *_BAND_WIDTHS), MINUTES
)
"""Which of the source's series a table is made of; those of days are made of both."""
_OF_BOTH_SERIES = ("candles_daily", "indicators_daily")


def completeness(
    table: str,
    rows: pd.DataFrame,
    bars: int,
    coverage: pd.DataFrame,
    day: pd.Timestamp,
    bar_minutes: int,
) -> Mapping[str, Scalar]:
    """Instruments and bars that ``table`` holds on ``day``, of those expected.

    ``rows`` are its rows, or those alone that differ in :data:`COLUMNS`; ``bars`` is how many it has.
    ``coverage`` is ``raw.coverage``. Expected are the instruments whose candles begin by that day and reach to one of
    the :data:`RECENT_SESSIONS` before it. Bars expected are those of instruments that trade in every bar: minutes
    without a trade make none, so less than all are usual. Shares are left out where nothing is expected, bars where
    the rows of a table are none.
    """
    expected = expected_on(coverage, table, day)
    present = set(rows["instrument_key"].unique().tolist())
    wanted = set(expected["instrument_key"].unique().tolist())
    covered = coverage[coverage["series"] == _SERIES[table]] if table in _SERIES else coverage
    figures: dict[str, Scalar] = {
        "instruments": len(present),
        "instruments expected": len(wanted),
    }
    if wanted:
        figures["share of instruments"] = round(len(present & wanted) / len(wanted), 4)
    if table in (*_SERIES, *_OF_BOTH_SERIES) and table not in _BAND_WIDTHS:
        figures["bars"] = bars
        bars_expected = _bars_expected(table, rows, expected, day, bar_minutes)
        if bars_expected is not None:
            figures["bars expected"] = bars_expected
        if bars_expected:
            figures["share of bars"] = round(bars / bars_expected, 4)
    if len(covered):
        figures["last session of the source"] = f"{covered['last_trading_day'].max():%Y-%m-%d}"
    return figures


def expected_on(coverage: pd.DataFrame, table: str, day: pd.Timestamp) -> pd.DataFrame:
    """The rows of ``coverage`` (instrument and series) that should have candles on ``day``."""
    since = max(NSE.first_day, NSE.previous(day.date(), RECENT_SESSIONS))
    inside = (coverage["first_trading_day"] <= day) & (
        coverage["last_trading_day"] >= pd.Timestamp(since)
    )
    if table in _SERIES:
        inside &= coverage["series"] == _SERIES[table]
    return coverage[inside]


def _bars_expected(
    table: str, rows: pd.DataFrame, expected: pd.DataFrame, day: pd.Timestamp, bar_minutes: int
) -> int | None:
    """Bars of instruments that trade all day; None for days whose hours are not known."""
    if table not in (_ONE_MINUTE, *_FIVE_MINUTES):
        return len(expected)
    instruments = int(expected["instrument_key"].nunique())
    length = 1 if table == _ONE_MINUTE else bar_minutes

    def of_session(shape: SessionShape) -> int:
        intervals = NSE.session(day.date(), shape).intervals
        return sum(math.ceil(interval.minutes / length) for interval in intervals)

    if not of_session(FULL):
        return None
    total = instruments * of_session(FULL)
    if "session_shape" in rows:
        shapes = rows.drop_duplicates("instrument_key")
        shapes = shapes[shapes["instrument_key"].isin(expected["instrument_key"])]
        for shape, count in shapes["session_shape"].value_counts().items():
            total -= int(count) * (of_session(FULL) - of_session(shape))
    return total
