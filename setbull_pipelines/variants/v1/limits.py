"""V1 of comparing a computed number with a limit of the settings.

Belongs here: when a number is at, above or below a limit. Does not belong here: which limit a decision has.
"""

from __future__ import annotations

from setbull_pipelines.tables.contract import AT_LIMIT


def is_above(value: float, limit: float) -> bool:
    """Strictly above: a number that differs from the limit only by rounding is not."""
    return value > limit and not _is_at(value, limit)


def is_at_least(value: float, limit: float) -> bool:
    """Above the limit, or at it."""
    return value >= limit or _is_at(value, limit)


def _is_at(value: float, limit: float) -> bool:
    return abs(value - limit) <= AT_LIMIT * abs(limit)
