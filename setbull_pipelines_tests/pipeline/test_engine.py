"""The engine: same bytes alone or in a range, nothing computed twice, nothing half published."""

from __future__ import annotations

import dataclasses
from datetime import date

import pandas as pd
import psutil
import pytest

from setbull_pipelines import tables, variants
from setbull_pipelines.pipeline import engine
from setbull_pipelines.pipeline.engine import StepRun
from setbull_pipelines.pipeline.steps import STEPS, Step
from setbull_pipelines.warehouse.errors import MissingPartition
from setbull_pipelines.warehouse.pointers import WHOLE, StoredTable
from setbull_pipelines_tests.pipeline.carrying_out import (
    ALL_STEPS,
    STEP,
    carry_out,
    every_step,
    every_variant,
    hashes,
    steps_recomputed,
)
from setbull_pipelines_tests.pipeline.raw_corrections import COVERAGE, MINUTES
from setbull_pipelines_tests.pipeline.small_run import IN_FULL, SmallRun, forget, publish

WIDTHS = {"bb_width_daily", "bb_width_alerts"}


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
    minutes = warehouse.read(MINUTES, [first.isoformat()])
    publish(warehouse, MINUTES, first.isoformat(), raised(minutes))

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
    publish(warehouse, MINUTES, day.isoformat(), tables.CANDLES_1MIN.empty())
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
