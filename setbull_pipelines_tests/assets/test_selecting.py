"""Everything that the UI or ``dagster asset materialize --select`` can express can be launched, lane by lane."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import create_execution_plan, execute_run

from setbull_pipelines.assets.common import asset_key
from setbull_pipelines.assets.lane import LANES
from setbull_pipelines.definitions import build_defs
from setbull_pipelines.pipeline.opening import open_warehouse
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables import COMPUTED_TABLES
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines_tests.pipeline.small_run import small_settings

SELECTIONS = (
    "*",
    "key:v1/candles_5min",
    "+key:v1/candles_5min",
    "+key:v1/candles_5min+",
    "key:raw/candles_1min+",
    "+key:served/filter_results",
    "1+key:served/filter_results",
    "2+key:served/filter_results+1",
    "+key:operations/catalog",
    "+key:operations/alerts",
    "key:reconciliation/summary+",
    "key:reconciliation/candles_5min+",
    "key:operations/rollout_log+",
    "+key:operations/rollout_log",
    "key:raw/intake+",
    "key:raw/fetched+",
    "key:raw/stock_groups+",
    "+key:charts/daily_candles",
    "+key:served/daily_report",
    "group:raw",
    "group:candles",
    "group:indicators",
    "group:sequences",
    "group:filters",
    "group:reconciliation",
    "group:served",
    "group:charts",
    "group:operations",
    "+group:served",
    "group:candles or group:served",
    "group:indicators and tag:setbull/variant=v2",
    "tag:setbull/variant=v1",
    "tag:setbull/variant=v2",
    "tag:setbull/stage=served",
    'owner:"team:quality"',
    "kind:numpy",
    "not group:charts",
    "key:v1/candles_daily or key:v1/filter_results",
    "key:v2/moves_daily or key:v2/sequence_patterns",
)
STEPS_OF_JOBS = {
    "daily": 18,
    "intraday": 10,
    "intake": 1,
    "v1_lane": 1,
    "v2_lane": 1,
    "maintenance": 1,
    "self_test": 1,
    "scrub": 1,
    "fetch": 1,
}


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    return build_defs(small_settings(tmp_path_factory.mktemp("selecting")))


def steps_of(definitions: dg.Definitions, keys: set[dg.AssetKey]) -> list[str]:
    """The steps that the launchpad plans for these assets."""
    job = definitions.resolve_implicit_global_asset_job_def()
    chosen = job.get_subset(asset_selection=keys)
    return [step.key for step in create_execution_plan(chosen).get_all_steps_in_topo_order()]


def test_the_named_lanes_are_the_steps_of_a_daily_run(definitions: dg.Definitions) -> None:
    steps = {node.name for node in definitions.resolve_job_def("daily").nodes}
    assert set(LANES) <= steps


def test_every_asset_alone_is_one_step(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    keys = graph.get_all_asset_keys()
    assert keys == graph.executable_asset_keys
    assert len(keys) > 60
    for key in keys:
        assert len(steps_of(definitions, {key})) == 1, key


@pytest.mark.parametrize("text", SELECTIONS)
def test_a_selection_is_launched_lane_by_lane(text: str, definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    keys = dg.AssetSelection.from_string(text).resolve(graph)
    assert keys, f"{text} selects nothing"
    steps = steps_of(definitions, set(keys))
    # A lane that another one interrupts would be two steps, and its body would run twice.
    assert len(steps) == len(set(steps)) == len({graph.get(key).assets_def.op.name for key in keys})
    assert not any(step.endswith("_2") for step in steps)


def test_every_pair_of_computed_tables_is_at_most_a_step_for_each_lane(
    definitions: dg.Definitions,
) -> None:
    names = [
        asset_key(StoredTable(lane, table)) for table in COMPUTED_TABLES for lane in ("v1", "v2")
    ]
    for first, second in combinations(names, 2):
        steps = steps_of(definitions, {first, second})
        assert len(steps) == len({first.path[0], second.path[0]})


def test_no_table_of_one_variant_waits_for_the_other(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for lane, other in (("v1", "v2"), ("v2", "v1")):
        for table in COMPUTED_TABLES:
            above = dg.AssetSelection.assets(asset_key(StoredTable(lane, table))).upstream()
            assert not {key for key in above.resolve(graph) if key.path[0] == other}


def test_the_steps_of_every_job_are_counted(definitions: dg.Definitions) -> None:
    jobs = {job.name for job in definitions.resolve_all_job_defs()} - {"__ASSET_JOB"}
    assert jobs == set(STEPS_OF_JOBS)
    for name, expected in STEPS_OF_JOBS.items():
        plan = create_execution_plan(definitions.resolve_job_def(name))
        assert len(plan.get_all_steps_in_topo_order()) == expected, name
    daily = Counter(
        step.key.rpartition("_")[0] if step.key.endswith("_2") else step.key
        for step in create_execution_plan(
            definitions.resolve_job_def("daily")
        ).get_all_steps_in_topo_order()
    )
    assert set(daily.values()) == {1}


@pytest.mark.run
class TestFromAnEmptyFolder:
    """What somebody materializes in the UI of a new folder is made, with all that it looks back at."""

    DAY = "2026-06-30"

    def launch(
        self, settings: Settings, keys: list[dg.AssetKey], days: tuple[str, str] | None = None
    ) -> tuple[dg.DagsterRun, dg.DagsterInstance]:
        instance = dg.DagsterInstance.ephemeral()
        definitions = build_defs(settings)
        job = definitions.resolve_implicit_global_asset_job_def().get_subset(
            asset_selection=set(keys)
        )
        first, last = days or (self.DAY, self.DAY)
        tags = (
            {"dagster/partition": first}
            if first == last
            else {
                "dagster/asset_partition_range_start": first,
                "dagster/asset_partition_range_end": last,
            }
        )
        run = instance.create_run_for_job(job, tags=tags, asset_selection=frozenset(keys))
        result = execute_run(InMemoryJob(job), run, instance)
        assert result.success, [event.message for event in result.all_events if event.is_failure]
        return run, instance

    @pytest.fixture
    def settings(self, tmp_path: Path) -> Settings:
        return small_settings(tmp_path)

    def test_one_computed_table_of_one_day_brings_up_all_that_it_is_made_from(
        self, settings: Settings
    ) -> None:
        wanted = StoredTable("v2", COMPUTED_TABLES[-1])
        _, instance = self.launch(settings, [asset_key(wanted)])
        store = open_warehouse(settings)
        assert store.partitions(wanted) == [self.DAY]
        candles = next(table for table in COMPUTED_TABLES if table.name == "candles_daily")
        looked_back_at = StoredTable("v2", candles)
        assert len(store.partitions(looked_back_at)) > settings.look_back.sessions_daily
        # Nothing of it is hidden from the UI.
        told = instance.get_materialized_partitions(asset_key(looked_back_at))
        assert told == set(store.partitions(looked_back_at))
        assert store.partitions(StoredTable("v1", candles)) == []

    def test_a_raw_table_alone(self, settings: Settings) -> None:
        from setbull_pipelines.pipeline.raw import DAY_TABLES

        self.launch(settings, [asset_key(DAY_TABLES[0])])
        assert open_warehouse(settings).partitions(DAY_TABLES[0]) == [self.DAY]

    def test_a_range_of_one_table(self, settings: Settings) -> None:
        wanted = StoredTable("v1", COMPUTED_TABLES[0])
        self.launch(settings, [asset_key(wanted)], ("2026-06-29", self.DAY))
        assert open_warehouse(settings).partitions(wanted) == ["2026-06-29", self.DAY]
