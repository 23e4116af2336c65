"""The asset that rebuilds the DuckDB catalog of views and macros.

Belongs here: the catalog asset. Does not belong here: SQL (``warehouse/``).
"""

from pathlib import Path

import dagster as dg

from setbull_pipelines import tables
from setbull_pipelines.assets.common import (
    asset_key,
    catalog_path,
    open_warehouse,
    relative_catalog_path,
)
from setbull_pipelines.assets.describing import OWNERS
from setbull_pipelines.pipeline.comparing_days import SUMMARY
from setbull_pipelines.pipeline.daily_reports import REPORT
from setbull_pipelines.pipeline.scrubbing import STORED as SCRUB
from setbull_pipelines.pipeline.serving import served_table
from setbull_pipelines.pipeline.versions import code_version
from setbull_pipelines.quality.groups import PLAN
from setbull_pipelines.quality.rollout_log import LOG
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.catalog import rebuild_catalog, root_of_catalog
from setbull_pipelines.warehouse.errors import (
    ContractViolation,
    DamagedPartition,
    MissingPartition,
)
from setbull_pipelines.warehouse.macros import MACROS
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.resources import WarehouseResource
from setbull_pipelines.warehouse.store import Warehouse

CATALOG_KEY = dg.AssetKey(["operations", "catalog"])
UNREADABLE = (ContractViolation, DamagedPartition, MissingPartition)
"""What making a catalog can raise, besides OSError."""
_MACROS = {macro.name: macro.definition for macro in MACROS}


def stored_tables() -> list[StoredTable]:
    """Every table of the warehouse in every schema that holds it."""
    return [StoredTable(schema, table) for table in tables.ALL_TABLES for schema in table.schemas]


def refresh_catalog(warehouse: Warehouse, settings: Settings) -> Path:
    """Replace the catalog by one of the current files; returns its path. Raises as :func:`rebuild_catalog`.

    The relative one is replaced where there is one.
    """
    if relative_catalog_path(settings).exists():
        rebuild_relative_catalog(warehouse, settings)
    return rebuild_catalog(warehouse, catalog_path(settings), stored_tables(), _MACROS)


def rebuild_relative_catalog(warehouse: Warehouse, settings: Settings) -> Path:
    """Put a catalog in place that names files from the data folder; every refresh replaces it from then on."""
    path = relative_catalog_path(settings)
    return rebuild_catalog(warehouse, path, stored_tables(), _MACROS, is_relative=True)


def is_stored(warehouse: Warehouse) -> bool:
    """Whether any table has a partition."""
    return any(warehouse.partitions(stored) for stored in stored_tables())


def is_at_home(warehouse: Warehouse, settings: Settings) -> bool:
    """Whether there is a catalog and it reads the files of this data folder."""
    return root_of_catalog(catalog_path(settings)) == warehouse.root


def bring_catalog_home(settings: Settings) -> str | None:
    """Rebuild a catalog that reads the files of another data folder, or is missing; returns what was done.

    None where it is as it should be, and where nothing is stored. Raises as :func:`rebuild_catalog`, and OSError for a
    folder that cannot be written.
    """
    warehouse, path = open_warehouse(settings), catalog_path(settings)
    if is_at_home(warehouse, settings) or not is_stored(warehouse):
        return None
    found = root_of_catalog(path)
    refresh_catalog(warehouse, settings)
    if found:
        return f"{path}: read the files of {found}, rebuilt for those of {warehouse.root}"
    return f"{path}: was missing or not readable, rebuilt"


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
