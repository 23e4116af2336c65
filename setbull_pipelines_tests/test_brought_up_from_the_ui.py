"""A new folder is brought up from the UI alone: the web server is opened, and everything is materialized for a day.

What "Materialize all" on the graph sends is sent here; nobody has run ``setbull run``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from setbull_pipelines_tests.processes import end
from setbull_pipelines_tests.ui_server import (
    ASSETS,
    DAY,
    Server,
    failures,
    loaded_location,
    start_server,
)

pytestmark = pytest.mark.scenario

LEFT_OUT = "operations/self_test"
"""It takes two minutes, and tests of its own launch it."""
BACKFILL = """
mutation($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}"""
BACKFILLS = """{
  partitionBackfillsOrError {
    ... on PartitionBackfills {
      results { id status error { message } runs(limit: 50) { id status } }
    }
  }
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("empty")
    started = start_server(folder, folder / "data")
    try:
        loaded_location(started)
        yield started
    finally:
        end(started.process)


@pytest.fixture(scope="module")
def assets(server: Server) -> dict[str, dict]:
    """What the UI shows of every asset after "Materialize all"."""
    keys = [node["assetKey"] for node in server.ask(ASSETS)["assetNodes"]]
    chosen = [key for key in keys if "/".join(key["path"]) != LEFT_OUT]
    launched = server.ask(
        BACKFILL, params={"assetSelection": chosen, "partitionNames": [DAY], "tags": []}
    )["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched

    def ended() -> dict | None:
        (found,) = server.ask(BACKFILLS)["partitionBackfillsOrError"]["results"]
        return found if found["status"].startswith(("COMPLETED", "FAILED", "CANCELED")) else None

    done = server.wait("end of the back-fill", ended)
    failed = [run["id"] for run in done["runs"] if run["status"] != "SUCCESS"]
    assert done["status"] == "COMPLETED_SUCCESS", (done, [failures(server, run) for run in failed])
    return {"/".join(node["assetKey"]["path"]): node for node in server.ask(ASSETS)["assetNodes"]}


def test_every_asset_is_there(assets: dict[str, dict]) -> None:
    made = {name for name, node in assets.items() if node["assetMaterializations"]}
    assert made == set(assets) - {LEFT_OUT}
    for name in made:
        (latest,) = assets[name]["assetMaterializations"]
        assert latest["partition"] in (DAY, None), name


def test_what_was_looked_back_at_is_shown_as_materialized(assets: dict[str, dict]) -> None:
    shown = assets["v1/candles_daily"]["assetPartitionStatuses"]["materializedPartitions"]
    assert DAY in shown
    assert len(shown) > 30
    assert assets["served/filter_results"]["assetPartitionStatuses"]["materializedPartitions"] == [
        DAY
    ]


def test_no_check_of_the_day_fails(assets: dict[str, dict]) -> None:
    statuses = [
        check["executionForLatestMaterialization"]["evaluation"]
        for node in assets.values()
        for check in node["assetChecksOrError"].get("checks", ())
        if check["executionForLatestMaterialization"]
    ]
    assert len(statuses) > 180
    assert not [each for each in statuses if not each["success"] and each["severity"] == "ERROR"]
