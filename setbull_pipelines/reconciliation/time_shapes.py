"""Recognisers of how V2's value of a cell follows from V1's values of other rows.

Belongs here: shifts, order, sessions, warm-up, recursion. Does not belong here: shapes within one row
(``value_shapes``) and how far a difference reaches (``extent_shapes``).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from setbull_pipelines.reconciliation.finding import FEW, Finding, column_shape
from setbull_pipelines.reconciliation.sides import Difference, close_to
from setbull_pipelines.tables.contract import Kind

_LONGEST_SHIFT = 100
_FEWEST_FLAGS = 20
"""Flags that have to be those of other bars: fewer are so by chance at one of all the distances that are tried."""
_RECURSIVE = ("ema_5", "ema_9", "ema_20", "ema_50", "rsi", "atr")
_STRAIGHT = 0.8
"""Correlation of the logarithm of a difference with time, from which on it falls exponentially."""
_FIRST_VALUES = 3
"""Values at the head of a series that may agree by chance before another seed shows."""
_SMALL = 1e-3
"""Relative difference that the start of a recursion can leave behind after its warm-up."""

_MOVES = 20
"""Bars of a series below which its movement says nothing."""
_ROUGH = 4.0
"""Movement of V2 in terms of V1's; averaging over 14 bars takes away more than this, disturbances add less."""


def _agree(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    if left.dtype == np.float64:
        return close_to(left, right)
    return (left == right) | (pd.isna(left) & pd.isna(right))


@column_shape("history begins later", FEW)
def history_begins_later(difference: Difference) -> Finding | None:
    """V2 starts anew inside the series: it is in its warm-up where V1 is not.

    V2 must become null for a while, or count from 1, at a session's open inside V1's history.
    """
    if not difference.is_number or not difference.sides.session_rows:
        return None
    starts = {int(rows[0]) for rows in difference.sides.session_rows}
    affected = difference.affected_series
    for rows in affected:
        first = rows[np.argmax(difference.unequal[rows])]
        is_inside = first != rows[0] or _is_late(difference, first)
        begins = difference.null2[first] and not difference.null1[first]
        if difference.column.name == "bars_of_history":
            begins = difference.v2[first] == 1
        is_over = difference.null2[rows].all()
        if int(first) not in starts or not is_inside or not begins or is_over:
            return None
        if first != rows[0] and difference.null1[first - 1]:
            return None
    return Finding(
        "V2 knows no bars from before a session's open and warms up again",
        {"series": len(affected)},
    )


def _is_late(difference: Difference, row: int) -> bool:
    history = difference.sides.bars_of_history
    return history is not None and history[row] > 1


@column_shape("other number of bars", FEW)
def other_history(difference: Difference) -> Finding | None:
    """V2 counts more or fewer bars of history.

    All unequal cells of bars_of_history must lie on one side of V1.
    """
    pairs = difference.pairs(FEW)
    if pairs is None or difference.column.name != "bars_of_history":
        return None
    if not ((pairs[1] < pairs[0]).all() or (pairs[1] > pairs[0]).all()):
        return None
    less = "fewer" if pairs[1][0] < pairs[0][0] else "more"
    return Finding(
        f"V2 looks back over {less} bars",
        {"longest V1": pairs[0].max(), "longest V2": pairs[1].max()},
    )


@column_shape("other look-back", FEW)
def other_look_back(difference: Difference) -> Finding | None:
    """Both sides recurse alike, from another start before the rows that are stored.

    A recursive column must differ little, and less from bar to bar.

    A table with one row per series shows no decay; then the smallness alone speaks, in columns
    that have a long memory.
    """
    pairs = difference.pairs(FEW)
    if pairs is None or difference.column.name not in _RECURSIVE:
        return None
    relative = np.abs(pairs[1] - pairs[0]) / np.maximum(np.abs(pairs[0]), np.abs(pairs[1]))
    if relative.max() > _SMALL:
        return None
    affected = difference.affected_series
    evidence = {"largest relative difference": float(relative.max())}
    if any(_begins_at_head(difference, rows) for rows in affected):
        return None
    if all(len(rows) == 1 for rows in affected):
        # Small differences have other causes too: the number of bars must say so.
        if not _counts_other_bars(difference):
            return None
        return Finding(
            "recursion over another number of bars (small differences in a column of long memory)",
            evidence,
        )
    shrink = _shrink(difference)
    if shrink is None:
        return None
    return Finding(
        "the same recursion from another start: the difference shrinks exponentially",
        {**evidence, "factor per bar": shrink},
    )


def _counts_other_bars(difference: Difference) -> bool:
    matched = difference.sides.matched
    if "unequal_bars_of_history" not in matched:
        return False
    return bool(matched["unequal_bars_of_history"].to_numpy("bool")[difference.unequal].all())


def _shrink(difference: Difference) -> float | None:
    """The factor by which the difference shrinks per bar, when it falls exponentially in all series."""
    gaps = np.abs(difference.v2 - difference.v1)
    distances, logarithms = [], []
    for rows in difference.affected_series:
        rows = rows[difference.valued[rows]]
        if len(rows) >= FEW:
            distances.append(rows - rows.mean())
            logarithms.append(np.log(gaps[rows]) - np.log(gaps[rows]).mean())
    if not distances:
        return None
    distance, logarithm = np.concatenate(distances), np.concatenate(logarithms)
    is_straight = np.corrcoef(distance, logarithm)[0, 1] < -_STRAIGHT
    slope = float((distance * logarithm).sum() / (distance**2).sum())
    return float(np.exp(slope)) if is_straight else None


def _begins_at_head(difference: Difference, rows: np.ndarray) -> bool:
    """Whether V1 and V2 differ from the first values of the series on, and the table shows that start."""
    history = difference.sides.bars_of_history
    if history is not None and history[rows[0]] > 1:
        return False
    first = int(np.argmax(difference.unequal[rows]))
    return int((~difference.null1[rows[:first]]).sum()) <= _FIRST_VALUES


def _fades(difference: Difference, rows: np.ndarray) -> bool:
    """Whether the difference disappears before the end of the series, or is 1/100 of its largest there.

    The series must have an unequal cell with two values.
    """
    gaps = np.abs(difference.v2[rows] - difference.v1[rows])
    gaps = gaps[difference.valued[rows]]
    return bool(not difference.unequal[rows[-1]] or gaps[-1] < gaps.max() / 100)


@column_shape("seeding", FEW)
def seeding(difference: Difference) -> Finding | None:
    """The first values of a series differ and the difference fades: the recursion starts otherwise.

    The difference must begin with the first value of a series, and fade in all of them or fall exponentially.
    """
    if not difference.is_number or difference.column.name not in _RECURSIVE:
        return None
    if difference.valued.sum() < FEW or difference.null2[difference.unequal].any():
        return None
    affected = [rows for rows in difference.affected_series if difference.valued[rows].any()]
    if not any(_begins_at_head(difference, rows) for rows in affected):
        return None
    if not all(_fades(difference, rows) for rows in affected) and _shrink(difference) is None:
        return None
    gaps = np.abs(difference.v2 - difference.v1)[difference.valued]
    return Finding(
        "only the first values of a series differ, then both sides converge: another first value",
        {
            "series": len(affected),
            "largest difference": float(gaps.max()),
            "smallest difference": float(gaps.min()),
        },
    )


@column_shape("instrument mix-up", FEW)
def instrument_mix_up(difference: Difference) -> Finding | None:
    """V2 holds the values of another instrument.

    Every affected series must equal V1 of another series, at the same times.
    """
    affected = difference.affected_series
    # A few flags or labels are like those of some other instrument by chance.
    values = difference.v2[difference.unequal]
    if not difference.is_number or len(np.unique(values[~np.isnan(values)])) < FEW:
        return None
    if difference.cells < FEW or not 0 < len(affected) <= 20:
        return None
    order = difference.sides.matched[difference.sides.order_names]
    instruments = difference.sides.instrument
    sources = {}
    for rows in affected:
        for other in difference.sides.series_rows:
            if len(other) != len(rows) or len(rows) < FEW or other[0] == rows[0]:
                continue
            if not _agree(difference.v2[rows], difference.v1[other]).all():
                continue
            if (order.iloc[rows].to_numpy() == order.iloc[other].to_numpy()).all():
                sources[instruments[rows[0]]] = instruments[other[0]]
                break
        else:
            return None
    wrong, source = next(iter(sources.items()))
    return Finding(
        f"V2 holds the values of another instrument ({wrong} those of {source})",
        {"instruments": len(sources)},
    )


@column_shape("reversed in time", FEW)
def reversed_in_time(difference: Difference) -> Finding | None:
    """V2 was computed from the newest bar to the oldest.

    V2 must be V1 mirrored, per session or series; or begin each session with V1's last value.
    """
    if not difference.is_number or not difference.sides.is_in_time_order:
        return None
    for words, groups in (
        ("session", difference.sides.session_rows),
        ("series", difference.sides.series_rows),
    ):
        groups = [rows for rows in groups if len(rows) >= FEW and difference.unequal[rows].any()]
        mirrored = all(
            _agree(difference.v2[rows], difference.v1[rows[::-1]]).all() for rows in groups
        )
        if groups and mirrored:
            return Finding(f"V2 is V1 mirrored in time within each {words}", {words: len(groups)})
    groups = [rows for rows in difference.sides.session_rows if len(rows) >= FEW]
    firsts = np.array([rows[0] for rows in groups], dtype=int)
    lasts = np.array([rows[-1] for rows in groups], dtype=int)
    agree = close_to(difference.v2[firsts], difference.v1[lasts])
    if len(groups) < FEW or not (agree & ~difference.null2[firsts]).all():
        return None
    return Finding(
        "V2 has at each session's first bar what V1 has at its last: bars were fed newest first",
        {"sessions": len(groups)},
    )


@column_shape("shift", FEW)
def shift(difference: Difference) -> Finding | None:
    """V2 has V1's values some bars away.

    V2 must equal V1 k rows later or earlier, in every unequal cell that has such a row.
    """
    if not difference.sides.is_in_time_order:
        return None
    longest = max(len(rows) for rows in difference.sides.series_rows)
    is_flag = difference.column.kind in (Kind.BOOLEAN, Kind.NULLABLE_BOOLEAN)
    fewest = _FEWEST_FLAGS if is_flag else FEW
    series, cells = difference.sides.series, np.flatnonzero(difference.unequal)
    for distance in range(1, min(longest - 1, _LONGEST_SHIFT) + 1):
        for signed in (distance, -distance):
            partners = cells + signed
            exists = (partners >= 0) & (partners < len(series))
            exists[exists] = series[partners[exists]] == series[cells[exists]]
            own, partner = cells[exists], partners[exists]
            valued = ~difference.null2[own]
            # Half of the cells and a few values: less would be a coincidence.
            if valued.sum() < fewest or 2 * len(own) < len(cells):
                continue
            if not _agree(difference.v2[own], difference.v1[partner]).all():
                continue
            direction = "later (looking ahead)" if signed > 0 else "earlier"
            return Finding(
                f"V2 has at a bar what V1 has {distance} bars {direction}",
                {"cells with such a bar": len(own)},
            )
    return None


@column_shape("other order", FEW)
def other_order(difference: Difference) -> Finding | None:
    """V2 has the same values within a series, in rows that are numbered otherwise.

    Sorted, the values of every affected series must be equal; rows in time cannot be reordered.
    """
    if difference.sides.is_in_time_order:
        return None
    if difference.cells < 2 or difference.column.kind in (Kind.BOOLEAN, Kind.NULLABLE_BOOLEAN):
        return None
    for rows in difference.affected_series:
        v1, v2 = pd.Series(difference.v1[rows]), pd.Series(difference.v2[rows])
        sorted1, sorted2 = (side.sort_values().to_numpy() for side in (v1, v2))
        if len(rows) < 2 or not _agree(sorted1, sorted2).all():
            return None
    return Finding(
        "V2 has the values of V1 in another order of rows",
        {"series": len(difference.affected_series)},
    )


@column_shape("untraded bars", FEW)
def untraded_bars(difference: Difference) -> Finding | None:
    """Only bars without volume differ.

    Every unequal cell must be at a bar without volume so far, while traded bars agree.
    """
    untraded = difference.sides.untraded
    if untraded is None or untraded.all() or not untraded[difference.unequal].all():
        return None
    return Finding("only bars without volume differ", {"such bars": int(untraded.sum())})


@column_shape("shorter warm-up", FEW)
def shorter_warm_up(difference: Difference) -> Finding | None:
    """V2 has values before V1 has its first.

    Every unequal cell must be before V1's first value of the series.
    """
    return _warm_up(difference, difference.null1, "V2 has values before V1's warm-up is over")


@column_shape("longer warm-up", FEW)
def longer_warm_up(difference: Difference) -> Finding | None:
    """V2 has no value yet where V1 has its first.

    Every unequal cell must be before V2's first value of the series.
    """
    return _warm_up(difference, difference.null2, "V2 needs more bars before its first value")


def _warm_up(difference: Difference, null: np.ndarray, cause: str) -> Finding | None:
    if not difference.is_number and difference.column.kind not in (Kind.DAY, Kind.TIMESTAMP):
        return None
    longest = 0
    for rows in difference.affected_series:
        warm = np.flatnonzero(~null[rows])
        first_value = warm[0] if len(warm) else len(rows)
        if difference.unequal[rows[first_value:]].any():
            return None
        longest = max(longest, int(difference.unequal[rows].sum()))
    return Finding(cause, {"bars of a series at most": longest})


@column_shape("not smoothed", _MOVES)
def not_smoothed(difference: Difference) -> Finding | None:
    """V2 jumps from bar to bar where V1 is an average over time.

    In every affected series V2 must move several times as much as V1, at about the same level.
    """
    if not difference.is_number or not difference.sides.is_in_time_order:
        return None
    factors = []
    for rows in difference.affected_series:
        valued = rows[~difference.null1[rows] & ~difference.null2[rows]]
        v1, v2 = difference.v1[valued], difference.v2[valued]
        # A single other bar also moves: up to it and back.
        if difference.unequal[valued].sum() < _MOVES or not 0.5 <= np.mean(v2) / np.mean(v1) <= 2:
            return None
        factors.append(np.abs(np.diff(v2)).sum() / np.abs(np.diff(v1)).sum())
    if not factors or min(factors) < _ROUGH:
        return None
    return Finding(
        "V2 moves much more from bar to bar around the same level: the averaging is missing",
        {"movement V2 / V1 at least": float(min(factors))},
    )


FIRST_SHAPES = (history_begins_later, other_history, other_order)
"""Asked before the shapes of values: changed places and lengths can look like a factor or a limit."""
TIME_SHAPES = (
    other_look_back,
    instrument_mix_up,
    reversed_in_time,
    shift,
    seeding,
    untraded_bars,
    shorter_warm_up,
    longer_warm_up,
    not_smoothed,
)
"""From specific to general."""
