"""What work on a data folder begins with: where its parts are, its warehouse, and what time it is.

Belongs here: what commands, the doctor, the API and the assets all ask for first. Does not belong here: what is in the
warehouse (``warehouse/``), Dagster's resources (``warehouse/resources.py``), which commands are quicker without.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from setbull_pipelines.settings import Settings
from setbull_pipelines.tables.contract import INDIA
from setbull_pipelines.warehouse.store import Warehouse, opened


def now() -> datetime.datetime:
    """The moment in exchange time, to be handed down: the steps know no clock."""
    return datetime.datetime.now(ZoneInfo(INDIA))


def warehouse_root(settings: Settings) -> Path:
    """Folder of the partition files."""
    return settings.data_directory / "warehouse"


def catalog_path(settings: Settings) -> Path:
    """The DuckDB file of views for notebooks, BI tools and ``setbull sql``."""
    return settings.data_directory / "setbull.duckdb"


def relative_catalog_path(settings: Settings) -> Path:
    """The same with files named from the data folder, where ``setbull catalog --relative`` has made it."""
    return settings.data_directory / "setbull-relative.duckdb"


def open_warehouse(settings: Settings) -> Warehouse:
    """The warehouse that assets work on, with the same memory of decoded files."""
    return opened(
        str(warehouse_root(settings)),
        settings.storage.keep_versions,
        settings.processing.decoded_cache_mib,
        settings.processing.workers,
        settings.storage.remote,
    )
