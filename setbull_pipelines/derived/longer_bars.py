"""Bars of other lengths than the stored ones: minutes of a session, weeks and months.

Belongs here: which stored bars make a longer one, and the bar that they make. Does not belong here: the stored bars
themselves (``variants/``), reading them and adjusting their prices (``pipeline/longer_bars.py``).

All functions take bars in prices of one day each, with a null volume where it is not known, and return one row per
longer bar: ``instrument_key``, ``timestamp`` (its start), ``ends_at``, ``open``, ``high``, ``low``, ``close``,
``volume``, ``open_interest`` and ``is_complete``, which is False while more may still come to the bar.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime, time, timedelta
from typing import Literal, get_args
from zoneinfo import ZoneInfo

import pandas as pd

from setbull_pipelines.market.calendar import NSE, OutsideCoverage
from setbull_pipelines.market.instruments import is_index
from setbull_pipelines.market.session_frames import session_intervals
from setbull_pipelines.market.session_table import CLOSING_AUCTION
from setbull_pipelines.tables.contract import INDIA

MINUTES = {
    "1minute": 1,
    "3minute": 3,
    "5minute": 5,
    "15minute": 15,
    "30minute": 30,
    "60minute": 60,
}
"""Lengths of intraday bars, by the name of their timeframe."""
Period = Literal["week", "month"]
PERIODS: tuple[Period, ...] = get_args(Period)
COLUMNS = (
    *("instrument_key", "timestamp", "ends_at", "open", "high", "low", "close"),
    *("volume", "open_interest", "is_complete"),
)


def of_session(
    bars: pd.DataFrame, minutes: int, under_way: Mapping[date, pd.Timestamp]
) -> pd.DataFrame:
    """Bars of ``minutes``, counted from the start of each interval of the session; the last one can be shorter.

    ``under_way`` says of each session that is not stored to its end until when it is. ValueError for a bar outside its
    session.
    """
    rows = _with_intervals(_in_order(bars))
    length = pd.Timedelta(minutes=minutes)
    begins = rows["start"] + (rows["timestamp"] - rows["start"]) // length * length
    ends = (begins + length).where(begins + length < rows["end"], rows["end"])
    is_complete = pd.Series(True, rows.index)
    for day, known_until in under_way.items():
        is_complete &= (rows["trading_day"] != pd.Timestamp(day)) | (ends <= known_until)
    return _made(rows.assign(begins=begins, ends_at=ends, is_complete=is_complete))


def of_days(days: pd.DataFrame, period: Period, whole_days: Collection[date]) -> pd.DataFrame:
    """ISO weeks or calendar months, labelled with midnight of their Monday or their first day.

    ``whole_days`` are the sessions that are stored to their end: a bar is complete when all of its period are. It ends
    with the last of them by the calendar.
    """
    rows = _in_order(days)
    begins = rows["trading_day"].map(lambda moment: begin_of(period, moment.date()))
    facts = {begin: _facts(period, begin, whole_days) for begin in begins.unique()}
    return _made(
        rows.assign(
            begins=pd.to_datetime(begins).astype("datetime64[us]").dt.tz_localize(INDIA),
            ends_at=begins.map({begin: ends for begin, (ends, _) in facts.items()}).astype(
                rows["timestamp"].dtype
            ),
            is_complete=begins.map({begin: is_whole for begin, (_, is_whole) in facts.items()}),
        )
    )


def counted(minutes: pd.DataFrame, includes_untraded: bool) -> pd.DataFrame:
    """The one-minute bars that longer ones are made of: those with a trade, of an index all."""
    if includes_untraded:
        return minutes
    has_trade = minutes["volume"].fillna(0).to_numpy("int64") > 0
    return minutes[has_trade | minutes["instrument_key"].map(is_index).to_numpy("bool")]


def begin_of(period: Period, day: date) -> date:
    """The Monday of the ISO week, or the first day of the month, of a day."""
    return day - timedelta(days=day.weekday()) if period == "week" else day.replace(day=1)


def end_of(period: Period, day: date) -> date:
    """The Sunday of the ISO week, or the last day of the month, of a day."""
    begin = begin_of(period, day)
    if period == "week":
        return begin + timedelta(days=6)
    return (begin + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def have_length(bars: pd.DataFrame, minutes: int) -> bool:
    """Whether stored bars (``timestamp``, ``trading_day``, ``minutes_expected``) are those of ``minutes``."""
    if bars.empty:
        return True
    rows = _with_intervals(bars.reset_index(drop=True))
    length = pd.Timedelta(minutes=minutes)
    expected = [
        (end - rows["timestamp"]).where(rows["timestamp"] + length > end, length)
        for end in (rows["end"], rows["auction"])
    ]
    found = pd.to_timedelta(rows["minutes_expected"].astype("int64"), unit="min")
    fits = (found == expected[0]) | (found == expected[1])
    is_aligned = (rows["timestamp"] - rows["start"]) % length == pd.Timedelta(0)
    return bool((fits & is_aligned).all())


def _in_order(bars: pd.DataFrame) -> pd.DataFrame:
    return bars.sort_values(["instrument_key", "timestamp"]).reset_index(drop=True)


def _with_intervals(bars: pd.DataFrame) -> pd.DataFrame:
    """Bars with the ``start`` and ``end`` of their interval, and ``auction``, its end for stocks with derivatives."""
    intervals = session_intervals(bars["trading_day"])
    auction = session_intervals(bars["trading_day"], shape=CLOSING_AUCTION)
    number = intervals["start"].searchsorted(bars["timestamp"], side="right") - 1
    if len(bars) and number.min() < 0:
        raise ValueError(
            f"found a bar at {bars['timestamp'].min()}, expected none before a session"
        )
    found = intervals[["start", "end"]].assign(auction=auction["end"]).take(number)
    rows = bars.assign(**{name: found[name].array for name in found})
    outside = rows["timestamp"] >= rows["end"]
    if outside.any():
        moment = rows.loc[outside, "timestamp"].iloc[0]
        raise ValueError(f"found a bar at {moment}, expected none outside a session")
    return rows


def _facts(period: Period, begin: date, whole_days: Collection[date]) -> tuple[datetime, bool]:
    """When a period ends, and whether all of its sessions are stored to their end."""
    last = end_of(period, begin)
    try:
        sessions = NSE.trading_days(max(begin, NSE.first_day), min(last, NSE.last_day))
    except (OutsideCoverage, ValueError):
        sessions = []
    # What lies beyond the calendar may have further sessions.
    is_whole = set(sessions) <= set(whole_days) and last <= NSE.last_day
    closes = NSE.closes_at(sessions[-1]) if sessions else None
    ends = datetime.combine(sessions[-1] if sessions else last, closes or time.max)
    return ends.replace(tzinfo=ZoneInfo(INDIA)), is_whole


def _made(rows: pd.DataFrame) -> pd.DataFrame:
    """The bars that the rows of one instrument and ``begins`` make."""
    groups = rows.groupby(["instrument_key", "begins"], sort=True)
    made = groups.agg(
        ends_at=("ends_at", "last"),
        open=("open", "first"),
        high=("high", "max"),
        low=("low", "min"),
        close=("close", "last"),
        volume=("volume", "sum"),
        # The last one that is stated.
        open_interest=("open_interest", "last"),
        is_complete=("is_complete", "all"),
    )
    has_volume = groups["volume"].count() == groups["volume"].size()
    made["volume"] = made["volume"].where(has_volume)
    return made.rename_axis(index={"begins": "timestamp"}).reset_index()[list(COLUMNS)]
