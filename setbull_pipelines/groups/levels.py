"""Levels and quantities of one entry, as the replaced system calculated them.

Belongs here: arithmetic of a price, a stop in percent and a risk in rupees. Does not belong here: where they come
from, tables.

Prices are decimal numbers: a stop of 99.495 is rounded as what is written, not as the nearest binary fraction.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal

from setbull_pipelines.tables.groups import FIXED, LEVELS, LONG

_PAISA = Decimal("0.01")
_FIXED_SHARE = Decimal("0.1")
"""The share of the whole quantity at each level beyond the entry."""


@dataclass(frozen=True)
class Levels:
    """Prices in rupees, quantities in shares; both by the names of ``tables.groups.LEVELS``."""

    stop: float
    risk_per_share: float
    prices: dict[str, float]
    quantity: int
    legs: dict[str, int]


def rounded_to_step(price: Decimal) -> Decimal:
    """The price in steps of 0.05: to the nearest paisa, halves up, then 0-2 down to 0, 3-7 to 5, 8-9 up to 10."""
    paise = int((price / _PAISA).quantize(Decimal(1), ROUND_HALF_UP))
    tens, last = divmod(paise, 10)
    step = 0 if last <= 2 else 5 if last <= 7 else 10
    return (10 * tens + step) * _PAISA


def levels_of(
    entry: float, direction: str, stop_loss_percent: float, risk: float, position_type: str
) -> Levels:
    """Stop, levels and quantities of an entry at ``entry`` rupees that may lose ``risk`` rupees.

    The quantity can be 0. ValueError when the stop falls on the entry once both are in steps of 0.05.
    """
    price, percent = Decimal(repr(entry)), Decimal(repr(stop_loss_percent))
    sign = 1 if direction == LONG else -1
    stop = rounded_to_step(price * (1 - sign * percent / 100))
    distance = sign * (price - stop)
    if distance <= 0:
        raise ValueError(
            f"a stop {stop_loss_percent:g} % from {entry:.2f} falls on the entry in steps of 0.05"
        )
    prices = {
        name: price
        if level == 1
        else rounded_to_step(price + sign * distance * (Decimal(repr(level)) - 1))
        for name, level in LEVELS.items()
    }
    quantity = int((Decimal(repr(risk)) / distance).quantize(Decimal(1), ROUND_FLOOR))
    return Levels(
        stop=float(stop),
        risk_per_share=float(distance),
        prices={name: float(each) for name, each in prices.items()},
        quantity=quantity,
        legs=_legs(quantity, position_type),
    )


def _legs(quantity: int, position_type: str) -> dict[str, int]:
    if position_type == FIXED:
        tenth = int((quantity * _FIXED_SHARE).quantize(Decimal(1), ROUND_HALF_UP))
        return {name: quantity if level == 1 else tenth for name, level in LEVELS.items()}
    base, remainder = divmod(quantity, len(LEVELS))
    return {name: base + (number < remainder) for number, name in enumerate(LEVELS)}
