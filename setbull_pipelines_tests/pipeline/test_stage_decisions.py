"""The rollout log over stored tables: evidence is what is stored, and every evaluation is a row."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import dagster as dg
import pandas as pd
import pytest

from setbull_pipelines import tables
from setbull_pipelines.assets.common import asset_key, needs_warehouse
from setbull_pipelines.assets.partitions import trading_days
from setbull_pipelines.assets.rollout import build_rollout_log_asset
from setbull_pipelines.assets.served import build_served_asset
from setbull_pipelines.pipeline.comparing_days import SUMMARY
from setbull_pipelines.pipeline.evidence import _schema_failures
from setbull_pipelines.pipeline.judging import judge
from setbull_pipelines.pipeline.lanes import Part
from setbull_pipelines.pipeline.metrics import collect
from setbull_pipelines.pipeline.rollout_log import read_log
from setbull_pipelines.pipeline.serving import assignment_of, serve, served_table
from setbull_pipelines.pipeline.stage_decisions import (
    evaluate,
    record_actions,
    serving_of,
    stages_in_force,
    states,
)
from setbull_pipelines.quality.processing import METRICS, RULES, TABLES_OF
from setbull_pipelines.quality.rollout_log import LOG
from setbull_pipelines.rollout.bucketing import cohort
from setbull_pipelines.rollout.controller import Verdict
from setbull_pipelines.rollout.log import IllegalLog, LogRow, state_at
from setbull_pipelines.rollout.stages import Component, Stage
from setbull_pipelines.settings import RolloutSettings, Settings
from setbull_pipelines.tables import Table
from setbull_pipelines.warehouse.errors import DamagedPartition
from setbull_pipelines.warehouse.pointers import WHOLE, StoredTable
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests import stored as faults
from setbull_pipelines_tests.pipeline.small_run import (
    SmallRun,
    cut_back_v1,
    failed,
    publish,
    reconciled,
)


def moment() -> datetime:
    return datetime.now(ZoneInfo("Asia/Kolkata"))


def lenient(run: SmallRun, **changes: object) -> Settings:
    """Settings under which twelve instruments and two sessions are enough."""
    values = {"minimum_instruments": 5, "minimum_rows": 1, "sessions_per_stage": 2} | changes
    return replace(run.settings, rollout=RolloutSettings(**values))


def judged(run: SmallRun, settings: Settings, *positions: int) -> dict[str, list[LogRow]]:
    """Evaluate days of the run; the new rows by component."""
    days = [run.days[position] for position in positions]
    rows = evaluate(days, run.warehouse, settings, moment, "test")
    return {
        component.label: [row for row in rows if row.decision.component is component]
        for component in Component
    }


def path(rows: Iterable[LogRow]) -> list[tuple[str, str]]:
    return [(row.decision.verdict.value, row.decision.to_stage.label) for row in rows]


def forced(run: SmallRun, component: Component, stage: Stage, actor: str = "Asha") -> LogRow:
    (row,) = record_actions(
        *([component], Verdict.FORCED, actor, "a test"),
        *(run.warehouse, run.settings, moment, stage),
    )
    return row


def changed_v2(run: SmallRun, table: Table, column: str, value: object) -> None:
    """Another value in the first row of V2 on the first day."""
    stored, key = StoredTable("v2", table), run.days[0].isoformat()
    frame = run.warehouse.read(stored, [key])
    frame.loc[0, column] = value
    publish(run.warehouse, stored, key, frame)


def restore_v2(run: SmallRun, table: Table) -> None:
    """The version before the current one."""
    stored, key = StoredTable("v2", table), run.days[0].isoformat()
    earlier = run.warehouse.history(stored, key)[1]
    run.warehouse.restore(stored, key, earlier.content_hash)


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
        assert path(rows) == [("counted", "off"), ("advanced", "shadow")]
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
    assert path([row]) == [("held", "shadow")]
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
    assert path([row]) == [expected]
    assert (row.decision.evidence.v2_exceptions, row.decision.evidence.cells_unequal) == (1, 0)
    assert row.decision.evidence.decision_differences == 0
    asked = serving_of(
        tables.CANDLES_DAILY, read_log(copied_run.warehouse), copied_run.warehouse, settings.rollout
    )
    list(
        serve(
            *(tables.CANDLES_DAILY, [day], asked.assignment, asked.judged),
            *(copied_run.warehouse, "test"),
        )
    )
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
        assert path(rows) == [("held", "100")], component
        assert rows[0].decision.reason == (
            f"not comparable: {key} (V1 failed in v1.candles_5min {day}: ZeroDivisionError: no)"
        )
    log = read_log(copied_run.warehouse)
    for table in (tables.CANDLES_DAILY, tables.FILTER_RESULTS):
        asked = serving_of(table, log, copied_run.warehouse, RolloutSettings())
        list(serve(table, [day], asked.assignment, asked.judged, copied_run.warehouse, "test"))
        served = copied_run.warehouse.read(served_table(table), [str(day)])
        # Taken back, the instrument would have no row at all.
        assert set(served["variant"]) == {"v2"}
        assert key in set(served["instrument_key"])


def test_days_of_one_run_count_only_for_the_stage_that_they_were_served_under(
    copied_run: SmallRun,
) -> None:
    for rows in judged(copied_run, lenient(copied_run, sessions_per_stage=1), 0, 1).values():
        assert path(rows) == [("advanced", "shadow"), ("held", "shadow")]
        assert rows[1].decision.reason == "evidence of stage off, but the stage is shadow"


def test_a_wrong_cell_of_v2_rolls_its_component_back_and_no_other(copied_run: SmallRun) -> None:
    table = tables.INDICATORS_DAILY
    changed_v2(copied_run, table, "ema_50", 1.0)
    reconciled(copied_run, table, copied_run.days[0])
    rows = judged(copied_run, lenient(copied_run), 0)
    assert path(rows["indicators"]) == [("rolled back", "off")]
    assert "unequal cells" in rows["indicators"][0].decision.reason
    assert path(rows["aggregation"]) == path(rows["sequences"]) == [("counted", "off")]
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
        assert path(rows) == [("rolled back", "off")]
        assert "1 decision differences" in rows[0].decision.reason


def test_a_summary_of_other_rows_than_the_stored_ones_measures_nothing(
    copied_run: SmallRun,
) -> None:
    changed_v2(copied_run, tables.INDICATORS_DAILY, "ema_50", 1.0)
    rows = judged(copied_run, lenient(copied_run), 0)
    assert path(rows["indicators"]) == [("held", "off")]
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


def test_the_kill_switch_is_a_row_and_needs_no_log_to_serve_v1(copied_run: SmallRun) -> None:
    forced(copied_run, Component.SEQUENCES, Stage.FULL)
    settings = lenient(copied_run, kill=True)
    for rows in judged(copied_run, settings, 0).values():
        assert path(rows) == [("killed", "off")]
    faults.damage(copied_run.warehouse, LOG, WHOLE)
    warehouse = copied_run.warehouse
    assert stages_in_force(warehouse, settings.rollout)[Component.SEQUENCES] is Stage.OFF
    with pytest.raises(DamagedPartition):
        stages_in_force(warehouse, RolloutSettings())


def test_a_log_that_was_tampered_with_is_refused(copied_run: SmallRun) -> None:
    forced(copied_run, Component.SEQUENCES, Stage.FULL)
    frame = copied_run.warehouse.read(LOG, [WHOLE])
    publish(copied_run.warehouse, LOG, WHOLE, frame.assign(actor="controller"))
    with pytest.raises(IllegalLog, match="needs a named person"):
        stages_in_force(copied_run.warehouse, RolloutSettings())
    with pytest.raises(IllegalLog, match="needs a named person"):
        judged(copied_run, lenient(copied_run), 0)


def test_rows_written_while_the_clock_was_ahead_stop_nobody_afterwards(tmp_path: Path) -> None:
    """Also then V2 can be turned off at once; the rows keep their order."""
    warehouse, settings = Warehouse(tmp_path), Settings()
    ahead = moment() + timedelta(days=400)
    for verdict, clock in ((Verdict.FORCED, lambda: ahead), (Verdict.KILLED, moment)):
        stage = Stage.SHADOW if verdict is Verdict.FORCED else None
        arguments = ([Component.SEQUENCES], verdict, "Asha", "a test", warehouse, settings, clock)
        record_actions(*arguments, stage)
    rows = read_log(warehouse)
    assert [row.decision.verdict for row in rows] == [Verdict.FORCED, Verdict.KILLED]
    assert [row.when for row in rows] == [ahead, ahead]
    assert state_at(rows, Component.SEQUENCES).stage is Stage.OFF


def test_rows_come_back_as_they_were_written(copied_run: SmallRun) -> None:
    row = forced(copied_run, Component.AGGREGATION, Stage.TEN)
    rows = read_log(copied_run.warehouse)
    assert rows[-1] == row
    assert states(rows)[Component.AGGREGATION].stage is Stage.TEN
    assert states(rows)[Component.SEQUENCES].stage is Stage.OFF


def test_people_acting_at_once_lose_no_row(tmp_path: Path) -> None:
    root, settings = tmp_path / "warehouse", Settings(data_directory=tmp_path)
    actors = [f"person {number}" for number in range(8)]

    def act(actor: str) -> tuple[LogRow, ...]:
        return record_actions(
            *([Component.INDICATORS], Verdict.FORCED, actor, "a test"),
            *(Warehouse(root), settings, moment, Stage.SHADOW),
        )

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(act, actors))
    rows = read_log(Warehouse(root))
    assert sorted(row.actor for row in rows) == actors
    assert [row.number for row in rows] == list(range(1, 9))


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


def test_the_stored_log_is_readable_as_a_table(small_run: SmallRun) -> None:
    frame = small_run.warehouse.read(LOG, [WHOLE])
    assert frame["number"].tolist() == list(range(1, len(frame) + 1))
    assert set(frame["component"]) == {"aggregation", "indicators", "sequences"}
    assert frame["session"].unique().tolist() == [pd.Timestamp(day) for day in small_run.days]
    assert frame["evidence"].str.startswith("{").all()


def cut_back(run: SmallRun, component: Component, stage: Stage) -> dict[str, Part]:
    """The first day as it is after a run in ``stage``, up to the judgement; the parts by table name."""
    days = [run.days[0]]
    forced(run, component, stage)
    parts = {table.name: cut_back_v1(run, table, stage, *days) for table in TABLES_OF[component]}
    for table in TABLES_OF[component]:
        reconciled(run, table, run.days[0])
        if table.name in tables.SERVED:
            assignment = assignment_of(table, stage, run.warehouse, RolloutSettings())
            list(serve(table, days, assignment, days, run.warehouse, "test"))
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
