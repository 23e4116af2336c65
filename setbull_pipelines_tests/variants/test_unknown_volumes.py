"""Volumes that nobody knows, as of an index: nothing is made of them, in both variants.

Belongs here: null volumes in bars of any length, and what follows from them. Does not belong here: which rows have no
volume (``sources/``), bars with volume 0.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from setbull_pipelines.settings import AggregationSettings
from setbull_pipelines.tables import CANDLES_5MIN, CANDLES_DAILY, COMPUTED_TABLES, INDICATORS_5MIN
from setbull_pipelines.variants import V1, V2
from setbull_pipelines.variants.protocol import Variant
from setbull_pipelines_tests.variants.frames import (
    assert_contract,
    bar_rows,
    bars_5min,
    bars_daily,
    compare,
    daily_chain,
    random_daily,
    random_minutes,
    shuffled,
    trading_days,
)

TABLES = {table.name: table for table in COMPUTED_TABLES}
MINUTE_DAYS = trading_days("2024-10-31", 3)
DAYS = trading_days("2024-01-01", 300)
INDEX = "NSE_INDEX|Nifty 50"
NO_ACTIONS = pd.DataFrame(
    {
        "instrument_key": pd.Series([], dtype="str"),
        "ex_date": pd.Series([], dtype="datetime64[us]"),
        "kind": pd.Series([], dtype="str"),
        "ratio": pd.Series([], dtype="float64"),
    }
)
quick = settings(
    deadline=None,
    max_examples=8,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
seeds = st.integers(0, 10_000)
shares = st.sampled_from([0.002, 0.05, 1.0])


@pytest.fixture(params=[V1, V2], ids=["V1", "V2"])
def variant(request: pytest.FixtureRequest) -> Variant:
    return request.param


def without_volumes(frame: pd.DataFrame, keys: dict[str, str], share: float, seed: int):
    """The rows with some instruments under other keys, a share of whose volumes is not known."""
    chosen = frame["instrument_key"].isin(list(keys))
    unknown = chosen & (np.random.default_rng(seed).random(len(frame)) < share)
    return frame.assign(
        instrument_key=frame["instrument_key"].replace(keys),
        volume=frame["volume"].mask(unknown),
    )


@quick
@given(seed=seeds, share=shares)
def test_bars_and_indicators_of_minutes_agree(seed: int, share: float) -> None:
    minutes = random_minutes(seed, MINUTE_DAYS, instruments=3)
    minutes = without_volumes(minutes, {"NSE_EQ|RANDOM01": INDEX}, share, seed)
    bars = [variant.to_5min(shuffled(minutes, seed)) for variant in (V1, V2)]
    assert compare(CANDLES_5MIN, *bars) == bars[0].size
    none = minutes.iloc[:0].drop(columns="session_shape")
    days = [variant.to_daily(minutes, none) for variant in (V1, V2)]
    assert compare(CANDLES_DAILY, *days) == days[0].size
    found = [variant.indicators(bars[0], "5minute") for variant in (V1, V2)]
    assert compare(INDICATORS_5MIN, *found) == found[0].size
    one_bar = [variant.to_5min(minutes, AggregationSettings(bar_minutes=1)) for variant in (V1, V2)]
    assert compare(CANDLES_5MIN, *one_bar) == one_bar[0].size
    of_index = one_bar[0][one_bar[0]["instrument_key"] == INDEX]
    source = minutes[minutes["instrument_key"] == INDEX].sort_values("timestamp")
    assert of_index["volume"].tolist() == source["volume"].tolist()


@quick
@given(seed=seeds, share=shares)
def test_all_that_follows_from_days_agrees(seed: int, share: float) -> None:
    history = random_daily(seed, DAYS, instruments=5, missing_share=0.0)
    candles = without_volumes(bars_daily(history), {"NSE_EQ|DAILY01": INDEX}, share, seed)
    chains = [daily_chain(variant, shuffled(candles, seed), DAYS[-1]) for variant in (V1, V2)]
    for name, frame in chains[0].items():
        assert_contract(TABLES[name], frame)
        assert compare(TABLES[name], frame, chains[1][name]) == frame.size


@quick
@given(seed=seeds, share=shares)
def test_volumes_of_an_index_change_nothing_of_others(seed: int, share: float) -> None:
    minutes = random_minutes(seed, MINUTE_DAYS, instruments=2)
    known = without_volumes(minutes, {"NSE_EQ|RANDOM01": INDEX}, 0.0, seed)
    unknown = without_volumes(minutes, {"NSE_EQ|RANDOM01": INDEX}, share, seed)
    for variant in (V1, V2):
        with_them, without = (variant.to_5min(frame) for frame in (known, unknown))
        prices = [name for name in with_them if name not in ("volume", "minutes_traded")]
        pd.testing.assert_frame_equal(with_them[prices], without[prices])
        values = [variant.indicators(bars, "5minute") for bars in (with_them, without)]
        of_share = [
            frame[frame["instrument_key"] != INDEX].reset_index(drop=True) for frame in values
        ]
        pd.testing.assert_frame_equal(*of_share)
        rest = [frame.drop(columns=["volume_ma_10", "vwap"]) for frame in values]
        pd.testing.assert_frame_equal(*rest)


def test_averages_are_null_as_long_as_an_unknown_volume_is_in_them(variant: Variant) -> None:
    rows = bar_rows([100.0] * 60, step="15min", key=INDEX)
    bars = bars_5min(rows.assign(volume=rows["volume"].astype("Int64").mask(rows.index == 20)))
    found = variant.indicators(bars, "5minute")
    assert found.index[found["volume_ma_10"].isna()].tolist() == [*range(9), *range(20, 30)]
    # Of the day of the unknown volume, VWAP is null from it on.
    of_day = found.index[found["trading_day"] == found["trading_day"].iloc[20]]
    assert found.index[found["vwap"].isna()].tolist() == [place for place in of_day if place >= 20]
    assert 0 < len(of_day) < 60
    wanted = variant.indicators(bars, "5minute", since=found["trading_day"].iloc[-1])
    expected = found[found["trading_day"] == found["trading_day"].iloc[-1]]
    pd.testing.assert_frame_equal(wanted, expected.reset_index(drop=True))


def test_an_index_is_never_screened_for_want_of_a_volume(variant: Variant) -> None:
    rows = bar_rows([100.0] * 300, first="2024-01-01", step="1D", key=INDEX)
    candles = bars_daily(rows.assign(volume=pd.array([pd.NA] * 300, dtype="Int64")))
    chain = daily_chain(variant, candles, candles["trading_day"].iloc[-1])
    result = chain["filter_results"].iloc[0]
    assert (result["verdict"], result["stopped_at"]) == ("not enough data", "basic")
    assert result["reason"] == "average_volume is not known"
    assert result[["basic_passed", "average_volume"]].isna().all()
    assert chain["moves_daily"]["volume"].isna().all()
    assert (chain["moves_daily"]["strength"] == 0).all()
    assert chain["sequences"]["total_volume"].isna().all()
    analysis = chain["sequence_analysis"]
    volumes = [name for name in analysis if name.startswith("volume_")]
    assert len(volumes) == 5
    assert analysis[volumes].isna().all(axis=None)


def test_a_split_scales_the_volumes_that_are_known(variant: Variant) -> None:
    volumes = pd.array([10, None, 30], dtype="Int64")
    rows = bar_rows([100.0, 101.0, 102.0], first="2025-06-10", step="1D")
    candles = bars_daily(rows.assign(volume=volumes))
    action = {
        "instrument_key": "NSE_EQ|TEST",
        "ex_date": pd.Timestamp("2025-06-12"),
        "kind": "split",
        "ratio": 2.5,
    }
    actions = pd.DataFrame([action]).astype(NO_ACTIONS.dtypes.to_dict())
    adjusted = variant.adjusted(candles, CANDLES_DAILY, actions, pd.Timestamp("2025-06-12"))
    assert adjusted["volume"].tolist() == [25, pd.NA, 30]
    assert adjusted["close"].tolist() == [40.0, 40.4, 102.0]
    assert_contract(CANDLES_DAILY, adjusted)
    assert candles["volume"].tolist() == [10, pd.NA, 30]
