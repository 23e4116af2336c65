"""What assets report to Dagster of the days that they publish."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest

from setbull_pipelines import tables
from setbull_pipelines.assets.common import asset_key, report
from setbull_pipelines.pipeline.engine import PartitionResult
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines_tests.pipeline.small_run import SmallRun

CANDLES = StoredTable("v2", tables.CANDLES_5MIN)
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@pytest.mark.parametrize("fails", [False, True])
def test_a_day_that_came_along_is_told_as_one_of_the_run(small_run: SmallRun, fails: bool) -> None:
    came_along, asked = small_run.days
    partitions = dg.StaticPartitionsDefinition([str(day) for day in small_run.days])

    @dg.asset(key=asset_key(CANDLES), partitions_def=partitions)
    def candles(context):
        def results() -> Iterator[PartitionResult]:
            for day in small_run.days:
                if fails and day == asked:
                    raise ValueError("the minutes are upside down")
                pointer = small_run.warehouse.pointer(CANDLES, str(day))
                yield PartitionResult(day, {CANDLES.table.name: pointer}, cached=False)

        yield from report(context, [CANDLES], results(), small_run.warehouse)

    with dg.DagsterInstance.ephemeral() as instance:
        run_id = dg.materialize(
            [candles],
            instance=instance,
            partition_key=str(asked),
            run_config=QUIET,
            raise_on_error=False,
        ).run_id
        stored = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
        told = {event.asset_materialization.partition: event for event in stored}
        assert set(told) == {str(came_along)} | (set() if fails else {str(asked)})
        besides = told[str(came_along)]
        assert besides.step_key == "v2__candles_5min"
        rows = small_run.warehouse.pointer(CANDLES, str(came_along)).rows
        assert besides.asset_materialization.metadata["dagster/partition_row_count"].value == rows
