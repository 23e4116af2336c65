"""``setbull run``: materializes every asset for a range of trading days, with the instance of the UI.

Belongs here: the order of executions and their outcome. Does not belong here: printing results
(``report``), planning (``plan``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date

import dagster as dg

from setbull_pipelines.assets.common import warehouse_root
from setbull_pipelines.assets.variants import VARIANTS
from setbull_pipelines.automation.jobs import (
    DAILY_JOB_NAME,
    HISTORY_OF_CANDLES,
    HISTORY_OF_CANDLES_5MIN,
    HISTORY_OF_INDICATORS,
    INTAKE_JOB_NAME,
)
from setbull_pipelines.cli.plan import Plan, consecutive
from setbull_pipelines.cli.terminal import showing_progress
from setbull_pipelines.definitions import build_defs
from setbull_pipelines.pipeline import raw
from setbull_pipelines.pipeline.engine import StepRun
from setbull_pipelines.pipeline.steps import STEPS
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.store import Warehouse

_RANGE_START, _RANGE_END = (
    "dagster/asset_partition_range_start",
    "dagster/asset_partition_range_end",
)
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class RunFailed(RuntimeError):
    """A step raised; the message is its one-sentence reason."""


@dataclass
class Outcome:
    """What a run did, for the report."""

    settings: Settings
    plan: Plan
    checks: list[dg.AssetCheckEvaluation] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def failed_checks(self) -> list[dg.AssetCheckEvaluation]:
        """Failed checks of severity ERROR: they make the exit code non-zero."""
        return [
            check
            for check in self.checks
            if not check.passed and check.severity is dg.AssetCheckSeverity.ERROR
        ]

    @property
    def warnings(self) -> list[dg.AssetCheckEvaluation]:
        """Failed checks of severity WARN."""
        return [
            check
            for check in self.checks
            if not check.passed and check.severity is dg.AssetCheckSeverity.WARN
        ]


class StaleDays:
    """Which sessions of a look-back must be materialized: those that would change, as one range."""

    def __init__(self, intake: raw.Intake, settings: Settings) -> None:
        self._warehouse = Warehouse(warehouse_root(settings), settings.storage.keep_versions)
        self._settings = settings
        self._raw = raw.RawDays(intake, self._warehouse, settings, run_id="")

    def candles(self, days: Sequence[date]) -> Sequence[date]:
        """Sessions whose raw tables or daily candles are not current."""
        return self._range(days, self._raw.is_current, *self._steps("candles_daily"))

    def candles_5min(self, days: Sequence[date]) -> Sequence[date]:
        """Sessions whose 5-minute candles are not current."""
        return self._range(days, *self._steps("candles_5min"))

    def indicators_daily(self, days: Sequence[date]) -> Sequence[date]:
        """Sessions whose daily indicators are not current."""
        return self._range(days, *self._steps("indicators_daily"))

    def _steps(self, name: str) -> list[Callable[[date], bool]]:
        step = next(step for step in STEPS if step.name == name)
        return [
            StepRun(step, variant(), self._warehouse, self._settings, run_id="").is_current
            for variant in VARIANTS.values()
        ]

    @staticmethod
    def _range(days: Sequence[date], *are_current: Callable[[date], bool]) -> Sequence[date]:
        stale = [day for day in days if not all(current(day) for current in are_current)]
        return [day for day in days if stale and stale[0] <= day <= stale[-1]]


class Runner:
    """Executes parts of the asset graph in this process."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance) -> None:
        self.settings, self.instance = settings, instance
        self.definitions = build_defs(settings)

    def run(self, plan: Plan, intake: raw.Intake) -> Outcome:
        """Materialize intake, the look-backs, then every asset of the asked days with all checks."""
        outcome = Outcome(self.settings, plan)
        outcome.seconds["publishing the input"] = self._execute(INTAKE_JOB_NAME, None).seconds
        stale = StaleDays(intake, self.settings)
        parts = (
            (HISTORY_OF_CANDLES, plan.candles, stale.candles),
            (HISTORY_OF_CANDLES_5MIN, plan.candles_5min, stale.candles_5min),
            (HISTORY_OF_INDICATORS, plan.indicators_daily, stale.indicators_daily),
            (DAILY_JOB_NAME, plan.days, lambda days: days),
        )
        for job, wanted, only_stale in parts:
            work = "all assets and checks" if job == DAILY_JOB_NAME else job.replace("_", " ")
            for days in consecutive(only_stale(wanted)):
                heading = f"{work}: {len(days)} sessions from {days[0]} to {days[-1]}"
                with showing_progress(heading):
                    execution = self._execute(job, days)
                outcome.seconds[work] = outcome.seconds.get(work, 0.0) + execution.seconds
                outcome.checks += execution.checks
        return outcome

    def _execute(self, job: str, days: Sequence[date] | None) -> _Execution:
        started = time.monotonic()
        tags = {}
        if days:
            tags = {_RANGE_START: days[0].isoformat(), _RANGE_END: days[-1].isoformat()}
        result = self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance, tags=tags, run_config=_QUIET, raise_on_error=False
        )
        if not result.success:
            raise RunFailed(_reason(result))
        evaluations = _of_whole_run(result.get_asset_check_evaluations())
        return _Execution(time.monotonic() - started, evaluations)


@dataclass(frozen=True)
class _Execution:
    seconds: float
    checks: list[dg.AssetCheckEvaluation]


def _of_whole_run(
    evaluations: Sequence[dg.AssetCheckEvaluation],
) -> list[dg.AssetCheckEvaluation]:
    """One evaluation per check: that of the range where there is one, else that of the only day."""
    chosen: dict[dg.AssetCheckKey, dg.AssetCheckEvaluation] = {}
    for evaluation in evaluations:
        key = evaluation.asset_check_key
        if key not in chosen or evaluation.partition is None:
            chosen[key] = evaluation
    return list(chosen.values())


def _reason(result: dg.ExecuteInProcessResult) -> str:
    for event in result.all_events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            while error.cause:
                error = error.cause
            return f"step {event.step_key} failed: {error.message.strip()}"
    return "the run failed before its first step; see the run in the UI"


def read_input(settings: Settings) -> tuple[raw.Intake, float]:
    """Take in the configured source; returns it and the seconds that took. Raises NoInput."""
    started = time.monotonic()
    with showing_progress("reading the input"):
        intake = raw.read_sources(settings)
    return intake, time.monotonic() - started


def run(settings: Settings, intake: raw.Intake, plan: Plan) -> Outcome:
    """Carry out ``plan`` with the instance of the data folder. Raises RunFailed."""
    with dg.DagsterInstance.get() as instance:
        return Runner(settings, instance).run(plan, intake)
