"""The plan of a day, against cases worked by hand: what is known at the entry time, and the reason where it is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from setbull_pipelines import tables
from setbull_pipelines.groups.plan import DailyFacts, execution_plan, rules_of
from setbull_pipelines.tables.contract import Source

KEY, OTHER = "NSE_EQ|INE002A01018", "NSE_EQ|INE467B01029"
DAY, BEFORE = pd.Timestamp("2026-06-30"), pd.Timestamp("2026-06-29")
ZONE = "Asia/Kolkata"
FIVE_MINUTES = pd.Timedelta(minutes=5)
RULES = rules_of(
    DAY,
    {"1ST_ENTRY": "09:15", "2_30_ENTRY": "14:30"},
    {"1ST_ENTRY": 50.0, "2_30_ENTRY": 80.0, "BB_RANGE": 80.0},
    FIVE_MINUTES,
)


def at(clock: str) -> pd.Timestamp:
    return pd.Timestamp(f"{DAY.date()} {clock}", tz=ZONE)


def groups(**changes: Any) -> pd.DataFrame:
    row = {
        "group_id": "morning",
        "instrument_key": KEY,
        "entry_type": "1ST_ENTRY",
        "direction": None,
        "stop_loss_percent": 0.5,
        "position_type": "DYNAMIC",
        "line": 2,
    }
    return tables.STOCK_GROUPS.conform(pd.DataFrame([row | changes]))


def bar(clock: str, high: float, low: float, key: str = KEY) -> dict[str, Any]:
    return {
        "instrument_key": key,
        "timestamp": at(clock),
        "trading_day": DAY,
        "open": low,
        "high": high,
        "low": low,
        "close": high,
        "volume": 100,
        "open_interest": None,
        "minutes_traded": 5,
        "minutes_present": 5,
        "minutes_expected": 5,
        "is_complete": True,
    }


def bars(*rows: dict[str, Any]) -> pd.DataFrame:
    return tables.CANDLES_5MIN.conform(pd.DataFrame(rows, columns=tables.CANDLES_5MIN.column_names))


BARS = bars(bar("09:15", 100.0, 98.0), bar("09:20", 103.0, 99.0), bar("14:30", 108.0, 107.0))


def facts(
    close: float = 105.0,
    ema_50: float = 100.0,
    atr: float = 6.0,
    is_warm: bool = True,
    series: str = "exchange",
    with_ex_date: frozenset[str] = frozenset(),
) -> DailyFacts:
    at_bar = {"instrument_key": [KEY], "series": [series], "trading_day": [BEFORE]}
    return DailyFacts(
        BEFORE,
        pd.DataFrame(at_bar | {"close": [close]}),
        pd.DataFrame(
            at_bar
            | {"ema_50": [ema_50], "atr": [atr], "bars_of_history": [300], "is_warm": [is_warm]}
        ),
        0.03,
        with_ex_date,
    )


def plan(
    rows: pd.DataFrame, candles: pd.DataFrame = BARS, before: DailyFacts | None = None
) -> dict[str, Any]:
    planned = execution_plan(
        rows, candles, before or facts(), DAY, at("09:15"), RULES, FIVE_MINUTES
    )
    (row,) = tables.GROUP_EXECUTION_PLAN.schema.validate(planned).to_dict("records")
    return row


def test_a_long_first_entry() -> None:
    """Close 5 % above EMA 50; entry at the high of 09:15; ATR 6 is three times the range of 2."""
    row = plan(groups())
    assert row["is_planned"]
    assert row["direction"] == "LONG"
    assert row["reason"] == "the close 105.00 of 2026-06-29 is 5.00% above EMA 50 (100.00)"
    assert row["entry_time"] == at("09:20")
    assert row["indicators_day"] == BEFORE
    assert (row["morning_range"], row["daily_atr"], row["atr_to_morning_range"]) == (2.0, 6.0, 3.0)
    assert row["entry_price"] == 100.0
    assert row["stop_price"] == 99.5
    assert row["quantity"] == 100
    assert [row[f"level_{name}"] for name in ("1_25", "1_5", "1_75", "2")] == [
        100.15,
        100.25,
        100.40,
        100.50,
    ]
    assert [row[f"quantity_{name}"] for name in ("1", "1_25", "1_5", "1_75", "2")] == [20] * 5
    assert pd.isna(row["range_reason"])


def test_a_short_second_entry_of_the_price_at_half_past_two() -> None:
    """The group asks for SHORT; low of 14:30 is 107; 1 % above is 108.07, in steps 108.05; 80 / 1.05 = 76."""
    row = plan(
        groups(
            entry_type="2_30_ENTRY", direction="SHORT", stop_loss_percent=1.0, position_type="FIXED"
        )
    )
    assert row["reason"] == "the group asks for this side"
    assert row["entry_time"] == at("14:35")
    assert (row["entry_price"], row["stop_price"]) == (107.0, 108.05)
    assert row["risk_per_share"] == pytest.approx(1.05, abs=1e-12)
    assert (row["quantity"], row["quantity_1"], row["quantity_2"]) == (76, 76, 8)
    assert row["level_2"] == 105.95


@pytest.mark.parametrize(
    ("rows", "candles", "before", "reason"),
    [
        (
            groups(direction="LONG"),
            bars(bar("09:20", 103.0, 99.0)),
            facts(),
            "there is no five-minute bar of 2026-06-30 09:15",
        ),
        (
            groups(),
            BARS,
            facts(close=102.9),
            "no direction: the close 102.90 of 2026-06-29 is 2.90% above EMA 50 (100.00), not more than 3.00%",
        ),
        (
            groups(),
            BARS,
            facts(close=103.0),
            "no direction: the close 103.00 of 2026-06-29 is 3.00% above EMA 50 (100.00), not more than 3.00%",
        ),
        (
            groups(),
            BARS,
            facts(is_warm=False),
            "no direction: the daily indicators of 2026-06-29 are not warm: 300 bars of history",
        ),
        (
            groups(instrument_key=OTHER),
            BARS,
            facts(),
            "no direction: there is no daily bar with indicators of 2026-06-29",
        ),
        (
            groups(direction="LONG", entry_type="BB_RANGE"),
            BARS,
            facts(),
            "BB_RANGE has no entry time: it is entered when the bands are narrow",
        ),
        (
            groups(direction="LONG", stop_loss_percent=0.01),
            BARS,
            facts(),
            "a stop 0.01 % from 100.00 falls on the entry in steps of 0.05",
        ),
        (
            groups(direction="LONG", stop_loss_percent=5.0),
            bars(bar("09:15", 2000.0, 1990.0)),
            facts(),
            "a risk of 50.00 rupees buys no share that can lose 100.00",
        ),
    ],
)
def test_what_is_not_known_is_null_with_a_reason(
    rows: pd.DataFrame, candles: pd.DataFrame, before: DailyFacts, reason: str
) -> None:
    row = plan(rows, candles, before)
    assert not row["is_planned"]
    assert row["reason"] == reason
    for name in (
        "entry_price",
        "stop_price",
        "risk_per_share",
        "quantity",
        "level_2",
        "quantity_1",
    ):
        assert pd.isna(row[name]), name


@pytest.mark.parametrize(
    ("candles", "before", "reason"),
    [
        (
            bars(bar("09:20", 103.0, 99.0)),
            facts(),
            "the first bar of the session of 2026-06-30 is not there",
        ),
        (bars(bar("09:15", 100.0, 100.0)), facts(), "the morning range is 0"),
        (
            BARS,
            facts(is_warm=False),
            "the daily indicators of 2026-06-29 are not warm: 300 bars of history",
        ),
        (
            BARS,
            facts(with_ex_date=frozenset({KEY})),
            "a corporate action has its ex-date on the day: daily_atr is in earlier prices",
        ),
    ],
)
def test_a_range_that_cannot_be_compared_says_why(
    candles: pd.DataFrame, before: DailyFacts, reason: str
) -> None:
    row = plan(groups(direction="LONG"), candles, before)
    assert pd.isna(row["atr_to_morning_range"])
    assert row["range_reason"] == reason


def test_the_series_is_the_one_of_the_filters() -> None:
    """'exchange', unless only 'minutes' is warm."""
    warm, cold = facts(close=90.0, series="minutes"), facts(close=110.0, is_warm=False)
    both = DailyFacts(
        BEFORE,
        pd.concat([warm.candles, cold.candles]),
        pd.concat([warm.indicators, cold.indicators]),
        0.03,
    )
    assert plan(groups(), before=both)["direction"] == "SHORT"
    both.indicators["is_warm"] = True
    assert plan(groups(), before=both)["direction"] == "LONG"


def test_no_groups_give_no_rows() -> None:
    empty = tables.STOCK_GROUPS.empty()
    rows = execution_plan(empty, BARS, facts(), DAY, at("09:15"), RULES, FIVE_MINUTES)
    assert len(tables.GROUP_EXECUTION_PLAN.schema.validate(rows)) == 0


DISTURBED: dict[Source, tuple[pd.DataFrame, pd.DataFrame, DailyFacts]] = {
    Source("stock_groups", "entry_type"): (groups(entry_type="2_30_ENTRY"), BARS, facts()),
    Source("stock_groups", "direction"): (groups(direction="SHORT"), BARS, facts()),
    Source("stock_groups", "stop_loss_percent"): (groups(stop_loss_percent=0.6), BARS, facts()),
    Source("stock_groups", "position_type"): (groups(position_type="FIXED"), BARS, facts()),
    Source("candles_5min", "high"): (groups(), bars(bar("09:15", 101.0, 98.0)), facts()),
    Source("candles_5min", "low"): (groups(), bars(bar("09:15", 100.0, 97.0)), facts()),
    Source("candles_5min", "timestamp"): (groups(), bars(bar("09:20", 100.0, 98.0)), facts()),
    Source("candles_daily", "close"): (groups(), BARS, facts(close=80.0)),
    Source("indicators_daily", "ema_50"): (groups(), BARS, facts(ema_50=200.0)),
    Source("indicators_daily", "atr"): (groups(), BARS, facts(atr=7.0)),
    Source("indicators_daily", "is_warm"): (groups(), BARS, facts(is_warm=False)),
    Source("corporate_actions", "ex_date"): (groups(), BARS, facts(with_ex_date=frozenset({KEY}))),
}


@pytest.mark.parametrize("source", DISTURBED, ids=".".join)
def test_no_value_follows_a_column_that_it_does_not_name(source: Source) -> None:
    before, after = plan(groups()), plan(*DISTURBED[source])
    followers = {
        name
        for name, value in before.items()
        if not (value == after[name] or (pd.isna(value) and pd.isna(after[name])))
    }
    assert followers, "nothing changed: the test has nothing to see"
    missing = {
        name for name in followers if source not in tables.GROUP_EXECUTION_PLAN.column(name).sources
    }
    assert not missing, (
        f"{sorted(missing)} follow {source}, which is not among their sources; add it in "
        "setbull_pipelines/tables/groups.py"
    )


CLOCKS = [f"{hour:02}:{minute:02}" for hour in range(9, 16) for minute in range(0, 60, 5)]


@given(
    entry_type=st.sampled_from(["1ST_ENTRY", "2_30_ENTRY"]),
    later=st.lists(
        st.tuples(st.sampled_from(CLOCKS), st.floats(1, 1e5, allow_nan=False), st.floats(0, 50)),
        unique_by=lambda each: each[0],
    ),
    close=st.floats(50, 200),
)
def test_bars_that_close_after_the_entry_time_change_nothing(
    entry_type: str, later: list[tuple[str, float, float]], close: float
) -> None:
    rows, before = groups(entry_type=entry_type), facts(close=close)
    entry_time = RULES[entry_type].entry_time
    known = BARS[BARS["timestamp"] + FIVE_MINUTES <= entry_time]
    unknown = [
        bar(clock, low + width, low)
        for clock, low, width in later
        if at(clock) + FIVE_MINUTES > entry_time
    ]
    with_later = pd.concat([known, bars(*unknown)], ignore_index=True)
    assert repr(plan(rows, known, before)) == repr(plan(rows, with_later, before))


def test_the_property_above_sees_a_bar_that_counts() -> None:
    changed = BARS.assign(high=np.where(BARS["timestamp"] == at("09:15"), 101.0, BARS["high"]))
    assert plan(groups(), changed)["entry_price"] == 101.0
