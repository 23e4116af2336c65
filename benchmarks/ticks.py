"""Time and memory of a generated exchange: inventing and landing it, and ticks of the intraday job over its last day.

``python -m benchmarks.ticks --instruments 2400 --sessions 10`` needs a gigabyte in ``--folder``. Belongs here: the
clock and the printed lines. Does not belong here: targets, checks of results.
"""

from __future__ import annotations

import argparse
import datetime
import logging
import resource
import tempfile
import time
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg

from setbull_pipelines.assets import common
from setbull_pipelines.assets.common import AS_OF_TAG, PARTITION_TAG
from setbull_pipelines.definitions import build_defs
from setbull_pipelines.pipeline import raw
from setbull_pipelines.pipeline.engine import StepRun
from setbull_pipelines.pipeline.opening import warehouse_root
from setbull_pipelines.pipeline.steps import STEPS
from setbull_pipelines.rollout.stages import Component, Stage
from setbull_pipelines.settings import SampleSettings, Settings
from setbull_pipelines.sources.intake import Intake
from setbull_pipelines.tables.contract import INDIA
from setbull_pipelines.variants import V1, V2
from setbull_pipelines.warehouse.store import Warehouse

TICKS = ("09:20", "12:30", "15:25", "15:31")
IN_FULL = dict.fromkeys(Component, Stage.SHADOW)


def _peak() -> str:
    return f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024:,} MiB"


def publish_look_back(intake: Intake, settings: Settings) -> None:
    """What the first tick of the last session needs of the sessions before it: raw days, and what is looked back at."""
    warehouse, days = Warehouse(warehouse_root(settings)), intake.days("minutes")[:-1]
    raw.publish_intake(intake, warehouse, settings, "benchmark")
    list(raw.RawDays(intake, warehouse, settings, "benchmark").over(days))
    for step in STEPS:
        if step.name in ("candles_5min", "indicators_5min", "bb_width_daily"):
            for variant in (V1, V2):
                list(StepRun(step, variant, warehouse, settings, "benchmark", IN_FULL).over(days))


def at_the_moment_of(moment: str) -> None:
    """Set the project's clock to a moment of the exchange: sessions of a sample are long over by any other."""
    clock = datetime.datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo(INDIA))
    common.now = lambda: clock


def tick(settings: Settings, day: str, clock: str) -> str:
    """One run of the job as of a moment: seconds of the whole by clock and processor, of its steps by clock."""
    job = build_defs(settings).resolve_job_def("intraday")
    at_the_moment_of(f"{day}T{clock}:00")
    started, used = time.monotonic(), time.process_time()
    result = job.execute_in_process(
        instance=dg.DagsterInstance.ephemeral(),
        tags={PARTITION_TAG: day, AS_OF_TAG: f"{day}T{clock}:00"},
    )
    steps = ", ".join(
        f"{event.step_key} {event.step_success_data.duration_ms / 1000:.1f}"
        for event in result.all_events
        if event.is_step_success
    )
    seconds, used = time.monotonic() - started, time.process_time() - used
    return f"tick {clock}: {seconds:.1f} s, processor {used:.1f} s ({steps}), {_peak()}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--instruments", type=int, default=2400)
    parser.add_argument("--sessions", type=int, default=10)
    parser.add_argument("--folder", type=Path, help="where to work; default: a temporary folder")
    parser.add_argument("--only-sample", action="store_true", help="no ticks")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        settings = Settings(
            data_directory=Path(folder),
            sample=SampleSettings(
                instruments=arguments.instruments, minute_sessions=arguments.sessions
            ),
        )
        started = time.monotonic()
        intake = raw.read_sources(settings)
        print(
            f"{intake.files['received'].sum():,} rows of {arguments.instruments} instruments, {arguments.sessions} "
            f"sessions of minutes, invented and landed: {time.monotonic() - started:.1f} s, {_peak()}"
        )
        if arguments.only_sample:
            return
        logging.disable(logging.CRITICAL)
        publish_look_back(intake, settings)
        for clock in TICKS:
            print(tick(settings, f"{intake.days('minutes')[-1]}", clock), flush=True)


if __name__ == "__main__":
    main()
