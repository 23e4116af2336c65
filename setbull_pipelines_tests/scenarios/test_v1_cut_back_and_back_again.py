"""V1 goes on a sample, V2 diverges for an instrument of it, and V1 is completed and served again everywhere."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pandas as pd
import pytest

from setbull_pipelines import tables
from setbull_pipelines.assets.common import asset_key, needs_warehouse
from setbull_pipelines.assets.partitions import trading_days
from setbull_pipelines.assets.variants import build_lane
from setbull_pipelines.cli.asking import days_without_all_of_v1
from setbull_pipelines.cli.days import AskedDays
from setbull_pipelines.cli.run import Outcome, Runner
from setbull_pipelines.pipeline.comparing_days import SUMMARY, reconcile, summarize
from setbull_pipelines.pipeline.lanes import COMPONENT_OF, part_in
from setbull_pipelines.pipeline.metrics import collect
from setbull_pipelines.pipeline.serving import served_table
from setbull_pipelines.pipeline.stage_decisions import evaluate, record_actions, stages_in_force
from setbull_pipelines.rollout.controller import Verdict
from setbull_pipelines.rollout.stages import Component, Stage
from setbull_pipelines.settings import RolloutSettings, Settings
from setbull_pipelines.tables.reconciliation import PASS
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests.pipeline.small_run import (
    SmallRun,
    cut_back_v1,
    forget,
    publish,
    small_run,
)

pytestmark = pytest.mark.scenario

__all__ = ["small_run"]
SERVED = [table for table in tables.COMPUTED_TABLES if table.name in tables.SERVED]


def moment() -> datetime:
    return datetime.now(ZoneInfo("Asia/Kolkata"))


class Story:
    """A copy of the finished run whose last session is run again in other stages."""

    def __init__(self, untouched: SmallRun, folder: Path) -> None:
        self.untouched, self.run = untouched, untouched.copy(folder)
        rollout = RolloutSettings(sample_percentage=50, minimum_instruments=1, minimum_rows=1)
        self.settings: Settings = replace(self.run.settings, rollout=rollout)
        self.first, self.last = self.run.days
        self.instance = dg.DagsterInstance.ephemeral()

    @property
    def warehouse(self) -> Warehouse:
        return self.run.warehouse

    def force(self, stage: Stage) -> None:
        arguments = (list(Component), Verdict.FORCED, "Asha", "a test", self.warehouse)
        record_actions(*arguments, self.settings, moment, stage)

    def run_the_last_session(self) -> Outcome:
        return Runner(self.settings, self.instance).run(AskedDays((self.last,)))

    def rows(self, lane: str, table: tables.Table) -> pd.DataFrame:
        stored = served_table(table) if lane == "served" else StoredTable(lane, table)
        return self.warehouse.read(stored, [str(self.last)])

    def forget_the_last_session(self) -> None:
        for table in tables.COMPUTED_TABLES:
            for lane in ("v1", "v2"):
                forget(self.warehouse, StoredTable(lane, table), self.last)


@pytest.fixture
def story(small_run: SmallRun, tmp_path: Path) -> Story:
    return Story(small_run, tmp_path / "data")


@pytest.mark.parametrize("stage", [Stage.SAMPLED, Stage.RETIRED])
def test_v1_cut_back_and_back_again(story: Story, stage: Stage) -> None:
    story.force(stage)
    story.forget_the_last_session()
    outcome = story.run_the_last_session()

    # V1 has the rows of its part and no others; what was whole before is kept.
    for table in tables.COMPUTED_TABLES:
        part = part_in(COMPONENT_OF[table.name], stage, story.last, story.settings.rollout)
        whole = story.untouched.warehouse.read(StoredTable("v1", table), [str(story.last)])
        pd.testing.assert_frame_equal(story.rows("v1", table), part.rows(whole))
        kept = [
            run.warehouse.pointer(StoredTable("v1", table), str(story.first)).content_hash
            for run in (story.untouched, story.run)
        ]
        assert kept[0] == kept[1]
    # Everything is served from V2, on every day.
    for table in SERVED:
        for day in (story.first, story.last):
            rows = story.warehouse.read(served_table(table), [str(day)])
            assert set(rows["variant"]) == {"v2"}
    # What was compared is the part, and no check takes that for a fault or for a pass of the whole.
    assert outcome.failed_checks == []
    agreement = [c for c in outcome.checks if c.check_name == "v2_agrees_with_v1"]
    assert {check.passed for check in agreement} == {stage is Stage.SAMPLED}
    summary = story.warehouse.read(SUMMARY, [str(story.last)]).set_index("table_name")
    for table in tables.COMPUTED_TABLES:
        cells = len(story.rows("v1", table)) * len(table.value_columns)
        assert summary.loc[table.name, "cells_compared"] == cells
        assert (summary.loc[table.name, "state"] == PASS) is (cells > 0)
    assert set(stages_in_force(story.warehouse, story.settings.rollout).values()) == {stage}
    cut_back = list(days_without_all_of_v1(story.settings))
    assert len(cut_back) == len(SERVED)
    assert all(f"days from {story.last} to {story.last} have a sample" in row for row in cut_back)

    # V2 decides otherwise on an instrument of the part: it is taken back, by the controller or by a person.
    if stage is Stage.SAMPLED:
        results = story.rows("v2", tables.FILTER_RESULTS)
        sampled = story.rows("v1", tables.FILTER_RESULTS)["instrument_key"].iloc[0]
        wrong = results["reason"].where(results["instrument_key"] != sampled, "another reason")
        stored = StoredTable("v2", tables.FILTER_RESULTS)
        publish(story.warehouse, stored, str(story.last), results.assign(reason=wrong))
        arguments = ([story.last], story.warehouse, story.settings, "test")
        list(reconcile(tables.FILTER_RESULTS, *arguments))
        list(summarize(*arguments))
        list(collect([story.last], story.warehouse, "test"))
        rows = evaluate([story.last], story.warehouse, story.settings, moment, "test")
        assert {row.decision.verdict for row in rows} == {Verdict.ROLLED_BACK}
        assert "1 decision differences" in rows[0].decision.reason
    else:
        story.force(Stage.OFF)

    # The next run completes V1 and serves it everywhere, as if nothing had been.
    outcome = story.run_the_last_session()
    assert outcome.failed_checks == []
    # Before the first session there is none to hold its shares against.
    assert {check.check_name for check in outcome.warnings} == {"shares_are_usual"}
    for table in tables.COMPUTED_TABLES:
        for day in (story.first, story.last):
            v1 = StoredTable("v1", table)
            found, whole = (
                run.warehouse.pointer(v1, str(day)) for run in (story.run, story.untouched)
            )
            assert (found.content_hash, found.inputs) == (whole.content_hash, whole.inputs)
    for table in SERVED:
        for day in (story.first, story.last):
            served = served_table(table)
            found, whole = (
                run.warehouse.pointer(served, str(day)) for run in (story.run, story.untouched)
            )
            assert found.content_hash == whole.content_hash
    assert list(days_without_all_of_v1(story.settings)) == []


def test_days_that_are_completed_beside_those_of_the_run_are_told_to_dagster(
    story: Story,
) -> None:
    """One step alone, in the stage that a log without rows gives: off."""
    v1 = StoredTable("v1", tables.MOVES_DAILY)
    whole = story.warehouse.pointer(v1, str(story.first))
    cut_back_v1(story.run, tables.MOVES_DAILY, Stage.RETIRED, story.first)
    result = dg.materialize(
        [build_lane("v1", story.settings, trading_days(story.settings))],
        selection=[asset_key(v1)],
        partition_key=str(story.last),
        resources=needs_warehouse(story.settings),
        instance=story.instance,
    )
    assert result.success
    known = story.instance.get_materialized_partitions(asset_key(v1))
    assert known == {str(story.first), str(story.last)}
    (event,) = result.asset_materializations_for_node("v1")
    assert event.metadata["days in run"].value == 1
    found = story.warehouse.pointer(v1, str(story.first))
    assert (found.content_hash, found.inputs) == (whole.content_hash, whole.inputs)
