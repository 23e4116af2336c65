"""The rules of the contract of a table, for one day and for several in one pass."""

from __future__ import annotations

import pandas as pd
import pytest

from setbull_pipelines.quality.contract import contract_rules
from setbull_pipelines.quality.verdict import Verdict
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables import CANDLES_5MIN
from setbull_pipelines.warehouse.pointers import StoredTable

STORED = StoredTable("v1", CANDLES_5MIN)


def candle(day: str, **values: object) -> pd.DataFrame:
    row = {
        "instrument_key": "NSE_EQ|A",
        "timestamp": pd.Timestamp(f"{day} 09:15", tz="Asia/Kolkata"),
        "trading_day": pd.Timestamp(day),
        **dict.fromkeys(("open", "high", "low", "close"), 100.0),
        "volume": 10,
        "open_interest": pd.NA,
        **dict.fromkeys(("minutes_traded", "minutes_present", "minutes_expected"), 5),
        "is_complete": True,
    }
    return CANDLES_5MIN.conform(pd.DataFrame([row])).assign(**values)


def judged(name: str, *frames: pd.DataFrame) -> list[Verdict]:
    (rule,) = (rule for rule in contract_rules(STORED) if rule.name == name)
    days = [{STORED.name: frame} for frame in frames]
    alone = [rule.judge(of_day, pd.NaT, Settings()) for of_day in days]
    if rule.judge_together is not None:
        assert rule.judge_together(days, Settings()) == alone
    return alone


GOOD = candle("2026-06-29"), candle("2026-06-30")


def test_days_that_keep_the_contract_pass_together_as_each_alone() -> None:
    assert [verdict.passed for verdict in judged("schema", *GOOD)] == [True, True]


def test_columns_in_another_order_are_not_those_of_the_contract() -> None:
    turned = GOOD[0][CANDLES_5MIN.column_names[::-1]]
    assert [verdict.passed for verdict in judged("schema", turned, GOOD[1])] == [False, True]


def test_only_the_day_that_breaks_the_contract_fails_and_says_where() -> None:
    found = judged("schema", GOOD[0], candle("2026-06-30", volume=-1))
    assert [verdict.passed for verdict in found] == [True, False]
    assert found[1].description.startswith("1 violations: volume: ")
    assert found[1].metadata == {"rows": 1, "violations": 1}


def test_a_key_twice_is_named() -> None:
    (verdict,) = judged("keys_unique", pd.concat([GOOD[0], GOOD[0]]))
    assert not verdict.passed
    assert verdict.description.startswith(
        "1 violations: first repeated key instrument_key NSE_EQ|A"
    )


@pytest.mark.parametrize(
    ("column", "value", "passed"),
    [
        ("high", 100.0, True),
        ("high", 99.99, False),
        ("low", 100.0, True),
        ("low", 100.01, False),
        ("open", 100.01, False),
        ("close", 99.99, False),
    ],
)
def test_no_price_lies_outside_high_and_low(column: str, value: float, passed: bool) -> None:
    (verdict,) = judged("ohlc", candle("2026-06-30", **{column: value}))
    assert verdict.passed is passed
