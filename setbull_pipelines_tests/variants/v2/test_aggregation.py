"""V2 aggregation: hand-made minutes, unusual sessions, refused rows, an independent aggregation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from setbull_pipelines.market.session_table import CLOSING_AUCTION, FULL, SHAPE_NOT_KNOWN
from setbull_pipelines.settings import AggregationSettings
from setbull_pipelines.tables import (
    CANDLES_1MIN,
    CANDLES_5MIN,
    CANDLES_DAILY,
    CANDLES_DAILY_HISTORY,
)
from setbull_pipelines.variants import v2
from setbull_pipelines_tests.variants.v2.frames import (
    STOCK,
    daily_history,
    minutes,
    shuffled,
    steady_minutes,
)

VECTOR = minutes(
    [
        ("09:15", 100, 102, 99, 101, 10),
        ("09:16", 101, 103, 100, 102, 20),
        ("09:19", 102, 102, 98, 99, 0),
        ("09:20", 99, 100, 97, 98, 30),
    ],
    open_interest=[5, 6, 7, 8],
)
INCLUDE = AggregationSettings(untraded_minutes="include")
OUTAGE = [("09:15", "11:40"), ("15:45", "17:00")]
PRICES = ["open", "high", "low", "close"]


def clock(frame: pd.DataFrame) -> list[str]:
    return frame["timestamp"].dt.strftime("%H:%M").tolist()


def test_every_delivered_minute_counts_with_include() -> None:
    result = v2.to_5min(VECTOR, INCLUDE)
    CANDLES_5MIN.schema.validate(result)
    assert clock(result) == ["09:15", "09:20"]
    assert result[PRICES].to_numpy().tolist() == [[100, 103, 98, 99], [99, 100, 97, 98]]
    assert result["volume"].tolist() == [30, 30]
    assert result["open_interest"].tolist() == [7, 8]
    assert result["minutes_traded"].tolist() == [2, 1]
    assert result["minutes_present"].tolist() == [3, 1]


def test_untraded_minute_gives_no_price_but_is_present() -> None:
    result = v2.to_5min(VECTOR)
    CANDLES_5MIN.schema.validate(result)
    assert result[PRICES].to_numpy().tolist() == [[100, 103, 99, 102], [99, 100, 97, 98]]
    assert result["open_interest"].tolist() == [6, 8]
    assert result["minutes_traded"].tolist() == [2, 1]
    assert result["minutes_present"].tolist() == [3, 1]
    assert result["minutes_expected"].tolist() == [5, 5]
    assert not result["is_complete"].any()


def test_a_bar_begins_by_the_clock_of_its_interval_where_its_first_minutes_are_missing() -> None:
    rows = [(time, 10, 10, 10, 10, 1) for time in ("09:17", "09:18", "09:21", "09:24", "15:29")]
    result = v2.to_5min(minutes(rows))
    assert clock(result) == ["09:15", "09:20", "15:25"]
    assert result["minutes_present"].tolist() == [2, 2, 1]


def test_open_interest_is_the_last_one_stated() -> None:
    rows = [(f"09:{minute}", 10, 10, 10, 10, 1) for minute in range(15, 22)]
    stated = [100, 110, 120, 140, None, None, None]
    result = v2.to_5min(minutes(rows, open_interest=stated))
    assert result["open_interest"].iloc[0] == 140
    assert result["open_interest"].isna().tolist() == [False, True]


def test_regular_day_has_75_whole_bars() -> None:
    result = v2.to_5min(steady_minutes([("09:15", "15:30")], "2025-06-02"))
    assert len(result) == 75
    assert clock(result)[0] == "09:15"
    assert clock(result)[-1] == "15:25"
    assert result["is_complete"].all()
    assert (result["volume"] == 5).all()


def test_interrupted_day_counts_from_each_interval() -> None:
    day = steady_minutes(OUTAGE, "2021-02-24")
    result = v2.to_5min(day)
    assert len(result) == 29 + 15
    assert clock(result)[28:30] == ["11:35", "15:45"]

    by_ten = v2.to_5min(day, AggregationSettings(bar_minutes=10))
    assert clock(by_ten)[14:16] == ["11:35", "15:45"]
    assert by_ten["minutes_expected"].iloc[14] == 5
    assert by_ten["minutes_expected"].iloc[-1] == 5
    assert by_ten["is_complete"].all()

    daily = v2.to_daily(day, CANDLES_DAILY_HISTORY.empty())
    assert daily["minutes_expected"].tolist() == [220]
    assert daily["is_complete"].tolist() == [True]


def test_evening_session_counts_from_its_own_open() -> None:
    result = v2.to_5min(steady_minutes([("18:15", "19:15")], "2023-11-12"))
    assert clock(result) == [
        time.strftime("%H:%M") for time in pd.date_range("18:15", "19:10", freq="5min")
    ]


@pytest.mark.parametrize(
    ("time", "day"),
    [("09:14", "2025-06-02"), ("15:30", "2025-06-02"), ("12:00", "2021-02-24")],
)
def test_minute_outside_the_session_is_refused(time: str, day: str) -> None:
    rows = minutes([("11:00", 1, 1, 1, 1, 1), (time, 1, 1, 1, 1, 1)], day)
    with pytest.raises(ValueError, match=f"1 minutes are outside.*{STOCK[-4:]}.*{day}"):
        v2.to_5min(rows)
    with pytest.raises(ValueError, match="outside the session"):
        v2.to_daily(rows, CANDLES_DAILY_HISTORY.empty())


def test_minute_of_another_trading_day_is_refused() -> None:
    rows = VECTOR.assign(trading_day=pd.Timestamp("2025-06-03").as_unit("us"))
    with pytest.raises(ValueError, match="4 minutes are outside the session"):
        v2.to_5min(rows)


def test_as_of_leaves_out_bars_that_have_not_ended() -> None:
    rows = steady_minutes([("09:15", "09:27")], "2025-06-02")
    at = [pd.Timestamp(f"2025-06-02 {time}", tz="Asia/Kolkata") for time in ("09:24:59", "09:25")]
    assert clock(v2.to_5min(rows, as_of=at[0])) == ["09:15"]
    assert clock(v2.to_5min(rows, as_of=at[1])) == ["09:15", "09:20"]
    assert clock(v2.to_5min(rows, as_of=at[1].tz_convert("UTC"))) == ["09:15", "09:20"]
    assert v2.to_5min(rows, as_of=pd.Timestamp("2025-06-02 09:16", tz="Asia/Kolkata")).empty


def test_short_last_bar_ends_with_its_interval() -> None:
    day = steady_minutes(OUTAGE, "2021-02-24")
    at = pd.Timestamp("2021-02-24 11:40", tz="Asia/Kolkata")
    assert clock(v2.to_5min(day, AggregationSettings(bar_minutes=10), at))[-1] == "11:35"


def test_row_order_and_day_blocks_change_nothing() -> None:
    days = [
        steady_minutes([("09:15", "09:40")], day, instrument)
        for day in ("2025-06-02", "2025-06-03")
        for instrument in (STOCK, "NSE_EQ|INE000B01018", "BSE_EQ|INE000A01010")
    ]
    blocks = pd.concat(days)
    generator = np.random.default_rng(3)
    blocks["close"] = blocks["open"] = generator.integers(90, 110, len(blocks)).astype(float)
    blocks["high"], blocks["low"] = 110.0, 90.0
    before = blocks.copy()
    ordered = v2.to_5min(CANDLES_1MIN.without_provenance.conform(blocks))
    CANDLES_5MIN.schema.validate(ordered)
    pd.testing.assert_frame_equal(v2.to_5min(blocks), ordered)
    pd.testing.assert_frame_equal(v2.to_5min(shuffled(blocks)), ordered)
    pd.testing.assert_frame_equal(blocks, before)
    history = CANDLES_DAILY_HISTORY.empty()
    pd.testing.assert_frame_equal(
        v2.to_daily(shuffled(blocks), history),
        v2.to_daily(CANDLES_1MIN.without_provenance.conform(blocks), history),
    )


def test_daily_keeps_both_series() -> None:
    history = daily_history([50.0, 51.0])
    rows = VECTOR.assign(
        timestamp=VECTOR["timestamp"] + pd.Timedelta(days=28),
        trading_day=pd.Timestamp("2025-06-30").as_unit("us"),
    )
    result = v2.to_daily(rows, shuffled(history))
    CANDLES_DAILY.schema.validate(result)
    assert result["series"].tolist() == ["exchange", "exchange", "minutes"]
    assert result["timestamp"].iloc[-1] == pd.Timestamp("2025-06-30", tz="Asia/Kolkata")
    assert result["close"].tolist() == [50, 51, 98]
    assert result["open"].iloc[-1] == 100
    assert result["low"].iloc[-1] == 97
    assert result["volume"].iloc[-1] == 60
    assert result["open_interest"].iloc[-1] == 8
    assert result["minutes_expected"].isna().tolist() == [True, True, False]
    assert result["is_complete"].isna().tolist() == [True, True, False]
    assert result["minutes_expected"].iloc[-1] == 375


def test_nothing_in_nothing_out() -> None:
    no_minutes, no_history = CANDLES_1MIN.empty(), CANDLES_DAILY_HISTORY.empty()
    pd.testing.assert_frame_equal(v2.to_5min(no_minutes), CANDLES_5MIN.empty())
    CANDLES_DAILY.schema.validate(v2.to_daily(no_minutes, no_history))
    assert len(v2.to_daily(no_minutes, daily_history([5.0]))) == 1
    untraded = VECTOR.assign(volume=0)
    CANDLES_5MIN.schema.validate(v2.to_5min(untraded))
    assert v2.to_5min(untraded).empty
    assert v2.to_daily(untraded, no_history).empty
    assert len(v2.to_5min(VECTOR.head(1))) == 1


def test_equals_an_independent_aggregation_of_real_minutes(shared_data: Path) -> None:
    source = pd.read_parquet(shared_data / "candles_1min.parquet")
    timestamp = source["timestamp"].dt.tz_convert("Asia/Kolkata").dt.as_unit("us")
    raw = CANDLES_1MIN.without_provenance.conform(
        source[["instrument_key", *PRICES, "volume"]].assign(
            timestamp=timestamp,
            trading_day=timestamp.dt.tz_localize(None).dt.normalize(),
            open_interest=pd.array([None] * len(source), dtype="Int64"),
            session_shape=FULL,
        )
    )
    oracle = pd.read_parquet(shared_data / "candles_5min_polars.parquet")
    oracle["timestamp"] = oracle["timestamp"].dt.tz_convert("Asia/Kolkata").dt.as_unit("us")
    both = v2.to_5min(raw, INCLUDE).merge(
        oracle, on=["instrument_key", "timestamp"], suffixes=("", "_oracle")
    )
    assert len(both) == len(oracle) == 562
    for name in PRICES:
        assert (both[name] == both[f"{name}_oracle"]).all()


def test_the_closing_auction_ends_the_session_of_its_stocks_only() -> None:
    days = {"2026-07-31": CLOSING_AUCTION, "2026-08-03": CLOSING_AUCTION, "2026-08-04": FULL}
    rows = [
        steady_minutes([("09:15", "15:30")], "2026-07-31", shape=CLOSING_AUCTION),
        steady_minutes([("09:15", "15:15")], "2026-08-03", shape=CLOSING_AUCTION),
        steady_minutes([("09:15", "15:30")], "2026-08-04", shape=FULL),
        steady_minutes([("09:15", "15:30")], "2026-08-03", "NSE_EQ|NEW", shape=SHAPE_NOT_KNOWN),
    ]
    daily = v2.to_daily(shuffled(pd.concat(rows)), CANDLES_DAILY_HISTORY.empty())
    assert daily[["minutes_present", "minutes_expected"]].values.tolist() == [
        [375, 375],
        [360, 360],
        [375, 375],
        [375, 375],
    ]
    assert daily["is_complete"].all()
    bars = v2.to_5min(pd.concat(rows))
    per_day = bars[bars["instrument_key"] == STOCK].groupby("trading_day")["timestamp"]
    assert [f"{last:%H:%M}" for last in per_day.max()] == ["15:25", "15:10", "15:25"]
    assert len(days) == per_day.ngroups


def test_one_day_with_both_shapes_keeps_their_minutes_apart() -> None:
    rows = [
        minutes([("15:14", 1, 1, 1, 1, 1)], "2026-08-03", shape=CLOSING_AUCTION),
        minutes([("15:14", 1, 1, 1, 1, 1)], "2026-08-03", "NSE_EQ|FULL"),
    ]
    daily = v2.to_daily(pd.concat(rows), CANDLES_DAILY_HISTORY.empty())
    assert dict(zip(daily["instrument_key"], daily["minutes_expected"], strict=True)) == {
        STOCK: 360,
        "NSE_EQ|FULL": 375,
    }


@pytest.mark.parametrize("clock", ["15:15", "15:29", "15:35"])
def test_a_minute_of_the_closing_auction_is_refused(clock: str) -> None:
    rows = minutes(
        [("15:14", 1, 1, 1, 1, 1), (clock, 1, 1, 1, 1, 1)], "2026-08-03", shape=CLOSING_AUCTION
    )
    with pytest.raises(ValueError, match="1 minutes are outside"):
        v2.to_5min(rows)
