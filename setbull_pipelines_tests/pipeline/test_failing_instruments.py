"""An instrument that fails is left out, with what follows from it, until it is mended; others are computed."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace

import pandas as pd
import pytest

from setbull_pipelines import tables, variants
from setbull_pipelines.pipeline import engine
from setbull_pipelines.pipeline.steps import Step
from setbull_pipelines.warehouse.pointers import Failure, StoredTable
from setbull_pipelines_tests.pipeline.carrying_out import STEP, carry_out, variant_with
from setbull_pipelines_tests.pipeline.small_run import SmallRun, forget


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
