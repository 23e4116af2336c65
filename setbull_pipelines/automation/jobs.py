"""The jobs of the project.

Belongs here: selections of assets with a name. Does not belong here: when they run (``schedules``).
"""

from __future__ import annotations

import dagster as dg

from setbull_pipelines import tables
from setbull_pipelines.assets.catalog import CATALOG_KEY
from setbull_pipelines.assets.common import (
    DAILY_JOB_NAME,
    INTRADAY_JOB_NAME,
    MAX_RUNTIME_TAG,
    asset_key,
)
from setbull_pipelines.assets.fetched import FETCHED_KEY, FETCHES_KEY
from setbull_pipelines.assets.maintenance import MAINTENANCE_KEY
from setbull_pipelines.assets.scrub import ALL_FILES_TAG, SCRUB_KEY
from setbull_pipelines.assets.self_test import SELF_TEST_KEY
from setbull_pipelines.pipeline.alert_delivery import ALERTS
from setbull_pipelines.pipeline.candle_events import EVENTS
from setbull_pipelines.pipeline.candle_receivers import RECEIVERS
from setbull_pipelines.pipeline.raw import DAY_TABLES, WHOLE_TABLES
from setbull_pipelines.pipeline.serving import served_table
from setbull_pipelines.pipeline.what_to_fetch import is_source
from setbull_pipelines.quality.groups import GROUPS, PLAN, REFUSED
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.pointers import StoredTable

INTAKE_JOB_NAME = "intake"
MAINTENANCE_JOB_NAME, SELF_TEST_JOB_NAME = "maintenance", "self_test"
FETCH_JOB_NAME, SCRUB_JOB_NAME = "fetch", "scrub"
LANES = {"v1_lane": "v1", "v2_lane": "v2"}
_INTRADAY_TABLES = (
    *(tables.CANDLES_5MIN, tables.INDICATORS_5MIN),
    *(tables.BB_WIDTH_DAILY, tables.BB_WIDTH_ALERTS),
)
"""What is made of a session under way. Daily candles of half a day, and filters on them, would be wrong."""


def build_jobs(settings: Settings) -> list[dg.UnresolvedAssetJobDefinition]:
    """``daily`` brings one trading day (or a range) from intake to reconciled filter results."""
    limit = {MAX_RUNTIME_TAG: str(settings.runs.max_runtime_seconds)}
    daily = dg.define_asset_job(
        DAILY_JOB_NAME,
        selection=dg.AssetSelection.all()
        - dg.AssetSelection.assets(
            *(MAINTENANCE_KEY, SELF_TEST_KEY, FETCHED_KEY, FETCHES_KEY),
            # What a whole day sends is sent with the alerts after the run.
            *map(asset_key, (ALERTS, RECEIVERS)),
        ),
        tags=limit,
        description="Intake, candles, indicators, sequences, filters in V1 and V2, reconciliation, checks, catalog.",
    )
    lanes = [
        dg.define_asset_job(
            name,
            selection=dg.AssetSelection.tag("setbull/variant", variant),
            tags=limit,
            description=f"All computed tables of {variant} alone, from the raw tables.",
        )
        for name, variant in LANES.items()
    ]
    intake = dg.define_asset_job(
        INTAKE_JOB_NAME,
        selection=dg.AssetSelection.assets(*map(asset_key, WHOLE_TABLES)),
        tags=limit,
        description="Reads the configured source and publishes files, instruments and coverage.",
    )
    maintenance = dg.define_asset_job(
        MAINTENANCE_JOB_NAME,
        selection=dg.AssetSelection.assets(MAINTENANCE_KEY),
        tags=limit,
        description="Deletes versions of partitions beyond the number that is kept.",
    )
    self_test = dg.define_asset_job(
        SELF_TEST_JOB_NAME,
        selection=dg.AssetSelection.assets(SELF_TEST_KEY),
        tags=limit,
        description="Breaks V2 in every known way and requires that each fault is caught and its cause named.",
    )
    scrub = dg.define_asset_job(
        SCRUB_JOB_NAME,
        selection=dg.AssetSelection.assets(SCRUB_KEY),
        tags=limit | {ALL_FILES_TAG: "all files"},
        description="Holds all stored files against their hashes, those not looked at for the longest time first, and "
        "makes damaged ones again.",
    )
    fetch = dg.define_asset_job(
        FETCH_JOB_NAME,
        selection=dg.AssetSelection.assets(FETCHED_KEY, FETCHES_KEY),
        tags=limit,
        description="Asks the broker for the candles that are missing and makes candle files of them.",
    )
    intraday = dg.define_asset_job(
        INTRADAY_JOB_NAME,
        # Without checks: of half a session they would say that the other half is missing.
        selection=dg.AssetSelection.assets(
            *((FETCHED_KEY, FETCHES_KEY) if is_source(settings) else ()),
            *map(asset_key, (*WHOLE_TABLES, *DAY_TABLES)),
            *(
                asset_key(StoredTable(variant, table))
                for table in _INTRADAY_TABLES
                for variant in LANES.values()
            ),
            *(asset_key(served_table(table)) for table in _INTRADAY_TABLES),
            *map(asset_key, (EVENTS, RECEIVERS)),
            *map(asset_key, (GROUPS, REFUSED, PLAN)),
            CATALOG_KEY,
        ).without_checks(),
        tags={MAX_RUNTIME_TAG: str(settings.runs.intraday_max_runtime_seconds)},
        description="The session under way: intake, then 5-minute candles, their indicators and the band-width monitor "
        "of the bars that have closed, served like those of whole days and sent to readers, and the plan of the stock "
        "groups. Daily tables and filters wait for the close.",
    )
    return [daily, intraday, intake, *lanes, maintenance, self_test, scrub, fetch]
