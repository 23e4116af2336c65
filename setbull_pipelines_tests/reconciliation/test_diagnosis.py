"""Diagnoses on one trading day, as the pipeline compares it, and shapes that must not be claimed."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from setbull_pipelines.reconciliation import compare as comparing
from setbull_pipelines.reconciliation.chains import places
from setbull_pipelines.reconciliation.self_test.market import SESSIONS, Market
from setbull_pipelines.tables import (
    CANDLES_5MIN,
    CANDLES_DAILY,
    FILTER_RESULTS,
    INDICATORS_5MIN,
    INDICATORS_DAILY,
    MOVES_DAILY,
    SEQUENCE_ANALYSIS,
    SEQUENCES,
)
from setbull_pipelines.variants import V2
from setbull_pipelines_tests.reconciliation.partition_files import compare_frames


@pytest.fixture(scope="module")
def market(variants) -> Market:
    return variants[0]


@pytest.fixture(scope="module")
def last_session(market) -> pd.DataFrame:
    """The indicators of one trading day, with their history behind them."""
    indicators = market["indicators_5min"]
    return indicators[indicators["trading_day"] == SESSIONS[-1]].reset_index(drop=True)


def named(comparison) -> dict[str, str]:
    """Name of the diagnosis by column."""
    return {
        column: row.diagnosis
        for row in comparison.diagnoses.itertuples()
        for column in row.column_names.split(",")
    }


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


def test_a_text_has_no_warm_up(tmp_path, market) -> None:
    analysis = market["sequence_analysis"]
    v1 = analysis.assign(dominant_by_continuation=pd.Series([None] * 3, dtype="str"))
    v2 = analysis.assign(dominant_by_continuation=["MAMBA-1", "MAMBA-2", "NON_MAMBA-1"])
    found = named(compare_frames(tmp_path, SEQUENCE_ANALYSIS, v1, v2))
    assert found == {"dominant_by_continuation": "unknown shape"}


def test_a_decision_at_its_limit_is_no_mix_up(tmp_path, market) -> None:
    moves = market["moves_daily"].copy()
    percent = moves["move_percent"].to_numpy().copy()
    at_limit = np.flatnonzero(~moves["is_mamba"])[[1, 3, 5, 8]]
    percent[at_limit] = 5.0
    v1 = moves.assign(move_percent=percent)
    for rows, diagnosis in ((4, "value equal to a limit"), (2, "single instrument")):
        v2 = v1.copy()
        v2.loc[at_limit[:rows], "is_mamba"] = True
        found = named(compare_frames(tmp_path / str(rows), MOVES_DAILY, v1, v2))
        assert found == {"is_mamba": diagnosis}


@pytest.mark.parametrize(("equal_rows", "is_limit"), [(3, True), (4, False), (5, False)])
def test_a_number_that_as_many_equal_rows_have_is_no_limit(
    tmp_path, market, equal_rows, is_limit
) -> None:
    v1 = market["moves_daily"].copy()
    others = np.flatnonzero(~v1["is_mamba"])[[1, 3, 5, 8, 10, 11, 12, 14, 15]]
    v1.loc[others[: 4 + equal_rows], "move_percent"] = 5.0
    v2 = v1.copy()
    v2.loc[others[:4], "is_mamba"] = True
    found = named(compare_frames(tmp_path, MOVES_DAILY, v1, v2))
    assert (found["is_mamba"] == "value equal to a limit") is is_limit


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


def test_a_table_without_stages_has_one_place_and_the_filters_have_theirs_in_order() -> None:
    assert set(places(INDICATORS_5MIN).values()) == {0}
    of_filters = places(FILTER_RESULTS)
    assert of_filters["rsi_passed"] < of_filters["mamba_passed"] < of_filters["verdict"]


def test_one_bar_that_jumps_is_not_a_missing_average(tmp_path, last_session) -> None:
    v2 = last_session.copy()
    v2.loc[30, "atr"] *= 20
    assert named(compare_frames(tmp_path, INDICATORS_5MIN, last_session, v2)) == {
        "atr": "single cell"
    }


def test_the_earliest_stage_of_the_filters_is_the_cause_and_the_verdict_its_echo(
    tmp_path, market
) -> None:
    """V2 lets everything pass the RSI stage: each of its later columns would have a shape of its own."""
    one = market["filter_results"].iloc[[0]]
    rows = pd.concat([one] * 30, ignore_index=True)
    rows["instrument_key"] = [f"NSE_EQ|INE{number:09d}" for number in range(30)]
    stopped = np.arange(30) % 3 == 0
    v1 = rows.assign(
        rsi_passed=pd.array(~stopped, dtype="boolean"),
        stopped_at=np.where(stopped, "rsi", None),
        verdict=np.where(stopped, "rejected", "bullish"),
        reason=np.where(stopped, "RSI is too low", "all stages passed"),
    )
    v2 = rows.assign(
        rsi_passed=pd.array([True] * 30, dtype="boolean"),
        stopped_at=None,
        verdict="bullish",
        reason="all stages passed",
    )
    sides = (FILTER_RESULTS.conform(side) for side in (v1, v2))
    comparison = compare_frames(tmp_path, FILTER_RESULTS, *sides)
    assert comparison.diagnoses.at[0, "column_names"] == "rsi_passed"
    assert named(comparison) == {
        "rsi_passed": "constant value",
        **dict.fromkeys(("stopped_at", "verdict", "reason"), "echo"),
    }
    assert "rsi_passed, an earlier stage" in comparison.diagnoses.at[1, "sentence"]


def test_a_change_from_the_first_member_is_0_in_groups_of_one_and_only_there(
    tmp_path, market
) -> None:
    runs = market["sequences"]
    is_alone = runs["length"] == 1
    assert 3 <= is_alone.sum() < len(runs)
    changed = runs["return_percent"] * (1.1 + 0.1 * np.sin(np.arange(len(runs)) ** 2))
    for base, diagnosis in ((0.0, "first one left out"), (0.5, "unknown shape")):
        v2 = runs.assign(return_percent=changed.where(~is_alone, base))
        found = named(compare_frames(tmp_path / str(base), SEQUENCES, runs, v2))
        assert found == {"return_percent": diagnosis}
