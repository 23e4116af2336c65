"""The engine where V1 is cut back: sample or nothing, from the right lane, and whole again afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from types import SimpleNamespace

import pandas as pd
import pytest

from setbull_pipelines import tables, variants
from setbull_pipelines.pipeline.engine import PartitionResult, StepRun
from setbull_pipelines.pipeline.lanes import COMPONENT_OF, MARK, part_in
from setbull_pipelines.pipeline.steps import STEPS, Step
from setbull_pipelines.rollout.stages import Component, Stage
from setbull_pipelines.settings import RolloutSettings
from setbull_pipelines.tables import Table
from setbull_pipelines.warehouse.errors import MissingPartition
from setbull_pipelines.warehouse.pointers import Failure, Pointer, StoredTable
from setbull_pipelines_tests.pipeline.small_run import (
    IN_FULL,
    PROVENANCE,
    SmallRun,
    forget,
    publish,
)

STEP = {step.name: step for step in STEPS}
every_step = pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
SAMPLED = dict.fromkeys(Component, Stage.SAMPLED)
RETIRED = dict.fromkeys(Component, Stage.RETIRED)
HALF = RolloutSettings(sample_percentage=50)


def carry_out(
    step: Step,
    run: SmallRun,
    days: Sequence[date],
    stages: Mapping[Component, Stage],
    variant: object = variants.V1,
    rollout: RolloutSettings = HALF,
) -> list[PartitionResult]:
    settings = replace(run.settings, rollout=rollout)
    return list(StepRun(step, variant, run.warehouse, settings, "test", stages).over(days))


def stored(run: SmallRun, table: Table, day: date, lane: str = "v1") -> pd.DataFrame:
    return run.warehouse.read(StoredTable(lane, table), [day.isoformat()])


def pointer_of(run: SmallRun, table: Table, day: date, lane: str = "v1") -> Pointer:
    return run.warehouse.pointer(StoredTable(lane, table), day.isoformat())


def sample_of(table: Table, day: date, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the instruments whose turn it is."""
    return part_in(COMPONENT_OF[table.name], Stage.SAMPLED, day, HALF).rows(rows)


def forget_v1(run: SmallRun, *days: date, steps: Sequence[Step] = STEPS) -> None:
    for day in days:
        for step in steps:
            for table in step.outputs:
                forget(run.warehouse, StoredTable("v1", table), day)


def cut_back(run: SmallRun, stages: Mapping[Component, Stage], *days: date) -> None:
    """Bring V1 into the state of days that were computed in ``stages``."""
    forget_v1(run, *days)
    for step in STEPS:
        carry_out(step, run, days, stages)


def test_sampled_computes_the_rows_of_the_sample_as_a_whole_v1_has_them(
    small_run: SmallRun, copied_run: SmallRun
) -> None:
    days = copied_run.days
    cut_back(copied_run, SAMPLED, *days)
    for table in tables.COMPUTED_TABLES:
        for day in days:
            whole, found = stored(small_run, table, day), stored(copied_run, table, day)
            pd.testing.assert_frame_equal(found, sample_of(table, day, whole))
            assert 0 < found["instrument_key"].nunique() < 12
            assert MARK in pointer_of(copied_run, table, day).inputs
        assert not set(stored(copied_run, table, days[0])["instrument_key"]) & set(
            stored(copied_run, table, days[1])["instrument_key"]
        )


def test_every_instrument_is_computed_once_in_ten_sessions(copied_run: SmallRun) -> None:
    step = STEP["candles_daily"]
    days = copied_run.looked_back_at("v1", tables.CANDLES_DAILY)[-10:]
    assert len(days) == 10
    for day in days:
        forget(copied_run.warehouse, StoredTable("v1", tables.CANDLES_DAILY), day)
    carry_out(step, copied_run, days, SAMPLED, rollout=RolloutSettings())
    found = [
        key
        for day in days
        for key in stored(copied_run, tables.CANDLES_DAILY, day)["instrument_key"].unique()
    ]
    whole = stored(copied_run, tables.CANDLES_DAILY, days[-1], "v2")["instrument_key"].unique()
    assert sorted(found) == sorted(whole)
    empty = [
        pointer
        for day in days
        if not (pointer := pointer_of(copied_run, tables.CANDLES_DAILY, day)).rows
    ]
    for pointer in empty:
        assert pointer.note.startswith("no rows: V1 ran on sample ")


@every_step
def test_retired_does_not_run_v1(step: Step, copied_run: SmallRun) -> None:
    day = copied_run.days[0]
    forget_v1(copied_run, day)
    nothing = SimpleNamespace(name="v1")  # has no function that could be called
    (result,) = carry_out(step, copied_run, [day], RETIRED, nothing)
    for table in step.outputs:
        pointer = result.pointers[table.name]
        assert (pointer.rows, pointer.cost) == (0, None)
        assert pointer.note == "no rows: V1 is retired"
        assert pointer.inputs == {MARK: "none"}
        assert stored(copied_run, table, day).empty
    (again,) = carry_out(step, copied_run, [day], RETIRED, nothing)
    assert again.cached


@every_step
def test_v2_is_computed_in_full_in_every_stage(step: Step, copied_run: SmallRun) -> None:
    for stages in (SAMPLED, RETIRED, dict.fromkeys(Component, Stage.OFF)):
        results = carry_out(step, copied_run, copied_run.days, stages, variants.V2)
        assert all(result.cached for result in results)


def lanes_read(pointer: Pointer) -> set[str]:
    return {name.partition(" ")[0] for name in pointer.inputs}


FACTS = ("corporate_actions", "instrument_aliases")
"""Read by every step whose look-back is adjusted, in either lane."""


def test_v1_reads_v2_behind_a_component_that_is_cut_back(copied_run: SmallRun) -> None:
    day = copied_run.days[0]
    stages = IN_FULL | {Component.AGGREGATION: Stage.SAMPLED}
    cut_back(copied_run, stages, day)
    assert lanes_read(pointer_of(copied_run, tables.INDICATORS_DAILY, day)) == {
        *("v2.candles_daily", "history_starts", *FACTS)
    }
    assert lanes_read(pointer_of(copied_run, tables.MOVES_DAILY, day)) == {
        *("v2.candles_daily", "v1.indicators_daily", *FACTS)
    }
    assert lanes_read(pointer_of(copied_run, tables.SEQUENCES, day)) == {"v1.moves_daily"}
    assert lanes_read(pointer_of(copied_run, tables.CANDLES_DAILY, day)) == {
        *("raw.candles_1min", "raw.candles_daily_history", MARK)
    }


@every_step
def test_a_whole_v1_is_kept_while_it_is_up_to_date(step: Step, copied_run: SmallRun) -> None:
    before = [pointer_of(copied_run, table, copied_run.days[0]) for table in step.outputs]
    for stages in (SAMPLED, RETIRED):
        assert all(r.cached for r in carry_out(step, copied_run, copied_run.days, stages))
    assert [pointer_of(copied_run, table, copied_run.days[0]) for table in step.outputs] == before


def test_a_whole_v1_of_changed_inputs_is_replaced_by_the_sample(copied_run: SmallRun) -> None:
    day, table = copied_run.days[0], StoredTable("raw", tables.CANDLES_1MIN)
    minutes = copied_run.warehouse.read(table, [day.isoformat()])
    sevens = minutes.assign(volume=minutes["volume"].mul(0).add(7))
    publish(copied_run.warehouse, table, day.isoformat(), sevens)
    (result,) = carry_out(STEP["candles_5min"], copied_run, [day], SAMPLED)
    assert not result.cached
    bars = stored(copied_run, tables.CANDLES_5MIN, day)
    assert 0 < bars["instrument_key"].nunique() < 12
    assert bars["volume"].max() <= 35


@pytest.mark.parametrize("cut", [SAMPLED, RETIRED], ids=["sampled", "retired"])
@pytest.mark.parametrize("stage", [Stage.OFF, Stage.FULL])
def test_v1_in_force_again_completes_every_day_and_equals_a_v1_that_was_never_cut_back(
    cut: Mapping[Component, Stage], stage: Stage, small_run: SmallRun, copied_run: SmallRun
) -> None:
    first, second = copied_run.days
    cut_back(copied_run, cut, first, second)
    for step in STEPS:
        results = carry_out(step, copied_run, [second], dict.fromkeys(Component, stage))
        assert {result.day: result.cached for result in results} == {first: False, second: False}
        for table in step.outputs:
            for day in (first, second):
                whole = pointer_of(small_run, table, day)
                found = pointer_of(copied_run, table, day)
                assert (found.content_hash, found.inputs) == (whole.content_hash, whole.inputs)
        # Nothing is left to complete.
        assert [r.day for r in carry_out(step, copied_run, [second], IN_FULL)] == [second]


def test_what_v1_computed_from_v2_is_computed_again_when_its_own_lane_is_back(
    small_run: SmallRun, copied_run: SmallRun
) -> None:
    """Indicators ran in full all the time, but behind aggregation on a sample: from V2's candles."""
    first, second = copied_run.days
    table = tables.INDICATORS_DAILY
    wrong = stored(copied_run, tables.CANDLES_DAILY, first, "v2")
    columns = ["open", "high", "low", "close"]
    publish(
        copied_run.warehouse,
        StoredTable("v2", tables.CANDLES_DAILY),
        first.isoformat(),
        wrong.assign(**{name: wrong[name] + 1_000 for name in columns}),
    )
    cut_back(copied_run, IN_FULL | {Component.AGGREGATION: Stage.SAMPLED}, first)
    whole = pointer_of(small_run, table, first).content_hash
    assert pointer_of(copied_run, table, first).content_hash != whole
    for name in ("candles_5min", "candles_daily", "indicators_daily"):
        carry_out(STEP[name], copied_run, [second], IN_FULL)
    assert pointer_of(copied_run, table, first).content_hash == whole
    assert "v1.candles_daily" in lanes_read(pointer_of(copied_run, table, first))


def test_a_second_table_that_a_crash_left_cut_back_is_completed(
    small_run: SmallRun, copied_run: SmallRun
) -> None:
    first, second = copied_run.days
    cut_back(copied_run, SAMPLED, first)
    for name in ("candles_5min", "candles_daily", "indicators_daily", "moves_daily", "sequences"):
        carry_out(STEP[name], copied_run, [second], IN_FULL)
    step = STEP["sequence_analysis"]
    analysis = pointer_of(small_run, tables.SEQUENCE_ANALYSIS, first)
    copied_run.warehouse.publish(
        *(StoredTable("v1", tables.SEQUENCE_ANALYSIS), first.isoformat()),
        stored(small_run, tables.SEQUENCE_ANALYSIS, first),
        **{name: getattr(analysis, name) for name in ("code_version", "settings_hash", "inputs")},
        run_id="crashed",
    )
    carry_out(step, copied_run, [second], IN_FULL)
    for table in step.outputs:
        whole = pointer_of(small_run, table, first).content_hash
        assert pointer_of(copied_run, table, first).content_hash == whole


def test_a_whole_v1_refuses_a_look_back_of_samples_and_says_what_to_run(
    copied_run: SmallRun,
) -> None:
    first, second = copied_run.days
    cut_back(copied_run, SAMPLED, first)
    forget_v1(copied_run, second)
    carry_out(STEP["candles_daily"], copied_run, [second], SAMPLED)
    with pytest.raises(MissingPartition) as caught:
        carry_out(STEP["indicators_daily"], copied_run, [second], IN_FULL)
    message = str(caught.value)
    assert message.startswith(
        f"v1/indicators_daily {first} needs v1.candles_daily of all instruments, but on 1 session(s) from "
        f"{first} to {first} V1 ran on sample "
    )
    assert message.endswith(f"or run: setbull run --from {first} --to {first}")


def test_a_sample_refuses_a_table_of_its_own_of_another_sample(copied_run: SmallRun) -> None:
    day = copied_run.days[0]
    cut_back(copied_run, RETIRED, day)
    with pytest.raises(
        MissingPartition, match=r"of sample . of 2, 50 % instruments, but .* V1 is retired"
    ):
        carry_out(STEP["sequences"], copied_run, [day], SAMPLED)


def test_instruments_outside_the_sample_are_no_failures_of_it(copied_run: SmallRun) -> None:
    day, table = copied_run.days[0], tables.CANDLES_5MIN
    bars = stored(copied_run, table, day, "v2")
    keys = bars["instrument_key"].unique().tolist()
    copied_run.warehouse.publish(
        *(StoredTable("v2", table), day.isoformat(), bars.iloc[:0]),
        **PROVENANCE,
        failures={key: Failure("v2.candles_5min", "no") for key in keys},
    )
    forget_v1(copied_run, day)
    carry_out(STEP["indicators_5min"], copied_run, [day], SAMPLED)
    inside = sample_of(tables.INDICATORS_5MIN, day, bars)["instrument_key"]
    assert set(pointer_of(copied_run, tables.INDICATORS_5MIN, day).failures) == set(inside)
    assert 0 < inside.nunique() < 12


def test_the_days_of_another_percentage_are_computed_again(copied_run: SmallRun) -> None:
    day, step = copied_run.days[0], STEP["candles_daily"]
    forget_v1(copied_run, day)
    for percentage, cached in ((50, False), (50, True), (34, False), (40, False), (100, False)):
        rollout = RolloutSettings(sample_percentage=percentage)
        (result,) = carry_out(step, copied_run, [day], SAMPLED, rollout=rollout)
        assert result.cached is cached
    assert stored(copied_run, tables.CANDLES_DAILY, day)["instrument_key"].nunique() == 12
