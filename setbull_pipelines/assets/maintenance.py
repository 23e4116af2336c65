"""The asset that deletes versions of partitions that nobody needs any more.

Belongs here: the maintenance asset. Does not belong here: which versions are kept (``warehouse/``).
"""

import dagster as dg

from setbull_pipelines.assets.common import now
from setbull_pipelines.pipeline.fetching import remove_expired
from setbull_pipelines.pipeline.versions import code_version
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.resources import WarehouseResource

MAINTENANCE_KEY = dg.AssetKey(["operations", "maintenance"])


def build_maintenance_asset(settings: Settings) -> dg.AssetsDefinition:
    """Keeps the last versions of every partition, and answers of the broker for their retention."""

    @dg.asset(
        key=MAINTENANCE_KEY,
        group_name="operations",
        code_version=code_version("warehouse", "sources/upstox"),
        description="Deletes versions of partitions beyond storage.keep_versions and leftovers of "
        "crashed writers, and answers of the broker past upstox.retention_days. Current versions are never touched.",
    )
    def maintenance(warehouse: WarehouseResource) -> dg.MaterializeResult:
        today = now().date()
        return dg.MaterializeResult(
            metadata={
                "files deleted": warehouse.open().collect_garbage(),
                "answers of the broker deleted": remove_expired(settings, today),
            }
        )

    return maintenance
