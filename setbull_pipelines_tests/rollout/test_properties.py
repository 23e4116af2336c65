"""What holds of every history: random evidence, random code, random interventions of persons."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.rollout.bucketing import Variant
from setbull_pipelines.rollout.controller import State, Verdict, act, decide
from setbull_pipelines.rollout.log import LogRow, append, as_record, from_record, state_at
from setbull_pipelines.rollout.stages import Component, Stage, served_variants
from setbull_pipelines.settings import RolloutSettings
from setbull_pipelines_tests.rollout.evidence import evening, healthy

FIRST = date(2026, 2, 20)
KEYS = [f"NSE_EQ|INE{number:06}" for number in range(80)]
GOOD: dict[str, Any] = {}
MISSING = st.sampled_from(
    ["rows", "instruments", "cells_unequal", "cells_compared", "schema_failures", "v2_exceptions"]
).map(lambda name: {name: None})
THIN = st.sampled_from([{"instruments": 1}, {"rows": 0}, {"cells_compared": 5}])
SOFT = st.just({"memory_share": 0.99})
HARD = st.sampled_from(
    [{"cells_unequal": 1}, {"schema_failures": 1}, {"v2_exceptions": 30, "error_rate": 0.15}]
)
EVENINGS = st.one_of(*[st.just(GOOD)] * 10, MISSING, THIN, SOFT, HARD)
ACTIONS = st.sampled_from([None] * 30 + [*"FRZLK"])
HISTORIES = st.lists(
    st.tuples(EVENINGS, st.integers(0, 9).map(lambda n: f"code-{n // 5}"), ACTIONS),
    min_size=1,
    max_size=40,
)
RULES = st.builds(
    RolloutSettings,
    sessions_per_stage=st.integers(1, 3),
    soft_breaches=st.integers(1, 3),
    soft_breach_sessions=st.integers(3, 5),
)


def intervene(rows: tuple[LogRow, ...], action: str, day: date) -> tuple[LogRow, ...]:
    """A person acts, where the state allows it."""
    state = state_at(rows, Component.SEQUENCES)
    legal = {
        "F": not state.latched,
        "R": state.latched,
        "Z": not state.frozen,
        "L": state.frozen,
        "K": True,
    }
    verdict, to_stage = {
        "F": (Verdict.FORCED, Stage.FULL),
        "R": (Verdict.REARMED, None),
        "Z": (Verdict.FROZEN, None),
        "L": (Verdict.RELEASED, None),
        "K": (Verdict.KILLED, None),
    }[action]
    if not legal[action]:
        return rows
    decision = act(state, verdict, "asked for", "code-0", "settings-1", to_stage)
    return append(rows, decision, evening(day), "the person on duty")


def write(
    history: list[tuple[dict[str, Any], str, str | None]], rules: RolloutSettings
) -> tuple[LogRow, ...]:
    """The log of consecutive calendar days, closed ones included."""
    rows: tuple[LogRow, ...] = ()
    for number, (changes, code, action) in enumerate(history):
        day = FIRST + timedelta(days=number)
        state = state_at(rows, Component.SEQUENCES)
        evidence = healthy(Component.SEQUENCES, day, state.stage, code_version=code, **changes)
        rows = append(rows, decide(state, evidence, rules), evening(day))
        if action:
            rows = intervene(rows, action, day)
    return rows


@settings(max_examples=60, deadline=None)
@given(HISTORIES, RULES)
def test_going_up_is_one_stage_after_enough_good_sessions(
    history: list[tuple[dict[str, Any], str, str | None]], rules: RolloutSettings
) -> None:
    """Told from the rows alone, without the fold that made them."""
    good = 0
    version = None
    latched = False
    for row in write(history, rules):
        decision = row.decision
        up = decision.to_stage.position - decision.from_stage.position
        evidence = decision.evidence
        if decision.verdict is Verdict.ADVANCED:
            assert up == 1
            assert not latched
            assert NSE.is_trading_day(decision.session)
            assert evidence.rows >= 100
            assert evidence.instruments >= 20
            assert evidence.schema_failures == 0
            if decision.from_stage is not Stage.OFF:
                assert evidence.cells_compared == evidence.cells_expected > 0
                assert evidence.cells_unequal == 0
                assert evidence.error_rate <= rules.maximum_error_rate
                assert evidence.memory_share < 0.9
            sessions = 1 + (good if version == decision.code_version else 0)
            assert sessions >= rules.sessions_per_stage
            good, version = 0, decision.code_version
        elif decision.verdict is Verdict.COUNTED:
            good = 1 + (good if version == decision.code_version else 0)
            version = decision.code_version
        elif decision.verdict not in (Verdict.HELD, Verdict.FROZEN, Verdict.RELEASED):
            good = 0
        if up > 0:
            assert decision.verdict in (Verdict.ADVANCED, Verdict.REARMED, Verdict.FORCED)
        if up < 0:
            assert decision.to_stage is Stage.OFF or decision.verdict is Verdict.FORCED
        if decision.verdict in (Verdict.ROLLED_BACK, Verdict.KILLED):
            latched = True
        elif decision.verdict is Verdict.REARMED:
            assert latched
            latched = False
        if latched:
            assert decision.to_stage is Stage.OFF


@settings(max_examples=60, deadline=None)
@given(HISTORIES, RULES)
def test_a_fact_against_v2_always_ends_in_off(
    history: list[tuple[dict[str, Any], str, str | None]], rules: RolloutSettings
) -> None:
    for row in write(history, rules):
        evidence = row.decision.evidence
        if evidence and (evidence.cells_unequal or evidence.schema_failures):
            assert row.decision.to_stage is Stage.OFF


@settings(max_examples=40, deadline=None)
@given(HISTORIES, RULES, st.data())
def test_replaying_any_prefix_gives_the_same_state_and_the_same_next_row(
    history: list[tuple[dict[str, Any], str, str | None]],
    rules: RolloutSettings,
    data: st.DataObject,
) -> None:
    rows = write(history, rules)
    length = data.draw(st.integers(0, len(rows) - 1))
    prefix = tuple(from_record(as_record(row)) for row in rows[:length])
    state = state_at(prefix, Component.SEQUENCES)
    assert state == state_at(rows[:length], Component.SEQUENCES)
    following = rows[length]
    assert following.decision.from_stage is state.stage
    if following.decision.evidence is not None:
        assert decide(state, following.decision.evidence, rules) == following.decision
    day = FIRST + timedelta(days=data.draw(st.integers(-1, len(history))))
    until = tuple(row for row in rows if row.when.date() <= day)
    assert state_at(rows, Component.SEQUENCES, day) == state_at(until, Component.SEQUENCES)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(MISSING, THIN), min_size=1, max_size=12), st.sampled_from(Stage), RULES)
def test_evidence_that_is_missing_or_thin_changes_nothing(
    evenings: list[dict[str, Any]], stage: Stage, rules: RolloutSettings
) -> None:
    state = State(Component.SEQUENCES, stage, breaches=(False,) * 9, code_version="code-1")
    for number, changes in enumerate(evenings):
        day = NSE.next(FIRST, number + 1)
        evidence = healthy(Component.SEQUENCES, day, stage, **changes)
        if stage in (Stage.OFF, Stage.RETIRED):
            evidence = replace(evidence, rows=None)  # cells and V2's figures are not asked there
        found = decide(state, evidence, rules)
        assert (found.verdict, found.to_stage) == (Verdict.HELD, stage)


@settings(max_examples=40, deadline=None)
@given(HISTORIES, RULES)
def test_a_step_up_only_gives_v2_to_more_and_a_rollback_gives_v1_to_all(
    history: list[tuple[dict[str, Any], str, str | None]], rules: RolloutSettings
) -> None:
    rows = write(history, rules)
    stages = [Stage.OFF, *(row.decision.to_stage for row in rows)]
    served = [served_variants(KEYS, Component.SEQUENCES, stage) for stage in stages]
    for (stage, before), (next_stage, after) in pairwise(zip(stages, served, strict=True)):
        moves = [(one, other) for one, other in zip(before, after, strict=True) if one != other]
        if next_stage is Stage.OFF:
            assert set(after) == {Variant.V1}
        elif next_stage.position > stage.position:
            assert set(moves) <= {(Variant.V1, Variant.V2)}
        elif next_stage is stage:
            assert not moves


def test_the_histories_reach_every_verdict() -> None:
    """So that the properties above are not about empty cases. The soft breach falls on Friday, 20 March."""
    good, hard, soft, missing = GOOD, {"cells_unequal": 1}, {"memory_share": 0.99}, {"rows": None}
    story = [(good, "code-0", None)] * 28 + [
        (soft, "code-0", None),
        (hard, "code-0", None),
        (missing, "code-1", None),
        (good, "code-1", None),
        (good, "code-1", "Z"),
        (good, "code-1", "L"),
        (good, "code-1", "F"),
        (good, "code-1", "K"),
        (good, "code-1", "R"),
    ]
    rows = write(story, RolloutSettings(sessions_per_stage=2))
    assert {row.decision.verdict for row in rows} == set(Verdict)
