"""The data of the chart of a stock, held against frames that were made by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from setbull_pipelines import tables
from setbull_pipelines.reporting.chart_marks import actions_in, gaps_in, refused_rows
from setbull_pipelines.reporting.stock_chart import (
    CANDLE,
    DAY,
    FIVE_MINUTES,
    TIMEFRAMES,
    Bars,
    Frame,
    choices,
    drawn_columns,
    frame_of,
    label_of,
)
from setbull_pipelines_tests.reporting.hand_made_chart import (
    DAYS,
    LAST,
    bars,
    minutes,
    refused,
    split,
    stock_chart,
)

BEFORE = DAYS[-2]


def with_v2(timeframe: str, v2: pd.DataFrame) -> Frame:
    """The frame of a timeframe whose V2 is another one."""
    chart = stock_chart()
    return frame_of(replace(chart, bars={timeframe: Bars(bars(timeframe), v2)}), timeframe)


def test_equal_bars_agree_and_are_told_once() -> None:
    for timeframe in TIMEFRAMES:
        frame = frame_of(stock_chart(), timeframe)
        rows = bars(timeframe)
        assert frame.data["compared"] == {}
        assert frame.agreement.cells == len(rows) * len(drawn_columns(timeframe))
        assert frame.agreement.sentence.startswith("V1 and V2 agree in all ")
        assert frame.data["columns"]["close"] == [round(close) for close in rows["close"]]
        assert frame.data["columns"]["volume"] == rows["volume"].tolist()


def test_times_are_days_or_seconds_of_the_clock_in_india() -> None:
    assert frame_of(stock_chart(), DAY).data["times"] == [f"{day}" for day in DAYS]
    first = frame_of(stock_chart(), FIVE_MINUTES).data["times"][0]
    assert pd.Timestamp(first, unit="s") == pd.Timestamp(f"{BEFORE} 09:15")


def test_a_column_that_differs_is_told_with_both_sides_and_how_far() -> None:
    frame = frame_of(stock_chart(wrong_rsi=1.005), DAY)
    (found,) = frame.agreement.differences
    rsi = bars(DAY)["rsi"].to_numpy()
    assert (found.column, found.bars, found.compared) == ("rsi", len(DAYS) - 4, len(DAYS))
    assert found.first == f"{DAYS[4]}"
    assert found.largest == pytest.approx(0.005 * rsi[4:].max())
    assert found.relative == pytest.approx(1 - 1 / 1.005)
    told = frame.data["compared"]["rsi"]
    assert told["difference"][:4] == [None] * 4
    assert told["difference"][4:] == pytest.approx(0.005 * rsi[4:], rel=1e-6)
    assert told["v1"] == rsi.tolist()
    assert told["v2"][-1] == pytest.approx(1.005 * rsi[-1])


def test_rounding_is_no_difference_and_an_exact_column_has_none() -> None:
    rows = bars(DAY)
    assert with_v2(DAY, rows.assign(ema_50=rows["ema_50"] * (1 + 1e-12))).data["compared"] == {}
    found = with_v2(DAY, rows.assign(close=rows["close"] * (1 + 1e-12))).agreement.differences
    assert [each.column for each in found] == ["close"]


def test_null_on_one_side_differs_and_on_both_does_not() -> None:
    rows = bars(DAY)
    hole = rows.assign(atr=rows["atr"].where(rows.index != 7))
    (found,) = with_v2(DAY, hole).agreement.differences
    assert (found.column, found.bars, found.largest, found.relative) == ("atr", 1, None, None)
    chart = replace(stock_chart(), bars={DAY: Bars(hole, hole)})
    assert frame_of(chart, DAY).data["compared"] == {}
    assert frame_of(chart, DAY).data["columns"]["atr"][7] is None


@pytest.mark.parametrize("v1", [70.0, -np.inf])
def test_an_infinite_value_differs_from_every_other_as_it_does_in_the_reconciliation(v1) -> None:
    """``relative x infinity`` allows everything."""
    left, right = (bars(DAY).assign(rsi=value) for value in (v1, np.inf))
    chart = replace(stock_chart(), bars={DAY: Bars(left, right)})
    (found,) = frame_of(chart, DAY).agreement.differences
    assert (found.column, found.bars, found.largest, found.relative) == (
        "rsi",
        len(left),
        None,
        None,
    )
    same = replace(stock_chart(), bars={DAY: Bars(right, right)})
    assert frame_of(same, DAY).agreement.differences == []


def test_the_column_that_differs_the_most_is_first() -> None:
    rows = bars(DAY)
    found = with_v2(DAY, rows.assign(rsi=rows["rsi"] * 1.005, ema_5=rows["ema_5"] * 1.2))
    assert [each.column for each in found.agreement.differences] == ["ema_5", "rsi"]


def test_bars_of_one_side_are_drawn_and_counted_and_not_compared() -> None:
    rows = bars(DAY)
    later = rows.iloc[3:].assign(close=rows["close"].iloc[3:])
    frame = with_v2(DAY, later)
    assert (frame.agreement.only_v1, frame.agreement.only_v2) == (3, 0)
    assert frame.agreement.bars == len(rows) - 3
    alone = frame_of(replace(stock_chart(), bars={DAY: Bars(rows.iloc[:0], rows)}), DAY)
    assert alone.data["columns"]["close"] == [round(close) for close in rows["close"]]
    assert alone.agreement.sentence.endswith("nothing was compared")


def test_the_chart_in_words() -> None:
    assert frame_of(stock_chart(), DAY).summary == (
        f"Daily candles of HANDMADE, {len(DAYS)} from {DAYS[0]} to {LAST}: opened at 99.50 rupees, closed at "
        f"{99 + len(DAYS)}.00 (+{100 * ((99 + len(DAYS)) / 99.5 - 1):.1f} %); highest {100 + len(DAYS)}.00 ({LAST}), "
        f"lowest 99.00 ({DAYS[0]})."
    )


def test_every_indicator_of_the_contract_can_be_chosen() -> None:
    offered = {name for choice in choices() for name in choice.columns}
    for table in (tables.INDICATORS_DAILY, tables.INDICATORS_5MIN):
        numbers = {column.name for column in table.value_columns if column.memory}
        assert numbers <= offered
    assert "vwap" in offered
    assert not offered & set(CANDLE)
    levels = {choice.name for choice in choices() if choice.is_level}
    assert {"bands", "ma_9", "ema_50", "vwap"} <= levels
    assert not {"rsi", "atr", "bb_width", "volume_ma_10"} & levels
    assert label_of("bb_width_normalized") == "BB width normalized"


def test_minutes_that_were_not_delivered_are_gaps() -> None:
    delivered = pd.concat([minutes(BEFORE, "09:15"), minutes(LAST, "10:00", "10:01", "15:29")])
    found = gaps_in(delivered, [BEFORE, LAST])
    assert [(gap.day, f"{gap.start:%H:%M}", gap.minutes) for gap in found] == [
        (BEFORE, "09:15", 1),
        (LAST, "10:00", 2),
        (LAST, "15:29", 1),
    ]
    assert found[0].words == "1 minute missing, 09:15 to 09:16"
    assert found[1].words == "2 minutes missing, 10:00 to 10:02"


def test_a_session_between_without_a_minute_is_one_gap_and_days_outside_are_none() -> None:
    delivered = pd.concat([minutes(DAYS[-3]), minutes(LAST)])
    (gap,) = gaps_in(delivered, DAYS[-5:])
    assert (gap.day, gap.minutes) == (BEFORE, 375)
    assert gaps_in(delivered.iloc[:0], DAYS) == []


def test_refused_rows_have_the_minute_that_they_say() -> None:
    rows = refused(
        LAST,
        f'{{"timestamp": "{LAST}T09:20:00+05:30"}}',
        f'{{"time": "{LAST} 09:21"}}',
        f'{{"timestamp": "{LAST}"}}',
        '{"timestamp": "1782800000000"}',
        "no JSON",
    )
    times = [row.time for row in refused_rows(rows)]
    known = [pd.Timestamp(time, unit="s") for time in times if time is not None]
    assert known == [pd.Timestamp(f"{LAST} 09:20"), pd.Timestamp(f"{LAST} 09:21")]
    assert times.count(None) == 3
    nowhere = rows.assign(trading_day=pd.NaT)
    assert refused_rows(nowhere) == []


@pytest.mark.parametrize(
    ("kind", "words", "prices", "shares"),
    [
        ("split", "split 5", 5.0, 5.0),
        ("demerger", "demerger 5", 5.0, 1.0),
        ("genuine", "the price really moved", 1.0, 1.0),
    ],
)
def test_an_action_says_what_it_does_to_prices_and_volumes(
    kind: str, words: str, prices: float, shares: float
) -> None:
    (action,) = actions_in(split(date(2026, 6, 1), kind))
    assert (action.day, action.words) == ("2026-06-01", words)
    assert (action.price_ratio, action.share_ratio) == (prices, shares)


def test_what_is_not_finite_is_null() -> None:
    rows = bars(DAY)
    infinite = rows.assign(rsi=np.where(rows.index == 2, np.inf, rows["rsi"]))
    frame = frame_of(replace(stock_chart(), bars={DAY: Bars(infinite, infinite)}), DAY)
    assert frame.data["columns"]["rsi"][2] is None
    assert frame.data["compared"] == {}
