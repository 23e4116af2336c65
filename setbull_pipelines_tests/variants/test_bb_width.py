"""The band-width monitor of both variants: percentiles against NumPy, patterns and alerts worked out by hand.

Belongs here: ``bb_width`` and ``bb_width_alerts``. Does not belong here: the bands themselves, who is told of an alert.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from setbull_pipelines.settings import BB_WIDTH_RULES, BandWidthSettings
from setbull_pipelines.tables import BB_WIDTH_ALERTS, BB_WIDTH_DAILY, Table
from setbull_pipelines.tables.bb_width import PERCENTILES
from setbull_pipelines.variants import V1, V2
from setbull_pipelines.variants.protocol import Variant
from setbull_pipelines_tests.variants.frames import (
    INDIA,
    assert_contract,
    compare,
    minute_candles,
    random_minutes,
    shuffled,
    stored_bytes,
    trading_days,
)

KEY = "NSE_EQ|TEST"
DAYS = trading_days("2026-06-01", 25)
TODAY = DAYS[-1]
ALL_RULES = BandWidthSettings(alert_rules=BB_WIDTH_RULES)
NONE = float("nan")


def session(widths: Sequence[float], day: pd.Timestamp = TODAY, key: str = KEY) -> pd.DataFrame:
    """What the monitor reads of ``indicators_5min``: one bar per width from 09:15 on."""
    start = day.tz_localize(INDIA) + pd.Timedelta(hours=9, minutes=15)
    return pd.DataFrame(
        {
            "instrument_key": pd.Series([key] * len(widths), dtype="str"),
            "timestamp": pd.date_range(start, periods=len(widths), freq="5min", unit="us"),
            "trading_day": pd.Series([day] * len(widths), dtype="datetime64[us]"),
            "bb_width": np.asarray(widths, dtype="float64"),
        }
    )


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


def bar_of(position: int) -> pd.Timestamp:
    """Start of the bar at a position of the session."""
    return session([0.0] * (position + 1))["timestamp"].iloc[-1]


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


# --- laws -------------------------------------------------------------------------------------------

quick = settings(derandomize=True, deadline=None, max_examples=12, database=None)


@st.composite
def markets(draw: st.DrawFn) -> pd.DataFrame:
    """Sessions of several instruments around the lowest widths, with gaps, flat bars and equal widths."""
    seed = draw(st.integers(0, 2**32 - 1))
    generator = np.random.default_rng(seed)
    frames = []
    moods = ([-0.12, -0.03, 0.02, 0.15], [-0.0004, 0, 0.0003], [-0.07, -0.06, -0.05, 0.2])
    for number in range(draw(st.integers(1, 4))):
        scale = generator.choice([0.015, 1, 40])
        for day in DAYS[-6:]:
            size = int(generator.integers(0, 30))
            steps = generator.choice(moods[generator.integers(3)], size)
            widths = np.round(np.exp(np.cumsum(steps)), 4) * scale
            blank = generator.random(size)
            widths = np.where(blank < 0.05, np.nan, np.where(blank < 0.1, 0.0, widths))
            frames.append(session(widths, day, f"NSE_EQ|{number}"))
    return pd.concat(frames, ignore_index=True)


LAX = replace(ALL_RULES, minimum_bands=3, minimum_sessions=1)


def both_tables(variant: Variant, bars: pd.DataFrame) -> dict[Table, pd.DataFrame]:
    daily = variant.bb_width(bars, LAX)
    days = bars["trading_day"].drop_duplicates().sort_values()
    alerts = [variant.bb_width_alerts(bars, daily, day, LAX) for day in days]
    return {
        BB_WIDTH_DAILY: daily,
        BB_WIDTH_ALERTS: BB_WIDTH_ALERTS.conform(pd.concat([BB_WIDTH_ALERTS.empty(), *alerts])),
    }


@quick
@given(bars=markets())
def test_v1_equals_v2_on_random_sessions(bars: pd.DataFrame) -> None:
    one, other = both_tables(V1, bars), both_tables(V2, bars)
    for table, frame in one.items():
        assert_contract(table, frame)
        assert compare(table, frame, other[table]) == frame.size


def test_random_sessions_meet_every_rule_and_pattern() -> None:
    """The test above compares something: its market has every outcome."""
    found: dict[str, set] = {
        "alert_rule": set(),
        "bb_width_trend": set(),
        "pattern_strength": set(),
    }

    @quick
    @given(bars=markets())
    def look(bars: pd.DataFrame) -> None:
        alerts = both_tables(V2, bars)[BB_WIDTH_ALERTS]
        for name, values in found.items():
            values.update(alerts[name].dropna())

    look()
    assert found["alert_rule"] == set(BB_WIDTH_RULES)
    assert [len(found[name]) for name in ("bb_width_trend", "pattern_strength")] == [3, 3]


@quick
@given(bars=markets(), seed=st.integers(0, 100))
@pytest.mark.parametrize("variant", [V1, V2], ids=["V1", "V2"])
def test_row_order_changes_no_byte(variant: Variant, bars: pd.DataFrame, seed: int) -> None:
    one, other = both_tables(variant, bars), both_tables(variant, shuffled(bars, seed))
    for table, frame in one.items():
        assert stored_bytes(table, frame) == stored_bytes(table, other[table])


@quick
@given(bars=markets(), cut=st.integers(1, 29))
@pytest.mark.parametrize("variant", [V1, V2], ids=["V1", "V2"])
def test_later_bars_change_no_earlier_alert(variant: Variant, bars: pd.DataFrame, cut: int) -> None:
    daily = variant.bb_width(bars, LAX)
    whole = variant.bb_width_alerts(bars, daily, TODAY, LAX).set_index("instrument_key")
    moment = bar_of(cut)
    seen = bars[bars["timestamp"] <= moment]
    # What is known at the moment, with a look-back that already has rows of the unfinished day and after.
    partial = variant.bb_width_alerts(seen, daily, TODAY, LAX).set_index("instrument_key")
    alerted = partial[partial["alert_rule"].notna()]
    names = ["alert_rule", "alert_bar", "alert_bb_width", "alert_distance_percent"]
    pd.testing.assert_frame_equal(alerted[names], whole.loc[alerted.index, names])
    later = whole.loc[partial.index.difference(alerted.index), "alert_bar"].dropna()
    assert (later > moment).all()


@quick
@given(bars=markets())
@pytest.mark.parametrize("variant", [V1, V2], ids=["V1", "V2"])
def test_instruments_and_sessions_do_not_touch_each_other(
    variant: Variant, bars: pd.DataFrame
) -> None:
    together = both_tables(variant, bars)
    parts = [both_tables(variant, own) for _, own in bars.groupby("instrument_key")]
    by_day = [variant.bb_width(own, LAX) for _, own in bars.groupby("trading_day")]
    for table, frame in together.items():
        joined = table.conform(pd.concat([table.empty(), *(part[table] for part in parts)]))
        pd.testing.assert_frame_equal(frame, joined, check_exact=True)
    chunked = BB_WIDTH_DAILY.conform(pd.concat([BB_WIDTH_DAILY.empty(), *by_day]))
    daily = together[BB_WIDTH_DAILY]
    pd.testing.assert_frame_equal(daily, chunked, check_exact=True)


def test_v1_equals_v2_from_minutes_on() -> None:
    days = trading_days("2026-06-01", 6)
    minutes = random_minutes(3, days)
    chains = {}
    for variant in (V1, V2):
        bands = variant.indicators(variant.to_5min(minutes), "5minute")
        daily = variant.bb_width(bands)
        chains[variant.name] = (daily, variant.bb_width_alerts(bands, daily, days[-1]))
    for place, table in enumerate((BB_WIDTH_DAILY, BB_WIDTH_ALERTS)):
        one, other = chains["v1"][place], chains["v2"][place]
        assert_contract(table, one)
        assert compare(table, one, other) == one.size > 0
    assert chains["v1"][1]["lowest_bb_width"].notna().all()


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
