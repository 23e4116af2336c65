"""V1 of the candles, against bars made by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from setbull_pipelines.market.session_table import CLOSING_AUCTION, FULL, SHAPE_NOT_KNOWN
from setbull_pipelines.settings import AggregationSettings
from setbull_pipelines.tables.candles import (
    CANDLES_1MIN,
    CANDLES_5MIN,
    CANDLES_DAILY,
    CANDLES_DAILY_HISTORY,
)
from setbull_pipelines.tables.contract import INDIA
from setbull_pipelines.variants import v1

KEY = "NSE_EQ|INE002A01018"
DAY = "2025-06-02"
TWO_INTERVALS_DAY = "2024-03-02"  # 09:15-10:00 and 11:30-12:30
INCLUDE = AggregationSettings(untraded_minutes="include")
REFERENCE_MINUTES = [
    ("09:15", 100, 102, 99, 101, 10, 5),
    ("09:16", 101, 103, 100, 102, 20, 6),
    ("09:19", 102, 102, 98, 99, 0, 7),
    ("09:20", 99, 100, 97, 98, 30, 8),
]
"""The hand-made minutes that lie inside the session."""


def minutes(rows: list[tuple], day: str = DAY, key: str = KEY, shape: str = FULL) -> pd.DataFrame:
    """Candles of one day from (clock, open, high, low, close, volume, open interest or None)."""
    columns = ["clock", "open", "high", "low", "close", "volume", "open_interest"]
    frame = pd.DataFrame(rows, columns=columns, dtype=object)
    starts = [pd.Timestamp(f"{day} {clock}", tz=INDIA) for clock in frame.pop("clock")]
    return CANDLES_1MIN.without_provenance.conform(
        frame.assign(
            instrument_key=key,
            timestamp=starts,
            trading_day=pd.Timestamp(day),
            session_shape=shape,
        )
    )


def trade_at(*clocks: str, day: str = DAY, key: str = KEY, shape: str = FULL) -> pd.DataFrame:
    return minutes([(clock, 10, 10, 10, 10, 1, None) for clock in clocks], day, key, shape)


def clocks(bars: pd.DataFrame) -> list[str]:
    return bars["timestamp"].dt.strftime("%H:%M").tolist()


BAR = ["open", "high", "low", "close", "volume", "open_interest", "minutes_traded"]
NO_HISTORY = CANDLES_DAILY_HISTORY.empty()


def test_reference_minutes_with_untraded_ones_left_out() -> None:
    bars = v1.to_5min(minutes(REFERENCE_MINUTES))
    CANDLES_5MIN.schema.validate(bars)
    assert clocks(bars) == ["09:15", "09:20"]
    assert bars[BAR].to_numpy().tolist() == [
        [100, 103, 99, 102, 30, 6, 2],
        [99, 100, 97, 98, 30, 8, 1],
    ]
    assert bars["minutes_present"].tolist() == [3, 1]
    assert bars["minutes_expected"].tolist() == [5, 5]
    assert not bars["is_complete"].any()


def test_reference_minutes_with_untraded_ones_included() -> None:
    bars = v1.to_5min(minutes(REFERENCE_MINUTES), INCLUDE)
    assert bars[BAR].to_numpy().tolist() == [
        [100, 103, 98, 99, 30, 7, 2],
        [99, 100, 97, 98, 30, 8, 1],
    ]


def test_an_untraded_bucket_has_a_row_only_when_included() -> None:
    untraded = minutes([(f"09:1{m}", 10, 10, 10, 10, 0, None) for m in range(5, 10)])
    assert v1.to_5min(untraded).empty
    assert v1.to_daily(untraded, NO_HISTORY).empty
    bars = v1.to_5min(untraded, INCLUDE)
    assert bars["minutes_traded"].tolist() == [0]
    assert bars["volume"].tolist() == [0]
    assert bars["is_complete"].tolist() == [True]


def test_open_interest_is_null_without_a_statement_and_exact_beyond_float64() -> None:
    large = 2**60 + 1
    bars = v1.to_5min(
        minutes(
            [
                ("09:15", 10, 10, 10, 10, 1, large),
                ("09:16", 10, 10, 10, 10, 1, None),
                ("09:20", 10, 10, 10, 10, 1, None),
            ]
        )
    )
    assert bars["open_interest"].tolist() == [large, pd.NA]


def test_the_last_bar_of_an_interval_can_be_shorter() -> None:
    settings = AggregationSettings(bar_minutes=7)
    bars = v1.to_5min(trade_at("09:15", "09:21", "09:22", "15:25", "15:26", "15:29"), settings)
    assert clocks(bars) == ["09:15", "09:22", "15:19", "15:26"]
    assert bars["minutes_expected"].tolist() == [7, 7, 7, 4]


def test_buckets_start_anew_with_each_interval() -> None:
    settings = AggregationSettings(bar_minutes=25)
    day = trade_at("09:40", "09:59", "11:30", "11:54", "12:20", "12:29", day=TWO_INTERVALS_DAY)
    bars = v1.to_5min(day, settings)
    assert clocks(bars) == ["09:40", "11:30", "12:20"]
    assert bars["minutes_expected"].tolist() == [20, 25, 10]
    assert v1.to_daily(day, NO_HISTORY)["minutes_expected"].tolist() == [105]


@pytest.mark.parametrize(
    ("as_of", "expected"),
    [
        ("09:21:59", []),
        ("09:22", ["09:15"]),
        ("15:29:59", ["09:15"]),
        ("15:30", ["09:15", "15:26"]),
    ],
)
def test_only_bars_that_have_ended_are_emitted(as_of: str, expected: list[str]) -> None:
    """The last bar of 7 minutes ends with the session, not at 15:33."""
    moment = pd.Timestamp(f"{DAY} {as_of}", tz=INDIA).tz_convert("UTC")
    candles = trade_at("09:15", "15:27")
    bars = v1.to_5min(candles, AggregationSettings(bar_minutes=7), as_of=moment)
    assert clocks(bars) == expected


@pytest.mark.parametrize(
    ("clock", "day"),
    [
        ("09:14", DAY),
        ("15:30", DAY),
        ("10:00", TWO_INTERVALS_DAY),
        ("11:29", TWO_INTERVALS_DAY),
        ("10:00", "2025-06-01"),  # a Sunday
    ],
)
def test_minutes_outside_the_session_are_refused(clock: str, day: str) -> None:
    candles = trade_at(clock, day=day)
    with pytest.raises(ValueError, match=day):
        v1.to_5min(candles)
    with pytest.raises(ValueError, match=day):
        v1.to_daily(candles, NO_HISTORY)


def test_a_minute_of_another_date_than_its_trading_day_is_refused() -> None:
    candles = trade_at("10:00").assign(trading_day=pd.Timestamp("2025-06-03").as_unit("us"))
    with pytest.raises(ValueError, match=f"{DAY} 10:00"):
        v1.to_5min(candles)


def test_row_order_and_chunking_change_nothing_and_input_is_left_alone() -> None:
    days = [
        minutes(REFERENCE_MINUTES, day, key)
        for day in ("2025-06-02", "2025-06-03")
        for key in ("NSE_EQ|A", "NSE_EQ|B")
    ]
    candles = pd.concat(days).sample(frac=1, random_state=3)
    before = candles.copy(deep=True)
    bars = v1.to_5min(candles)
    pd.testing.assert_frame_equal(candles, before)
    assert len(bars) == 8
    by_chunk = CANDLES_5MIN.conform(pd.concat([v1.to_5min(day) for day in days[::-1]]))
    pd.testing.assert_frame_equal(bars, by_chunk)


def test_both_daily_series_stand_side_by_side() -> None:
    history = CANDLES_DAILY_HISTORY.without_provenance.conform(
        minutes([("00:00", 100, 104, 96, 97.5, 77, 2**60 + 1)]).drop(columns="session_shape")
    )
    daily = v1.to_daily(minutes(REFERENCE_MINUTES), history)
    CANDLES_DAILY.schema.validate(daily)
    assert daily["series"].tolist() == ["exchange", "minutes"]
    assert daily[BAR].to_numpy().tolist() == [
        [100, 104, 96, 97.5, 77, 2**60 + 1, pd.NA],
        [100, 103, 97, 98, 60, 8, 3],
    ]
    assert daily["minutes_present"].tolist() == [pd.NA, 4]
    assert daily["minutes_expected"].tolist() == [pd.NA, 375]
    assert daily["is_complete"].tolist() == [pd.NA, False]
    assert (daily["timestamp"] == pd.Timestamp(DAY, tz=INDIA)).all()
    assert (daily["trading_day"] == pd.Timestamp(DAY)).all()


def test_nothing_in_gives_nothing_out() -> None:
    pd.testing.assert_frame_equal(v1.to_5min(CANDLES_1MIN.empty()), CANDLES_5MIN.empty())
    daily = v1.to_daily(CANDLES_1MIN.empty(), NO_HISTORY)
    pd.testing.assert_frame_equal(daily, CANDLES_DAILY.empty())


@pytest.mark.parametrize(
    ("day", "shape", "bars_at_the_end", "expected"),
    [
        (
            "2026-07-31",
            CLOSING_AUCTION,
            ["15:10", "15:15", "15:25"],
            375,
        ),  # the day before it began
        ("2026-08-03", CLOSING_AUCTION, ["15:10"], 360),
        ("2026-08-03", FULL, ["15:10", "15:15", "15:25"], 375),
        ("2026-08-03", SHAPE_NOT_KNOWN, ["15:10", "15:15", "15:25"], 375),
    ],
)
def test_a_stock_with_derivatives_trades_continuously_until_its_closing_auction(
    day: str, shape: str, bars_at_the_end: list[str], expected: int
) -> None:
    clocks_given = ["15:14"] if expected == 360 else ["15:14", "15:15", "15:29"]
    rows = trade_at(*clocks_given, day=day, shape=shape)
    assert clocks(v1.to_5min(rows)) == bars_at_the_end
    assert v1.to_daily(rows, NO_HISTORY)["minutes_expected"].tolist() == [expected]


@pytest.mark.parametrize("clock", ["15:15", "15:29"])
def test_a_minute_of_the_closing_auction_is_refused(clock: str) -> None:
    rows = trade_at("15:14", clock, day="2026-08-03", shape=CLOSING_AUCTION)
    with pytest.raises(ValueError, match=clock):
        v1.to_5min(rows)


def test_instruments_of_both_shapes_share_a_day() -> None:
    rows = pd.concat(
        [
            trade_at("15:14", day="2026-08-03", key="NSE_EQ|A", shape=CLOSING_AUCTION),
            trade_at("15:14", "15:29", day="2026-08-03", key="NSE_EQ|B"),
        ]
    )
    assert v1.to_daily(rows, NO_HISTORY)["minutes_expected"].tolist() == [360, 375]
