"""Overnight jumps that no corporate action explains: which are found, how long they count, what filters say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from setbull_pipelines.settings import IndicatorSettings
from setbull_pipelines.tables import CANDLES_DAILY, FILTER_RESULTS, INDICATORS_DAILY
from setbull_pipelines.variants import V1, V2
from setbull_pipelines.variants.protocol import Variant
from setbull_pipelines_tests.variants.adjusting import DAYS, KEY, OTHER, actions, both, daily
from setbull_pipelines_tests.variants.frames import bars_daily, compare, daily_chain, shuffled

QUICK = IndicatorSettings(warm_margin_bars=0)


def gaps(variant: Variant, bars: pd.DataFrame, **changes: float) -> list[tuple[float, object]]:
    """Ratio and day per bar."""
    found = variant.indicators(bars, "day", settings=IndicatorSettings(**changes))
    rows = found[["unexplained_gap", "unexplained_gap_day"]].itertuples(index=False)
    return [(None, None) if np.isnan(row[0]) else (row[0], row[1]) for row in rows]


@both
def test_a_jump_is_told_from_its_day_on_until_as_many_bars_follow_as_warm_values_need(
    variant: Variant,
) -> None:
    bars = daily([100.0] * 5 + [20.0] * 55)
    found = gaps(variant, bars, warm_margin_bars=0)
    assert found == [(None, None)] * 5 + [(0.2, DAYS[5])] * 50 + [(None, None)] * 5


@both
@pytest.mark.parametrize(
    ("after", "is_gap"),
    [(125.0, False), (125.01, True), (75.0, False), (74.99, True), (100.0, False), (1000.0, True)],
)
def test_the_limit_itself_is_no_jump(variant: Variant, after: float, is_gap: bool) -> None:
    assert (gaps(variant, daily([100.0, after]))[1] != (None, None)) == is_gap


@both
def test_the_latest_jump_is_told_and_instruments_are_kept_apart(variant: Variant) -> None:
    bars = pd.concat(
        [daily([100.0, 50.0, 50.0, 20.0]), daily([900.0, 901.0, 902.0, 903.0], key=OTHER)]
    )
    assert gaps(variant, shuffled(bars, 3)) == [
        *[(None, None)] * 4,
        *[(None, None), (0.5, DAYS[1]), (0.5, DAYS[1]), (0.4, DAYS[3])],
    ]


@both
def test_bars_that_lie_weeks_apart_are_not_compared(variant: Variant) -> None:
    bars = daily([100.0] * 20 + [40.0])
    assert gaps(variant, bars.iloc[[0, 20]])[1] == (None, None)
    assert gaps(variant, bars.iloc[[0, 20]], overnight_days=60)[1] == (0.4, DAYS[20])


@both
def test_an_action_explains_a_jump_and_a_wrong_one_makes_one(variant: Variant) -> None:
    bars = daily([1000.0, 1000.0, 101.3])

    def found(*rows: tuple[str, object, str, float]) -> tuple[float, object]:
        adjusted = variant.adjusted(bars, CANDLES_DAILY, actions(*rows), DAYS[2])
        return gaps(variant, adjusted)[2]

    assert found((KEY, DAYS[2], "split", 10.0)) == (None, None)
    assert found((KEY, DAYS[2], "split", 5.0)) == (101.3 / 200, DAYS[2])
    assert found((KEY, DAYS[1], "split", 10.0)) == (0.1013, DAYS[2])
    assert found() == (0.1013, DAYS[2])


@both
def test_filters_have_not_enough_data_until_the_gap_is_explained(variant: Variant) -> None:
    # A share that falls far below the limits of the basic stage is not rejected for its price.
    bars = daily([400.0] * 100 + [40.0] * 2, volume=1_000_000)
    as_of = DAYS[101]

    def result(rows: pd.DataFrame) -> pd.Series:
        indicators = variant.indicators(rows, "day", settings=QUICK)
        found = daily_chain(variant, rows, as_of, indicators=indicators)["filter_results"]
        FILTER_RESULTS.schema.validate(found)
        return found.iloc[0]

    blocked = result(bars)
    assert blocked[["verdict", "stopped_at", "close"]].tolist() == [
        "not enough data",
        "basic",
        40.0,
    ]
    assert blocked["reason"] == blocked["basic_reason"]
    assert blocked["reason"] == (
        f"unexplained gap of 0.1000 on {DAYS[100]:%Y-%m-%d}: open to the close before, "
        "no corporate action is known"
    )
    assert blocked[["basic_passed", "average_volume", "basic_threshold"]].isna().all()
    split = actions((KEY, DAYS[100], "split", 10.0))
    explained = result(variant.adjusted(bars, CANDLES_DAILY, split, as_of))
    assert explained["reason"] == "close 40.00 is below 50.00"


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 70))
def test_both_variants_agree_and_later_bars_change_nothing(seed: int, kept: int) -> None:
    generator = np.random.default_rng(seed)

    def jumpy(key: str) -> pd.DataFrame:
        steps = generator.choice([1.0, 0.5, 0.75, 1.25, 1.26, 1.01], 70, p=[0.8] + [0.04] * 5)
        return daily(100 * np.cumprod(steps), key=key)

    bars = pd.concat([jumpy(KEY), jumpy(OTHER)], ignore_index=True)
    bars = bars[generator.random(len(bars)) > 0.1]
    one, other = (
        variant.indicators(shuffled(bars, seed), "day", settings=QUICK) for variant in (V1, V2)
    )
    compare(INDICATORS_DAILY, one, other)
    until = bars[bars["trading_day"] <= DAYS[kept - 1]]
    early = V2.indicators(until, "day", settings=QUICK)
    same = other[other["trading_day"] <= DAYS[kept - 1]].reset_index(drop=True)
    columns = ["unexplained_gap", "unexplained_gap_day"]
    pd.testing.assert_frame_equal(early[columns], same[columns])


@both
@pytest.mark.parametrize(
    ("symbol", "ex_date", "ratio", "hidden"),
    [
        ("EICHERMOT", "2020-08-24", 10.0, "0.1013"),
        ("TATASTEEL", "2022-07-28", 10.0, "0.1023"),
        ("IOLCP", "2025-03-11", 5.0, "0.2004"),
    ],
)
def test_real_splits_block_until_they_are_announced(
    variant: Variant, symbol: str, ex_date: str, ratio: float, hidden: str, shared_data: Path
) -> None:
    path = shared_data / "market" / "daily_long.parquet"
    whole = bars_daily(pd.read_parquet(path, filters=[("symbol", "=", symbol)]))
    place = whole.index[whole["trading_day"] == ex_date].item()
    bars = whole.iloc[: place + 100]
    as_of = bars["trading_day"].iloc[-1]
    split = actions((bars["instrument_key"].iloc[0], ex_date, "split", ratio))

    def reason(rows: pd.DataFrame) -> str:
        indicators = variant.indicators(
            rows, "day", settings=IndicatorSettings(warm_margin_bars=100)
        )
        return daily_chain(variant, rows, as_of, indicators=indicators)["filter_results"].at[
            0, "reason"
        ]

    assert reason(bars).startswith(f"unexplained gap of {hidden} on {ex_date}")
    assert "gap" not in reason(variant.adjusted(bars, CANDLES_DAILY, split, as_of))


@both
def test_the_jumps_of_the_real_market_are_those_found_by_ratio(
    variant: Variant, shared_data: Path
) -> None:
    market = shared_data / "market"
    events = pd.read_csv(market / "events.csv")
    bars = bars_daily(pd.read_parquet(market / "daily_long.parquet"))
    jumps = events[
        (events["kind"] == "price_jump")
        & events["instrument_key"].isin(bars["instrument_key"])
        & (events["date"] > "2019-10-01")  # no bar before
    ]
    found = variant.indicators(bars, "day")
    on_its_day = found[found["unexplained_gap_day"] == found["trading_day"]]
    ratio_of = {
        (row.instrument_key, f"{row.trading_day:%Y-%m-%d}"): row.unexplained_gap
        for row in on_its_day.itertuples()
    }
    assert len(jumps) > 50
    for jump in jumps.itertuples():
        assert ratio_of[jump.instrument_key, jump.date] == pytest.approx(jump.value, abs=5e-5)


@both
def test_a_genuine_move_is_no_gap_of_its_share_and_day_and_changes_no_price(
    variant: Variant,
) -> None:
    bars = pd.concat(
        [daily([100.0, 50.0, 50.0, 20.0]), daily([900.0, 300.0, 301.0, 302.0], key=OTHER)]
    )

    def found(*rows: tuple[str, object, str, float]) -> list[tuple[float, object]]:
        stated = actions(*rows)
        adjusted = variant.adjusted(bars, CANDLES_DAILY, stated, DAYS[3])
        pd.testing.assert_frame_equal(adjusted, bars)
        indicators = variant.indicators(shuffled(adjusted, 1), "day", actions=stated)
        rows = indicators[["unexplained_gap", "unexplained_gap_day"]].itertuples(index=False)
        return [(None, None) if np.isnan(row[0]) else (row[0], row[1]) for row in rows]

    none = (None, None)
    of_other = [none, *[(1 / 3, DAYS[1])] * 3]
    of_key = [none, (0.5, DAYS[1]), (0.5, DAYS[1]), (0.4, DAYS[3])]
    expected = {KEY: of_key, OTHER: of_other}
    first, second = sorted(expected)
    assert found((KEY, DAYS[2], "genuine", 1.0)) == expected[first] + expected[second]
    expected[KEY] = [none, none, none, (0.4, DAYS[3])]
    assert found((KEY, DAYS[1], "genuine", 1.0)) == expected[first] + expected[second]
    expected[KEY] = [none] * 4
    both_moves = ((KEY, DAYS[1], "genuine", 1.0), (KEY, DAYS[3], "genuine", 1.0))
    assert found(*both_moves) == expected[first] + expected[second]
