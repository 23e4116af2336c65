"""The lane of the served tables, which readers use.

Belongs here: its definition and metadata. Does not belong here: which variant serves an instrument
(``rollout/``), picking rows (``pipeline/assignment.py``).
"""

from collections.abc import Iterable, Iterator
from functools import partial

import dagster as dg

from setbull_pipelines import tables
from setbull_pipelines.assets.checking import check_specs
from setbull_pipelines.assets.common import (
    WHOLE_RANGE,
    asset_key,
    asset_spec,
    completeness_of,
    days_of,
    freshness,
)
from setbull_pipelines.assets.describing import served_description
from setbull_pipelines.assets.lane import SERVED, Describe, Lane, unless_ended
from setbull_pipelines.pipeline import serving, serving_days, stage_decisions
from setbull_pipelines.pipeline.engine import PartitionResult
from setbull_pipelines.pipeline.lanes import COMPONENT_OF
from setbull_pipelines.pipeline.rollout_log import read_log
from setbull_pipelines.quality.rollout_log import LOG
from setbull_pipelines.reporting.content import markdown_funnel
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables import Table
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.resources import WarehouseResource
from setbull_pipelines.warehouse.store import Warehouse

GROUP = "served"


def build_served_asset(
    settings: Settings, sessions: dg.StaticPartitionsDefinition
) -> dg.AssetsDefinition:
    """One asset per served table."""
    of_table = [(table, serving.served_table(table)) for table in serving.TABLES]

    @dg.multi_asset(
        name=SERVED,
        specs=[
            asset_spec(
                stored,
                group=GROUP,
                code_version=serving.serving_code_version(),
                deps=[
                    *(asset_key(StoredTable(lane, table)) for lane in ("v1", "v2")),
                    asset_key(LOG),
                ],
                tags={"setbull/component": COMPONENT_OF[table.name].label},
                description=served_description(stored, COMPONENT_OF[table.name].label),
                freshness_policy=freshness(settings),
            )
            for table, stored in of_table
        ],
        check_specs=check_specs(stored for _, stored in of_table),
        partitions_def=sessions,
        backfill_policy=WHOLE_RANGE,
        can_subset=True,
    )
    def serve(context: dg.AssetExecutionContext, warehouse: WarehouseResource):
        store = warehouse.open()
        lane = Lane(context, store, settings)
        if context.selected_asset_keys:
            days, log = days_of(context, store, settings), read_log(store)
            asked = {
                table: stage_decisions.serving_of(table, log, store, settings.rollout)
                for table, stored in of_table
                if lane.is_selected(stored)
            }
            failed: dict[Table, Exception] = {}
            made: dict[str, list[PartitionResult]] = {table.name: [] for table in asked}
            results = serving_days.serve(asked, days, store, context.run_id, failed)
            for result in unless_ended(results, context):
                for name in result.pointers:
                    made[name].append(result)
            for table in asked:
                yield from lane.part(
                    [serving.served_table(table)],
                    partial(_results, made[table.name], failed.get(table)),
                    describe=_describe(table, asked[table].assignment, store, settings),
                )
        yield from lane.end()

    return serve


def _results(made: Iterable[PartitionResult], error: Exception | None) -> Iterator[PartitionResult]:
    """What was made of a table, then the error that stopped it."""
    yield from made
    if error is not None:
        raise error


def _describe(
    table: Table, assignment: serving.Assignment, store: Warehouse, settings: Settings
) -> Describe:
    def describe(result: PartitionResult, stored: StoredTable) -> dict[str, object]:
        day = serving.served_day(table, result.day, store)
        pointer = result.pointers[stored.table.name]
        figures = {
            "stage": assignment.stage.label,
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

    return describe
