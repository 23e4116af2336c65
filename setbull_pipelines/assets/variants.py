"""The paired-variant factory: one step gives its V1 assets, its V2 assets and their reconciliations.

Belongs here: assets of computed tables. Does not belong here: what a step reads and calls
(``pipeline/steps.py``), comparing (``reconciliation/``). A step that cannot be built stops the load.
"""

from dataclasses import dataclass

import dagster as dg

from setbull_pipelines import tables
from setbull_pipelines.assets.common import (
    TRADING_DAYS,
    WHOLE_RANGE,
    as_of,
    asset_key,
    asset_spec,
    days_of,
    report,
)
from setbull_pipelines.assets.describing import computed_description
from setbull_pipelines.pipeline import reconciling
from setbull_pipelines.pipeline.drilling_down import drilled
from setbull_pipelines.pipeline.engine import PartitionResult, StepRun
from setbull_pipelines.pipeline.lanes import possible_lanes
from setbull_pipelines.pipeline.references import REFERENCES
from setbull_pipelines.pipeline.rolling_out import stages_in_force
from setbull_pipelines.pipeline.steps import STEPS, Step
from setbull_pipelines.pipeline.versions import code_version, variant_code_version
from setbull_pipelines.reconciliation.report import (
    divergence_hint,
    markdown_report,
    markdown_summary,
)
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables import Table
from setbull_pipelines.variants import V1, V2, Variant
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.resources import WarehouseResource

VARIANTS: dict[str, Variant] = {variant.name: variant for variant in (V1, V2)}
KINDS = {"v1": {"pandas"}, "v2": {"numpy"}}
RECONCILIATION_GROUP = "reconciliation"
COVERAGE = StoredTable("raw", tables.COVERAGE)


@dataclass(frozen=True)
class PairedVariants:
    """Everything that one step contributes to the graph."""

    v1: dg.AssetsDefinition
    v2: dg.AssetsDefinition
    reconciliations: tuple[dg.AssetsDefinition, ...]

    @property
    def assets(self) -> list[dg.AssetsDefinition]:
        """All of them."""
        return [self.v1, self.v2, *self.reconciliations]


def _dependencies(step: Step, variant: str, settings: Settings) -> list[dg.AssetKey]:
    # The partition of the day; earlier sessions of the look-back are required by the engine.
    return [
        asset_key(StoredTable(schema, item.table))
        for item in step.inputs
        for schema in (
            ("raw",)
            if item.is_raw
            else possible_lanes(
                item.table, step.outputs[0], variant, looks_back=item.look_back(settings) > 0
            )
        )
    ]


def build_variant(step: Step, variant: str, settings: Settings) -> dg.AssetsDefinition:
    """The assets of one step in one variant."""
    outputs = [StoredTable(variant, table) for table in step.outputs]
    dependencies = _dependencies(step, variant, settings)
    if step.needs_history_starts:
        dependencies.append(asset_key(COVERAGE))
    if step.is_adjusted:
        dependencies += [asset_key(StoredTable("raw", table)) for table in REFERENCES]

    @dg.multi_asset(
        name=f"{variant}__{step.name}",
        specs=[
            asset_spec(
                stored,
                group=step.group,
                code_version=variant_code_version(variant),
                deps=dependencies,
                tags={"setbull/variant": variant},
                kinds=KINDS[variant],
                description=computed_description(stored, step, settings),
            )
            for stored in outputs
        ],
        partitions_def=TRADING_DAYS,
        backfill_policy=WHOLE_RANGE,
    )
    def compute(context: dg.AssetExecutionContext, warehouse: WarehouseResource):
        store = warehouse.open()
        stages = stages_in_force(store, settings.rollout)
        moment = as_of(context)
        run = StepRun(step, VARIANTS[variant], store, settings, context.run_id, stages, moment)
        yield from report(context, outputs, run.over(days_of(context, store, settings)), store)

    return compute


def build_reconciliation(table: Table, group: str, settings: Settings) -> dg.AssetsDefinition:
    """The asset that compares V1 and V2 of ``table``."""
    outputs = reconciling.outputs_of(table)
    columns, cells, verdict = outputs
    causes = reconciling.explanations_of(table)[0]
    description = (
        f"{columns.table.description} The differing cells are in {cells.name}, the verdict in "
        f"{verdict.name}, the likely causes in {causes.name}; days that differ also have "
        f"{', '.join(stored.name for stored in drilled(table))}."
    )

    @dg.multi_asset(
        name=f"reconciliation__{table.name}",
        specs=[
            asset_spec(
                columns,
                group=RECONCILIATION_GROUP,
                code_version=reconciling.reconciling_code_version(),
                deps=[asset_key(StoredTable(schema, table)) for schema in ("v1", "v2")],
                tags={"setbull/reconciles": group},
                kinds={"duckdb"},
                description=description,
            )
        ],
        partitions_def=TRADING_DAYS,
        backfill_policy=WHOLE_RANGE,
    )
    def reconcile(context: dg.AssetExecutionContext, warehouse: WarehouseResource):
        store = warehouse.open()
        has_pictures = False

        def describe(result: PartitionResult, stored: StoredTable) -> dict[str, object]:
            nonlocal has_pictures
            findings = reconciling.read_findings(table, result.day, store)
            # Days are in order, and a fault shows itself on its first day; Dagster keeps every picture
            # for ever, so that the others are drawn when somebody asks.
            draw = not has_pictures and not findings.cells.empty
            has_pictures = has_pictures or draw
            text = markdown_report(findings, with_pictures=draw)
            if not findings.cells.empty:
                text += f"\n\n{divergence_hint(table.name, result.day)}"
            return {"V1 against V2": dg.MetadataValue.md(text)}

        results = reconciling.reconcile(
            table, days_of(context, store, settings), store, settings, context.run_id
        )
        yield from report(context, [columns], results, store, describe)

    return reconcile


def build_pair(step: Step, settings: Settings) -> PairedVariants:
    """V1, V2 and the reconciliations of one step."""
    return PairedVariants(
        build_variant(step, "v1", settings),
        build_variant(step, "v2", settings),
        tuple(build_reconciliation(table, step.group, settings) for table in step.outputs),
    )


def build_summary(settings: Settings) -> dg.AssetsDefinition:
    """The asset that collects all verdicts of a day."""

    @dg.multi_asset(
        name="reconciliation__summary",
        specs=[
            asset_spec(
                reconciling.SUMMARY,
                group=RECONCILIATION_GROUP,
                code_version=code_version("tables", "pipeline/reconciling.py"),
                deps=[
                    asset_key(reconciling.outputs_of(table)[0]) for table in tables.COMPUTED_TABLES
                ],
                kinds={"duckdb"},
            )
        ],
        partitions_def=TRADING_DAYS,
        backfill_policy=WHOLE_RANGE,
    )
    def summary(context: dg.AssetExecutionContext, warehouse: WarehouseResource):
        store = warehouse.open()

        def describe(result: PartitionResult, stored: StoredTable) -> dict[str, object]:
            verdicts = store.read(reconciling.SUMMARY, [result.day.isoformat()])
            return {"verdicts": dg.MetadataValue.md(markdown_summary(verdicts))}

        results = reconciling.summarize(
            days_of(context, store, settings), store, settings, context.run_id
        )
        yield from report(context, [reconciling.SUMMARY], results, store, describe)

    return summary


def build_variant_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """All computed tables, in both variants, and all reconciliations."""
    pairs = [build_pair(step, settings) for step in STEPS]
    return [asset for pair in pairs for asset in pair.assets] + [build_summary(settings)]
