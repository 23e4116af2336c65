"""The checks of one table in Dagster, run over days of a small run, and what Dagster stored of them.

Belongs here: running checks and reading their evaluations. Does not belong here: assertions about what they found.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from types import MappingProxyType

import dagster as dg

from setbull_pipelines import tables
from setbull_pipelines.assets import checking
from setbull_pipelines.assets.checking import check_results, check_specs
from setbull_pipelines.assets.common import asset_key, needs_warehouse
from setbull_pipelines.assets.partitions import trading_days
from setbull_pipelines.cli.run import of_whole_run
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.resources import WarehouseResource

CANDLES_5MIN = StoredTable("v1", tables.CANDLES_5MIN)
OHLC = dg.AssetCheckKey(asset_key(CANDLES_5MIN), "ohlc")
RANGE_START, RANGE_END = (
    "dagster/asset_partition_range_start",
    "dagster/asset_partition_range_end",
)


def lane_of(
    table: StoredTable, settings: Settings, along: Mapping[str, Collection[date]]
) -> dg.AssetsDefinition:
    """A lane that finds its only table stored, and judges it."""

    @dg.multi_asset(
        name="lane",
        specs=[dg.AssetSpec(asset_key(table))],
        can_subset=True,
        check_specs=check_specs([table]),
        partitions_def=trading_days(settings),
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def lane(context, warehouse: WarehouseResource):
        if context.selected_asset_keys:
            yield dg.MaterializeResult(asset_key(table))
        yield from check_results(context, warehouse.open(), settings, along=along)

    return lane


class Judge:
    """Runs the checks of one table, and remembers what Dagster stored."""

    def __init__(
        self,
        settings: Settings,
        table: StoredTable = CANDLES_5MIN,
        along: Mapping[str, Collection[date]] = MappingProxyType({}),
    ) -> None:
        self.instance = dg.DagsterInstance.ephemeral()
        self._definitions = dg.Definitions(
            assets=[lane_of(table, settings, along)],
            jobs=[dg.define_asset_job("judge", selection=dg.AssetSelection.all())],
            resources=needs_warehouse(settings),
            executor=dg.in_process_executor,
        )

    def over(self, days: Sequence[date]) -> dict[str, dg.AssetCheckEvaluation]:
        """Run the checks over ``days`` and return the evaluations of the run itself, by check."""
        job = self._definitions.resolve_job_def("judge")
        if len(days) == 1:
            result = job.execute_in_process(
                instance=self.instance, partition_key=days[0].isoformat()
            )
        else:
            tags = {RANGE_START: days[0].isoformat(), RANGE_END: days[-1].isoformat()}
            result = job.execute_in_process(instance=self.instance, tags=tags)
        assert result.success
        evaluations = of_whole_run(result.get_asset_check_evaluations())
        return {check.check_name: check for check in evaluations}

    def alone(self) -> dict[str, dg.AssetCheckEvaluation]:
        """Run the checks without the asset, for no day."""
        job = self._definitions.resolve_implicit_global_asset_job_def()
        checks = set(job.asset_layer.asset_graph.asset_check_keys)
        result = job.get_subset(asset_selection=set(), asset_check_selection=checks)
        result = result.execute_in_process(instance=self.instance)
        assert result.success
        return {check.check_name: check for check in result.get_asset_check_evaluations()}

    def stored(self, check: dg.AssetCheckKey = OHLC) -> list[tuple[str | None, bool]]:
        """What this instance has stored of a check."""
        return stored_evaluations(self.instance, check)


def stored_evaluations(
    instance: dg.DagsterInstance, check: dg.AssetCheckKey
) -> list[tuple[str | None, bool]]:
    """Partition and outcome of every stored evaluation of a check, the oldest first."""
    records = instance.event_log_storage.get_asset_check_execution_history(check, 100)
    evaluations = [
        record.event.dagster_event.event_specific_data
        for record in records
        if record.event is not None and record.event.dagster_event is not None
    ]
    return [
        (evaluation.partition, evaluation.passed)
        for evaluation in reversed(evaluations)
        if isinstance(evaluation, dg.AssetCheckEvaluation)
    ]


def by_day(evaluation: dg.AssetCheckEvaluation) -> dict[str, dict]:
    """What the result of a run says of each of its days."""
    return evaluation.metadata[checking.BY_DAY].value
