"""The ratio that would explain an overnight gap: usual splits and bonuses, written as the exchange writes them."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

import pandas as pd
import pytest

from setbull_pipelines.quality.gaps import COLUMNS, Gap, gaps_in, is_hundredfold, nearest_ratio


@pytest.mark.parametrize(
    ("opened_at", "looks_like"),
    [
        (0.5, "1:2"),  # a split of one share into two
        (0.2, "1:5"),
        (0.1, "1:10"),
        (0.01, "1:100"),
        (2 / 3, "2:3"),  # a bonus of one share for two
        (0.75, "3:4"),  # one for three
        (0.4, "2:5"),  # three for two
        (10.0, "10:1"),  # ten old shares become one
        (2.0, "2:1"),
        (0.53, "1:2"),  # the day's own move is 6 %
        (0.47, "1:2"),
        (0.55, "3:5"),  # 2 shares for 1 would leave a rise of 10 %, 5 for 3 a fall of 8.3 %
        (5 / 6 * 1.13, None),  # no ratio is as near as 12 %
        (0.008, None),
    ],
)
def test_a_gap_looks_like_the_nearest_usual_ratio(opened_at: float, looks_like: str | None) -> None:
    gap = Gap("NSE_EQ|A", date(2026, 6, 30), opened_at, nearest_ratio(opened_at))
    assert gap.looks_like == looks_like


@pytest.mark.parametrize(
    ("opened_at", "is_so"),
    [(100.0, True), (0.01, True), (80.0, True), (79.0, False), (1 / 125, True), (126.0, False)],
)
def test_prices_a_hundred_times_apart_could_be_rupees_and_paise(
    opened_at: float, is_so: bool
) -> None:
    assert is_hundredfold(opened_at) is is_so


def test_a_gap_is_told_once_and_that_of_the_exchange_counts() -> None:
    earlier, later = pd.Timestamp("2026-06-29"), pd.Timestamp("2026-06-30")
    rows = [
        ("NSE_EQ|B", "minutes", 0.51, later),
        ("NSE_EQ|B", "exchange", 0.5, later),
        ("NSE_EQ|B", "exchange", 0.5, later),  # every day of its look-back tells of it
        ("NSE_EQ|A", "minutes", 0.2, later),
        ("NSE_EQ|C", "exchange", 1.3, earlier),
        ("NSE_EQ|D", "exchange", None, pd.NaT),
    ]
    assert gaps_in(pd.DataFrame(rows, columns=COLUMNS)) == [
        Gap("NSE_EQ|C", earlier.date(), 1.3, nearest_ratio(1.3)),
        Gap("NSE_EQ|A", later.date(), 0.2, Fraction(5)),
        Gap("NSE_EQ|B", later.date(), 0.5, Fraction(2)),
    ]
