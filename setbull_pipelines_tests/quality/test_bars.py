"""Every bar against its own minutes, in SQL: bars that both variants make wrong alike, and odd sessions."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from setbull_pipelines import tables
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.market.session_frames import session_intervals
from setbull_pipelines.quality.rules import all_rules
from setbull_pipelines.quality.verdict import NOT_JUDGED, Rule
from setbull_pipelines.settings import AggregationSettings, Settings
from setbull_pipelines.tables.columns import MINUTES
from setbull_pipelines.variants import V1
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines_tests.pipeline.small_run import SmallRun

RAW, HISTORY = "raw.candles_1min", "raw.candles_daily_history"
BARS = [StoredTable(variant, tables.CANDLES_5MIN) for variant in ("v1", "v2")]
DAILY = [StoredTable(variant, tables.CANDLES_DAILY) for variant in ("v1", "v2")]
COLUMNS = ("open", "high", "low", "close", "volume", "open_interest", "minutes_traded")


def rule_of(stored: StoredTable) -> Rule:
    (found,) = (rule for rule in all_rules()[stored] if rule.name == "bars_follow_from_minutes")
    assert found.is_error
    return found


@pytest.fixture(scope="module")
def frames(small_run: SmallRun) -> dict[str, pd.DataFrame]:
    day = small_run.days[-1].isoformat()
    wanted = {
        read for stored in BARS + DAILY for rule in all_rules()[stored] for read in rule.reads
    }
    return {stored.name: small_run.warehouse.read(stored, [day]) for stored in wanted}


def with_closes_moved_by_a_minute(
    bars: pd.DataFrame, minutes: pd.DataFrame
) -> tuple[pd.DataFrame, list[int]]:
    """Bars inside the session that close with the minute before their last one, and the rows that changed.

    Only where that price is another one; the last bar of the session stays, so that all totals of the day hold.
    """
    traded = minutes[minutes["volume"] > 0].sort_values("timestamp")
    moved, changed = bars.copy(), []
    last = bars.groupby("instrument_key")["timestamp"].transform("max")
    for row in bars[bars["timestamp"] < last].head(200).itertuples():
        end = row.timestamp + pd.Timedelta(minutes=5)
        inside = traded[
            (traded["instrument_key"] == row.instrument_key)
            & (traded["timestamp"] >= row.timestamp)
            & (traded["timestamp"] < end)
        ]
        if len(inside) > 1 and inside["close"].iloc[-2] != row.close:
            moved.loc[row.Index, "close"] = inside["close"].iloc[-2]
            changed.append(row.Index)
    return moved, changed


def test_closes_moved_by_a_minute_in_both_variants_are_found_by_this_rule_alone(
    frames: dict[str, pd.DataFrame], small_run: SmallRun
) -> None:
    day = pd.Timestamp(small_run.days[-1])
    moved, changed = with_closes_moved_by_a_minute(frames[BARS[0].name], frames[RAW])
    assert len(changed) > 20
    planted = {**frames, **{stored.name: moved for stored in BARS}}
    for stored in BARS:
        failed = {
            rule.name: verdict
            for rule in all_rules()[stored]
            if not (verdict := rule.judge(planted, day, small_run.settings)).passed
        }
        assert set(failed) == {"bars_follow_from_minutes"}
        verdict = failed["bars_follow_from_minutes"]
        assert verdict.metadata["bars wrong"] == len(changed)
        first = moved.loc[changed[0]]
        was = frames[stored.name].loc[changed[0], "close"]
        assert (
            f"{first['instrument_key']} {first['timestamp']:%H:%M}, close: found {first['close']}, "
            f"expected {was}" in verdict.description
        )


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("stored", BARS + DAILY, ids=lambda stored: stored.name)
def test_every_column_of_a_bar_is_held(
    stored: StoredTable, column: str, frames: dict[str, pd.DataFrame], small_run: SmallRun
) -> None:
    day, rule = pd.Timestamp(small_run.days[-1]), rule_of(stored)
    assert rule.judge(frames, day, small_run.settings).passed
    bars = frames[stored.name].copy()
    of_minutes = bars.index[bars["series"] == MINUTES] if stored in DAILY else bars.index
    row = of_minutes[len(of_minutes) // 2]
    found = bars.loc[row, column]
    bars.loc[row, column] = 1 if pd.isna(found) else found + 1
    verdict = rule.judge({**frames, stored.name: bars}, day, small_run.settings)
    assert not verdict.passed
    key = bars.loc[row, "instrument_key"]
    expected = "None" if pd.isna(found) else found
    assert f"1 bars differ from their minutes: {key} " in verdict.description
    assert f", {column}: found {bars.loc[row, column]}, expected {expected}" in verdict.description


def test_a_missing_bar_and_one_too_many_are_told(
    frames: dict[str, pd.DataFrame], small_run: SmallRun
) -> None:
    day, (stored, _) = pd.Timestamp(small_run.days[-1]), BARS
    bars = frames[stored.name]
    key, shares = bars["instrument_key"].iloc[0], bars["volume"].iloc[0]
    without = rule_of(stored).judge({**frames, stored.name: bars[1:]}, day, small_run.settings)
    assert f"{key} 09:15, the bar: found no bar, expected one of {shares:,} shares" in (
        without.description
    )
    minutes = frames[RAW]
    fewer = minutes[~((minutes["instrument_key"] == key) & (minutes["timestamp"].dt.hour == 9))]
    surplus = rule_of(stored).judge({**frames, RAW: fewer}, day, small_run.settings)
    assert f"{key} 09:15, the bar: found a bar, expected none" in surplus.description


def test_neither_bars_nor_minutes_are_not_judged(frames: dict[str, pd.DataFrame]) -> None:
    nothing = {name: frame.iloc[:0] for name, frame in frames.items()}
    for stored in BARS + DAILY:
        verdict = rule_of(stored).judge(nothing, pd.Timestamp(2026, 6, 30), Settings())
        assert not verdict.passed
        assert NOT_JUDGED in verdict.metadata


# A drill with a break, an outage whose second interval begins at a quarter to, an evening.
ODD_SESSIONS = [date(2024, 3, 2), date(2021, 2, 24), date(2024, 11, 1)]
MINUTE = st.tuples(
    st.sampled_from(["NSE_EQ|A", "NSE_EQ|B", "NSE_INDEX|C"]),
    st.integers(0, 134),
    *[st.integers(100, 120)] * 4,
    st.none() | st.integers(0, 3),
    st.none() | st.integers(0, 5),
)


@pytest.mark.parametrize("untraded", ["exclude", "include"])
@given(
    day=st.sampled_from(ODD_SESSIONS),
    rows=st.lists(MINUTE, min_size=1, max_size=60, unique_by=lambda row: row[:2]),
)
@examples(max_examples=30)
def test_bars_of_odd_sessions_follow_from_their_minutes(
    untraded: str, day: date, rows: list
) -> None:
    """Held against the plain reference: where both agree on random minutes, neither reads the sessions wrongly."""
    clocks = [
        start + pd.Timedelta(minutes=number)
        for start, length in session_intervals([day])[["start", "minutes"]].itertuples(index=False)
        for number in range(length)
    ]
    made = [
        {
            "instrument_key": key,
            "timestamp": clocks[number % len(clocks)],
            "trading_day": pd.Timestamp(day),
            "open": prices[0],
            "high": max(prices),
            "low": min(prices),
            "close": prices[1],
            "volume": volume,
            "open_interest": interest,
            "source": "x",
            "ingested_at": clocks[-1],
            "state": "final",
            "session_shape": "full",
        }
        for key, number, *prices, volume, interest in rows
    ]
    minutes = tables.CANDLES_1MIN.conform(
        pd.DataFrame(made).drop_duplicates(["instrument_key", "timestamp"])
    )
    settings = Settings(aggregation=AggregationSettings(untraded_minutes=untraded))
    assert NSE.session(day).minutes == len(clocks)
    found = {
        RAW: minutes,
        HISTORY: tables.CANDLES_DAILY_HISTORY.empty(),
        BARS[0].name: V1.to_5min(minutes, settings.aggregation),
        DAILY[0].name: V1.to_daily(
            minutes, tables.CANDLES_DAILY_HISTORY.empty(), settings.aggregation
        ),
    }
    for stored in (BARS[0], DAILY[0]):
        for rule in all_rules()[stored]:
            if rule.name in ("bars_follow_from_minutes", "session_conserved"):
                verdict = rule.judge(found, pd.Timestamp(day), settings)
                # Minutes of shares of which none counts make no bar.
                assert verdict.passed or NOT_JUDGED in verdict.metadata, verdict.description


@pytest.mark.parametrize("invented", [0, 7])
@pytest.mark.parametrize("rule_name", ["bars_follow_from_minutes", "session_conserved"])
def test_a_volume_that_nobody_stated_is_found(rule_name: str, invented: int) -> None:
    """A sum of nothing is not 0: an index has no volume."""
    day = pd.Timestamp("2026-06-30")
    minute = {
        "instrument_key": "NSE_INDEX|Nifty 50",
        "timestamp": pd.Timestamp("2026-06-30 09:15", tz="Asia/Kolkata"),
        "trading_day": day,
        **dict.fromkeys(("open", "high", "low", "close"), 100.0),
        "volume": pd.NA,
        "open_interest": pd.NA,
        "source": "x",
        "ingested_at": pd.Timestamp("2026-06-30 16:00", tz="Asia/Kolkata"),
        "state": "final",
        "session_shape": "full",
    }
    minutes = tables.CANDLES_1MIN.conform(pd.DataFrame([minute]))
    history = tables.CANDLES_DAILY_HISTORY.empty()
    frames = {
        RAW: minutes,
        HISTORY: history,
        BARS[0].name: V1.to_5min(minutes),
        DAILY[0].name: V1.to_daily(minutes, history),
    }
    for stored in (BARS[0], DAILY[0]):
        (rule,) = (found for found in all_rules()[stored] if found.name == rule_name)
        assert rule.judge(frames, day, Settings()).passed
        wrong = frames[stored.name].assign(volume=pd.array([invented], dtype="Int64"))
        assert not rule.judge({**frames, stored.name: wrong}, day, Settings()).passed
        missing = {**frames, stored.name: frames[stored.name].iloc[:0]}
        assert not rule.judge(missing, day, Settings()).passed
