"""What run patterns are judged by, on days worked out by hand; and the figures of their page, on the real prices.

Belongs here: ``benchmarks/patterns.py`` and ``docs/patterns.md``. Does not belong here: the patterns themselves
(``variants/test_run_patterns.py``).
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.patterns import AGAIN, ANY_DAY, ANY_RUN, PATTERNS, PROFIT, compared, days_of, report
from setbull_pipelines_tests.documents import PROJECT
from setbull_pipelines_tests.variants.frames import trading_days

RISES = [100.0, 101, 102, 103, 104, 110, 108, 107, 106, 105]
"""Closes of ten days; each day opens where the one before closed."""


def analysis(kinds: str, closes: list[float] = RISES, **changes: object) -> pd.DataFrame:
    """Days of one stock in a BULLISH trend, M with a mamba run and N with another one."""
    rows = pd.DataFrame(
        {
            "instrument_key": "NSE_EQ|WORKED",
            "trading_day": trading_days("2025-06-02", len(kinds)),
            "open": [100.0, *closes[:-1]],
            "close": closes,
            "trend": "BULLISH",
            "trend_reason": None,
            "current_kind": ["MAMBA" if kind == "M" else "NON_MAMBA" for kind in kinds],
            "unexplained_gap": np.nan,
            **{name: pd.array([kind == "M" for kind in kinds], "boolean") for name in PATTERNS},
        }
    )
    return rows.assign(**changes)


def test_what_follows_a_day_is_from_the_next_open_to_the_fifth_close() -> None:
    days = days_of(analysis("NMMNNNNNMN"))
    assert len(days.gain) == 5  # the last five have no fifth session after them
    # Day 1 opens the next at 100 and closes the fifth after at 110; the others likewise.
    expected = [10.0, 100 * (108 / 101 - 1), 100 * (107 / 102 - 1), 100 * (106 / 103 - 1)]
    assert days.gain[:4].tolist() == pytest.approx(expected)
    assert days.gain[4] == pytest.approx(100 * (105 / 104 - 1))
    assert days.came[PROFIT].tolist() == [1, 1, 1, 1, 1]
    # The next mamba days are 2, 3 and 9, counted from 1.
    assert days.came[AGAIN].tolist() == [1, 1, 0, 1, 1]
    assert days.began[ANY_DAY].all()
    for name in (ANY_RUN, *PATTERNS):
        assert days.began[name].tolist() == [False, True, False, False, False], name


def test_a_profit_in_a_bearish_trend_is_a_fall() -> None:
    days = days_of(analysis("NNNNNNNNNN", trend="BEARISH"))
    assert (days.gain < 0).all()
    assert days.came[PROFIT].tolist() == [0] * 5
    turned = analysis("NMNNNNNNNN")
    turned.loc[5:, "trend"] = "BEARISH"
    turned.loc[6, "current_kind"] = "MAMBA"
    assert days_of(turned).came[AGAIN].tolist() == [1, 0, 0, 0, 0]  # one of another trend is none


@pytest.mark.parametrize(
    ("changes", "left"),
    [
        ({"trend": "NEUTRAL"}, 0),
        ({"trend_reason": "insufficient_history"}, 0),
        ({"unexplained_gap": [np.nan, 0.5] + [np.nan] * 8}, 4),
        ({"open": [100.0, *RISES[:6], 50.0, 107, 106]}, 2),  # the eighth day opened at half
    ],
)
def test_days_without_a_judgement_are_left_out(changes: dict[str, object], left: int) -> None:
    assert len(days_of(analysis("N" * 10, **changes)).gain) == left


def test_days_before_a_long_pause_are_left_out() -> None:
    days = trading_days("2025-06-02", 10)
    later = [*days[:7], *(day + pd.Timedelta(days=30) for day in days[7:])]
    assert len(days_of(analysis("N" * 10, trading_day=later)).gain) == 2


def test_a_difference_is_that_of_means_and_whole_months_are_drawn() -> None:
    days = days_of(analysis("N" * 10))
    months = np.array([1, 1, 2, 2, 2])
    days = days.__class__(**vars(days) | {"month": months})
    everything, first = np.ones(5, dtype=bool), np.array([True, False, True, False, False])
    own, more = compared(days, first, everything, np.array([1.0, 0, 1, 0, 0]))
    assert (own.value, own.low, own.high) == (1, 1, 1)
    assert more.value == pytest.approx(1 - 2 / 5)
    # A draw has one of the months twice, or both: 1 - 1/2, 1 - 1/3 or 1 - 2/5.
    assert (more.low, more.high) == pytest.approx((1 / 2, 2 / 3))
    assert more.is_apart_from_zero
    same, none = compared(days, everything, everything, np.array([1.0, 0, 1, 0, 0]))
    assert (same.value, none.value) == pytest.approx((0.4, 0))
    assert not none.is_apart_from_zero


NUMBER = re.compile(r"[+-]?\d[\d,]*(?:\.\d+)?")


@pytest.mark.scenario
def test_the_figures_of_the_page(shared_data: Path) -> None:
    """Texts and counts are the same, and the last digit of a share may be rounded the other way."""
    page = (PROJECT / "docs" / "patterns.md").read_text("utf-8")
    shown = page[page.index("### Judged") :].strip()
    found = report(shared_data)
    assert NUMBER.sub("#", shown).replace("**", "") == NUMBER.sub("#", found).replace("**", "")
    pairs = list(zip(NUMBER.findall(shown), NUMBER.findall(found), strict=True))
    assert len(pairs) > 400
    for said, computed in pairs:
        is_share = "." in said
        one, other = (float(number.replace(",", "")) for number in (said, computed))
        assert abs(one - other) <= (0.11 if is_share else 0), (said, computed)
