"""The noise floor of a day: measured for every table, on instruments that take turns, on really varied computations."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from setbull_pipelines import tables, variants
from setbull_pipelines.pipeline import noise
from setbull_pipelines.pipeline.comparing_days import SUMMARY, outputs_of, reconcile
from setbull_pipelines.pipeline.noise import NoiseFloors, floor_between, sample
from setbull_pipelines.reconciliation.compare import compare
from setbull_pipelines.reconciliation.noise import NoiseFloor, measured
from setbull_pipelines.settings import ReconciliationSettings
from setbull_pipelines.tables import Table
from setbull_pipelines.tables.reconciliation import NOT_COMPARABLE
from setbull_pipelines.warehouse.encoding import plain_text, to_arrow
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines_tests.pipeline.small_run import SmallRun, forget, publish


def noise_floor(table: Table, day: date, run: SmallRun) -> NoiseFloor | None:
    return NoiseFloors(table, [day], run.warehouse, run.settings).of(day)


@given(
    instruments=st.integers(1, 40).map(lambda count: [f"{n:02d}" for n in range(count)]),
    size=st.integers(1, 5),
    start=st.dates(date(2020, 1, 1), date(2030, 1, 1)),
)
def test_instruments_take_turns(instruments: list[str], size: int, start: date) -> None:
    days = [start + timedelta(days=number) for number in range(len(instruments))]
    chosen = [sample(instruments, day, size) for day in days]
    assert all(len(set(of_day)) == min(size, len(instruments)) for of_day in chosen)
    assert {key for of_day in chosen for key in of_day} == set(instruments)
    assert sample(instruments, start, 0) == sample([], start, size) == []


def test_every_verdict_of_a_run_has_its_noise_floor(small_run: SmallRun) -> None:
    summary = small_run.warehouse.read(SUMMARY).set_index("table_name")
    # V1 sorts its input and works instrument by instrument: nothing may be left to chance.
    assert (summary["noise_floor_relative"] == 0).all()
    for table in tables.COMPUTED_TABLES:
        has_floats = any(column.kind is tables.Kind.FLOAT for column in table.value_columns)
        found = summary.loc[[table.name]]
        assert (
            (found["noise_floor_ulp"] == 0).all()
            if has_floats
            else found["noise_floor_ulp"].isna().all()
        )
        for row in found.itertuples():
            assert 0 < row.noise_floor_cells <= row.cells_compared


@pytest.mark.parametrize("table", tables.COMPUTED_TABLES, ids=lambda table: table.name)
def test_the_sample_is_computed_as_the_stored_table_was(
    table: Table, small_run: SmallRun, monkeypatch
) -> None:
    """The inputs and windows are those of the engine, or the floor would be about something else."""
    day, frames, right = small_run.days[-1], [], noise.floor_between

    def kept(table: Table, plain: pd.DataFrame, *others: object) -> NoiseFloor | None:
        frames.append(plain)
        return right(table, plain, *others)

    monkeypatch.setattr(noise, "floor_between", kept)
    assert noise_floor(table, day, small_run) is not None
    (plain,) = frames
    stored = small_run.warehouse.read(StoredTable("v1", table), [day.isoformat()])
    of_sample = stored[stored["instrument_key"].isin(plain["instrument_key"])]
    assert plain["instrument_key"].nunique() == 3
    pd.testing.assert_frame_equal(plain, of_sample.reset_index(drop=True), check_exact=True)


def test_a_v1_that_depends_on_the_order_of_its_rows_makes_the_verdict_not_comparable(
    copied_run: SmallRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def first_row_decides(minutes: pd.DataFrame, settings: object) -> pd.DataFrame:
        bars = variants.V1.to_5min(minutes, settings)
        return bars.assign(close=bars["close"] + minutes["close"].iloc[0] / 1000)

    monkeypatch.setattr(noise, "V1", SimpleNamespace(name="v1", to_5min=first_row_decides))
    changed = replace(copied_run.settings, reconciliation=ReconciliationSettings(sample_cells=5))
    table, day = tables.CANDLES_5MIN, copied_run.days[0]
    list(reconcile(table, [day], copied_run.warehouse, changed, "test"))
    (verdict,) = copied_run.warehouse.read(outputs_of(table)[2], [day.isoformat()]).itertuples()
    assert verdict.state == NOT_COMPARABLE
    assert "differs from itself" in verdict.reason
    assert "in close" in verdict.reason
    assert verdict.noise_floor_relative > 1e-9
    assert verdict.cells_unequal == 0


def test_without_an_input_a_row_or_the_setting_nothing_is_measured(copied_run: SmallRun) -> None:
    day, warehouse = copied_run.days[0], copied_run.warehouse

    def measured(table: Table, **settings: object) -> object:
        changed = replace(copied_run.settings, reconciliation=ReconciliationSettings(**settings))
        return noise_floor(table, day, replace(copied_run, settings=changed))

    assert measured(tables.SEQUENCES) is not None
    assert measured(tables.SEQUENCES, noise_instruments=0) is None
    forget(warehouse, StoredTable("v1", tables.MOVES_DAILY), day)
    assert measured(tables.SEQUENCES) is None
    stored = StoredTable("v1", tables.CANDLES_5MIN)
    publish(warehouse, stored, day.isoformat(), tables.CANDLES_5MIN.empty())
    assert measured(tables.CANDLES_5MIN) is None


def test_a_day_that_cannot_be_read_takes_no_other_day_along(copied_run: SmallRun) -> None:
    first, last = copied_run.days
    forget(copied_run.warehouse, StoredTable("raw", tables.CANDLES_1MIN), last)
    given = (copied_run.warehouse, copied_run.settings)
    found = NoiseFloors(tables.CANDLES_5MIN, [first, last], *given)
    assert found.of(first) == NoiseFloors(tables.CANDLES_5MIN, [first], *given).of(first)
    assert found.of(first).cells > 0
    assert found.of(last) is None


@pytest.mark.parametrize("table", tables.COMPUTED_TABLES, ids=lambda table: table.name)
def test_two_equal_results_need_no_comparison_to_say_what_one_says(
    table: Table, small_run: SmallRun
) -> None:
    day = small_run.days[-1]
    rows = small_run.warehouse.read(StoredTable("v1", table), [day.isoformat()])
    sides = [plain_text(to_arrow(table, rows))] * 2
    settings = ReconciliationSettings()
    compared = measured(compare(table, *sides, day, settings))
    assert floor_between(table, rows, rows.copy(), day, settings) == compared
    assert compared.cells == len(rows) * len(table.value_columns) > 0


def test_what_differs_in_the_last_bit_or_repeats_a_key_is_compared(small_run: SmallRun) -> None:
    table, day = tables.INDICATORS_5MIN, small_run.days[-1]
    rows = small_run.warehouse.read(StoredTable("v1", table), [day.isoformat()])
    other = rows.copy()
    place = other["ema_50"].first_valid_index()
    other.loc[place, "ema_50"] = np.nextafter(other.at[place, "ema_50"], np.inf)
    settings = ReconciliationSettings()
    floor = floor_between(table, rows, other, day, settings)
    assert floor.largest_ulp_difference == 1
    assert set(floor.by_column) == {"ema_50"}
    twice = table.conform(pd.concat([rows, rows.iloc[:1]]))
    assert floor_between(table, twice, twice.copy(), day, settings) is None
    nothing = table.empty()
    assert floor_between(table, nothing, nothing.copy(), day, settings) is None
