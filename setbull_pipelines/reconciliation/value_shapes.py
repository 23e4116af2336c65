"""Recognisers of how V2's value of a cell follows from V1's values of the same row.

Belongs here: nulls, factors, bases, columns mixed up. Does not belong here: what a mean or a deviation is divided by
(``divisor_shapes``), shapes along time (``time_shapes``) and how far a difference reaches (``extent_shapes``).
"""

from __future__ import annotations

import numpy as np

from setbull_pipelines.reconciliation.divisor_shapes import (
    divisor_off_by_one,
    other_count,
    sample_deviation,
)
from setbull_pipelines.reconciliation.finding import (
    EXACT_MATCH,
    FEW,
    LITERAL,
    Finding,
    column_shape,
)
from setbull_pipelines.reconciliation.sides import Difference, close_to

_NO_CHANCE = 20
"""Differences that chance gives one sign once in a million times."""
_MIDDLE = "bb_middle"


@column_shape("null versus zero", LITERAL)
def null_against_zero(difference: Difference) -> Finding | None:
    """Null on one side is 0 on the other.

    Every unequal cell must be a pair of null and 0.
    """
    if not difference.is_number:
        return None
    unequal = difference.unequal
    v2_is_zero = difference.null1[unequal] & (difference.v2[unequal] == 0)
    v1_is_zero = difference.null2[unequal] & (difference.v1[unequal] == 0)
    if not (v2_is_zero | v1_is_zero).all():
        return None
    if v2_is_zero.all():
        return Finding("V2 stores 0 where V1 has no value")
    if v1_is_zero.all():
        return Finding("V2 has no value where V1 is 0")
    return Finding("null on one side is 0 on the other")


@column_shape("values lost", LITERAL)
def values_lost(difference: Difference) -> Finding | None:
    """V2 has no value in any row of the affected series.

    Every affected series must be null throughout in V2.
    """
    unequal = difference.unequal
    if (difference.null1[unequal] | ~difference.null2[unequal]).any():
        return None
    affected = difference.affected_series
    if not all(difference.null2[rows].all() for rows in affected):
        return None
    return Finding(
        "V2 has no value in any row of the series",
        {"series": len(affected), "of": len(difference.sides.series_rows)},
    )


@column_shape("zero instead of a value", LITERAL)
def zero_for_value(difference: Difference) -> Finding | None:
    """V2 is 0 wherever it differs.

    Every unequal cell must be 0 in V2.
    """
    if not difference.is_number or (difference.v2[difference.unequal] != 0).any():
        return None
    return Finding("V2 is 0 wherever it differs")


@column_shape("constant value", FEW)
def constant_value(difference: Difference) -> Finding | None:
    """V2 has the same value in every row.

    V2 must have one value in at least two rows, where V1 has several.
    """
    v2 = difference.v2
    if len(v2) < 2 or difference.null2.any() or (v2 != v2[0]).any():
        return None
    if len(set(difference.v1.tolist())) < 2:
        return None
    (value,) = v2[:1].tolist()
    return Finding(f"V2 is {value} in every row", {"rows": len(difference.v2)})


@column_shape("limited", FEW)
def limited(difference: Difference) -> Finding | None:
    """V2 stops at a limit that V1 exceeds.

    V2 must be one number where it differs, exceeded by V1 there and by V2 nowhere.
    """
    pairs = difference.pairs(FEW)
    if pairs is None or len(np.unique(pairs[1])) > 1 or len(np.unique(pairs[0])) < 2:
        return None
    limit = pairs[1][0]
    if (pairs[0] > limit).all() and np.nanmax(difference.v2) <= limit:
        return Finding(f"V2 is limited to at most {limit:g}")
    if (pairs[0] < limit).all() and np.nanmin(difference.v2) >= limit:
        return Finding(f"V2 is limited to at least {limit:g}")
    return None


@column_shape("ratio instead of rupees", FEW)
def ratio_for_rupees(difference: Difference) -> Finding | None:
    """One side is a ratio to the middle band, the other an amount.

    The quotient of both sides must be V1's middle band of the row.
    """
    pairs = difference.pairs(FEW)
    if pairs is None or _MIDDLE not in difference.sides.table.column_names:
        return None
    v1, v2 = pairs
    middle = difference.sides.v1(_MIDDLE)[difference.unequal]
    if close_to(v1, v2 * middle).all():
        return Finding("V1 / V2 is the middle band: V2 is a ratio, V1 an amount in rupees")
    if close_to(v2, v1 * middle).all():
        return Finding("V2 / V1 is the middle band: V2 is an amount in rupees, V1 a ratio")
    return None


@column_shape("sum instead of last", FEW)
def sum_for_last(difference: Difference) -> Finding | None:
    """Open interest is added up over the minutes of a bar; it is a level, not a flow.

    V2 must exceed V1, by about the number of minutes, and agree in bars of one minute.
    """
    pairs = difference.pairs(FEW)
    if pairs is None or difference.column.name != "open_interest":
        return None
    if "v1_minutes_present" not in difference.sides.matched:
        return None
    minutes = difference.sides.v1("minutes_present")[difference.unequal]
    ratios = pairs[1] / np.maximum(pairs[0], 1)
    per_minute = float(np.median(ratios / minutes))
    if (pairs[1] < pairs[0]).any() or (minutes < 2).any() or not 0.5 <= per_minute <= 2:
        return None
    return Finding(
        "V2 adds the open interest of the minutes, V1 takes the last",
        {
            "median V2 / V1": float(np.median(ratios)),
            "median minutes": float(np.median(minutes)),
        },
    )


@column_shape("constant factor", FEW)
def constant_factor(difference: Difference) -> Finding | None:
    """V2 is V1 times one number.

    All quotients must be equal; whole numbers may be rounded after multiplying.
    """
    pairs = difference.pairs(FEW)
    if pairs is None or (pairs[0] == 0).any() or len(np.unique(pairs[0])) < 2:
        return None
    v1, v2 = pairs
    factor = float(np.median(v2 / v1))
    agrees = close_to(v2, factor * v1)
    if difference.is_whole_number and np.median(np.abs(v1)) >= 100 and abs(factor - 1) > 0.01:
        # From rounded numbers the factor itself is known to 1e-4 only.
        agrees |= np.abs(v2 - factor * v1) <= 1 + 1e-4 * np.abs(v2)
    if not agrees.all():
        return None
    known = {100: " (percent and ratio)", 0.01: " (ratio and percent)"}
    # Of a factor near 1 six digits would say 1.
    shown = f"{factor:.6g}" if abs(factor - 1) > 1e-4 else f"(1 {factor - 1:+.3g})"
    return Finding(f"V2 is V1 x {shown}{known.get(round(factor, 9), '')}", {"factor": factor})


@column_shape("other base", EXACT_MATCH)
def other_base(difference: Difference) -> Finding | None:
    """A relative change is measured from its other end.

    V2 must be x / (1 + x) or x / (1 - x) of V1's x, as a ratio or in percent.
    """
    pairs = difference.pairs(2)
    scale = {"percent": 100.0, "ratio": 1.0}.get(difference.column.unit or "")
    if pairs is None or scale is None:
        return None
    change = pairs[0] / scale
    with np.errstate(divide="ignore"):
        ends = {"end": change / (1 + change), "other side": change / (1 - change)}
    for end, expected in ends.items():
        if close_to(pairs[1] / scale, expected).all():
            return Finding(f"V2 measures the change from its {end}, not from V1's base")
    return None


@column_shape("first one left out", FEW)
def first_left_out(difference: Difference) -> Finding | None:
    """A change is measured from the first member of a group, not from what came before it.

    V2 must be 0 exactly in the rows whose group has one member, and V1 in none of these.
    """
    pairs = difference.pairs(FEW)
    if pairs is None:
        return None
    is_zero = pairs[1] == 0
    for name in difference.other_counts:
        is_alone = difference.sides.v1(name)[difference.unequal] == 1
        if is_alone.sum() >= FEW and not is_alone.all() and (is_alone == is_zero).all():
            return Finding(
                f"V2 is 0 exactly where {name} is 1: the first member itself is the base",
                {"such cells": int(is_alone.sum())},
            )
    return None


@column_shape("RS instead of RSI", FEW)
def strength_for_index(difference: Difference) -> Finding | None:
    """The relative strength itself instead of the index made of it.

    V1 must be 100 - 100 / (1 + V2); without losses RS has no value and the index is 100.
    """
    if difference.column.name != "rsi" or difference.valued.sum() < FEW:
        return None
    v1, v2 = difference.v1[difference.unequal], difference.v2[difference.unequal]
    expected = np.where(np.isnan(v2), 100.0, 100 - 100 / (1 + v2))
    if not close_to(v1, expected).all():
        return None
    return Finding("V1 = 100 - 100 / (1 + V2): V2 is average gain / average loss")


@column_shape("constant offset", FEW)
def constant_offset(difference: Difference) -> Finding | None:
    """V2 is V1 plus one number.

    All differences must be equal.
    """
    pairs = difference.pairs(2 if difference.is_whole_number else FEW)
    # Of one pair over and over, a factor and a limit say as much.
    if pairs is None or len(np.unique(pairs[0])) < 2:
        return None
    offset = float(np.median(pairs[1] - pairs[0]))
    if not close_to(pairs[1], pairs[0] + offset).all():
        return None
    return Finding(f"V2 is V1 {offset:+g}", {"offset": offset})


@column_shape("column mix-up", FEW)
def column_mix_up(difference: Difference) -> Finding | None:
    """V2 holds another column of V1.

    V2 must equal another column in every row, with more than one value, at least 3 of them.
    """
    if len(set(difference.v2[~difference.null2].tolist())) < 2 or len(difference.v2) < FEW:
        return None
    for column in difference.sides.table.value_columns:
        other = difference.sides.v1(column.name)
        if column.name == difference.column.name or other.dtype != difference.v2.dtype:
            continue
        if difference.is_number:
            agrees = close_to(other, difference.v2)
        else:
            agrees = other == difference.v2
            if column.kind is not difference.column.kind:
                continue
        if agrees.all():
            return Finding(
                f"V2 holds {column.name} of V1", {"rows in which it does": len(difference.v2)}
            )
    return None


@column_shape("one-sided", _NO_CHANCE)
def one_sided(difference: Difference) -> Finding | None:
    """V2 is never above, or never below V1.

    All unequal cells must differ to the same side, too many of them for chance.
    """
    pairs = difference.pairs(_NO_CHANCE)
    if pairs is None:
        return None
    gaps = pairs[1] - pairs[0]
    if not ((gaps > 0).all() or (gaps < 0).all()):
        return None
    side, cause = ("above", "counted in or not cut off") if gaps[0] > 0 else ("below", "left out")
    return Finding(
        f"V2 is {side} V1 wherever they differ: a part of a sum or of an extreme is {cause}",
        {"median difference": float(np.median(gaps))},
    )


VALUE_SHAPES = (
    null_against_zero,
    values_lost,
    zero_for_value,
    constant_value,
    limited,
    ratio_for_rupees,
    sample_deviation,
    divisor_off_by_one,
    sum_for_last,
    constant_factor,
    other_count,
    other_base,
    first_left_out,
    strength_for_index,
)
"""From specific to general. Shapes along time come next, then ``LOOSE_VALUE_SHAPES``."""
COLUMN_SHAPES = (column_mix_up,)
LOOSE_VALUE_SHAPES = (constant_offset, one_sided)
