"""A back-fill on a Ray cluster one of whose workers is killed on the way, held against a run in one process.

Every machine has a folder of its own; what they share is an S3-compatible store and a PostgreSQL database. One story,
told once: the tests look at what it left behind.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from setbull_pipelines import tables
from setbull_pipelines.assets.common import asset_key
from setbull_pipelines.definitions import build_defs
from setbull_pipelines.pipeline.opening import open_warehouse
from setbull_pipelines.pipeline.raw import RawDays, publish_intake, read_sources
from setbull_pipelines.settings import Settings, load_settings
from setbull_pipelines.warehouse.pointers import Pointer, StoredTable
from setbull_pipelines.warehouse.remote import ObjectStore, Remote
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests import stored as faults
from setbull_pipelines_tests.patience import PATIENCE
from setbull_pipelines_tests.processes import environment
from setbull_pipelines_tests.servers import (
    PROJECT,
    RayCluster,
    postgres_server,
    ray_cluster,
    s3_server,
)

pytestmark = pytest.mark.scenario

SESSIONS = 24
ADDRESS = "s3://bucket/shared"
ALONE = f"""
[sample]
instruments = 12
daily_sessions = {SESSIONS}
minute_sessions = 3
"""
SHARED = f"""{ALONE}
[storage]
remote = "{ADDRESS}"
"""
BACK_FILL = """
import sys
import dagster as dg
from dagster._core.definitions.reconstruct import ReconstructableRepository
first, last, *wanted = sys.argv[1:]
wanted = [key.split("/") for key in wanted]
job = ReconstructableRepository.for_module("setbull_pipelines.cluster", "defs").get_reconstructable_job("back_fill")
keys = {key for key in job.get_definition().asset_layer.executable_asset_keys if key.path in wanted}
job = job.get_subset(asset_selection=frozenset(keys), asset_check_selection=frozenset())
tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
with dg.DagsterInstance.get() as instance:
    result = dg.execute_job(job, instance=instance, tags=tags)
    sys.exit(0 if result.success else 1)
"""
"""``dagster job execute`` with a selection: all steps, each in a process of its own, would take minutes here."""
STEPS = (tables.CANDLES_DAILY, tables.INDICATORS_DAILY, tables.MOVES_DAILY)
TABLES = [StoredTable(schema, table) for table in STEPS for schema in ("v1", "v2")]
KILLED_AFTER_DAYS = 3
"""Of the first table of a lane."""
STARTED, ENDED = dg.DagsterEventType.STEP_START, dg.DagsterEventType.STEP_SUCCESS


@dataclass
class Story:
    """What was left when the back-fill had ended."""

    alone: Warehouse
    shared: Warehouse
    shared_by_a_new_machine: Warehouse
    exit_code: int
    output: str
    records: list[dg.EventLogEntry]
    run: dg.DagsterRun
    killed_step: str
    """The step that the worker was executing when it was killed."""
    done_before: set[str]
    """Steps that had ended when the worker was killed."""
    pointers_before: dict[str, dict[str, Pointer]]
    """What had been published by then, by table."""


def pointers(warehouse: Warehouse) -> dict[str, dict[str, Pointer]]:
    return {stored.name: warehouse.pointers(stored) for stored in TABLES}


def raw_tables(folder: Path) -> tuple[Settings, list[date]]:
    """A data folder with the raw tables of the sample alone."""
    settings_file = folder.with_suffix(".toml")
    settings_file.write_text(ALONE)
    settings = load_settings(
        {"SETBULL_DATA_DIR": str(folder), "SETBULL_SETTINGS": str(settings_file)}
    )
    intake = read_sources(settings)
    warehouse = open_warehouse(settings)
    publish_intake(intake, warehouse, settings, "raw")
    days = sorted({*intake.days("minutes"), *intake.days("daily")})
    list(RawDays(intake, warehouse, settings, "raw").over(days))
    return settings, days


def events(instance: dg.DagsterInstance, run_id: str) -> list[dg.EventLogEntry]:
    return [entry for entry in instance.all_logs(run_id) if entry.is_dagster_event]


def steps(records: list[dg.EventLogEntry], *kinds: dg.DagsterEventType) -> list[str]:
    """The steps of the events of some kinds, in order."""
    found = [entry.dagster_event for entry in records]
    return [event.step_key for event in found if event.event_type in kinds]


def kill_a_busy_worker(
    instance: dg.DagsterInstance,
    cluster: RayCluster,
    back_fill: subprocess.Popen,
    shared: Warehouse,
) -> tuple[str, set[str]]:
    """Kill a worker in the middle of a lane that has published tables; returns that step, and those that had ended."""
    done: set[str] = set()
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and back_fill.poll() is None:
        time.sleep(0.05)
        for run in instance.get_runs(limit=1):
            records = events(instance, run.run_id)
            started, done = steps(records, STARTED), set(steps(records, ENDED))
            for worker in cluster.workers:
                step = worker.step_under_way()
                if step not in started or step in done:
                    continue
                if len(shared.partitions(StoredTable(step, STEPS[0]))) >= KILLED_AFTER_DAYS:
                    worker.kill()
                    return step, done
    raise TimeoutError(
        f"the back-fill did not get that far: ended with {back_fill.poll()}, steps ended {sorted(done)}"
    )


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("ray")
    with ExitStack() as stack:
        services = stack.enter_context(s3_server()) | stack.enter_context(postgres_server())
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in services.items():
            patch.setenv(name, value)

        alone, days = raw_tables(folder / "alone")
        home = folder / "home"
        shutil.copytree(
            folder / "alone" / "warehouse", home / "warehouse", copy_function=faults.link
        )
        Warehouse(home / "warehouse").upload_to(Remote(ObjectStore(ADDRESS)))
        first, last = str(days[0]), str(days[-1])
        tags = {
            "dagster/asset_partition_range_start": first,
            "dagster/asset_partition_range_end": last,
        }
        for lane in ("v1_lane", "v2_lane"):
            job = build_defs(alone).resolve_job_def(lane)
            keys = {asset_key(stored) for stored in TABLES if stored.schema in lane}
            job = job.get_subset(asset_selection=keys, asset_check_selection=set())
            assert job.execute_in_process(tags=tags).success

        dagster_home = folder / "dagster"
        dagster_home.mkdir()
        shutil.copy(PROJECT / "deployment" / "dagster.yaml", dagster_home)
        settings_file = folder / "shared.toml"
        settings_file.write_text(SHARED)

        def machine(name: str) -> dict[str, str]:
            return environment(
                folder / name, settings_file, DAGSTER_HOME=str(dagster_home), **services
            )

        cluster = stack.enter_context(
            ray_cluster(folder / "nodes", [machine("worker-1"), machine("worker-2")])
        )
        instance = stack.enter_context(dg.DagsterInstance.from_config(str(dagster_home)))
        shared = Warehouse(home / "warehouse", remote=Remote(ObjectStore(ADDRESS)))
        with (folder / "log").open("w+") as log:
            back_fill = subprocess.Popen(
                [
                    *(sys.executable, "-c", BACK_FILL, first, last),
                    *("/".join(stored.key) for stored in TABLES),
                ],
                cwd=PROJECT,
                env=machine("home") | {"RAY_API_SERVER_ADDRESS": cluster.jobs_address},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            stack.callback(back_fill.kill)
            killed_step, done = kill_a_busy_worker(instance, cluster, back_fill, shared)
            before = pointers(shared)
            exit_code = back_fill.wait(PATIENCE)
            log.seek(0)
            output = log.read()
        (run,) = instance.get_runs()
        yield Story(
            alone=open_warehouse(alone),
            shared=shared,
            shared_by_a_new_machine=Warehouse(
                folder / "new" / "warehouse", remote=Remote(ObjectStore(ADDRESS))
            ),
            exit_code=exit_code,
            output=output,
            records=events(instance, run.run_id),
            run=run,
            killed_step=killed_step,
            done_before=done,
            pointers_before=before,
        )


def test_the_back_fill_ends_although_a_worker_was_killed(story):
    assert story.exit_code == 0, story.output[-3000:]
    assert story.run.status is dg.DagsterRunStatus.SUCCESS
    assert sorted(steps(story.records, ENDED)) == ["v1", "v2"]


def test_every_partition_equals_that_of_the_run_in_one_process(story):
    """Read by a machine that had no part in it, so that what counts is in the store."""
    for stored in TABLES:
        alone = story.alone.pointers(stored)
        shared = story.shared_by_a_new_machine.pointers(stored)
        assert {key: pointer.content_hash for key, pointer in alone.items()} == {
            key: pointer.content_hash for key, pointer in shared.items()
        }, stored.name
        assert len(alone) == SESSIONS
        assert sum(pointer.rows for pointer in alone.values()) > 0
    for stored in TABLES[-2:]:
        assert all(
            story.shared_by_a_new_machine.verify(stored, key)
            for key in story.shared.partitions(stored)
        )


def test_the_step_of_the_killed_worker_was_started_again_and_no_step_that_had_ended(story):
    attempts = Counter(steps(story.records, STARTED, dg.DagsterEventType.STEP_RESTARTED))
    again = {step for step, count in attempts.items() if count > 1}

    assert story.killed_step in again
    assert not again & story.done_before


def test_what_was_published_before_the_kill_was_not_computed_again(story):
    kept = 0
    for stored in TABLES:
        for key, pointer in story.pointers_before[stored.name].items():
            assert story.shared.history(stored, key) == [pointer], f"{stored.name} {key}"
            kept += 1
    assert kept >= KILLED_AFTER_DAYS
