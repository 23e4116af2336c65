"""What takes V2 back: one fact at once, exceptions by number and share, what is slow or large when it happens again."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from setbull_pipelines.rollout.controller import Verdict, decide
from setbull_pipelines.rollout.evidence import Evidence
from setbull_pipelines.rollout.stages import Component, Stage
from setbull_pipelines_tests.rollout.evidence import AT_FIFTY, DAY, SETTINGS, decide_with, outcome

HARD = ("cells_unequal", "decision_differences", "schema_failures")


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("fact", HARD)
def test_one_fact_takes_v2_back_at_once(fact: str, stage: Stage) -> None:
    found = decide_with(replace(AT_FIFTY, stage=stage), **{fact: 1})
    assert outcome(found) == (Verdict.ROLLED_BACK, Stage.OFF)
    assert found.reason.startswith("1 ")


def test_a_likely_cause_is_told_with_the_breach() -> None:
    found = decide_with(cells_unequal=3, likely_cause="sample deviation in bb_upper")
    assert found.reason == "3 unequal cells; likely cause: sample deviation in bb_upper"


@pytest.mark.parametrize("fact", HARD)
def test_a_fact_counts_however_little_else_is_known(fact: str) -> None:
    bare = Evidence(Component.INDICATORS, DAY, Stage.FIFTY, "code-1", "settings-1")
    assert decide(AT_FIFTY, bare, SETTINGS).verdict is Verdict.HELD
    assert decide(AT_FIFTY, replace(bare, **{fact: 2}), SETTINGS).verdict is Verdict.ROLLED_BACK
    # Also late, of a closed day, and while frozen.
    late = replace(bare, session=date(2026, 3, 3), **{fact: 2})
    frozen = replace(AT_FIFTY, frozen=True)
    assert decide(frozen, late, SETTINGS).verdict is Verdict.ROLLED_BACK


def test_a_high_error_rate_takes_v2_back_unless_there_was_too_little_to_tell() -> None:
    assert decide_with(error_rate=0.11, v2_exceptions=22).verdict is Verdict.ROLLED_BACK
    assert decide_with(error_rate=0.10, v2_exceptions=20).verdict is Verdict.SOFT_BREACH
    high = {"error_rate": 0.5, "v2_exceptions": 100}
    assert decide_with(**high, instruments=2).verdict is Verdict.HELD
    assert decide_with(**high, rows=None).verdict is Verdict.HELD
    assert decide_with(**high, instruments=None).verdict is Verdict.HELD


@pytest.mark.parametrize(
    ("exceptions", "rate", "verdict"),
    [
        # One instrument of 2,400, and two of three: fewer than the three that are needed.
        (1, 1 / 2_400, Verdict.ADVANCED),
        (2, 2 / 3, Verdict.ADVANCED),
        (3, 0.05, Verdict.ADVANCED),
        (3, 0.0501, Verdict.SOFT_BREACH),
        (3, 0.10, Verdict.SOFT_BREACH),
        (3, 0.1001, Verdict.ROLLED_BACK),
    ],
)
def test_exceptions_in_v2_count_from_a_number_and_a_share_on(
    exceptions: int, rate: float, verdict: Verdict
) -> None:
    found = decide_with(v2_exceptions=exceptions, error_rate=rate)
    assert found.verdict is verdict
    assert ("error rate" in found.reason) is (verdict is not Verdict.ADVANCED)


def test_the_number_and_the_shares_of_exceptions_are_settings() -> None:
    never = replace(SETTINGS, maximum_error_rate=1.0, rollback_error_rate=1.0)
    assert decide_with(v2_exceptions=200, error_rate=1.0, settings=never).verdict is (
        Verdict.ADVANCED
    )
    first = replace(SETTINGS, minimum_exceptions=1)
    assert decide_with(v2_exceptions=1, error_rate=0.11, settings=first).verdict is (
        Verdict.ROLLED_BACK
    )


def test_growing_memory_is_soft_when_the_session_before_had_the_same_code_and_settings() -> None:
    before = replace(AT_FIFTY, memory_share=0.5)
    assert decide_with(before, memory_share=0.60).verdict is Verdict.ADVANCED
    grown = decide_with(before, memory_share=0.61)
    assert grown.verdict is Verdict.SOFT_BREACH
    assert "memory grew from 50.0% to 61.0% of the allowance, by more than 20%" in grown.reason
    # Of very little memory, growth says nothing.
    small = replace(AT_FIFTY, memory_share=0.1)
    assert decide_with(small, memory_share=0.36).verdict is Verdict.ADVANCED
    assert decide_with(small, memory_share=0.37).verdict is Verdict.SOFT_BREACH
    other_code = replace(before, code_version="code-0")
    assert decide_with(other_code, memory_share=0.61).verdict is not Verdict.SOFT_BREACH


SOFT = [
    (Component.INDICATORS, "cache_hit_rate", 0.70, 0.69),
    (Component.INDICATORS, "seconds_v2", 5.0, 5.1),
    (Component.SEQUENCES, "seconds_v2", 5.0, 5.1),
    (Component.AGGREGATION, "seconds_v2", 10.0, 10.1),
    (Component.INDICATORS, "memory_share", 0.90, 0.91),
    (Component.INDICATORS, "worker_share", 0.95, 0.96),
    (Component.SEQUENCES, "sequence_failure_share", 0.03, 0.031),
]


@pytest.mark.parametrize(("component", "name", "allowed", "breach"), SOFT)
def test_the_old_plans_conditions_are_soft(
    component: Component, name: str, allowed: float, breach: float
) -> None:
    state = replace(AT_FIFTY, component=component)
    slow_v1 = {"seconds_v1": 100.0}
    assert decide_with(state, **slow_v1, **{name: allowed}).verdict is Verdict.ADVANCED
    found = decide_with(state, **slow_v1, **{name: breach})
    assert outcome(found) == (Verdict.SOFT_BREACH, Stage.FIFTY)
    assert "1 of the last 3 judged sessions" in found.reason
    # In off V2 does not run, so nothing of it can be too slow.
    off = replace(state, stage=Stage.OFF)
    assert decide_with(off, **slow_v1, **{name: breach}).verdict is Verdict.ADVANCED


@pytest.mark.parametrize(
    ("component", "seconds_per_million"),
    [(Component.INDICATORS, 2.5), (Component.SEQUENCES, 2.5), (Component.AGGREGATION, 5.0)],
)
@pytest.mark.parametrize("millions", [3, 30])
def test_more_rows_may_take_more_time(
    component: Component, seconds_per_million: float, millions: int
) -> None:
    state = replace(AT_FIFTY, component=component)
    limit = seconds_per_million * millions
    read = {"input_rows": millions * 1_000_000, "seconds_v1": 1_000.0}
    assert decide_with(state, **read, seconds_v2=limit).verdict is Verdict.ADVANCED
    found = decide_with(state, **read, seconds_v2=limit + 0.1)
    assert found.verdict is Verdict.SOFT_BREACH
    assert f"time {limit + 0.1:.1f} s above {limit:.1f} s" in found.reason


def test_half_as_slow_again_as_v1_is_soft() -> None:
    assert decide_with(seconds_v1=2.0, seconds_v2=3.0).verdict is Verdict.ADVANCED
    assert decide_with(seconds_v1=2.0, seconds_v2=3.01).verdict is Verdict.SOFT_BREACH
    # Against less than a second of V1, V2 is held to a second.
    assert decide_with(seconds_v1=0.0, seconds_v2=1.5).verdict is Verdict.ADVANCED
    assert decide_with(seconds_v1=0.0, seconds_v2=1.51).verdict is Verdict.SOFT_BREACH
    sampled = replace(AT_FIFTY, stage=Stage.SAMPLED)
    assert decide_with(sampled, seconds_v1=0.2, seconds_v2=3.01).verdict is Verdict.COUNTED


@pytest.mark.parametrize(
    ("earlier", "verdict"),
    [
        ((), Verdict.SOFT_BREACH),
        ((True,), Verdict.SOFT_BREACH),
        ((True, True), Verdict.ROLLED_BACK),
        ((True, False, True, False), Verdict.ROLLED_BACK),
        ((True, False, True, False, False), Verdict.SOFT_BREACH),
        ((True, True, True, False, False, False, False), Verdict.SOFT_BREACH),
    ],
)
def test_three_of_the_last_five_roll_back(earlier: tuple[bool, ...], verdict: Verdict) -> None:
    found = decide_with(replace(AT_FIFTY, breaches=earlier), memory_share=0.95)
    assert found.verdict is verdict


def test_a_soft_breach_breaks_the_row_of_good_sessions() -> None:
    after_breach = replace(AT_FIFTY, breaches=(False, False, True, False))
    assert after_breach.healthy_sessions == 1
    assert decide_with(after_breach).verdict is Verdict.COUNTED
    assert decide_with(replace(AT_FIFTY, breaches=(True, False, False))).to_stage is Stage.FULL
