"""The rule about the daily report sees every way in which it can say something else than what is served."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from setbull_pipelines.quality.daily_report import RULES
from setbull_pipelines.quality.verdict import NOT_JUDGED, Verdict
from setbull_pipelines.settings import Settings

(RULE,) = RULES

SERVED = pd.DataFrame(
    {
        "instrument_key": ["a", "b", "c", "d"],
        "verdict": ["bullish", "bullish", "rejected", "bearish"],
        "stopped_at": [None, None, "ema", None],
        "reason": ["ok", "ok", "close 99.00 is within 3.00 % of EMA 50 100.00", "ok"],
        "close": [10.0, 20.0, 99.0, 30.0],
        "average_volume": pd.array([5, 6, 7, 8], dtype="Int64"),
        "ema_deviation": [0.1, 0.2, -0.01, -0.2],
        "rsi": [60.0, 70.0, None, 30.0],
        "mamba_count": pd.array([5, 6, None, 5], dtype="Int64"),
        "variant": ["v1", "v2", "v1", "v1"],
    }
)
SAYS = SERVED.assign(
    list=["bullish", "bullish", None, "bearish"],
    rank=pd.array([2, 1, None, 1], dtype="Int64"),
    has_chart=True,
)


def judged(says: pd.DataFrame) -> Verdict:
    frames = {"served.daily_report": says, "served.filter_results": SERVED}
    return RULE.judge(frames, pd.Timestamp("2026-06-30"), Settings())


def test_what_is_served_passes_in_any_row_order() -> None:
    for says in (SAYS, SAYS.iloc[::-1]):
        verdict = judged(says)
        assert verdict.passed, verdict.description
        assert verdict.metadata == {
            "instruments": 4,
            "with a chart": 4,
            "bullish": 2,
            "bearish": 1,
        }


def changed(column: str, row: int, value: object) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(says: pd.DataFrame) -> pd.DataFrame:
        says = says.copy()
        says.loc[row, column] = value
        return says

    return change


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda says: says.iloc[1:], "1 are missing"),
        (lambda says: pd.concat([says, says.tail(1).assign(instrument_key="e")]), "1 are not in"),
        (changed("close", 0, 10.000001), "cells that differ: close 1;"),
        (changed("rsi", 2, 0.0), "cells that differ: rsi 1;"),
        (changed("rsi", 1, None), "cells that differ: rsi 1;"),
        (changed("reason", 2, "close 99.00"), "cells that differ: reason 1;"),
        (changed("variant", 1, "v1"), "cells that differ: variant 1;"),
        (changed("mamba_count", 2, 0), "cells that differ: mamba_count 1;"),
        (lambda says: says.assign(rank=[1, 2, None, 1]), "another order: bullish"),
        (changed("list", 3, None), "another order: bearish"),
        (changed("list", 2, "bearish"), "another order: bearish"),
    ],
)
def test_whatever_is_different_fails(
    spoil: Callable[[pd.DataFrame], pd.DataFrame], words: str
) -> None:
    verdict = judged(spoil(SAYS))
    assert not verdict.passed
    assert words in verdict.description


def test_a_report_of_nobody_is_wrong_or_not_judged_when_nobody_is_served() -> None:
    wrong = judged(SAYS.iloc[:0])
    assert not wrong.passed
    assert NOT_JUDGED not in wrong.metadata
    frames = {"served.daily_report": SAYS.iloc[:0], "served.filter_results": SERVED.iloc[:0]}
    verdict = RULE.judge(frames, pd.Timestamp("2026-06-30"), Settings())
    assert not verdict.passed
    assert NOT_JUDGED in verdict.metadata
