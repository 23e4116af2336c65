"""A process that stores events, for the tests of the event log.

Belongs here: what such a process does. Does not belong here: assertions. As a program: ``BASE_DIR RUN_ID COUNT``
stores events of a run one by one and in batches; with ``fork`` instead of a count, in a forked child as well.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from uuid import NAMESPACE_OID, uuid5

import dagster as dg
from dagster._core.events import (
    AssetCheckEvaluationPlanned,
    AssetMaterializationPlannedData,
    DagsterEvent,
    StepMaterializationData,
)
from dagster._core.events.log import EventLogEntry

from setbull_pipelines.assets.event_log import BatchedSqliteEventLog

TYPE = dg.DagsterEventType


def entry(
    run_id: str, moment: float, kind: dg.DagsterEventType, what: object = None
) -> EventLogEntry:
    """An event of a run, with what it says."""
    said = DagsterEvent(kind.value, "lane", step_key="lane", event_specific_data=what)
    return EventLogEntry(None, 20, "", run_id, moment, "lane", "lane", said)


def materialized(run_id: str, moment: float, table: str, day: str) -> EventLogEntry:
    tags = {"dagster/data_version": f"{table} {day}"}
    made = dg.AssetMaterialization(["v2", table], partition=day, metadata={"rows": 3}, tags=tags)
    return entry(run_id, moment, TYPE.ASSET_MATERIALIZATION, StepMaterializationData(made))


def planned(run_id: str, moment: float, table: str, day: str) -> EventLogEntry:
    what = AssetMaterializationPlannedData(dg.AssetKey(["v2", table]), partition=day)
    return entry(run_id, moment, TYPE.ASSET_MATERIALIZATION_PLANNED, what)


def check_planned(run_id: str, moment: float, table: str, check: str) -> EventLogEntry:
    what = AssetCheckEvaluationPlanned(asset_key=dg.AssetKey(["v2", table]), check_name=check)
    return entry(run_id, moment, TYPE.ASSET_CHECK_EVALUATION_PLANNED, what)


def judged(
    run_id: str, moment: float, table: str, check: str, passed: bool, day: str | None = None
) -> EventLogEntry:
    what = dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(["v2", table]), check_name=check, passed=passed, partition=day, metadata={}
    )  # fmt: skip
    return entry(run_id, moment, TYPE.ASSET_CHECK_EVALUATION, what)


def days_of_june(count: int) -> list[str]:
    return [f"2026-06-{number + 1:02}" for number in range(count)]


def store(log: BatchedSqliteEventLog, run_id: str, numbers: Sequence[int]) -> None:
    """For each number an event by itself and a batch of three days."""
    for number in numbers:
        log.store_event(judged(run_id, 1.0 * number, "candles", f"check {number}", True))
        log.store_event_batch(
            [materialized(run_id, 1.0 * number, f"table {number}", day) for day in days_of_june(3)]
        )


def main(base_dir: str, run_id: str, count: str) -> None:
    log = BatchedSqliteEventLog(base_dir)
    if count != "fork":
        store(log, run_id, range(int(count)))
        print("stored", flush=True)
        sys.stdin.read()
        return
    store(log, run_id, [0])
    child = os.fork()
    if child == 0:
        store(log, run_id, [1])
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    store(log, run_id, [2])


def run_id_of(name: str) -> str:
    return str(uuid5(NAMESPACE_OID, name))


if __name__ == "__main__":
    main(*sys.argv[1:])
