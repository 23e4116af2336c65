"""Corrections: only what depends on them is computed, and the bytes are those of computing everything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from setbull_pipelines import tables
from setbull_pipelines.pipeline.engine import PartitionResult, StepRun
from setbull_pipelines.pipeline.references import References
from setbull_pipelines.pipeline.steps import STEPS, Step
from setbull_pipelines.pipeline.touched import invalidate
from setbull_pipelines.rollout.stages import Component, Stage
from setbull_pipelines.warehouse.pointers import WHOLE, StoredTable
from setbull_pipelines_tests.pipeline.carrying_out import (
    STEP,
    VARIANTS,
    every_step,
    every_variant,
    variant_with,
)
from setbull_pipelines_tests.pipeline.carrying_out import carry_out as carry_out_step
from setbull_pipelines_tests.pipeline.raw_corrections import (
    COVERAGE,
    DAILY,
    KEY,
    KEYS,
    MINUTES,
    bring_up_to_date,
    change,
    contents,
    dearer,
    from_scratch,
    list_late,
    touched,
)
from setbull_pipelines_tests.pipeline.small_run import IN_FULL, SmallRun, publish


def days_of(run: SmallRun, step: Step) -> list[date]:
    """The sessions that a run publishes of a step, look-backs included."""
    return sorted({*run.looked_back_at("v1", step.outputs[0]), *run.days})


@every_variant
def test_a_corrected_instrument_day_computes_just_what_depends_on_it(
    variant: str, copied_run: SmallRun, tmp_path: Path
) -> None:
    middle = copied_run.looked_back_at("v1", tables.CANDLES_DAILY)[-10]
    first, second = copied_run.days
    warehouse = copied_run.warehouse
    before = {
        (stored.name, key): warehouse.pointer(stored, key)
        for lane in ("v1", "v2", "served", "reconciliation")
        for table in tables.ALL_TABLES
        if lane in table.schemas
        for stored in [StoredTable(lane, table)]
        for key in warehouse.partitions(stored)
    }
    change(copied_run, DAILY, middle, dearer(KEY))
    results = bring_up_to_date(copied_run, variant)

    look_back = copied_run.settings.look_back
    later = [day for day in days_of(copied_run, STEP["indicators_daily"]) if day >= middle]
    assert len(later) == 12 < look_back.sessions_moves
    expected = {("candles_daily", middle): 1}
    expected |= {("indicators_daily", day): 1 for day in later}
    expected |= {
        (name, day): 1
        for name in ("moves_daily", "sequences", "sequence_analysis", "filter_results")
        for day in (first, second)
    }
    found = touched(results)
    # An unchanged result ends a chain early: what follows it is not computed at all.
    assert found.items() <= expected.items()
    assert found.keys() >= {
        *(("indicators_daily", day) for day in later),
        *(("moves_daily", day) for day in (first, second)),
    }
    starts = copied_run.warehouse.read(COVERAGE, [WHOLE])
    for (name, day), count in found.items():
        listed = starts.loc[starts["first_trading_day"] <= pd.Timestamp(day), "instrument_key"]
        assert results[name, day].instruments_kept == listed.nunique() - count > 8

    warehouse = copied_run.warehouse
    after = {
        name: warehouse.pointer(StoredTable(name[0].partition(".")[0], table), name[1])
        for name in before
        for table in tables.ALL_TABLES
        if name[0].endswith(f".{table.name}") and name[0].partition(".")[0] in table.schemas
    }
    changed = {name for name in before if before[name] != after[name]}
    outputs = {
        (f"{variant}.{table.name}", day.isoformat())
        for name, day in expected
        for table in STEP[name].outputs
    }
    assert changed <= outputs
    assert changed >= {(f"{variant}.{name}", day.isoformat()) for name, day in found}

    scratch = from_scratch(copied_run, variant, tmp_path / "scratch")
    assert contents(copied_run, variant) == contents(scratch, variant)


@every_step
@every_variant
def test_computing_some_instruments_gives_their_rows_of_computing_all(
    step: Step, variant: str, small_run: SmallRun
) -> None:
    day = small_run.days[-1]
    run = StepRun(
        *(step, VARIANTS[variant], small_run.warehouse, small_run.settings, "test", IN_FULL)
    )
    frames = {item.table.name: run._windows.read(item, [day], None) for item in step.inputs}
    frames |= References(small_run.warehouse).frames(step, pd.Timestamp(day))

    def computed(keys: Sequence[str]) -> list[pd.DataFrame]:
        outputs = step.compute(
            VARIANTS[variant],
            {
                name: frame
                if name == "history_starts"
                else frame[frame["instrument_key"].isin(keys)].reset_index(drop=True)
                for name, frame in frames.items()
            },
            pd.Timestamp(day),
            small_run.settings,
        )
        return [table.conform(rows) for table, rows in zip(step.outputs, outputs, strict=True)]

    everything = computed(KEYS)
    assert all(len(rows) for rows in everything)

    @settings(max_examples=8, deadline=None)
    @given(st.lists(st.sampled_from(KEYS), unique=True))
    def subset_is_part_of_all(keys: list[str]) -> None:
        for some, rows in zip(computed(keys), everything, strict=True):
            expected = rows[rows["instrument_key"].isin(keys)].reset_index(drop=True)
            pd.testing.assert_frame_equal(some, expected, check_exact=True)

    subset_is_part_of_all()


def test_equal_rows_of_another_source_compute_nothing_and_change_no_row(
    copied_run: SmallRun,
) -> None:
    day, stored = copied_run.days[0], StoredTable("v1", tables.CANDLES_5MIN)
    before = copied_run.warehouse.pointer(stored, day.isoformat())
    change(copied_run, MINUTES, day, lambda rows: rows.assign(source="received again"))
    (result,) = carry_out_step(STEP["candles_5min"], "v1", copied_run, [day])
    assert (result.cached, result.instruments_computed) == (True, None)
    assert result.pointers["candles_5min"] == before


def test_a_correction_outside_the_sample_computes_nothing_and_changes_no_row(
    copied_run: SmallRun,
) -> None:
    day, stored = copied_run.days[0], StoredTable("v1", tables.CANDLES_5MIN)
    sampled = dict.fromkeys(Component, Stage.SAMPLED)

    def carry_out() -> PartitionResult:
        run = StepRun(
            *(STEP["candles_5min"], VARIANTS["v1"], copied_run.warehouse, copied_run.settings),
            *("touched", sampled),
        )
        (result,) = run.over([day])
        return result

    change(copied_run, MINUTES, day, dearer(KEY))
    before = carry_out().pointers["candles_5min"]
    bars = copied_run.warehouse.read(stored, [day.isoformat()])
    outside = sorted(set(KEYS) - set(bars["instrument_key"]))
    assert 0 < len(outside) < len(KEYS)
    change(copied_run, MINUTES, day, dearer(outside[0]))
    result = carry_out()
    after = result.pointers["candles_5min"]
    assert (result.cached, result.instruments_computed) == (True, 0)
    assert result.instruments_kept == bars["instrument_key"].nunique()
    assert after.inputs != before.inputs
    assert after == replace(before, inputs=after.inputs)


def test_one_that_failed_is_tried_again_and_the_others_are_kept(copied_run: SmallRun) -> None:
    day, step = copied_run.days[0], STEP["candles_5min"]
    change(copied_run, MINUTES, day, dearer(KEY))

    def broken(minutes: pd.DataFrame, aggregation) -> pd.DataFrame:
        assert KEY not in set(minutes["instrument_key"])
        return VARIANTS["v1"].to_5min(minutes, aggregation)

    (failed,) = carry_out_step(step, variant_with(to_5min=broken), copied_run, [day])
    assert set(failed.pointers["candles_5min"].failures) == {KEY}
    others = failed.instruments_kept
    assert (failed.instruments_computed, others > 8) == (1, True)
    (still,) = carry_out_step(step, variant_with(to_5min=broken), copied_run, [day])
    assert (still.instruments_computed, still.instruments_kept) == (1, others)
    (healed,) = carry_out_step(step, "v1", copied_run, [day])
    assert (healed.instruments_computed, healed.instruments_kept) == (1, others)
    assert not healed.pointers["candles_5min"].failures


def test_v1_in_samples_and_in_full_again_has_the_bytes_of_computing_everything(
    copied_run: SmallRun, tmp_path: Path
) -> None:
    sampled = dict.fromkeys(Component, Stage.SAMPLED)
    bring_up_to_date(copied_run, "v2")
    for day in copied_run.days:
        change(copied_run, MINUTES, day, dearer(KEY))
    bring_up_to_date(copied_run, "v2")
    bring_up_to_date(copied_run, "v1", sampled)
    change(copied_run, MINUTES, copied_run.days[0], dearer(KEYS[5]))
    bring_up_to_date(copied_run, "v2")
    bring_up_to_date(copied_run, "v1", sampled)
    bring_up_to_date(copied_run, "v1")
    scratch = from_scratch(copied_run, "v1", tmp_path / "scratch")
    assert contents(copied_run, "v1") == contents(scratch, "v1")


def test_lost_hashes_mean_computing_all_with_the_same_bytes(copied_run: SmallRun) -> None:
    day, stored = copied_run.days[0], StoredTable("v1", tables.CANDLES_5MIN)
    before = copied_run.warehouse.pointer(stored, day.isoformat())
    (copied_run.warehouse.root / before.hashes_file).unlink()
    copied_run.warehouse.invalidate(stored, day.isoformat(), KEY)
    (result,) = carry_out_step(STEP["candles_5min"], "v1", copied_run, [day])
    assert (result.instruments_kept, result.cached) == (0, False)
    assert result.pointers["candles_5min"].content_hash == before.content_hash


def test_an_instrument_that_is_gone_leaves_and_nobody_is_computed(copied_run: SmallRun) -> None:
    day, stored = copied_run.days[0], StoredTable("v2", tables.CANDLES_5MIN)
    before = copied_run.warehouse.read(stored, [day.isoformat()])
    change(copied_run, MINUTES, day, lambda rows: rows[rows["instrument_key"] != KEY])
    (result,) = carry_out_step(STEP["candles_5min"], "v2", copied_run, [day])
    assert (result.instruments_computed, result.cached) == (0, False)
    after = copied_run.warehouse.read(stored, [day.isoformat()])
    expected = before[before["instrument_key"] != KEY].reset_index(drop=True)
    pd.testing.assert_frame_equal(after, expected)


@every_variant
def test_a_new_listing_without_a_trade_on_its_first_days_is_the_same_computed_alone(
    variant: str, copied_run: SmallRun, tmp_path: Path
) -> None:
    sessions = list_late(copied_run, first_bar=18, listed=15)
    bring_up_to_date(copied_run, variant)
    change(copied_run, DAILY, copied_run.days[0], dearer(KEY))
    counts = touched(bring_up_to_date(copied_run, variant))
    assert set(counts.values()) == {1}
    indicators = StoredTable(variant, tables.INDICATORS_DAILY)
    rows = copied_run.warehouse.read(indicators, [sessions[-1].isoformat()])
    of_key = rows[(rows["instrument_key"] == KEY) & (rows["series"] == "exchange")]
    # 56 bars are enough for a new listing and too few for any other.
    assert of_key[["bars_of_history", "is_warm"]].values.tolist() == [[56, True]]
    scratch = from_scratch(copied_run, variant, tmp_path / "scratch")
    assert contents(copied_run, variant) == contents(scratch, variant)


def test_what_says_since_when_there_are_bars_at_all_touches_everybody(
    copied_run: SmallRun,
) -> None:
    """A series is a new listing when it begins after the first one of all."""
    starts = copied_run.warehouse.read(COVERAGE, [WHOLE])
    daily = starts["series"] == "exchange"
    first = starts.loc[daily, "first_trading_day"].min()
    old = daily & (starts["first_trading_day"] == first)
    of_key = daily & (starts["instrument_key"] == KEY)
    starts.loc[old & ~of_key, "first_trading_day"] += pd.Timedelta(days=1)
    publish(copied_run.warehouse, COVERAGE, WHOLE, starts)
    bring_up_to_date(copied_run, "v2")
    starts.loc[of_key, "first_trading_day"] += pd.Timedelta(days=1)
    publish(copied_run.warehouse, COVERAGE, WHOLE, starts)
    counts = touched(bring_up_to_date(copied_run, "v2"))
    assert counts["indicators_daily", copied_run.days[0]] > 8


def test_an_invalidated_instrument_alone_is_computed_again_in_both_variants(
    small_run: SmallRun, copied_run: SmallRun
) -> None:
    first, second = copied_run.days
    marked = invalidate(copied_run.warehouse, KEY, first, first)
    assert (marked.first, marked.last) == (first, first)
    assert marked.partitions == {
        StoredTable(lane, table).name: 1
        for table in tables.COMPUTED_TABLES
        for lane in ("v1", "v2")
    }
    for variant in ("v1", "v2"):
        # The same rows come out, so that nothing follows on other days.
        assert touched(bring_up_to_date(copied_run, variant)) == {
            (step.name, first): 1 for step in STEPS
        }
        assert touched(bring_up_to_date(copied_run, variant)) == {}
        assert contents(copied_run, variant) == contents(small_run, variant)
    assert invalidate(copied_run.warehouse, "NSE_EQ|NOBODY", None, None) is None
    assert invalidate(copied_run.warehouse, KEY, second + pd.Timedelta(days=1), None) is None
