"""One decision at a time: what counts, what holds, what a person or a latch decides."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import date, datetime

import pytest

from setbull_pipelines.market.calendar import OutsideCoverage
from setbull_pipelines.rollout.controller import State, Verdict, act, decide
from setbull_pipelines.rollout.evidence import Evidence, InvalidEvidence
from setbull_pipelines.rollout.stages import Component, Stage
from setbull_pipelines_tests.rollout.evidence import (
    AT_FIFTY,
    DAY,
    EARLIER,
    SETTINGS,
    decide_with,
    healthy,
    outcome,
)


def test_the_last_session_that_was_needed_advances() -> None:
    assert outcome(decide_with()) == (Verdict.ADVANCED, Stage.FULL)
    one_short = replace(AT_FIFTY, breaches=(False,))
    found = decide_with(one_short)
    assert outcome(found) == (Verdict.COUNTED, Stage.FIFTY)
    assert found.reason == "2 of 3 sessions without a breach"


@pytest.mark.parametrize("stage", Stage)
def test_going_up_by_itself_ends_where_the_settings_say(stage: Stage) -> None:
    state = replace(AT_FIFTY, stage=stage)
    for highest in ("50", "100", "sampled"):
        found = decide_with(state, replace(SETTINGS, highest_automatic_stage=highest))
        goes_up = stage.position < Stage.named(highest).position
        assert found.verdict is (Verdict.ADVANCED if goes_up else Verdict.COUNTED)
        assert found.to_stage is (stage.following if goes_up else stage)


def test_an_instrument_that_v1_alone_failed_for_holds_and_is_named() -> None:
    found = decide_with(not_compared="NSE_EQ|A (V1 failed in v1.candles_5min: ValueError: no)")
    assert outcome(found) == (Verdict.HELD, Stage.FIFTY)
    assert found.reason == (
        "not comparable: NSE_EQ|A (V1 failed in v1.candles_5min: ValueError: no)"
    )
    # A fact against V2 is one all the same.
    assert decide_with(not_compared="NSE_EQ|A", cells_unequal=1).verdict is Verdict.ROLLED_BACK


def test_a_session_of_doubtful_input_is_not_counted() -> None:
    doubt = "the feed stops before the close"
    found = decide_with(inputs_in_doubt=doubt)
    assert outcome(found) == (Verdict.HELD, Stage.FIFTY)
    assert found.reason == f"inputs in doubt: {doubt}"
    # A fact against V2 is one all the same, and a limit passed on doubtful input is none.
    assert decide_with(inputs_in_doubt=doubt, cells_unequal=1).verdict is Verdict.ROLLED_BACK
    assert decide_with(inputs_in_doubt=doubt, memory_share=1.5).verdict is Verdict.HELD


NEEDED = {
    "instruments",
    "rows",
    "cohort",
    "cells_expected",
    "cells_compared",
    "cells_unequal",
    "decision_differences",
    "schema_failures",
    "v2_exceptions",
    "error_rate",
    "cache_lookups",
    "cache_hit_rate",
    "seconds_v1",
    "seconds_v2",
    "input_rows",
    "memory_share",
    "worker_share",
}


@pytest.mark.parametrize("name", sorted(NEEDED))
def test_a_figure_that_was_not_measured_holds(name: str) -> None:
    found = decide_with(**{name: None})
    assert outcome(found) == (Verdict.HELD, Stage.FIFTY)
    assert found.reason == f"not measured: {name}"


def test_every_figure_is_needed_by_some_component() -> None:
    measured = {item.name for item in fields(Evidence) if item.default is None}
    # A cause is not measured: it says why a figure is what it is. What was not compared holds by itself,
    # A cause is not measured: it says why a figure is what it is. What was not compared holds by itself,
    # and so do a doubt about the source and an earlier session that is still to come.
    by_themselves = {"not_compared", "inputs_in_doubt", "waits_for"}
    assert measured == NEEDED | {"sequence_failure_share", "likely_cause"} | by_themselves
    sequences = replace(AT_FIFTY, component=Component.SEQUENCES)
    assert decide_with(sequences).verdict is Verdict.ADVANCED
    assert decide_with(sequences, sequence_failure_share=None).verdict is Verdict.HELD
    assert decide_with(sequence_failure_share=None).verdict is Verdict.ADVANCED


def test_only_what_a_stage_runs_is_asked_of_it() -> None:
    off = replace(AT_FIFTY, stage=Stage.OFF)
    bare = Evidence(
        Component.INDICATORS,
        DAY,
        Stage.OFF,
        "code-1",
        "settings-1",
        instruments=200,
        rows=15_000,
        schema_failures=0,
    )
    assert outcome(decide(off, bare, SETTINGS)) == (Verdict.ADVANCED, Stage.SHADOW)
    assert decide(off, replace(bare, rows=None), SETTINGS).verdict is Verdict.HELD
    retired = replace(AT_FIFTY, stage=Stage.RETIRED)
    nothing_of_v1 = {"cells_expected": None, "cells_compared": None, "cells_unequal": None}
    nothing_of_v1 |= {"decision_differences": None, "seconds_v1": None}
    assert decide_with(retired, **nothing_of_v1).verdict is Verdict.COUNTED
    assert decide_with(retired, v2_exceptions=None).verdict is Verdict.HELD
    sampled = replace(AT_FIFTY, stage=Stage.SAMPLED)
    assert decide_with(sampled, seconds_v1=None).verdict is Verdict.COUNTED
    assert decide_with(sampled, cells_compared=None).verdict is Verdict.HELD


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"instruments": 19}, "too little data: 19 instruments, at least 20 needed"),
        ({"rows": 99}, "too little data: 99 rows, at least 100 needed"),
        ({"cohort": 1}, "too little data: 1 cohort, at least 2 needed"),
        ({"cells_compared": 149_999}, "149,999 cells compared, 150,000 expected"),
        ({"cells_compared": 0, "cells_expected": 0}, "0 cells compared, 0 expected"),
    ],
)
def test_thin_evidence_holds(changes: dict[str, int], reason: str) -> None:
    found = decide_with(**changes)
    assert outcome(found) == (Verdict.HELD, Stage.FIFTY)
    assert found.reason == reason


def test_what_is_just_enough_counts() -> None:
    assert decide_with(instruments=20, rows=100, cohort=2).verdict is Verdict.ADVANCED


def test_a_cache_that_nobody_asked_has_no_hit_rate() -> None:
    assert decide_with(cache_lookups=0, cache_hit_rate=None).verdict is Verdict.ADVANCED
    assert decide_with(cache_lookups=99, cache_hit_rate=0.1).verdict is Verdict.ADVANCED
    assert decide_with(cache_lookups=100, cache_hit_rate=0.1).verdict is Verdict.SOFT_BREACH


def test_of_a_session_that_took_no_time_no_worker_used_a_share() -> None:
    assert decide_with(seconds_v2=0.0, worker_share=None).verdict is Verdict.ADVANCED
    held = decide_with(seconds_v2=0.1, worker_share=None)
    assert outcome(held) == (Verdict.HELD, Stage.FIFTY)
    assert held.reason == "not measured: worker_share"


@pytest.mark.parametrize("changes", [{"code_version": "code-2"}, {"settings_hash": "settings-2"}])
def test_evidence_of_another_version_starts_counting_again(changes: dict[str, str]) -> None:
    found = decide_with(**changes)
    assert outcome(found) == (Verdict.COUNTED, Stage.FIFTY)
    assert found.reason == "1 of 3 sessions without a breach"
    breached = replace(AT_FIFTY, breaches=(True, True))
    assert decide_with(breached, memory_share=0.95, **changes).verdict is Verdict.SOFT_BREACH


@pytest.mark.parametrize(
    ("session", "reason"),
    [
        (date(2026, 3, 3), "2026-03-03 is not a trading day (Holi)"),
        (date(2026, 3, 7), "2026-03-07 is not a trading day (weekend)"),
        (EARLIER, "session 2026-03-04 is not after 2026-03-04, the last one judged"),
        (
            date(2026, 3, 2),
            "session 2026-03-02 is not after 2026-03-04, the last one judged",
        ),
    ],
)
def test_a_day_that_is_no_new_session_holds(session: date, reason: str) -> None:
    found = decide(AT_FIFTY, healthy(Component.INDICATORS, session, Stage.FIFTY), SETTINGS)
    assert outcome(found) == (Verdict.HELD, Stage.FIFTY)
    assert found.reason == reason


def test_evidence_of_another_stage_holds() -> None:
    found = decide(AT_FIFTY, healthy(Component.INDICATORS, DAY, Stage.TEN), SETTINGS)
    assert outcome(found) == (Verdict.HELD, Stage.FIFTY)
    assert found.reason == "evidence of stage 10, but the stage is 50"


def test_a_year_the_calendar_does_not_cover_is_not_guessed() -> None:
    unknown = healthy(Component.INDICATORS, date(2031, 3, 5), Stage.FIFTY)
    with pytest.raises(OutsideCoverage):
        decide(AT_FIFTY, unknown, SETTINGS)


def test_a_frozen_component_counts_and_stays_but_is_still_taken_back() -> None:
    frozen = replace(AT_FIFTY, frozen=True)
    assert outcome(decide_with(frozen)) == (Verdict.COUNTED, Stage.FIFTY)
    assert decide_with(frozen, cells_unequal=1).verdict is Verdict.ROLLED_BACK


@pytest.mark.parametrize("stage", Stage)
def test_the_kill_switch_wins_over_everything(stage: Stage) -> None:
    state = replace(AT_FIFTY, stage=stage, frozen=True)
    far_away = healthy(Component.INDICATORS, date(2031, 1, 1), stage, cells_unequal=4)
    found = decide(state, far_away, SETTINGS, kill=True)
    assert outcome(found) == (Verdict.KILLED, Stage.OFF)
    assert outcome(decide_with(state, replace(SETTINGS, kill=True))) == outcome(found)


LATCHED = State(
    Component.INDICATORS,
    latched=True,
    condemned=frozenset({"code-1"}),
    code_version="code-1",
    last_judged=EARLIER,
)


def test_a_latch_holds_until_a_new_code_version() -> None:
    assert outcome(decide_with(LATCHED)) == (Verdict.HELD, Stage.OFF)
    assert outcome(decide_with(LATCHED, cells_unequal=3)) == (Verdict.HELD, Stage.OFF)
    new = decide_with(LATCHED, code_version="code-2")
    assert outcome(new) == (Verdict.REARMED, Stage.SHADOW)
    # Not on faith: the new version needs a session with data, no breach, and nobody's freeze.
    assert decide_with(LATCHED, code_version="code-2", rows=None).verdict is Verdict.HELD
    broken = decide_with(LATCHED, code_version="code-2", cells_unequal=3)
    assert outcome(broken) == (Verdict.ROLLED_BACK, Stage.OFF)
    frozen = replace(LATCHED, frozen=True)
    assert decide_with(frozen, code_version="code-2").verdict is Verdict.HELD
    assert decide(LATCHED, healthy(LATCHED.component, DAY, Stage.OFF), SETTINGS, kill=True) == (
        decide_with(LATCHED, replace(SETTINGS, kill=True))
    )
    assert decide_with(LATCHED, replace(SETTINGS, kill=True)).verdict is Verdict.HELD


def test_a_condemned_version_that_comes_back_is_taken_back() -> None:
    state = replace(AT_FIFTY, code_version="code-2", condemned=frozenset({"code-1"}))
    found = decide_with(state)
    assert outcome(found) == (Verdict.ROLLED_BACK, Stage.OFF)
    assert found.reason == "code version code-1 was rolled back before"


def test_evidence_and_state_are_of_one_component() -> None:
    with pytest.raises(ValueError, match="evidence of sequences for the state of indicators"):
        decide(AT_FIFTY, healthy(Component.SEQUENCES, DAY, Stage.FIFTY), SETTINGS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"memory_share": float("nan")}, "memory_share: found nan"),
        ({"seconds_v2": float("inf")}, "seconds_v2: found inf"),
        ({"rows": -1}, "rows: found -1"),
        ({"error_rate": 1.5}, "error_rate: found 1.5, expected a share"),
        ({"session": datetime(2026, 3, 5)}, "expected a date without time"),
    ],
)
def test_impossible_figures_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidEvidence, match=message):
        replace(healthy(Component.INDICATORS, DAY, Stage.FIFTY), **changes)


def test_actions_of_a_person_say_where_they_lead() -> None:
    def target(verdict: Verdict, to_stage: Stage | None = None) -> Stage:
        return act(AT_FIFTY, verdict, "asked for", "code-1", "settings-1", to_stage).to_stage

    assert target(Verdict.FORCED, Stage.TEN) is Stage.TEN
    assert target(Verdict.REARMED) is Stage.SHADOW
    assert target(Verdict.KILLED) is Stage.OFF
    assert target(Verdict.FROZEN) is target(Verdict.RELEASED) is Stage.FIFTY
    with pytest.raises(ValueError, match="not an action of a person"):
        target(Verdict.FORCED)
    with pytest.raises(ValueError, match="not an action of a person"):
        target(Verdict.ADVANCED, Stage.FULL)
