"""On Ray, as in one process, a blocking check that fails keeps what depends on its asset from running."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from setbull_pipelines_tests.patience import PATIENCE
from setbull_pipelines_tests.processes import environment
from setbull_pipelines_tests.servers import PROJECT, ray_cluster, require

pytestmark = pytest.mark.scenario

EXECUTE = """
import sys
import dagster as dg
from dagster._core.definitions.reconstruct import ReconstructableRepository
module = "setbull_pipelines_tests.deployment.blocked"
job = ReconstructableRepository.for_module(module, "defs").get_reconstructable_job("blocked")
with dg.DagsterInstance.get() as instance:
    sys.exit(0 if dg.execute_job(job, instance=instance).success else 1)
"""


def test_a_failed_blocking_check_stops_what_depends_on_its_asset(tmp_path: Path) -> None:
    require("ray", "dagster_ray", "aiohttp_cors")
    home, settings = tmp_path / "dagster", tmp_path / "settings.toml"
    home.mkdir()
    settings.write_text("")
    machine = environment(tmp_path / "data", settings, DAGSTER_HOME=str(home))
    with ray_cluster(tmp_path / "nodes", [machine]) as cluster:
        finished = subprocess.run(
            [sys.executable, "-c", EXECUTE],
            cwd=PROJECT,
            env=machine
            | {"RAY_API_SERVER_ADDRESS": cluster.jobs_address, "PYTHONPATH": str(PROJECT)},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    assert finished.returncode == 1, finished.stderr[-2000:]
    with dg.DagsterInstance.from_config(str(home)) as instance:
        (run,) = instance.get_runs()
        events = [entry.dagster_event for entry in instance.all_logs(run.run_id)]
    ended = {event.step_key for event in events if event and event.is_step_success}
    assert run.status is dg.DagsterRunStatus.FAILURE
    assert "independent" in ended, finished.stderr[-2000:]
    assert "dependent" not in ended
    (evaluation,) = [
        event.asset_check_evaluation_data
        for event in events
        if event and event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION
    ]
    assert (evaluation.asset_key, evaluation.passed) == (dg.AssetKey("checked"), False)
