"""Which process carries out a run, and the end of runs whose process is gone.

Belongs here: what a run says about its process, what the operating system says of it, ending such a run. Does not
belong here: how long runs may take (``settings.runs``), stopping a run between two days (``assets/common``).

Dagster does not notice the end of such a process: its default launcher has no health check, and a run of the command
line has no launcher at all. It would stay "started" and keep the one place of the queue for ever.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from datetime import date

import dagster as dg
import psutil

from setbull_pipelines.assets.common import RANGE_TAGS
from setbull_pipelines.automation.told_by_tags import (
    KILLED,
    NO_RETRY,
    ChecksOfRun,
    without_inherited,
)
from setbull_pipelines.market.calendar import NSE

PROCESS_TAG = ".dagster/setbull_process"
"""On every run that works in one process: its run id, host, process id and start. With the run id, because a run that
is executed again from the UI takes the tags of the first one along. With Dagster's prefix of tags that its UI hides:
in the list of runs it would be a line of JSON beside every run."""
DAYS_TAG = "setbull/days"
"""The sessions of a run over several, to be read: Dagster shows only the two ends, as tags of their own."""
_UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_SAME_START = 30.0
"""Seconds by which two readings of the same process' start may differ: a machine's clock is set right."""


def process_tags(run_id: str) -> dict[str, str]:
    """The tags that say that the run ``run_id`` is carried out by this process."""
    process = psutil.Process()
    said = {"run": run_id, "host": _host(), "pid": process.pid, "started": process.create_time()}
    return {PROCESS_TAG: json.dumps(said)}


def days_tag(asked: Mapping[str, str]) -> dict[str, str]:
    """The tag that names the sessions of a run with the tags ``asked``; nothing of a run that has no range."""
    if not all(tag in asked for tag in RANGE_TAGS):
        return {}
    first, last = (date.fromisoformat(asked[tag]) for tag in RANGE_TAGS)
    return {DAYS_TAG: f"{len(NSE.trading_days(first, last))} sessions, {first} to {last}"}


def end_gone_runs(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    """End every unfinished run whose process is gone, as failed or, where that was asked for, as cancelled.

    Returns those runs. Runs of other machines, and runs without the tag, are left as they are.
    """
    ended = []
    for run in gone_runs(instance):
        # Read again: the process can have finished its run between the two looks.
        run = instance.get_run_by_id(run.run_id)
        if run is None or run.is_finished:
            continue
        reason = f"{_process_of(run)} is gone; it was killed, or the machine was restarted"
        if run.status is dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, reason)
        else:
            instance.add_run_tags(run.run_id, KILLED)
            instance.report_run_failed(run, reason)
        ended.append(run)
    return ended


def gone_runs(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    """The unfinished runs whose process is gone."""
    unfinished = instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED))
    return [run for run in unfinished if _is_gone(run)]


def _is_gone(run: dg.DagsterRun) -> bool:
    """Whether this machine knows that the process of ``run`` is no more; False where it cannot tell."""
    try:
        said = json.loads(run.tags[PROCESS_TAG])
        if said["run"] != run.run_id or said["host"] != _host():
            return False
        process = psutil.Process(said["pid"])
        # A number is given again, and a killed process whose parent does not ask for it stays as a zombie.
        is_same = abs(process.create_time() - said["started"]) <= _SAME_START
        return not is_same or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess as error:
        return not psutil.pid_exists(error.pid)  # of other users only that they exist may be seen
    except psutil.AccessDenied:
        return False
    except (KeyError, TypeError, ValueError):
        return False  # no tag, or one that a person wrote


def _process_of(run: dg.DagsterRun) -> str:
    said = json.loads(run.tags[PROCESS_TAG])
    return f"process {said['pid']} of host {said['host'].partition(' ')[0]}, which carried out the run,"


def _host() -> str:
    """This machine and, in a container, which one: process ids mean nothing in another container."""
    try:
        return f"{socket.gethostname()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


class _InThisProcess(dg.Executor):
    """Dagster's in-process executor, on whose runs the process is noted, and at the end what their checks say."""

    def __init__(self, executor: dg.Executor, fails_on_divergence: bool) -> None:
        self._executor = executor
        self._fails_on_divergence = fails_on_divergence

    @property
    def retries(self):
        return self._executor.retries

    def execute(self, plan_context, execution_plan):
        run_id = plan_context.run_id
        instance, checks = plan_context.instance, ChecksOfRun()
        asked = plan_context.dagster_run.tags
        instance.add_run_tags(
            run_id, without_inherited(asked) | process_tags(run_id) | days_tag(asked)
        )
        for event in self._executor.execute(plan_context, execution_plan):
            checks.note(event)
            yield event
        difference = checks.difference if self._fails_on_divergence else None
        if tags := checks.tags() | (NO_RETRY if difference else {}):
            instance.add_run_tags(run_id, tags)
        if difference:
            raise difference


def build_executor(fails_on_divergence: bool) -> dg.ExecutorDefinition:
    """All steps in one process, which the run names in its tags; ``runs.fail_on_divergence``."""

    @dg.executor(name="in_process", config_schema=dg.in_process_executor.config_schema)
    def in_process_executor(init_context: dg.InitExecutorContext) -> dg.Executor:
        executor = dg.in_process_executor.executor_creation_fn(init_context)
        return _InThisProcess(executor, fails_on_divergence)

    return in_process_executor
