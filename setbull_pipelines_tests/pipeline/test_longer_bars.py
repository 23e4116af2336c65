"""Bars that are made of stored ones: prices around an ex-date, sessions under way, stored bars of another length."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from setbull_pipelines import tables
from setbull_pipelines.pipeline.longer_bars import (
    CANDLES_1MIN,
    BarsOfAnotherLength,
    is_stored,
    made_of,
    read_longer,
)
from setbull_pipelines.pipeline.running import AS_OF
from setbull_pipelines.pipeline.serving import served_table
from setbull_pipelines.settings import AggregationSettings, Settings
from setbull_pipelines.tables.columns import PROVISIONAL
from setbull_pipelines.warehouse.pointers import WHOLE, StoredTable
from setbull_pipelines_tests.pipeline.small_run import PROVENANCE, SmallRun, publish

FIVE, DAILY = served_table(tables.CANDLES_5MIN), served_table(tables.CANDLES_DAILY)


def read(run: SmallRun, timeframe: str, key: str, settings: Settings | None = None) -> pd.DataFrame:
    return read_longer([key], timeframe, run.days, run.warehouse, settings or run.settings)


def stored(run: SmallRun, table: StoredTable, key: str) -> pd.DataFrame:
    days = [day.isoformat() for day in run.days]
    return run.warehouse.read(table, days, instrument_keys=[key])


@pytest.fixture
def key(copied_run: SmallRun) -> str:
    """An instrument without a corporate action."""
    rows = copied_run.warehouse.read(FIVE, [copied_run.days[-1].isoformat()])
    actions = copied_run.warehouse.read(StoredTable("raw", tables.CORPORATE_ACTIONS), [WHOLE])
    return min(set(rows["instrument_key"]) - set(actions["instrument_key"]))


def test_a_week_is_in_prices_of_its_last_session(copied_run: SmallRun, key: str) -> None:
    run = copied_run
    days = stored(run, DAILY, key)
    first, last = days[days["series"] == "exchange"].to_dict("records")
    assert first["trading_day"].week == last["trading_day"].week
    (plain,) = read(run, "week", key).to_dict("records")
    assert (plain["open"], plain["close"]) == (first["open"], last["close"])
    assert plain["volume"] == first["volume"] + last["volume"]

    actions = StoredTable("raw", tables.CORPORATE_ACTIONS)

    def split_on(ex_date: pd.Timestamp) -> None:
        row = {"instrument_key": key, "ex_date": ex_date, "kind": "split", "ratio": 2.0}
        frame = actions.table.conform(pd.DataFrame([row | {"source": "test"}]))
        publish(run.warehouse, actions, WHOLE, frame)

    for day in (first["trading_day"], last["trading_day"] + pd.Timedelta(days=1)):
        split_on(day)
        assert read(run, "week", key).to_dict("records") == [plain]
    split_on(last["trading_day"])
    (made,) = read(run, "week", key).to_dict("records")
    assert made["open"] == first["open"] / 2
    assert made["high"] == max(first["high"] / 2, last["high"])
    assert made["close"] == last["close"]
    assert made["volume"] == first["volume"] * 2 + last["volume"]
    # Bars of minutes are in prices of their day, as stored.
    assert read(run, "60minute", key)["open"].iloc[0] == stored(run, FIVE, key)["open"].iloc[0]


def test_a_session_under_way_ends_with_the_newest_bar_of_any_instrument(
    copied_run: SmallRun, key: str
) -> None:
    run, day = copied_run, copied_run.days[-1]
    rows = run.warehouse.read(FIVE, [day.isoformat()])
    until = pd.Timestamp(f"{day} 10:30", tz="Asia/Kolkata")
    known = rows[rows["timestamp"] < until]
    # This one has not traded since 10:00, of others there is news until 10:30.
    its_own = known["instrument_key"] == key
    known = known[~its_own | (known["timestamp"] < until - pd.Timedelta(minutes=30))]
    part = PROVENANCE | {"inputs": {AS_OF: f"{day} 10:33"}}
    run.warehouse.publish(FIVE, day.isoformat(), known, **part)
    newest = read(run, "60minute", key).iloc[-1]
    assert (f"{newest.ends_at:%H:%M}", newest.is_complete) == ("10:15", True)
    other = next(name for name in known["instrument_key"].unique() if name != key)
    made = read(run, "60minute", other)
    made = made[made["timestamp"].dt.date == day]
    assert made["is_complete"].tolist() == [True, False]

    daily = run.warehouse.read(DAILY, [day.isoformat()])
    run.warehouse.publish(DAILY, day.isoformat(), daily, **part)
    assert read(run, "week", key)["is_complete"].tolist() == [False]


def test_three_minutes_are_made_of_minutes_and_the_newest_of_a_provisional_day_is_open(
    copied_run: SmallRun, key: str
) -> None:
    run, day = copied_run, copied_run.days[-1]
    rows = run.warehouse.read(CANDLES_1MIN, [day.isoformat()])
    clock = rows["timestamp"].dt.strftime("%H:%M")
    seen = rows[clock <= "09:23"].assign(state=PROVISIONAL)
    publish(run.warehouse, CANDLES_1MIN, day.isoformat(), seen)
    made = read(run, "3minute", key)
    assert made[made["timestamp"].dt.date != day]["is_complete"].all()
    today = made[made["timestamp"].dt.date == day]
    assert today["timestamp"].dt.strftime("%H:%M").tolist() == ["09:15", "09:18", "09:21"]
    # 09:23 may be unfinished.
    assert today["is_complete"].tolist() == [True, True, False]
    minutes = seen[seen["instrument_key"] == key]
    assert today["volume"].sum() == minutes["volume"].sum()
    assert today["close"].iloc[-1] == minutes["close"].iloc[-1]


def test_which_table_a_timeframe_is_made_of_follows_from_the_length_of_the_bars() -> None:
    five, fifteen = Settings(), Settings(aggregation=AggregationSettings(bar_minutes=15))
    assert [
        name for name in ("1minute", "5minute", "15minute", "day", "week") if is_stored(name, five)
    ] == ["1minute", "5minute", "day"]
    assert [
        name for name in ("1minute", "5minute", "15minute", "day") if is_stored(name, fifteen)
    ] == ["1minute", "15minute", "day"]
    assert [made_of(name, five) for name in ("3minute", "30minute", "month")] == [
        CANDLES_1MIN,
        FIVE,
        DAILY,
    ]
    assert [made_of(name, fifteen) for name in ("5minute", "30minute")] == [CANDLES_1MIN, FIVE]


def test_stored_bars_of_another_length_are_refused(copied_run: SmallRun, key: str) -> None:
    """Never told as bars of the length that the settings say."""
    run = copied_run
    other = replace(run.settings, aggregation=AggregationSettings(bar_minutes=15))
    with pytest.raises(BarsOfAnotherLength) as error:
        read(run, "30minute", key, other)
    first, last = run.days[0], run.days[-1]
    assert str(error.value) == (
        f"the bars that are served from {first} to {last} have another length than aggregation.bar_minutes, which is "
        f"15; make them anew by: setbull run --from {first} --to {last}"
    )
    made = read(run, "5minute", key, other)
    expected = stored(run, FIVE, key)
    names = ["timestamp", "open", "high", "low", "close", "volume"]
    pd.testing.assert_frame_equal(made[names], expected[names])
