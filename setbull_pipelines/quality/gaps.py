"""Overnight gaps that no corporate action explains, and the simple ratio that would.

Belongs here: which gaps stored indicators tell of, and what is proposed for each. Does not belong here: finding gaps in
bars (``variants/``), what people decide about them (``sources/decided_actions.py``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

import pandas as pd

from setbull_pipelines.tables.columns import EXCHANGE

COLUMNS = ("instrument_key", "series", "unexplained_gap", "unexplained_gap_day")
"""The columns of ``indicators_daily`` that describe a gap."""
_NEAR = 0.12
"""How far a share may open from what a ratio alone would make of its last close."""
_SIMPLE_RATIOS = (
    *(Fraction(1, old) for old in (10, 5, 2)),
    *(Fraction(new, new - 1) for new in (6, 5, 4, 3)),
    *(Fraction(5, old) for old in (3, 2)),
    *map(Fraction, (2, 3, 4, 5, 6, 8, 10, 20, 50, 100)),
)
"""New shares per old share of the usual splits and bonuses, and of some reverse splits."""
_PAISE = (80, 125)
"""How many times apart prices in rupees and in paise can be, a day's move included."""


@dataclass(frozen=True)
class Gap:
    """A share that opened far from its last close; ``nearest`` new shares per old share would explain it."""

    instrument_key: str
    day: date
    opened_at: float
    nearest: Fraction | None

    @property
    def looks_like(self) -> str | None:
        """The ratio as people write splits, old to new shares: 1:2."""
        if self.nearest is None:
            return None
        return f"{self.nearest.denominator}:{self.nearest.numerator}"


def nearest_ratio(opened_at: float) -> Fraction | None:
    """The simple ratio of new to old shares that explains the gap best, if one is near."""
    nearest = min(_SIMPLE_RATIOS, key=lambda ratio: abs(math.log(opened_at * ratio)))
    return nearest if abs(opened_at * nearest - 1) <= _NEAR else None


def is_hundredfold(opened_at: float) -> bool:
    """Whether one of the two prices could be in paise."""
    return _PAISE[0] <= max(opened_at, 1 / opened_at) <= _PAISE[1]


def gaps_in(indicators: pd.DataFrame) -> list[Gap]:
    """Every gap that rows of ``indicators_daily`` (:data:`COLUMNS`, of any days) tell of, once, by day and key.

    Of a gap in both series that of the exchange counts.
    """
    told = indicators.dropna(subset=["unexplained_gap"])
    told = told.assign(is_other=told["series"] != EXCHANGE).sort_values("is_other", kind="stable")
    told = told.drop_duplicates(["instrument_key", "unexplained_gap_day"])
    told = told.sort_values(["unexplained_gap_day", "instrument_key"])
    return [
        Gap(
            row.instrument_key,
            row.unexplained_gap_day.date(),
            row.unexplained_gap,
            nearest_ratio(row.unexplained_gap),
        )
        for row in told.itertuples()
    ]
