"""The asset that judges the rollout: one evaluation per component and trading day.

Belongs here: its definition and metadata. Does not belong here: gathering
evidence (``pipeline/evidence.py``), deciding (``rollout/``).
"""

import dagster as dg

from setbull_pipelines.assets.common import (
    TRADING_DAYS,
    WHOLE_RANGE,
    asset_key,
    asset_spec,
    came_along,
    days_of,
    now,
    report_besides,
)
from setbull_pipelines.pictures.decisions import rollout_chart
from setbull_pipelines.pictures.drawing import image
from setbull_pipelines.pipeline import rolling_out
from setbull_pipelines.pipeline.reconciling import SUMMARY
from setbull_pipelines.pipeline.rollout_log import rolling_out_code_version
from setbull_pipelines.quality.rollout_log import LOG
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables import COMPUTED_TABLES
from setbull_pipelines.variants import V1
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.resources import WarehouseResource


def build_rollout_log_asset(settings: Settings) -> dg.AssetsDefinition:
    """Appends to ``operations.rollout_log``. The table has no trading day; its evaluations have one each.

    It comes before the served tables: a session on which V2 breaches is served from V1 in the same run.
    """
    spec = asset_spec(
        LOG,
        group="operations",
        code_version=rolling_out_code_version(),
        deps=[
            asset_key(SUMMARY),
            *(
                asset_key(StoredTable(lane, table))
                for table in COMPUTED_TABLES
                for lane in ("v1", "v2")
            ),
        ],
    ).replace_attributes(partitions_def=TRADING_DAYS)

    @dg.multi_asset(
        name="operations__rollout_log",
        specs=[spec],
        partitions_def=TRADING_DAYS,
        backfill_policy=WHOLE_RANGE,
    )
    def rollout_log(context: dg.AssetExecutionContext, warehouse: WarehouseResource):
        store = warehouse.open()
        days = days_of(context, store, settings)
        rows = rolling_out.evaluate(days, store, settings, now, context.run_id)
        besides: list[dg.AssetMaterialization] = []
        for step, completed in rolling_out.complete_v1(rows, store, settings, context.run_id):
            outputs = [StoredTable(V1.name, table) for table in step.outputs]
            besides += came_along(outputs, completed)
        report_besides(context, besides)
        for day in days:
            context.add_asset_metadata(
                {
                    row.decision.component.label: f"{row.decision.to_stage.label}, "
                    f"{row.decision.verdict.value}: {row.decision.reason}"
                    for row in rows
                    if row.decision.session == day
                },
                asset_key=asset_key(LOG),
                partition_key=day.isoformat(),
            )
        # Dagster keeps every picture for ever: one per run.
        chart = image("rollout history", rollout_chart(rolling_out.judged(store)))
        context.add_asset_metadata(
            {"rollout history": dg.MetadataValue.md(chart)},
            asset_key=asset_key(LOG),
            partition_key=days[-1].isoformat(),
        )
        yield dg.MaterializeResult(asset_key=asset_key(LOG), metadata={"rows appended": len(rows)})

    return rollout_log
