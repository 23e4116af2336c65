"""The asset of the daily report.

Belongs here: its definition and metadata. Does not belong here: what is read and written
(``pipeline/daily_reports.py``), what the page shows (``reporting/``).
"""

from datetime import date

import dagster as dg

from setbull_pipelines.assets.checking import check_specs
from setbull_pipelines.assets.common import (
    WHOLE_RANGE,
    asset_key,
    asset_spec,
    completeness_of,
    days_of,
    freshness,
)
from setbull_pipelines.assets.lane import Lane
from setbull_pipelines.assets.served import GROUP
from setbull_pipelines.pipeline import daily_reports
from setbull_pipelines.pipeline.addresses import overview_address, report_address
from setbull_pipelines.pipeline.engine import PartitionResult
from setbull_pipelines.pipeline.overview import overview_path
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables.filters import PASSING_VERDICTS
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.resources import WarehouseResource


def build_daily_report_asset(
    settings: Settings, sessions: dg.StaticPartitionsDefinition
) -> dg.AssetsDefinition:
    """One HTML file per trading day, after everything that it tells of."""
    stored = daily_reports.REPORT

    @dg.multi_asset(
        name="daily_report",
        specs=[
            asset_spec(
                stored,
                group=GROUP,
                code_version=daily_reports.reporting_code_version(),
                deps=[asset_key(read) for read in daily_reports.READS],
                kinds={"html"},
                freshness_policy=freshness(settings),
            )
        ],
        check_specs=check_specs([stored]),
        partitions_def=sessions,
        backfill_policy=WHOLE_RANGE,
        can_subset=True,
    )
    def daily_report(context: dg.AssetExecutionContext, warehouse: WarehouseResource):
        store = warehouse.open()

        def describe(result: PartitionResult, stored: StoredTable) -> dict[str, object]:
            path = daily_reports.report_path(settings, result.day)
            lists = store.read(stored, [result.day.isoformat()], ["list"])["list"]
            figures = {
                "answer": daily_reports.headline_on(result.day, settings),
                **_place(settings, result.day),
                "size in MB": path.stat().st_size / 1e6,
                **{verdict: int((lists == verdict).sum()) for verdict in PASSING_VERDICTS},
                "look": f"setbull report --day {result.day} --open",
            }
            return figures | completeness_of(stored, result.day, store, settings)

        lane = Lane(context, store, settings)
        if context.selected_asset_keys:
            days = days_of(context, store, settings)
            yield from lane.part(
                [stored],
                lambda: daily_reports.make_reports(days, store, settings, context.run_id),
                describe=describe,
            )
        yield from lane.end()

    return daily_report


def _place(settings: Settings, day: date) -> dict[str, dg.MetadataValue]:
    """Where people find the page and that of all sessions: links where the API is reachable, else the files."""
    sessions = overview_address(settings.api)
    if (address := report_address(settings.api, day)) and sessions:
        return {
            "page": dg.MetadataValue.url(address),
            "all sessions": dg.MetadataValue.url(sessions),
        }
    return {
        "path": dg.MetadataValue.path(str(daily_reports.report_path(settings, day))),
        "all sessions": dg.MetadataValue.path(str(overview_path(settings))),
    }
