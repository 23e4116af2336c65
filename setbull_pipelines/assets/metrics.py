"""The asset that collects what the partitions of a trading day took and what failed in them.

Belongs here: its definition and metadata. Does not belong here: measuring and collecting (``pipeline/``),
limits (``quality/processing.py``).
"""

import dagster as dg

from setbull_pipelines.assets.checking import check_specs
from setbull_pipelines.assets.common import (
    WHOLE_RANGE,
    asset_key,
    asset_spec,
    days_of,
)
from setbull_pipelines.assets.lane import Lane
from setbull_pipelines.pipeline import metrics
from setbull_pipelines.pipeline.engine import PartitionResult
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.resources import WarehouseResource

GROUP = "operations"


def _figures(used: metrics.CacheUse) -> dict[str, object]:
    figures = {"partitions": used.asked, "partitions up to date": used.up_to_date}
    if used.hit_rate is not None:
        figures["share up to date"] = round(used.hit_rate, 4)
    return figures | {f"partitions computed, {why}": n for why, n in sorted(used.computed.items())}


def build_metrics_asset(
    settings: Settings, sessions: dg.StaticPartitionsDefinition
) -> dg.AssetsDefinition:
    """Comes after everything it tells about."""

    @dg.multi_asset(
        name="processing_metrics",
        specs=[
            asset_spec(
                stored,
                group=GROUP,
                code_version=metrics.metrics_code_version(),
                deps=[asset_key(measured) for measured in metrics.MEASURED],
            )
            for stored in metrics.OUTPUTS
        ],
        check_specs=check_specs(metrics.OUTPUTS),
        partitions_def=sessions,
        backfill_policy=WHOLE_RANGE,
        can_subset=True,
    )
    def processing_metrics(context: dg.AssetExecutionContext, warehouse: WarehouseResource):
        store = warehouse.open()
        lane = Lane(context, store, settings)
        used = metrics.CacheUse()

        def describe(result: PartitionResult, stored: StoredTable) -> dict[str, object]:
            nonlocal used
            rows = store.read(metrics.METRICS, [result.day.isoformat()])
            if stored == metrics.METRICS:
                used += metrics.cache_use(rows)
            described = {
                **_figures(metrics.cache_use(rows)),
                "instruments failed": int(rows["errors"].sum()),
                "served from V1 because V2 has no row": int(rows["fallbacks"].sum()),
                "peak memory [bytes]": int(rows["peak_memory"].max()),
            }
            return described | {
                f"seconds {lane}": round(
                    float(rows.loc[rows["variant"] == lane, "seconds"].sum()), 3
                )
                for lane in metrics.VARIANTS
            }

        if context.selected_asset_keys:
            days = days_of(context, store, settings)
            for reported in lane.part(
                metrics.OUTPUTS,
                lambda: metrics.collect(days, store, context.run_id),
                describe=describe,
            ):
                yield reported._replace(metadata={**reported.metadata, **_figures(used)})
        yield from lane.end()

    return processing_metrics
