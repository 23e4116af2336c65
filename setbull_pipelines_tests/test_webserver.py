"""The whole project as a user meets it: ``setbull ui``, ``setbull run`` for a day, the next day over GraphQL.

Real processes (webserver, daemon, code servers, run worker) on the loopback interface only, on a small
generated sample in a temporary data folder. The schedule's way is taken: the run is queued by the
webserver and must be picked up by the daemon.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from setbull_pipelines_tests.patience import PATIENCE
from setbull_pipelines_tests.processes import SETBULL, end
from setbull_pipelines_tests.ui_server import (
    ASSETS,
    DAY,
    DAY_BEFORE,
    INSTRUMENTS,
    Server,
    failures,
    loaded_location,
    start_server,
)

pytestmark = pytest.mark.scenario
ENDED = ("SUCCESS", "FAILURE", "CANCELED")

LAUNCH = """
mutation($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId status } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}"""
UNDER_WAY = """{
  runsOrError(filter: {statuses: [STARTED]}) { ... on Runs { results { runId jobName } } }
}"""
REASON = """
query($id: ID!) {
  logsForRun(runId: $id) {
    ... on EventConnection { events { __typename ... on RunFailureEvent { message } } }
  }
}"""
RUN = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status tags { key value } } } }"
ORIGINS = """{
  runsOrError {
    ... on Runs {
      results { runId jobName tags { key value } repositoryOrigin { repositoryLocationName repositoryName } }
    }
  }
}"""


@pytest.fixture(scope="module")
def data_directory(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def server(data_directory, tmp_path_factory) -> Iterator[Server]:
    """``setbull ui`` until the end of the module, and beside it ``setbull run`` for the day before."""
    folder = tmp_path_factory.mktemp("server")
    started = start_server(folder, data_directory)
    variables = started.variables
    try:
        prepared = subprocess.run(
            [*SETBULL, "run", "--from", DAY_BEFORE, "--to", DAY_BEFORE],
            env=variables,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert prepared.returncode == 0, prepared.stdout[-3000:] + prepared.stderr[-3000:]
        yield started
    finally:
        end(started.process)


@pytest.fixture(scope="module")
def killed(server) -> str:
    """The Dagster run of a ``setbull run`` of the last day, which was killed when it had begun to compute."""
    run = subprocess.Popen(
        [*SETBULL, "run", "--from", DAY, "--to", DAY],
        env=server.variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def computing() -> str | None:
        assert run.poll() is None, "setbull run ended before it could be killed"
        runs = server.ask(UNDER_WAY)["runsOrError"]["results"]
        return next((run["runId"] for run in runs if run["jobName"] == "daily"), None)

    try:
        return server.wait("daily run of setbull run", computing)
    finally:
        run.kill()
        run.wait()


@pytest.fixture(scope="module")
def run_id(server, killed) -> str:
    """The ``daily`` job of the last day, launched over GraphQL and carried out by the daemon.

    The killed run holds the one place of the queue when it is launched.
    """
    location = loaded_location(server)
    launched = server.ask(
        LAUNCH,
        params={
            "selector": {
                "jobName": "daily",
                "repositoryName": location["locationOrLoadError"]["repositories"][0]["name"],
                "repositoryLocationName": location["name"],
            },
            "executionMetadata": {"tags": [{"key": "dagster/partition", "value": DAY}]},
        },
    )["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    assert launched["run"]["status"] == "QUEUED", "the queue of dagster.yaml is not in use"
    run_id = launched["run"]["runId"]
    seen: list[str] = []

    def ended() -> str | None:
        seen.append(server.ask(RUN, id=run_id)["runOrError"]["status"])
        return seen[-1] if seen[-1] in ENDED else None

    try:
        status = server.wait("end of the run", ended)
    except AssertionError as error:
        raise AssertionError(f"the run was {seen[-1] if seen else 'never seen'}: {error}") from None
    assert status == "SUCCESS", failures(server, run_id)
    return run_id


@pytest.fixture(scope="module")
def assets(server, run_id) -> dict[str, dict]:
    """Everything the UI knows about each asset, by ``schema/table``."""
    return {"/".join(node["assetKey"]["path"]): node for node in server.ask(ASSETS)["assetNodes"]}


def row_count(node: dict) -> int:
    (materialization,) = node["assetMaterializations"]
    counts = [
        entry["intValue"]
        for entry in materialization["metadataEntries"]
        if entry["label"] == "dagster/partition_row_count"
    ]
    assert len(counts) == 1, materialization
    return counts[0]


def rows_on_disk(data_directory: Path, name: str) -> set[int]:
    """Rows of the day in every file that has some, read past the project's own code; of no rows there is no file."""
    folder = data_directory / "warehouse" / name
    days = (pq.read_table(path, columns=["trading_day"]) for path in folder.glob("*.parquet"))
    counts = (of_file["trading_day"].cast("string").to_pylist().count(str(DAY)) for of_file in days)
    return {count for count in counts if count} or {0}


def test_the_daemon_carries_out_the_queued_run_of_a_partition(server, run_id):
    run = server.ask(RUN, id=run_id)["runOrError"]
    tags = {tag["key"]: tag["value"] for tag in run["tags"]}
    assert run["status"] == "SUCCESS"
    assert tags["dagster/partition"] == DAY


def test_a_killed_run_of_the_command_line_is_ended_and_leaves_its_place_to_the_queue(
    server, killed, run_id
):
    assert server.ask(RUN, id=killed)["runOrError"]["status"] == "FAILURE"
    events = server.ask(REASON, id=killed)["logsForRun"]["events"]
    (reason,) = (event["message"] for event in events if event["__typename"] == "RunFailureEvent")
    assert "is gone; it was killed, or the machine was restarted" in reason


def test_runs_of_the_command_line_belong_to_the_code_location_of_the_web_server(server, killed):
    """Without an origin a run is missing in the timeline and on the page of its job."""
    runs = {run["runId"]: run for run in server.ask(ORIGINS)["runsOrError"]["results"]}
    assert runs[killed]["jobName"] == "daily"
    of_the_day_before = [
        run
        for run in runs.values()
        if {"key": "dagster/partition", "value": DAY_BEFORE} in run["tags"]
    ]
    assert of_the_day_before
    for run in (runs[killed], *of_the_day_before):
        assert run["repositoryOrigin"] == {
            "repositoryLocationName": "setbull_pipelines",
            "repositoryName": "__repository__",
        }
    tags = {tag["key"]: tag["value"] for tag in of_the_day_before[0]["tags"]}
    assert tags["setbull/checks"].endswith(" 0 failed")


def of_the_daily_job(assets: dict) -> dict:
    """The assets without those that have jobs of their own, and those of which there are none: alerts, live bars."""
    apart = {"operations/maintenance", "operations/self_test", "operations/alerts"}
    apart |= {"operations/candle_events", "operations/candle_receivers"}
    apart |= {"raw/fetched", "operations/fetches"}
    assert apart < set(assets)
    return {name: node for name, node in assets.items() if name not in apart}


def test_every_asset_shows_its_latest_materialization(assets, run_id):
    of_the_day = of_the_daily_job(assets)
    assert len(of_the_day) > 30
    for name, node in of_the_day.items():
        (latest,) = node["assetMaterializations"]
        assert latest["runId"] == run_id, name
        assert latest["partition"] == (DAY if node["isPartitioned"] else None), name


def test_every_partition_shows_the_rows_that_are_on_disk(assets, data_directory):
    partitioned = {
        name: node
        for name, node in of_the_daily_job(assets).items()
        # The log of the rollout is one table that every day adds to; charts are pictures of stored rows.
        if node["isPartitioned"]
        and name != "operations/rollout_log"
        and not name.startswith("charts/")
    }
    shown = {name: row_count(node) for name, node in partitioned.items()}
    assert {name: {rows} for name, rows in shown.items()} == {
        name: rows_on_disk(data_directory, name) for name in partitioned
    }
    assert shown["v1/filter_results"] == shown["v2/filter_results"] == INSTRUMENTS
    # A full session has 75 bars of 5 minutes.
    assert 60 * INSTRUMENTS < shown["v1/candles_5min"] <= 75 * INSTRUMENTS


def test_every_check_shows_its_verdict_about_the_day(assets, run_id):
    checks = 0
    for name, node in of_the_daily_job(assets).items():
        for check in node["assetChecksOrError"]["checks"]:
            execution = check["executionForLatestMaterialization"]
            where = f"{name} {check['name']}: {execution}"
            assert execution is not None, where
            assert execution["runId"] == run_id, where
            assert execution["status"] == "SUCCEEDED", where
            assert execution["evaluation"]["success"], where
            assert execution["evaluation"]["description"], where
            # One result for a run, which names its days; a day has an evaluation of its own when it does not pass.
            assert execution["partition"] is None, where
            checks += 1
    assert checks > 80


def test_both_days_are_materialized_partitions_of_the_results(assets):
    for name in ("v1/filter_results", "v2/filter_results", "reconciliation/summary"):
        assert assets[name]["assetPartitionStatuses"] == {
            "materializedPartitions": [DAY_BEFORE, DAY],
            "failedPartitions": [],
            "materializingPartitions": [],
        }, name
