"""Partitions of a small run that are removed for want of room.

Belongs here: limits, removing all that can go, and deleting the files. Does not belong here: assertions.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from setbull_pipelines.pipeline.evicting import Eviction, evict
from setbull_pipelines.settings import Settings, StorageSettings
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests.pipeline.small_run import SmallRun

LATER = datetime(2027, 1, 1, tzinfo=UTC)
"""Long after anything here was used."""


def with_limits(settings: Settings, mebibytes: int = 0, days: int = 0) -> Settings:
    """The settings with limits of intermediate tables; 0 is none."""
    return replace(
        settings,
        storage=StorageSettings(intermediate_limit_mib=mebibytes, intermediate_days=days),
    )


def evict_all(run: SmallRun) -> Eviction:
    """Remove everything that does not have to stay."""
    eviction = evict(run.warehouse, with_limits(run.settings, days=1), LATER, "evicting")
    delete(run.warehouse)
    return eviction


def delete(warehouse: Warehouse) -> None:
    """Delete what is not needed as maintenance does, without waiting for readers."""
    warehouse.merge(LATER.date().isoformat())
    warehouse.grace = timedelta(0)
    warehouse.collect_garbage()
