"""The definitions of several machines: those of one machine, and a back-fill whose steps run on Ray.

Belongs here: the job that Ray executes, and how its steps are tried again. Does not belong here: assets, when jobs run,
or what machines share (``warehouse/remote.py``). Only this module imports Ray; it needs the extra ``cluster``.
"""

from __future__ import annotations

import dagster as dg
from dagster_ray import ray_executor

from setbull_pipelines.assets.reconciliation import GROUP as RECONCILIATION_GROUP
from setbull_pipelines.automation.jobs import LANES
from setbull_pipelines.definitions import build_defs
from setbull_pipelines.settings import Settings, load_settings
from setbull_pipelines.tables.look_back import refuse_short_look_back

BACK_FILL_JOB_NAME = "back_fill"
# A step whose machine is lost starts again on another one, where what it had published is not computed again.
_RETRIES = dg.RetryPolicy(max_retries=3, delay=5, backoff=dg.Backoff.EXPONENTIAL)
# Without a processor of its own Ray would start every step on the head, which is to hold no more than the cluster.
EXECUTOR = ray_executor.configured({"ray": {"num_cpus": 1}})


def build_back_fill() -> dg.UnresolvedAssetJobDefinition:
    """What needs many machines: both variants and their comparison, from raw tables that are there already.

    Intake, serving, the rollout and the catalog stay in ``daily`` on the machine that holds the landing.
    """
    computed = [dg.AssetSelection.tag("setbull/variant", variant) for variant in LANES.values()]
    return dg.define_asset_job(
        BACK_FILL_JOB_NAME,
        selection=computed[0] | computed[1] | dg.AssetSelection.groups(RECONCILIATION_GROUP),
        executor_def=EXECUTOR,
        op_retry_policy=_RETRIES,
        description="V1, V2 and their reconciliation of a range of days, each step on a machine of the Ray cluster.",
    )


def build_cluster_defs(settings: Settings) -> dg.Definitions:
    """All definitions for these settings, with the back-fill on Ray."""
    return build_defs(settings, more_jobs=[build_back_fill()])


defs = build_cluster_defs(refuse_short_look_back(load_settings()))
