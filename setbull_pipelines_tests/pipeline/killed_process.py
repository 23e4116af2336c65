"""A back-fill of one step in a process of its own, to be killed in the middle.

Belongs here: carrying it out and printing each finished day. Does not belong here: assertions.
"""

from __future__ import annotations

import pickle
import sys
from datetime import date
from pathlib import Path

from setbull_pipelines.pipeline.engine import StepRun
from setbull_pipelines.pipeline.steps import STEPS
from setbull_pipelines.variants import V2
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests.pipeline.small_run import IN_FULL


def main(root: str, settings_file: str, step_name: str, *days: str) -> None:
    settings = pickle.loads(Path(settings_file).read_bytes())
    (step,) = (step for step in STEPS if step.name == step_name)
    run = StepRun(step, V2, Warehouse(Path(root)), settings, "killed", IN_FULL)
    for result in run.over([date.fromisoformat(day) for day in days]):
        print(result.day, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
