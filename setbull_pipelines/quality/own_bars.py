"""Rules about sources that lie: a bar that is another's or an earlier one's, prices in paise, a feed that stops early.

Every such row is right by itself. What shows is that it is there twice, or that nothing follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time
from functools import partial

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.market.session_table import FULL, SESSION_SHAPES
from setbull_pipelines.quality.gaps import is_hundredfold
from setbull_pipelines.quality.raw import CANDLES_1MIN
from setbull_pipelines.quality.verdict import Rule, Verdict, before, not_judged
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables.columns import PROVISIONAL
from setbull_pipelines.tables.served import SERVED_SCHEMA
from setbull_pipelines.warehouse.pointers import StoredTable

DAILY = StoredTable(SERVED_SCHEMA, tables.SERVED["candles_daily"])
V1_DAILY, V2_DAILY = (StoredTable(schema, tables.CANDLES_DAILY) for schema in ("v1", "v2"))
SESSIONS = 5
"""Sessions before that a bar must differ from."""
_BAR = ["series", "open", "high", "low", "close", "volume"]
_FEWEST_SHARES_TRADED = 1_000
"""A bar of fewer can be another's by chance."""
_SHOWN = 3
_BUSY, _FEWEST_BARS = 0.8, 30
"""Share of the minutes until its last one that an instrument has, and how many, so that the next is missed."""
_MISSED_MINUTES = 30
_MOST_STOPPED = 0.1
"""Share of busy instruments that may stop early: some are halted, or locked at the limit of their day."""

Frames = Mapping[str, pd.DataFrame]


def bars_are_own(stored: StoredTable) -> Rule:
    """No daily bar of ``stored`` is that of another instrument, or of one of the :data:`SESSIONS` before."""
    return Rule(
        "bars_are_own",
        "No daily bar is, to the last share, that of another instrument or of one of the sessions before",
        stored,
        (stored,),
        partial(_bars_are_own, stored),
        is_error=False,
        earlier_sessions=SESSIONS,
    )


def _bars_are_own(
    stored: StoredTable, frames: Frames, day: pd.Timestamp, settings: Settings
) -> Verdict:
    today, earlier = (_telling(frames[name]) for name in (stored.name, before(stored)))
    if today.empty:
        return not_judged("there is no daily bar that could be another's")
    others = today[today.duplicated(_BAR, keep=False)].sort_values([*_BAR, "instrument_key"])
    again = today.merge(
        earlier, on=["instrument_key", *_BAR], suffixes=("", "_before")
    ).drop_duplicates("instrument_key")
    figures = {
        "bars": len(today),
        "bars of another instrument": len(others),
        "bars of an earlier session": len(again),
        "sessions compared with": int(earlier["trading_day"].nunique()),
    }
    said = []
    if len(again):
        shown = ", ".join(
            f"{row.instrument_key} of {row.trading_day_before:%Y-%m-%d}"
            for row in again.head(_SHOWN).itertuples()
        )
        said.append(
            f"{len(again):,} of {len(today):,} bars are, to the last share, those of an earlier session: {shown}"
        )
    if len(others):
        groups = others.groupby(_BAR, sort=False)["instrument_key"].agg(" and ".join)
        said.append(
            f"{len(others):,} instruments have, to the last share, the bar of another: "
            f"{', '.join(groups.head(_SHOWN))}"
        )
    return Verdict(
        not said,
        "; ".join(said) or f"all {len(today):,} bars are their instrument's and their day's own",
        figures,
    )


def prices_in_one_unit(stored: StoredTable) -> Rule:
    """No bar of ``stored`` opens at about a hundred times, or a hundredth of, the last close that is known."""
    return Rule(
        "prices_in_one_unit",
        "No price opens at about a hundred times, or a hundredth of, the last close, as prices in paise do",
        stored,
        (stored,),
        partial(_prices_in_one_unit, stored),
        earlier_sessions=SESSIONS,
    )


def _prices_in_one_unit(
    stored: StoredTable, frames: Frames, day: pd.Timestamp, settings: Settings
) -> Verdict:
    key = ["instrument_key", "series"]
    last = frames[before(stored)].sort_values("trading_day").drop_duplicates(key, keep="last")
    both = frames[stored.name].merge(last, on=key, suffixes=("", "_before"))
    both = both[(both["open"] > 0) & (both["close_before"] > 0)]
    if both.empty:
        return not_judged("no instrument has a bar of the day and one of the sessions before")
    both["ratio"] = (both["open"] / both["close_before"]).astype("float64")
    apart = both[both["ratio"].map(is_hundredfold)].drop_duplicates("instrument_key")
    shown = ", ".join(
        f"{row.instrument_key} opened at {row.ratio:.4g} of the close of {row.trading_day_before:%Y-%m-%d}"
        for row in apart.head(_SHOWN).itertuples()
    )
    count = both["instrument_key"].nunique()
    return Verdict(
        apart.empty,
        f"{len(apart):,} of {count:,} instruments jumped about a hundredfold, so the prices of one of the days are "
        f"perhaps in paise: {shown}"
        if shown
        else f"no price of {count:,} instruments jumped about a hundredfold",
        {"instruments": count, "jumped a hundredfold": len(apart)},
    )


def _telling(bars: pd.DataFrame) -> pd.DataFrame:
    """Bars with trades enough, at several prices, for two never to be equal."""
    traded = (bars["volume"] >= _FEWEST_SHARES_TRADED).fillna(False).astype(bool)
    return bars.loc[traded & (bars["high"] > bars["low"]), ["instrument_key", "trading_day", *_BAR]]


def _reaches_the_close(frames: Frames, day: pd.Timestamp, settings: Settings) -> Verdict:
    minutes = frames[CANDLES_1MIN.name]
    if minutes.empty:
        return not_judged("there are no minutes")
    if "state" in minutes and (minutes["state"] == PROVISIONAL).all():
        return not_judged("the session is under way, all minutes are provisional")
    of = {shape: NSE.session(day.date(), shape).intervals for shape in SESSION_SHAPES}
    if not all(of.values()):
        return not_judged(f"the calendar does not know the hours of {day:%Y-%m-%d}")
    found = minutes.groupby("instrument_key").agg(
        bars=("timestamp", "nunique"),
        first=("timestamp", "min"),
        last=("timestamp", "max"),
        shape=("session_shape", "first"),
    )
    ends = {shape: _minute_of(intervals[-1].end) for shape, intervals in of.items()}
    last = found["last"].dt.hour * 60 + found["last"].dt.minute
    pauses = sum(
        (last > _minute_of(right.start)) * (_minute_of(right.start) - _minute_of(left.end))
        for left, right in zip(of[FULL][:-1], of[FULL][1:], strict=True)
    )
    until_last = last - _minute_of(of[FULL][0].start) + 1 - pauses
    busy = (found["bars"] >= _BUSY * until_last) & (found["bars"] >= _FEWEST_BARS)
    missed = found["shape"].map(ends).astype("int64") - last - 1
    stopped = found[busy & (missed >= _MISSED_MINUTES)]
    share = len(stopped) / busy.sum() if busy.any() else 0.0
    figures = {
        "instruments busy until their last minute": int(busy.sum()),
        "of these stopped before the close": len(stopped),
        "share stopped": float(share),
    }
    if share <= _MOST_STOPPED:
        return Verdict(
            True,
            f"{len(stopped)} of {int(busy.sum())} busy instruments stop before the close",
            figures,
        )
    usual = stopped["last"].dt.strftime("%H:%M").mode().iloc[0]
    named = ", ".join(stopped.index[:_SHOWN])
    return Verdict(
        False,
        f"the feed stops before the close: {len(stopped)} of {int(busy.sum())} instruments with a bar in nearly every "
        f"minute have none after {usual} or about then ({named}{', ...' if len(stopped) > _SHOWN else ''}); bars and "
        "decisions of the day are made of a part of it",
        figures,
    )


def _minute_of(clock: time) -> int:
    return clock.hour * 60 + clock.minute


REACHES_THE_CLOSE = Rule(
    "reaches_the_close",
    "Instruments with a bar in nearly every minute have them until the close",
    CANDLES_1MIN,
    (CANDLES_1MIN,),
    _reaches_the_close,
    is_error=False,
)
# Prices are judged where computing takes them, not as served: a first run stores no served session before its own.
RULES: tuple[Rule, ...] = (
    bars_are_own(DAILY),
    *(prices_in_one_unit(stored) for stored in (V1_DAILY, V2_DAILY)),
    REACHES_THE_CLOSE,
)
