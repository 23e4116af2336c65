"""What would give wrong numbers in silence: bar lengths, labels by the end, running totals, rounded prices."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import accumulate

import pytest

from setbull_pipelines_tests.sources.reading_files import (
    HEADER,
    candles,
    moments,
    refused,
    session,
    table,
    values,
)

VOLUMES = [100 + 37 * number % 91 for number in range(375)]


def cumulative(day: str = "2025-06-02", symbol: str = "ALPHA", minutes: int = 375) -> list[str]:
    return session(day, symbol=symbol, minutes=minutes, volumes=list(accumulate(VOLUMES)))


def test_a_running_total_is_refused_or_taken_apart() -> None:
    text = table(*cumulative(), *cumulative("2025-06-03"))
    asked = refused(text)
    assert (asked.rule, asked.line, asked.count) == ("cumulative volume", 376, 2)
    assert 'volume = "cumulative"' in asked.reason
    assert [row[4] for row in values(candles(text, volume="cumulative"))] == VOLUMES * 2
    assert values(candles(text, volume="per bar"))[374][4] == sum(VOLUMES)


def test_a_running_total_is_taken_apart_whatever_the_order_of_rows() -> None:
    rows = cumulative(minutes=60)
    found = candles(table(*reversed(rows)), volume="cumulative")
    assert [row[4] for row in values(found)] == VOLUMES[:60]


def test_what_was_traded_before_the_open_is_not_in_its_first_minute() -> None:
    before = "ALPHA,2025-06-02T09:08:00+05:30,100,100,100,100,40"
    rows = session(minutes=30, volumes=[40 + total for total in accumulate(VOLUMES)])
    found = candles(table(before, *rows), volume="cumulative")
    assert found.rejected["rule"].tolist() == ["pre_open"]
    assert [row[4] for row in values(found)] == VOLUMES[:30]


@pytest.mark.parametrize(
    "rows",
    [
        session(),
        session(volumes=[0] * 375),
        session(volumes=[5] * 375),
        [*cumulative(minutes=30), *session(symbol="B"), *session(symbol="C")],
    ],
    ids=["per bar", "none", "the same", "one of three"],
)
def test_volume_per_bar_is_no_running_total(rows: list[str]) -> None:
    assert len(candles(table(*rows)).accepted) == len(rows)


def test_labels_by_the_end_are_refused_or_shifted() -> None:
    rows = session(first="09:16")
    odd = "ALPHA,2025-06-02T09:08:00+05:30,100,101,99,100,5"
    asked = refused(table(odd, *rows))
    assert (asked.rule, asked.line) == ("end labels", 3)
    shifted = candles(table(odd, *rows), label="end")
    assert (moments(shifted)[0], moments(shifted)[-1]) == ("2025-06-02 09:15", "2025-06-02 15:29")
    assert len(shifted.accepted) == 375
    assert len(candles(table(odd, *rows), label="start").accepted) == 374


def test_labels_by_the_end_are_refused_where_the_first_minutes_had_no_trade() -> None:
    asked = refused(table(*session(first="09:16")[2:]))
    assert (asked.rule, asked.value) == ("end labels", "2025-06-02 09:18")


def test_labels_by_the_start_with_a_print_of_the_closing_session_are_not_by_the_end() -> None:
    rows = [*session(), "ALPHA,2025-06-02T15:30:00+05:30,100,101,99,100,5"]
    found = candles(table(*rows))
    assert len(found.accepted) == 375
    without_open = candles(table(*rows[1:-1]))
    assert len(without_open.accepted) == 374


@pytest.mark.parametrize("step", [3, 5, 15])
def test_coarser_bars_are_refused_also_with_one_odd_print(step: int) -> None:
    rows = session(minutes=375 // step, step=step)
    assert f"{step} minutes apart" in refused(table(*rows)).reason
    odd = "ALPHA,2025-06-02T09:08:00+05:30,100,101,99,100,5"
    assert refused(table(odd, *rows)).rule == "longer than a minute"
    inside = "ALPHA,2025-06-02T11:01:00+05:30,100,101,99,100,5"
    assert refused(table(*rows, inside)).rule == "longer than a minute"


@pytest.mark.parametrize(("step", "bars"), [(5, 5), (60, 6), (75, 5)])
def test_a_few_bars_that_are_far_apart_throughout_are_refused(step: int, bars: int) -> None:
    rows = session(minutes=bars, step=step)
    assert f"{step} minutes apart" in refused(table(*rows)).reason
    two_days = [*rows, *session(day="2025-06-03", minutes=3, step=step)]
    assert refused(table(*two_days)).rule == "longer than a minute"
    assert len(candles(table(*rows[:4])).accepted) == 4
    seldom = "ALPHA,2025-06-03T09:15:00+05:30,1,1,1,1,1\nALPHA,2025-06-03T09:17:00+05:30,1,1,1,1,1"
    assert len(candles(table(*rows, seldom)).accepted) == bars + 2


@pytest.mark.parametrize("seconds", [1, 10, 30])
def test_bars_shorter_than_a_minute_and_trades_are_refused(seconds: int) -> None:
    start = datetime(2025, 6, 2, 9, 15)
    rows = [
        f"ALPHA,{start + timedelta(seconds=seconds * n):%Y-%m-%dT%H:%M:%S+05:30},100,101,99,100,{n % 7}"
        for n in range(40)
    ]
    asked = refused(table(*rows))
    assert (asked.rule, asked.line) == ("shorter than a minute", 3)
    assert rows[0].split(",")[1] in asked.reason
    assert rows[1].split(",")[1] in asked.reason
    late = "ALPHA,2025-06-02T09:15:01+05:30,100,101,99,100,5"
    found = candles(table(*session(minutes=20), late))
    assert list(found.rejected["rule"]) == ["not on a minute"]


def test_one_coarse_instrument_among_others_is_rejected_alone() -> None:
    coarse = session(symbol="COARSE", minutes=25, step=15)
    found = candles(table(*session(), *coarse))
    assert len(found.accepted) == 375
    assert set(found.rejected["rule"]) == {"longer than a minute"}
    assert len(found.rejected) == 25


def test_a_share_that_trades_seldom_is_not_coarse() -> None:
    clocks = ["09:17", "09:31", "09:32", "10:05", "10:40", "11:11", "11:12", "12:50", "13:07"]
    clocks += ["13:08", "14:00", "14:55"]
    rows = [f"A,2025-06-02T{clock}:00+05:30,1,1,1,1,{n % 5}" for n, clock in enumerate(clocks)]
    assert len(candles(table(*rows)).accepted) == len(clocks)


def test_prices_that_rounding_moved_are_equal_and_counted() -> None:
    third = 500 / 3
    below = third * (1 - 1e-15)
    rows = [
        f"A,2025-06-02T09:15:00+05:30,{third!r},{below!r},166,{third!r},1",
        f"A,2025-06-02T09:16:00+05:30,{below!r},167,{third!r},{third!r},2",
        f"A,2025-06-02T09:17:00+05:30,{third!r},{third - 0.001!r},166,{third!r},1",
    ]
    found = candles(table(*rows))
    assert "2 rows with a high or low that equals open or close within 1e-9" in found.notes
    assert found.rejected["rule"].tolist() == ["high below open or close"]
    for opened, high, low, close, _ in values(found):
        assert high >= max(opened, close)
        assert low <= min(opened, close)


def test_minutes_of_an_index_need_no_volume() -> None:
    rows = session(symbol="NIFTY 50", minutes=20, volumes=[0] * 20)
    found = candles(table(*rows))
    assert found.accepted["instrument_key"][0].as_py() == "NSE_INDEX|NIFTY 50"
    assert found.notes[-1] == (
        "20 bars of indices without volume: they count, volume and VWAP are not known"
    )
    assert found.accepted["volume"].null_count == 20
    empty = candles(table(*(row.removesuffix("0") for row in rows)))
    assert values(empty) == values(found)
    without = candles(table(*(row.rpartition(",")[0] for row in rows), header=HEADER[:-7]))
    assert values(without) == values(found)
    share = refused(table(*(r.rpartition(",")[0] for r in session(minutes=2)), header=HEADER[:-7]))
    assert "expected also volume" in share.reason


def test_an_index_with_volumes_keeps_them_and_only_what_is_empty_is_unknown() -> None:
    of_index = session(symbol="NIFTY 50", minutes=4, volumes=[0, 70, 50, 5])
    of_index[3] = of_index[3].removesuffix("5")
    of_share = session(symbol="ALPHA", minutes=2, volumes=[0, 3])
    without = session(symbol="NIFTY BANK", minutes=2, volumes=[0, 0])
    found = candles(table(*of_index, *of_share, *without))
    volumes: dict[str, list[int | None]] = {}
    for row in found.accepted.select(["instrument_key", "volume"]).to_pylist():
        volumes.setdefault(row["instrument_key"], []).append(row["volume"])
    assert volumes == {
        "NSE_INDEX|NIFTY 50": [0, 70, 50, None],
        "NSE_EQ|ALPHA": [0, 3],
        "NSE_INDEX|NIFTY BANK": [None, None],
    }
    assert "3 bars of indices without volume" in found.notes[-1]


def test_a_volume_of_an_index_that_is_no_number_stays_a_fault() -> None:
    rows = session(symbol="NIFTY 50", minutes=2, volumes=[0, 0])
    found = candles(table(rows[0], rows[1].removesuffix("0") + "many"))
    assert found.rejected[["rule", "value"]].values.tolist() == [["not a number", "many"]]
    assert found.accepted["volume"].to_pylist() == [None]
