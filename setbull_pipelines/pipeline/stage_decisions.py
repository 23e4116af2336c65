"""What the rollout log says of the stored tables, and what is written to it.

Belongs here: the stage in force, judging a trading day, acting for a person. Does not belong here: the log's bytes
(``rollout_log``), gathering evidence (``evidence``), deciding (``rollout/``), serving (``serving``), Dagster, a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime

from setbull_pipelines.pipeline import serving
from setbull_pipelines.pipeline.comparing_days import SUMMARY
from setbull_pipelines.pipeline.doubted_inputs import doubted_inputs
from setbull_pipelines.pipeline.engine import PartitionResult, StepRun
from setbull_pipelines.pipeline.evidence import evidence_of, settings_hash_of
from setbull_pipelines.pipeline.lanes import COMPONENT_OF
from setbull_pipelines.pipeline.rollout_log import LogLost, kept_rows, publish, read_log, writing
from setbull_pipelines.pipeline.steps import STEPS, Step
from setbull_pipelines.pipeline.versions import variant_code_version
from setbull_pipelines.quality.rollout_log import LOG
from setbull_pipelines.rollout.controller import State, Verdict, act, decide
from setbull_pipelines.rollout.log import (
    IllegalLog,
    LogRow,
    append,
    sessions_judged,
    sessions_waiting,
    stage_served,
    state_at,
)
from setbull_pipelines.rollout.stages import Component, Stage
from setbull_pipelines.settings import RolloutSettings, Settings
from setbull_pipelines.tables import Table
from setbull_pipelines.variants import V1
from setbull_pipelines.warehouse.store import Warehouse

Clock = Callable[[], datetime]
"""Gives the moment, with a zone. Asked while the log is held, so that its rows are in the order of their moments."""


def judged(warehouse: Warehouse) -> list[tuple[date, str, str, str]]:
    """Session, component, stage after it and verdict of every judgement, in the order of the log."""
    return [
        (
            row.decision.session,
            row.decision.component.label,
            row.decision.to_stage.label,
            row.decision.verdict.value,
        )
        for row in read_log(warehouse)
        if row.decision.session is not None
    ]


def states(rows: tuple[LogRow, ...]) -> dict[Component, State]:
    """The state of each component after ``rows``."""
    return {component: state_at(rows, component) for component in Component}


def stages_in_force(warehouse: Warehouse, settings: RolloutSettings) -> dict[Component, Stage]:
    """The stage that the log gives every component now; off under the kill switch, which needs no log."""
    if settings.kill:
        return dict.fromkeys(Component, Stage.OFF)
    return {component: state.stage for component, state in states(read_log(warehouse)).items()}


def serving_of(
    table: Table, log: tuple[LogRow, ...], warehouse: Warehouse, settings: RolloutSettings
) -> serving.Serving:
    """What ``table`` is served by after the rows of ``log``, with the overrides and the kill switch."""
    component = COMPONENT_OF[table.name]
    stage = stage_served(log, component)
    return serving.Serving(
        serving.assignment_of(table, stage, warehouse, settings), sessions_judged(log, component)
    )


def evaluate(
    days: Sequence[date],
    warehouse: Warehouse,
    settings: Settings,
    clock: Clock,
    run_id: str,
    asked_for: Collection[date] = (),
) -> tuple[LogRow, ...]:
    """Judge every component on each day, oldest first; returns the rows that were appended.

    ``asked_for`` are sessions whose run is under way or has failed. A day after one of them that was never judged
    waits, unless V2 is to be taken back on it, and is judged by the first run after which it need not wait any more.

    All ``days`` count as computed under the stages at the start, so that one run advances a component by one stage at
    most. Raises IllegalLog when the stored log was tampered with, MissingPartition for a day without a summary.
    """
    with writing(warehouse):
        rows = before = read_log(warehouse)
        when = _moment(clock, before)
        stages = stages_in_force(warehouse, settings.rollout)
        waiting = {component: sessions_waiting(rows, component) for component in Component}
        awaited = sorted(
            set(asked_for).difference(
                days, *(sessions_judged(rows, component) for component in Component)
            )
        )
        judged_now = sorted({*days, *_stored(set().union(*waiting.values()), warehouse)})
        inputs = {}
        doubts = doubted_inputs(judged_now, warehouse, settings)
        for day in judged_now:
            summary = warehouse.read(SUMMARY, [day.isoformat()]).set_index("table_name")
            pointer = warehouse.pointer(SUMMARY, day.isoformat())
            inputs[f"{SUMMARY.name} {day}"] = pointer.content_hash
            for component in Component:
                state = state_at(rows, component)
                waits_for = _first_between(awaited, state.last_judged, day)
                if day not in days and (waits_for or day not in waiting[component]):
                    continue
                # A session that waited had a run of its own.
                stage = stages[component] if day in days else state.stage
                evidence = evidence_of(
                    component, day, stage, summary, doubts.get(day), warehouse, settings
                )
                evidence = replace(evidence, waits_for=waits_for)
                rows = append(rows, decide(state, evidence, settings.rollout), when)
        publish(rows, inputs, warehouse, settings, run_id)
    return rows[len(before) :]


def _first_between(sessions: Iterable[date], after: date | None, before: date) -> str | None:
    """The first of ``sessions``, which are in order, that is later than ``after`` and earlier than ``before``."""
    between = (day for day in sessions if (after is None or day > after) and day < before)
    return next(map(str, between), None)


def _stored(sessions: Collection[date], warehouse: Warehouse) -> set[date]:
    """Those of ``sessions`` that are still stored."""
    return {day for day in sessions if warehouse.pointer(SUMMARY, day.isoformat()) is not None}


def complete_v1(
    appended: Sequence[LogRow], warehouse: Warehouse, settings: Settings, run_id: str
) -> Iterator[tuple[Step, PartitionResult]]:
    """Compute V1 in full where a component was just taken back from a stage that had cut V1 back.

    All stored days are completed, since all are served from V1 from now on. Raises as :meth:`StepRun.over`.
    """
    taken_back = {
        row.decision.component
        for row in appended
        if not row.decision.from_stage.runs_v1_in_full and row.decision.to_stage.runs_v1_in_full
    }
    stages = stages_in_force(warehouse, settings.rollout)
    for step in STEPS:
        if COMPONENT_OF[step.outputs[0].name] in taken_back:
            run = StepRun(step, V1, warehouse, settings, run_id, stages)
            yield from ((step, result) for result in run.over([]))


def record_actions(
    components: Sequence[Component],
    verdict: Verdict,
    actor: str,
    reason: str,
    warehouse: Warehouse,
    settings: Settings,
    clock: Clock,
    to_stage: Stage | None = None,
) -> tuple[LogRow, ...]:
    """Append what a person did to each component, or nothing; returns the rows that were appended.

    IllegalLog, naming the component, when the action is not possible in its state.
    """
    with writing(warehouse):
        before = read_log(warehouse)
        when = _moment(clock, before)
        rows = _acted(before, components, verdict, actor, reason, settings, when, to_stage)
        publish(rows, {}, warehouse, settings, f"action of {actor}")
    return rows[len(before) :]


def restore_log(
    actor: str, reason: str, warehouse: Warehouse, settings: Settings, clock: Clock
) -> tuple[int, tuple[LogRow, ...]]:
    """Get a lost log back from the files that are left of it; how many rows it has, and which were added.

    Where it is not sure that these are all its rows, every component is killed in the person's name: V1 is served
    until the component is re-armed. IllegalLog when the log is not lost.
    """
    with writing(warehouse):
        try:
            read_log(warehouse)
        except LogLost:
            rows, is_sure = kept_rows(warehouse)
        else:
            raise IllegalLog(f"{LOG.name} is there and can be read: nothing to restore")
        before = len(rows)
        if not is_sure:
            when = _moment(clock, rows)
            rows = _acted(rows, list(Component), Verdict.KILLED, actor, reason, settings, when)
        publish(rows, {}, warehouse, settings, f"restored by {actor}")
    return before, rows[before:]


def _moment(clock: Clock, rows: Sequence[LogRow]) -> datetime:
    """When the next rows are written: not before the last one, also where the clock was ahead then and is right now.

    Else nothing could be judged, and nobody could turn V2 off, until the time of the last row has come.
    """
    return max(clock(), rows[-1].when) if rows else clock()


def _acted(
    rows: tuple[LogRow, ...],
    components: Sequence[Component],
    verdict: Verdict,
    actor: str,
    reason: str,
    settings: Settings,
    when: datetime,
    to_stage: Stage | None = None,
) -> tuple[LogRow, ...]:
    """``rows`` and what a person did to each component."""
    for component in components:
        decision = act(
            state_at(rows, component),
            verdict,
            reason,
            variant_code_version("v2"),
            settings_hash_of(component, settings),
            to_stage,
        )
        try:
            rows = append(rows, decision, when, actor)
        except IllegalLog as error:
            raise IllegalLog(f"{component.label}: {error}") from error
    return rows
