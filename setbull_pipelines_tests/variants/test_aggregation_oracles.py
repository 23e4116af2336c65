"""Aggregation against bars made elsewhere: a polars script, DuckDB, the broker's daily bars, the exchange.

Belongs here: values of to_5min and to_daily on real minutes and on minutes made by hand. Does not belong
here: sessions at other hours, indicators, comparisons of V1 with V2.
"""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from setbull_pipelines.settings import AggregationSettings
from setbull_pipelines.tables import CANDLES_5MIN, CANDLES_DAILY
from setbull_pipelines.variants.protocol import Variant
from setbull_pipelines_tests.variants.frames import (
    INDIA,
    NO_HISTORY,
    assert_contract,
    bar_rows,
    clock,
    daily_history,
    minute_candles,
    shuffled,
)

WITH_UNTRADED = AggregationSettings(untraded_minutes="include")
OHLC = ["open", "high", "low", "close"]
NAMES_THE_ROW = "NSE_EQ|20[0-9]{2}-"


def _minutes(*rows: tuple[str, float, float, float, float, int, int | None]) -> pd.DataFrame:
    columns = ["clock", *OHLC, "volume", "open_interest"]
    frame = pd.DataFrame(rows, columns=columns).astype({"open_interest": "Int64"})
    moments = pd.to_datetime("2025-06-02 " + frame["clock"]).dt.tz_localize(INDIA)
    return minute_candles(
        frame.assign(timestamp=moments.dt.as_unit("us"), instrument_key="NSE_EQ|HAND")
    )


# --- vectors made by hand ---------------------------------------------------------------------------

HAND = (
    ("09:15", 100.0, 102.0, 99.0, 101.0, 10, 5),
    ("09:16", 101.0, 103.0, 100.0, 102.0, 20, 6),
    ("09:19", 102.0, 102.0, 98.0, 99.0, 0, 7),
    ("09:20", 99.0, 100.0, 97.0, 98.0, 30, 8),
)


def test_untraded_minutes_are_left_out_by_default(variant: Variant) -> None:
    bars = variant.to_5min(_minutes(*HAND))
    assert_contract(CANDLES_5MIN, bars)
    assert clock(bars) == ["09:15", "09:20"]
    assert bars[OHLC].values.tolist() == [[100, 103, 99, 102], [99, 100, 97, 98]]
    assert bars["volume"].tolist() == [30, 30]
    assert bars["open_interest"].tolist() == [6, 8]
    assert bars["minutes_traded"].tolist() == [2, 1]
    assert bars["minutes_present"].tolist() == [3, 1]
    assert bars["minutes_expected"].tolist() == [5, 5]
    assert bars["is_complete"].tolist() == [False, False]


def test_untraded_minutes_count_for_prices_when_included(variant: Variant) -> None:
    bars = variant.to_5min(_minutes(*HAND), WITH_UNTRADED)
    assert bars[OHLC].values.tolist() == [[100, 103, 98, 99], [99, 100, 97, 98]]
    assert bars["volume"].tolist() == [30, 30]
    assert bars["open_interest"].tolist() == [7, 8]
    assert bars["minutes_traded"].tolist() == [2, 1]


def test_minutes_of_an_index_count_without_volume_beside_shares(variant: Variant) -> None:
    untraded = [(*row[:5], 0, None) for row in HAND]
    index = _minutes(*untraded).assign(instrument_key="NSE_INDEX|Nifty 50")
    minutes = pd.concat([_minutes(*untraded), index], ignore_index=True)
    bars = variant.to_5min(minutes)
    assert_contract(CANDLES_5MIN, bars)
    assert set(bars["instrument_key"]) == {"NSE_INDEX|Nifty 50"}
    assert bars[OHLC].values.tolist() == [[100, 103, 98, 99], [99, 100, 97, 98]]
    assert bars["volume"].tolist() == [0, 0]
    assert bars["minutes_traded"].tolist() == [0, 0]
    daily = variant.to_daily(minutes, NO_HISTORY)
    assert daily["instrument_key"].tolist() == ["NSE_INDEX|Nifty 50"]
    assert daily[OHLC].values.tolist() == [[100, 103, 97, 98]]


def test_a_bar_of_an_index_has_the_volume_that_all_its_minutes_state(variant: Variant) -> None:
    volumes = [None, None, None, 7]
    rows = [(*row[:5], volume, None) for row, volume in zip(HAND, volumes, strict=True)]
    minutes = _minutes(*rows).assign(instrument_key="NSE_INDEX|Nifty 50")
    bars = variant.to_5min(minutes)
    assert_contract(CANDLES_5MIN, bars)
    assert bars[OHLC].values.tolist() == [[100, 103, 98, 99], [99, 100, 97, 98]]
    assert bars["volume"].tolist() == [pd.NA, 7]
    assert bars["minutes_traded"].tolist() == [0, 1]
    assert bars["minutes_present"].tolist() == [3, 1]
    daily = variant.to_daily(minutes, minutes.iloc[:1].drop(columns="session_shape"))
    assert_contract(CANDLES_DAILY, daily)
    assert daily["series"].tolist() == ["exchange", "minutes"]
    assert daily["volume"].tolist() == [pd.NA, pd.NA]


def test_a_share_without_a_known_volume_was_not_seen_to_trade(variant: Variant) -> None:
    minutes = _minutes(*((*row[:5], None, None) for row in HAND))
    assert variant.to_5min(minutes).empty
    bars = variant.to_5min(minutes, WITH_UNTRADED)
    assert bars["volume"].tolist() == [pd.NA, pd.NA]


def test_a_bucket_without_a_trade_has_no_row(variant: Variant) -> None:
    minutes = _minutes(
        ("09:15", 10.0, 10.0, 10.0, 10.0, 1, None),
        ("09:21", 10.0, 10.0, 10.0, 10.0, 0, 3),
        ("09:26", 11.0, 11.0, 11.0, 11.0, 1, None),
    )
    assert clock(variant.to_5min(minutes)) == ["09:15", "09:25"]
    included = variant.to_5min(minutes, WITH_UNTRADED)
    assert clock(included) == ["09:15", "09:20", "09:25"]
    assert included["minutes_traded"].tolist() == [1, 0, 1]
    daily = variant.to_daily(minutes, NO_HISTORY)
    assert daily[OHLC].values.tolist() == [[10, 11, 10, 11]]
    assert daily["volume"].tolist() == [2]
    assert daily["minutes_traded"].tolist() == [2]
    assert daily["minutes_present"].tolist() == [3]
    assert daily["open_interest"].isna().all()
    untraded = minutes[minutes["volume"] == 0].reset_index(drop=True)
    assert variant.to_5min(untraded).empty
    assert variant.to_daily(untraded, NO_HISTORY).empty


def test_open_interest_is_the_last_one_stated(variant: Variant) -> None:
    price = (10.0, 10.0, 10.0, 10.0, 1)
    stated = [("09:15", 100), ("09:16", 110), ("09:17", 140), ("09:18", None), ("09:20", None)]
    bars = variant.to_5min(_minutes(*((clock, *price, value) for clock, value in stated)))
    assert bars["open_interest"].iloc[0] == 140
    assert bars["open_interest"].isna().tolist() == [False, True]


@pytest.mark.parametrize("clock", ["09:14", "15:30", "07:00", "23:59"])
def test_minutes_outside_the_session_are_refused(variant: Variant, clock: str) -> None:
    stray = _minutes(*HAND, (clock, 99.0, 99.0, 99.0, 99.0, 1, None))
    with pytest.raises(ValueError, match=NAMES_THE_ROW):
        variant.to_5min(stray)
    with pytest.raises(ValueError, match=NAMES_THE_ROW):
        variant.to_daily(stray, NO_HISTORY)


def test_minutes_of_a_closed_day_are_refused(variant: Variant) -> None:
    saturday = minute_candles(bar_rows([10.0], first="2025-06-07 10:00"))
    with pytest.raises(ValueError, match=NAMES_THE_ROW):
        variant.to_5min(saturday)


@pytest.mark.parametrize(
    ("as_of", "bars"),
    [
        ("09:15", 0),
        ("09:19:59", 0),
        ("09:20", 1),
        ("09:24", 1),
        ("09:25", 2),
        ("15:29:59", 74),
        ("15:30", 75),
    ],
)
def test_only_bars_that_have_ended_are_emitted(variant: Variant, as_of: str, bars: int) -> None:
    minutes = minute_candles(bar_rows([10.0] * 375))
    moment = pd.Timestamp(f"2025-06-02 {as_of}", tz=INDIA)
    found = variant.to_5min(minutes, as_of=moment)
    assert len(found) == bars
    everything = variant.to_5min(minutes)
    assert len(everything) == 75
    pd.testing.assert_frame_equal(found, everything.head(bars))


def test_the_last_bar_ends_with_the_interval(variant: Variant) -> None:
    minutes = minute_candles(bar_rows(range(1, 376)))
    quarter_days = AggregationSettings(bar_minutes=120)
    bars = variant.to_5min(minutes, quarter_days)
    assert clock(bars) == ["09:15", "11:15", "13:15", "15:15"]
    assert bars["minutes_expected"].tolist() == [120, 120, 120, 15]
    assert bars["close"].tolist() == [120, 240, 360, 375]
    assert bars["is_complete"].all()
    at_close = pd.Timestamp("2025-06-02 15:30", tz=INDIA)
    assert len(variant.to_5min(minutes, quarter_days, as_of=at_close)) == 4
    before = at_close - pd.Timedelta(seconds=1)
    assert len(variant.to_5min(minutes, quarter_days, as_of=before)) == 3


def test_the_exchange_series_is_copied(variant: Variant) -> None:
    history = daily_history(bar_rows([10.0, 11.0], first="2025-06-02", step="1D"))
    daily = variant.to_daily(minute_candles(bar_rows([10.0, 12.0])), history)
    assert_contract(CANDLES_DAILY, daily)
    assert daily["series"].tolist() == ["exchange", "exchange", "minutes"]
    copied = daily.iloc[:2]
    for column in ["timestamp", "trading_day", *OHLC, "volume", "open_interest"]:
        assert copied[column].equals(history[column]), column
    for column in ("minutes_traded", "minutes_present", "minutes_expected", "is_complete"):
        assert copied[column].isna().all(), column
    last = daily.iloc[2]
    assert last["timestamp"] == pd.Timestamp("2025-06-02", tz=INDIA)
    assert (last["minutes_expected"], last["minutes_present"]) == (375, 2)
    assert not last["is_complete"]


def test_nothing_in_gives_nothing_out(variant: Variant) -> None:
    no_minutes = minute_candles(bar_rows([]))
    pd.testing.assert_frame_equal(variant.to_5min(no_minutes), CANDLES_5MIN.empty())
    pd.testing.assert_frame_equal(variant.to_daily(no_minutes, NO_HISTORY), CANDLES_DAILY.empty())


# --- real minutes -----------------------------------------------------------------------------------


def test_562_five_minute_bars_of_the_polars_script(variant: Variant, shared_data: Path) -> None:
    minutes = minute_candles(pd.read_parquet(shared_data / "candles_1min.parquet"))
    script = pd.read_parquet(shared_data / "candles_5min_polars.parquet")
    bars = variant.to_5min(shuffled(minutes, 5), WITH_UNTRADED)
    assert_contract(CANDLES_5MIN, bars)
    assert len(bars) == 600
    both = script.merge(
        bars, on=["instrument_key", "timestamp"], suffixes=("_script", ""), validate="one_to_one"
    )
    assert len(both) == 562
    equal = pd.concat([both[name] == both[f"{name}_script"] for name in OHLC], axis=1)
    assert equal.to_numpy().sum() == 562 * 4
    assert bars["is_complete"].all()
    assert (bars["minutes_traded"] < 5).sum() == 7


def test_default_bars_differ_from_the_script_only_beside_untraded_minutes(
    variant: Variant, shared_data: Path
) -> None:
    rows = pd.read_parquet(shared_data / "candles_1min.parquet")
    bars = variant.to_5min(minute_candles(rows))
    script = pd.read_parquet(shared_data / "candles_5min_polars.parquet")
    both = script.merge(bars, on=["instrument_key", "timestamp"], suffixes=("_script", ""))
    assert len(both) == 562
    differs = pd.concat([both[name] != both[f"{name}_script"] for name in OHLC], axis=1).any(axis=1)
    untraded = rows.loc[rows["volume"] == 0, ["instrument_key", "timestamp"]]
    buckets = set(
        zip(untraded["instrument_key"], untraded["timestamp"].dt.floor("5min"), strict=True)
    )
    found = set(
        zip(both.loc[differs, "instrument_key"], both.loc[differs, "timestamp"], strict=True)
    )
    # The two stocks' 11:55 buckets open with an untraded minute at the last close.
    eleven_55 = pd.Timestamp("2025-06-02 11:55", tz=INDIA)
    assert found == {("NSE_EQ|INE005B01027", eleven_55), ("NSE_EQ|INE349Y01013", eleven_55)}
    assert found < buckets


def test_bars_of_2016_equal_sql(variant: Variant, shared_data: Path) -> None:
    path = shared_data / "market" / "minute_2016-08-16_2016-09-09.parquet"
    symbols = ["PCJEWELLER", "UBL", "RELIANCE", "NIFTYAUTO"]
    rows = pd.read_parquet(path, filters=[("symbol", "in", symbols)])
    assert len(rows) == 4 * 18 * 375
    minutes = minute_candles(rows.drop(columns="symbol"))
    found = {
        "time_bucket(INTERVAL 5 MINUTE, timestamp)": variant.to_5min(minutes),
        "date_trunc('day', timestamp)": (daily := variant.to_daily(minutes, NO_HISTORY)),
    }
    assert_contract(CANDLES_5MIN, next(iter(found.values())))
    assert_contract(CANDLES_DAILY, daily)
    # Minutes of an index count, although it has no volume.
    assert len(daily) == 4 * 18
    with duckdb.connect() as connection:
        connection.execute(f"SET TimeZone = '{INDIA}'")
        for bucket, bars in found.items():
            expected = connection.execute(
                f"SELECT instrument_key, epoch_us({bucket}) AS start, arg_min(open, timestamp), "
                "max(high), min(low), arg_max(close, timestamp), sum(volume), count(*) FILTER (volume > 0) "
                "FROM read_parquet(?) WHERE list_contains(?, symbol) "
                "AND (volume > 0 OR symbol = 'NIFTYAUTO') "
                "GROUP BY instrument_key, start ORDER BY instrument_key, start",
                [str(path), symbols],
            ).fetchall()
            start = bars["timestamp"].astype("int64")
            columns = bars[["instrument_key", *OHLC, "volume", "minutes_traded"]]
            columns.insert(1, "start", start)
            assert len(expected) >= 3 * 18
            assert list(columns.itertuples(index=False, name=None)) == expected
    assert daily["is_complete"].all()
    assert (daily["minutes_expected"] == 375).all()


def test_sparse_minutes_of_the_broker_equal_its_daily_bars(
    variant: Variant, shared_data: Path
) -> None:
    folder = shared_data / "market" / "upstox_responses"

    def candles(name: str) -> pd.DataFrame:
        response = json.loads((folder / name).read_text(encoding="utf-8"))
        columns = ["timestamp", *OHLC, "volume", "open_interest"]
        frame = pd.DataFrame(response["data"]["candles"], columns=columns)
        moments = pd.to_datetime(frame["timestamp"]).dt.tz_convert(INDIA).dt.as_unit("us")
        return frame.assign(timestamp=moments, instrument_key="NSE_EQ|INE00C501018")

    minutes = minute_candles(candles("hist_1m_sme_sparse.json"))
    assert len(minutes) == 1719
    assert (minutes["volume"] > 0).sum() == 14
    broker = candles("hist_1d_sme_2026-08_excerpt.json").sort_values("timestamp")
    for settings in (AggregationSettings(), WITH_UNTRADED):
        daily = variant.to_daily(minutes, NO_HISTORY, settings)
        assert len(daily) == 7
        for column in ["timestamp", *OHLC, "volume"]:
            assert daily[column].tolist() == broker[column].tolist(), column
        assert daily["minutes_traded"].sum() == 14
        assert daily["minutes_present"].sum() == 1719
        assert not daily["is_complete"].any()
    traded = variant.to_5min(minutes)
    assert traded["minutes_traded"].sum() == 14
    assert traded["volume"].sum() == broker["volume"].sum()
    # Every bucket from the first trade of a day to its close has minutes, if untraded ones.
    assert len(variant.to_5min(minutes, WITH_UNTRADED)) > 1719 // 5


def test_special_days_as_delivered_are_refused(variant: Variant, shared_data: Path) -> None:
    rows = pd.read_parquet(shared_data / "market" / "minute_special_days.parquet")
    with pytest.raises(ValueError, match=NAMES_THE_ROW):
        variant.to_5min(minute_candles(rows.drop(columns="symbol")))
