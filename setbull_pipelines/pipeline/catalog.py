"""The catalog of a data folder: its tables and macros, when it is made again, and for which folder.

Belongs here: what the asset, the commands and the doctor do with it. Does not belong here: its SQL
(``warehouse/catalog.py``), when the asset is made (``assets/catalog.py``).
"""

from __future__ import annotations

from pathlib import Path

from setbull_pipelines import tables
from setbull_pipelines.pipeline.opening import catalog_path, open_warehouse, relative_catalog_path
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.catalog import rebuild_catalog, root_of_catalog
from setbull_pipelines.warehouse.errors import (
    ContractViolation,
    DamagedPartition,
    MissingPartition,
)
from setbull_pipelines.warehouse.macros import MACROS
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.store import Warehouse

UNREADABLE = (ContractViolation, DamagedPartition, MissingPartition)
"""What making a catalog can raise, besides OSError."""
_MACROS = {macro.name: macro.statements for macro in MACROS}


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
