"""Assets of the served tables, which readers use.

Belongs here: their definitions and metadata. Does not belong here: which variant serves an instrument
(``rollout/``), picking rows (``pipeline/assignment.py``).
"""

import dagster as dg

from setbull_pipelines import tables
from setbull_pipelines.assets.common import (
    TRADING_DAYS,
    WHOLE_RANGE,
    asset_key,
    asset_spec,
    completeness_of,
    days_of,
    freshness,
    report,
)
from setbull_pipelines.assets.describing import served_description
from setbull_pipelines.pipeline import rolling_out, serving
from setbull_pipelines.pipeline.engine import PartitionResult
from setbull_pipelines.pipeline.lanes import COMPONENT_OF
from setbull_pipelines.pipeline.rollout_log import read_log
from setbull_pipelines.quality.rollout_log import LOG
from setbull_pipelines.reporting.content import markdown_funnel
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables import Table
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.resources import WarehouseResource

GROUP = "served"
TABLES = tuple(table for table in tables.COMPUTED_TABLES if table.name in tables.SERVED)


def build_served(table: Table, settings: Settings) -> dg.AssetsDefinition:
    """The asset that serves ``table``."""
    stored = serving.served_table(table)
    component = COMPONENT_OF[table.name]

    @dg.multi_asset(
        name=f"served__{table.name}",
        specs=[
            asset_spec(
                stored,
                group=GROUP,
                code_version=serving.serving_code_version(),
                deps=[
                    *(asset_key(StoredTable(lane, table)) for lane in ("v1", "v2")),
                    asset_key(LOG),
                ],
                tags={"setbull/component": component.label},
                description=served_description(stored, component.label),
                freshness_policy=freshness(settings),
            )
        ],
        partitions_def=TRADING_DAYS,
        backfill_policy=WHOLE_RANGE,
    )
    def serve(context: dg.AssetExecutionContext, warehouse: WarehouseResource):
        store = warehouse.open()
        log = read_log(store)
        asked = rolling_out.serving_of(table, log, store, settings.rollout)

        def describe(result: PartitionResult, stored: StoredTable) -> dict[str, object]:
            day = serving.served_day(table, result.day, store)
            pointer = result.pointers[stored.table.name]
            figures = {
                "stage": asked.assignment.stage.label,
                "instruments from V2": day.from_v2,
                "served from V1 because V2 has no row": day.fallbacks,
                "only in V2 and not served": day.not_served,
            } | ({} if day.share is None else {"share served from V2": day.share})
            if reason := pointer.inputs.get(serving.WITHHELD):
                figures |= {"served from V1 to all": reason}
            if table is tables.FILTER_RESULTS:
                rows = store.read(stored, [result.day.isoformat()])
                figures = {"funnel": dg.MetadataValue.md(markdown_funnel(rows))} | figures
            return figures | completeness_of(stored, result.day, store, settings)

        results = serving.serve(
            table,
            days_of(context, store, settings),
            asked.assignment,
            asked.judged,
            store,
            context.run_id,
        )
        yield from report(context, [stored], results, store, describe)

    return serve


def build_served_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """All served tables."""
    return [build_served(table, settings) for table in TABLES]
