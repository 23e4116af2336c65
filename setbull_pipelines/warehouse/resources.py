"""The warehouse and its catalog as Dagster resources.

Belongs here: turning configured values into a Warehouse or a read-only catalog connection; the
only module of the room that imports Dagster. Does not belong here: storage, SQL.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
from dagster import ConfigurableResource
from dagster_duckdb import DuckDBResource
from pydantic import Field

from setbull_pipelines.warehouse.catalog import open_catalog
from setbull_pipelines.warehouse.store import Warehouse, opened


class WarehouseResource(ConfigurableResource):
    """The store of all tables, as assets and checks receive it."""

    root: str = Field(description="Directory of the warehouse.")
    keep_versions: int = Field(
        default=3, ge=1, description="Versions kept per partition, the current one included."
    )
    decoded_cache_mib: int = Field(
        default=256, ge=0, description="Memory for decoded files between reads, in mebibytes."
    )
    workers: int = Field(
        default=0, ge=0, description="Threads that encode and write files; 0: four."
    )

    remote: str = Field(
        default="", description="Object store that machines share; '' keeps all in the directory."
    )

    def open(self) -> Warehouse:
        """Return the Warehouse; the same one for the whole process, so its cache stays warm."""
        return opened(
            self.root, self.keep_versions, self.decoded_cache_mib, self.workers, self.remote
        )


class CatalogResource(DuckDBResource):
    """The catalog file, opened read-only.

    Differs from its parent: the connection is closed even when the block raises, the file can never be locked
    against other readers or changed, and no file outside the warehouse can be opened.
    """

    @contextmanager
    def get_connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the catalog with session time zone Asia/Kolkata; FileNotFoundError if not built."""
        with open_catalog(Path(self.database), self.connection_config) as connection:
            yield connection
