"""The lane that compares V1 and V2 of every computed table, and collects the verdicts of a day.

Belongs here: its definition and metadata. Does not belong here: comparing (``reconciliation/``), publishing what was
found (``pipeline/comparing_days.py``).
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
from setbull_pipelines.assets.lane import RECONCILIATION, Describe, Lane
from setbull_pipelines.pipeline import comparing_days
from setbull_pipelines.pipeline.addresses import divergence_address
from setbull_pipelines.pipeline.drilling_down import drilled
from setbull_pipelines.pipeline.engine import PartitionResult
from setbull_pipelines.pipeline.steps import STEPS
from setbull_pipelines.pipeline.versions import code_version
from setbull_pipelines.reconciliation.report import (
    divergence_hint,
    markdown_report,
    markdown_summary,
)
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables import Table
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.resources import WarehouseResource
from setbull_pipelines.warehouse.store import Warehouse

GROUP = "reconciliation"
_GROUP_OF = {table.name: step.group for step in STEPS for table in step.outputs}


def build_reconciliation_asset(
    settings: Settings, sessions: dg.StaticPartitionsDefinition
) -> dg.AssetsDefinition:
    """One asset per computed table, and the summary of all of them."""
    compared = [(table, comparing_days.outputs_of(table)[0]) for table in tables.COMPUTED_TABLES]
    outputs = [*(stored for _, stored in compared), comparing_days.SUMMARY]

    @dg.multi_asset(
        name=RECONCILIATION,
        specs=[
            *(
                asset_spec(
                    stored,
                    group=GROUP,
                    code_version=comparing_days.reconciling_code_version(),
                    deps=[asset_key(StoredTable(schema, table)) for schema in ("v1", "v2")],
                    tags={"setbull/reconciles": _GROUP_OF[table.name]},
                    kinds={"duckdb"},
                    description=_description(table),
                )
                for table, stored in compared
            ),
            asset_spec(
                comparing_days.SUMMARY,
                group=GROUP,
                code_version=code_version("tables", "pipeline/comparing_days.py"),
                deps=[asset_key(stored) for _, stored in compared],
                kinds={"duckdb"},
            ),
        ],
        check_specs=check_specs(outputs),
        partitions_def=sessions,
        backfill_policy=WHOLE_RANGE,
        can_subset=True,
    )
    def reconcile(context: dg.AssetExecutionContext, warehouse: WarehouseResource):
        store = warehouse.open()
        lane = Lane(context, store, settings)
        given = store, settings, context.run_id
        if context.selected_asset_keys:
            days = days_of(context, store, settings)
            for table, stored in compared:
                if lane.is_selected(stored):
                    yield from lane.part(
                        [stored],
                        lambda table=table: comparing_days.reconcile(table, days, *given),
                        describe=_findings(table, store, settings),
                    )
            if lane.is_selected(comparing_days.SUMMARY):
                yield from lane.part(
                    [comparing_days.SUMMARY],
                    lambda: comparing_days.summarize(days, *given),
                    needs=[stored for _, stored in compared],
                    describe=_verdicts(store),
                )
        yield from lane.end()

    return reconcile


def _description(table: Table) -> str:
    columns, cells, verdict = comparing_days.outputs_of(table)
    causes = comparing_days.explanations_of(table)[0]
    return (
        f"{columns.table.description} The differing cells are in {cells.name}, the verdict in "
        f"{verdict.name}, the likely causes in {causes.name}; days that differ also have "
        f"{', '.join(stored.name for stored in drilled(table))}."
    )


def _findings(table: Table, store: Warehouse, settings: Settings) -> Describe:
    """What was found on a day, as a report."""
    has_pictures = False

    def describe(result: PartitionResult, stored: StoredTable) -> dict[str, object]:
        nonlocal has_pictures
        findings = comparing_days.read_findings(table, result.day, store)
        # Days are in order, and a fault shows itself on its first day; Dagster keeps every picture
        # for ever, so that the others are drawn when somebody asks.
        draw = not has_pictures and not findings.cells.empty
        has_pictures = has_pictures or draw
        text = markdown_report(findings, with_pictures=draw)
        if not findings.cells.empty:
            text += f"\n\n{divergence_hint(table.name, result.day)}"
        told = {"V1 against V2": dg.MetadataValue.md(text)}
        address = divergence_address(settings.api, table.name, result.day)
        if address and not findings.cells.empty:
            told["divergence page"] = dg.MetadataValue.url(address)
        return told

    return describe


def _verdicts(store: Warehouse) -> Describe:
    def describe(result: PartitionResult, stored: StoredTable) -> dict[str, object]:
        verdicts = store.read(comparing_days.SUMMARY, [result.day.isoformat()])
        return {"verdicts": dg.MetadataValue.md(markdown_summary(verdicts))}

    return describe
