"""The asset that judges the rollout: one evaluation per component and trading day.

Belongs here: its definition and metadata. Does not belong here: gathering
evidence (``pipeline/rolling_out.py``), deciding (``rollout/``).
"""

import dagster as dg

from setbull_pipelines.assets.common import (
    TRADING_DAYS,
    WHOLE_RANGE,
    asset_key,
    asset_spec,
    days_of,
    now,
)
from setbull_pipelines.assets.served import TABLES
from setbull_pipelines.pictures.decisions import rollout_chart
from setbull_pipelines.pictures.drawing import image
from setbull_pipelines.pipeline import rolling_out
from setbull_pipelines.pipeline.metrics import OUTPUTS
from setbull_pipelines.pipeline.reconciling import SUMMARY
from setbull_pipelines.pipeline.serving import served_table
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.resources import WarehouseResource


def build_rollout_log_asset(settings: Settings) -> dg.AssetsDefinition:
    """Appends to ``operations.rollout_log``. The table has no trading day; its evaluations have one each.

    It comes after the served tables and the metrics, so that a whole run is served under the stages at its start.
    """
    log = rolling_out.LOG
    spec = asset_spec(
        log,
        group="operations",
        code_version=rolling_out.rolling_out_code_version(),
        deps=[
            asset_key(SUMMARY),
            *map(asset_key, OUTPUTS),
            *(asset_key(served_table(table)) for table in TABLES),
        ],
    ).replace_attributes(partitions_def=TRADING_DAYS)

    @dg.multi_asset(
        name="operations__rollout_log",
        specs=[spec],
        partitions_def=TRADING_DAYS,
        backfill_policy=WHOLE_RANGE,
    )
    def rollout_log(context: dg.AssetExecutionContext, warehouse: WarehouseResource):
        days = days_of(context)
        rows = rolling_out.evaluate(days, warehouse.open(), settings, now, context.run_id)
        for day in days:
            context.add_asset_metadata(
                {
                    row.decision.component.label: f"{row.decision.to_stage.label}, "
                    f"{row.decision.verdict.value}: {row.decision.reason}"
                    for row in rows
                    if row.decision.session == day
                },
                asset_key=asset_key(log),
                partition_key=day.isoformat(),
            )
        # Dagster keeps every picture for ever: one per run.
        chart = image("rollout history", rollout_chart(rolling_out.judged(warehouse.open())))
        context.add_asset_metadata(
            {"rollout history": dg.MetadataValue.md(chart)},
            asset_key=asset_key(log),
            partition_key=days[-1].isoformat(),
        )
        yield dg.MaterializeResult(asset_key=asset_key(log), metadata={"rows appended": len(rows)})

    return rollout_log
