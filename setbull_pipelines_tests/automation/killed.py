"""Runs whose process was killed, made for tests.

Belongs here: the processes and the runs. Does not belong here: assertions. As a program it is a run that
works until it is killed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid

import dagster as dg
import psutil

from setbull_pipelines.automation.run_process import (
    PROCESS_TAG,
    build_executor,
    process_tags,
)


@dg.op
def work() -> None:
    print("working", flush=True)
    time.sleep(600)


@dg.job(executor_def=build_executor(fails_on_divergence=True))
def endless() -> None:
    work()


def started_run(
    instance: dg.DagsterInstance,
    tags: dict[str, str],
    status: dg.DagsterRunStatus = dg.DagsterRunStatus.STARTED,
    **process: object,
) -> str:
    """The id of a run of the daily job that this process carries out, as it says; ``process`` changes what it says."""
    run_id = str(uuid.uuid4())
    said = json.loads(process_tags(run_id)[PROCESS_TAG]) | process
    tags = tags | {PROCESS_TAG: json.dumps(said)}
    instance.add_run(dg.DagsterRun(job_name="daily", run_id=run_id, status=status, tags=tags))
    return run_id


def gone_process() -> dict[str, object]:
    """Id and start of a process that was killed."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    said = {"pid": process.pid, "started": psutil.Process(process.pid).create_time()}
    process.kill()
    process.communicate()
    return said


if __name__ == "__main__":
    with dg.DagsterInstance.get() as instance:
        dg.execute_job(dg.reconstructable(endless), instance)
