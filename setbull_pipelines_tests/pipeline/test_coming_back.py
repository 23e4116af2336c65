"""What was removed for want of room says so, and comes back as it was when it is asked for or needed."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from setbull_pipelines import tables
from setbull_pipelines.pipeline.comparing_days import outputs_of, reconcile
from setbull_pipelines.pipeline.metrics import cache_use_of
from setbull_pipelines.pipeline.serving import read_served, served_day
from setbull_pipelines.pipeline.steps import STEPS
from setbull_pipelines.pipeline.touched import invalidate
from setbull_pipelines.rollout.stages import Stage
from setbull_pipelines.settings import RolloutSettings
from setbull_pipelines.tables.reconciliation import NOT_COMPARABLE, PASS
from setbull_pipelines.warehouse.errors import EvictedPartition
from setbull_pipelines.warehouse.pointers import EVICTED, StoredTable
from setbull_pipelines.warehouse.queries import connect
from setbull_pipelines_tests.pipeline.carrying_out import (
    STEP,
    VARIANTS,
    carry_out,
    every_variant,
    hashes,
)
from setbull_pipelines_tests.pipeline.evictions import evict_all
from setbull_pipelines_tests.pipeline.raw_corrections import (
    DAILY,
    KEY,
    bring_up_to_date,
    change,
    contents,
    dearer,
    from_scratch,
)
from setbull_pipelines_tests.pipeline.small_run import SmallRun, served_in


def test_reading_what_was_removed_says_so_and_how_to_get_it_back(copied_run: SmallRun) -> None:
    evict_all(copied_run)
    warehouse, day = copied_run.warehouse, copied_run.days[0].isoformat()
    stored = StoredTable("v1", tables.INDICATORS_5MIN)
    pointer = warehouse.pointer(stored, day)
    assert pointer.rows > 0  # what it was stays known
    with pytest.raises(
        EvictedPartition, match=rf"v1\.indicators_5min {day}: .* --from {day} --to {day}"
    ):
        warehouse.read(stored, [day])
    assert not warehouse.verify(stored, day)
    with connect(warehouse, [stored]) as connection:  # views show what is there
        days = connection.execute("SELECT DISTINCT trading_day FROM v1.indicators_5min").fetchall()
    assert [str(found) for (found,) in days] == [copied_run.days[1].isoformat()]


_LOOKED_BACK_AT = ("candles_5min", "candles_daily", "indicators_daily", "bb_width_daily")


@every_variant
def test_asking_again_gives_the_bytes_that_were_removed(
    variant: str, small_run: SmallRun, copied_run: SmallRun
) -> None:
    evict_all(copied_run)
    day = copied_run.days[0]
    for step in STEPS:
        (result,) = carry_out(step, variant, copied_run, [day])
        assert hashes(copied_run.warehouse, step, variant, day) == hashes(
            small_run.warehouse, step, variant, day
        )
        if step.name not in _LOOKED_BACK_AT:
            assert cache_use_of([result]).computed == {EVICTED: len(step.outputs)}
            assert copied_run.warehouse.verify(StoredTable(variant, step.outputs[0]), str(day))
    assert all(result.cached for result in carry_out(STEPS[0], variant, copied_run, [day]))


@every_variant
def test_a_correction_brings_back_the_look_back_that_it_needs(
    variant: str, copied_run: SmallRun, tmp_path
) -> None:
    warehouse, sessions = (
        copied_run.warehouse,
        copied_run.looked_back_at("v1", tables.INDICATORS_DAILY),
    )
    candles = StoredTable(variant, tables.CANDLES_DAILY)
    evict_all(copied_run)
    # The first session of the look-back, of whose own window most is gone.
    change(copied_run, DAILY, sessions[0], dearer(KEY))
    bring_up_to_date(copied_run, variant)
    (back,) = warehouse.read(candles, [warehouse.partitions(candles)[0]])["trading_day"].unique()
    assert str(back)[:10] == warehouse.partitions(candles)[0]
    scratch = from_scratch(copied_run, variant, tmp_path / "scratch")
    assert contents(copied_run, variant) == contents(scratch, variant)


@every_variant
def test_one_step_alone_brings_back_what_it_reads(
    variant: str, small_run: SmallRun, copied_run: SmallRun
) -> None:
    day = copied_run.days[0]
    evict_all(copied_run)
    for name in ("moves_daily", "sequences"):
        warehouse = copied_run.warehouse
        assert not warehouse.verify(StoredTable(variant, STEP[name].outputs[0]), day.isoformat())
    (result,) = carry_out(STEP["sequence_analysis"], variant, copied_run, [day])
    assert not result.cached
    for name in ("moves_daily", "sequences", "sequence_analysis"):
        assert copied_run.warehouse.verify(
            StoredTable(variant, STEP[name].outputs[0]), day.isoformat()
        )
        assert hashes(copied_run.warehouse, STEP[name], variant, day) == hashes(
            small_run.warehouse, STEP[name], variant, day
        )


def test_what_was_served_and_compared_stays(
    copied_run: SmallRun, caplog: pytest.LogCaptureFixture
) -> None:
    warehouse, day, table = copied_run.warehouse, copied_run.days[0], tables.INDICATORS_5MIN
    served = read_served(table, [day], warehouse, RolloutSettings())
    before = served_day(table, day, warehouse)
    evict_all(copied_run)
    assert served_day(table, day, warehouse) == before
    (result,) = reconcile(table, [day], warehouse, copied_run.settings, "again")
    assert result.cached
    with caplog.at_level(logging.WARNING):
        served_in(copied_run, table, Stage.FULL, [copied_run.days[1]])
    assert f"served.indicators_5min: 1 days from {day} to {day} stay" in caplog.text
    assert read_served(table, [day], warehouse, RolloutSettings()).equals(served)
    with pytest.raises(EvictedPartition):
        read_served(table, [day], warehouse, RolloutSettings(kill=True))


def test_rows_that_are_gone_are_not_comparable_until_they_are_back(copied_run: SmallRun) -> None:
    warehouse, day, table = copied_run.warehouse, copied_run.days[0], tables.INDICATORS_5MIN
    evict_all(copied_run)
    # Another setting makes the stored verdict one that has to be made again.
    settings = replace(
        copied_run.settings,
        reconciliation=replace(copied_run.settings.reconciliation, sample_cells=3),
    )

    def verdict() -> tuple[str, str]:
        (result,) = reconcile(table, [day], warehouse, settings, "again")
        assert not result.cached
        (row,) = warehouse.read(outputs_of(table)[2], [day.isoformat()]).itertuples()
        return row.state, row.reason

    state, reason = verdict()
    assert state == NOT_COMPARABLE
    assert reason.startswith("rows of v1.indicators_5min and v2.indicators_5min were removed")
    for variant in VARIANTS:
        carry_out(STEP["indicators_5min"], variant, copied_run, [day])
    assert verdict()[0] == PASS


def test_an_instrument_can_be_invalidated_in_what_was_removed(copied_run: SmallRun) -> None:
    evict_all(copied_run)
    day = copied_run.days[0]
    marked = invalidate(copied_run.warehouse, KEY, day, day)
    assert marked.partitions["v1.indicators_5min"] == 1
    carry_out(STEP["indicators_5min"], "v1", copied_run, [day])
    pointer = copied_run.warehouse.pointer(
        StoredTable("v1", tables.INDICATORS_5MIN), day.isoformat()
    )
    assert (pointer.invalidated, pointer.evicted_at) == ((), None)
