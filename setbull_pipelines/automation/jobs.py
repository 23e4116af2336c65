"""The jobs of the project.

Belongs here: selections of assets with a name. Does not belong here: when they run (``schedules``).
"""

from __future__ import annotations

import dagster as dg

from setbull_pipelines.assets.common import TRADING_DAYS, asset_key
from setbull_pipelines.assets.fetched import FETCHED_KEY, FETCHES_KEY
from setbull_pipelines.assets.maintenance import MAINTENANCE_KEY
from setbull_pipelines.assets.self_test import SELF_TEST_KEY
from setbull_pipelines.pipeline.raw import WHOLE_TABLES

DAILY_JOB_NAME, INTAKE_JOB_NAME = "daily", "intake"
MAINTENANCE_JOB_NAME, SELF_TEST_JOB_NAME = "maintenance", "self_test"
FETCH_JOB_NAME = "fetch"
LANES = {"v1_lane": "v1", "v2_lane": "v2"}


def build_jobs() -> list[dg.UnresolvedAssetJobDefinition]:
    """``daily`` brings one trading day (or a range) from intake to reconciled filter results."""
    daily = dg.define_asset_job(
        DAILY_JOB_NAME,
        selection=dg.AssetSelection.all()
        - dg.AssetSelection.assets(MAINTENANCE_KEY, SELF_TEST_KEY, FETCHED_KEY, FETCHES_KEY),
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
    maintenance = dg.define_asset_job(
        MAINTENANCE_JOB_NAME,
        selection=dg.AssetSelection.assets(MAINTENANCE_KEY),
        executor_def=dg.in_process_executor,
        description="Deletes versions of partitions beyond the number that is kept.",
    )
    self_test = dg.define_asset_job(
        SELF_TEST_JOB_NAME,
        selection=dg.AssetSelection.assets(SELF_TEST_KEY),
        executor_def=dg.in_process_executor,
        description="Breaks V2 in every known way and requires that each fault is caught and its cause named.",
    )
    fetch = dg.define_asset_job(
        FETCH_JOB_NAME,
        selection=dg.AssetSelection.assets(FETCHED_KEY, FETCHES_KEY),
        executor_def=dg.in_process_executor,
        description="Asks the broker for the candles that are missing and makes candle files of them.",
    )
    return [daily, intake, *lanes, maintenance, self_test, fetch]
