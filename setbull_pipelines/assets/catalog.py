"""The asset that rebuilds the DuckDB catalog of views and macros.

Belongs here: the catalog asset. Does not belong here: SQL (``warehouse/``).
"""

from pathlib import Path

import dagster as dg

from setbull_pipelines import tables
from setbull_pipelines.assets.common import asset_key, catalog_path
from setbull_pipelines.assets.describing import OWNERS
from setbull_pipelines.pipeline.reconciling import SUMMARY
from setbull_pipelines.pipeline.reporting import REPORT
from setbull_pipelines.pipeline.serving import served_table
from setbull_pipelines.pipeline.versions import code_version
from setbull_pipelines.quality.groups import PLAN
from setbull_pipelines.quality.rollout_log import LOG
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.catalog import rebuild_catalog
from setbull_pipelines.warehouse.macros import MACROS
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.resources import WarehouseResource
from setbull_pipelines.warehouse.store import Warehouse

CATALOG_KEY = dg.AssetKey(["operations", "catalog"])


def stored_tables() -> list[StoredTable]:
    """Every table of the warehouse in every schema that holds it."""
    return [StoredTable(schema, table) for table in tables.ALL_TABLES for schema in table.schemas]


def refresh_catalog(warehouse: Warehouse, settings: Settings) -> Path:
    """Replace the catalog by one of the current files; returns its path. Raises as :func:`rebuild_catalog`."""
    return rebuild_catalog(
        warehouse,
        catalog_path(settings),
        stored_tables(),
        {macro.name: macro.definition for macro in MACROS},
    )


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
