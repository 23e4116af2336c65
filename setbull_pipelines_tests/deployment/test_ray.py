"""A back-fill on a Ray cluster one of whose workers is killed on the way, held against a run in one process.

Every machine has a folder of its own; what they share is an S3-compatible store and a PostgreSQL database. One story,
told once: the tests look at what it left behind.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from setbull_pipelines import tables
from setbull_pipelines.assets.common import asset_key, open_warehouse
from setbull_pipelines.definitions import build_defs
from setbull_pipelines.pipeline.raw import RawDays, publish_intake, read_sources
from setbull_pipelines.settings import Settings, load_settings
from setbull_pipelines.warehouse.remote import ObjectStore, Remote
from setbull_pipelines.warehouse.store import Pointer, StoredTable, Warehouse
from setbull_pipelines_tests.processes import environment
from setbull_pipelines_tests.servers import (
    PROJECT,
    RayCluster,
    postgres_server,
    ray_cluster,
    s3_server,
)

SESSIONS = 24
ADDRESS = "s3://bucket/shared"
ALONE = f"""
[sample]
instruments = 12
daily_sessions = {SESSIONS}
minute_sessions = 3
[look_back]
sessions_5min = 2
sessions_daily = 15
sessions_moves = 5
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
STEPS = (tables.CANDLES_5MIN, tables.CANDLES_DAILY, tables.INDICATORS_DAILY, tables.MOVES_DAILY)
TABLES = [StoredTable(schema, table) for table in STEPS for schema in ("v1", "v2")]
KILLED_AFTER_STEPS = 3
SECONDS = 200


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
    done_before: set[str]
    """Steps that had ended when the worker was killed."""
    pointers_before: dict[str, dict[str, Pointer]]
    """What had been published by then, by table."""
    copies_before: list[set[str]]
    """Names of the files in the folder of each worker when the first one was killed."""

    def attempts(self) -> dict[str, int]:
        """How often each step was started."""
        started: dict[str, int] = {}
        for entry in self.records:
            if entry.dagster_event.event_type in (
                dg.DagsterEventType.STEP_START,
                dg.DagsterEventType.STEP_RESTARTED,
            ):
                key = entry.dagster_event.step_key
                started[key] = started.get(key, 0) + 1
        return started


def pointers(warehouse: Warehouse) -> dict[str, dict[str, Pointer]]:
    return {stored.name: warehouse.pointers(stored) for stored in TABLES}


def copies_in(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*.parquet")}


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


def ended(records: list[dg.EventLogEntry]) -> set[str]:
    return {
        entry.dagster_event.step_key
        for entry in records
        if entry.dagster_event.event_type is dg.DagsterEventType.STEP_SUCCESS
    }


def kill_a_busy_worker(
    instance: dg.DagsterInstance, cluster: RayCluster, back_fill: subprocess.Popen
) -> set[str]:
    """Wait until some steps have ended and one is running on the first worker, then kill that; returns those ended."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and back_fill.poll() is None:
        time.sleep(0.5)
        runs = instance.get_runs(limit=1)
        done = ended(events(instance, runs[0].run_id)) if runs else set()
        if len(done) >= KILLED_AFTER_STEPS and cluster.workers[0].is_computing():
            cluster.workers[0].kill()
            return done
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
        shutil.copytree(folder / "alone" / "warehouse", home / "warehouse", copy_function=os.link)
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
            done = kill_a_busy_worker(instance, cluster, back_fill)
            copies = [copies_in(folder / name) for name in ("worker-1", "worker-2")]
            before = pointers(shared)
            exit_code = back_fill.wait(SECONDS)
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
            done_before=done,
            pointers_before=before,
            copies_before=copies,
        )


def test_the_back_fill_ends_although_a_worker_was_killed(story):
    assert story.exit_code == 0, story.output[-3000:]
    assert story.run.status is dg.DagsterRunStatus.SUCCESS
    assert len(ended(story.records)) == len(TABLES)


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


def test_only_what_ran_on_the_killed_worker_was_started_again(story):
    again = {key for key, attempts in story.attempts().items() if attempts > 1}

    assert again, "nothing ran on the worker when it was killed"
    assert not again & story.done_before
    assert len(again) <= 2


def test_what_was_published_before_the_kill_was_not_computed_again(story):
    kept = 0
    for stored in TABLES:
        for key, pointer in story.pointers_before[stored.name].items():
            assert story.shared.history(stored, key) == [pointer], f"{stored.name} {key}"
            kept += 1
    assert kept >= KILLED_AFTER_STEPS * SESSIONS


def test_both_workers_computed(story):
    """Until one was killed, each had copies of what it had published and the other had not read."""
    first, second = story.copies_before

    assert first - second
    assert second - first
