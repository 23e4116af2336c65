"""The definitions of several machines: those of one, and a back-fill that Ray executes and tries again."""

from __future__ import annotations

import dagster as dg
import pytest
from dagster._core.definitions.dependency import NodeHandle

from setbull_pipelines.definitions import build_defs
from setbull_pipelines.settings import Settings
from setbull_pipelines_tests.servers import require


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    require("dagster_ray")
    from setbull_pipelines.cluster import build_cluster_defs

    return build_cluster_defs(Settings())


def test_the_back_fill_computes_both_variants_and_compares_them_on_ray(definitions):
    job = definitions.resolve_job_def("back_fill")
    alone = build_defs(Settings())
    lanes = [alone.resolve_job_def(lane) for lane in ("v1_lane", "v2_lane")]

    steps = {node.name for node in job.graph.nodes}
    assert {node.name for lane in lanes for node in lane.graph.nodes} <= steps
    assert {name.partition("__")[0] for name in steps} == {"v1", "v2", "reconciliation"}
    assert job.executor_def.name == "ray"


def test_a_lost_step_is_tried_again(definitions):
    job = definitions.resolve_job_def("back_fill")

    handles = [NodeHandle(node.name, None) for node in job.graph.nodes]
    policies = {job.get_retry_policy_for_handle(handle) for handle in handles}
    assert [policy.max_retries for policy in policies] == [3]


def test_everything_else_is_as_on_one_machine(definitions):
    alone = build_defs(Settings())

    def others(defs: dg.Definitions) -> dict[str, str]:
        jobs = defs.resolve_all_job_defs()
        return {job.name: job.executor_def.name for job in jobs if job.name != "back_fill"}

    assert others(definitions) == others(alone)
    assert definitions.resolve_asset_graph().get_all_asset_keys() == (
        alone.resolve_asset_graph().get_all_asset_keys()
    )
