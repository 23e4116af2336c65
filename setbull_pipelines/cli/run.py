"""``setbull run``: materializes every asset for a range of trading days, with the instance of the UI.

Belongs here: launching the daily job and its outcome. Does not belong here: printing results (``report``), choosing
days (``days``), computing: the lanes do that, the same for a run of the command line, of a schedule and of the UI.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date

import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.definitions.repository_definition import SINGLETON_REPOSITORY_NAME
from dagster._core.events import RunFailureReason
from dagster._core.execution.api import execute_run
from dagster._core.execution.plan.objects import ErrorSource
from dagster._core.remote_origin import RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.workspace.load_target import WorkspaceFileTarget
from rich.markup import escape

from setbull_pipelines import tables
from setbull_pipelines.assets.common import (
    DAILY_JOB_NAME,
    MAX_RUNTIME_TAG,
    PARTITION_TAG,
    RANGE_TAGS,
)
from setbull_pipelines.assets.lane import LANES
from setbull_pipelines.assets.maintenance import keep_limits, sentence
from setbull_pipelines.automation.noticing import failure_of, is_of_divergence
from setbull_pipelines.automation.run_process import end_gone_runs, process_tags
from setbull_pipelines.cli.alerts import after_run
from setbull_pipelines.cli.days import AskedDays, consecutive
from setbull_pipelines.cli.home import PROJECT
from setbull_pipelines.cli.terminal import Shown, console, showing_progress
from setbull_pipelines.cli.unchanged import Earlier, earlier_runs, remember, state_of
from setbull_pipelines.cli.watching import about_memory, is_of_memory
from setbull_pipelines.errors import FAILED, SetbullError
from setbull_pipelines.pipeline import raw
from setbull_pipelines.pipeline.comparing_days import SUMMARY
from setbull_pipelines.pipeline.dependents import (
    depending,
    sessions_of_changed_facts,
    sessions_of_changed_files,
)
from setbull_pipelines.pipeline.opening import now, open_warehouse
from setbull_pipelines.pipeline.references import FactsTakenIn, References
from setbull_pipelines.pipeline.time_left import WholeRun
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.errors import ContractViolation, MissingPartition
from setbull_pipelines.warehouse.pointers import WHOLE, StoredTable

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class RunFailed(SetbullError, RuntimeError):
    """A step raised; the message is its one-sentence reason."""

    exit_code = FAILED


@dataclass
class Outcome:
    """What a run did, for the report."""

    settings: Settings
    asked: AskedDays
    checks: list[dg.AssetCheckEvaluation] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    run_ids: list[str] = field(default_factory=list)
    """The Dagster runs."""
    disk: str | None = None
    """What was removed to keep the limits of disk space; None without limits."""
    alerts: list[str] = field(default_factory=list)
    """What became of the alerts, in sentences."""
    unchanged_since: Earlier | None = None
    """The runs whose results are shown again, where nothing had to be done."""

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

    def run(self, asked: AskedDays) -> Outcome:
        """Materialize every asset of the asked days with all checks: one run for each stretch of sessions."""
        outcome = Outcome(self.settings, asked, run_ids=self.run_ids)
        steps = [node.name for node in self.definitions.resolve_job_def(DAILY_JOB_NAME).nodes]
        waiting = len(asked.days)
        for days in consecutive(asked.days):
            sessions = f"{len(days)} sessions from {days[0]} to {days[-1]}"
            waiting -= len(days)
            whole = WholeRun(steps, later=waiting / len(days))
            with showing_progress(f"all assets and checks: {sessions}", whole) as shown:
                execution = self._execute(DAILY_JOB_NAME, days, shown)
            for step, seconds in execution.seconds.items():
                outcome.seconds[step] = outcome.seconds.get(step, 0.0) + seconds
            outcome.checks += execution.checks
        store = open_warehouse(self.settings)
        if eviction := keep_limits(store, self.settings, now(), self.run_ids[-1]):
            if eviction.evicted:
                store.collect_garbage()
            outcome.disk = sentence(eviction, self.settings)
        return outcome

    def _execute(self, job: str, days: Sequence[date], shown: Shown) -> _Execution:
        started = time.monotonic()
        tags = {MAX_RUNTIME_TAG: str(self.settings.runs.max_runtime_seconds * len(days))}
        if len(days) == 1:
            tags[PARTITION_TAG] = days[0].isoformat()
        else:
            tags |= zip(RANGE_TAGS, (days[0].isoformat(), days[-1].isoformat()), strict=True)
        definition = self.definitions.resolve_job_def(job)
        run_id = str(uuid.uuid4())
        run = self.instance.create_run_for_job(
            definition,
            run_id=run_id,
            run_config=_QUIET,
            # A run that is created this way has none of the tags of its job by itself.
            tags={**definition.run_tags, **tags, **process_tags(run_id)},
            remote_job_origin=_origin_of(job),
        )
        self.run_ids.append(run_id)
        self.instance.add_event_listener(run_id, _Following(shown, len(definition.nodes)))
        result = execute_run(InMemoryJob(definition), run, self.instance)
        if _is_interrupted(result.all_events):
            # Dagster calls it a failure, which would be told as one; here a person wanted it.
            self.instance.report_run_canceled(run, "interrupted in the terminal")
            raise KeyboardInterrupt
        if not result.success and not is_of_divergence(result.all_events):
            reason = failure_of(result.all_events)
            raise RunFailed(reason + (about_memory() if is_of_memory(reason) else ""))
        seconds = _seconds_of_lanes(result.all_events)
        seconds["everything else"] = time.monotonic() - started - sum(seconds.values())
        return _Execution(seconds, of_whole_run(_evaluations(result.all_events)))


class _Following:
    """Shows which step of a run is under way."""

    def __init__(self, shown: Shown, steps: int) -> None:
        self._shown, self._steps = shown, steps
        self._begun = 0

    def __call__(self, entry: dg.EventLogEntry) -> None:
        event = entry.dagster_event
        if event is not None and event.is_step_start:
            self._begun += 1
            self._shown.part(self._begun, self._steps, event.step_key)


def _is_interrupted(events: Iterable[dg.DagsterEvent]) -> bool:
    """Whether a signal ended the run, in a step or between two, which Dagster catches."""
    return any(
        event.step_failure_data.error_source is ErrorSource.INTERRUPT
        if event.is_step_failure
        else event.job_failure_data.failure_reason is RunFailureReason.UNEXPECTED_TERMINATION
        for event in events
        if event.is_step_failure or event.is_run_failure
    )


def _origin_of(job: str) -> RemoteJobOrigin:
    """Where the web server finds ``job``: without it the run would be missing in its timeline and under its job."""
    (location,) = WorkspaceFileTarget([str(PROJECT / "workspace.yaml")]).create_origins()
    return RemoteJobOrigin(RemoteRepositoryOrigin(location, SINGLETON_REPOSITORY_NAME), job)


def _evaluations(events: Iterable[dg.DagsterEvent]) -> list[dg.AssetCheckEvaluation]:
    return [
        event.asset_check_evaluation_data
        for event in events
        if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION
    ]


def _seconds_of_lanes(events: Iterable[dg.DagsterEvent]) -> dict[str, float]:
    """How long each lane took, in the order in which they ended."""
    return {
        event.step_key: event.step_success_data.duration_ms / 1000
        for event in events
        if event.event_type is dg.DagsterEventType.STEP_SUCCESS and event.step_key in LANES
    }


@dataclass(frozen=True)
class _Execution:
    seconds: dict[str, float]
    """By lane, and of everything else."""
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
    """The stored sessions that files changed for since the last intake, and those that look back on them.

    Also those that were computed with other corporate actions or aliases than are known now.
    """
    warehouse = open_warehouse(settings)
    known = raw.WHOLE_TABLES[0]
    try:
        before = warehouse.read(known, [WHOLE])
        # What is new in the coverage is a correction of files, and working it out takes longer than all else here.
        coverage = warehouse.read(StoredTable("raw", tables.COVERAGE), [WHOLE])
    except (MissingPartition, ContractViolation):
        return []  # of a first run, or of a program with another contract, which computes everything again
    stored = [date.fromisoformat(key) for key in warehouse.partitions(SUMMARY)]
    of_files = depending(sessions_of_changed_files(before, intake.files), stored, settings)
    facts = FactsTakenIn(coverage, intake.corporate_actions, intake.instrument_aliases)
    of_facts = sessions_of_changed_facts(References(facts), warehouse, settings)
    return sorted({*of_files, *of_facts})


def run(settings: Settings, intake: raw.Intake, asked: AskedDays) -> Outcome:
    """Run the asked days with the instance of the data folder, and raise alerts. Raises RunFailed."""
    with dg.DagsterInstance.get() as instance:
        gone = [run.run_id for run in _ended_before(instance)]
        if outcome := _told_again(settings, intake, asked, instance, gone):
            return outcome
        runner = Runner(settings, instance)
        try:
            outcome = runner.run(asked)
        except Exception as error:
            for line in after_run(instance, runner.run_ids, settings, str(error), gone):
                console.print(escape(line))
            raise
        outcome.alerts = after_run(instance, runner.run_ids, settings, gone=gone)
        if state := state_of(asked, intake, open_warehouse(settings), settings):
            remember(instance, runner.run_ids, state)
        return outcome


def _ended_before(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    """The runs that were killed: they are shown and marked as failed here, so that the daemon's queue goes on."""
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
    asked: AskedDays,
    instance: dg.DagsterInstance,
    gone: Sequence[str],
) -> Outcome | None:
    """The outcome of the runs that left everything as it is; None where there is something to do."""
    started = time.monotonic()
    state = state_of(asked, intake, open_warehouse(settings), settings)
    earlier = earlier_runs(instance, DAILY_JOB_NAME, asked, state) if state else None
    if earlier is None:
        return None
    return Outcome(
        settings,
        asked,
        checks=of_whole_run(earlier.checks),
        seconds={"looking for changes": time.monotonic() - started},
        alerts=after_run(instance, [], settings, gone=gone),
        unchanged_since=earlier,
    )
