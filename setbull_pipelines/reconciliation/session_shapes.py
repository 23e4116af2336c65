"""Recognisers of a value that starts anew at other moments than in V1: sessions, series, ex-dates.

Belongs here: what a bar takes over from the bars before it, and must not. Does not belong here: recursion, shifts and
warm-up (``time_shapes``).
"""

from __future__ import annotations

import numpy as np

from setbull_pipelines.reconciliation.finding import EXACT_MATCH, FEW, Finding, column_shape
from setbull_pipelines.reconciliation.sides import Difference, close_to
from setbull_pipelines.tables.contract import Kind

_DAILY = ("vwap",)
"""Columns that start anew with every session."""
_BARS = 20
"""Bars of a session below which its movement says nothing."""
_CALM, _VERY_CALM = 0.9, 0.6
"""Movement of V2 in terms of V1's, below which it is an average over more than the session: in each of several
sessions, and in the middle one of a single session's series. A VWAP of other prices moves as much as V1's."""
_SHARES = 1.0
"""A whole number of shares is rounded after dividing."""


def _movement(difference: Difference, rows: np.ndarray) -> float:
    """Movement of V2 in a session in terms of V1's; infinite where V2 does not differ from the first bar on."""
    valued = rows[~difference.null1[rows] & ~difference.null2[rows]]
    if len(valued) < _BARS or not difference.unequal[valued[0]]:
        return np.inf
    moves1, moves2 = (
        np.abs(np.diff(side[valued])).sum() for side in (difference.v1, difference.v2)
    )
    return float(moves2 / moves1) if moves1 else np.inf


def _later_sessions(difference: Difference) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Rows of each series' first session in the table, and of all others."""
    firsts: list[np.ndarray] = []
    later: list[np.ndarray] = []
    sessions, series = difference.sides.session_rows, difference.sides.series
    for number, rows in enumerate(sessions):
        is_first = number == 0 or series[sessions[number - 1][0]] != series[rows[0]]
        (firsts if is_first else later).append(rows)
    return firsts, later


@column_shape("restart on other days", FEW)
def restart_on_other_days(difference: Difference) -> Finding | None:
    """V2 starts anew on some days and carries the value over the other nights.

    Of the later sessions some must agree throughout; in all others V2 must be carried over from before.
    """
    if not difference.is_number or difference.column.name not in _DAILY:
        return None
    firsts, later = _later_sessions(difference)
    carried = [rows for rows in later if difference.unequal[rows].any()]
    if any(difference.unequal[rows].any() for rows in firsts) or len(carried) < FEW:
        return None
    agreeing = len(later) - len(carried)
    if agreeing < FEW or max(_movement(difference, rows) for rows in carried) >= _CALM:
        return None
    return Finding(
        "some sessions agree, the others carry a value over the night: V2 starts anew on other days",
        {"sessions that agree": agreeing, "sessions carried over": len(carried)},
    )


@column_shape("missing daily reset", FEW)
def missing_daily_reset(difference: Difference) -> Finding | None:
    """A value is carried over the night.

    No unequal cell in the first session of a series, and at least 90 % of the later ones.

    One session alone shows it in a column that starts anew daily: V2 differs from the first bar on, and moves
    much less than V1.
    """
    firsts, later = _later_sessions(difference)
    if not later:
        return _of_one_session(difference)
    if any(difference.unequal[rows].any() for rows in firsts):
        return None
    share = float(np.mean([difference.unequal[rows].mean() for rows in later]))
    if share < 0.9:
        return None
    return Finding(
        "the first session agrees and all later ones differ: the daily restart is missing",
        {"later sessions": len(later), "share of their cells": share},
    )


def _of_one_session(difference: Difference) -> Finding | None:
    affected = difference.affected_series
    if not difference.is_number or difference.column.name not in _DAILY:
        return None
    if not difference.sides.session_rows:
        return None
    movements = [_movement(difference, rows) for rows in affected]
    if max(movements) >= _CALM or np.median(movements) >= _VERY_CALM:
        return None
    return Finding(
        "V2 differs from the first bar on and moves much less: the daily restart is missing",
        {"series": len(affected), "median movement V2 / V1": float(np.median(movements))},
    )


@column_shape("neighbour's value in first bars", EXACT_MATCH)
def neighbour_in_first_bars(difference: Difference) -> Finding | None:
    """The first bars of a series hold a value of the series before it in the table.

    Every unequal cell must be at the head of a series and equal V1's last value of the series before.

    That is the last one of the table, or of the same trading day. Whole numbers are too often equal by chance.
    """
    if difference.column.kind is not Kind.FLOAT or "timestamp" not in difference.sides.order_names:
        return None
    days = difference.sides.matched["v1_trading_day"].to_numpy()
    series_rows = difference.sides.series_rows
    for number, rows in enumerate(series_rows):
        wrong = np.flatnonzero(difference.unequal[rows])
        if not len(wrong):
            continue
        if number == 0 or not len(wrong) == wrong[-1] + 1 < len(rows):
            return None
        above = series_rows[number - 1]
        of_day = above[days[above] == days[rows[0]]]
        found = difference.v2[rows[wrong]]
        if not any(
            len(candidates)
            and not np.isnan(difference.v1[candidates[-1]])
            and close_to(found, np.full(len(found), difference.v1[candidates[-1]])).all()
            for candidates in (above, of_day)
        ):
            return None
    return Finding(
        "V2 holds in the first bars of a series the last value of the series above it in the table",
        {"series": len(difference.affected_series)},
    )


@column_shape("corporate action on one bar", FEW)
def corporate_action_on_one_bar(difference: Difference) -> Finding | None:
    """One bar is in other shares than the rest: all its prices have one factor.

    In one bar per affected series all diverging prices must have one factor, shares its inverse.

    Three prices or more must say so, and other series must agree.
    """
    sides = difference.sides
    affected = difference.affected_series
    if difference.pairs(1) is None:
        return None
    if difference.column.unit not in ("rupees", "shares") or len(affected) == len(
        sides.series_rows
    ):
        return None
    rows = np.flatnonzero(difference.unequal)
    if len(rows) != len(affected):
        return None
    others = [sides.difference(name) for name in sides.diverging]
    prices = [other for other in others if other.column.unit == "rupees"]
    factors = []
    for row in rows:
        with np.errstate(divide="ignore", invalid="ignore"):
            found = np.array(
                [other.v2[row] / other.v1[row] for other in prices if other.unequal[row]]
            )
        if len(found) < FEW or not close_to(found, np.full(len(found), found[0])).all():
            return None
        factors.append(float(found[0]))
    v1, v2 = difference.v1[rows], difference.v2[rows]
    if (
        difference.column.unit == "shares"
        and (np.abs(v2 * factors - v1) > _SHARES * np.abs(factors)).any()
    ):
        return None
    if np.abs(np.array(factors) - 1).min() < 1e-6:
        return None
    return Finding(
        f"all prices of the bar are V1's x {factors[0]:.6g}: a corporate action is in one side of it only",
        {"factor": factors[0], "bars": len(rows)},
    )


SESSION_SHAPES = (restart_on_other_days, missing_daily_reset)
"""From specific to general."""
FIRST_BAR_SHAPES = (corporate_action_on_one_bar, neighbour_in_first_bars)
"""Asked before the shapes of values, which one factor and one constant look like."""
