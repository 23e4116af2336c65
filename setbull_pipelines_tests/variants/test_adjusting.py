"""Adjusting for corporate actions: values worked out by hand, what must not change, and that both variants agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from setbull_pipelines.tables import CANDLES_5MIN, CANDLES_DAILY, INDICATORS_DAILY, MOVES_DAILY
from setbull_pipelines.tables.actions import ACTION_KINDS
from setbull_pipelines.variants import V1, V2
from setbull_pipelines.variants.protocol import Variant
from setbull_pipelines_tests.variants.adjusting import DAYS, KEY, OTHER, actions, both, daily
from setbull_pipelines_tests.variants.frames import bar_rows, bars_5min, bars_daily, compare

PRICES = ["open", "high", "low", "close"]


@both
def test_bars_before_a_split_are_told_in_new_shares(variant: Variant) -> None:
    bars = daily([1000.0, 990.0, 99.5, 100.0], volume=[10, 20, 300, 400])
    split = actions((KEY, DAYS[2], "split", 10.0))
    found = variant.adjusted(bars, CANDLES_DAILY, split, DAYS[3])
    assert found["close"].tolist() == [100.0, 99.0, 99.5, 100.0]
    assert found["open"].tolist() == found["close"].tolist()
    assert found["volume"].tolist() == [100, 200, 300, 400]
    untouched = [name for name in bars.columns if name not in (*PRICES, "volume")]
    pd.testing.assert_frame_equal(found[untouched], bars[untouched])
    pd.testing.assert_series_equal(found.dtypes, bars.dtypes)


@both
def test_an_action_changes_nothing_before_its_ex_date(variant: Variant) -> None:
    bars = daily([1000.0, 990.0, 980.0])
    tomorrow = actions((KEY, DAYS[3], "split", 10.0), (OTHER, DAYS[1], "split", 2.0))
    pd.testing.assert_frame_equal(variant.adjusted(bars, CANDLES_DAILY, tomorrow, DAYS[2]), bars)
    on_the_day = variant.adjusted(bars, CANDLES_DAILY, tomorrow, DAYS[3])
    assert on_the_day["close"].tolist() == [100.0, 99.0, 98.0]
    evening = (DAYS[2] + pd.Timedelta(hours=18)).tz_localize("Asia/Kolkata")
    pd.testing.assert_frame_equal(variant.adjusted(bars, CANDLES_DAILY, tomorrow, evening), bars)


@both
def test_several_actions_multiply_and_a_demerger_leaves_volumes(variant: Variant) -> None:
    bars = daily([600.0] * 4, volume=[7, 7, 7, 7])
    several = actions(
        (KEY, DAYS[1], "split", 2.0), (KEY, DAYS[2], "bonus", 1.5), (KEY, DAYS[3], "demerger", 4.0)
    )
    found = variant.adjusted(bars, CANDLES_DAILY, several, DAYS[3])
    assert found["close"].tolist() == [50.0, 100.0, 150.0, 600.0]
    # 7 x 3 = 21; 7 x 1.5 = 10.5, halves to the even number
    assert found["volume"].tolist() == [21, 10, 7, 7]


@both
def test_five_minute_bars_are_adjusted_across_the_ex_date(variant: Variant) -> None:
    rows = pd.concat(
        [
            bar_rows([500.0, 505.0], volume=3, first="2025-06-02 15:20", step="5min"),
            bar_rows([101.0], volume=15, first="2025-06-03 09:15"),
        ]
    )
    split = actions((KEY, "2025-06-03", "split", 5.0))
    found = variant.adjusted(bars_5min(rows), CANDLES_5MIN, split, pd.Timestamp("2025-06-03"))
    assert found["close"].tolist() == [100.0, 101.0, 101.0]
    assert found["volume"].tolist() == [15, 15, 15]


@both
@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([2.0, 5.0, 10.0]), st.integers(2, 110))
def test_a_split_series_has_the_indicators_of_the_series_written_in_new_shares(
    variant: Variant, seed: int, ratio: float, position: int
) -> None:
    generator = np.random.default_rng(seed)
    # Within 25 % of each other: the ratio of a gap is exact, divided prices are not to the last digit.
    new = np.round(generator.uniform(90, 110, 120) * 100) / 100
    volume = generator.integers(1, 10_000, 120)
    is_old = np.arange(120) < position
    traded = daily(np.where(is_old, new * ratio, new), np.where(is_old, volume, volume * ratio))
    by_hand = daily(new, volume * ratio)
    split = actions((KEY, DAYS[position], "split", ratio))
    found = variant.indicators(variant.adjusted(traded, CANDLES_DAILY, split, DAYS[119]), "day")
    expected = variant.indicators(by_hand, "day")
    assert found["ema_50"].notna().sum() == 71
    assert compare(INDICATORS_DAILY, found, expected) > 0


@both
def test_moves_across_a_split_are_those_of_the_series_written_in_new_shares(
    variant: Variant,
) -> None:
    generator = np.random.default_rng(7)
    new = np.round(generator.uniform(80, 120, 300) * 100) / 100
    position, ratio = 290, 10.0
    is_old = np.arange(300) < position
    traded = daily(np.where(is_old, new * ratio, new), np.where(is_old, 100, 1000))
    split = actions((KEY, DAYS[position], "split", ratio))
    # Indicators are stored day by day, each in the prices of its own day.
    stored = pd.concat(
        [
            variant.indicators(traded.head(position), "day"),
            variant.indicators(
                variant.adjusted(traded, CANDLES_DAILY, split, DAYS[299]), "day"
            ).tail(300 - position),
        ],
        ignore_index=True,
    )
    found = variant.moves(
        variant.adjusted(traded, CANDLES_DAILY, split, DAYS[299]),
        variant.adjusted(stored, INDICATORS_DAILY, split, DAYS[299]),
        DAYS[299],
    )
    by_hand = daily(new, 1000)
    expected = variant.moves(by_hand, variant.indicators(by_hand, "day"), DAYS[299])
    # Divided prices are exact only to the last digit.
    np.testing.assert_allclose(found[PRICES], expected[PRICES], rtol=1e-15)
    found = found.assign(**{name: expected[name] for name in PRICES})
    assert compare(MOVES_DAILY, found, expected) > 0


ACTION_ROWS = st.lists(
    st.tuples(
        st.sampled_from([KEY, OTHER, "NSE_EQ|THIRD"]),
        st.integers(0, 39).map(lambda place: DAYS[place]),
        st.sampled_from(ACTION_KINDS),
        st.sampled_from([2.0, 1.5, 4 / 3, 1.1, 10.0, 0.1, 1.0737]),
    ),
    max_size=8,
    unique_by=lambda row: row[:3],
)


@settings(max_examples=60, deadline=None)
@given(ACTION_ROWS, st.integers(0, 39), st.integers(0, 2**32 - 1))
def test_both_variants_give_the_same_bytes_in_any_order_and_without_looking_ahead(
    rows: list, place: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    bars = pd.concat(
        [
            daily(generator.uniform(1, 9999, 40), generator.integers(0, 10**9, 40), key)
            for key in (KEY, OTHER)
        ],
        ignore_index=True,
    )
    as_of = DAYS[place]
    found = V1.adjusted(bars, CANDLES_DAILY, actions(*rows), as_of)
    CANDLES_DAILY.schema.validate(CANDLES_DAILY.conform(found))
    pd.testing.assert_frame_equal(
        V2.adjusted(bars, CANDLES_DAILY, actions(*rows), as_of), found, check_exact=True
    )
    order = generator.permutation(len(bars))
    known = actions(*[row for row in rows if row[1] <= as_of]).sample(frac=1, random_state=1)
    for variant in (V1, V2):
        again = variant.adjusted(bars.iloc[order], CANDLES_DAILY, known, as_of)
        pd.testing.assert_frame_equal(again, found.iloc[order], check_exact=True)
        alone = variant.adjusted(bars[bars["instrument_key"] == KEY], CANDLES_DAILY, known, as_of)
        pd.testing.assert_frame_equal(alone, found[bars["instrument_key"] == KEY], check_exact=True)


MARKET = [
    ("EICHERMOT", "2020-08-24", 10.0),
    ("TATASTEEL", "2022-07-28", 10.0),
    ("IOLCP", "2025-03-11", 5.0),
]


@both
@pytest.mark.parametrize(("symbol", "ex_date", "ratio"), MARKET)
def test_real_splits_vanish_from_the_overnight_ratio(
    variant: Variant, symbol: str, ex_date: str, ratio: float, shared_data: Path
) -> None:
    rows = pd.read_parquet(
        shared_data / "market" / "daily_long.parquet", filters=[("symbol", "=", symbol)]
    )
    bars = bars_daily(rows)
    day = pd.Timestamp(ex_date)
    place = bars.index[bars["trading_day"] == day].item()
    key = bars["instrument_key"].iloc[0]

    def overnight(frame: pd.DataFrame) -> float:
        return frame["open"][place] / frame["close"][place - 1]

    assert abs(overnight(bars) * ratio - 1) < 0.05
    assert overnight(bars) < 0.25
    found = variant.adjusted(bars, CANDLES_DAILY, actions((key, day, "split", ratio)), day)
    assert abs(overnight(found) - 1) < 0.05
    # Turnover, prices times shares, is what a split leaves alone.
    before, after = ((frame["close"] * frame["volume"]).head(place) for frame in (bars, found))
    np.testing.assert_allclose(after, before, rtol=1e-12)
