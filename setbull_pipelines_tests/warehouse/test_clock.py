"""Files that readers may still be reading stay when the clock of the machine is set while the process works."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

import pytest

from setbull_pipelines.warehouse.catalog import VERSIONS, rebuild_catalog
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests.warehouse.conftest import V1_BARS, bars, publish

HOUR = 3600.0


class Clocks:
    """The clock of the machine, which can be set, and the one that only passes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.set_by = self.passed = 0.0
        wall, steady = time.time, time.monotonic
        monkeypatch.setattr(time, "time", lambda: wall() + self.passed + self.set_by)
        monkeypatch.setattr(time, "monotonic", lambda: steady() + self.passed)


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    return Clocks(monkeypatch)


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    """One with a version too many, whose catalog was made anew since."""
    found = Warehouse(tmp_path / "warehouse", keep_versions=2, grace=timedelta(hours=1))
    for price in (1.0, 2.0, 3.0):
        publish(found, bars(price=price))
        rebuild_catalog(found, tmp_path / "catalog.duckdb", [V1_BARS], {})
    return found


def catalogs(warehouse: Warehouse) -> int:
    """How many versions of the catalog there are, after it was made again."""
    folder = warehouse.root.parent
    rebuild_catalog(warehouse, folder / "catalog.duckdb", [V1_BARS], {})
    return len(list((folder / VERSIONS).iterdir()))


def test_a_clock_that_is_put_ahead_makes_no_file_older(
    warehouse: Warehouse, clocks: Clocks
) -> None:
    assert warehouse.collect_garbage() == 0, "nothing was known to be unneeded before"
    before = catalogs(warehouse)
    clocks.set_by = 30 * HOUR
    assert warehouse.collect_garbage() == 0
    assert catalogs(warehouse) == before + 1
    clocks.passed = 2 * HOUR
    assert warehouse.collect_garbage() == 1 + 1, "with the hashes of the version"
    assert catalogs(warehouse) == 1


def test_a_clock_that_was_ahead_and_is_right_again_keeps_files_no_longer_than_that(
    warehouse: Warehouse, clocks: Clocks
) -> None:
    clocks.passed = 30 * HOUR  # as in a process that began while it was ahead
    assert warehouse.collect_garbage() == 0
    clocks.passed = 0.0
    assert warehouse.collect_garbage() == 0
    clocks.passed = 2 * HOUR
    assert warehouse.collect_garbage() == 2
