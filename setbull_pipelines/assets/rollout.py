"""The asset that judges the rollout: one evaluation per component and trading day.

Belongs here: its definition and metadata. Does not belong here: gathering
evidence (``pipeline/evidence.py``), deciding (``rollout/``).
"""

import datetime

import dagster as dg

from setbull_pipelines.assets.checking import check_specs
from setbull_pipelines.assets.common import (
    DAILY_JOB_NAME,
    WHOLE_RANGE,
    asset_key,
    asset_spec,
    days_of,
    sessions_of,
)
from setbull_pipelines.assets.lane import JUDGEMENT, Lane
from setbull_pipelines.pictures.decisions import rollout_chart
from setbull_pipelines.pictures.drawing import image
from setbull_pipelines.pipeline import stage_decisions
from setbull_pipelines.pipeline.comparing_days import SUMMARY
from setbull_pipelines.pipeline.opening import now
from setbull_pipelines.pipeline.rollout_log import rolling_out_code_version
from setbull_pipelines.quality.rollout_log import LOG
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables import COMPUTED_TABLES
from setbull_pipelines.variants import V1
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.resources import WarehouseResource

_ASKED_AGAIN_FOR = datetime.timedelta(days=2)
"""A session that could not be made for so long is waited for no longer: every tick of two evenings has asked for it."""
_LOOKED_BACK = datetime.timedelta(days=30)
_NOT_ENDED_WELL = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.FAILURE,
]


def build_rollout_log_asset(
    settings: Settings, sessions: dg.StaticPartitionsDefinition
) -> dg.AssetsDefinition:
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
    )

    @dg.multi_asset(
        name=JUDGEMENT,
        specs=[spec],
        check_specs=check_specs([LOG]),
        partitions_def=sessions,
        backfill_policy=WHOLE_RANGE,
        can_subset=True,
    )
    def rollout_log(context: dg.AssetExecutionContext, warehouse: WarehouseResource):
        store = warehouse.open()
        lane = Lane(context, store, settings)
        if context.selected_asset_keys:
            yield _judged(lane, settings)
        yield from lane.end()

    return rollout_log


def sessions_asked_for(
    instance: dg.DagsterInstance, own_run_id: str, moment: datetime.datetime
) -> set[datetime.date]:
    """Sessions with another daily run that is under way or has failed, and which were asked for first a short time ago.

    A failed run can have done all its work, as one that finds that V2 differs has: the rollout log knows better.
    """
    runs = instance.get_run_records(
        dg.RunsFilter(
            job_name=DAILY_JOB_NAME,
            statuses=_NOT_ENDED_WELL,
            created_after=(moment - _LOOKED_BACK).astimezone(datetime.UTC),
        )
    )
    first_asked: dict[datetime.date, datetime.datetime] = {}
    for record in runs:
        if record.dagster_run.run_id == own_run_id:
            continue
        for day in sessions_of(record.dagster_run.tags):
            asked = record.create_timestamp.astimezone(datetime.UTC)
            first_asked[day] = min(asked, first_asked.get(day, asked))
    return {day for day, asked in first_asked.items() if moment - asked <= _ASKED_AGAIN_FOR}


def _judged(lane: Lane, settings: Settings) -> dg.MaterializeResult:
    """Evaluate the days of the run, and complete V1 where a breach calls for all of it."""
    context, store = lane.context, lane.warehouse
    days = days_of(context, store, settings)
    asked_for = sessions_asked_for(context.instance, context.run_id, now())
    rows = stage_decisions.evaluate(days, store, settings, now, context.run_id, asked_for)
    for step, completed in stage_decisions.complete_v1(rows, store, settings, context.run_id):
        lane.bring_along([StoredTable(V1.name, table) for table in step.outputs], [completed])
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
    chart = image("rollout history", rollout_chart(stage_decisions.judged(store)))
    context.add_asset_metadata(
        {"rollout history": dg.MetadataValue.md(chart)},
        asset_key=asset_key(LOG),
        partition_key=days[-1].isoformat(),
    )
    return lane.made(asset_key(LOG), {"rows appended": len(rows)})
