"""The asset that rebuilds the DuckDB catalog of views and macros.

Belongs here: the catalog asset. Does not belong here: what is in the catalog (``pipeline/catalog.py``), SQL
(``warehouse/``).
"""

import dagster as dg

from setbull_pipelines import tables
from setbull_pipelines.assets.common import asset_key
from setbull_pipelines.assets.describing import OWNERS
from setbull_pipelines.pipeline.catalog import refresh_catalog, stored_tables
from setbull_pipelines.pipeline.comparing_days import SUMMARY
from setbull_pipelines.pipeline.daily_reports import REPORT
from setbull_pipelines.pipeline.scrubbing import STORED as SCRUB
from setbull_pipelines.pipeline.serving import served_table
from setbull_pipelines.pipeline.versions import code_version
from setbull_pipelines.quality.groups import PLAN
from setbull_pipelines.quality.rollout_log import LOG
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.macros import MACROS
from setbull_pipelines.warehouse.resources import WarehouseResource

CATALOG_KEY = dg.AssetKey(["operations", "catalog"])


def build_catalog_asset(settings: Settings) -> dg.AssetsDefinition:
    """Views over the current files and macros, in one small file that readers open read-only."""

    @dg.asset(
        key=CATALOG_KEY,
        deps=[
            asset_key(SUMMARY),
            asset_key(LOG),
            asset_key(REPORT),
            *(asset_key(served_table(table)) for table in tables.SERVED_TABLES),
            asset_key(PLAN),
            # Damaged files are found, and made again, before the views name them.
            asset_key(SCRUB),
        ],
        group_name="operations",
        owners=[OWNERS["operations"]],
        kinds={"duckdb"},
        config_schema={},
        code_version=code_version("warehouse", "tables"),
        description="data/setbull.duckdb: a view per table over its current files, and the macros "
        + ", ".join(macro.name for macro in MACROS)
        + ". Open it read-only; it is replaced as a whole.",
    )
    def catalog(warehouse: WarehouseResource) -> dg.MaterializeResult:
        path = refresh_catalog(warehouse.open(), settings)
        return dg.MaterializeResult(
            metadata={
                "path": dg.MetadataValue.path(str(path)),
                "views": len(stored_tables()),
                "macros": dg.MetadataValue.md(
                    "\n\n".join(
                        f"**{macro.name}**: {macro.description}\n```sql\n{macro.example}\n```"
                        for macro in MACROS
                    )
                ),
            }
        )

    return catalog
