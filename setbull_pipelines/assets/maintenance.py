"""The asset that deletes versions of partitions that nobody needs any more.

Belongs here: the maintenance asset. Does not belong here: which versions are kept (``warehouse/``).
"""

import dagster as dg

from setbull_pipelines.pipeline.versions import code_version
from setbull_pipelines.warehouse.resources import WarehouseResource

MAINTENANCE_KEY = dg.AssetKey(["operations", "maintenance"])


def build_maintenance_asset() -> dg.AssetsDefinition:
    """Keeps the last versions of every partition (setting ``storage.keep_versions``)."""

    @dg.asset(
        key=MAINTENANCE_KEY,
        group_name="operations",
        code_version=code_version("warehouse"),
        description="Deletes versions of partitions beyond storage.keep_versions and leftovers of "
        "crashed writers. Current versions are never touched.",
    )
    def maintenance(warehouse: WarehouseResource) -> dg.MaterializeResult:
        return dg.MaterializeResult(metadata={"files deleted": warehouse.open().collect_garbage()})

    return maintenance
