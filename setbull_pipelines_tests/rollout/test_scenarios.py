"""Rollouts told from beginning to end, evening by evening, over the real NSE calendar of March 2026.

Sessions: 2, 4, 5, 6, 9 to 13, 16 to 20, 23, 24, 25, 27, 30. Closed on weekdays: 3 (Holi), 26 (Ram Navami), 31.
"""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from setbull_pipelines.rollout.bucketing import Variant
from setbull_pipelines.rollout.controller import State, Verdict, act
from setbull_pipelines.rollout.evidence import Evidence
from setbull_pipelines.rollout.log import IllegalLog, LogRow, append, state_at
from setbull_pipelines.rollout.stages import Component, Stage, served_variants
from setbull_pipelines.settings import RolloutSettings
from setbull_pipelines_tests.rollout.evidence import evaluate, evening, healthy, march, path

INDICATORS = Component.INDICATORS
SETTINGS = RolloutSettings(sessions_per_stage=2)
KEYS = [f"NSE_EQ|INE{number:06}" for number in range(500)]


def broken(state: State, day: date) -> Evidence:
    return healthy(INDICATORS, day, state.stage, cells_unequal=17)


def slow(state: State, day: date) -> Evidence:
    return healthy(INDICATORS, day, state.stage, seconds_v2=5.5)


def repaired(state: State, day: date) -> Evidence:
    return healthy(INDICATORS, day, state.stage, code_version="code-2")


def at_fifty() -> tuple[LogRow, ...]:
    """Two sessions in each of off, shadow and 10 %; the state on the evening of 10 March is 50 %."""
    rows = evaluate((), march(2, 4, 5, 6, 9, 10), SETTINGS)
    assert state_at(rows, INDICATORS).stage is Stage.FIFTY
    return rows


def test_a_healthy_way_up_over_every_day_of_the_month() -> None:
    every_day = [date(2026, 3, 1) + timedelta(days=number) for number in range(16)]
    no_data = date(2026, 3, 10)

    def found(state: State, day: date) -> Evidence:
        if day == no_data:
            return Evidence(INDICATORS, day, state.stage, "code-1", "settings-1")
        return healthy(INDICATORS, day, state.stage)

    rows = evaluate((), every_day, SETTINGS, evidence=found)
    assert dict(zip((day.day for day in every_day), path(rows), strict=True)) == {
        1: ("held", "off"),  # Sunday
        2: ("counted", "off"),
        3: ("held", "off"),  # Holi
        4: ("advanced", "shadow"),
        5: ("counted", "shadow"),
        6: ("advanced", "10"),
        7: ("held", "10"),
        8: ("held", "10"),
        9: ("counted", "10"),
        10: ("held", "10"),  # nothing was measured; the 9th still counts
        11: ("advanced", "50"),
        12: ("counted", "50"),
        13: ("advanced", "100"),
        14: ("held", "100"),
        15: ("held", "100"),
        16: ("counted", "100"),
    }
    assert rows[9].decision.reason.startswith("not measured: instruments, rows")
    shares = {}
    for day in (5, 9, 12, 16):
        stage = state_at(rows, INDICATORS, date(2026, 3, day)).stage
        shares[day] = served_variants(KEYS, INDICATORS, stage).count(Variant.V2)
    assert shares[5] == 0
    assert 23 <= shares[9] <= 77  # four standard deviations around 50 and 250
    assert 205 <= shares[12] <= 295
    assert shares[16] == 500


def test_thin_days_take_nothing_back_and_never_count() -> None:
    def thin(state: State, day: date) -> Evidence:
        return healthy(INDICATORS, day, state.stage, instruments=3)

    rows = evaluate(at_fifty(), march(11), SETTINGS)
    rows = evaluate(rows, march(12, 13, 16, 17), SETTINGS, evidence=thin)
    assert path(rows)[-4:] == [("held", "50")] * 4
    assert path(evaluate(rows, march(18), SETTINGS))[-1] == ("advanced", "100")


def test_a_defect_at_fifty_percent_is_taken_back_the_same_day_and_stays_back() -> None:
    rows = evaluate(at_fifty(), march(11), SETTINGS, evidence=broken)
    assert path(rows)[-1] == ("rolled back", "off")
    assert rows[-1].decision.reason == "17 unequal cells"
    stage = state_at(rows, INDICATORS, date(2026, 3, 11)).stage
    assert served_variants(KEYS, INDICATORS, stage) == [Variant.V1] * 500
    # Evaluated again the same evening, and good or bad on later sessions: no second rollback, no way up.
    rows = evaluate(rows, march(11), SETTINGS, evidence=broken)
    rows = evaluate(rows, march(12, 13, 16), SETTINGS)
    rows = evaluate(rows, march(17), SETTINGS, evidence=broken)
    assert path(rows)[-5:] == [("held", "off")] * 5
    assert [verdict for verdict, _ in path(rows)].count("rolled back") == 1


def test_a_new_code_version_starts_at_shadow_again_on_the_next_session() -> None:
    rows = evaluate(at_fifty(), march(11), SETTINGS, evidence=broken)
    rows = evaluate(rows, march(11, 12, 13, 16), SETTINGS, evidence=repaired)
    assert path(rows)[-4:] == [
        ("held", "off"),
        ("re-armed", "shadow"),
        ("counted", "shadow"),
        ("advanced", "10"),
    ]
    # The condemned version comes back by mistake.
    rows = evaluate(rows, march(17), SETTINGS)
    assert path(rows)[-1] == ("rolled back", "off")
    assert rows[-1].decision.reason == "code version code-1 was rolled back before"


def test_a_new_code_version_that_is_wrong_too_stays_off() -> None:
    def wrong_again(state: State, day: date) -> Evidence:
        return healthy(INDICATORS, day, state.stage, code_version="code-2", decision_differences=1)

    rows = evaluate(at_fifty(), march(11), SETTINGS, evidence=broken)
    rows = evaluate(rows, march(12, 13), SETTINGS, evidence=wrong_again)
    assert path(rows)[-2:] == [("rolled back", "off"), ("held", "off")]
    assert state_at(rows, INDICATORS).condemned == {"code-1", "code-2"}


def test_a_named_person_rearms_at_shadow() -> None:
    rows = evaluate(at_fifty(), march(11, 12), SETTINGS, evidence=broken)
    rearm = act(
        state_at(rows, INDICATORS), Verdict.REARMED, "the input was wrong", "code-1", "settings-1"
    )
    for nobody in ("", "  "):
        with pytest.raises(IllegalLog, match="no actor"):
            append(rows, rearm, evening(date(2026, 3, 12)), nobody)
    with pytest.raises(IllegalLog, match="decided without evidence"):
        append(rows, rearm, evening(date(2026, 3, 12)))
    rows = append(rows, rearm, evening(date(2026, 3, 12)), "the person on duty")
    rows = evaluate(rows, march(13, 16), SETTINGS)
    assert path(rows)[-3:] == [
        ("re-armed", "shadow"),
        ("counted", "shadow"),
        ("advanced", "10"),
    ]


def test_three_slow_sessions_of_five_are_taken_back_and_latch() -> None:
    rows = evaluate(at_fifty(), march(11), SETTINGS, evidence=slow)
    rows = evaluate(rows, march(12), SETTINGS)
    rows = evaluate(rows, march(13), SETTINGS, evidence=slow)
    rows = evaluate(rows, march(16), SETTINGS)
    rows = evaluate(rows, march(17), SETTINGS, evidence=slow)
    rows = evaluate(rows, march(18), SETTINGS)
    assert path(rows)[-6:] == [
        ("soft breach", "50"),
        ("counted", "50"),
        ("soft breach", "50"),
        ("counted", "50"),
        ("rolled back", "off"),
        ("held", "off"),
    ]
    assert rows[-2].decision.reason == (
        "calculation time 5.5 s above 5.0 s (3 of the last 5 judged sessions breached a soft limit, "
        "3 roll back)"
    )


def test_two_slow_sessions_only_delay() -> None:
    rows = evaluate(at_fifty(), march(11, 12), SETTINGS, evidence=slow)
    rows = evaluate(rows, march(13, 16), SETTINGS)
    assert path(rows)[-4:] == [
        ("soft breach", "50"),
        ("soft breach", "50"),
        ("counted", "50"),
        ("advanced", "100"),
    ]


def test_the_kill_switch_is_recorded_once_and_latches() -> None:
    rows = evaluate(at_fifty(), march(11, 12), SETTINGS, kill=True)
    rows = evaluate(rows, march(13), SETTINGS)
    assert path(rows)[-3:] == [("killed", "off"), ("held", "off"), ("held", "off")]
    rows = evaluate(rows, march(16), SETTINGS, evidence=repaired)
    assert path(rows)[-1] == ("re-armed", "shadow")


def test_the_last_two_stages_need_a_person() -> None:
    rows = evaluate(at_fifty(), march(11, 12, 13, 16, 17, 18), SETTINGS)
    assert path(rows)[-1] == ("counted", "100")
    for stage in (Stage.SAMPLED, Stage.RETIRED):
        force = act(
            state_at(rows, INDICATORS), Verdict.FORCED, "V1 rests", "code-1", "settings-1", stage
        )
        rows = append(rows, force, evening(date(2026, 3, 18)), "the person on duty")
        assert state_at(rows, INDICATORS).stage is stage
    rows = evaluate(rows, march(19), SETTINGS, evidence=broken)
    assert path(rows)[-1] == ("rolled back", "off")
