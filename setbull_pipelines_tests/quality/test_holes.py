"""A feed that goes through the whole session, and feeds that do not; values by hand, 375 minutes from 09:15."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from setbull_pipelines.quality.holes import REACHES_THE_CLOSE
from setbull_pipelines.quality.raw import CANDLES_1MIN
from setbull_pipelines.quality.verdict import NOT_JUDGED, Verdict
from setbull_pipelines.settings import Settings
from setbull_pipelines_tests.quality.minutes_of_a_day import minutes

DAY = pd.Timestamp("2025-06-03")
KEYS = ("NSE_EQ|A", "NSE_EQ|B", "NSE_EQ|C")


def moving(
    count: int, day: pd.Timestamp = DAY, key: str = "NSE_EQ|A", volume: int = 1
) -> pd.DataFrame:
    """The first minutes of a session, with a second price from the second on."""
    rows = minutes(count, day, key=key, volume=volume)
    return rows.assign(high=rows["high"].where(rows.index == 0, 101.0))


def closes(*of_shares: pd.DataFrame) -> Verdict:
    return REACHES_THE_CLOSE.judge({CANDLES_1MIN.name: pd.concat(of_shares)}, DAY, Settings())


def test_a_feed_that_stops_at_noon_is_told_with_the_minute() -> None:
    verdict = closes(*(moving(165, key=key) for key in KEYS))
    assert not verdict.passed
    assert "3 of 3 instruments" in verdict.description
    assert "no trade after 11:59" in verdict.description


def test_a_whole_session_passes_and_so_does_one_halted_share_among_many() -> None:
    whole = [moving(375, key=f"NSE_EQ|S{number}") for number in range(20)]
    assert closes(*whole).passed
    assert closes(*whole, moving(200, key="NSE_EQ|HALTED")).passed
    assert not closes(*whole, *(moving(200, key=f"NSE_EQ|H{number}") for number in range(9))).passed


def test_shares_that_trade_seldom_say_nothing_about_the_feed() -> None:
    seldom, two_minutes = moving(375).iloc[[3, 80, 170]], moving(2, key="NSE_EQ|B")
    verdict = closes(seldom, two_minutes)
    assert verdict.passed
    assert verdict.metadata["instruments busy beside their longest hole"] == 0


def test_a_session_under_way_is_not_judged() -> None:
    assert closes(moving(100).assign(state="provisional")).metadata[NOT_JUDGED]
    assert not closes(moving(100).assign(state="final")).passed


def test_a_session_of_two_parts_counts_the_pause_as_no_minute() -> None:
    day = pd.Timestamp("2024-03-02")  # 09:15 to 10:00 and 11:30 to 12:30
    first, second = moving(45, day), moving(60, day)
    second["timestamp"] += pd.Timedelta(hours=2, minutes=15)
    both = pd.concat([first, second])
    whole = REACHES_THE_CLOSE.judge({CANDLES_1MIN.name: both}, day, Settings())
    assert whole.passed
    assert whole.metadata["instruments busy beside their longest hole"] == 1
    assert not REACHES_THE_CLOSE.judge({CANDLES_1MIN.name: first}, day, Settings()).passed


def without(first: str, last: str, of: pd.DataFrame) -> pd.DataFrame:
    clock = of["timestamp"].dt.strftime("%H:%M")
    return of[(clock < first) | (clock > last)]


@pytest.mark.parametrize(
    ("first", "last"), [("09:15", "10:59"), ("09:15", "09:44"), ("12:00", "12:29")]
)
def test_a_feed_that_begins_late_or_pauses_is_told_with_the_minutes(first: str, last: str) -> None:
    verdict = closes(*(without(first, last, moving(375, key=key)) for key in KEYS))
    assert not verdict.passed
    assert "the feed has a hole, or the exchange halted: 3 of 3 instruments" in verdict.description
    assert f"no trade from {first} to {last} or about then" in verdict.description


def test_half_an_hour_less_one_minute_is_no_hole() -> None:
    assert closes(*(without("12:00", "12:28", moving(375, key=key)) for key in KEYS)).passed
    assert closes(*(moving(346, key=key) for key in KEYS)).passed


def test_the_longest_hole_counts_where_there_are_several() -> None:
    twice = [without("10:00", "10:29", moving(330, key=key)) for key in KEYS]
    verdict = closes(*twice)
    assert "the feed stops before the close" in verdict.description
    assert "no trade after 14:44" in verdict.description


@pytest.mark.parametrize("volume", [0, 5_000], ids=["without volume", "the last bar again"])
def test_bars_that_fill_the_afternoon_are_no_trades(volume: int) -> None:
    """Until 11:59 every minute has a volume of its own, from 12:00 on all are alike."""
    filled = []
    for key in KEYS:
        rows = moving(375, key=key, volume=volume)
        rows.loc[:164, "volume"] = range(2_000, 2_165)
        filled.append(rows)
    verdict = closes(*filled)
    assert not verdict.passed
    # The first of the bars that are alike was a trade.
    assert f"no trade after {'11:59' if volume == 0 else '12:00'}" in verdict.description


def test_minutes_without_any_trade_are_told_and_those_of_an_index_are_trades() -> None:
    verdict = closes(*(moving(375, key=key, volume=0) for key in KEYS))
    assert not verdict.passed
    assert "none of 1,125 minutes of 3 instruments has a trade" in verdict.description
    of_index = (
        moving(375, key="NSE_INDEX|Nifty 50").assign(volume=pd.NA).astype({"volume": "Int64"})
    )
    assert closes(of_index).passed


def test_prices_that_stand_still_are_told_and_one_share_at_its_limit_is_not() -> None:
    """Two of three shares are too few to tell, three of 23 are not."""
    others = [moving(375, key=f"NSE_EQ|S{number}") for number in range(20)]
    still = [minutes(375, key=key) for key in KEYS]
    assert closes(*others[:1], *still[:2]).passed
    assert closes(*others).passed
    verdict = closes(*others, *still)
    assert not verdict.passed
    assert "3 of 23 instruments that trade in 30 minutes or more have one price all day" in (
        verdict.description
    )
    assert "(NSE_EQ|A, NSE_EQ|B, NSE_EQ|C)" in verdict.description
    # Bars without volume, with which a feed is filled, are at one price as well, but are no trades.
    untraded = [minutes(375, key=key, volume=0) for key in KEYS]
    assert closes(*others, *untraded).passed


def test_real_sessions_have_no_hole_but_the_one_that_ends_early(shared_data: Path) -> None:
    """Among them a Muhurat hour, and the session that a fault of the exchange cut in two."""
    found = {}
    for name in ("2016-08-16_2016-09-09", "2016-09-30_unsorted", "special_days"):
        rows = pd.read_parquet(shared_data / "market" / f"minute_{name}.parquet")
        rows = rows.assign(session_shape="full").astype({"volume": "Int64"})
        for day, of_day in rows.groupby(rows["timestamp"].dt.tz_localize(None).dt.normalize()):
            found[day] = REACHES_THE_CLOSE.judge({CANDLES_1MIN.name: of_day}, day, Settings())
    (early,) = [day for day, verdict in found.items() if not verdict.passed]
    assert (len(found), f"{early:%Y-%m-%d}") == (22, "2016-09-12")
    assert "8 of 8 instruments" in found[early].description
    assert "no trade after 13:41" in found[early].description
