"""Days of which V1 ran for a sample, or not at all, are judged by what there is."""

from __future__ import annotations

import dagster as dg
import pandas as pd
import pytest

from setbull_pipelines import tables
from setbull_pipelines.assets.common import asset_key, needs_warehouse
from setbull_pipelines.assets.partitions import trading_days
from setbull_pipelines.assets.rollout import build_rollout_log_asset
from setbull_pipelines.assets.served import build_served_asset
from setbull_pipelines.pipeline.judging import judge
from setbull_pipelines.pipeline.lanes import Part
from setbull_pipelines.pipeline.metrics import collect
from setbull_pipelines.pipeline.serving import Serving, assignment_of, served_table
from setbull_pipelines.pipeline.serving_days import serve_one
from setbull_pipelines.pipeline.stage_decisions import stages_in_force
from setbull_pipelines.quality.processing import METRICS, RULES, TABLES_OF
from setbull_pipelines.quality.rollout_log import LOG
from setbull_pipelines.rollout.controller import Verdict
from setbull_pipelines.rollout.stages import Component, Stage
from setbull_pipelines.settings import RolloutSettings
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines_tests.pipeline.judged_run import forced, judged, lenient
from setbull_pipelines_tests.pipeline.small_run import SmallRun, cut_back_v1, publish, reconciled


def cut_back(run: SmallRun, component: Component, stage: Stage) -> dict[str, Part]:
    """The first day as it is after a run in ``stage``, up to the judgement; the parts by table name."""
    days = [run.days[0]]
    forced(run, component, stage)
    parts = {table.name: cut_back_v1(run, table, stage, *days) for table in TABLES_OF[component]}
    for table in TABLES_OF[component]:
        reconciled(run, table, run.days[0])
        if table.name in tables.SERVED:
            assignment = assignment_of(table, stage, run.warehouse, RolloutSettings())
            list(serve_one(table, days, Serving(assignment, days), run.warehouse, "test"))
    list(collect(days, run.warehouse, "test"))
    return parts


@pytest.mark.parametrize("component", Component)
def test_the_evidence_of_a_sample_is_that_of_the_sample(
    component: Component, copied_run: SmallRun
) -> None:
    parts = cut_back(copied_run, component, Stage.SAMPLED)
    settings = lenient(copied_run, minimum_instruments=1)
    (row,) = judged(copied_run, settings, 0)[component.label]
    found, keys, rows, cells = row.decision.evidence, set(), 0, 0
    for table in TABLES_OF[component]:
        whole = copied_run.warehouse.read(StoredTable("v2", table), [str(copied_run.days[0])])
        frame = parts[table.name].rows(whole)
        keys.update(frame["instrument_key"])
        rows += len(frame)
        cells += len(frame) * (len(table.columns) - len(table.key))
    assert found.stage is Stage.SAMPLED
    assert 0 < found.instruments == len(keys) < 12
    assert (found.rows, found.cells_expected, found.cells_compared) == (rows, cells, cells)
    assert (found.cells_unequal, found.decision_differences, found.cohort) == (0, 0, 12)
    assert found.error_rate == 0.0
    assert row.decision.verdict is Verdict.COUNTED


@pytest.mark.parametrize("component", Component)
def test_a_retired_v1_leaves_v2_to_be_judged_by_itself(
    component: Component, copied_run: SmallRun
) -> None:
    cut_back(copied_run, component, Stage.RETIRED)
    (row,) = judged(copied_run, lenient(copied_run), 0)[component.label]
    found = row.decision.evidence
    v2 = [
        copied_run.warehouse.pointer(StoredTable("v2", table), str(copied_run.days[0])).rows
        for table in TABLES_OF[component]
    ]
    assert (found.instruments, found.rows, found.cohort) == (12, sum(v2), 12)
    assert found.cells_expected is found.cells_compared is found.cells_unequal is None
    assert found.seconds_v1 is None
    assert found.seconds_v2 > 0
    is_end = component is Component.SEQUENCES
    assert found.decision_differences == (None if is_end else 0)
    assert row.decision.verdict is Verdict.COUNTED


@pytest.mark.parametrize("inside", [True, False])
def test_a_decision_counts_when_its_instrument_has_its_turn(
    inside: bool, copied_run: SmallRun
) -> None:
    parts = cut_back(copied_run, Component.SEQUENCES, Stage.SAMPLED)
    stored, key = StoredTable("v2", tables.FILTER_RESULTS), str(copied_run.days[0])
    results = copied_run.warehouse.read(stored, [key])
    sampled = results["instrument_key"].isin(parts["filter_results"].of(results["instrument_key"]))
    results.loc[results.index[sampled == inside][0], "reason"] = "another reason"
    publish(copied_run.warehouse, stored, key, results)
    reconciled(copied_run, tables.FILTER_RESULTS, copied_run.days[0])
    (row,) = judged(copied_run, lenient(copied_run), 0)["sequences"]
    assert row.decision.evidence.decision_differences == int(inside)
    assert row.decision.verdict is (Verdict.ROLLED_BACK if inside else Verdict.HELD)


def test_a_breach_of_a_sample_is_served_from_a_whole_v1_by_the_same_assets(
    copied_run: SmallRun,
) -> None:
    table, key = tables.FILTER_RESULTS, str(copied_run.days[0])
    stored = StoredTable("v1", table)
    whole = copied_run.warehouse.read(stored, [key])
    parts = cut_back(copied_run, Component.SEQUENCES, Stage.SAMPLED)
    results = copied_run.warehouse.read(StoredTable("v2", table), [key])
    sampled = results["instrument_key"].isin(parts[table.name].of(results["instrument_key"]))
    results.loc[results.index[sampled][0], "reason"] = "another reason"
    publish(copied_run.warehouse, StoredTable("v2", table), key, results)
    reconciled(copied_run, table, copied_run.days[0])
    settings = lenient(copied_run)
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [
                build_rollout_log_asset(settings, trading_days(settings)),
                build_served_asset(settings, trading_days(settings)),
            ],
            selection=[asset_key(served_table(table)), asset_key(LOG)],
            partition_key=key,
            resources=needs_warehouse(settings),
            instance=instance,
        )
    assert result.success
    assert stages_in_force(copied_run.warehouse, settings.rollout)[Component.SEQUENCES] is Stage.OFF
    pd.testing.assert_frame_equal(copied_run.warehouse.read(stored, [key]), whole)
    served = copied_run.warehouse.read(served_table(table), [key])
    assert set(served.pop("variant")) == {"v1"}
    pd.testing.assert_frame_equal(served, whole)


def test_a_part_of_v1_is_no_evidence_for_a_stage_that_runs_it_in_full(
    copied_run: SmallRun,
) -> None:
    cut_back(copied_run, Component.AGGREGATION, Stage.SAMPLED)
    forced(copied_run, Component.AGGREGATION, Stage.FULL)
    (row,) = judged(copied_run, lenient(copied_run), 0)["aggregation"]
    assert row.decision.verdict is Verdict.HELD
    assert row.decision.reason.startswith("not measured: instruments, rows")


@pytest.mark.parametrize("stage", [Stage.SAMPLED, Stage.RETIRED])
def test_v2_is_held_to_its_limits_without_the_time_of_a_whole_v1(
    stage: Stage, copied_run: SmallRun
) -> None:
    day = copied_run.days[0]
    parts = cut_back(copied_run, Component.INDICATORS, stage)
    (rule,) = (rule for rule in RULES if rule.name == "within_limits")
    metrics = copied_run.warehouse.read(METRICS, [str(day)])
    of_v1 = metrics.set_index("asset").loc["v1.indicators_daily"]
    assert of_v1["computed_for"] == parts["indicators_daily"].mark
    assert set(metrics.loc[metrics["variant"] == "v2", "computed_for"]) == {"all"}
    # Four seconds are within V2's limit, and far more than a part of V1 took.
    slow = metrics.assign(
        cpu_seconds=metrics["cpu_seconds"].where(metrics["asset"] != "v2.indicators_daily", 4.0),
        seconds=9.0,  # the machine was busy
    )
    publish(copied_run.warehouse, METRICS, str(day), slow)
    verdict = judge([rule], copied_run.warehouse, copied_run.settings, day)[rule.name]
    assert verdict.passed, verdict.description
    slower = metrics.assign(
        cpu_seconds=metrics["cpu_seconds"].where(metrics["asset"] != "v2.indicators_daily", 9.0),
        seconds=9.0,
    )
    publish(copied_run.warehouse, METRICS, str(day), slower)
    verdict = judge([rule], copied_run.warehouse, copied_run.settings, day)[rule.name]
    assert verdict.description.startswith("indicators: calculation time 9.")
