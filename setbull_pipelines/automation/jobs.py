"""The jobs of the project.

Belongs here: selections of assets with a name. Does not belong here: when they run (``schedules``).
"""

from __future__ import annotations

import dagster as dg

from setbull_pipelines import tables
from setbull_pipelines.assets.common import TRADING_DAYS, asset_key
from setbull_pipelines.assets.maintenance import MAINTENANCE_KEY
from setbull_pipelines.pipeline.raw import DAY_TABLES, WHOLE_TABLES
from setbull_pipelines.tables import Table
from setbull_pipelines.warehouse.store import StoredTable

DAILY_JOB_NAME, INTAKE_JOB_NAME = "daily", "intake"
MAINTENANCE_JOB_NAME = "maintenance"
LANES = {"v1_lane": "v1", "v2_lane": "v2"}


def _both(table: Table) -> list[StoredTable]:
    return [StoredTable(variant, table) for variant in LANES.values()]


HISTORY_OF_CANDLES, HISTORY_OF_CANDLES_5MIN, HISTORY_OF_INDICATORS = (
    "history_of_candles",
    "history_of_candles_5min",
    "history_of_daily_indicators",
)
HISTORIES: dict[str, list[StoredTable]] = {
    HISTORY_OF_CANDLES: [*DAY_TABLES, *_both(tables.CANDLES_DAILY)],
    HISTORY_OF_CANDLES_5MIN: _both(tables.CANDLES_5MIN),
    HISTORY_OF_INDICATORS: _both(tables.INDICATORS_DAILY),
}
"""What must exist for sessions before the first one that is asked for, by job name."""


def build_jobs() -> list[dg.UnresolvedAssetJobDefinition]:
    """``daily`` brings one trading day (or a range) from intake to reconciled filter results."""
    daily = dg.define_asset_job(
        DAILY_JOB_NAME,
        selection=dg.AssetSelection.all() - dg.AssetSelection.assets(MAINTENANCE_KEY),
        partitions_def=TRADING_DAYS,
        executor_def=dg.in_process_executor,
        description="Intake, candles, indicators, sequences, filters in V1 and V2, reconciliation, checks, catalog.",
    )
    lanes = [
        dg.define_asset_job(
            name,
            selection=dg.AssetSelection.tag("setbull/variant", variant),
            partitions_def=TRADING_DAYS,
            executor_def=dg.in_process_executor,
            description=f"All computed tables of {variant} alone, from the raw tables.",
        )
        for name, variant in LANES.items()
    ]
    intake = dg.define_asset_job(
        INTAKE_JOB_NAME,
        selection=dg.AssetSelection.assets(*map(asset_key, WHOLE_TABLES)),
        executor_def=dg.in_process_executor,
        description="Reads the configured source and publishes files, instruments and coverage.",
    )
    histories = [
        dg.define_asset_job(
            name,
            selection=dg.AssetSelection.assets(*map(asset_key, stored)).without_checks(),
            partitions_def=TRADING_DAYS,
            executor_def=dg.in_process_executor,
            description="Look-back of later days, without checks: "
            + ", ".join(table.name for table in stored),
        )
        for name, stored in HISTORIES.items()
    ]
    maintenance = dg.define_asset_job(
        MAINTENANCE_JOB_NAME,
        selection=dg.AssetSelection.assets(MAINTENANCE_KEY),
        executor_def=dg.in_process_executor,
        description="Deletes versions of partitions beyond the number that is kept.",
    )
    return [daily, intake, *histories, *lanes, maintenance]
