"""Sessions as columns, for the computing rooms.

Belongs here: whole-column questions about days and bar timestamps, answered from the trading
calendar. Does not belong here: prices, aggregation, questions about single days (``calendar.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from setbull_pipelines.market.calendar import NSE, TradingCalendar
from setbull_pipelines.market.session_table import CLOSING_AUCTION, FULL, TIMEZONE, SessionShape

IN_SESSION = "in session"
PRE_OPEN = "pre_open"
POST_CLOSE = "post_close"
BETWEEN_INTERVALS = "between intervals"
CLOSED_DAY = "closed day"
HOURS_NOT_KNOWN = "session hours not known"
OUTSIDE_COVERAGE = "outside calendar coverage"
NO_TIMESTAMP = "no timestamp"

PLACEMENTS = (
    IN_SESSION,
    PRE_OPEN,
    POST_CLOSE,
    BETWEEN_INTERVALS,
    CLOSED_DAY,
    HOURS_NOT_KNOWN,
    OUTSIDE_COVERAGE,
    NO_TIMESTAMP,
)
"""Every place a bar can have, in the order of the codes of :func:`session_placement`."""

_CODE = {placement: np.int8(code) for code, placement in enumerate(PLACEMENTS)}


def session_intervals(
    days: Sequence[date] | pd.DatetimeIndex | pd.Series,
    calendar: TradingCalendar = NSE,
    shape: SessionShape = FULL,
) -> pd.DataFrame:
    """One row per interval of the given trading days, sorted; repeated days count once.

    Every shape of a day has the same number of intervals.

    Columns: ``trading_day`` (datetime64[us]), ``interval`` (int64, from 0 within its day), ``start``
    and ``end`` (datetime64[us, Asia/Kolkata], end excluded), ``minutes`` (int64). A day whose hours
    are not known has no row. Raises ``MarketClosed`` or ``OutsideCoverage`` for other days.
    """
    rows = [
        (day, number, f"{day} {interval.start}", f"{day} {interval.end}", interval.minutes)
        for day in pd.DatetimeIndex(days).unique().sort_values().date
        for number, interval in enumerate(calendar.session(day, shape).intervals)
    ]
    columns = list(zip(*rows, strict=True)) or [()] * 5
    return pd.DataFrame(
        {
            "trading_day": np.array(columns[0], dtype="datetime64[us]"),
            "interval": np.array(columns[1], dtype="int64"),
            "start": _local_timestamps(columns[2]),
            "end": _local_timestamps(columns[3]),
            "minutes": np.array(columns[4], dtype="int64"),
        }
    )


def session_placement(timestamps: pd.Series, calendar: TradingCalendar = NSE) -> pd.Series:
    """Where each bar start lies: a categorical over :data:`PLACEMENTS`, index kept.

    ``timestamps`` are timezone-aware (any zone); a naive column raises ``TypeError``. The order of
    the rows does not matter.
    """
    codes = _placement_codes(timestamps, _grid(calendar, calendar.revision))
    placement = pd.Categorical.from_codes(codes, categories=list(PLACEMENTS))
    return pd.Series(placement, index=timestamps.index, name="session_placement")


def minutes_in_session(
    timestamps: pd.Series, calendar: TradingCalendar = NSE, shapes: pd.Series | None = None
) -> pd.Series:
    """True where a bar starts inside an interval of its day, else False; bool, index kept.

    Closed and uncovered days are False; :func:`session_placement` says why. Same requirements.
    ``shapes`` is the session shape of each row's instrument on its day; without it, full.
    """
    inside = _placement_codes(timestamps, _grid(calendar, calendar.revision)) == _CODE[IN_SESSION]
    if shapes is not None and calendar.closing_auction is not None:
        shorter = (shapes == CLOSING_AUCTION).to_numpy(dtype=bool)
        if shorter.any():
            codes = _placement_codes(
                timestamps[shorter], _grid(calendar, calendar.revision, CLOSING_AUCTION)
            )
            inside[shorter] = codes == _CODE[IN_SESSION]
    return pd.Series(inside, index=timestamps.index, name="in_session")


class _Grid(NamedTuple):
    """The calendar as sorted arrays: local wall-clock microseconds, and one entry per covered day."""

    interval_starts: np.ndarray
    interval_ends: np.ndarray
    first_day: np.datetime64
    day_opens: np.ndarray
    day_closes: np.ndarray
    day_codes: np.ndarray


@lru_cache(maxsize=8)
def _grid(calendar: TradingCalendar, revision: str, shape: SessionShape = FULL) -> _Grid:
    # The revision is there for the cache: amending a calendar leaves it the same object.
    trading_days = calendar.trading_days(calendar.first_day, calendar.last_day)
    intervals = session_intervals(trading_days, calendar, shape)
    starts = _wall_clock(intervals["start"])
    ends = _wall_clock(intervals["end"])

    first_day = np.datetime64(calendar.first_day, "D")
    covered_days = (calendar.last_day - calendar.first_day).days + 1
    interval_day = (intervals["trading_day"].to_numpy("datetime64[D]") - first_day).astype("int64")
    trading_day = (np.array(trading_days, "datetime64[D]") - first_day).astype("int64")

    # What a bar outside every interval means on each day. BETWEEN_INTERVALS stands for a day with
    # hours; the bar's own time then refines it to before, between or after.
    day_codes = np.full(covered_days, _CODE[CLOSED_DAY])
    day_codes[trading_day] = _CODE[HOURS_NOT_KNOWN]
    day_codes[interval_day] = _CODE[BETWEEN_INTERVALS]
    day_opens = np.zeros(covered_days, "int64")
    day_closes = np.zeros(covered_days, "int64")
    day_opens[interval_day[::-1]] = starts[::-1]  # the first interval of a day is written last
    day_closes[interval_day] = ends
    return _Grid(starts, ends, first_day, day_opens, day_closes, day_codes)


def _placement_codes(timestamps: pd.Series, grid: _Grid) -> np.ndarray:
    if not isinstance(timestamps.dtype, pd.DatetimeTZDtype):
        raise TypeError(
            f"expected timezone-aware bar timestamps, found a column of type {timestamps.dtype}; "
            f"localize it to {TIMEZONE} first."
        )
    moments = _wall_clock(timestamps)
    interval = np.searchsorted(grid.interval_starts, moments, side="right") - 1
    inside = (interval >= 0) & (moments < grid.interval_ends[interval])

    codes = np.full(len(moments), _CODE[IN_SESSION])
    outside = np.flatnonzero(~inside)
    codes[outside] = _outside_codes(moments[outside], grid)
    codes[timestamps.isna().to_numpy()] = _CODE[NO_TIMESTAMP]
    return codes


def _outside_codes(moments: np.ndarray, grid: _Grid) -> np.ndarray:
    day = (moments.view("datetime64[us]").astype("datetime64[D]") - grid.first_day).astype("int64")
    covered = (day >= 0) & (day < len(grid.day_codes))
    day = np.where(covered, day, 0)
    codes = np.where(covered, grid.day_codes[day], _CODE[OUTSIDE_COVERAGE])
    has_hours = codes == _CODE[BETWEEN_INTERVALS]
    codes[has_hours & (moments < grid.day_opens[day])] = _CODE[PRE_OPEN]
    codes[has_hours & (moments >= grid.day_closes[day])] = _CODE[POST_CLOSE]
    return codes


def _local_timestamps(wall_clock: Sequence[str]) -> pd.DatetimeIndex:
    naive = pd.DatetimeIndex(np.array(wall_clock, dtype="datetime64[us]"))
    return naive.tz_localize(TIMEZONE)


def _wall_clock(timestamps: pd.Series) -> np.ndarray:
    """Microseconds since 1970-01-01 00:00 on the market's wall clock, int64."""
    local = timestamps.dt.tz_convert(TIMEZONE).dt.tz_localize(None)
    microseconds: np.ndarray = local.to_numpy("datetime64[us]").view("int64")
    return microseconds
