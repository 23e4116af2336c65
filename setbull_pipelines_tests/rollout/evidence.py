"""Evidence, days and single decisions for the tests of the rollout."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from setbull_pipelines.rollout.controller import Decision, State, Verdict, decide
from setbull_pipelines.rollout.evidence import Evidence
from setbull_pipelines.rollout.log import LogRow, append, state_at
from setbull_pipelines.rollout.stages import Component, Stage
from setbull_pipelines.settings import RolloutSettings

EVENING = timedelta(hours=20)
INDIA = ZoneInfo("Asia/Kolkata")


def healthy(component: Component, session: date, stage: Stage, **changes: Any) -> Evidence:
    """A good session of 200 instruments: everything measured, nothing wrong."""
    evidence = Evidence(
        component=component,
        session=session,
        stage=stage,
        code_version="code-1",
        settings_hash="settings-1",
        instruments=200,
        rows=15_000,
        cohort=2 * stage.percentage,
        cells_expected=150_000,
        cells_compared=150_000,
        cells_unequal=0,
        decision_differences=0,
        schema_failures=0,
        v2_exceptions=0,
        error_rate=0.0,
        cache_lookups=1_000,
        cache_hit_rate=0.9,
        input_rows=100_000,
        seconds_v1=4.0,
        seconds_v2=1.0,
        memory_share=0.5,
        worker_share=0.5,
        sequence_failure_share=0.0,
    )
    return replace(evidence, **changes)


def evening(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=INDIA) + EVENING


def march(*days: int) -> list[date]:
    return [date(2026, 3, day) for day in days]


def evaluate(
    rows: tuple[LogRow, ...],
    days: Iterable[date],
    settings: RolloutSettings,
    component: Component = Component.INDICATORS,
    evidence: Callable[[State, date], Evidence] | None = None,
    kill: bool = False,
) -> tuple[LogRow, ...]:
    """One evaluation on the evening of each day, each from the state that the log itself gives."""
    for day in days:
        state = state_at(rows, component)
        found = evidence(state, day) if evidence else healthy(component, day, state.stage)
        rows = append(rows, decide(state, found, settings, kill=kill), evening(day))
    return rows


def path(rows: tuple[LogRow, ...]) -> list[tuple[str, str]]:
    """Verdict and resulting stage of each row."""
    return [(row.decision.verdict.value, row.decision.to_stage.label) for row in rows]


DAY, EARLIER = date(2026, 3, 5), date(2026, 3, 4)
SETTINGS = RolloutSettings(sessions_per_stage=3)
AT_FIFTY = State(
    Component.INDICATORS,
    Stage.FIFTY,
    code_version="code-1",
    settings_hash="settings-1",
    breaches=(False, False),
    last_judged=EARLIER,
)


def outcome(decision: Decision) -> tuple[Verdict, Stage]:
    """Verdict and resulting stage of a decision."""
    return decision.verdict, decision.to_stage


def decide_with(
    state: State = AT_FIFTY, settings: RolloutSettings = SETTINGS, **changes: object
) -> Decision:
    """The decision about a good session, but for the changes."""
    return decide(state, healthy(state.component, DAY, state.stage, **changes), settings)
