"""``setbull run``: materializes every asset for a range of trading days, with the instance of the UI.

Belongs here: the order of executions and their outcome. Does not belong here: printing results
(``report``), planning (``plan``).
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

import dagster as dg
from rich.markup import escape

from setbull_pipelines.assets.common import MAX_RUNTIME_TAG, now, open_warehouse
from setbull_pipelines.assets.maintenance import keep_limits, sentence
from setbull_pipelines.automation.alerting import failure_of
from setbull_pipelines.automation.jobs import DAILY_JOB_NAME, INTAKE_JOB_NAME
from setbull_pipelines.automation.run_process import end_gone_runs, process_tags
from setbull_pipelines.automation.schedules import PARTITION_TAG, RANGE_TAGS
from setbull_pipelines.cli.alerts import after_run
from setbull_pipelines.cli.history import History
from setbull_pipelines.cli.plan import Plan, consecutive
from setbull_pipelines.cli.terminal import console, showing_progress
from setbull_pipelines.cli.unchanged import Earlier, earlier_runs, remember, state_of
from setbull_pipelines.pipeline import raw
from setbull_pipelines.pipeline.dependents import depending, sessions_of_changed_files
from setbull_pipelines.pipeline.metrics import CacheUse
from setbull_pipelines.pipeline.reconciling import SUMMARY
from setbull_pipelines.settings import Settings
from setbull_pipelines.sources.landing import DamagedLanding
from setbull_pipelines.warehouse.errors import ContractViolation, MissingPartition
from setbull_pipelines.warehouse.pointers import WHOLE

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
    history: CacheUse = field(default_factory=CacheUse)
    """How many partitions of the look-back sessions were up to date."""
    disk: str | None = None
    """What was removed to keep the limits of disk space; None without limits."""
    alerts: list[str] = field(default_factory=list)
    """What became of the alerts, in sentences."""
    unchanged_since: Earlier | None = None
    """The runs whose results are told again, where nothing had to be done."""

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


class Runner:
    """Executes parts of the asset graph in this process."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance) -> None:
        # Importing and building take most of the seconds of a run that has nothing to do.
        from setbull_pipelines.definitions import build_defs

        self.settings, self.instance = settings, instance
        self.definitions = build_defs(settings)
        self.run_ids: list[str] = []
        """The Dagster runs so far."""
        self.daily_run_ids: list[str] = []
        """Those of them that ran the asked days."""

    def run(self, plan: Plan, intake: raw.Intake) -> Outcome:
        """Materialize intake, the look-backs, then every asset of the asked days with all checks."""
        outcome = Outcome(self.settings, plan)
        outcome.seconds["publishing the input"] = self._execute(INTAKE_JOB_NAME, None).seconds
        try:
            history = History(intake, self.settings, self.instance)
            outcome.seconds |= history.materialize(plan)
            outcome.history = history.cache_use
        except (MissingPartition, ContractViolation, DamagedLanding) as error:
            raise RunFailed(f"the history could not be published: {error}") from error
        work = "all assets and checks"
        for days in consecutive(plan.days):
            with showing_progress(f"{work}: {len(days)} sessions from {days[0]} to {days[-1]}"):
                execution = self._execute(DAILY_JOB_NAME, days)
            self.daily_run_ids.append(self.run_ids[-1])
            outcome.seconds[work] = outcome.seconds.get(work, 0.0) + execution.seconds
            outcome.checks += execution.checks
        store = open_warehouse(self.settings)
        if eviction := keep_limits(store, self.settings, now(), self.run_ids[-1]):
            if eviction.evicted:
                store.collect_garbage()
            outcome.disk = sentence(eviction, self.settings)
        return outcome

    def _execute(self, job: str, days: Sequence[date] | None) -> _Execution:
        started = time.monotonic()
        limit = self.settings.runs.max_runtime_seconds * max(1, len(days or ()))
        tags = {MAX_RUNTIME_TAG: str(limit)}
        if days and days[0] == days[-1]:
            tags[PARTITION_TAG] = days[0].isoformat()
        elif days:
            tags |= zip(RANGE_TAGS, (days[0].isoformat(), days[-1].isoformat()), strict=True)
        run_id = str(uuid.uuid4())
        result = self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            tags=tags | process_tags(run_id),
            run_config=_QUIET,
            raise_on_error=False,
            run_id=run_id,
        )
        self.run_ids.append(result.run_id)
        if not result.success:
            raise RunFailed(failure_of(result.all_events))
        evaluations = of_whole_run(result.get_asset_check_evaluations())
        return _Execution(time.monotonic() - started, evaluations)


@dataclass(frozen=True)
class _Execution:
    seconds: float
    checks: list[dg.AssetCheckEvaluation]


def of_whole_run(
    evaluations: Sequence[dg.AssetCheckEvaluation],
) -> list[dg.AssetCheckEvaluation]:
    """One evaluation per check: a failed one where there is one, that of the range before those of single days.

    A range holds the worst of its days; days that were served again besides have only their own.
    """
    chosen: dict[dg.AssetCheckKey, dg.AssetCheckEvaluation] = {}
    for evaluation in evaluations:
        known = chosen.setdefault(evaluation.asset_check_key, evaluation)
        if _rank(evaluation) < _rank(known):
            chosen[evaluation.asset_check_key] = evaluation
    return list(chosen.values())


def _rank(evaluation: dg.AssetCheckEvaluation) -> tuple[bool, bool, bool]:
    is_error = evaluation.severity is dg.AssetCheckSeverity.ERROR
    return evaluation.passed, not is_error, evaluation.partition is not None


def read_input(settings: Settings) -> tuple[raw.Intake, float]:
    """Take in the configured source; returns it and the seconds that took. Raises NoInput."""
    started = time.monotonic()
    with showing_progress("reading the input"):
        intake = raw.read_sources(settings)
    return intake, time.monotonic() - started


def sessions_to_correct(settings: Settings, intake: raw.Intake) -> list[date]:
    """The stored sessions that files changed for since the last intake, and those that look back on them."""
    warehouse = open_warehouse(settings)
    known = raw.WHOLE_TABLES[0]
    try:
        before = warehouse.read(known, [WHOLE])
    except (MissingPartition, ContractViolation):
        return []  # of a first run, or of a program with another contract, which computes everything again
    stored = [date.fromisoformat(key) for key in warehouse.partitions(SUMMARY)]
    return depending(sessions_of_changed_files(before, intake.files), stored, settings)


def run(settings: Settings, intake: raw.Intake, plan: Plan) -> Outcome:
    """Carry out ``plan`` with the instance of the data folder, and raise alerts. Raises RunFailed."""
    with dg.DagsterInstance.get() as instance:
        gone = [run.run_id for run in _ended_before(instance)]
        if outcome := _told_again(settings, intake, plan, instance, gone):
            return outcome
        runner = Runner(settings, instance)
        try:
            outcome = runner.run(plan, intake)
        except Exception as error:
            for line in after_run(instance, runner.run_ids, settings, str(error), gone):
                console.print(escape(line))
            raise
        outcome.alerts = after_run(instance, runner.run_ids, settings, gone=gone)
        if state := state_of(plan, intake, open_warehouse(settings), settings):
            remember(instance, runner.daily_run_ids, state)
        return outcome


def _ended_before(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    """The runs that were killed, which are told and marked as failed here, so that the daemon's queue goes on."""
    ended = end_gone_runs(instance)
    for run in ended:
        console.print(
            f"an earlier run of the job {run.job_name} ({run.run_id[:8]}) was killed: its process is gone; it counts "
            "as failed now"
        )
    return ended


def _told_again(
    settings: Settings,
    intake: raw.Intake,
    plan: Plan,
    instance: dg.DagsterInstance,
    gone: Sequence[str],
) -> Outcome | None:
    """The outcome of the runs that left everything as it is; None where there is something to do."""
    started = time.monotonic()
    state = state_of(plan, intake, open_warehouse(settings), settings)
    earlier = earlier_runs(instance, DAILY_JOB_NAME, plan, state) if state else None
    if earlier is None:
        return None
    return Outcome(
        settings,
        plan,
        checks=of_whole_run(earlier.checks),
        seconds={"looking for changes": time.monotonic() - started},
        alerts=after_run(instance, [], settings, gone=gone),
        unchanged_since=earlier,
    )
