"""A small run whose days are judged for the rollout, and persons who act on its log.

Belongs here: settings under which so small a run is enough, judging, and forcing a stage. Does not belong here:
assertions; changing what the run stored, which :mod:`small_run` has.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from setbull_pipelines.pipeline.stage_decisions import evaluate, record_actions
from setbull_pipelines.rollout.controller import Verdict
from setbull_pipelines.rollout.log import LogRow
from setbull_pipelines.rollout.stages import Component, Stage
from setbull_pipelines.settings import RolloutSettings, Settings
from setbull_pipelines_tests.pipeline.small_run import SmallRun


def moment() -> datetime:
    """Now, in exchange time."""
    return datetime.now(ZoneInfo("Asia/Kolkata"))


def lenient(run: SmallRun, **changes: object) -> Settings:
    """Settings under which twelve instruments and two sessions are enough."""
    values = {"minimum_instruments": 5, "minimum_rows": 1, "sessions_per_stage": 2} | changes
    return replace(run.settings, rollout=RolloutSettings(**values))


def judged(run: SmallRun, settings: Settings, *positions: int) -> dict[str, list[LogRow]]:
    """Evaluate days of the run; the new rows by component."""
    days = [run.days[position] for position in positions]
    rows = evaluate(days, run.warehouse, settings, moment, "test")
    return {
        component.label: [row for row in rows if row.decision.component is component]
        for component in Component
    }


def outcomes(rows: Iterable[LogRow]) -> list[tuple[str, str]]:
    """Verdict of each row, and the stage that it leads to."""
    return [(row.decision.verdict.value, row.decision.to_stage.label) for row in rows]


def forced(run: SmallRun, component: Component, stage: Stage, actor: str = "Asha") -> LogRow:
    """A person forces a component into a stage."""
    (row,) = record_actions(
        *([component], Verdict.FORCED, actor, "a test"),
        *(run.warehouse, run.settings, moment, stage),
    )
    return row
