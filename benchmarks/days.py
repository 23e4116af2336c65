"""What whole days take through Dagster, in fresh processes: from raw rows to served tables, and back-fills.

``python -m benchmarks.days``: a generated exchange, prepared up to its last day, then each piece of work in a process
of its own. Belongs here: the work, the clock, the printed table. Does not belong here: kernels against their rivals
(``contestants``), what the results must be (the tests).
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from benchmarks.measuring import PROJECT, peak_bytes
from benchmarks.ticks import at_the_moment_of
from setbull_pipelines.assets.common import (
    AS_OF_TAG,
    DAILY_JOB_NAME,
    PARTITION_TAG,
    RANGE_TAGS,
    asset_key,
)
from setbull_pipelines.cli.ending import leave
from setbull_pipelines.cli.home import claim, prepare_dagster_home
from setbull_pipelines.cli.rollout import act
from setbull_pipelines.definitions import defs
from setbull_pipelines.pipeline import raw
from setbull_pipelines.pipeline.catalog import refresh_catalog
from setbull_pipelines.pipeline.daily_reports import REPORT
from setbull_pipelines.pipeline.engine import StepRun
from setbull_pipelines.pipeline.look_back import needs_of
from setbull_pipelines.pipeline.opening import warehouse_root
from setbull_pipelines.pipeline.references import references_of
from setbull_pipelines.pipeline.stage_decisions import stages_in_force
from setbull_pipelines.pipeline.steps import STEPS
from setbull_pipelines.rollout.controller import Verdict
from setbull_pipelines.rollout.stages import Component, Stage
from setbull_pipelines.settings import SampleSettings, Settings
from setbull_pipelines.sources.sample import minute_days
from setbull_pipelines.variants import V1, V2
from setbull_pipelines.warehouse.store import Warehouse

V2_ONLY = "v2_only"
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
_MIB = 2**20
_WATCH = """
import json, resource, subprocess, sys
status = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
sys.exit(status)
"""
"""A small process between: the kernel counts the memory of whoever starts a program as that program's."""
_SESSIONS = 12
"""Sessions with minutes: more than 5-minute indicators look back."""


@dataclass(frozen=True)
class Figures:
    """Of one process, its start and imports included."""

    seconds: float
    cpu_seconds: float
    peak_mib: float

    def row(self, work: str, target: float | None, held: float | None = None) -> str:
        """A row of the table; ``target`` in seconds by the clock, or of ``held`` when it is for other ones."""
        reached = self.seconds if held is None else held
        verdict = "" if target is None else ("met" if reached <= target else "**missed**")
        limit = "" if target is None else f"{target:g}"
        return (
            f"| {work} | {self.seconds:.1f} | {self.cpu_seconds:.1f} | {self.peak_mib:,.0f} MiB "
            f"| {limit} | {verdict} |"
        )


def settings_of(folder: Path, instruments: int, daily_sessions: int, sessions: int) -> Settings:
    """The settings of a generated exchange in ``folder``."""
    sample = SampleSettings(
        instruments=instruments, daily_sessions=daily_sessions, minute_sessions=sessions
    )
    return Settings(data_directory=folder, sample=sample)


def prepare(settings: Settings, stage: Stage, job: str) -> None:
    """Bring everything up to the session before the last, as it stands in the evening of every day.

    Raw tables and the look-backs of the last session are published, ``job`` has run over the session before it, and
    there is a catalog of views: so Dagster has its files, and knows the days of the look-back.
    """
    claim(settings.data_directory, None)
    intake = raw.read_sources(settings)
    asked = {intake.last_day}
    warehouse = Warehouse(warehouse_root(settings))
    list(act(settings, list(Component), Verdict("forced"), "benchmark", "measuring", stage))
    raw.publish_intake(intake, warehouse, settings, "benchmark")
    stages = stages_in_force(warehouse, settings.rollout)
    variants = {variant.name: variant for variant in (V1, V2)}
    chosen = [(name, STEPS) for name in variants]
    needs = needs_of(chosen, asked, stages, settings, references_of(warehouse))
    before = sorted(asked.symmetric_difference(needs.raw))
    list(raw.RawDays(intake, warehouse, settings, "benchmark").over(before))
    for work in needs.works:
        given = (warehouse, settings, "benchmark", stages)
        run = StepRun(work.step, variants[work.variant], *given)
        list(run.over([day for day in work.days if day not in asked]))
    yesterday = minute_days(settings.sample)[-2].isoformat()
    measured(settings, "job", job, json.dumps({PARTITION_TAG: yesterday}))
    refresh_catalog(warehouse, settings)


def execute(settings: Settings, job: str, tags: dict[str, str]) -> None:
    """Run a job with the instance of the data folder, its events in SQLite as users have them.

    The definitions are those that importing them has built, of the settings that this process was started with.
    """
    prepare_dagster_home(settings.data_directory)
    definitions = defs
    if job == V2_ONLY:
        # Without the report, which tells of the reconciliation, and the judgement, which is made of it.
        tables = dg.AssetSelection.groups("served") - dg.AssetSelection.assets(asset_key(REPORT))
        needed = tables.upstream() - dg.AssetSelection.groups("reconciliation", "operations")
        only = dg.define_asset_job(
            V2_ONLY,
            selection=needed.required_multi_asset_neighbors().without_checks(),
            executor_def=dg.in_process_executor,
        )
        definitions = dg.Definitions.merge(definitions, dg.Definitions(jobs=[only]))
    if AS_OF_TAG in tags:
        at_the_moment_of(tags[AS_OF_TAG])
    with dg.DagsterInstance.get() as instance:
        definitions.resolve_job_def(job).execute_in_process(
            instance=instance, tags=tags, run_config=_QUIET
        )


def measured(settings: Settings, *command: str) -> Figures:
    """Run this module's ``command`` in a process of its own. RuntimeError with its last words when it fails."""
    sample = settings.sample
    arguments = ["--folder", settings.data_directory, "--instruments", sample.instruments]
    arguments += ["--daily-sessions", sample.daily_sessions, "--sessions", sample.minute_sessions]
    started = time.perf_counter()
    finished = subprocess.run(
        [sys.executable, "-m", "benchmarks.days", *map(str, arguments), *command],
        cwd=PROJECT,
        env=_environment(settings),
        capture_output=True,
        text=True,
    )
    seconds = time.perf_counter() - started
    if finished.returncode:
        raise RuntimeError(f"{command}: {(finished.stderr.strip().splitlines() or ['?'])[-1]}")
    cpu_seconds, peak = json.loads(finished.stdout.splitlines()[-1])
    return Figures(seconds, cpu_seconds, peak / _MIB)


def of_run(settings: Settings, day: str) -> Figures:
    """``setbull run`` of a day, as its user starts it. RuntimeError when it fails."""
    command = [
        sys.executable,
        "-m",
        "setbull_pipelines.cli.main",
        "run",
        "--from",
        day,
        "--to",
        day,
    ]
    started = time.perf_counter()
    finished = subprocess.run(
        [sys.executable, "-c", _WATCH, *command],
        env=_environment(settings),
        capture_output=True,
        text=True,
    )
    seconds = time.perf_counter() - started
    if finished.returncode:
        raise RuntimeError(f"{' '.join(command)}: status {finished.returncode}")
    cpu_seconds, peak_mib = json.loads(finished.stdout)
    return Figures(seconds, cpu_seconds, peak_mib)


def of_imports() -> Figures:
    """Importing the definitions in a fresh process."""
    started = time.perf_counter()
    code = "import setbull_pipelines.definitions, time; print(time.process_time())"
    finished = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    return Figures(time.perf_counter() - started, float(finished.stdout), 0.0)


def lines_of_day(folder: Path, instruments: int, history: int, with_v1: bool) -> list[str]:
    """One day, intraday and as a whole, of an exchange in which V2 is in force; then with both variants, and again."""
    settings = settings_of(folder / "v2", instruments, history, _SESSIONS)
    day = settings.sample.last_day
    prepare(settings, Stage.RETIRED, V2_ONLY)
    imports = of_imports()
    work = "importing the definitions, target of processor seconds"
    lines = [imports.row(work, 1.5, imports.cpu_seconds)]
    intraday = {PARTITION_TAG: day, AS_OF_TAG: f"{day}T15:25:00"}
    figures = measured(settings, "job", "intraday", json.dumps(intraday))
    lines.append(figures.row("a tick of the intraday job at 15:25, V2 in force", 5))
    figures = measured(settings, "job", V2_ONLY, json.dumps({PARTITION_TAG: day}))
    lines.append(figures.row("one day, V2 only, raw to served", 6))
    if with_v1:
        both = settings_of(folder / "both", instruments, history, _SESSIONS)
        prepare(both, Stage.SHADOW, DAILY_JOB_NAME)
        figures = measured(both, "job", DAILY_JOB_NAME, json.dumps({PARTITION_TAG: day}))
        lines.append(figures.row("one day, both variants, reconciliation, all checks", 60))
        of_run(both, day)
        lines.append(of_run(both, day).row("`setbull run` of it with nothing changed", 3))
    return lines


def lines_of_growth(folder: Path, instruments: int) -> list[str]:
    """The same day with a longer and longer daily history."""
    lines, seconds = [], []
    for sessions in (30, 250, 500):
        settings = settings_of(folder / f"history-{sessions}", instruments, sessions, _SESSIONS)
        prepare(settings, Stage.RETIRED, V2_ONLY)
        tags = json.dumps({PARTITION_TAG: settings.sample.last_day})
        figures = measured(settings, "job", V2_ONLY, tags)
        seconds.append(figures.cpu_seconds)
        lines.append(figures.row(f"one day, V2 only, {sessions} sessions of history", None))
        shutil.rmtree(settings.data_directory)
    grown = seconds[-1] / seconds[0] - 1
    return [*lines, f"| processor time from 30 to 500 sessions | {grown:+.0%} | | | 10 % | |"]


def lines_of_back_fill(folder: Path, instruments: int, sessions: int) -> list[str]:
    """Many sessions in a single run."""
    settings = settings_of(folder / "back-fill", instruments, sessions, sessions)
    days = [day.isoformat() for day in minute_days(settings.sample)]
    claim(settings.data_directory, None)
    list(act(settings, list(Component), Verdict("forced"), "benchmark", "measuring", Stage.RETIRED))
    landing = measured(settings, "land")
    tags = dict(zip(RANGE_TAGS, (days[0], days[-1]), strict=True))
    figures = measured(settings, "job", V2_ONLY, json.dumps(tags))
    target = 450 if (instruments, sessions) == (2_400, 250) else None
    return [
        landing.row(f"inventing and landing {sessions} sessions", None),
        figures.row(f"back-fill of {sessions} sessions, V2 only, one run", target),
    ]


def main() -> None:
    """Measure and print, or, with a command, do one piece of work and print what it took."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.days", description=__doc__)
    parser.add_argument("--instruments", type=int, default=2_400)
    parser.add_argument("--history", type=int, default=560, help="sessions of daily bars")
    parser.add_argument("--folder", type=Path, help="where to work; default: a temporary folder")
    parser.add_argument(
        "--with-v1", action="store_true", help="also both variants: two minutes more"
    )
    parser.add_argument("--growth", action="store_true", help="also longer and longer histories")
    parser.add_argument("--sessions", type=int, default=0, help="of a back-fill; default: none")
    parser.add_argument("--daily-sessions", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("command", nargs="*", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    logging.disable(logging.CRITICAL)
    if chosen.command:
        settings = settings_of(
            chosen.folder, chosen.instruments, chosen.daily_sessions, chosen.sessions
        )
        _work(settings, *chosen.command)
        print(json.dumps([time.process_time(), peak_bytes()]))
        leave(0)  # as every command ends
        return
    with tempfile.TemporaryDirectory(dir=chosen.folder) as name:
        folder = Path(name)
        lines = lines_of_day(folder, chosen.instruments, chosen.history, chosen.with_v1)
        if chosen.growth:
            lines += lines_of_growth(folder, chosen.instruments)
        if chosen.sessions:
            lines += lines_of_back_fill(folder, chosen.instruments, chosen.sessions)
    print("| what | seconds | processor seconds | peak memory | target | |")
    print("|---|---|---|---|---|---|")
    print("\n".join(lines))


def _work(settings: Settings, verb: str, *arguments: str) -> None:
    if verb == "land":
        raw.read_sources(settings)
    else:
        job, tags = arguments
        execute(settings, job, json.loads(tags))


def _environment(settings: Settings) -> dict[str, str]:
    """That of a process of the data folder, whose settings are written there."""
    path = settings.data_directory / "settings.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_toml(settings), encoding="utf-8")
    return os.environ | {
        "SETBULL_DATA_DIR": str(settings.data_directory),
        "SETBULL_SETTINGS": str(path),
    }


def _toml(settings: Settings) -> str:
    sample = settings.sample
    return (
        f"[sample]\ninstruments = {sample.instruments}\ndaily_sessions = {sample.daily_sessions}\n"
        f"minute_sessions = {sample.minute_sessions}\n"
    )


if __name__ == "__main__":
    main()
