"""Which rows may follow which, the fold over them, and the flat record of a row."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from setbull_pipelines.rollout.controller import Decision, Evidence, State, Verdict, act, decide
from setbull_pipelines.rollout.log import (
    CONTROLLER,
    IllegalLog,
    LogRow,
    append,
    as_record,
    from_record,
    sessions_judged,
    stage_served,
    state_at,
)
from setbull_pipelines.rollout.stages import Component, Stage
from setbull_pipelines.settings import RolloutSettings
from setbull_pipelines.tables import ROLLOUT_LOG
from setbull_pipelines.tables.operations import COMPONENTS, STAGES, VERDICTS
from setbull_pipelines.warehouse.pointers import WHOLE, StoredTable
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests.rollout.evidence import evaluate, evening, healthy, march

INDICATORS = Component.INDICATORS
SETTINGS = RolloutSettings(sessions_per_stage=2)
PERSON = "the person on duty"


def person(
    rows: tuple[LogRow, ...], verdict: Verdict, day: date, to_stage: Stage | None = None
) -> tuple[LogRow, ...]:
    state = state_at(rows, INDICATORS)
    decision = act(state, verdict, "asked for", "code-1", "settings-1", to_stage)
    return append(rows, decision, evening(day), PERSON)


def at_ten() -> tuple[LogRow, ...]:
    """Two sessions in off, two in shadow, one counted at 10 %."""
    return evaluate((), march(2, 4, 5, 6, 9), SETTINGS)


def test_the_first_state_is_off() -> None:
    assert state_at((), INDICATORS) == State(INDICATORS, Stage.OFF)


def test_the_fold_keeps_what_the_next_decision_needs() -> None:
    assert state_at(at_ten(), INDICATORS) == State(
        INDICATORS,
        Stage.TEN,
        code_version="code-1",
        settings_hash="settings-1",
        breaches=(False,),
        last_judged=date(2026, 3, 9),
        memory_share=0.5,
    )


def test_components_do_not_touch_each_other() -> None:
    rows = at_ten()
    sequences = healthy(Component.SEQUENCES, date(2026, 3, 9), Stage.OFF, schema_failures=1)
    longer = append(
        rows, decide(State(Component.SEQUENCES), sequences, SETTINGS), evening(date(2026, 3, 9))
    )
    assert state_at(longer, INDICATORS) == state_at(rows, INDICATORS)
    assert state_at(longer, Component.SEQUENCES).latched


def test_the_state_of_an_earlier_day_is_that_of_the_shorter_log() -> None:
    rows = at_ten()
    for length, row in enumerate(rows, start=1):
        day = row.decision.session
        assert state_at(rows, INDICATORS, day) == state_at(rows[:length], INDICATORS)
    assert state_at(rows, INDICATORS, date(2026, 3, 1)) == State(INDICATORS)
    assert state_at(rows, INDICATORS, date(2026, 3, 8)) == state_at(rows[:4], INDICATORS)


def test_a_day_is_a_day_in_india() -> None:
    decision = decide(State(INDICATORS), healthy(INDICATORS, *march(2), Stage.OFF), SETTINGS)
    late_in_london = datetime.fromisoformat("2026-03-02T19:00:00+00:00")
    rows = append((), decision, late_in_london)
    assert state_at(rows, INDICATORS, date(2026, 3, 2)).last_judged is None
    assert state_at(rows, INDICATORS, date(2026, 3, 3)).last_judged == date(2026, 3, 2)


def test_appending_changes_nothing_that_was_there() -> None:
    rows = at_ten()
    kept = tuple(rows)
    longer = person(rows, Verdict.FROZEN, date(2026, 3, 9))
    assert rows == kept
    assert longer[:-1] == rows
    assert [row.number for row in longer] == [1, 2, 3, 4, 5, 6]
    assert [row.actor for row in longer] == [CONTROLLER] * 5 + [PERSON]


def test_a_person_moves_freezes_and_releases() -> None:
    rows = person(at_ten(), Verdict.FORCED, date(2026, 3, 9), Stage.FULL)
    state = state_at(rows, INDICATORS)
    assert (state.stage, state.breaches) == (Stage.FULL, ())
    rows = person(rows, Verdict.FROZEN, date(2026, 3, 9))
    assert state_at(rows, INDICATORS).frozen
    rows = evaluate(rows, march(10, 11, 12), SETTINGS)
    assert state_at(rows, INDICATORS).healthy_sessions == 3
    rows = person(rows, Verdict.RELEASED, date(2026, 3, 12))
    assert not state_at(rows, INDICATORS).frozen
    rows = person(rows, Verdict.KILLED, date(2026, 3, 12))
    state = state_at(rows, INDICATORS)
    assert (state.stage, state.latched) == (Stage.OFF, True)
    with pytest.raises(IllegalLog, match=r"row 13 \(forced\): the component is latched"):
        person(rows, Verdict.FORCED, date(2026, 3, 12), Stage.TEN)


def test_an_advance_is_served_from_the_next_session_on() -> None:
    rows = at_ten()
    assert state_at(rows, INDICATORS).stage is Stage.TEN
    before = [stage_served(rows[:length], INDICATORS) for length in range(len(rows) + 1)]
    stages = [state_at(rows[:length], INDICATORS).stage for length in range(len(rows) + 1)]
    assert stages == [*[Stage.OFF] * 2, *[Stage.SHADOW] * 2, *[Stage.TEN] * 2]
    assert before == [*[Stage.OFF] * 3, *[Stage.SHADOW] * 2, Stage.TEN]
    # The session that earned it, judged once more, changes nothing; one that is held counts as the next.
    again = evaluate(rows[:4], march(6), SETTINGS)
    assert again[-1].decision.verdict is Verdict.HELD
    assert stage_served(again, INDICATORS) is Stage.SHADOW
    thin = evaluate(
        *(rows[:4], march(9), SETTINGS),
        evidence=lambda state, day: healthy(INDICATORS, day, state.stage, rows=0),
    )
    assert thin[-1].decision.verdict is Verdict.HELD
    assert stage_served(thin, INDICATORS) is Stage.TEN


def test_going_back_and_what_a_person_does_is_served_at_once() -> None:
    rows = at_ten()[:4]
    assert stage_served(rows, INDICATORS) is Stage.SHADOW
    forced = person(rows, Verdict.FORCED, date(2026, 3, 6), Stage.FULL)
    assert stage_served(forced, INDICATORS) is Stage.FULL
    killed = person(rows, Verdict.KILLED, date(2026, 3, 6))
    assert stage_served(killed, INDICATORS) is Stage.OFF
    taken_back = evaluate(
        *(forced, march(9), SETTINGS),
        evidence=lambda state, day: healthy(INDICATORS, day, state.stage, cells_unequal=1),
    )
    assert stage_served(taken_back, INDICATORS) is Stage.OFF
    assert sessions_judged(taken_back, INDICATORS) == set(march(2, 4, 5, 6, 9))
    assert sessions_judged(taken_back, Component.SEQUENCES) == set()


def changed(row: LogRow, **changes: object) -> LogRow:
    return replace(row, decision=replace(row.decision, **changes))


def last(**changes: object) -> tuple[LogRow, ...]:
    rows = at_ten()
    return (*rows[:-1], changed(rows[-1], **changes))


def without_evidence(row: LogRow) -> LogRow:
    return changed(row, evidence=None)


def tampered() -> dict[str, tuple[tuple[LogRow, ...], str]]:
    rows = at_ten()
    row = rows[-1]
    bad = healthy(INDICATORS, row.decision.session, Stage.TEN, cells_unequal=1)
    again = rows[-2].decision.session
    return {
        "row removed": ((*rows[:2], *rows[3:]), r"row 4 .*: it follows row 2"),
        "row repeated": ((*rows, row), r"row 5 .*: it follows row 5"),
        "rows swapped": ((rows[1], rows[0]), r"row 2 .*: it follows row 0"),
        "earlier moment": (
            (*rows[:-1], replace(row, when=rows[0].when - timedelta(days=1))),
            "it is earlier than",
        ),
        "no zone": ((*rows[:-1], replace(row, when=datetime(2026, 3, 9))), "no time zone"),
        "no actor": ((*rows[:-1], replace(row, actor=" ")), "no actor"),
        "no reason": (last(reason=""), "no reason"),
        "another start": (last(from_stage=Stage.FULL, to_stage=Stage.FULL), "the stage was 10"),
        "two stages up": (
            last(verdict=Verdict.ADVANCED, to_stage=Stage.FULL),
            "10 to 100 is not one stage up",
        ),
        "down by advancing": (
            last(verdict=Verdict.ADVANCED, to_stage=Stage.SHADOW),
            "10 to shadow is not one stage up",
        ),
        "moved by holding": (last(verdict=Verdict.HELD, to_stage=Stage.FIFTY), "it moves from 10"),
        "rolled back half way": (
            last(verdict=Verdict.ROLLED_BACK, to_stage=Stage.SHADOW),
            "it ends in shadow, not in off",
        ),
        "re-armed without a latch": (
            last(verdict=Verdict.REARMED, to_stage=Stage.SHADOW),
            "no latch to release",
        ),
        "released without a freeze": (
            (*rows[:-1], replace(last(verdict=Verdict.RELEASED)[-1], actor=PERSON)),
            "not frozen",
        ),
        "without evidence": ((*rows[:-1], without_evidence(row)), "decided without evidence"),
        "evidence of another code": (last(code_version="code-9"), "evidence is of something else"),
        "evidence against it": (last(evidence=bad), "its evidence has ..1 unequal cells"),
        "session judged twice": (
            last(session=again, evidence=healthy(INDICATORS, again, Stage.TEN)),
            "session 2026-03-06 was judged before",
        ),
        "a person counts": ((*rows[:-1], replace(row, actor=PERSON)), "is not the controller"),
        "the controller forces": (
            last(verdict=Verdict.FORCED, to_stage=Stage.FIFTY),
            "needs a named person",
        ),
    }


@pytest.mark.parametrize("name", sorted(tampered()))
def test_a_log_that_was_tampered_with_is_refused(name: str) -> None:
    rows, message = tampered()[name]
    with pytest.raises(IllegalLog, match=message):
        state_at(rows, INDICATORS)


def rolled_back() -> tuple[LogRow, ...]:
    def broken(state: State, day: date) -> Evidence:
        return healthy(INDICATORS, day, state.stage, cells_unequal=1)

    return evaluate(at_ten(), march(10), SETTINGS, evidence=broken)


def next_row(rows: tuple[LogRow, ...], verdict: Verdict, to: Stage, code: str) -> Decision:
    state = state_at(rows, INDICATORS)
    evidence = healthy(INDICATORS, date(2026, 3, 11), Stage.OFF, code_version=code)
    return Decision(
        INDICATORS,
        verdict,
        state.stage,
        to,
        "because",
        code,
        "settings-1",
        evidence.session,
        evidence,
    )


@pytest.mark.parametrize(
    ("verdict", "to", "code", "message"),
    [
        (Verdict.ADVANCED, Stage.SHADOW, "code-2", "the component is latched"),
        (Verdict.COUNTED, Stage.OFF, "code-2", "the component is latched"),
        (Verdict.REARMED, Stage.SHADOW, "code-1", "code version code-1 was rolled back"),
        (Verdict.REARMED, Stage.FIFTY, "code-2", "it ends in 50, not in shadow"),
    ],
)
def test_a_latch_cannot_be_written_away(
    verdict: Verdict, to: Stage, code: str, message: str
) -> None:
    rows = rolled_back()
    with pytest.raises(IllegalLog, match=message):
        append(rows, next_row(rows, verdict, to, code), evening(date(2026, 3, 11)))


def test_a_freeze_cannot_be_written_away() -> None:
    rows = person(at_ten(), Verdict.FROZEN, date(2026, 3, 9))
    advance = next_row(rows, Verdict.ADVANCED, Stage.FIFTY, "code-1")
    with pytest.raises(IllegalLog, match="the component is frozen"):
        append(rows, advance, evening(date(2026, 3, 11)))
    with pytest.raises(IllegalLog, match="frozen already"):
        person(rows, Verdict.FROZEN, date(2026, 3, 9))


def test_late_evidence_that_rolls_back_opens_no_session_again() -> None:
    def late(state: State, day: date) -> Evidence:
        return healthy(INDICATORS, date(2026, 3, 4), state.stage, decision_differences=1)

    rows = evaluate(at_ten(), march(10), SETTINGS, evidence=late)
    state = state_at(rows, INDICATORS)
    assert (state.stage, state.last_judged) == (Stage.OFF, date(2026, 3, 9))


def test_rows_survive_their_flat_record_and_the_table() -> None:
    rows = person(rolled_back(), Verdict.REARMED, date(2026, 3, 10))
    records = [as_record(row) for row in rows]
    assert all(list(record) == ROLLOUT_LOG.column_names for record in records)
    assert tuple(map(from_record, records)) == rows
    frame = ROLLOUT_LOG.schema.validate(ROLLOUT_LOG.conform(pd.DataFrame(records)))
    assert len(frame) == 7
    assert frame["session"].isna().tolist() == [False] * 6 + [True]
    assert frame["evidence"].isna().tolist() == [False] * 6 + [True]
    assert frame["to_stage"].tolist() == ["off", "shadow", "shadow", "10", "10", "off", "shadow"]


def test_the_table_knows_the_labels_of_the_room() -> None:
    assert tuple(component.label for component in Component) == COMPONENTS
    assert tuple(stage.label for stage in Stage) == STAGES
    assert tuple(verdict.value for verdict in Verdict) == VERDICTS


def test_rows_survive_the_warehouse(tmp_path: Path) -> None:
    stored = StoredTable("operations", ROLLOUT_LOG)
    warehouse = Warehouse(tmp_path)
    rows = person(rolled_back(), Verdict.REARMED, date(2026, 3, 10))
    frame = ROLLOUT_LOG.conform(pd.DataFrame([as_record(row) for row in rows]))
    provenance = {"code_version": "1", "settings_hash": "1", "run_id": "1"}
    warehouse.publish(stored, WHOLE, frame, inputs={}, **provenance)
    records = warehouse.read_arrow(stored).to_pylist()
    assert tuple(map(from_record, records)) == rows
    assert state_at(map(from_record, records), INDICATORS) == state_at(rows, INDICATORS)
