"""``setbull ui`` on a small generated sample: its processes, and what is asked of it over GraphQL.

Belongs here: starting it, waiting for it, questions that several test files ask. Does not belong here: runs that are
launched there, assertions about what is shown.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest
import requests

from setbull_pipelines.cli.home import claim, prepare_dagster_home
from setbull_pipelines_tests.patience import PATIENCE
from setbull_pipelines_tests.ports import free_port
from setbull_pipelines_tests.processes import SETBULL, environment

DAY_BEFORE, DAY = "2026-06-29", "2026-06-30"
INSTRUMENTS = 12
SETTINGS = f"""
[sample]
instruments = {INSTRUMENTS}
daily_sessions = 40
minute_sessions = 3
last_day = "{DAY}"
"""
LOCATIONS = """{
  workspaceOrError {
    ... on Workspace {
      locationEntries {
        name loadStatus
        locationOrLoadError {
          __typename
          ... on PythonError { message }
          ... on RepositoryLocation { repositories { name } }
        }
      }
    }
  }
}"""
DAEMONS = "{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }"
FAILED_STEPS = """
query($id: ID!) {
  logsForRun(runId: $id) {
    ... on EventConnection {
      events { __typename ... on ExecutionStepFailureEvent { stepKey error { message causes { message } } } }
    }
  }
}"""
ASSETS = """{
  assetNodes {
    assetKey { path }
    isPartitioned
    assetMaterializations(limit: 1) {
      partition runId
      metadataEntries { label ... on IntMetadataEntry { intValue } }
    }
    assetChecksOrError {
      ... on AssetChecks {
        checks {
          name
          executionForLatestMaterialization {
            runId status partition evaluation { success severity description }
          }
        }
      }
    }
    assetPartitionStatuses {
      ... on DefaultPartitionStatuses {
        materializedPartitions failedPartitions materializingPartitions
      }
    }
  }
}"""


@dataclass
class Server:
    """The processes that ``setbull ui`` started, and the GraphQL endpoint they offer."""

    process: subprocess.Popen
    port: int
    log: Path
    variables: dict[str, str]
    """The environment of the processes."""

    def ask(self, query: str, **variables: object) -> dict:
        """The data of a GraphQL answer; errors of the server are assertion errors with its words."""
        with requests.Session() as session:
            session.trust_env = False  # a proxy of the machine must not see the loopback
            answer = session.post(
                f"http://127.0.0.1:{self.port}/graphql",
                json={"query": query, "variables": variables},
                timeout=PATIENCE,
            )
        document = answer.json()
        assert "errors" not in document, document["errors"]
        return document["data"]

    def wait(self, what: str, look: Callable[[], object]) -> object:
        """Call ``look`` until it gives something; a failed wait says what it looked like at the end."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"setbull ui ended while waiting for {what}.{self}"
            try:
                if (found := look()) is not None:
                    return found
            except requests.ConnectionError:
                pass
            time.sleep(0.5)
        raise AssertionError(f"no {what} within {PATIENCE:.0f} s.{self}")

    def __str__(self) -> str:
        try:
            statuses = self.ask(DAEMONS)["instance"]["daemonHealth"]["allDaemonStatuses"]
            sick = [s["daemonType"] for s in statuses if s["required"] and not s["healthy"]]
            daemons = f"daemons that are not running: {', '.join(sick) or 'none'}"
            if "QUEUED_RUN_COORDINATOR" in sick:
                daemons += " (without QUEUED_RUN_COORDINATOR a launched run stays QUEUED)"
        except requests.ConnectionError:
            daemons = "the webserver does not answer"
        log = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(["", daemons, "last lines of the processes:", *log[-25:]])


def prepare(data_directory: Path) -> None:
    """Dagster's home and its databases, so that the two commands do not both create them."""
    with pytest.MonkeyPatch.context() as environment:
        # Set first, so that what prepare_dagster_home sets is undone.
        environment.setenv("DAGSTER_HOME", "unset")
        environment.setenv("SETBULL_DATA_DIR", "unset")
        claim(data_directory, None)
        prepare_dagster_home(data_directory)
        with dg.DagsterInstance.get() as instance:
            assert instance.get_runs_count() == 0
            assert list(instance.all_asset_keys()) == []
            assert instance.all_instigator_state() == []


def start_server(folder: Path, data_directory: Path) -> Server:
    """``setbull ui`` on a data folder, with the settings of this module; ``folder`` is for its log."""
    (folder / "settings.toml").write_text(SETTINGS, encoding="utf-8")
    variables = environment(data_directory, folder / "settings.toml")
    prepare(data_directory)
    port, log = free_port(), folder / "ui.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*SETBULL, "ui", "--port", str(port)],
            env=variables,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Server(process, port, log, variables)


def loaded_location(server: Server) -> dict:
    """The code location, once it is loaded."""

    def loaded() -> dict | None:
        entries = server.ask(LOCATIONS)["workspaceOrError"]["locationEntries"]
        return entries[0] if entries and entries[0]["loadStatus"] == "LOADED" else None

    location = server.wait("loaded code location", loaded)
    assert location["locationOrLoadError"]["__typename"] == "RepositoryLocation", location
    return location


def failures(server: Server, run_id: str) -> str:
    """What the failed steps of a run said, with their causes."""
    lines = [f"run {run_id} did not succeed"]
    for event in server.ask(FAILED_STEPS, id=run_id)["logsForRun"]["events"]:
        if event["__typename"] == "ExecutionStepFailureEvent":
            messages = [
                event["error"]["message"],
                *(c["message"] for c in event["error"]["causes"]),
            ]
            lines.append(f"{event['stepKey']}: " + " <- ".join(map(str.strip, messages)))
    return "\n".join(lines)
