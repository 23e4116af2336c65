"""What is told about a divergence: instruments, input windows, bars; against frames sliced by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from setbull_pipelines.reconciliation.drill_down import bars, instrument_counts, windows
from setbull_pipelines.reconciliation.report import Findings, input_sentence, markdown_windows
from setbull_pipelines.tables import CANDLES_1MIN, CANDLES_5MIN, INDICATORS_5MIN
from setbull_pipelines.tables.contract import RELATIVE
from setbull_pipelines.tables.reconciliation import (
    RECONCILIATION_BARS,
    RECONCILIATION_INSTRUMENTS,
    RECONCILIATION_WINDOWS,
)
from setbull_pipelines_tests.reconciliation.partition_files import (
    TRADING_DAY,
    compare_frames,
)
from setbull_pipelines_tests.reconciliation.three_instruments import (
    BAR,
    TIMES,
    A,
    B,
    C,
    candles,
    changed,
    files,
)


def test_unequal_cells_are_counted_by_instrument_and_column(tmp_path) -> None:
    v1 = candles()
    v2 = changed(changed(v1, A, [3, 4], close=99.5, volume=7), C, [0], close=99.5)
    v2 = v2[(v2["instrument_key"] != B) | (v2["timestamp"] < TIMES[18])]
    comparison = compare_frames(tmp_path, CANDLES_5MIN, v1, v2)
    counts = instrument_counts(files(tmp_path, CANDLES_5MIN, v1, v2), comparison.cells, TRADING_DAY)
    RECONCILIATION_INSTRUMENTS["candles_5min"].schema.validate(counts)
    assert [tuple(row) for row in counts.drop(columns="trading_day").itertuples(index=False)] == [
        (A, "close", 20, 2),
        (A, "volume", 20, 2),
        (B, "(row)", 20, 2),
        (C, "close", 20, 1),
    ]


def averages() -> pd.DataFrame:
    """Indicators of the same bars: ma_9 is 100, all others are null."""
    given = candles()[["instrument_key", "timestamp", "trading_day"]]
    values = {column.name: np.nan for column in INDICATORS_5MIN.columns if column.name not in given}
    values |= {"ma_9": 100.0, "bars_of_history": 1, "is_warm": False}
    return INDICATORS_5MIN.conform(given.assign(**values))


def windows_of_ma_9(folder: Path, read_by_v2: pd.DataFrame) -> pd.DataFrame:
    """Windows of moving averages that differ in A from bar 10 on, most in bar 12."""
    table, v1 = INDICATORS_5MIN, averages()
    v2 = changed(changed(v1, A, [10, 11], ma_9=101.0), A, [12], ma_9=150.0)
    comparison = compare_frames(folder, table, v1, v2)
    found = windows(
        files(folder, table, v1, v2),
        [files(folder, CANDLES_5MIN, candles(), read_by_v2)],
        comparison.cells,
        TRADING_DAY,
        3,
        BAR,
    )
    RECONCILIATION_WINDOWS[table.name].schema.validate(found)
    assert set(found["column_name"]) == {"ma_9"}
    assert set(found["instrument_key"]) == {A}
    return found


def test_a_window_holds_the_last_input_rows_up_to_the_cell(tmp_path) -> None:
    found = windows_of_ma_9(tmp_path, candles())
    assert len(found) == 2 * 3 * len(CANDLES_5MIN.value_columns)
    closes = found[found["input_column"] == "close"]
    listed = {(row.role, row.rows_back): (row.v1, row.v2) for row in closes.itertuples()}
    assert listed == {
        ("first", 0): ("110.0", "110.0"),
        ("first", 1): ("109.0", "109.0"),
        ("first", 2): ("108.0", "108.0"),
        ("worst", 0): ("112.0", "112.0"),
        ("worst", 1): ("111.0", "111.0"),
        ("worst", 2): ("110.0", "110.0"),
    }
    assert found["is_equal"].all()
    assert found["first_difference"].isna().all()
    assert "**The fault is in this step.**" in input_sentence(found)


def test_an_input_that_differs_before_the_window_is_named(tmp_path) -> None:
    read_by_v2 = changed(changed(candles(), A, [2, 11], volume=1), A, [19], volume=2)
    found = windows_of_ma_9(tmp_path, changed(read_by_v2, C, [0], volume=1))
    wrong = found[~found["is_equal"]]
    assert [(row.role, row.rows_back, row.input_column, row.v2) for row in wrong.itertuples()] == [
        ("worst", 1, "volume", "1")
    ]
    # Bar 2 of A: bar 19 is later than the cells, and C is another instrument.
    key = f"instrument_key={A}, timestamp=2026-06-30 09:25:00+05:30"
    assert set(found["first_difference"]) == {key}
    sentence = input_sentence(found)
    assert sentence == (
        "**Inputs already differ** in v2.candles_5min from NSE_EQ|A, 2026-06-30 09:25: look there first."
    )


def test_an_input_row_that_one_side_lacks_is_not_equal(tmp_path) -> None:
    missing = candles()["timestamp"].eq(TIMES[10]) & candles()["instrument_key"].eq(A)
    found = windows_of_ma_9(tmp_path, candles()[~missing])
    last = found[(found["role"] == "first") & (found["rows_back"] == 0)]
    assert not last["is_equal"].any()
    assert last["v2"].isna().all()
    assert set(last.loc[last["input_column"] == "close", "v1"]) == {"110.0"}


def test_inputs_within_the_tolerance_are_equal(tmp_path) -> None:
    table, v1 = INDICATORS_5MIN, averages()
    v2 = changed(v1, A, [5], ma_9=100.0 * (1 + 1e-13))
    output = files(tmp_path, CANDLES_5MIN, candles(), changed(candles(), A, [5], volume=3))
    cells = compare_frames(
        tmp_path, CANDLES_5MIN, candles(), changed(candles(), A, [5], volume=3)
    ).cells
    found = windows(output, [files(tmp_path, table, v1, v2)], cells, TRADING_DAY, 1, BAR)
    ma_9 = found[found["input_column"] == "ma_9"]
    assert len(ma_9) == 2
    assert (ma_9["v1"] != ma_9["v2"]).all()
    assert ma_9["is_equal"].all()


def test_a_wide_input_shows_what_differs_first(tmp_path) -> None:
    """The input has 17 told columns, of which is_warm is the last."""
    v1 = averages().assign(
        **{column.name: 1.0 for column in INDICATORS_5MIN.columns if column.tolerance == RELATIVE}
    )
    read = files(tmp_path, INDICATORS_5MIN, v1, changed(v1, A, [5], is_warm=True))
    v2 = changed(candles(), A, [5], volume=3)
    comparison = compare_frames(tmp_path, CANDLES_5MIN, candles(), v2)
    output = files(tmp_path, CANDLES_5MIN, candles(), v2)
    findings = Findings(
        CANDLES_5MIN,
        TRADING_DAY,
        comparison.summary,
        comparison.columns,
        comparison.cells,
        comparison.diagnoses,
        instrument_counts(output, comparison.cells, TRADING_DAY),
        windows(output, [read], comparison.cells, TRADING_DAY, 2, BAR),
        RECONCILIATION_BARS["candles_5min"].empty(),
        None,
    )
    lines = [line for line in markdown_windows(findings).splitlines() if line]
    heading, header, _, before, last, more = lines
    assert heading.startswith("Input of the first and worst cell of volume")
    assert header.startswith("| input row | equal | is_warm | ma_9 |")
    assert before.startswith(r"| NSE_EQ\|A, 2026-06-30 09:35 | yes | false |")
    assert last.startswith(r"| NSE_EQ\|A, 2026-06-30 09:40 | **no** | **false / true** |")
    assert more == "and 5 more columns"


def test_minutes_of_a_bar_are_those_before_its_end(tmp_path) -> None:
    minutes = pd.date_range("2026-06-30 09:15", periods=60, freq="1min", tz="Asia/Kolkata")
    raw = CANDLES_1MIN.without_provenance.conform(
        pd.DataFrame({"instrument_key": A, "timestamp": minutes}).assign(
            trading_day=TRADING_DAY,
            **dict.fromkeys(("open", "high", "low", "close"), 1.0),
            volume=np.arange(60),
            open_interest=pd.NA,
            session_shape="full",
        )
    )
    v2 = changed(candles(), A, [4], volume=3)
    cells = compare_frames(tmp_path, CANDLES_5MIN, candles(), v2).cells
    found = windows(
        files(tmp_path, CANDLES_5MIN, candles(), v2),
        [files(tmp_path, CANDLES_1MIN.without_provenance, raw, raw)],
        cells,
        TRADING_DAY,
        5,
        BAR,
    )
    volumes = found[(found["input_column"] == "volume") & (found["role"] == "first")]
    # Bar 4 begins at 09:35, twenty minutes after the open.
    assert sorted(volumes["v1"].astype(int)) == [20, 21, 22, 23, 24]
    assert "raw.candles_1min" in input_sentence(found)


@pytest.mark.parametrize(
    ("first", "shown"),
    [(0, range(8)), (10, range(8, 16)), (19, range(12, 20))],
)
def test_bars_are_those_around_the_first_diverging_one(tmp_path, first, shown) -> None:
    v2 = changed(candles(), B, list(range(first, 20)), close=90.0)
    v2 = changed(v2, B, [19], close=80.0)
    comparison = compare_frames(tmp_path, CANDLES_5MIN, candles(), v2)
    found = bars(
        files(tmp_path, CANDLES_5MIN, candles(), v2),
        comparison.cells,
        comparison.diagnoses,
        TRADING_DAY,
        charts=3,
        chart_bars=8,
    )
    RECONCILIATION_BARS["candles_5min"].schema.validate(found)
    assert set(found["column_name"]) == {"close"}
    assert set(found["instrument_key"]) == {B}
    assert found["timestamp"].tolist() == [TIMES[number] for number in shown]
    assert found["v1"].tolist() == [100.0 + number for number in shown]
    assert found["is_equal"].tolist() == [number < first for number in shown]
    assert found["is_first"].tolist() == [number == first for number in shown]
    assert (found["difference"] == found["v2"] - found["v1"]).all()


def test_nothing_is_told_when_nothing_differs(tmp_path) -> None:
    output = files(tmp_path, CANDLES_5MIN, candles(), candles())
    comparison = compare_frames(tmp_path, CANDLES_5MIN, candles(), candles())
    assert instrument_counts(output, comparison.cells, TRADING_DAY).empty
    assert windows(output, [output], comparison.cells, TRADING_DAY, 5, BAR).empty
    assert bars(output, comparison.cells, comparison.diagnoses, TRADING_DAY, 3, 8).empty
