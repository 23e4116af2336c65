"""An instance of Dagster without runs, a warehouse, the log of alerts, and the sensor that raises them."""

import logging
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from setbull_pipelines.automation.sensors import build_sensors
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.resources import WarehouseResource
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests.automation.noticing.broken_asset import Broken


@pytest.fixture(autouse=True)
def heard(caplog: pytest.LogCaptureFixture) -> None:
    """The log channel, also where no other test has imported the definitions, which set its level."""
    caplog.set_level(logging.INFO, logger="setbull_pipelines")


@pytest.fixture
def instance(stored_instance: dg.DagsterInstance) -> Iterator[dg.DagsterInstance]:
    stored_instance.wipe()
    yield stored_instance
    Broken.check_fails = Broken.warns = Broken.step_fails = False


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_directory=tmp_path / "data")


@pytest.fixture
def warehouse(settings: Settings) -> Warehouse:
    return Warehouse(settings.data_directory / "warehouse")


@pytest.fixture
def tick(instance, settings):
    """The sensor as the daemon evaluates it; keeps the cursor."""
    (sensor,) = build_sensors(settings)
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    cursor: list[str | None] = [None]
    resource = WarehouseResource(root=str(settings.data_directory / "warehouse"))

    def evaluate() -> str:
        with dg.build_sensor_context(
            instance=instance, cursor=cursor[0], resources={"warehouse": resource}
        ) as context:
            result = sensor.evaluate_tick(context)
        cursor[0] = result.cursor
        assert result.run_requests == []
        return result.skip_message

    return evaluate
