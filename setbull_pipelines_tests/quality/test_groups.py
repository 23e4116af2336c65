"""Every rule about stock groups holds on good rows and fails, with a sentence, on bad ones."""

from __future__ import annotations

import pandas as pd
import pytest

from setbull_pipelines import tables
from setbull_pipelines.quality.groups import GROUPS, PLAN, REFUSED, RULES
from setbull_pipelines.quality.verdict import Verdict
from setbull_pipelines.settings import Settings

KEY = "NSE_EQ|INE002A01018"
DAY = pd.Timestamp("2026-06-30")


def frames() -> dict[str, pd.DataFrame]:
    member = {
        "group_id": "a",
        "instrument_key": KEY,
        "entry_type": "1ST_ENTRY",
        "direction": "LONG",
        "stop_loss_percent": 0.5,
        "position_type": "DYNAMIC",
    }
    planned = member | {
        "trading_day": DAY,
        "is_planned": True,
        "reason": "the group asks for this side",
        "entry_price": 100.0,
        "stop_price": 99.5,
        "risk_per_share": 0.5,
        "risk": 50.2,
        "quantity": 100,
    }
    plan = pd.DataFrame([planned], columns=PLAN.table.column_names)
    return {
        GROUPS.name: GROUPS.table.conform(pd.DataFrame([member | {"line": 2}])),
        REFUSED.name: tables.STOCK_GROUPS_QUARANTINE.empty(),
        PLAN.name: PLAN.table.conform(plan),
    }


def judge(name: str, given: dict[str, pd.DataFrame]) -> Verdict:
    (rule,) = (rule for rule in RULES if rule.name == name)
    return rule.judge({read.name: given[read.name] for read in rule.reads}, DAY, Settings())


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_good_rows_hold(rule) -> None:
    assert rule.judge(frames(), DAY, Settings()).passed


def test_a_refused_row_is_told_with_its_line() -> None:
    given = frames()
    row = {"source": "g.csv", "line": 3, "rule": "x", "reason": "Found 'b'.", "record": "{}"}
    refused = pd.DataFrame([row], columns=REFUSED.table.column_names)
    given[REFUSED.name] = REFUSED.table.conform(refused)
    verdict = judge("no_row_refused", given)
    assert not verdict.passed
    assert verdict.description == "1 rows were refused. Line 3: Found 'b'."


def test_an_instrument_without_an_answer_is_missed() -> None:
    given = frames()
    given[PLAN.name] = given[PLAN.name].iloc[:0]
    verdict = judge("every_instrument_answered", given)
    assert not verdict.passed
    assert "1 without an answer" in verdict.description


def test_an_answer_without_a_reason_is_missed() -> None:
    given = frames()
    given[PLAN.name]["reason"] = ""
    assert not judge("every_instrument_answered", given).passed


@pytest.mark.parametrize(
    ("column", "value"),
    [("quantity", 101), ("quantity", 99), ("stop_price", 100.5), ("direction", "SHORT")],
)
def test_a_quantity_that_the_risk_does_not_give_is_found(column: str, value: object) -> None:
    given = frames()
    given[PLAN.name][column] = value
    verdict = judge("within_risk", given)
    assert not verdict.passed
    assert f"first {KEY}" in verdict.description
