"""Days judged together: each has the verdict that it has alone, and what cannot be read concerns its own day only."""

from __future__ import annotations

import pandas as pd
import pytest

from setbull_pipelines import tables
from setbull_pipelines.pipeline.judging import judge, judge_days
from setbull_pipelines.quality.rules import all_rules
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines_tests.pipeline.small_run import SmallRun, forget

RULES = {stored.name: rules for stored, rules in all_rules().items() if stored.table.partitioned}
V2_BARS = StoredTable("v2", tables.CANDLES_5MIN)


def test_each_day_has_the_verdict_that_it_has_alone(small_run: SmallRun) -> None:
    given = (small_run.warehouse, small_run.settings)
    judged = 0
    for rules in RULES.values():
        together = judge_days(rules, *given, small_run.days)
        assert list(together) == list(small_run.days)
        for day in small_run.days:
            assert together[day] == judge(rules, *given, day)
            judged += len(together[day])
    assert judged > 200


def test_what_cannot_be_read_concerns_its_own_day(copied_run: SmallRun) -> None:
    first, last = copied_run.days
    forget(copied_run.warehouse, V2_BARS, last)
    given = (RULES[V2_BARS.name], copied_run.warehouse, copied_run.settings)
    found = judge_days(*given, copied_run.days)
    assert found[first] == judge(*given, first)
    assert all(verdict.passed for verdict in found[first].values())
    assert not any(verdict.passed for verdict in found[last].values())
    assert "has no partition" in found[last]["schema"].description


def frames_of(run: SmallRun) -> list[dict[str, pd.DataFrame]]:
    return [{V2_BARS.name: run.warehouse.read(V2_BARS, [day.isoformat()])} for day in run.days]


@pytest.mark.parametrize("broken", [0, 1])
def test_a_breach_of_the_contract_is_that_of_its_day(broken: int, small_run: SmallRun) -> None:
    rule = RULES[V2_BARS.name][0]
    frames = frames_of(small_run)
    wrong = frames[broken][V2_BARS.name].copy()
    wrong.loc[3, "close"] = -1.0
    frames[broken] = {V2_BARS.name: wrong}
    found = rule.judge_together(frames, small_run.settings)
    assert found == [rule.judge(of_day, pd.NaT, small_run.settings) for of_day in frames]
    assert [verdict.passed for verdict in found] == [broken != 0, broken != 1]


def test_a_key_may_be_there_on_two_days_and_not_twice_on_one(small_run: SmallRun) -> None:
    rule = RULES[V2_BARS.name][0]
    first = frames_of(small_run)[0]
    assert all(
        verdict.passed for verdict in rule.judge_together([first, first], small_run.settings)
    )
    rows = first[V2_BARS.name]
    twice = {V2_BARS.name: pd.concat([rows, rows.iloc[:1]], ignore_index=True)}
    found = rule.judge_together([first, twice], small_run.settings)
    assert found == [rule.judge(of_day, pd.NaT, small_run.settings) for of_day in (first, twice)]
    assert [verdict.passed for verdict in found] == [True, False]
