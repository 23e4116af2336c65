"""Recognisers of means and deviations that are divided by another number.

Belongs here: sample and population, counts of a row. Does not belong here: other relations to V1's value
(``value_shapes``, which says when these are asked).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from setbull_pipelines.reconciliation.finding import EXACT_MATCH, FEW, Finding, column_shape
from setbull_pipelines.reconciliation.sides import Difference, close_to

_LARGEST_WINDOW = 1000
_MIDDLE = "bb_middle"


@column_shape("sample deviation", FEW)
def sample_deviation(difference: Difference) -> Finding | None:
    """A deviation divides by n on one side and by n - 1 on the other.

    The distances from 0, 1 or the middle band must have the constant ratio sqrt(n / (n - 1)).
    """
    pairs = difference.pairs(FEW)
    if pairs is None:
        return None
    for origin, centre in _centres(difference):
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = (pairs[1] - centre) / (pairs[0] - centre)
        ratio = float(np.median(ratios))
        if not np.allclose(ratios, ratio, rtol=1e-6, atol=0) or not 0 < ratio != 1:
            continue
        square = max(ratio, 1 / ratio) ** 2
        window = 1 / (1 - 1 / square) if square > 1 + 1e-6 else math.inf
        if not 1.5 < window < _LARGEST_WINDOW or abs(window - round(window)) > 1e-4 * window:
            continue
        side, other = ("sample", "population") if ratio > 1 else ("population", "sample")
        return Finding(
            f"V2 uses the {side} deviation, V1 the {other} deviation, of {round(window)} values"
            f"{origin}: the ratio is sqrt(n / (n - 1))",
            {"ratio": ratio, "n": round(window)},
        )
    return None


def _centres(difference: Difference) -> Iterator[tuple[str, np.ndarray | float]]:
    yield "", 0.0
    if _MIDDLE in difference.sides.table.column_names:
        yield ", measured from the middle band", difference.sides.v1(_MIDDLE)[difference.unequal]
    yield ", measured from 1", 1.0


@column_shape("divisor off by one", EXACT_MATCH)
def divisor_off_by_one(difference: Difference) -> Finding | None:
    """A mean or variance divides by a count of the row on one side, by one more or less on the other.

    The ratio must be n / (n + 1) or (n - 1) / n, either way round, with n a column of the row.

    A mean over nothing is null on one side and 0 on the other.
    """
    if not difference.is_number or difference.valued.sum() < 2:
        return None
    rest = difference.unequal & ~difference.valued
    empty = np.where(difference.null1, difference.v2, difference.v1)[rest]
    if (empty != 0).any():
        return None
    v1, v2 = difference.v1[difference.valued], difference.v2[difference.valued]
    for origin, centre in (("", 0.0), ("1 - ", 1.0)):
        if (v1 == centre).any():
            continue
        ratios = (v2 - centre) / (v1 - centre)
        for name in difference.other_counts:
            count = difference.sides.v1(name)[difference.valued]
            with np.errstate(divide="ignore", invalid="ignore"):
                candidates = {
                    f"{name} + 1 instead of {name}": count / (count + 1),
                    f"{name} instead of {name} + 1": (count + 1) / count,
                    f"{name} instead of {name} - 1": (count - 1) / count,
                    f"{name} - 1 instead of {name}": count / (count - 1),
                }
            for words, expected in candidates.items():
                if (close_to(ratios, expected) & np.isfinite(expected)).all():
                    return Finding(
                        f"{origin}V2 divides by {words}, as a sample and a population do",
                        {"smallest ratio": ratios.min(), "largest ratio": ratios.max()},
                    )
    return None


@column_shape("other count", EXACT_MATCH)
def other_count(difference: Difference) -> Finding | None:
    """A mean or share is over another number of things.

    The ratio must be that of two counts of the row, and not the same in all rows.
    """
    pairs = difference.pairs(2)
    if pairs is None or (pairs[0] == 0).any():
        return None
    ratios = pairs[1] / pairs[0]
    if close_to(ratios, np.full(len(ratios), ratios[0])).all():
        return None
    counts = {
        name: difference.sides.v1(name)[difference.unequal] for name in difference.other_counts
    }
    for above, numerator in counts.items():
        for below, denominator in counts.items():
            if (denominator > 0).all() and close_to(ratios * denominator, numerator).all():
                return Finding(
                    f"V2 / V1 is {above} / {below}: other things are counted",
                    {"smallest ratio": ratios.min(), "largest ratio": ratios.max()},
                )
    return None
