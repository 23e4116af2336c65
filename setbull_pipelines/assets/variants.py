"""The lanes of the computed tables: V1 and V2, each one step of a run over a range of days.

Belongs here: their definitions. Does not belong here: what a step reads and calls (``pipeline/steps.py``), which
earlier sessions it needs (``pipeline/look_back.py``).
"""

from collections.abc import Iterator

import dagster as dg

from setbull_pipelines import tables
from setbull_pipelines.assets import raw
from setbull_pipelines.assets.checking import check_specs
from setbull_pipelines.assets.common import (
    WHOLE_RANGE,
    as_of,
    asset_key,
    asset_spec,
    days_of,
)
from setbull_pipelines.assets.describing import computed_description
from setbull_pipelines.assets.lane import Lane
from setbull_pipelines.pipeline.engine import StepRun
from setbull_pipelines.pipeline.look_back import needs_of
from setbull_pipelines.pipeline.references import REFERENCES, references_of
from setbull_pipelines.pipeline.stage_decisions import stages_in_force
from setbull_pipelines.pipeline.steps import STEPS, Step
from setbull_pipelines.pipeline.versions import variant_code_version
from setbull_pipelines.settings import Settings
from setbull_pipelines.variants import V1, V2, Variant
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.resources import WarehouseResource

VARIANTS: dict[str, Variant] = {variant.name: variant for variant in (V1, V2)}
KINDS = {"v1": {"pandas"}, "v2": {"numpy"}}
COVERAGE = StoredTable("raw", tables.COVERAGE)


def build_lane(
    variant: str, settings: Settings, sessions: dg.StaticPartitionsDefinition
) -> dg.AssetsDefinition:
    """All computed tables of one variant. No table of one variant waits for one of the other."""
    outputs = {step.name: [StoredTable(variant, table) for table in step.outputs] for step in STEPS}

    @dg.multi_asset(
        name=variant,
        specs=[
            asset_spec(
                stored,
                group=step.group,
                code_version=variant_code_version(variant),
                deps=_dependencies(step, variant),
                tags={"setbull/variant": variant},
                kinds=KINDS[variant],
                description=computed_description(stored, step, settings),
            )
            for step in STEPS
            for stored in outputs[step.name]
        ],
        check_specs=check_specs(stored for step in STEPS for stored in outputs[step.name]),
        partitions_def=sessions,
        backfill_policy=WHOLE_RANGE,
        can_subset=True,
    )
    def compute(context: dg.AssetExecutionContext, warehouse: WarehouseResource):
        lane = Lane(context, warehouse.open(), settings)
        chosen = [step for step in STEPS if any(map(lane.is_selected, outputs[step.name]))]
        if chosen:
            yield from _computed(lane, variant, chosen, settings)
        yield from lane.end()

    return compute


def _dependencies(step: Step, variant: str) -> list[dg.AssetKey]:
    # The partition of the day; earlier sessions of the look-back are brought up by the lane.
    dependencies = [
        asset_key(StoredTable("raw" if item.is_raw else variant, item.table))
        for item in step.inputs
    ]
    if step.needs_history_starts:
        dependencies.append(asset_key(COVERAGE))
    if step.is_adjusted:
        dependencies += [asset_key(StoredTable("raw", table)) for table in REFERENCES]
    return dependencies


def _computed(
    lane: Lane, variant: str, chosen: list[Step], settings: Settings
) -> Iterator[dg.MaterializeResult]:
    """The chosen steps over the days of the run, after what they look back at."""
    context, store = lane.context, lane.warehouse
    days, moment = days_of(context, store, settings), as_of(context)
    raw.bring_up_intake(lane, settings)
    stages = stages_in_force(store, settings.rollout)
    needs = needs_of([(variant, chosen)], days, stages, settings, references_of(store))
    raw.bring_up_days(lane, needs.raw, settings)
    for work in needs.works:
        run = StepRun(
            work.step, VARIANTS[work.variant], store, settings, context.run_id, stages, moment
        )
        yield from lane.part(
            run.outputs,
            lambda run=run, work=work: run.over(work.days),
            needs=run.inputs,
            look_back=work.days,
        )


def build_variant_assets(
    settings: Settings, sessions: dg.StaticPartitionsDefinition
) -> list[dg.AssetsDefinition]:
    """Both lanes."""
    return [build_lane(variant, settings, sessions) for variant in VARIANTS]
