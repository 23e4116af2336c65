"""Assets of the stock groups and of the plan made of them.

Belongs here: their definitions and metadata. Does not belong here: reading and judging groups (``sources/``), planning
(``groups/``, ``pipeline/group_plans.py``).
"""

import dagster as dg

from setbull_pipelines import tables
from setbull_pipelines.assets.checking import check_specs
from setbull_pipelines.assets.common import (
    WHOLE_RANGE,
    asset_key,
    asset_spec,
    days_of,
)
from setbull_pipelines.assets.describing import plan_description
from setbull_pipelines.assets.lane import Lane, report_whole
from setbull_pipelines.pictures.preview import preview
from setbull_pipelines.pipeline import group_plans
from setbull_pipelines.pipeline.engine import PartitionResult
from setbull_pipelines.pipeline.serving import served_table
from setbull_pipelines.quality.groups import GROUPS, PLAN, REFUSED
from setbull_pipelines.settings import Settings
from setbull_pipelines.sources.raw_rows import UnreadableFile
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.resources import WarehouseResource

_SHOWN = 50
_COLUMNS_SHOWN = [
    "group_id",
    "instrument_key",
    "direction",
    "entry_price",
    "stop_price",
    "quantity",
    "reason",
]


def build_group_assets(
    settings: Settings, sessions: dg.StaticPartitionsDefinition
) -> list[dg.AssetsDefinition]:
    """The groups in force with their refused rows (unpartitioned), and the plan of each trading day."""
    version = group_plans.groups_code_version()

    @dg.multi_asset(
        name="stock_groups",
        specs=[
            asset_spec(stored, group="raw", code_version=version) for stored in (GROUPS, REFUSED)
        ],
        check_specs=check_specs((GROUPS, REFUSED)),
        can_subset=True,
    )
    def stock_groups(context: dg.AssetExecutionContext, warehouse: WarehouseResource):
        """Read the file that ``groups.file`` names; its bad rows are kept beside the good ones."""
        store = warehouse.open()
        lane = Lane(context, store, settings)
        if context.selected_asset_keys:
            try:
                pointers = group_plans.publish_groups(store, settings, context.run_id)
            except UnreadableFile as error:
                raise dg.Failure(str(error), allow_retries=False) from None
            report_whole(context, (GROUPS, REFUSED), pointers)
            for stored in filter(lane.is_selected, (GROUPS, REFUSED)):
                yield lane.materialized(stored, pointers[stored.table.name])
        yield from lane.end()

    @dg.multi_asset(
        name="group_execution_plan",
        specs=[
            asset_spec(
                PLAN,
                group="served",
                code_version=version,
                description=plan_description(PLAN),
                deps=[
                    asset_key(GROUPS),
                    asset_key(StoredTable("raw", tables.CORPORATE_ACTIONS)),
                    *(asset_key(served_table(table)) for table in group_plans.READ),
                ],
            )
        ],
        check_specs=check_specs([PLAN]),
        partitions_def=sessions,
        backfill_policy=WHOLE_RANGE,
        can_subset=True,
    )
    def group_execution_plan(context: dg.AssetExecutionContext, warehouse: WarehouseResource):
        store = warehouse.open()

        def describe(result: PartitionResult, stored: StoredTable) -> dict[str, object]:
            plan = store.read(PLAN, [result.day.isoformat()])
            return {
                "groups": int(plan["group_id"].nunique()),
                "instruments": len(plan),
                "planned": int(plan["is_planned"].sum()),
                "plan": dg.MetadataValue.md(preview(plan.head(_SHOWN), PLAN.table, _COLUMNS_SHOWN)),
            }

        lane = Lane(context, store, settings)
        if context.selected_asset_keys:
            days = days_of(context, store, settings)
            yield from lane.part(
                [PLAN],
                lambda: group_plans.plan_days(days, store, settings, context.run_id),
                describe=describe,
            )
        yield from lane.end()

    return [stock_groups, group_execution_plan]
