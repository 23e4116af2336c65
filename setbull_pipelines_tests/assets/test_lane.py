"""What a lane reports to Dagster of the days that it publishes, and that one failed table stops no other."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest

from setbull_pipelines import tables
from setbull_pipelines.assets.common import asset_key
from setbull_pipelines.assets.lane import Lane
from setbull_pipelines.automation.noticing import failure_of
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

        lane = Lane(context, small_run.warehouse, small_run.settings)
        yield from lane.part([CANDLES], results)
        yield from lane.end()

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


def test_one_failed_table_stops_those_that_need_it_and_no_other(small_run: SmallRun) -> None:
    broken, needing, other = (
        StoredTable("v2", table)
        for table in (tables.CANDLES_5MIN, tables.INDICATORS_5MIN, tables.CANDLES_DAILY)
    )
    day = small_run.days[0]

    def results(stored: StoredTable) -> Iterator[PartitionResult]:
        if stored == broken:
            raise MemoryError("32 GiB asked for")
        yield PartitionResult(
            day, {stored.table.name: small_run.warehouse.pointer(stored, str(day))}, cached=False
        )

    @dg.multi_asset(
        specs=[dg.AssetSpec(asset_key(stored)) for stored in (broken, needing, other)],
        partitions_def=dg.StaticPartitionsDefinition([str(day)]),
        can_subset=True,
    )
    def tables_of_v2(context):
        lane = Lane(context, small_run.warehouse, small_run.settings)
        yield from lane.part([broken], lambda: results(broken))
        yield from lane.part([needing], lambda: results(needing), needs=[broken])
        yield from lane.part([other], lambda: results(other))
        yield from lane.end()

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [tables_of_v2],
            instance=instance,
            partition_key=str(day),
            run_config=QUIET,
            raise_on_error=False,
        )
        assert not result.success
        assert failure_of(result.all_events) == (
            "step tables_of_v2 failed: v2.candles_5min: MemoryError: 32 GiB asked for; 1 table that needs it was left "
            "out"
        )
        made = [event.asset_key for event in result.get_asset_materialization_events()]
        assert made == [asset_key(other)]


def test_a_selected_table_that_is_forgotten_is_an_error(small_run: SmallRun) -> None:
    @dg.multi_asset(specs=[dg.AssetSpec(asset_key(CANDLES))], can_subset=True)
    def forgetful(context):
        yield from Lane(context, small_run.warehouse, small_run.settings).end()

    result = dg.materialize([forgetful], run_config=QUIET, raise_on_error=False)
    assert not result.success
    assert "selected and not made" in failure_of(result.all_events)
