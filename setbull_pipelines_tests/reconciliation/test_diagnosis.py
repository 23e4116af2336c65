"""Diagnoses on one trading day, as the pipeline compares it, and shapes that must not be claimed."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from setbull_pipelines.reconciliation import compare as comparing
from setbull_pipelines.reconciliation.self_test.market import SESSIONS
from setbull_pipelines.tables import (
    CANDLES_5MIN,
    CANDLES_DAILY,
    INDICATORS_5MIN,
    INDICATORS_DAILY,
    SEQUENCE_ANALYSIS,
)
from setbull_pipelines.variants import V2
from setbull_pipelines_tests.reconciliation.diagnosed import named
from setbull_pipelines_tests.reconciliation.partition_files import compare_frames


def test_a_session_without_its_history_is_not_taken_for_a_warm_up(
    tmp_path, market, last_session
) -> None:
    bars = market["candles_5min"]
    alone = V2.indicators(bars[bars["trading_day"] == SESSIONS[-1]], "5minute")
    found = named(compare_frames(tmp_path, INDICATORS_5MIN, last_session, alone))
    assert {found[name] for name in ("ma_9", "ema_5", "ema_50", "bars_of_history")} == {
        "history begins later"
    }


def test_a_shorter_history_of_one_day_is_another_look_back(tmp_path, market, last_session) -> None:
    bars = market["candles_5min"]
    shorter = V2.indicators(bars[bars["trading_day"] >= SESSIONS[-4]], "5minute")
    shorter = shorter[shorter["trading_day"] == SESSIONS[-1]].reset_index(drop=True)
    found = named(compare_frames(tmp_path, INDICATORS_5MIN, last_session, shorter))
    assert found["ema_50"] == "other look-back"
    assert found["bars_of_history"] == "other number of bars"


@pytest.mark.parametrize(("more", "words"), [(-5, "fewer"), (5, "more")])
def test_another_number_of_bars_says_to_which_side(tmp_path, last_session, more, words) -> None:
    v2 = last_session.assign(bars_of_history=last_session["bars_of_history"] + more)
    comparison = compare_frames(tmp_path, INDICATORS_5MIN, last_session, v2)
    assert f"V2 looks back over {words} bars" in comparison.diagnoses.at[0, "sentence"]


def test_one_daily_row_per_instrument_shows_another_look_back_by_its_smallness(
    tmp_path, market
) -> None:
    indicators, bars = market["indicators_daily"], market["candles_daily"]
    shorter = V2.indicators(bars[bars["trading_day"] > bars["trading_day"].iloc[60]], "day")
    sides = [
        frame[(frame["trading_day"] == SESSIONS[-1]) & (frame["series"] == "exchange")]
        for frame in (indicators, shorter)
    ]
    found = named(compare_frames(tmp_path, INDICATORS_DAILY, *sides))
    assert found["ema_50"] == "other look-back"
    assert found["bars_of_history"] == "other number of bars"


@pytest.mark.parametrize(("cells", "diagnosis"), [(2, "unknown shape"), (3, "constant factor")])
def test_two_equal_ratios_are_a_coincidence_and_three_are_not(
    tmp_path, last_session, cells, diagnosis
) -> None:
    v2 = last_session.copy()
    rows = [10, 100, 200][:cells]
    v2.loc[rows, "atr"] *= 1.5
    assert named(compare_frames(tmp_path, INDICATORS_5MIN, last_session, v2)) == {"atr": diagnosis}


@pytest.mark.parametrize(
    ("factor", "diagnosis"),
    [
        (np.sqrt(20 / 19), "sample deviation"),
        (np.sqrt(19 / 20), "sample deviation"),
        (1.027, "constant factor"),
        (2.0, "constant factor"),
        (0.01, "constant factor"),
    ],
)
def test_only_the_ratio_of_a_whole_window_is_a_sample_deviation(
    tmp_path, last_session, factor, diagnosis
) -> None:
    v2 = last_session.assign(bb_width=last_session["bb_width"] * factor)
    comparison = compare_frames(tmp_path, INDICATORS_5MIN, last_session, v2)
    assert named(comparison) == {"bb_width": diagnosis}
    evidence = json.loads(comparison.diagnoses.at[0, "evidence"])["bb_width"]
    measured = evidence.get("ratio", evidence.get("factor"))
    assert measured == pytest.approx(factor)
    assert evidence["unequal cells"] == len(v2)


def test_a_factor_next_to_one_is_not_printed_as_one(tmp_path, last_session) -> None:
    v2 = last_session.assign(bb_width=last_session["bb_width"] * (1 + 5e-7))
    comparison = compare_frames(tmp_path, INDICATORS_5MIN, last_session, v2)
    assert named(comparison) == {"bb_width": "constant factor"}
    assert "V2 is V1 x (1 +5e-07)" in comparison.diagnoses.at[0, "sentence"]


def test_a_ratio_with_one_exception_is_not_claimed(tmp_path, last_session) -> None:
    v2 = last_session.assign(bb_width=last_session["bb_width"] * np.sqrt(20 / 19))
    v2.loc[50, "bb_width"] *= 1.001
    found = named(compare_frames(tmp_path, INDICATORS_5MIN, last_session, v2))
    assert found == {"bb_width": "one-sided"}


def test_columns_with_other_causes_get_other_diagnoses_the_specific_first(
    tmp_path, last_session
) -> None:
    v2 = last_session.assign(
        rsi=last_session["rsi"] + np.sin(np.arange(len(last_session)) ** 2),
        atr=np.nan,
        ema_5=last_session["ema_5"].round(2),
        ema_9=last_session["ema_9"].round(2),
    )
    comparison = compare_frames(tmp_path, INDICATORS_5MIN, last_session, v2)
    assert comparison.diagnoses["diagnosis"].tolist() == [
        "values lost",
        "rounding",
        "unknown shape",
    ]
    assert comparison.diagnoses["column_names"].tolist() == ["atr", "ema_5,ema_9", "rsi"]
    assert comparison.diagnoses["rank"].tolist() == [1, 2, 3]


def test_many_rows_are_read_as_whole_instruments_with_the_diverging_ones_first(
    tmp_path, last_session, monkeypatch
) -> None:
    monkeypatch.setattr(comparing, "ROWS_DIAGNOSED", 100)
    read = []
    monkeypatch.setattr(comparing, "diagnose", lambda sides: read.append(sides) or (), raising=True)
    last = last_session["instrument_key"].max()
    is_last = last_session["instrument_key"] == last
    v2 = last_session.assign(atr=last_session["atr"].mask(is_last, 1.0))
    compare_frames(tmp_path, INDICATORS_5MIN, last_session, v2)
    (sides,) = read
    assert sides.rows["instrument_key"].unique().tolist() == [last]
    assert len(sides.rows) == 75
    assert sides.instruments == 3


def test_a_column_without_an_unequal_cell_among_the_rows_that_are_read_is_no_echo(
    tmp_path, last_session, monkeypatch
) -> None:
    monkeypatch.setattr(comparing, "ROWS_DIAGNOSED", 100)
    instruments = last_session["instrument_key"]
    is_first, is_last = (instruments == name for name in (instruments.min(), instruments.max()))
    noise = 1 + 0.3 * np.sin(np.arange(len(last_session)) ** 2)
    v2 = last_session.copy()
    for column, rows in (("atr", is_first), ("rsi", is_last)):
        v2[column] = v2[column].where(~rows, v2[column] * noise)
    comparison = compare_frames(tmp_path, INDICATORS_5MIN, last_session, v2)
    assert named(comparison) == {"atr": "not smoothed", "rsi": "unknown shape"}
    assert "rsi: differs in instruments that were not read" in comparison.reason
    v2["atr"] = last_session["atr"].where(~is_first, 0.0)
    comparison = compare_frames(tmp_path / "zero", INDICATORS_5MIN, last_session, v2)
    assert named(comparison) == {"atr": "zero instead of a value", "rsi": "unknown shape"}


def test_only_much_more_movement_at_the_same_level_is_a_missing_average(
    tmp_path, last_session
) -> None:
    noise = np.sin(np.arange(len(last_session)) ** 2)
    expected = {0.9: "not smoothed", 0.01: "unknown shape"}
    for share, diagnosis in expected.items():
        v2 = last_session.assign(atr=last_session["atr"] * (1 + share * noise))
        folder = tmp_path / str(share)
        assert named(compare_frames(folder, INDICATORS_5MIN, last_session, v2)) == {
            "atr": diagnosis
        }


@pytest.mark.parametrize(
    ("later_gap", "diagnosis"),
    [(0.0, "seeding"), (0.02, "seeding"), (0.04, "single instrument")],
)
def test_a_first_value_is_to_blame_where_the_difference_fades_in_whatever_steps(
    tmp_path, market, later_gap, diagnosis
) -> None:
    v1 = market["indicators_5min"]
    series = v1["instrument_key"] == v1["instrument_key"].min()
    valued = v1.index[series & v1["ema_9"].notna()]
    v2 = v1.copy()
    v2.loc[valued[:8], "ema_9"] += [1.0, -3.0, 0.5, 2.0, -1.5, 0.7, 2.5, -0.9]
    v2.loc[valued[8:], "ema_9"] += later_gap * np.sign(np.sin(np.arange(len(valued) - 8) ** 2 + 1))
    assert named(compare_frames(tmp_path, INDICATORS_5MIN, v1, v2)) == {"ema_9": diagnosis}


def test_differences_to_one_side_are_named_when_they_are_too_many_for_chance(
    tmp_path, last_session
) -> None:
    gaps = 1 + np.sin(np.arange(len(last_session)) ** 2) / 2
    for cells, diagnosis in ((19, "unknown shape"), (20, "one-sided")):
        rows = np.linspace(0, len(last_session) - 1, cells).astype(int)
        v2 = last_session.copy()
        v2.loc[rows, "rsi"] += gaps[rows]
        folder = tmp_path / str(cells)
        found = compare_frames(folder, INDICATORS_5MIN, last_session, v2)
        assert named(found) == {"rsi": diagnosis}
        v2.loc[rows[0], "rsi"] -= 2 * gaps[rows[0]]
        found = compare_frames(folder / "both", INDICATORS_5MIN, last_session, v2)
        assert named(found) == {"rsi": "unknown shape"}


def test_float32_of_a_daily_row_is_no_other_look_back(tmp_path, market) -> None:
    indicators = market["indicators_daily"]
    day = indicators[indicators["trading_day"] == SESSIONS[-1]].reset_index(drop=True)
    narrow = day.assign(ema_50=day["ema_50"].astype("float32").astype("float64"))
    found = named(compare_frames(tmp_path / "narrow", INDICATORS_DAILY, day, narrow))
    assert found == {"ema_50": "rounding to float32"}
    # As small, but neither a float32 nor over another number of bars: nothing says what it is.
    gaps = 1 + 1e-7 * np.sin(1 + np.arange(len(day)))
    other = day.assign(ema_50=day["ema_50"] * gaps)
    found = named(compare_frames(tmp_path / "other", INDICATORS_DAILY, day, other))
    assert found == {"ema_50": "unknown shape"}


def test_one_cell_that_says_it_itself_is_enough(tmp_path, last_session) -> None:
    v2 = last_session.copy()
    v2.loc[30, "atr"] = 0.0
    found = named(compare_frames(tmp_path, INDICATORS_5MIN, last_session, v2))
    assert found == {"atr": "zero instead of a value"}


@pytest.mark.parametrize(("cells", "diagnosis"), [(2, "unknown shape"), (3, "series mix-up")])
def test_values_of_the_other_daily_series_are_named_from_three_cells_on(
    tmp_path, market, cells, diagnosis
) -> None:
    daily = market["candles_daily"]
    keys = ["instrument_key", "trading_day"]
    other = daily[daily["series"] == "minutes"].set_index(keys)["volume"]
    of_exchange = daily[daily["series"] == "exchange"]
    found = of_exchange[keys].join(other, on=keys)["volume"].dropna()
    found = found[found != of_exchange["volume"][found.index]]
    # Of several instruments: a single one would be named as such.
    rows = found.groupby(of_exchange["instrument_key"]).head(1).index[:cells]
    assert len(rows) == cells
    v2 = daily.copy()
    v2.loc[rows, "volume"] = found[rows]
    assert named(compare_frames(tmp_path, CANDLES_DAILY, daily, v2)) == {"volume": diagnosis}


@pytest.mark.parametrize(
    ("minutes", "words"), [(5, "5 minutes later"), (-330, "330 minutes earlier")]
)
def test_a_shifted_clock_says_where_to(tmp_path, market, minutes, words) -> None:
    bars = market["candles_5min"]
    bars = bars[bars["trading_day"] == SESSIONS[-1]].reset_index(drop=True)
    moved = bars.assign(timestamp=bars["timestamp"] + pd.Timedelta(minutes=minutes))
    comparison = compare_frames(tmp_path, CANDLES_5MIN, bars, moved)
    assert named(comparison)["(row)"] == "shifted clock"
    assert f"bars of V2 carry a time {words} (" in comparison.diagnoses.at[0, "sentence"]


@pytest.mark.parametrize(
    ("not_in_v1", "not_in_v2", "diagnosis"),
    [
        ([], [10, 11, 12], "missing rows"),
        ([10, 11, 12], [], "added rows"),
        ([10], [100, 101], "other rows"),
        ([], list(range(75)), "lost instruments"),
    ],
)
def test_rows_of_one_side_do_not_explain_the_cells_of_the_other_rows(
    tmp_path, last_session, not_in_v1, not_in_v2, diagnosis
) -> None:
    """Two faults at once: a column is halved throughout too."""
    v1 = last_session.drop(index=not_in_v1)
    v2 = last_session.assign(atr=last_session["atr"] * 0.5).drop(index=not_in_v2)
    found = named(compare_frames(tmp_path, INDICATORS_5MIN, v1, v2))
    assert found == {"(row)": diagnosis, "atr": "constant factor"}


@pytest.mark.parametrize(
    ("prices", "diagnosis"),
    [
        (["open", "high", "low", "close"], "corporate action on one bar"),
        (["open", "high", "low"], "corporate action on one bar"),
        (["open", "high"], "single row"),
    ],
)
def test_one_bar_of_one_series_is_enough_where_three_prices_say_so(
    tmp_path, market, prices, diagnosis
) -> None:
    v1 = market["candles_daily"]
    v2 = v1.copy()
    v2.loc[5, prices] *= 0.2
    found = named(compare_frames(tmp_path, CANDLES_DAILY, v1, v2))
    assert found == dict.fromkeys(prices, diagnosis)


def test_a_mean_over_another_count_is_named_where_one_of_the_counts_is_1(tmp_path, market) -> None:
    above, below = pd.Series([7, 9, 5]), pd.Series([1, 2, 4])
    v1 = market["sequence_analysis"].assign(
        mamba_sequences=above, long_gaps=below, length_score=[0.3, 0.4, 0.5]
    )
    v2 = v1.assign(length_score=v1["length_score"] * (above / below).to_numpy())
    comparison = compare_frames(tmp_path, SEQUENCE_ANALYSIS, v1, v2)
    assert named(comparison) == {"length_score": "other count"}
    assert "V2 / V1 is mamba_sequences / long_gaps" in comparison.diagnoses.at[0, "sentence"]


def test_one_bar_that_jumps_is_not_a_missing_average(tmp_path, last_session) -> None:
    v2 = last_session.copy()
    v2.loc[30, "atr"] *= 20
    assert named(compare_frames(tmp_path, INDICATORS_5MIN, last_session, v2)) == {
        "atr": "single cell"
    }
