"""Bars of sessions that are not 09:15 to 15:30: a Muhurat evening, and the day of the outage.

Belongs here: real minutes of special days. Does not belong here: which intervals a session has, which the tests of the
market have.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from setbull_pipelines.market.session_frames import minutes_in_session
from setbull_pipelines.settings import AggregationSettings
from setbull_pipelines.tables import CANDLES_5MIN, CANDLES_DAILY
from setbull_pipelines.variants.protocol import Variant
from setbull_pipelines_tests.variants.frames import (
    INDIA,
    NO_HISTORY,
    assert_contract,
    clock,
    minute_candles,
)

BOSCH, HDFC = "NSE_EQ|INE323A01026", "NSE_EQ|INE040A01034"


def _special_minutes(shared_data: Path) -> pd.DataFrame:
    rows = pd.read_parquet(shared_data / "market" / "minute_special_days.parquet")
    assert len(rows) == 584
    inside = rows[minutes_in_session(rows["timestamp"])]
    assert len(inside) == 560
    return minute_candles(inside.drop(columns="symbol"))


def test_muhurat_and_outage_five_minute_bars(variant: Variant, shared_data: Path) -> None:
    minutes = _special_minutes(shared_data)
    bars = variant.to_5min(minutes)
    assert_contract(CANDLES_5MIN, bars)
    evening = pd.date_range("18:15", "19:10", freq="5min").strftime("%H:%M").tolist()
    morning = pd.date_range("09:15", "11:35", freq="5min").strftime("%H:%M").tolist()
    late = pd.date_range("15:45", "16:55", freq="5min").strftime("%H:%M").tolist()
    for key in (BOSCH, HDFC):
        of_key = bars[bars["instrument_key"] == key]
        muhurat = of_key[of_key["trading_day"] == pd.Timestamp("2020-11-14")]
        outage = of_key[of_key["trading_day"] == pd.Timestamp("2021-02-24")]
        assert clock(muhurat) == evening
        assert clock(outage) == morning + late
    assert len(bars) == 2 * (12 + 29 + 15)
    assert (bars["minutes_expected"] == 5).all()
    assert bars["volume"].sum() == minutes["volume"].sum()


def test_bars_are_counted_from_the_start_of_each_interval(
    variant: Variant, shared_data: Path
) -> None:
    minutes = _special_minutes(shared_data)
    outage = minutes[minutes["trading_day"] == pd.Timestamp("2021-02-24")].reset_index(drop=True)
    bars = variant.to_5min(outage, AggregationSettings(bar_minutes=30))
    of_one = bars[bars["instrument_key"] == BOSCH]
    assert clock(of_one) == [
        "09:15",
        "09:45",
        "10:15",
        "10:45",
        "11:15",
        "15:45",
        "16:15",
        "16:45",
    ]
    assert of_one["minutes_expected"].tolist() == [30, 30, 30, 30, 25, 30, 30, 15]
    assert of_one["is_complete"].all()
    halt = pd.Timestamp("2021-02-24 11:40", tz=INDIA)
    known = variant.to_5min(outage, AggregationSettings(bar_minutes=30), as_of=halt)
    assert len(known) == 2 * 5


def test_daily_bars_of_muhurat_and_outage(variant: Variant, shared_data: Path) -> None:
    daily = variant.to_daily(_special_minutes(shared_data), NO_HISTORY)
    assert_contract(CANDLES_DAILY, daily)
    found = {
        (row.instrument_key, f"{row.trading_day:%Y-%m-%d}"): (
            (row.open, row.high, row.low, row.close),
            row.volume,
            row.minutes_expected,
        )
        for row in daily.itertuples()
    }
    # Read off the file's rows inside the session; pre-open, call auctions and closing rows are not.
    assert found == {
        (HDFC, "2020-11-14"): ((1368.0, 1374.95, 1365.2, 1368.75), 905_269, 60),
        (HDFC, "2021-02-24"): ((1529.15, 1613.95, 1516.25, 1612.0), 7_000_100, 220),
        (BOSCH, "2020-11-14"): ((11869.95, 11880.0, 11728.7, 11835.0), 4_214, 60),
        (BOSCH, "2021-02-24"): ((15101.0, 15554.95, 14767.9, 14902.0), 76_041, 220),
    }
    official = pd.read_parquet(
        shared_data / "market" / "daily_long.parquet",
        filters=[("instrument_key", "in", [BOSCH, HDFC])],
    )
    both = daily.merge(official, on=["instrument_key", "timestamp"], suffixes=("", "_official"))
    assert len(both) == 4
    assert (both["high"] == both["high_official"]).all()
    assert (both["low"] == both["low_official"]).all()
    assert ((both["volume"] / both["volume_official"]).between(0.97, 1)).all()
