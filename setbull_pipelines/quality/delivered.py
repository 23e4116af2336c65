"""Rules about how much of a session a source delivered: its minutes, its daily bars, and of whom.

Belongs here: what the calendar and the days around let expect. Does not belong here: when in a session nothing came
(``holes.py``), the figures that the UI plots (``completeness.py``).
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.market.session_table import SESSION_SHAPES, SHAPE_NOT_KNOWN
from setbull_pipelines.quality.completeness import RECENT_SESSIONS, expected_on
from setbull_pipelines.quality.raw import CANDLES_1MIN, CANDLES_DAILY_HISTORY, COVERAGE, QUARANTINE
from setbull_pipelines.quality.verdict import NOT_JUDGED, Rule, Verdict, not_judged
from setbull_pipelines.settings import Settings
from setbull_pipelines.sources.candle_rules import OTHER_SERIES
from setbull_pipelines.tables.columns import EXCHANGE, MINUTES

Frames = Mapping[str, pd.DataFrame]
_SHOWN = 5


def universe_complete(frames: Frames, day: pd.Timestamp, settings: Settings) -> Verdict:
    """Most instruments that had minutes in the sessions before have some of the day."""
    minutes = frames[CANDLES_1MIN.name]
    expected = expected_on(frames[COVERAGE.name], CANDLES_1MIN.table.name, day)["instrument_key"]
    if minutes.empty or expected.empty:
        return not_judged(f"there are no minutes, or none are expected, on {day:%Y-%m-%d}")
    missing = sorted(set(expected) - set(minutes["instrument_key"].unique()))
    limit = settings.quality.maximum_stale_share
    named = ", ".join(missing[:_SHOWN]) + (", ..." if len(missing) > _SHOWN else "")
    return Verdict(
        len(missing) < limit * expected.nunique(),
        f"{len(missing)} of {expected.nunique()} instruments that had minutes in the {RECENT_SESSIONS} sessions before "
        f"have none (limit {limit:.0%}): {named}",
        {"instruments missing": len(missing)},
    )


def minutes_complete(frames: Frames, day: pd.Timestamp, settings: Settings) -> Verdict:
    """The session has minutes if the source covers it, and most of those the calendar expects."""
    minutes, coverage = frames[CANDLES_1MIN.name], frames[COVERAGE.name]
    expected = NSE.session(day.date()).minutes
    if minutes.empty:
        return _empty_day(coverage, MINUTES, day)
    if expected is None:
        return Verdict(False, f"the calendar does not know the hours of {day:%Y-%m-%d}")
    grouped = minutes.groupby("instrument_key").agg(
        delivered=("timestamp", "size"), shape=("session_shape", "first")
    )
    per_instrument = grouped["delivered"]
    of_shape = {shape: NSE.session(day.date(), shape).minutes for shape in SESSION_SHAPES}
    expected_minutes = grouped["shape"].map(of_shape)
    share = float((per_instrument / expected_minutes).mean())
    limit = settings.quality.minimum_delivered_share
    shares = (per_instrument / expected_minutes).sort_values(kind="stable")
    thin = shares[shares < limit / 2]
    named = ", ".join(
        f"{key} {per_instrument[key]} of {expected_minutes[key]}" for key in thin.index[:_SHOWN]
    )
    more = f" and {len(thin) - _SHOWN} more" if len(thin) > _SHOWN else ""
    unknown = int((grouped["shape"] == SHAPE_NOT_KNOWN).sum())
    universe = universe_complete(frames, day, settings)
    is_short = not universe.passed and NOT_JUDGED not in universe.metadata
    return Verdict(
        share >= limit and not is_short,
        f"{share:.1%} of {expected} minutes delivered on average (limit {limit:.0%}); "
        + (
            f"thin, with less than half of that: {named}{more}"
            if named
            else f"fewest: {per_instrument.idxmin()} with {per_instrument.min()}"
        )
        + (f"; {unknown} of unknown session shape are assumed to trade all day" if unknown else "")
        + (f"; {universe.description}" if is_short else ""),
        {
            "instruments": len(per_instrument),
            "minutes": len(minutes),
            "minutes expected per instrument": expected,
            "share delivered": share,
            "instruments thin": len(thin),
            "instruments missing": int(universe.metadata.get("instruments missing", 0)),
            "instruments complete": int((per_instrument == expected_minutes).sum()),
            "instruments with closing auction": int((expected_minutes < expected).sum()),
            "instruments of unknown session shape": unknown,
        },
    )


def daily_complete(frames: Frames, day: pd.Timestamp, settings: Settings) -> Verdict:
    """The session has daily bars if the source covers it."""
    history, coverage = frames[CANDLES_DAILY_HISTORY.name], frames[COVERAGE.name]
    if history.empty:
        return _empty_day(coverage, EXCHANGE, day)
    spans = coverage[coverage["series"] == EXCHANGE]
    inside = (spans["first_trading_day"] < day) & (spans["last_trading_day"] > day)
    holes = spans.loc[
        inside & ~spans["instrument_key"].isin(history["instrument_key"]), "instrument_key"
    ]
    metadata = {"instruments": len(history), "instruments with a hole": len(holes)}
    if holes.empty:
        return Verdict(True, f"{len(history):,} daily bars", metadata)
    quarantine = frames[QUARANTINE.name]
    of_others = quarantine[quarantine["rule"] == OTHER_SERIES]
    series = dict(zip(of_others["instrument_key"], of_others["value"], strict=True))
    ordered = sorted(holes, key=lambda key: (key not in series, key))
    named = ", ".join(
        f"{key} (in series {series[key]})" if key in series else key for key in ordered[:_SHOWN]
    )
    more = f" and {len(ordered) - _SHOWN} more" if len(ordered) > _SHOWN else ""
    lost = sum(key in series for key in ordered)
    # A share that was not traded has no bar either; one that was, in another series, has lost it.
    return Verdict(
        not lost,
        f"{len(history):,} daily bars; without one, though with some before and after: {named}{more}"
        + (f"; {lost} of them traded in a series that input.series leaves out" if lost else ""),
        metadata | {"of these in another series": lost},
    )


def _empty_day(coverage: pd.DataFrame, series: str, day: pd.Timestamp) -> Verdict:
    spans = coverage[coverage["series"] == series]
    inside = (spans["first_trading_day"] <= day) & (spans["last_trading_day"] >= day)
    if inside.any():
        return Verdict(
            False,
            f"{day:%Y-%m-%d} was a trading day, but the source has no {series} candles for it, "
            f"though {int(inside.sum())} instruments have them before and after",
            {"instruments covering the day": int(inside.sum())},
        )
    return not_judged(f"the source does not cover {day:%Y-%m-%d} with {series} candles")


UNIVERSE_COMPLETE = Rule(
    "complete",
    "The source delivered minutes of most instruments that had some in the sessions before",
    CANDLES_1MIN,
    (CANDLES_1MIN, COVERAGE),
    universe_complete,
    is_error=False,
)
"""A part of the rule of this name about minutes: what makes a day doubtful and not only thin."""
RULES: tuple[Rule, ...] = (
    Rule(
        "complete",
        "The source delivered the minutes that the calendar expects, of most instruments that had some before",
        CANDLES_1MIN,
        (CANDLES_1MIN, COVERAGE),
        minutes_complete,
        is_error=False,
    ),
    Rule(
        "complete",
        "The source delivered daily bars for the session, of every instrument that has some before and after",
        CANDLES_DAILY_HISTORY,
        (CANDLES_DAILY_HISTORY, COVERAGE, QUARANTINE),
        daily_complete,
        is_error=False,
    ),
)
