"""The band-width monitor of both variants: percentiles against NumPy, patterns and alerts worked out by hand.

Belongs here: ``bb_width`` and ``bb_width_alerts``. Does not belong here: the bands themselves, laws that hold for every
session, who is told of an alert.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from setbull_pipelines.settings import BB_WIDTH_RULES, BandWidthSettings
from setbull_pipelines.tables import BB_WIDTH_ALERTS, BB_WIDTH_DAILY
from setbull_pipelines.tables.bb_width import PERCENTILES
from setbull_pipelines.variants import V2
from setbull_pipelines.variants.protocol import Variant
from setbull_pipelines_tests.variants.frames import assert_contract, minute_candles, shuffled
from setbull_pipelines_tests.variants.width_sessions import (
    ALL_RULES,
    DAYS,
    KEY,
    TODAY,
    bar_of,
    session,
)

NONE = float("nan")


def look_back(
    lowest: Sequence[float], p10: Sequence[float] | None = None, bands: int = 75, key: str = KEY
) -> pd.DataFrame:
    """Rows of ``bb_width_daily`` of the sessions before today, the last one yesterday."""
    size = len(lowest)
    p10 = lowest if p10 is None else p10
    rows = pd.DataFrame({"instrument_key": [key] * size, "trading_day": DAYS[-1 - size : -1]})
    rows = rows.assign(bars=bands, bands=bands, mean_bb_width=9.0, max_bb_width=9.0)
    for percent in PERCENTILES:
        rows[f"p{percent}_bb_width"] = np.asarray(p10, dtype="float64")
    return BB_WIDTH_DAILY.conform(rows.assign(min_bb_width=np.asarray(lowest, dtype="float64")))


def monitored(
    variant: Variant,
    widths: Sequence[float],
    lowest: Sequence[float] = (1.0, 1.0, 1.0),
    rules: BandWidthSettings = ALL_RULES,
) -> pd.Series:
    """The row of the monitor for one instrument."""
    found = variant.bb_width_alerts(session(widths), look_back(lowest), TODAY, rules)
    assert_contract(BB_WIDTH_ALERTS, found)
    assert len(found) == 1
    return found.iloc[0]


# --- statistics of a session ------------------------------------------------------------------------


def test_statistics_of_a_session_worked_out_by_hand(variant: Variant) -> None:
    # 21 widths 0.1 to 2.1 in a scrambled order: percentile p is the one at position p / 5, halves up.
    widths = (np.random.default_rng(4).permutation(21) + 1) / 10
    found = variant.bb_width(session([NONE, 0.0, 0.0009, *widths])).iloc[0]
    assert (found["bars"], found["bands"]) == (24, 21)
    expected = {10: 0.3, 15: 0.4, 20: 0.5, 25: 0.6, 50: 1.1}
    assert {percent: found[f"p{percent}_bb_width"] for percent in PERCENTILES} == expected
    assert (found["min_bb_width"], found["max_bb_width"]) == (0.1, 2.1)
    assert found["mean_bb_width"] == pytest.approx(1.1, rel=1e-12)


def test_a_percentile_between_two_widths_is_the_upper_one(variant: Variant) -> None:
    found = variant.bb_width(session([1.0, 2.0])).iloc[0]
    assert [found[f"p{percent}_bb_width"] for percent in PERCENTILES] == [1, 1, 1, 1, 2]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 10, 11, 37, 74, 75, 76, 129])
def test_percentiles_are_those_of_numpy(variant: Variant, count: int) -> None:
    widths = np.random.default_rng(count).lognormal(0, 1, count)
    found = variant.bb_width(session(widths)).iloc[0]
    for percent in PERCENTILES:
        # NumPy rounds halves to the even position; ours go up.
        is_half = (percent * (count - 1)) % 100 == 50
        method = "higher" if is_half else "nearest"
        expected = np.percentile(widths, percent, method=method)
        assert found[f"p{percent}_bb_width"] == expected, percent


def test_a_session_without_a_band_has_no_statistics(variant: Variant) -> None:
    found = variant.bb_width(session([NONE, 0.0, 0.0]))
    assert_contract(BB_WIDTH_DAILY, found)
    assert (found.at[0, "bars"], found.at[0, "bands"]) == (3, 0)
    statistics = [column.name for column in BB_WIDTH_DAILY.columns[4:]]
    assert len(statistics) == 8
    assert found[statistics].isna().all(axis=None)


def test_a_band_begins_at_the_minimum_width(variant: Variant) -> None:
    rules = BandWidthSettings(minimum_width=0.5)
    assert variant.bb_width(session([0.5, 0.49999]), rules).at[0, "bands"] == 1


def test_percentiles_are_those_that_the_replaced_system_published(
    variant: Variant, shared_data: Path
) -> None:
    """Of its own widths, of the sample deviation and as ratios to the close: other bands, the same percentile."""
    bars = pd.read_parquet(shared_data / "candles_5min_polars.parquet")
    expected = pd.read_csv(shared_data / "bb_width_daily_quantiles.csv")
    days = bars["timestamp"].dt.tz_localize(None).dt.normalize().astype("datetime64[us]")
    bars = bars.assign(bb_width=bars["ref_py_bb_width"], trading_day=days)
    found = variant.bb_width(bars, BandWidthSettings(minimum_width=1e-9))
    assert found["bands"].to_list() == expected["bars_5min"].to_list()
    assert found["instrument_key"].to_list() == expected["instrument_key"].to_list()
    # Printed with 6 decimals.
    np.testing.assert_allclose(found["p10_bb_width"], expected["ref_py_bb_width_p10"], atol=5.1e-7)


# --- the lowest width -------------------------------------------------------------------------------


def test_the_lowest_width_is_that_of_the_day_with_the_smallest_p10(variant: Variant) -> None:
    # The third day has the smallest width of all, but the second one the smallest 10th percentile.
    before = look_back([0.8, 0.7, 0.4], p10=[1.0, 0.9, 1.1])
    found = variant.bb_width_alerts(session([1.0]), before, TODAY).iloc[0]
    assert found["lowest_bb_width"] == 0.7
    assert found["lowest_bb_day"] == DAYS[-3]
    assert found["lowest_bb_width_absolute"] == 0.4
    assert found["look_back_sessions"] == 3


def test_of_equal_percentiles_the_earliest_day_counts(variant: Variant) -> None:
    # The same closes in another order give a width that differs in its last digits.
    before = look_back([0.8, 0.7, 0.6], p10=[1.1, 0.9 * (1 + 1e-13), 0.9])
    found = variant.bb_width_alerts(shuffled(session([1.0]), 1), shuffled(before, 1), TODAY)
    assert found.at[0, "lowest_bb_day"] == DAYS[-3]


def test_sessions_that_hardly_traded_do_not_count(variant: Variant) -> None:
    before = look_back([0.5, 0.6, 0.7, 0.8], p10=[0.009, 0.6, 0.7, 0.8])
    before.loc[1, "bands"] = 9
    found = variant.bb_width_alerts(session([1.0]), before, TODAY)
    assert found.at[0, "look_back_sessions"] == 2
    assert found["lowest_bb_width"].isna().all()
    two = BandWidthSettings(minimum_sessions=2)
    assert (
        variant.bb_width_alerts(session([1.0]), before, TODAY, two).at[0, "lowest_bb_width"] == 0.7
    )


def test_the_day_itself_and_later_ones_are_not_looked_back_at(variant: Variant) -> None:
    before = look_back([0.8, 0.7, 0.6, 0.5])
    as_of = DAYS[-2]
    found = variant.bb_width_alerts(session([1.0], as_of), before, as_of)
    assert (found.at[0, "lowest_bb_width"], found.at[0, "look_back_sessions"]) == (0.6, 3)


def test_without_a_lowest_width_there_is_no_alert_and_no_guess(variant: Variant) -> None:
    found = monitored(variant, [1.0, 0.9, 0.8, 0.7, 0.6, 0.5], lowest=[0.5, 0.5])
    unknown = [
        "lowest_bb_day",
        "lowest_bb_width",
        "lowest_bb_width_absolute",
        "distance_from_lowest_percent",
        "candles_in_range",
        "is_squeeze",
        "alert_rule",
        "alert_bar",
    ]
    assert found[unknown].isna().all()
    assert (found["alerting_bands"], found["contracting_bands"]) == (0, 5)


def test_an_instrument_without_a_band_has_a_row_of_nulls(variant: Variant) -> None:
    found = monitored(variant, [NONE, 0.0])
    assert found["lowest_bb_width"] == 1.0
    last = ["last_band", "bb_width", "candles_in_range", "contracting_bands", "bb_width_trend"]
    assert found[last].isna().all()
    assert found["alerting_bands"] == 0


# --- patterns ---------------------------------------------------------------------------------------


def test_distance_is_signed_and_unbounded(variant: Variant) -> None:
    assert monitored(variant, [25.0])["distance_from_lowest_percent"] == pytest.approx(2400)
    assert monitored(variant, [0.5])["distance_from_lowest_percent"] == pytest.approx(-50)


@pytest.mark.parametrize(
    ("widths", "expected"),
    [
        ([1.18881], 1),
        ([1.19119], 1),
        ([1.1888], 0),
        ([1.1912], 0),
        ([1.19, 1.19, 1.3, 1.19, 1.191], 2),
        ([1.19, 1.3], 0),
        ([1.19] * 30, 20),
    ],
)
def test_candles_in_range_with_both_ends_of_the_reference(
    variant: Variant, widths: list[float], expected: int
) -> None:
    assert monitored(variant, widths, lowest=[1.19] * 3)["candles_in_range"] == expected


@pytest.mark.parametrize(
    ("widths", "expected"),
    [
        ([5.0], 0),
        ([5.0, 4.0], 1),
        ([5.0, 4.0, 3.0, 2.0], 3),
        ([5.0, 4.0, 4.0], 0),
        ([5.0, 4.0, 4.0 * (1 - 1e-12)], 0),
        ([5.0, 4.0, 4.5, 3.0], 1),
        ([5.0, NONE, 4.0, 0.0, 3.0], 2),
    ],
)
def test_falls_in_a_row(variant: Variant, widths: list[float], expected: int) -> None:
    assert monitored(variant, widths)["contracting_bands"] == expected


@pytest.mark.parametrize(
    ("widths", "expected"),
    [
        ([10, 10, 10, 9.4, 9.4, 9.4], "contracting"),
        ([10, 10, 10, 9.6, 9.6, 9.6], "stable"),
        ([10, 10, 10, 10.4, 10.4, 10.4], "stable"),
        ([10, 10, 10, 10.6, 10.6, 10.6], "expanding"),
        ([1, 10, 10, 10, 9, 9, 9], "contracting"),
        ([10, 10, 9, 9, 9], "stable"),
    ],
)
def test_trend_of_the_last_three_means(
    variant: Variant, widths: list[float], expected: str
) -> None:
    assert monitored(variant, widths)["bb_width_trend"] == expected


@pytest.mark.parametrize(
    ("widths", "expected"),
    [
        ([10, 9.5, 9, 8.5, 8, 7], "strong"),
        ([10, 9.9, 9.8, 9.7, 9.6, 9.5], "weak"),
        ([9.5, 9, 8.5, 8, 7], "moderate"),
        ([10, 9.7, 9.4, 9.1], "moderate"),
        ([10, 8, 6], "weak"),
        ([10], "weak"),
    ],
)
def test_strength_needs_falls_in_a_row_and_a_fall(
    variant: Variant, widths: list[float], expected: str
) -> None:
    assert monitored(variant, widths)["pattern_strength"] == expected


def test_a_squeeze_is_a_width_that_is_not_above_the_lowest(variant: Variant) -> None:
    assert [monitored(variant, [width])["is_squeeze"] for width in (0.9, 1.0, 1.0001)] == [
        True,
        True,
        False,
    ]


def test_patterns_do_not_reach_into_the_session_before(variant: Variant) -> None:
    both = pd.concat([session([9.0, 8.0, 7.0], DAYS[-2]), session([6.0])], ignore_index=True)
    found = variant.bb_width_alerts(both, look_back([1.0] * 3), TODAY)
    assert found["contracting_bands"].to_list() == [0]


# --- alerts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("widths", "rule", "position", "alerting"),
    [
        ([2, 2, 2, 2], None, None, 0),
        ([1.0005], "threshold", 0, 1),
        # Three bands inside the range, only the first of them enters it.
        ([2, 1.0005, 1.0005, 1.0005], "threshold", 1, 1),
        # Out and in again: two alerting bands, one alert.
        ([2, 1.0005, 2, 1.0005], "threshold", 1, 2),
        ([2, 1.5, 1.0005], "range contracting", 2, 1),
        ([9.5, 9, 8.5, 8, 7.5, 6.5], "pattern", 5, 1),
        ([2, 0.5, 0.4], "squeeze", 1, 2),
        ([2, 2, 2, 2.5, 2.5, 2.5], "expansion", 5, 1),
        # Only the band at which it begins to expand.
        ([2, 2, 2, 2.5, 2.5, 2.5, 3, 3, 3], "expansion", 5, 1),
    ],
)
def test_the_first_alert_of_a_session(
    variant: Variant, widths: list[float], rule: str | None, position: int | None, alerting: int
) -> None:
    found = monitored(variant, widths)
    assert found["alerting_bands"] == alerting
    if rule is None:
        assert pd.isna(found["alert_rule"])
        return
    assert found["alert_rule"] == rule
    assert found["alert_bar"] == bar_of(position)
    assert found["alert_bb_width"] == widths[position]
    assert found["alert_distance_percent"] == pytest.approx((widths[position] - 1) * 100)


@pytest.mark.parametrize(
    "widths", [[2, 2, 2, 2.5, 2.5, 2.5], [9.5, 9, 8.5, 8, 7.5, 6.5]], ids=["expansion", "pattern"]
)
def test_the_way_of_a_width_is_told_only_if_asked_for(variant: Variant, widths: list) -> None:
    assert pd.isna(monitored(variant, widths, rules=BandWidthSettings())["alert_rule"])


def test_rules_name_an_alert_in_their_order(variant: Variant) -> None:
    # At the lowest width exactly: inside the range, and a squeeze.
    for first in (("threshold", "squeeze"), ("squeeze", "threshold")):
        rules = replace(ALL_RULES, alert_rules=first)
        assert monitored(variant, [1.0], rules=rules)["alert_rule"] == first[0]
    assert pd.isna(
        monitored(variant, [1.0], rules=replace(ALL_RULES, alert_rules=()))["alert_rule"]
    )


def test_how_often_the_rules_are_met_on_real_sessions(shared_data: Path) -> None:
    """Why two rules are off by default: with them almost every session of every stock has an alert."""
    rows = pd.read_parquet(shared_data / "market" / "minute_2016-08-16_2016-09-09.parquet")
    symbols = sorted(rows["symbol"].unique())[:60]
    minutes = rows[rows["symbol"].isin(symbols)].drop(columns="symbol")
    bands = V2.indicators(V2.to_5min(minute_candles(minutes)), "5minute")
    daily = V2.bb_width(bands)
    days = daily["trading_day"].drop_duplicates().sort_values()[5:]

    def alerts(rules: tuple[str, ...]) -> pd.Series:
        chosen = BandWidthSettings(alert_rules=rules)
        found = pd.concat([V2.bb_width_alerts(bands, daily, day, chosen) for day in days])
        return found.loc[found["lowest_bb_width"].notna(), "alert_rule"]

    by_default, with_pattern = alerts(BB_WIDTH_RULES[:3]), alerts(BB_WIDTH_RULES[:4])
    assert by_default.notna().mean() == pytest.approx(0.14, abs=0.005)
    assert with_pattern.notna().mean() == pytest.approx(0.98, abs=0.01)


def test_no_bars_give_empty_tables(variant: Variant) -> None:
    nothing = session([])
    assert variant.bb_width(nothing).equals(BB_WIDTH_DAILY.empty())
    found = variant.bb_width_alerts(nothing, BB_WIDTH_DAILY.empty(), TODAY)
    assert found.equals(BB_WIDTH_ALERTS.empty())
