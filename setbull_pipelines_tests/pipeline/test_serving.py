"""The served tables: whole series of the assigned variant, for every instrument, over the whole history."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest

from setbull_pipelines import tables
from setbull_pipelines.pipeline.comparing_days import outputs_of
from setbull_pipelines.pipeline.lanes import COMPONENT_OF
from setbull_pipelines.pipeline.serving import (
    WITHHELD,
    Assignment,
    Serving,
    assignment_of,
    days_cut_back,
    read_served,
    served_day,
    served_table,
)
from setbull_pipelines.pipeline.serving_days import serve_one
from setbull_pipelines.rollout.bucketing import Override, Variant, cohort
from setbull_pipelines.rollout.stages import Component, Stage
from setbull_pipelines.settings import RolloutSettings
from setbull_pipelines.tables import Table
from setbull_pipelines.warehouse.errors import MissingPartition
from setbull_pipelines.warehouse.pointers import Failure, StoredTable
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests.pipeline.small_run import (
    SmallRun,
    cut_back_v1,
    failed,
    forget,
    publish,
    reconciled,
    served_in,
)

TABLES = [table for table in tables.COMPUTED_TABLES if table.name in tables.SERVED]
every_table = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
DAILY = tables.CANDLES_DAILY
WITHIN_TOLERANCE = 1 + 1e-12


def rows(warehouse: Warehouse, schema: str, table: Table, day: date) -> pd.DataFrame:
    stored = served_table(table) if schema == "served" else StoredTable(schema, table)
    return warehouse.read(stored, [day.isoformat()])


def variant_of(run: SmallRun, table: Table, day: date) -> dict[str, str]:
    """The one variant of each instrument."""
    pairs = rows(run.warehouse, "served", table, day)[["instrument_key", "variant"]]
    pairs = pairs.drop_duplicates()
    assert pairs["instrument_key"].is_unique, "an instrument was served from two variants"
    return dict(pairs.itertuples(index=False))


def marked_v2(run: SmallRun, table: Table, day: date, column: str, factor: float) -> None:
    """Give V2 values that V1 does not have, so that the lanes can be told apart, and compare them."""
    frame = rows(run.warehouse, "v2", table, day)
    stored = StoredTable("v2", table)
    publish(
        run.warehouse, stored, day.isoformat(), frame.assign(**{column: frame[column] * factor})
    )
    reconciled(run, table, day)


def test_every_served_table_is_a_computed_one_with_its_variant() -> None:
    assert set(tables.SERVED) == {table.name for table in TABLES}
    for table in TABLES:
        served = tables.SERVED[table.name]
        assert served.column_names == [*table.column_names, "variant"]
        assert served.key == table.key
        assert served.rules == table.rules
        assert not served.column("variant").nullable


@every_table
def test_a_run_serves_v1_to_all_by_default(table: Table, small_run: SmallRun) -> None:
    for day in small_run.days:
        served = rows(small_run.warehouse, "served", table, day)
        assert set(served["variant"]) == {"v1"}
        v1 = rows(small_run.warehouse, "v1", table, day)
        assert len(v1) > 0
        pd.testing.assert_frame_equal(served.drop(columns="variant"), v1)


@every_table
@pytest.mark.parametrize("stage", [Stage.FIFTY, Stage.FULL, Stage.RETIRED])
def test_a_stage_serves_its_cohort_from_v2_and_all_others_from_v1(
    table: Table, stage: Stage, copied_run: SmallRun
) -> None:
    day = copied_run.days[0]
    served_in(copied_run, table, stage, [day])
    variants = variant_of(copied_run, table, day)
    keys = sorted(set(rows(copied_run.warehouse, "v1", table, day)["instrument_key"]))
    inside = cohort(keys, COMPONENT_OF[table.name].flag, stage.percentage)
    expected = {key: "v2" if on_v2 else "v1" for key, on_v2 in zip(keys, inside, strict=True)}
    assert variants == expected
    assert "v2" in variants.values()


def test_the_rows_are_those_of_the_lane_the_column_names(copied_run: SmallRun) -> None:
    day, table = copied_run.days[0], tables.INDICATORS_5MIN
    marked_v2(copied_run, table, day, "ema_50", WITHIN_TOLERANCE)
    served_in(copied_run, table, Stage.FIFTY, [day])
    served = rows(copied_run.warehouse, "served", table, day)
    assert set(served["variant"]) == {"v1", "v2"}
    for variant, found in served.groupby("variant"):
        lane = rows(copied_run.warehouse, variant, table, day)
        expected = lane[lane["instrument_key"].isin(found["instrument_key"])]
        pd.testing.assert_frame_equal(
            found.drop(columns="variant").reset_index(drop=True), expected.reset_index(drop=True)
        )


def test_another_assignment_serves_every_stored_day_again(copied_run: SmallRun) -> None:
    first, second = copied_run.days
    assert served_in(copied_run, DAILY, Stage.FULL, [second]) == {first: False, second: False}
    for day in (first, second):
        assert set(variant_of(copied_run, DAILY, day).values()) == {"v2"}
    # The same assignment again touches only the asked day, and computes nothing.
    assert served_in(copied_run, DAILY, Stage.FULL, [second]) == {second: True}
    assert served_in(copied_run, DAILY, Stage.OFF, [second]) == {first: False, second: False}
    assert set(variant_of(copied_run, DAILY, first).values()) == {"v1"}


def test_a_stage_that_changes_nobodys_variant_makes_nothing_stale(copied_run: SmallRun) -> None:
    assert served_in(copied_run, DAILY, Stage.SHADOW, copied_run.days) == dict.fromkeys(
        copied_run.days, True
    )


def test_changed_rows_of_a_lane_are_served_again(copied_run: SmallRun) -> None:
    first, second = copied_run.days
    marked_v2(copied_run, tables.INDICATORS_5MIN, second, "ema_50", WITHIN_TOLERANCE)
    found = served_in(copied_run, tables.INDICATORS_5MIN, Stage.OFF, [first, second])
    assert found == {first: True, second: False}


def test_an_instrument_without_rows_in_v2_falls_back_to_v1_and_is_counted(
    copied_run: SmallRun,
) -> None:
    day = copied_run.days[0]
    lost = rows(copied_run.warehouse, "v2", DAILY, day)["instrument_key"].iloc[0]
    failed(copied_run, "v2", [DAILY], lost, day)
    served_in(copied_run, DAILY, Stage.FULL, [day])
    variants = variant_of(copied_run, DAILY, day)
    assert variants.pop(lost) == "v1"
    assert set(variants.values()) == {"v2"}
    counted = served_day(DAILY, day, copied_run.warehouse)
    assert (counted.instruments, counted.fallbacks, counted.from_v2) == (12, 1, 11)
    assert counted.share == pytest.approx(11 / 12)
    failures = copied_run.warehouse.pointer(served_table(DAILY), day.isoformat()).failures
    assert failures == {lost: Failure(f"v2.candles_daily {day}", "ZeroDivisionError: no")}


@pytest.mark.parametrize("stage", [Stage.TEN, Stage.FIFTY, Stage.FULL])
@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("differs", "diverged: "),
        ("lacks rows", "diverged: "),
        ("was not compared again", "the rows that are stored were not compared"),
        ("was never compared", "the rows that are stored were not compared"),
        ("was not judged", "the session was not judged"),
    ],
)
def test_v2_is_served_to_nobody_on_a_day_on_which_it_did_not_prove_equal(
    how: str, reason: str, stage: Stage, copied_run: SmallRun
) -> None:
    first, second = copied_run.days
    table, warehouse = tables.INDICATORS_5MIN, copied_run.warehouse
    judged = copied_run.days
    v2 = rows(warehouse, "v2", table, second)
    if how == "differs":
        marked_v2(copied_run, table, second, "ema_50", 1 + 1e-7)
    elif how == "lacks rows":
        publish(warehouse, StoredTable("v2", table), str(second), v2.iloc[1:])
        reconciled(copied_run, table, second)
    elif how == "was not compared again":
        publish(
            *(warehouse, StoredTable("v2", table), str(second)),
            v2.assign(ema_50=v2["ema_50"] * WITHIN_TOLERANCE),
        )
    elif how == "was never compared":
        forget(warehouse, outputs_of(table)[2], second)
    else:
        judged = (first,)
    assignment = assignment_of(table, stage, warehouse, RolloutSettings())
    results = list(serve_one(table, [second], Serving(assignment, judged), warehouse, "test"))
    assert [result.day for result in results] == [first, second]
    withheld = results[1].pointers[table.name].inputs[WITHHELD]
    assert withheld.startswith(reason)
    assert WITHHELD not in results[0].pointers[table.name].inputs
    served = rows(warehouse, "served", table, second)
    pd.testing.assert_frame_equal(
        served.drop(columns="variant"), rows(warehouse, "v1", table, second)
    )
    assert set(served["variant"]) == {"v1"}
    if stage is Stage.FULL:
        assert set(variant_of(copied_run, table, first).values()) == {"v2"}
    # Once it is compared and judged, it is what is assigned, and the day is served again.
    if how in ("was not compared again", "was never compared", "was not judged"):
        reconciled(copied_run, table, second)
        list(serve_one(table, [second], Serving(assignment, copied_run.days), warehouse, "test"))
        assert variant_of(copied_run, table, second) == variant_of(copied_run, table, first)


def test_an_absent_v2_is_served_from_v1_and_an_absent_v1_is_refused(copied_run: SmallRun) -> None:
    day = copied_run.days[0]
    forget(copied_run.warehouse, StoredTable("v2", DAILY), day)
    served_in(copied_run, DAILY, Stage.FULL, [day])
    assert set(variant_of(copied_run, DAILY, day).values()) == {"v1"}
    forget(copied_run.warehouse, StoredTable("v1", DAILY), day)
    with pytest.raises(MissingPartition, match=r"needs v1\.candles_daily"):
        served_in(copied_run, DAILY, Stage.FULL, [day])


def test_an_instrument_only_in_v2_is_not_served_unless_assigned_to_it(
    copied_run: SmallRun,
) -> None:
    day = copied_run.days[0]
    extra = rows(copied_run.warehouse, "v1", DAILY, day)["instrument_key"].iloc[0]
    failed(copied_run, "v1", [DAILY], extra, day)
    served_in(copied_run, DAILY, Stage.SHADOW, [day])
    assert extra not in variant_of(copied_run, DAILY, day)
    assert served_day(DAILY, day, copied_run.warehouse).not_served == 1
    served_in(copied_run, DAILY, Stage.FULL, [day])
    assert variant_of(copied_run, DAILY, day)[extra] == "v2"


def test_readers_get_v1_under_the_kill_switch_whatever_is_served(copied_run: SmallRun) -> None:
    day = copied_run.days[0]
    served_in(copied_run, DAILY, Stage.FULL, [day])
    for kill, expected in ((False, "v2"), (True, "v1")):
        found = read_served(DAILY, [day], copied_run.warehouse, RolloutSettings(kill=kill))
        assert set(found.pop("variant")) == {expected}
        pd.testing.assert_frame_equal(found, rows(copied_run.warehouse, expected, DAILY, day))
    forget(copied_run.warehouse, StoredTable("v1", DAILY), day)
    with pytest.raises(MissingPartition, match=r"v1\.candles_daily"):
        read_served(DAILY, [day], copied_run.warehouse, RolloutSettings(kill=True))


def test_overrides_win_and_a_frozen_instrument_keeps_its_variant(copied_run: SmallRun) -> None:
    day = copied_run.days[0]
    keys = sorted(variant_of(copied_run, DAILY, day))
    forced, held, frozen = keys[:3]
    overrides = RolloutSettings(force_v2=(forced,), force_v1=(held,))
    served_in(copied_run, DAILY, Stage.SHADOW, [day], overrides)
    assert [key for key, name in variant_of(copied_run, DAILY, day).items() if name == "v2"] == [
        forced
    ]
    served_in(copied_run, DAILY, Stage.FULL, [day], overrides)
    assert [key for key, name in variant_of(copied_run, DAILY, day).items() if name == "v1"] == [
        held
    ]
    # Everything was on V2 but one; going back to shadow leaves the frozen one where it was.
    served_in(copied_run, DAILY, Stage.SHADOW, [day], RolloutSettings(freeze=(frozen, held)))
    variants = variant_of(copied_run, DAILY, day)
    assert variants[frozen] == "v2"
    assert variants[held] == "v1"
    assert list(variants.values()).count("v2") == 1


def test_the_kill_switch_of_the_settings_serves_v1_in_every_stage(copied_run: SmallRun) -> None:
    key = sorted(variant_of(copied_run, DAILY, copied_run.days[0]))[0]
    served_in(copied_run, DAILY, Stage.FULL, copied_run.days)
    kill = RolloutSettings(kill=True, force_v2=(key,))
    served_in(copied_run, DAILY, Stage.FULL, copied_run.days[:1], kill)
    for day in copied_run.days:
        assert set(variant_of(copied_run, DAILY, day).values()) == {"v1"}


def test_the_hash_of_an_assignment_follows_the_variants_and_nothing_else() -> None:
    def hash_of(stage: Stage, overrides: dict[str, Override] | None = None, **previous: Variant):
        return Assignment(Component.INDICATORS, stage, overrides or {}, previous).hash

    assert hash_of(Stage.OFF) == hash_of(Stage.SHADOW)
    assert hash_of(Stage.FULL) == hash_of(Stage.SAMPLED) == hash_of(Stage.RETIRED)
    differing = {hash_of(stage) for stage in (Stage.OFF, Stage.TEN, Stage.FIFTY, Stage.FULL)}
    assert len(differing) == 4
    forced = {"a": Override.FORCE_V2}
    assert hash_of(Stage.SHADOW, forced) != hash_of(Stage.SHADOW)
    assert hash_of(Stage.OFF, forced) == hash_of(Stage.OFF)
    frozen = {"a": Override.FREEZE}
    assert hash_of(Stage.TEN, frozen, a=Variant.V2) != hash_of(Stage.TEN, frozen, a=Variant.V1)
    other = Assignment(Component.SEQUENCES, Stage.TEN, {}, {})
    assert other.hash != hash_of(Stage.TEN)


@every_table
@pytest.mark.parametrize("stage", [Stage.SAMPLED, Stage.RETIRED])
def test_v2_is_served_to_all_where_v1_is_cut_back_whatever_the_overrides(
    table: Table, stage: Stage, copied_run: SmallRun
) -> None:
    day = copied_run.days[0]
    cut_back_v1(copied_run, table, stage, day)
    held = rows(copied_run.warehouse, "v2", table, day)["instrument_key"].iloc[0]
    served_in(copied_run, table, stage, [day], RolloutSettings(force_v1=(held,)))
    served = rows(copied_run.warehouse, "served", table, day)
    assert set(served["variant"]) == {"v2"}
    v2 = rows(copied_run.warehouse, "v2", table, day)
    pd.testing.assert_frame_equal(served.drop(columns="variant"), v2)


def test_an_instrument_that_v2_lost_is_served_from_the_sample_of_v1(copied_run: SmallRun) -> None:
    day = copied_run.days[0]
    part = cut_back_v1(copied_run, DAILY, Stage.SAMPLED, day)
    v2 = rows(copied_run.warehouse, "v2", DAILY, day)
    lost = min(part.of(v2["instrument_key"]))
    kept = v2[v2["instrument_key"] != lost]
    publish(copied_run.warehouse, StoredTable("v2", DAILY), day.isoformat(), kept)
    served_in(copied_run, DAILY, Stage.SAMPLED, [day])
    variants = variant_of(copied_run, DAILY, day)
    assert [key for key, variant in variants.items() if variant == "v1"] == [lost]


@pytest.mark.parametrize("cut", [Stage.SAMPLED, Stage.RETIRED])
@pytest.mark.parametrize("stage", [Stage.OFF, Stage.SHADOW, Stage.FIFTY, Stage.FULL])
def test_a_stage_that_runs_v1_in_full_serves_nothing_from_a_part_of_it(
    cut: Stage, stage: Stage, copied_run: SmallRun
) -> None:
    day = copied_run.days[0]
    part = cut_back_v1(copied_run, DAILY, cut, day)
    with pytest.raises(MissingPartition) as caught:
        served_in(copied_run, DAILY, stage, [day])
    assert str(caught.value) == (
        f"v1.candles_daily {day} cannot be served to all: {part.sentence} on that day; with V1 in force "
        f"complete it by: setbull run --from {day} --to {day}"
    )


def test_the_kill_switch_does_not_pass_a_part_of_v1_off_as_all_of_it(copied_run: SmallRun) -> None:
    first, second = copied_run.days
    cut_back_v1(copied_run, DAILY, Stage.SAMPLED, first)
    kill = RolloutSettings(kill=True)
    with pytest.raises(MissingPartition, match="cannot be served to all"):
        read_served(DAILY, [first, second], copied_run.warehouse, kill)
    whole = read_served(DAILY, [second], copied_run.warehouse, kill)
    assert whole["instrument_key"].nunique() == 12
    assert days_cut_back(DAILY, copied_run.warehouse) == [first.isoformat()]
    assert days_cut_back(tables.FILTER_RESULTS, copied_run.warehouse) == []
