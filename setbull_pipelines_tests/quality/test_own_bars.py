"""Sources that lie: another's prices, an earlier day's, those of another unit; no row is wrong by itself."""

from __future__ import annotations

import itertools
from pathlib import Path

import pandas as pd
import pytest

from setbull_pipelines.quality.own_bars import DAILY, V2_DAILY
from setbull_pipelines.quality.rules import all_rules
from setbull_pipelines.quality.verdict import NOT_JUDGED, Verdict, before
from setbull_pipelines.settings import Settings

OWN, UNIT = (
    next(rule for rule in all_rules()[table] if rule.name == name)
    for table, name in (
        (DAILY, "bars_are_own"),
        (V2_DAILY, "prices_in_one_unit"),
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


def in_one_unit(today: pd.DataFrame) -> Verdict:
    return UNIT.judge({V2_DAILY.name: today, before(V2_DAILY): YESTERDAY}, DAY, Settings())


@pytest.mark.parametrize(
    ("times", "told"),
    [(100, True), (0.01, True), (70, False), (1 / 10, False), (1, False)],
    ids=str,
)
def test_one_price_in_paise_is_told_and_other_jumps_are_not(times: float, told: bool) -> None:
    today = bars()
    today.loc[0, PRICES] *= times
    verdict = in_one_unit(today)
    assert (verdict.passed, verdict.metadata["jumped a hundredfold"]) == (not told, int(told))
    assert ("NSE_EQ|A opened at" in verdict.description) is told


@pytest.mark.parametrize(
    ("times", "told"), [(10, True), (1000, True), (0.5, True), (1, False), (0.8, False)], ids=str
)
def test_a_market_that_jumps_in_one_night_is_told_and_one_that_falls_by_a_fifth_is_not(
    times: float, told: bool
) -> None:
    today = bars()
    today[PRICES] *= times
    verdict = in_one_unit(today)
    assert (verdict.passed, verdict.metadata["jumped otherwise"]) == (not told, 3 * told)
    assert ("3 of 3 instruments jumped in one night" in verdict.description) is told


def test_bars_that_changed_places_are_told_where_they_are_many() -> None:
    """The closes before were 107, 212 and 317, the opens are 203, 303 and 103."""
    verdict = in_one_unit(bars().assign(instrument_key=["NSE_EQ|C", "NSE_EQ|A", "NSE_EQ|B"]))
    assert not verdict.passed
    assert "half of them to 1.429 of the last close or more" in verdict.description
    assert "NSE_EQ|C opened at 0.3249 of the close of 2025-06-02" in verdict.description


def test_two_splits_of_one_night_are_no_market_that_jumps() -> None:
    today = bars()
    today.loc[:1, PRICES] /= 2
    assert in_one_unit(today).passed


def test_a_part_of_a_day_in_paise_is_told_with_its_prices() -> None:
    """The first share trades from 93 rupees to 113, which is 9,300 to 11,300 paise."""
    today = bars()
    today.loc[0, ["high", "close"]] *= 100
    verdict = in_one_unit(today)
    assert not verdict.passed
    assert "1 instruments have prices a hundredfold apart inside the day" in verdict.description
    assert "NSE_EQ|A from 93 to 11300" in verdict.description
    alone = UNIT.judge({V2_DAILY.name: today, before(V2_DAILY): YESTERDAY.head(0)}, DAY, Settings())
    assert not alone.passed
    assert NOT_JUDGED not in alone.metadata


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


@pytest.mark.parametrize(
    ("name", "first", "last", "days", "hundredfold", "most"),
    [
        ("daily_all_2020-11_2021-03", "2020-12-01", "2021-02-28", 61, 2, 0.0038),
        ("daily_long", "2020-02-15", "2020-04-30", 47, 0, 0.0118),
    ],
    ids=["two splits of 1:100", "the falls of March 2020"],
)
def test_no_real_market_jumps_in_one_night(
    name: str, first: str, last: str, days: int, hundredfold: int, most: float, shared_data: Path
) -> None:
    """Each real day held against the last: days judged, those with a split of 1:100, the largest share that jumped."""
    rows = pd.read_parquet(shared_data / "market" / f"{name}.parquet").assign(series="exchange")
    rows["trading_day"] = rows["timestamp"].dt.tz_localize(None).dt.normalize()
    chosen = rows[rows["trading_day"].between(pd.Timestamp(first), pd.Timestamp(last))]
    of_days = [day for _, day in chosen.groupby("trading_day")]
    judged, told, jumped = 0, 0, []
    for earlier, today in itertools.pairwise(of_days):
        day = today["trading_day"].iloc[0]
        verdict = UNIT.judge({V2_DAILY.name: today, before(V2_DAILY): earlier}, day, Settings())
        judged += NOT_JUDGED not in verdict.metadata
        told += not verdict.passed
        jumped.append(verdict.metadata["jumped otherwise"] / verdict.metadata["instruments"])
    assert (judged, told) == (days, hundredfold)
    assert max(jumped) <= most
