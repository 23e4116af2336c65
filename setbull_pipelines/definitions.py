"""The one ``Definitions`` object that Dagster loads.

Belongs here: putting the parts together. Does not belong here: anything else. Imports stay cheap: compiled
kernels and plotting are imported inside the functions that use them.
"""

from __future__ import annotations

import gc
import logging
import warnings
from collections.abc import Sequence

import dagster as dg

# Definitions, tables and events are objects by the hundred thousand, and most of them stay: searching them for garbage
# after every 700 new ones took 5 to 15 % of the processor time of a day.
gc.set_threshold(50_000, 25, 25)

# Partitioned checks and single-run backfills are marked beta or preview in the pinned Dagster release;
# the snapshot tests notice when an upgrade changes them.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)

from setbull_pipelines.assets.catalog import build_catalog_asset  # noqa: E402
from setbull_pipelines.assets.charts import build_chart_assets  # noqa: E402
from setbull_pipelines.assets.common import needs_warehouse  # noqa: E402
from setbull_pipelines.assets.daily_report import build_daily_report_asset  # noqa: E402
from setbull_pipelines.assets.fetched import build_fetched_asset  # noqa: E402
from setbull_pipelines.assets.groups import build_group_assets  # noqa: E402
from setbull_pipelines.assets.live import build_live_assets  # noqa: E402
from setbull_pipelines.assets.maintenance import build_maintenance_asset  # noqa: E402
from setbull_pipelines.assets.metrics import build_metrics_asset  # noqa: E402
from setbull_pipelines.assets.partitions import trading_days  # noqa: E402
from setbull_pipelines.assets.raw import build_raw_assets  # noqa: E402
from setbull_pipelines.assets.reconciliation import build_reconciliation_asset  # noqa: E402
from setbull_pipelines.assets.rollout import build_rollout_log_asset  # noqa: E402
from setbull_pipelines.assets.scrub import build_scrub_asset  # noqa: E402
from setbull_pipelines.assets.self_test import build_self_test_asset  # noqa: E402
from setbull_pipelines.assets.served import build_served_asset  # noqa: E402
from setbull_pipelines.assets.variants import build_variant_assets  # noqa: E402
from setbull_pipelines.automation.jobs import build_jobs  # noqa: E402
from setbull_pipelines.automation.landing_sensor import build_landing_sensor  # noqa: E402
from setbull_pipelines.automation.noticing import build_alerts_asset  # noqa: E402
from setbull_pipelines.automation.run_process import build_executor  # noqa: E402
from setbull_pipelines.automation.schedules import (  # noqa: E402
    build_after_fetch,
    build_schedules,
    offered_days,
)
from setbull_pipelines.automation.sensors import build_sensors  # noqa: E402
from setbull_pipelines.settings import Settings, load_settings  # noqa: E402
from setbull_pipelines.tables.look_back import refuse_short_look_back  # noqa: E402

logging.getLogger("setbull_pipelines").setLevel(logging.INFO)


def build_defs(
    settings: Settings, more_jobs: Sequence[dg.UnresolvedAssetJobDefinition] = ()
) -> dg.Definitions:
    """All definitions for these settings; the one override point for tests.

    ``more_jobs`` are jobs of an engine that one machine does not need (``cluster``).
    """
    # Once: another process may take in the folder's first input meanwhile, and jobs want assets of the same days.
    days = trading_days(settings)
    offered = offered_days(days)
    jobs = build_jobs(settings)
    by_name = {job.name: job for job in jobs}
    return dg.Definitions(
        assets=[
            build_fetched_asset(settings),
            *build_raw_assets(settings, days),
            *build_variant_assets(settings, days),
            build_reconciliation_asset(settings, days),
            build_served_asset(settings, days),
            *build_live_assets(settings, days),
            *build_group_assets(settings, days),
            build_daily_report_asset(settings, days),
            *build_chart_assets(days),
            build_metrics_asset(settings, days),
            build_rollout_log_asset(settings, days),
            build_scrub_asset(settings),
            build_catalog_asset(settings),
            build_maintenance_asset(settings),
            build_self_test_asset(settings),
            build_alerts_asset(),
        ],
        jobs=[*jobs, *more_jobs],
        schedules=build_schedules(settings, by_name, offered),
        sensors=[
            *build_sensors(settings),
            build_landing_sensor(settings, by_name, offered),
            build_after_fetch(settings, by_name, offered),
        ],
        resources=needs_warehouse(settings),
        executor=build_executor(settings.runs.fail_on_divergence),
    )


defs = build_defs(refuse_short_look_back(load_settings()))
