"""Laws of the band-width monitor over random sessions: V1 equals V2, row order, no look-ahead, nothing touches another.

Belongs here: what holds for every session. Does not belong here: widths and alerts worked out by hand.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from setbull_pipelines.settings import BB_WIDTH_RULES
from setbull_pipelines.tables import BB_WIDTH_ALERTS, BB_WIDTH_DAILY, Table
from setbull_pipelines.variants import V1, V2
from setbull_pipelines.variants.protocol import Variant
from setbull_pipelines_tests.variants.frames import (
    assert_contract,
    compare,
    random_minutes,
    shuffled,
    stored_bytes,
    trading_days,
)
from setbull_pipelines_tests.variants.width_sessions import ALL_RULES, DAYS, TODAY, bar_of, session

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
