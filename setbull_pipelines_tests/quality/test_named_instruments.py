"""Checks that name instruments which an average, or the others, would hide."""

from __future__ import annotations

import pandas as pd
import pytest

from setbull_pipelines.quality.delivered import (
    UNIVERSE_COMPLETE,
    daily_complete,
    minutes_complete,
)
from setbull_pipelines.quality.raw import sessions_traded
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables.contract import INDIA

DAY = pd.Timestamp("2025-06-02")
NO_COVERAGE = pd.DataFrame(
    columns=["instrument_key", "series", "first_trading_day", "last_trading_day", "rows"]
)


def minutes(**delivered: int) -> pd.DataFrame:
    parts = [
        pd.DataFrame(
            {
                "instrument_key": f"NSE_EQ|{symbol}",
                "timestamp": pd.date_range("2025-06-02 09:15", periods=count, freq="min", tz=INDIA),
                "session_shape": "full",
                "volume": 1,
            }
        )
        for symbol, count in delivered.items()
    ]
    return pd.concat(parts, ignore_index=True)


def test_an_instrument_with_one_minute_is_named_beside_a_good_average() -> None:
    full = {f"S{number}": 375 for number in range(20)}
    frames = {"raw.candles_1min": minutes(**full, THIN=1), "raw.coverage": NO_COVERAGE}
    verdict = minutes_complete(frames, DAY, Settings())
    assert verdict.passed
    assert "thin, with less than half of that: NSE_EQ|THIN 1 of 375" in verdict.description
    assert verdict.metadata["instruments thin"] == 1
    frames["raw.candles_1min"] = minutes(**full)
    assert "thin" not in minutes_complete(frames, DAY, Settings()).description


def minutes_until(last: str, *symbols: str) -> pd.DataFrame:
    """The minutes of these, since long ago and until a day, in the form of ``raw.coverage``."""
    rows = [(f"NSE_EQ|{symbol}", "minutes", "2025-01-01", last, 99) for symbol in symbols]
    of = pd.DataFrame(rows, columns=NO_COVERAGE.columns)
    return of.astype({f"{end}_trading_day": "datetime64[us]" for end in ("first", "last")})


@pytest.mark.parametrize(
    ("missing", "passed"), [("", True), ("D", True), ("CD", False), ("BCD", False)], ids=str
)
def test_a_feed_of_fewer_instruments_is_told_with_their_names(missing: str, passed: bool) -> None:
    """Of five, a fifth may be missing and two fifths may not; 2025-05-30 is the session before."""
    there = [symbol for symbol in "ABCDE" if symbol not in missing]
    coverage = pd.concat(
        [minutes_until("2025-06-02", *there), minutes_until("2025-05-30", *missing)]
    )
    frames = {
        "raw.candles_1min": minutes(**dict.fromkeys(there, 375)),
        "raw.coverage": coverage,
    }
    complete = minutes_complete(frames, DAY, Settings())
    assert (complete.passed, complete.metadata["instruments missing"]) == (passed, len(missing))
    doubted = UNIVERSE_COMPLETE.judge(frames, DAY, Settings())
    assert doubted.passed is passed
    keys = ", ".join(f"NSE_EQ|{symbol}" for symbol in missing)
    told = f"{len(missing)} of 5 instruments that had minutes in the 5 sessions before have none (limit 25%): {keys}"
    assert doubted.description == told
    assert (told in complete.description) is not passed


def test_instruments_that_ended_long_ago_are_not_missing() -> None:
    """2025-05-26 is the fifth session before, 2025-05-23 the sixth."""
    frames = {"raw.candles_1min": minutes(A=375)}
    for last, passed in (("2025-05-26", False), ("2025-05-23", True)):
        frames["raw.coverage"] = pd.concat(
            [minutes_until("2025-06-02", "A"), minutes_until(last, "B", "C")]
        )
        assert UNIVERSE_COMPLETE.judge(frames, DAY, Settings()).passed is passed


def daily(*keys: str) -> pd.DataFrame:
    return pd.DataFrame({"instrument_key": list(keys), "volume": 1})


def covered(*keys: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "instrument_key": list(keys),
            "series": "exchange",
            "first_trading_day": DAY - pd.Timedelta(days=10),
            "last_trading_day": DAY + pd.Timedelta(days=10),
            "rows": 10,
        }
    )


def test_a_share_that_traded_in_another_series_is_a_hole_and_one_that_did_not_trade_is_named() -> (
    None
):
    frames = {
        "raw.candles_daily_history": daily("NSE_EQ|A"),
        "raw.coverage": covered("NSE_EQ|A", "NSE_EQ|MOVED", "NSE_EQ|QUIET"),
        "raw.quarantine": pd.DataFrame(
            {"instrument_key": ["NSE_EQ|MOVED"], "rule": ["other series"], "value": ["BE"]}
        ),
    }
    verdict = daily_complete(frames, DAY, Settings())
    assert not verdict.passed
    assert "NSE_EQ|MOVED (in series BE), NSE_EQ|QUIET" in verdict.description
    assert "1 of them traded in a series that input.series leaves out" in verdict.description
    frames["raw.quarantine"] = frames["raw.quarantine"].iloc[:0]
    assert daily_complete(frames, DAY, Settings()).passed
    frames["raw.coverage"] = covered("NSE_EQ|A")
    assert daily_complete(frames, DAY, Settings()).description == "1 daily bars"


@pytest.mark.parametrize("volume", [0, None])
def test_an_index_that_moved_is_a_session_that_traded(volume: int | None) -> None:
    index = minutes(A=3).assign(instrument_key="NSE_INDEX|Nifty 50")
    index["volume"] = pd.array([volume] * len(index), dtype="Int64")
    frames = {
        "raw.candles_1min": index,
        "raw.candles_daily_history": daily().astype({"volume": "int64"}),
        "raw.coverage": covered("NSE_INDEX|Nifty 50"),
    }
    assert sessions_traded(frames, DAY, Settings()).passed
    frames["raw.candles_1min"] = index.assign(instrument_key="NSE_EQ|A")
    assert not sessions_traded(frames, DAY, Settings()).passed
