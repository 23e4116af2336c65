"""The Dagster resources, used the way assets use them."""

from __future__ import annotations

import dagster as dg
import duckdb
import pytest

from setbull_pipelines.assets.common import needs_warehouse
from setbull_pipelines.pipeline.opening import open_warehouse
from setbull_pipelines.settings import ProcessingSettings, Settings, StorageSettings
from setbull_pipelines.warehouse.catalog import rebuild_catalog
from setbull_pipelines.warehouse.resources import CatalogResource, WarehouseResource
from setbull_pipelines_tests.warehouse.conftest import V1_BARS, bars, publish


def test_assets_share_one_warehouse_and_query_the_catalog(tmp_path):
    seen = []

    @dg.asset
    def published(warehouse: WarehouseResource) -> None:
        publish(warehouse.open(), bars())
        rebuild_catalog(warehouse.open(), tmp_path / "catalog.duckdb", [V1_BARS], {})
        seen.append(warehouse.open())

    @dg.asset(deps=[published])
    def counted(warehouse: WarehouseResource, catalog: CatalogResource) -> None:
        seen.append(warehouse.open())
        with catalog.get_connection() as connection:
            seen.append(connection.execute("SELECT count(*) FROM v1.bars").fetchone())
            zone = connection.execute("SELECT current_setting('TimeZone')").fetchone()
            seen.append(zone)

    result = dg.materialize(
        [published, counted],
        resources={
            "warehouse": WarehouseResource(root=str(tmp_path / "warehouse"), keep_versions=2),
            "catalog": CatalogResource(database=str(tmp_path / "catalog.duckdb")),
        },
    )
    assert result.success
    first, second, rows, zone = seen
    assert first is second
    assert first.keep_versions == 2
    assert (rows, zone) == ((4,), ("Asia/Kolkata",))


def test_the_settings_say_how_much_memory_and_how_many_threads_the_warehouse_takes(tmp_path):
    settings = Settings(
        data_directory=tmp_path,
        storage=StorageSettings(keep_versions=4),
        processing=ProcessingSettings(decoded_cache_mib=7, workers=2),
    )
    warehouse = open_warehouse(settings)
    assert warehouse is needs_warehouse(settings)["warehouse"].open()
    assert (warehouse.cache.limit_bytes, warehouse.threads) == (7 * 2**20, 2)
    assert warehouse.keep_versions == 4
    assert open_warehouse(Settings(data_directory=tmp_path)).threads == 4


def test_the_catalog_is_read_only_and_closed_after_an_error(warehouse, tmp_path):
    path = rebuild_catalog(warehouse, tmp_path / "catalog.duckdb", [V1_BARS], {})
    resource = CatalogResource(database=str(path))
    with (
        pytest.raises(duckdb.InvalidInputException, match="read-only"),
        resource.get_connection() as connection,
    ):
        connection.execute("CREATE TABLE v1.intruder (x INTEGER)")
    with pytest.raises(duckdb.ConnectionException):
        connection.execute("SELECT 1")


def test_each_connection_to_the_catalog_is_locked_to_the_warehouse(warehouse, tmp_path):
    publish(warehouse, bars())
    path = rebuild_catalog(warehouse, tmp_path / "catalog.duckdb", [V1_BARS], {})
    (tmp_path / "other.csv").write_text("a\n1\n")
    resource = CatalogResource(database=str(path))
    with resource.get_connection() as first, resource.get_connection() as second:
        for connection in (first, second):
            assert connection.execute("SELECT count(*) FROM v1.bars").fetchone() == (4,)
            zone = connection.execute("SELECT current_setting('TimeZone')").fetchone()
            assert zone == ("Asia/Kolkata",)
            with pytest.raises(duckdb.PermissionException):
                connection.execute(f"SELECT * FROM '{tmp_path / 'other.csv'}'")
            with pytest.raises(duckdb.InvalidInputException, match="locked"):
                connection.execute("SET enable_external_access = true")
            with pytest.raises(duckdb.PermissionException):
                connection.execute("LOAD httpfs")


def test_a_catalog_that_was_never_built_is_named(tmp_path):
    resource = CatalogResource(database=str(tmp_path / "absent.duckdb"))
    with (
        pytest.raises(FileNotFoundError, match="rebuild the catalog first"),
        resource.get_connection(),
    ):
        pass
    assert not (tmp_path / "absent.duckdb").exists()
