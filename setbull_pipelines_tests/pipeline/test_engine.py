"""The engine: same bytes alone or in a range, nothing computed twice, nothing half published."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import date
from types import SimpleNamespace

import pandas as pd
import psutil
import pytest

from setbull_pipelines import tables, variants
from setbull_pipelines.pipeline import engine
from setbull_pipelines.pipeline.engine import PartitionResult, StepRun
from setbull_pipelines.pipeline.steps import STEPS, Step
from setbull_pipelines.settings import Settings
from setbull_pipelines.variants.protocol import Variant
from setbull_pipelines.warehouse.errors import MissingPartition
from setbull_pipelines.warehouse.pointers import WHOLE, Failure, StoredTable
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests.pipeline.small_run import IN_FULL, SmallRun, forget, publish

VARIANTS = {"v1": variants.V1, "v2": variants.V2}
STEP = {step.name: step for step in STEPS}
ALL_STEPS = set(STEP)
WIDTHS = {"bb_width_daily", "bb_width_alerts"}
CANDLES_1MIN = StoredTable("raw", tables.CANDLES_1MIN)
COVERAGE = StoredTable("raw", tables.COVERAGE)

every_step = pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
every_variant = pytest.mark.parametrize("variant", ["v1", "v2"])


def carry_out(
    step: Step,
    variant: str | Variant,
    run: SmallRun,
    days: Sequence[date],
    settings: Settings | None = None,
) -> list[PartitionResult]:
    variant = VARIANTS[variant] if isinstance(variant, str) else variant
    settings = settings or run.settings
    return list(StepRun(step, variant, run.warehouse, settings, "test", IN_FULL).over(days))


def steps_recomputed(
    run: SmallRun, variant: str, day: date, settings: Settings | None = None
) -> set[str]:
    """Carry out the whole chain for one day and tell which steps did not come from the cache."""
    return {
        step.name
        for step in STEPS
        for result in carry_out(step, variant, run, [day], settings)
        if not result.cached
    }


def hashes(warehouse: Warehouse, step: Step, variant: str, day: date) -> dict[str, str]:
    outputs = [StoredTable(variant, table) for table in step.outputs]
    return {
        stored.name: warehouse.pointer(stored, day.isoformat()).content_hash for stored in outputs
    }


def raised(frame: pd.DataFrame) -> pd.DataFrame:
    """The candles with the price of their first row raised in full, so that they stay possible."""
    changed = frame.copy()
    for name in ("open", "high", "low", "close"):
        changed.loc[0, name] += 1000.0
    return changed


@every_variant
@every_step
def test_a_day_alone_has_the_bytes_of_the_day_in_a_range(
    step: Step, variant: str, small_run: SmallRun, copied_run: SmallRun
) -> None:
    for day in small_run.days:
        in_range = hashes(small_run.warehouse, step, variant, day)
        for table in step.outputs:
            forget(copied_run.warehouse, StoredTable(variant, table), day)
        (result,) = carry_out(step, variant, copied_run, [day])
        assert not result.cached
        assert hashes(copied_run.warehouse, step, variant, day) == in_range
        assert sum(pointer.rows for pointer in result.pointers.values()) > 0


@every_variant
def test_nothing_is_computed_twice(
    variant: str, small_run: SmallRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StepRun, "_compute", lambda *arguments: pytest.fail("computed again"))
    for step in STEPS:
        results = carry_out(step, variant, small_run, small_run.days)
        assert [(result.day, result.cached) for result in results] == [
            (day, True) for day in small_run.days
        ]


def test_days_are_done_in_order_whatever_the_order_asked(copied_run: SmallRun) -> None:
    results = carry_out(STEP["candles_5min"], "v1", copied_run, copied_run.days[::-1])
    assert [result.day for result in results] == list(copied_run.days)


@pytest.mark.parametrize(
    ("group", "change", "recomputed"),
    [
        # Daily candles come out the same, so what is computed from them stays as it is.
        (
            "aggregation",
            {"bar_minutes": 15},
            {"candles_5min", "candles_daily", "indicators_5min", *WIDTHS},
        ),
        # moves_daily reads the changed indicators, its prices are the same: what follows it stays as it is.
        (
            "indicators",
            {"warm_margin_bars": 150},
            {"indicators_5min", *WIDTHS, "indicators_daily", "moves_daily", "filter_results"},
        ),
        (
            "look_back",
            {"sessions_5min": 1},
            {"indicators_5min", *WIDTHS, "indicators_daily", "moves_daily", "filter_results"},
        ),
        (
            "sequences",
            {"long_run_days": 5},
            {"moves_daily", "sequences", "sequence_analysis", "filter_results"},
        ),
        ("filters", {"minimum_close": 60.0}, {"filter_results"}),
        ("bb_width", {"range_percent": 0.2}, WIDTHS),
        ("alerts", {"bb_width_per_hour": 5}, set()),
        ("reconciliation", {"sample_cells": 3}, set()),
        ("quality", {"minimum_delivered_share": 0.5}, set()),
        ("storage", {"keep_versions": 5, "intermediate_days": 1}, set()),
        ("processing", {"instruments_per_chunk": 1, "sessions_per_chunk": 1, "workers": 1}, set()),
    ],
)
def test_a_changed_setting_recomputes_what_depends_on_it(
    group: str, change: dict, recomputed: set[str], copied_run: SmallRun
) -> None:
    changed = dataclasses.replace(getattr(copied_run.settings, group), **change)
    settings = dataclasses.replace(copied_run.settings, **{group: changed})
    day = copied_run.days[-1]
    assert steps_recomputed(copied_run, "v2", day, settings) == recomputed
    assert steps_recomputed(copied_run, "v2", day, settings) == set()


def test_changed_code_of_a_variant_recomputes_that_variant_alone(
    copied_run: SmallRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = engine.variant_code_version
    monkeypatch.setattr(
        engine, "variant_code_version", lambda name: "changed" if name == "v2" else known(name)
    )
    day = copied_run.days[0]
    before = [hashes(copied_run.warehouse, step, "v2", day) for step in STEPS]
    assert steps_recomputed(copied_run, "v1", day) == set()
    assert steps_recomputed(copied_run, "v2", day) == ALL_STEPS
    assert [hashes(copied_run.warehouse, step, "v2", day) for step in STEPS] == before


@every_variant
def test_a_changed_input_recomputes_the_days_that_read_it(
    variant: str, copied_run: SmallRun
) -> None:
    first, second = copied_run.days
    warehouse = copied_run.warehouse
    minutes = warehouse.read(CANDLES_1MIN, [first.isoformat()])
    publish(warehouse, CANDLES_1MIN, first.isoformat(), raised(minutes))

    def recomputed(name: str) -> list[date]:
        results = carry_out(STEP[name], variant, copied_run, copied_run.days)
        return [result.day for result in results if not result.cached]

    assert recomputed("candles_5min") == [first]
    assert recomputed("candles_daily") == [first]
    assert recomputed("indicators_5min") == [first, second]  # the second looks back at the first
    assert recomputed("indicators_daily") == [first, second]


@every_variant
@every_step
def test_a_damaged_file_is_computed_again(
    step: Step, variant: str, small_run: SmallRun, copied_run: SmallRun
) -> None:
    day = copied_run.days[0]
    stored = StoredTable(variant, step.outputs[-1])
    (path,) = copied_run.warehouse.files(stored, [day.isoformat()])
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()  # it is a link to the file of the run that other tests read
    path.write_bytes(content)
    is_whole = {
        each: copied_run.warehouse.verify(stored, each.isoformat()) for each in copied_run.days
    }
    assert not is_whole[day]

    results = carry_out(step, variant, copied_run, copied_run.days)

    assert {result.day: result.cached for result in results} == is_whole
    assert copied_run.warehouse.verify(stored, day.isoformat())
    assert hashes(copied_run.warehouse, step, variant, day) == hashes(
        small_run.warehouse, step, variant, day
    )


def test_a_missing_look_back_is_named(copied_run: SmallRun) -> None:
    day = copied_run.days[0]
    absent = copied_run.looked_back_at("v1", tables.CANDLES_DAILY)[-5]
    forget(copied_run.warehouse, StoredTable("v1", tables.CANDLES_DAILY), absent)
    with pytest.raises(MissingPartition) as caught:
        carry_out(STEP["indicators_daily"], "v1", copied_run, [day])
    assert str(caught.value) == (
        f"v1/indicators_daily {day} needs v1.candles_daily of 1 session(s) from {absent} to {absent} "
        f"that were never materialized; materialize them first, or run: setbull run --from {day} --to {day}"
    )


@every_variant
def test_a_day_without_rows_is_published_with_its_reason(
    variant: str, copied_run: SmallRun
) -> None:
    day = copied_run.days[0]
    warehouse = copied_run.warehouse
    publish(warehouse, CANDLES_1MIN, day.isoformat(), tables.CANDLES_1MIN.empty())
    (result,) = carry_out(STEP["candles_5min"], variant, copied_run, [day])
    pointer = result.pointers["candles_5min"]
    assert pointer.rows == 0
    assert pointer.note == "no rows: nothing to compute from the rows read (candles_1min 0)"
    stored = StoredTable(variant, tables.CANDLES_5MIN)
    assert warehouse.read(stored, [day.isoformat()]).empty


@every_variant
def test_only_the_start_of_a_history_matters_not_its_end(
    variant: str, copied_run: SmallRun
) -> None:
    warehouse, day = copied_run.warehouse, copied_run.days[-1]
    coverage = warehouse.read(COVERAGE, [WHOLE])
    later = coverage.assign(
        last_trading_day=coverage["last_trading_day"] + pd.Timedelta(days=1),
        rows=coverage["rows"] + 1,
    )
    publish(warehouse, COVERAGE, WHOLE, later)
    assert steps_recomputed(copied_run, variant, day) == set()

    newest = coverage["first_trading_day"].idxmax()
    earlier = coverage.copy()
    earlier.loc[newest, "first_trading_day"] = coverage["first_trading_day"].min()
    publish(warehouse, COVERAGE, WHOLE, earlier)
    assert {"indicators_5min", "indicators_daily"} <= steps_recomputed(copied_run, variant, day)


def variant_with(**functions) -> SimpleNamespace:
    """V1 with some functions replaced."""
    names = [name for name in variants.V1.__all__ if name not in functions]
    return SimpleNamespace(**{name: getattr(variants.V1, name) for name in names}, **functions)


def failing_for(key: str, day: date) -> SimpleNamespace:
    """V1 that cannot make 5-minute bars of one instrument on one day."""

    def to_5min(minutes: pd.DataFrame, settings) -> pd.DataFrame:
        touched = (minutes["instrument_key"] == key) & (minutes["trading_day"] == pd.Timestamp(day))
        if touched.any():
            raise ZeroDivisionError("a bar\nof nothing")
        return variants.V1.to_5min(minutes, settings)

    return variant_with(to_5min=to_5min)


def without_key(frame: pd.DataFrame, key: str) -> pd.DataFrame:
    return frame[frame["instrument_key"] != key].reset_index(drop=True)


def test_an_instrument_that_fails_is_left_out_and_so_is_what_follows_until_it_is_mended(
    copied_run: SmallRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = copied_run.days
    candles, indicators = STEP["candles_5min"], STEP["indicators_5min"]
    monkeypatch.setattr(engine, "variant_code_version", lambda name: "changed")

    def stored(step: Step, day: date) -> pd.DataFrame:
        table = StoredTable("v1", step.outputs[0])
        return copied_run.warehouse.read(table, [day.isoformat()])

    def failed(step: Step, day: date) -> dict[str, Failure]:
        table = StoredTable("v1", step.outputs[0])
        return dict(copied_run.warehouse.pointer(table, day.isoformat()).failures)

    good = {
        (step, day): stored(step, day) for step in (candles, indicators) for day in (first, second)
    }
    key = good[candles, first]["instrument_key"].iloc[200]
    broken = failing_for(key, first)
    for step in (candles, indicators):
        assert not any(
            result.cached for result in carry_out(step, broken, copied_run, (first, second))
        )

    failure = Failure(f"v1.candles_5min {first}", "ZeroDivisionError: a bar of nothing")
    assert failed(candles, first) == {key: failure}
    assert failed(candles, second) == {}
    # Indicators of the second day look back at the first: with its bars missing they would be wrong.
    assert failed(indicators, first) == failed(indicators, second) == {key: failure}
    pd.testing.assert_frame_equal(stored(candles, first), without_key(good[candles, first], key))
    pd.testing.assert_frame_equal(stored(candles, second), good[candles, second])
    for day in (first, second):
        pd.testing.assert_frame_equal(
            stored(indicators, day), without_key(good[indicators, day], key)
        )

    # Asked again, the same code tries again; when it works, everything is as it was.
    for step in (candles, indicators):
        carry_out(step, "v1", copied_run, (first, second))
        for day in (first, second):
            assert failed(step, day) == {}
            pd.testing.assert_frame_equal(stored(step, day), good[step, day])


def test_rows_that_break_the_contract_are_a_failure_of_their_instrument_alone(
    copied_run: SmallRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, days = STEP["candles_5min"], copied_run.days
    stored = StoredTable("v1", tables.CANDLES_5MIN)
    monkeypatch.setattr(engine, "variant_code_version", lambda name: "changed")
    before = {day: copied_run.warehouse.read(stored, [day.isoformat()]) for day in days}
    key = before[days[-1]]["instrument_key"].iloc[-1]

    def negative_volume_of_one_on_the_last_day(minutes: pd.DataFrame, settings) -> pd.DataFrame:
        bars = variants.V1.to_5min(minutes, settings)
        wrong = (bars["trading_day"] == pd.Timestamp(days[-1])) & (bars["instrument_key"] == key)
        return bars.assign(volume=bars["volume"].where(~wrong, -1))

    broken = variant_with(to_5min=negative_volume_of_one_on_the_last_day)
    carry_out(step, broken, copied_run, days)

    pointers = [copied_run.warehouse.pointer(stored, day.isoformat()) for day in days]
    assert [set(pointer.failures) for pointer in pointers] == [set(), {key}]
    assert "volume: expected greater_than_or_equal_to(0)" in pointers[-1].failures[key].error
    after = {day: copied_run.warehouse.read(stored, [day.isoformat()]) for day in days}
    pd.testing.assert_frame_equal(after[days[0]], before[days[0]])
    pd.testing.assert_frame_equal(after[days[-1]], without_key(before[days[-1]], key))


def test_a_second_table_that_breaks_its_contract_takes_the_instrument_out_of_both(
    copied_run: SmallRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, day = STEP["sequence_analysis"], copied_run.days[0]
    monkeypatch.setattr(engine, "variant_code_version", lambda name: "changed")
    stored = [StoredTable("v1", table) for table in step.outputs]
    before = [copied_run.warehouse.read(each, [day.isoformat()]) for each in stored]
    key = before[1]["instrument_key"].iloc[0]

    def with_negative_frequency(moves, sequences, settings) -> tuple[pd.DataFrame, pd.DataFrame]:
        analysis, patterns = variants.V1.sequence_analysis(moves, sequences, settings)
        wrong = patterns["instrument_key"] == key
        return analysis, patterns.assign(frequency=patterns["frequency"].where(~wrong, -1))

    carry_out(step, variant_with(sequence_analysis=with_negative_frequency), copied_run, [day])
    for each, frame in zip(stored, before, strict=True):
        assert set(copied_run.warehouse.pointer(each, day.isoformat()).failures) == {key}
        after = copied_run.warehouse.read(each, [day.isoformat()])
        pd.testing.assert_frame_equal(after, without_key(frame, key))


def test_when_all_instruments_fail_the_day_is_empty_and_says_so(copied_run: SmallRun) -> None:
    day = copied_run.days[0]

    def broken(minutes: pd.DataFrame, settings) -> pd.DataFrame:
        raise ValueError("nothing works")

    forget(copied_run.warehouse, StoredTable("v1", tables.CANDLES_5MIN), day)
    (result,) = carry_out(STEP["candles_5min"], variant_with(to_5min=broken), copied_run, [day])
    pointer = result.pointers["candles_5min"]
    assert (pointer.rows, len(pointer.failures)) == (0, 12)
    assert pointer.note == "no rows: 12 instruments failed"


def test_what_a_day_took_is_told_with_its_first_table(copied_run: SmallRun) -> None:
    day = copied_run.days[0]
    step = STEP["sequence_analysis"]
    for table in step.outputs:
        forget(copied_run.warehouse, StoredTable("v2", table), day)
    (result,) = carry_out(step, "v2", copied_run, [day])
    analysis, patterns = (result.pointers[table.name] for table in step.outputs)
    assert patterns.cost is None
    rows = sum(
        copied_run.warehouse.pointer(StoredTable("v2", item.table), day.isoformat()).rows
        for item in step.inputs
    )
    assert analysis.cost.input_rows == rows > 0
    assert analysis.cost.seconds > 0
    assert analysis.cost.workers >= 1
    # At least the interpreter with its libraries, at most the machine.
    assert 50 * 2**20 < analysis.cost.peak_memory_bytes < psutil.virtual_memory().total
    looked_up = ("cache_hits", "cache_misses", "cache_first_reads")
    assert sum(getattr(analysis.cost, name) for name in looked_up) == len(step.inputs)


def test_a_full_batch_is_published_before_the_last_day_is_computed(
    copied_run: SmallRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "variant_code_version", lambda name: "changed")
    processing = dataclasses.replace(copied_run.settings.processing, sessions_per_chunk=1)
    run = StepRun(
        *(STEP["candles_5min"], variants.V2, copied_run.warehouse),
        *(dataclasses.replace(copied_run.settings, processing=processing), "test", IN_FULL),
    )
    results = run.over(copied_run.days)
    first = next(results)
    assert first.day == copied_run.days[0]
    stored = StoredTable("v2", tables.CANDLES_5MIN)
    versions = [
        copied_run.warehouse.pointer(stored, day.isoformat()).code_version
        for day in copied_run.days
    ]
    assert versions[0] == "changed"
    assert versions[1] != "changed"
    assert [result.day for result in results] == [copied_run.days[1]]
