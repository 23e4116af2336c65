"""However work is split, the bytes are the same; each setting splits as it says."""

from __future__ import annotations

import dataclasses
import logging
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from setbull_pipelines import tables, variants
from setbull_pipelines.pipeline import computing
from setbull_pipelines.pipeline.chunks import (
    FEWEST_INSTRUMENTS,
    allowance,
    batches,
    bytes_to_publish,
    chunks_of,
    is_full,
)
from setbull_pipelines.pipeline.engine import StepRun
from setbull_pipelines.pipeline.raw import RawDays
from setbull_pipelines.pipeline.steps import STEPS, Step
from setbull_pipelines.settings import ProcessingSettings, Settings
from setbull_pipelines.variants.protocol import workers
from setbull_pipelines.warehouse import validation
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests.pipeline.carrying_out import (
    STEP,
    VARIANTS,
    every_variant,
    hashes,
    variant_with,
)
from setbull_pipelines_tests.pipeline.raw_corrections import (
    DAILY,
    KEY,
    KEYS,
    change,
    dearer,
    list_late,
)
from setbull_pipelines_tests.pipeline.small_run import IN_FULL, SmallRun, forget, with_processing

MEBIBYTE = 2**20


def computed_together(
    step: Step, variant: str, run: SmallRun, days: list[date], found: Settings
) -> list[set[str]]:
    """Carry out a step; the instruments that every call of it was given."""
    calls: list[set[str]] = []

    def compute(lane, frames, day, groups):
        calls.append(
            {
                key
                for name, frame in frames.items()
                if name != "history_starts"
                for key in frame["instrument_key"]
            }
        )
        return step.compute(lane, frames, day, groups)

    watched = dataclasses.replace(step, compute=compute)
    list(StepRun(watched, VARIANTS[variant], run.warehouse, found, "chunks", IN_FULL).over(days))
    return calls


@pytest.fixture(scope="module")
def chunked(small_run: SmallRun, tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    """A copy of the run that is only published into with the bytes it has."""
    return small_run.copy(tmp_path_factory.mktemp("chunked") / "data")


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    step=st.sampled_from(STEPS),
    variant=st.sampled_from(sorted(VARIANTS)),
    instruments=st.integers(1, 13),
    sessions=st.integers(0, 3),
    workers=st.integers(0, 3),
    cache=st.sampled_from([0, 1, 256]),
)
def test_any_chunks_give_the_same_bytes(
    step: Step,
    variant: str,
    instruments: int,
    sessions: int,
    workers: int,
    cache: int,
    small_run: SmallRun,
    chunked: SmallRun,
) -> None:
    for day in small_run.days:
        for table in step.outputs:
            forget(chunked.warehouse, StoredTable(variant, table), day)
    found = with_processing(
        *(small_run.settings,),
        instruments_per_chunk=instruments,
        sessions_per_chunk=sessions,
        workers=workers,
    )
    warehouse = Warehouse(
        chunked.warehouse.root, cache_bytes=cache * MEBIBYTE, threads=workers or 4
    )
    run = StepRun(step, VARIANTS[variant], warehouse, found, "chunks", IN_FULL)
    results = list(run.over(small_run.days))
    assert not any(result.cached for result in results)
    for day in small_run.days:
        expected = hashes(small_run.warehouse, step, variant, day)
        assert hashes(warehouse, step, variant, day) == expected
    cost = results[0].pointers[step.outputs[0].name].cost
    assert cost.chunks == -(-12 // instruments)


@every_variant
def test_a_new_listing_is_the_same_in_a_chunk_without_older_ones(
    variant: str, copied_run: SmallRun, tmp_path: Path
) -> None:
    sessions = list_late(copied_run, first_bar=18, listed=18)
    day = sessions[-1]
    candles = STEP["candles_daily"]
    list(
        StepRun(
            candles, VARIANTS[variant], copied_run.warehouse, copied_run.settings, "x", IN_FULL
        ).over(sessions)
    )
    step = STEP["indicators_daily"]
    forget(copied_run.warehouse, StoredTable(variant, step.outputs[0]), day)
    other = copied_run.copy(tmp_path / "other")
    computed_together(step, variant, copied_run, [day], copied_run.settings)
    one_each = with_processing(copied_run.settings, instruments_per_chunk=1)
    calls = computed_together(step, variant, other, [day], one_each)
    assert hashes(other.warehouse, step, variant, day) == hashes(
        copied_run.warehouse, step, variant, day
    )
    rows = other.warehouse.read(StoredTable(variant, step.outputs[0]), [day.isoformat()])
    of_key = rows[(rows["instrument_key"] == KEY) & (rows["series"] == "exchange")]
    assert of_key["is_warm"].tolist() == [True]  # too few bars for any but a new listing
    assert {len(call) for call in calls} == {1, 2}  # the anchor comes along


@every_variant
def test_instruments_per_chunk_are_computed_together(variant: str, copied_run: SmallRun) -> None:
    step, day = STEP["sequences"], copied_run.days[0]
    forget(copied_run.warehouse, StoredTable(variant, tables.SEQUENCES), day)
    found = with_processing(copied_run.settings, instruments_per_chunk=5)
    calls = computed_together(step, variant, copied_run, [day], found)
    assert [len(call) for call in calls] == [4, 4, 4]
    assert set.union(*calls) == set(KEYS)


@every_variant
def test_a_small_allowance_computes_in_chunks_and_says_when_it_is_not_enough(
    variant: str,
    copied_run: SmallRun,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    step = STEP["indicators_daily"]
    stored = StoredTable(variant, step.outputs[0])
    monkeypatch.setattr("setbull_pipelines.pipeline.chunks.FEWEST_INSTRUMENTS", 2)

    def calls_with(free_bytes: int) -> list[set[str]]:
        for day in copied_run.days:
            forget(copied_run.warehouse, stored, day)
        found = with_processing(copied_run.settings, memory_allowance_mib=512)
        limit = copied_run.warehouse.cache.limit_bytes
        monkeypatch.setattr(
            computing, "memory_in_use", lambda: allowance(found.processing) - limit - free_bytes
        )
        return computed_together(step, variant, copied_run, list(copied_run.days), found)

    with caplog.at_level(logging.WARNING):
        assert [len(call) for call in calls_with(100 * MEBIBYTE)] == [12, 12]
        assert not caplog.records
        few = calls_with(200_000)
        assert len(few) >= 4
        assert not caplog.records
        assert max(len(call) for call in calls_with(0)) == 3  # two, and the anchor
    (record,) = caplog.records  # once per step, not once per day
    assert "2 instruments at a time need about" in record.getMessage()
    assert "processing.memory_allowance_mib (512)" in record.getMessage()


def test_a_correction_is_computed_in_chunks_of_what_it_touches(
    small_run: SmallRun, copied_run: SmallRun
) -> None:
    day = copied_run.days[-1]
    for key in KEYS[:3]:
        change(copied_run, DAILY, day, dearer(key))
    found = with_processing(copied_run.settings, instruments_per_chunk=2)
    calls = computed_together(STEP["candles_daily"], "v2", copied_run, [day], found)
    assert [len(call) for call in calls] == [2, 1]


def test_sessions_per_chunk_are_published_together(copied_run: SmallRun) -> None:
    warehouse, days = copied_run.warehouse, copied_run.days
    stored = StoredTable("v2", tables.CANDLES_5MIN)

    def stored_after_the_first_result(sessions: int) -> int:
        for key in warehouse.partitions(stored)[-2:]:
            forget(warehouse, stored, date.fromisoformat(key))
        found = with_processing(copied_run.settings, sessions_per_chunk=sessions)
        results = StepRun(
            STEP["candles_5min"], variants.V2, warehouse, found, "chunks", IN_FULL
        ).over(days)
        next(results)
        published = sum(warehouse.pointer(stored, day.isoformat()) is not None for day in days)
        assert len(list(results)) == len(days) - 1
        return published

    assert [stored_after_the_first_result(count) for count in (1, 2, 0)] == [1, 2, 2]


@pytest.mark.parametrize(
    ("step", "together"),
    [("candles_5min", True), ("sequence_analysis", True), ("moves_daily", False)],
)
def test_every_output_is_checked_once(
    copied_run: SmallRun, monkeypatch: pytest.MonkeyPatch, step: str, together: bool
) -> None:
    warehouse, days = copied_run.warehouse, list(copied_run.days)
    outputs = STEP[step].outputs
    for table in outputs:
        for day in days:
            forget(warehouse, StoredTable("v2", table), day)
    checked: dict[str, list[tuple[str, int]]] = {"frames": [], "range": []}
    for name, asked in checked.items():
        known = getattr(validation, f"batch_of_{name}")

        def watched(table, *others, known=known, asked=asked):
            found = known(table, *others)
            asked.append((table.name, len(found.partitions)))
            return found

        monkeypatch.setattr(validation, f"batch_of_{name}", watched)
    run = StepRun(STEP[step], variants.V2, warehouse, copied_run.settings, "chunks", IN_FULL)
    assert [result.day for result in run.over(days)] == days
    expected = [(table.name, len(days)) for table in outputs]
    assert checked["range" if together else "frames"] == expected
    assert not checked["frames" if together else "range"]


def test_raw_sessions_are_read_in_batches_of_the_setting(
    copied_run: SmallRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake, read = copied_run.intake, []
    known = type(intake).load_range

    def load_range(self, days):
        read.append(len(days))
        return known(self, days)

    monkeypatch.setattr(type(intake), "load_range", load_range)
    days = intake.days("daily")[-7:]
    for sessions in (3, 0):
        found = with_processing(copied_run.settings, sessions_per_chunk=sessions)
        warehouse = Warehouse(tmp_path / str(sessions))
        list(RawDays(intake, warehouse, found, "chunks").over(days))
    assert read == [3, 3, 1, 7]


def test_the_workers_of_the_setting_are_what_a_variant_may_use(copied_run: SmallRun) -> None:
    seen = []

    def to_5min(*arguments):
        seen.append(workers())
        return variants.V1.to_5min(*arguments)

    variant = variant_with(to_5min=to_5min)
    day, before = copied_run.days[0], workers()
    for count in (3, 1):
        forget(copied_run.warehouse, StoredTable("v1", tables.CANDLES_5MIN), day)
        found = with_processing(copied_run.settings, workers=count)
        step = STEP["candles_5min"]
        list(StepRun(step, variant, copied_run.warehouse, found, "x", IN_FULL).over([day]))
    assert seen == [3, 1]
    assert workers() == before


@given(
    count=st.integers(0, 3000),
    needed=st.integers(0, 2**40),
    available=st.integers(-(2**36), 2**36),
    per_chunk=st.integers(0, 3000),
)
def test_chunks_hold_everybody_once_and_fit_where_they_can(
    count: int, needed: int, available: int, per_chunk: int
) -> None:
    instruments = [str(number) for number in range(count)]
    found = ProcessingSettings(instruments_per_chunk=per_chunk)
    chunks = chunks_of(instruments, needed, available, found)
    assert [key for chunk in chunks for key in chunk] == instruments
    largest = max(len(chunk) for chunk in chunks)
    if per_chunk:
        assert largest <= per_chunk
    else:
        fits = largest * needed <= max(available, 0) * count
        assert fits or largest <= FEWEST_INSTRUMENTS


@given(
    rows=st.lists(st.integers(0, 3_000_000), max_size=60),
    mebibytes=st.integers(512, 8192),
    sessions=st.integers(0, 10),
)
def test_batches_hold_every_day_once_and_fit_unless_a_day_alone_does_not(
    rows: list[int], mebibytes: int, sessions: int
) -> None:
    days = [date(2026, 1, 1) + timedelta(days=number) for number in range(len(rows))]
    by_day = dict(zip(days, rows, strict=True))
    found = ProcessingSettings(memory_allowance_mib=mebibytes, sessions_per_chunk=sessions)
    made = list(batches(days, by_day, 11, found))
    assert [day for batch in made for day in batch] == days
    for batch in made:
        assert len(batch) <= (sessions or 40)
        needed = bytes_to_publish(sum(by_day[day] for day in batch), 11)
        assert sessions or len(batch) == 1 or needed <= mebibytes * MEBIBYTE / 4


def test_what_waits_to_be_published_is_bounded_by_the_allowance() -> None:
    small, large = (ProcessingSettings(memory_allowance_mib=size) for size in (512, 4096))
    assert is_full(3, 199_999, 30, small)
    assert not is_full(3, 199_999, 30, large)
    assert is_full(3, 200_000, 30, large)
    assert is_full(40, 10, 30, large)
