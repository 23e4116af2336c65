"""Starting Dagster jobs through the webserver of the same data folder, and waiting for their end.

Belongs here: the GraphQL that this takes. Does not belong here: which job a path starts (the routers), jobs themselves
(``automation/``).

Runs go through the queue, as those of the UI and of the schedules: a request never computes in this process, and two
requests for the same day are one run.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

SUCCESS, ENDED = "SUCCESS", ("SUCCESS", "FAILURE", "CANCELED")
_UNDER_WAY = ("QUEUED", "NOT_STARTED", "STARTING", "STARTED")
_POLL_SECONDS = 0.5
_ANSWER_SECONDS = 20.0
_INSTANCE = """{
  instance { info daemonHealth { allDaemonStatuses { daemonType healthy } } }
  workspaceOrError {
    ... on Workspace {
      locationEntries {
        name
        locationOrLoadError { ... on RepositoryLocation { repositories { name pipelines { name } } } }
      }
    }
  }
}"""
_RUNS = """query($filter: RunsFilter!) {
  runsOrError(filter: $filter, limit: 1) { ... on Runs { results { runId } } }
}"""
_LAUNCH = """mutation($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}"""
_STATUS = """query($id: ID!) {
  runOrError(runId: $id) { ... on Run { status startTime endTime } }
}"""


class NoDagster(RuntimeError):
    """No webserver and daemon of this data folder can be asked; the sentence says what to start or run instead."""


@dataclass(frozen=True)
class JobRun:
    """A run as it was last seen."""

    run_id: str
    status: str
    milliseconds: int = 0
    """From its start to its end; 0 while it has none."""


class Dagster:
    """The webserver at ``url``, when it works on ``data_directory``."""

    def __init__(self, url: str, data_directory: Path) -> None:
        self.url, self.data_directory = url, data_directory

    async def run(
        self, job: str, tags: Mapping[str, str], wait_seconds: float, instead: str
    ) -> JobRun:
        """Start ``job``, or find the run under way with the same tags, and wait for its end for a while.

        ``instead`` is the command that does the same without Dagster's webserver. Raises NoDagster.
        """
        try:
            # A proxy of the machine must not see the loopback.
            async with httpx.AsyncClient(
                base_url=self.url, timeout=_ANSWER_SECONDS, trust_env=False
            ) as client:
                selector = await self._selector(client, job, instead)
                run_id = await self._under_way(client, job, tags)
                run_id = run_id or await self._launch(client, selector, tags, instead)
                return await self._wait(client, run_id, wait_seconds)
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise NoDagster(
                f"no Dagster webserver answers at {self.url} ({type(error).__name__}); start it by: setbull ui; or "
                f"do it without: {instead}"
            ) from error

    async def _ask(self, client: httpx.AsyncClient, query: str, **variables: object) -> dict:
        answer = await client.post("/graphql", json={"query": query, "variables": variables})
        data: dict = answer.raise_for_status().json()["data"]
        return data

    async def _selector(self, client: httpx.AsyncClient, job: str, instead: str) -> dict[str, str]:
        data = await self._ask(client, _INSTANCE)
        # Its configuration names the folders below the data folder: another project's must not run ours.
        if f"{self.data_directory / 'dagster'}/" not in data["instance"]["info"]:
            raise NoDagster(
                f"the Dagster webserver at {self.url} works on another data folder than {self.data_directory}; "
                f"start this one's by: setbull ui, and set api.dagster_url; or do it without: {instead}"
            )
        daemons = data["instance"]["daemonHealth"]["allDaemonStatuses"]
        if not any(d["daemonType"] == "QUEUED_RUN_COORDINATOR" and d["healthy"] for d in daemons):
            raise NoDagster(
                f"the Dagster daemon does not run, so that a run would stay queued; start it by: setbull ui; or do "
                f"it without: {instead}"
            )
        for location in data["workspaceOrError"]["locationEntries"]:
            for repository in (location["locationOrLoadError"] or {}).get("repositories", ()):
                if job in {each["name"] for each in repository["pipelines"]}:
                    return {
                        "jobName": job,
                        "repositoryName": repository["name"],
                        "repositoryLocationName": location["name"],
                    }
        raise NoDagster(
            f"the Dagster webserver at {self.url} has no job {job}; reload its code location; or do it without: "
            f"{instead}"
        )

    async def _under_way(
        self, client: httpx.AsyncClient, job: str, tags: Mapping[str, str]
    ) -> str | None:
        found = await self._ask(
            client,
            _RUNS,
            filter={"pipelineName": job, "statuses": list(_UNDER_WAY), "tags": _pairs(tags)},
        )
        runs = found["runsOrError"]["results"]
        return runs[0]["runId"] if runs else None

    async def _launch(
        self, client: httpx.AsyncClient, selector: dict, tags: Mapping[str, str], instead: str
    ) -> str:
        params = {"selector": selector, "executionMetadata": {"tags": _pairs(tags)}}
        launched = (await self._ask(client, _LAUNCH, params=params))["launchRun"]
        if launched["__typename"] != "LaunchRunSuccess":
            why = launched.get("message", launched["__typename"]).splitlines()[0]
            raise NoDagster(f"Dagster did not take the run ({why}); do it without: {instead}")
        return str(launched["run"]["runId"])

    async def _wait(self, client: httpx.AsyncClient, run_id: str, seconds: float) -> JobRun:
        deadline = time.monotonic() + seconds
        while True:
            run = (await self._ask(client, _STATUS, id=run_id))["runOrError"]
            if run["status"] in ENDED:
                took = (run["endTime"] or 0) - (run["startTime"] or run["endTime"] or 0)
                return JobRun(run_id, run["status"], round(took * 1000))
            if time.monotonic() >= deadline:
                return JobRun(run_id, run["status"])
            await asyncio.sleep(_POLL_SECONDS)


def _pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]
