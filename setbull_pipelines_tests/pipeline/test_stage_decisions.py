"""Days of stored tables are judged: the evidence is what is stored, it decides stages, and stages what is served."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace

import dagster as dg
import pytest

from setbull_pipelines import tables
from setbull_pipelines.assets.common import asset_key, needs_warehouse
from setbull_pipelines.assets.partitions import trading_days
from setbull_pipelines.assets.rollout import build_rollout_log_asset
from setbull_pipelines.assets.served import build_served_asset
from setbull_pipelines.pipeline.comparing_days import SUMMARY
from setbull_pipelines.pipeline.evidence import _schema_failures
from setbull_pipelines.pipeline.rollout_log import read_log
from setbull_pipelines.pipeline.serving import served_table
from setbull_pipelines.pipeline.serving_days import serve_one
from setbull_pipelines.pipeline.stage_decisions import serving_of, stages_in_force
from setbull_pipelines.quality.processing import METRICS, TABLES_OF
from setbull_pipelines.quality.rollout_log import LOG
from setbull_pipelines.rollout.bucketing import cohort
from setbull_pipelines.rollout.controller import Verdict
from setbull_pipelines.rollout.log import LogRow, state_at
from setbull_pipelines.rollout.stages import Component, Stage
from setbull_pipelines.settings import RolloutSettings
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines_tests.pipeline.judged_run import forced, judged, lenient, outcomes
from setbull_pipelines_tests.pipeline.small_run import (
    SmallRun,
    changed_v2,
    failed,
    publish,
    reconciled,
)


def test_stored_rows_that_break_the_contract_are_counted(small_run: SmallRun) -> None:
    """Nothing publishes such rows; files that somebody else wrote can hold them."""
    day, warehouse, table = small_run.days[0], small_run.warehouse, tables.CANDLES_5MIN
    rows = warehouse.read(StoredTable("v2", table), [day.isoformat()])

    def counted(**columns: object) -> int:
        stored = SimpleNamespace(read=lambda *_: rows.assign(**columns), check=warehouse.check)
        return _schema_failures(table, day, stored, small_run.settings)

    assert counted() == 0
    below_zero = rows["low"].where(rows.index >= 3, -1.0)
    assert counted(low=below_zero) == 3


def test_a_run_judges_every_component_on_each_of_its_days(small_run: SmallRun) -> None:
    rows = read_log(small_run.warehouse)
    found = [(row.decision.session, row.decision.component) for row in rows]
    assert found == [(day, component) for day in small_run.days for component in Component]
    assert {row.decision.verdict for row in rows} == {Verdict.HELD}
    assert {row.decision.reason for row in rows} == {
        "too little data: 12 instruments, at least 20 needed"
    }


def test_the_evidence_is_what_the_tables_hold(small_run: SmallRun) -> None:
    warehouse, day = small_run.warehouse, small_run.days[0]
    for row in read_log(warehouse)[: len(Component)]:
        found = row.decision.evidence
        rows = cells = 0
        for table in TABLES_OF[row.decision.component]:
            frame = warehouse.read(StoredTable("v1", table), [day.isoformat()])
            rows += len(frame)
            cells += len(frame) * (len(table.columns) - len(table.key))
        assert found.rows == rows > 0
        assert found.cells_compared == found.cells_expected == cells
        assert found.instruments == 12
        assert (found.cells_unequal, found.decision_differences, found.schema_failures) == (0, 0, 0)
        assert found.cohort == 0
        pointer = warehouse.pointer(StoredTable("v2", tables.MOVES_DAILY), day.isoformat())
        assert found.code_version == pointer.code_version
        metrics = warehouse.read(METRICS, [day.isoformat()])
        for variant, seconds in (("v1", found.seconds_v1), ("v2", found.seconds_v2)):
            names = [f"{variant}.{table.name}" for table in TABLES_OF[row.decision.component]]
            taken = metrics.loc[metrics["asset"].isin(names), "cpu_seconds"].sum()
            assert seconds == pytest.approx(taken)
            assert seconds > 0
        assert (found.v2_exceptions, found.error_rate) == (0, 0.0)
        assert 0 < found.memory_share < 1
        assert 0 < found.worker_share <= 1
        is_sequences = row.decision.component is Component.SEQUENCES
        assert found.sequence_failure_share == (0.0 if is_sequences else None)


def test_healthy_sessions_advance(copied_run: SmallRun) -> None:
    settings = lenient(copied_run)
    for rows in judged(copied_run, settings, 0, 1).values():
        assert outcomes(rows) == [("counted", "off"), ("advanced", "shadow")]
    for component in Component:
        assert stages_in_force(copied_run.warehouse, settings.rollout)[component] is Stage.SHADOW


def test_a_session_whose_cost_is_not_known_holds(copied_run: SmallRun) -> None:
    table, key = tables.INDICATORS_DAILY, copied_run.days[0].isoformat()
    stored = StoredTable("v2", table)
    # The same rows, published by somebody who measured nothing.
    publish(copied_run.warehouse, stored, key, copied_run.warehouse.read(stored, [key]))
    reconciled(copied_run, table, copied_run.days[0])
    forced(copied_run, Component.INDICATORS, Stage.SHADOW)
    (row,) = judged(copied_run, lenient(copied_run), 0)["indicators"]
    assert outcomes([row]) == [("held", "shadow")]
    assert row.decision.reason.startswith("not measured: seconds_v2")


EVERY_TABLE = [table for owned in TABLES_OF.values() for table in owned]


def some_key(run: SmallRun) -> str:
    rows = run.warehouse.read(StoredTable("v1", tables.FILTER_RESULTS), [str(run.days[0])])
    return rows["instrument_key"].iloc[3]


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, ("advanced", "sampled")),
        ({"minimum_exceptions": 1, "maximum_error_rate": 0.08}, ("soft breach", "100")),
        ({"minimum_exceptions": 1, "rollback_error_rate": 0.08}, ("rolled back", "off")),
    ],
)
def test_an_instrument_that_v2_failed_for_is_judged_by_rate_and_served_from_v1(
    limits: dict[str, float], expected: tuple[str, str], copied_run: SmallRun
) -> None:
    day, key = copied_run.days[0], some_key(copied_run)
    failed(copied_run, "v2", EVERY_TABLE, key, day)
    forced(copied_run, Component.AGGREGATION, Stage.FULL)
    generous = {"sessions_per_stage": 1, "maximum_sequence_failure_share": 1.0}
    within = {"maximum_error_rate": 0.08} if "rollback_error_rate" in limits else {}
    settings = lenient(
        copied_run, highest_automatic_stage="sampled", **(generous | within | limits)
    )
    (row,) = judged(copied_run, settings, 0)["aggregation"]
    assert outcomes([row]) == [expected]
    assert (row.decision.evidence.v2_exceptions, row.decision.evidence.cells_unequal) == (1, 0)
    assert row.decision.evidence.decision_differences == 0
    asked = serving_of(
        tables.CANDLES_DAILY, read_log(copied_run.warehouse), copied_run.warehouse, settings.rollout
    )
    list(serve_one(tables.CANDLES_DAILY, [day], asked, copied_run.warehouse, "test"))
    served = copied_run.warehouse.read(served_table(tables.CANDLES_DAILY), [str(day)])
    is_back = expected[1] == "off"
    assert set(served.loc[served["instrument_key"] == key, "variant"]) == {"v1"}
    assert set(served.loc[served["instrument_key"] != key, "variant"]) == {
        "v1" if is_back else "v2"
    }


def test_an_instrument_that_v1_alone_failed_for_is_compared_with_nothing_and_the_day_holds(
    copied_run: SmallRun,
) -> None:
    day, key = copied_run.days[0], some_key(copied_run)
    failed(copied_run, "v1", EVERY_TABLE, key, day)
    for component in Component:
        forced(copied_run, component, Stage.FULL)
    verdicts = copied_run.warehouse.read(SUMMARY, [str(day)]).set_index("table_name")
    assert set(verdicts["state"]) == {"not comparable"}
    assert set(verdicts["state_of_compared"]) == {"pass"}
    assert set(verdicts["instruments_left_out"]) == {1}
    for component, rows in judged(copied_run, lenient(copied_run), 0).items():
        assert outcomes(rows) == [("held", "100")], component
        assert rows[0].decision.reason == (
            f"not comparable: {key} (V1 failed in v1.candles_5min {day}: ZeroDivisionError: no)"
        )
    log = read_log(copied_run.warehouse)
    for table in (tables.CANDLES_DAILY, tables.FILTER_RESULTS):
        asked = serving_of(table, log, copied_run.warehouse, RolloutSettings())
        list(serve_one(table, [day], asked, copied_run.warehouse, "test"))
        served = copied_run.warehouse.read(served_table(table), [str(day)])
        # Taken back, the instrument would have no row at all.
        assert set(served["variant"]) == {"v2"}
        assert key in set(served["instrument_key"])


def test_days_of_one_run_count_only_for_the_stage_that_they_were_served_under(
    copied_run: SmallRun,
) -> None:
    for rows in judged(copied_run, lenient(copied_run, sessions_per_stage=1), 0, 1).values():
        assert outcomes(rows) == [("advanced", "shadow"), ("held", "shadow")]
        assert rows[1].decision.reason == "evidence of stage off, but the stage is shadow"


def test_a_wrong_cell_of_v2_rolls_its_component_back_and_no_other(copied_run: SmallRun) -> None:
    table = tables.INDICATORS_DAILY
    changed_v2(copied_run, table, "ema_50", 1.0)
    reconciled(copied_run, table, copied_run.days[0])
    rows = judged(copied_run, lenient(copied_run), 0)
    assert outcomes(rows["indicators"]) == [("rolled back", "off")]
    assert "unequal cells" in rows["indicators"][0].decision.reason
    assert outcomes(rows["aggregation"]) == outcomes(rows["sequences"]) == [("counted", "off")]
    assert state_at(read_log(copied_run.warehouse), Component.INDICATORS).latched


def test_a_row_that_v2_lacks_counts_with_all_its_cells(copied_run: SmallRun) -> None:
    table, key = tables.CANDLES_5MIN, copied_run.days[0].isoformat()
    stored = StoredTable("v2", table)
    frame = copied_run.warehouse.read(stored, [key])
    publish(copied_run.warehouse, stored, key, frame.iloc[1:])
    reconciled(copied_run, table, copied_run.days[0])
    (row,) = judged(copied_run, lenient(copied_run), 0)["aggregation"]
    assert row.decision.evidence.cells_unequal == len(table.columns) - len(table.key)
    assert row.decision.verdict is Verdict.ROLLED_BACK


def test_another_decision_of_v2_rolls_everything_back(copied_run: SmallRun) -> None:
    changed_v2(copied_run, tables.FILTER_RESULTS, "reason", "another reason")
    reconciled(copied_run, tables.FILTER_RESULTS, copied_run.days[0])
    for rows in judged(copied_run, lenient(copied_run), 0).values():
        assert outcomes(rows) == [("rolled back", "off")]
        assert "1 decision differences" in rows[0].decision.reason


def test_a_summary_of_other_rows_than_the_stored_ones_measures_nothing(
    copied_run: SmallRun,
) -> None:
    changed_v2(copied_run, tables.INDICATORS_DAILY, "ema_50", 1.0)
    rows = judged(copied_run, lenient(copied_run), 0)
    assert outcomes(rows["indicators"]) == [("held", "off")]
    assert rows["indicators"][0].decision.reason.startswith("not measured: instruments, rows")


def test_a_day_without_rows_holds(copied_run: SmallRun) -> None:
    key = copied_run.days[0].isoformat()
    for table in TABLES_OF[Component.AGGREGATION]:
        for lane in ("v1", "v2"):
            publish(copied_run.warehouse, StoredTable(lane, table), key, table.empty())
        reconciled(copied_run, table, copied_run.days[0])
    (row,) = judged(copied_run, lenient(copied_run), 0)["aggregation"]
    assert row.decision.verdict is Verdict.HELD
    assert row.decision.evidence.cells_compared is None
    assert "too little data: 0 instruments" in row.decision.reason


def test_the_assets_judge_a_session_and_serve_the_stage_of_the_log(
    copied_run: SmallRun,
) -> None:
    first, second = copied_run.days
    settings, table = lenient(copied_run), tables.CANDLES_DAILY
    both = (tables.CANDLES_5MIN, table)
    forced(copied_run, Component.AGGREGATION, Stage.FULL)
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [
                build_served_asset(settings, trading_days(settings)),
                build_rollout_log_asset(settings, trading_days(settings)),
            ],
            selection=[*(asset_key(served_table(each)) for each in both), asset_key(LOG)],
            partition_key=second.isoformat(),
            resources=needs_warehouse(settings),
            instance=instance,
        )
        assert result.success
        key = asset_key(served_table(table))
        # The other stored day is served again too, and Dagster is told.
        known = instance.get_materialized_partitions(key)
        assert known == {day.isoformat() for day in (first, second)}
        events = result.asset_materializations_for_node("served")
        assert {event.asset_key for event in events} == {
            asset_key(served_table(each)) for each in both
        }
    for each in both:
        served = copied_run.warehouse.read(served_table(each))
        assert set(served["variant"]) == {"v2"}
        assert served["trading_day"].nunique() == 2
    row = next(
        row
        for row in reversed(read_log(copied_run.warehouse))
        if row.decision.component is Component.AGGREGATION
    )
    assert row.decision.session == second
    assert (row.decision.evidence.stage, row.decision.evidence.cohort) == (Stage.FULL, 12)
    assert row.decision.verdict is Verdict.COUNTED


@pytest.mark.parametrize("stage", [Stage.SHADOW, Stage.FIFTY, Stage.FULL])
def test_the_cohort_is_that_of_the_stage_whatever_was_served_before(
    stage: Stage, copied_run: SmallRun
) -> None:
    forced(copied_run, Component.SEQUENCES, stage)
    (row,) = judged(copied_run, lenient(copied_run), 0)["sequences"]
    rows = copied_run.warehouse.read(StoredTable("v2", tables.FILTER_RESULTS), [str(row_day(row))])
    keys = sorted(set(rows["instrument_key"]))
    inside = cohort(keys, Component.SEQUENCES.flag, stage.percentage)
    assert row.decision.evidence.cohort == inside.sum()


def row_day(row: LogRow) -> date:
    return row.decision.session
