"""Sources that lie: another's prices, an earlier day's, a feed that stops; none of their rows is wrong by itself."""

from __future__ import annotations

import pandas as pd
import pytest

from setbull_pipelines import tables
from setbull_pipelines.quality.own_bars import DAILY, V2_DAILY
from setbull_pipelines.quality.rules import all_rules
from setbull_pipelines.quality.verdict import NOT_JUDGED, Verdict, before
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines_tests.quality.minutes_of_a_day import minutes

MINUTES = StoredTable("raw", tables.CANDLES_1MIN)
OWN, UNIT, CLOSE = (
    next(rule for rule in all_rules()[table] if rule.name == name)
    for table, name in (
        (DAILY, "bars_are_own"),
        (V2_DAILY, "prices_in_one_unit"),
        (MINUTES, "reaches_the_close"),
    )
)
DAY = pd.Timestamp("2025-06-03")
KEYS = ("NSE_EQ|A", "NSE_EQ|B", "NSE_EQ|C")


def bars(day: pd.Timestamp = DAY, **changes: object) -> pd.DataFrame:
    """Bars of three shares, each with prices and a volume of its own, and of its day."""
    rows = [
        {
            "instrument_key": key,
            "series": "exchange",
            "trading_day": day,
            "open": 100.0 * number + day.day,
            "high": 110.0 * number + day.day,
            "low": 90.0 * number + day.day,
            "close": 105.0 * number + day.day,
            "volume": 5_000 * number + day.day,
        }
        for number, key in enumerate(KEYS, start=1)
    ]
    return pd.DataFrame(rows).astype({"volume": "Int64"}).assign(**changes)


def owned(today: pd.DataFrame, *earlier: pd.DataFrame) -> Verdict:
    known = pd.concat(earlier) if earlier else today.head(0)
    return OWN.judge({DAILY.name: today, before(DAILY): known}, DAY, Settings())


YESTERDAY, THE_DAY_BEFORE = (bars(DAY - pd.Timedelta(days=days)) for days in (1, 2))


def test_bars_of_their_own_pass_also_on_the_first_session() -> None:
    assert owned(bars(), THE_DAY_BEFORE, YESTERDAY).passed
    first = owned(bars())
    assert first.passed
    assert first.metadata["sessions compared with"] == 0


def test_an_earlier_day_under_a_new_date_is_told_with_the_day_that_it_is_of() -> None:
    verdict = owned(THE_DAY_BEFORE.assign(trading_day=DAY), THE_DAY_BEFORE, YESTERDAY)
    assert not verdict.passed
    assert "3 of 3 bars are, to the last share, those of an earlier session" in verdict.description
    assert "NSE_EQ|A of 2025-06-01" in verdict.description


def test_one_share_that_repeats_its_day_is_enough() -> None:
    stuck = pd.concat([bars().iloc[1:], YESTERDAY.iloc[:1].assign(trading_day=DAY)])
    verdict = owned(stuck, YESTERDAY)
    assert (verdict.passed, verdict.metadata["bars of an earlier session"]) == (False, 1)


def test_a_share_with_the_prices_of_another_is_told_with_its_name() -> None:
    today = bars()
    lying = pd.concat([today.iloc[1:], today.iloc[1:2].assign(instrument_key="NSE_EQ|A")])
    verdict = owned(lying, YESTERDAY)
    assert not verdict.passed
    assert "NSE_EQ|A and NSE_EQ|B" in verdict.description


@pytest.mark.parametrize(
    "changes",
    [{"volume": 40}, {"open": 5.0, "high": 5.0, "low": 5.0, "close": 5.0}, {"volume": None}],
    ids=["hardly traded", "locked at the limit", "an index"],
)
def test_bars_that_can_be_equal_by_chance_are_not_held_against_each_other(
    changes: dict[str, object],
) -> None:
    same = dict.fromkeys(("open", "high", "low", "close"), 7.0) | changes
    verdict = owned(bars(**same), bars(DAY - pd.Timedelta(days=1), **same))
    assert verdict.metadata.get(NOT_JUDGED)


PRICES = ["open", "high", "low", "close"]


@pytest.mark.parametrize(
    ("times", "told"), [(100, 3), (0.01, 3), (70, 0), (1 / 10, 0), (1, 0)], ids=str
)
def test_prices_in_another_unit_are_told_and_other_jumps_are_not(times: float, told: int) -> None:
    today = bars()
    today[PRICES] *= times
    verdict = UNIT.judge({V2_DAILY.name: today, before(V2_DAILY): YESTERDAY}, DAY, Settings())
    assert (verdict.passed, verdict.metadata["jumped a hundredfold"]) == (not told, told)
    assert ("NSE_EQ|A opened at" in verdict.description) is bool(told)


def test_the_unit_is_held_against_the_last_session_that_a_share_has() -> None:
    in_paise = YESTERDAY.copy()
    in_paise[PRICES] *= 100
    earlier = pd.concat([in_paise, THE_DAY_BEFORE])
    assert not UNIT.judge(
        {V2_DAILY.name: bars(), before(V2_DAILY): earlier}, DAY, Settings()
    ).passed
    alone = UNIT.judge(
        {V2_DAILY.name: bars(), before(V2_DAILY): YESTERDAY.head(0)}, DAY, Settings()
    )
    assert alone.metadata[NOT_JUDGED]


def closes(*of_shares: pd.DataFrame) -> Verdict:
    return CLOSE.judge({MINUTES.name: pd.concat(of_shares)}, DAY, Settings())


def test_a_feed_that_stops_at_noon_is_told_with_the_minute() -> None:
    verdict = closes(*(minutes(165, key=key) for key in KEYS))
    assert not verdict.passed
    assert "3 of 3 instruments" in verdict.description
    assert "none after 11:59" in verdict.description


def test_a_whole_session_passes_and_so_does_one_halted_share_among_many() -> None:
    whole = [minutes(375, key=f"NSE_EQ|S{number}") for number in range(20)]
    assert closes(*whole).passed
    assert closes(*whole, minutes(200, key="NSE_EQ|HALTED")).passed
    assert not closes(
        *whole, *(minutes(200, key=f"NSE_EQ|H{number}") for number in range(9))
    ).passed


def test_shares_that_trade_seldom_say_nothing_about_the_feed() -> None:
    seldom, two_minutes = minutes(375).iloc[[3, 80, 170]], minutes(2, key="NSE_EQ|B")
    verdict = closes(seldom, two_minutes)
    assert verdict.passed
    assert verdict.metadata["instruments busy until their last minute"] == 0


def test_a_session_under_way_is_not_judged() -> None:
    assert closes(minutes(100).assign(state="provisional")).metadata[NOT_JUDGED]
    assert not closes(minutes(100).assign(state="final")).passed


def test_a_session_of_two_parts_counts_the_pause_as_no_minute() -> None:
    day = pd.Timestamp("2024-03-02")  # 09:15 to 10:00 and 11:30 to 12:30
    first, second = minutes(45, day), minutes(60, day)
    second["timestamp"] += pd.Timedelta(hours=2, minutes=15)
    both = pd.concat([first, second])
    whole = CLOSE.judge({MINUTES.name: both}, day, Settings())
    assert whole.passed
    assert whole.metadata["instruments busy until their last minute"] == 1
    assert not CLOSE.judge({MINUTES.name: first}, day, Settings()).passed
