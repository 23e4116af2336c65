"""Reconciliation with a V1 that ran for a sample, or not at all: what is compared, and that nothing passes besides."""

from __future__ import annotations

import dagster as dg
import pandas as pd
import pytest

from setbull_pipelines import tables, variants
from setbull_pipelines.pipeline.comparing_days import outputs_of, reconcile
from setbull_pipelines.pipeline.drilling_down import read_drilled
from setbull_pipelines.pipeline.engine import StepRun
from setbull_pipelines.pipeline.lanes import Part
from setbull_pipelines.pipeline.steps import STEPS
from setbull_pipelines.rollout.stages import Component, Stage
from setbull_pipelines.tables import Table
from setbull_pipelines.tables.reconciliation import DIVERGED, NOT_COMPARABLE, PASS
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines_tests.pipeline.reconciled_table import Reconciled, every_table, made_wrong
from setbull_pipelines_tests.pipeline.small_run import (
    IN_FULL,
    SmallRun,
    cut_back_v1,
    forget,
    publish,
    publish_part,
)


def v2_of(run: SmallRun, table: Table) -> pd.DataFrame:
    return run.warehouse.read(StoredTable("v2", table), [run.days[0].isoformat()])


@every_table
def test_only_the_sample_of_v1_is_compared_and_the_count_says_so(
    table: Table, copied_run: SmallRun
) -> None:
    part = cut_back_v1(copied_run, table, Stage.SAMPLED, copied_run.days[0])
    of_sample = part.rows(v2_of(copied_run, table))
    assert 0 < of_sample["instrument_key"].nunique() < 12

    found = Reconciled(table, copied_run)

    assert found.verdict.state == PASS
    assert found.verdict.rows_v1 == found.verdict.rows_v2 == len(of_sample)
    expected = len(of_sample) * len(table.value_columns)
    assert found.verdict.cells_compared == found.verdict.cells_expected == expected
    assert found.verdict.reason.endswith(f"; V1 ran on {part.mark} of the instruments")
    assert found.check.passed
    assert not list(copied_run.warehouse.root.rglob(".writing-*")), "a temporary file was left"


@pytest.mark.parametrize("loser", ["v1", "v2"])
def test_an_instrument_of_the_sample_that_one_side_lost_is_found(
    loser: str, copied_run: SmallRun
) -> None:
    table = tables.INDICATORS_DAILY
    part = cut_back_v1(copied_run, table, Stage.SAMPLED, copied_run.days[0])
    whole = v2_of(copied_run, table)
    sample = part.rows(whole)
    lost = sample["instrument_key"].iloc[0]
    if loser == "v1":
        publish_part(
            copied_run, table, copied_run.days[0], part, sample[sample["instrument_key"] != lost]
        )
    else:
        kept = whole[whole["instrument_key"] != lost]
        key = copied_run.days[0].isoformat()
        publish(copied_run.warehouse, StoredTable("v2", table), key, kept)
    rows = int((whole["instrument_key"] == lost).sum())

    found = Reconciled(table, copied_run)

    assert found.verdict.state == DIVERGED
    only = {"v1": found.verdict.rows_only_v2, "v2": found.verdict.rows_only_v1}
    assert only[loser] == rows > 0
    assert not found.check.passed
    assert found.severity is dg.AssetCheckSeverity.ERROR


@pytest.mark.parametrize("inside", [True, False])
def test_a_wrong_cell_is_found_when_its_instrument_has_its_turn(
    inside: bool, copied_run: SmallRun
) -> None:
    table = tables.CANDLES_DAILY
    part = cut_back_v1(copied_run, table, Stage.SAMPLED, copied_run.days[0])
    bars = v2_of(copied_run, table)
    sampled = bars["instrument_key"].isin(part.of(bars["instrument_key"]))
    bars.loc[bars.index[sampled == inside][0], "volume"] += 1
    publish(copied_run.warehouse, StoredTable("v2", table), copied_run.days[0].isoformat(), bars)
    found = Reconciled(table, copied_run)
    assert found.verdict.state == (DIVERGED if inside else PASS)
    assert found.verdict.cells_unequal == int(inside)


@every_table
def test_a_retired_v1_is_not_comparable_which_is_a_warning(
    table: Table, copied_run: SmallRun
) -> None:
    cut_back_v1(copied_run, table, Stage.RETIRED, copied_run.days[0])
    found = Reconciled(table, copied_run)
    assert found.verdict.state == NOT_COMPARABLE
    assert found.verdict.reason == "not comparable: V1 is retired"
    assert found.verdict.cells_compared == found.verdict.rows_only_v2 == 0
    assert not found.check.passed
    assert found.check.description == found.verdict.reason
    assert found.check.metadata["nothing to compare"]
    assert found.severity is dg.AssetCheckSeverity.WARN


def test_a_sample_without_an_instrument_is_a_warning_and_says_so(copied_run: SmallRun) -> None:
    table = tables.CANDLES_DAILY
    # Twelve instruments are in at most twelve of a hundred samples.
    empty = next(
        part
        for turn in range(100)
        if not (part := Part(Component.AGGREGATION, 1, turn)).of(
            v2_of(copied_run, table)["instrument_key"]
        )
    )
    publish_part(copied_run, table, copied_run.days[0], empty, table.empty())
    found = Reconciled(table, copied_run)
    assert found.verdict.state == NOT_COMPARABLE
    assert found.check.description == "not comparable: no instrument of V1's sample has a row"
    assert not found.check.passed
    assert found.severity is dg.AssetCheckSeverity.WARN


def test_another_part_of_v1_without_rows_is_judged_again(copied_run: SmallRun) -> None:
    table, day = tables.SEQUENCE_PATTERNS, copied_run.days[0]
    reasons = []
    for part in (Part(Component.SEQUENCES, 0), Part(Component.SEQUENCES, 50, 0)):
        publish_part(copied_run, table, copied_run.days[0], part, table.empty())
        (result,) = reconcile(table, [day], copied_run.warehouse, copied_run.settings, "test")
        assert not result.cached
        verdict = copied_run.warehouse.read(outputs_of(table)[2], [day.isoformat()])
        reasons.append(verdict["reason"].iloc[0])
    assert reasons[0] == "not comparable: V1 is retired"
    assert reasons[1] != reasons[0]


def test_the_noise_floor_and_the_windows_of_a_sample_are_those_of_the_lane_it_read(
    copied_run: SmallRun,
) -> None:
    """V1 of indicators was computed from V2's candles; V1's own candles are not there at all."""
    table, day = tables.INDICATORS_DAILY, copied_run.days[0]
    stages = IN_FULL | {Component.AGGREGATION: Stage.RETIRED}
    step = next(step for step in STEPS if step.name == table.name)
    forget(copied_run.warehouse, StoredTable("v1", table), day)
    for key in copied_run.warehouse.partitions(StoredTable("v1", tables.CANDLES_DAILY)):
        forget(copied_run.warehouse, StoredTable("v1", tables.CANDLES_DAILY), key)
    run = (variants.V1, copied_run.warehouse, copied_run.settings, "test", stages)
    list(StepRun(step, *run).over([day]))
    wrong = made_wrong(v2_of(copied_run, table), table, "ema_50")
    publish(copied_run.warehouse, StoredTable("v2", table), day.isoformat(), wrong)
    found = Reconciled(table, copied_run)
    assert found.verdict.cells_unequal == 1
    assert found.verdict.noise_floor_cells > 0
    windows = read_drilled(table, day, copied_run.warehouse)[1]
    assert len(windows) > 0
    assert windows["is_equal"].all()
