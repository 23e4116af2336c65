"""The rule that a feed goes through the whole session: it begins at the open, pauses nowhere and reaches the close.

Belongs here: what a hole is, and when it is the feed's. Does not belong here: how many minutes there are
(``delivered.py``).

Feeds fill what they do not have: with bars without volume, or with the last bar again. Neither tells of a trade.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from setbull_pipelines.market.calendar import NSE, Interval
from setbull_pipelines.market.session_table import FULL, SESSION_SHAPES
from setbull_pipelines.quality.raw import CANDLES_1MIN, session_shapes, traded
from setbull_pipelines.quality.verdict import Rule, Verdict, not_judged
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables.columns import PROVISIONAL

_BUSY, _FEWEST_MINUTES = 0.8, 30
"""In what share of the minutes beside its longest hole, and in how many, an instrument trades that is missed in it."""
_MISSED_MINUTES = 30
_MOST_WITH_A_HOLE = 0.1
"""Share of busy instruments that may have a hole: some are halted, or locked at the limit of their day."""
_FEWEST_SHARES_REPEATED = 1_000
"""A minute of fewer can be equal to the one before by chance."""
_BAR = ["open", "high", "low", "close", "volume"]
_FEWEST_STILL, _MOST_STILL = 3, 0.1
"""So many instruments, and such a share, do not stay at one price all day: a few are locked at their limit."""
_SHOWN = 3


def _reaches_the_close(
    frames: Mapping[str, pd.DataFrame], day: pd.Timestamp, settings: Settings
) -> Verdict:
    minutes = frames[CANDLES_1MIN.name]
    if minutes.empty:
        return not_judged("there are no minutes")
    if "state" in minutes and (minutes["state"] == PROVISIONAL).all():
        return not_judged("the session is under way, all minutes are provisional")
    of = {shape: NSE.session(day.date(), shape).intervals for shape in SESSION_SHAPES}
    if not all(of.values()):
        return not_judged(f"the calendar does not know the hours of {day:%Y-%m-%d}")
    clock = _minutes_of_day(of[FULL])
    lengths = {shape: sum(part.minutes for part in parts) for shape, parts in of.items()}
    expected = session_shapes(minutes).map(lengths).astype("int64")
    found = _longest_holes(minutes, clock, expected)
    if found.empty:
        return Verdict(
            False,
            f"none of {len(minutes):,} minutes of {minutes['instrument_key'].nunique()} instruments has a trade of its "
            "own: the source has no volumes, or fills what it does not have",
            {"minutes": len(minutes)},
        )
    enough = found[found["traded"] >= _FEWEST_MINUTES]
    still = enough[enough["high"] == enough["low"]]
    if len(still) >= max(_FEWEST_STILL, _MOST_STILL * len(enough)):
        return Verdict(
            False,
            f"the prices stand still: {len(still)} of {len(enough)} instruments that trade in {_FEWEST_MINUTES} "
            f"minutes or more have one price all day ({_some(still)})",
            {"instruments that trade": len(enough), "of these with one price all day": len(still)},
        )
    beside = found["expected"] - found["hole"]
    is_busy = (found["traded"] >= _BUSY * beside) & (found["traded"] >= _FEWEST_MINUTES)
    holed = found[is_busy & (found["hole"] >= _MISSED_MINUTES)]
    busy = int(is_busy.sum())
    share = len(holed) / busy if busy else 0.0
    figures = {
        "instruments busy beside their longest hole": busy,
        "of these with a hole": len(holed),
        "share with a hole": float(share),
    }
    if share <= _MOST_WITH_A_HOLE:
        return Verdict(
            True,
            f"{len(holed)} of {busy} busy instruments stop early or have a hole of {_MISSED_MINUTES} minutes",
            figures,
        )
    first = int(holed["begin"].mode().iloc[0])
    last = int((holed["begin"] + holed["hole"]).mode().iloc[0]) - 1
    if (holed["begin"] + holed["hole"] >= holed["expected"]).mean() >= 0.5:
        what = "the feed stops before the close"
        when = f"after {_text(clock[first - 1])}"
    else:
        what = "the feed has a hole, or the exchange halted"
        when = f"from {_text(clock[first])} to {_text(clock[last])}"
    return Verdict(
        False,
        f"{what}: {len(holed)} of {busy} instruments that trade in nearly every other minute have no trade {when} or "
        f"about then ({_some(holed)}); bars and decisions of the day are made of the "
        "rest",
        figures,
    )


def _longest_holes(minutes: pd.DataFrame, clock: np.ndarray, expected: pd.Series) -> pd.DataFrame:
    """By instrument that traded: minutes with trades, its highest and lowest price, and where its longest hole begins
    and how long it is.

    ``clock`` has the minutes of the session in order, ``expected`` the number that each instrument has of them.
    """
    minute = minutes["timestamp"].dt.hour * 60 + minutes["timestamp"].dt.minute
    rows = minutes.assign(place=np.searchsorted(clock, minute)).sort_values(
        ["instrument_key", "place"], kind="stable"
    )
    rows = rows[(traded(rows) & ~_repeats(rows)).to_numpy(dtype=bool)]
    rows = rows.drop_duplicates(["instrument_key", "place"])
    of_each = rows.groupby("instrument_key", observed=True)["place"]
    before = (rows["place"] - of_each.shift(fill_value=-1) - 1).to_numpy()
    inner = rows[["instrument_key", "place"]].assign(hole=before)
    longest = inner.sort_values("hole", ascending=False, kind="stable")
    longest = longest.drop_duplicates("instrument_key").set_index("instrument_key").sort_index()
    found = pd.DataFrame(
        {
            "traded": of_each.size(),
            "expected": expected,
            "hole": longest["hole"],
            "begin": longest["place"] - longest["hole"],
            "last": of_each.max(),
            "high": rows.groupby("instrument_key", observed=True)["high"].max(),
            "low": rows.groupby("instrument_key", observed=True)["low"].min(),
        }
    ).dropna()
    found = found.astype(dict.fromkeys(("traded", "expected", "hole", "begin", "last"), "int64"))
    at_the_end = found["expected"] - found["last"] - 1
    ends = at_the_end >= found["hole"]
    found["begin"] = found["begin"].mask(ends, found["last"] + 1)
    found["hole"] = found["hole"].mask(ends, at_the_end)
    return found.drop(columns="last")


def _repeats(rows: pd.DataFrame) -> pd.Series:
    """Whether a minute is, to the last share, the one before it; rows are ordered by instrument and time."""
    before = rows[["instrument_key", *_BAR]].shift()
    same = (rows[["instrument_key", *_BAR]] == before).fillna(False).all(axis=1)
    return same & (rows["volume"] >= _FEWEST_SHARES_REPEATED).fillna(False)


def _minutes_of_day(intervals: Sequence[Interval]) -> np.ndarray:
    """Every minute of the session, counted from midnight."""
    starts = [part.start.hour * 60 + part.start.minute for part in intervals]
    return np.concatenate(
        [
            np.arange(start, start + part.minutes)
            for start, part in zip(starts, intervals, strict=True)
        ]
    )


def _some(instruments: pd.DataFrame) -> str:
    more = ", ..." if len(instruments) > _SHOWN else ""
    return ", ".join(instruments.index[:_SHOWN]) + more


def _text(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


REACHES_THE_CLOSE = Rule(
    "reaches_the_close",
    "Instruments that trade in nearly every minute do so from the open to the close, at more than one price; a bar "
    "without volume, or with the very numbers of the one before, is no trade",
    CANDLES_1MIN,
    (CANDLES_1MIN,),
    _reaches_the_close,
    is_error=False,
)
RULES: tuple[Rule, ...] = (REACHES_THE_CLOSE,)
