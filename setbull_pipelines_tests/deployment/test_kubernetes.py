"""The Kubernetes launcher's configuration, judged by its own schema and turned into the pod it asks for. No cluster."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from dagster._config import process_config, resolve_to_config_type

from setbull_pipelines_tests.servers import require

DEPLOYMENT = Path(__file__).resolve().parents[2] / "deployment"


@pytest.fixture
def launcher() -> dict:
    """The configuration as Dagster would read it from dagster.yaml."""
    require("dagster_k8s")
    return yaml.safe_load((DEPLOYMENT / "kubernetes.yaml").read_text("utf-8"))["run_launcher"]


def validated(launcher: dict, changes: dict | None = None):
    from dagster_k8s import K8sRunLauncher

    schema = resolve_to_config_type(K8sRunLauncher.config_type())
    return process_config(schema, launcher["config"] | (changes or {}))


def test_the_launchers_own_schema_takes_the_configuration(launcher):
    result = validated(launcher)

    assert result.success, [error.message for error in result.errors]
    assert (launcher["module"], launcher["class"]) == ("dagster_k8s", "K8sRunLauncher")


@pytest.mark.parametrize("changes", [{"job_image": 7}, {"unknown": "key"}])
def test_the_schema_refuses_what_it_does_not_know(launcher, changes):
    assert not validated(launcher, changes).success


def test_the_pod_has_the_image_the_limits_and_no_secret_in_plain_text(launcher):
    from dagster_k8s.job import (
        DagsterK8sJobConfig,
        UserDefinedDagsterK8sConfig,
        construct_dagster_k8s_job,
    )

    config = validated(launcher).value
    known = {key: config[key] for key in DagsterK8sJobConfig._fields if key in config}
    job = construct_dagster_k8s_job(
        DagsterK8sJobConfig(**known),
        args=["dagster", "api", "execute_run"],
        job_name="setbull-run",
        user_defined_k8s_config=UserDefinedDagsterK8sConfig.from_dict(config["run_k8s_config"]),
    ).to_dict()

    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"] == launcher["config"]["job_image"]
    assert container["resources"]["limits"] == {"cpu": "2", "memory": "6Gi"}
    assert [source["secret_ref"]["name"] for source in container["env_from"]] == ["setbull-secrets"]
    named = {variable["name"]: variable["value"] for variable in container["env"]}
    assert named["SETBULL_DATA_DIR"] == "/var/lib/setbull"
    assert not [name for name in named if "PASSWORD" in name or "SECRET" in name]
    assert {"copies", "settings"} <= {volume["name"] for volume in pod["volumes"]}
    assert job["spec"]["backoff_limit"] == 0
