"""Stops, levels and quantities against the examples of the replaced system and worked ones."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from setbull_pipelines.groups.levels import levels_of, rounded_to_step


@pytest.mark.parametrize(
    ("direction", "stop", "prices"),
    [
        ("LONG", 99.50, [100, 100.15, 100.25, 100.40, 100.50]),
        ("SHORT", 100.50, [100, 99.90, 99.75, 99.65, 99.50]),
    ],
)
def test_the_examples_of_the_replaced_system(
    direction: str, stop: float, prices: list[float]
) -> None:
    levels = levels_of(100.0, direction, 0.5, 50.0, "DYNAMIC")
    assert levels.stop == stop
    assert list(levels.prices.values()) == prices
    assert levels.risk_per_share == 0.5
    assert levels.quantity == 100


@pytest.mark.parametrize(
    ("price", "rounded"),
    [
        ("10.00", "10.00"),
        ("10.02", "10.00"),
        ("10.024", "10.00"),
        ("10.025", "10.05"),  # 10.03 to the nearest paisa
        ("10.03", "10.05"),
        ("10.07", "10.05"),
        ("10.075", "10.10"),
        ("10.08", "10.10"),
        ("10.98", "11.00"),
    ],
)
def test_steps_of_five_paise(price: str, rounded: str) -> None:
    assert rounded_to_step(Decimal(price)) == Decimal(rounded)


@pytest.mark.parametrize(
    ("position_type", "risk", "quantity", "legs"),
    [
        ("DYNAMIC", 50.0, 100, [20, 20, 20, 20, 20]),
        ("DYNAMIC", 51.6, 103, [21, 21, 21, 20, 20]),
        ("DYNAMIC", 1.0, 2, [1, 1, 0, 0, 0]),
        ("FIXED", 50.0, 100, [100, 10, 10, 10, 10]),
        ("FIXED", 52.5, 105, [105, 11, 11, 11, 11]),
        ("FIXED", 0.4, 0, [0, 0, 0, 0, 0]),
    ],
)
def test_legs(position_type: str, risk: float, quantity: int, legs: list[int]) -> None:
    levels = levels_of(100.0, "LONG", 0.5, risk, position_type)
    assert levels.quantity == quantity
    assert list(levels.legs.values()) == legs


def test_a_stop_on_the_entry_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a stop 0\.01 % from 10\.00 falls on the entry"):
        levels_of(10.0, "LONG", 0.01, 50.0, "DYNAMIC")


@given(
    paise=st.integers(100, 10_000_000),
    direction=st.sampled_from(["LONG", "SHORT"]),
    percent=st.floats(0.01, 5.0),
    risk=st.floats(1, 100_000),
)
def test_the_loss_never_passes_the_risk_and_levels_move_away_from_the_stop(
    paise: int, direction: str, percent: float, risk: float
) -> None:
    try:
        levels = levels_of(paise / 100, direction, percent, risk, "DYNAMIC")
    except ValueError:
        return
    distance = abs(Decimal(paise) / 100 - Decimal(repr(levels.stop)))
    assert levels.quantity * distance <= Decimal(repr(risk)) < (levels.quantity + 1) * distance
    assert sum(levels.legs.values()) == levels.quantity
    prices = list(levels.prices.values())
    assert prices[1:] == sorted(prices[1:], reverse=direction == "SHORT")
    assert int(Decimal(repr(levels.stop)) * 100) % 5 == 0
