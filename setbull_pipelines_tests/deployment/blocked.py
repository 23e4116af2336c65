"""Three assets and a blocking check that fails, for Ray to execute: what depends on the checked one must not run.

No ``from __future__ import annotations``: Dagster looks at the annotations of what it decorates.
"""

import dagster as dg

from setbull_pipelines.cluster import EXECUTOR


@dg.asset
def checked() -> None:
    """What the check is about."""


@dg.asset_check(asset=checked, blocking=True)
def refusing() -> dg.AssetCheckResult:
    """A check that always fails."""
    return dg.AssetCheckResult(passed=False)


@dg.asset(deps=[checked])
def dependent() -> None:
    """What the check keeps from running."""


@dg.asset
def independent() -> None:
    """What the check has nothing to do with."""


defs = dg.Definitions(
    assets=[checked, dependent, independent],
    asset_checks=[refusing],
    jobs=[dg.define_asset_job("blocked", dg.AssetSelection.all(), executor_def=EXECUTOR)],
)
