"""V1 equals V2 within the tolerances of the table contracts, on candles made to pull them apart.

Belongs here: comparisons of the two variants. Does not belong here: expected values (a value both get
wrong passes here; the oracles catch that).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from setbull_pipelines.settings import AggregationSettings, IndicatorSettings
from setbull_pipelines.tables import (
    CANDLES_5MIN,
    CANDLES_DAILY,
    COMPUTED_TABLES,
    INDICATORS_5MIN,
    INDICATORS_DAILY,
    Table,
)
from setbull_pipelines.tables.filters import STAGES, VERDICTS
from setbull_pipelines.tables.indicator_columns import Periods
from setbull_pipelines.variants import V1, V2
from setbull_pipelines.variants.protocol import Timeframe
from setbull_pipelines_tests.variants.frames import (
    INDIA,
    NO_HISTORY,
    assert_contract,
    bar_rows,
    bars_5min,
    bars_daily,
    compare,
    daily_chain,
    minute_candles,
    random_daily,
    random_minutes,
    shuffled,
    starts_of,
    trading_days,
)

TABLES: dict[str, Table] = {table.name: table for table in COMPUTED_TABLES}
WITH_UNTRADED = AggregationSettings(untraded_minutes="include")


def _bars_agree(minutes: pd.DataFrame, settings: AggregationSettings) -> pd.DataFrame:
    """Compare both aggregations; return the five-minute bars."""
    one, other = V1.to_5min(minutes, settings), V2.to_5min(minutes, settings)
    assert_contract(CANDLES_5MIN, one)
    assert compare(CANDLES_5MIN, one, other) == len(one) * len(CANDLES_5MIN.columns)
    one_day, other_day = (variant.to_daily(minutes, NO_HISTORY, settings) for variant in (V1, V2))
    assert compare(CANDLES_DAILY, one_day, other_day) > 0
    return one


def _indicators_agree(
    candles: pd.DataFrame, timeframe: Timeframe, starts: pd.DataFrame | None = None
) -> int:
    table = INDICATORS_DAILY if timeframe == "day" else INDICATORS_5MIN
    one, other = (variant.indicators(candles, timeframe, starts) for variant in (V1, V2))
    assert_contract(table, one)
    cells = compare(table, one, other)
    assert cells == len(candles) * len(table.columns) > 0
    return cells


def _chains_agree(
    candles: pd.DataFrame,
    as_of: pd.Timestamp,
    profile: str = "production",
    indicators: pd.DataFrame | None = None,
) -> dict[str, pd.DataFrame]:
    """Compare all tables computed from daily candles, each variant on its own results; return V1's."""
    one, other = (
        daily_chain(variant, candles, as_of, profile=profile, indicators=indicators)
        for variant in (V1, V2)
    )
    for name, frame in one.items():
        assert_contract(TABLES[name], frame)
        assert compare(TABLES[name], frame, other[name]) == frame.size
    assert len(one["filter_results"]) > 0
    return one


# --- the comparison itself --------------------------------------------------------------------------


def test_the_comparison_sees_every_kind_of_difference() -> None:
    candles = bars_5min(bar_rows(np.linspace(100, 120, 60)))
    frame = V1.indicators(candles, "5minute")
    assert compare(INDICATORS_5MIN, frame, frame.copy()) == 60 * len(INDICATORS_5MIN.columns)
    close_enough = frame.assign(ema_5=frame["ema_5"] * (1 + 5e-10))
    assert compare(INDICATORS_5MIN, frame, close_enough) > 0
    different = {
        "value": frame.assign(ema_5=frame["ema_5"] * (1 + 2e-9)),
        "null": frame.assign(ema_5=frame["ema_5"].mask(frame.index == 30)),
        "infinite": frame.assign(ema_5=frame["ema_5"].mask(frame.index == 30, np.inf)),
        "flag": frame.assign(is_warm=frame.index == 30),
        "count": frame.assign(bars_of_history=frame["bars_of_history"] + 1),
        "rows": frame.iloc[1:],
        "order": frame.iloc[::-1],
        "columns": frame.drop(columns="ema_5"),
        "dtype": frame.assign(bars_of_history=frame["bars_of_history"].astype("float64")),
    }
    for kind, other in different.items():
        try:
            compare(INDICATORS_5MIN, frame, other)
        except AssertionError:
            continue
        pytest.fail(f"a difference in {kind} was not seen")


# --- minutes ----------------------------------------------------------------------------------------

# Muhurat 2024-11-01, the drill in two intervals 2024-05-18, ordinary days before and after.
UNUSUAL_DAYS = [*trading_days("2024-05-17", 2), *trading_days("2024-10-31", 3)]

WALKS = {
    "ordinary": {},
    "gaps": {"missing_share": 0.6, "untraded_share": 0.3},
    "sparse": {"missing_share": 0.97, "untraded_share": 0.5},
    "flat runs": {"flat_minutes": 700, "volatility": 0.0003},
    "penny": {"price": 0.05, "volatility": 0.02},
    "penny moving": {"price": 1.2, "volatility": 0.01},
    "a million": {"price": 1e6, "volatility": 0.001},
    "a million, quiet": {"price": 1e6, "volatility": 2e-8, "flat_minutes": 400},
    "tiny volumes": {"largest_volume": 1, "untraded_share": 0.4},
    "huge volumes": {"largest_volume": 2**40},
    "tick of 0.01": {"price": 140.6, "tick": 0.01, "volatility": 0.0001},
}


@pytest.mark.parametrize("walk", WALKS)
@pytest.mark.parametrize("untraded", ["exclude", "include"])
def test_random_minutes(walk: str, untraded: str) -> None:
    seed = sorted(WALKS).index(walk)
    settings = AggregationSettings(untraded_minutes=untraded)  # type: ignore[arg-type]
    minutes = shuffled(random_minutes(seed, UNUSUAL_DAYS, instruments=2, **WALKS[walk]), seed)
    bars = _bars_agree(minutes, settings)
    assert _indicators_agree(bars, "5minute") > 0


@pytest.mark.parametrize("bar_minutes", [1, 3, 7, 15, 60, 500])
def test_other_bar_lengths_and_moments(bar_minutes: int) -> None:
    minutes = random_minutes(bar_minutes, UNUSUAL_DAYS, instruments=2, missing_share=0.3)
    settings = AggregationSettings(bar_minutes=bar_minutes)
    bars = _bars_agree(minutes, settings)
    for moment in ("2024-05-18 09:59", "2024-05-18 10:00", "2024-11-01 18:31", "2024-11-04 15:30"):
        as_of = pd.Timestamp(moment, tz=INDIA)
        one, other = (variant.to_5min(minutes, settings, as_of) for variant in (V1, V2))
        assert compare(CANDLES_5MIN, one, other) == one.size
        assert 0 < len(one) <= len(bars)


def test_every_unusual_session_of_the_calendar() -> None:
    days = [
        pd.Timestamp(day)
        for day in ("2019-10-27", "2021-02-24", "2024-03-02", "2025-02-01", "2025-10-21")
    ]
    bars = _bars_agree(random_minutes(11, days, missing_share=0.2), AggregationSettings())
    assert set(bars["trading_day"]) == set(days)


def test_real_minutes(shared_data: Path) -> None:
    rows = pd.read_parquet(shared_data / "candles_1min.parquet")
    for settings in (AggregationSettings(), WITH_UNTRADED):
        bars = _bars_agree(minute_candles(rows), settings)
        assert len(bars) == 600
        assert _indicators_agree(bars, "5minute") == 600 * len(INDICATORS_5MIN.columns)
    assert _indicators_agree(bars_5min(rows), "5minute") == 3000 * len(INDICATORS_5MIN.columns)


def test_real_minutes_of_2016(shared_data: Path) -> None:
    path = shared_data / "market" / "minute_2016-08-16_2016-09-09.parquet"
    symbols = ["PCJEWELLER", "MCLEODRUSS", "TV18BRDCST", "RELIANCE", "SBIN", "NIFTY50"]
    rows = pd.read_parquet(path, filters=[("symbol", "in", symbols)])
    # The index too, although nobody trades it: as intake has it, without a volume.
    is_index = rows["symbol"] == "NIFTY50"
    assert (rows.loc[is_index, "volume"] == 0).all()
    rows["volume"] = rows["volume"].astype("Int64").mask(is_index)
    bars = _bars_agree(minute_candles(rows.drop(columns="symbol")), AggregationSettings())
    assert bars["instrument_key"].nunique() == len(symbols)
    assert len(bars) > 5 * 18 * 60
    assert bars["volume"].isna().sum() == is_index.sum() / 5 == 18 * 75
    assert _indicators_agree(bars, "5minute") > 0


# --- daily candles ----------------------------------------------------------------------------------

DAYS = trading_days("2024-01-01", 310)
DAILY_WALKS = {
    "ordinary": {},
    "wild": {"volatility": 0.04},
    "wilder": {"volatility": 0.06, "price": 90.0},
    "gaps": {"missing_share": 0.25},
    "flat end": {"flat_days": 70},
    "flat always": {"flat_days": 310, "missing_share": 0.0},
    "penny": {"price": 0.05, "volatility": 0.05},
    "a million": {"price": 1e6},
    "volumes of one": {"largest_volume": 1},
    "huge volumes": {"largest_volume": 2**50},
}


@pytest.mark.parametrize("walk", DAILY_WALKS)
def test_random_daily_candles(walk: str) -> None:
    seed = sorted(DAILY_WALKS).index(walk)
    history = random_daily(seed, DAYS, **DAILY_WALKS[walk])
    minutes = random_minutes(seed, DAYS[-2:], instruments=2)
    minutes["instrument_key"] = minutes["instrument_key"].str.replace("RANDOM", "DAILY")
    one, other = (variant.to_daily(minutes, history) for variant in (V1, V2))
    assert compare(CANDLES_DAILY, one, other) == one.size
    shuffled_candles = shuffled(one, seed)
    _chains_agree(shuffled_candles, DAYS[-1])
    _chains_agree(shuffled_candles, DAYS[-30], "strict")


def test_all_verdicts_and_stages_are_reached() -> None:
    """The agreement above would be worth little if no random stock got past the first stage."""
    verdicts, stages, runs = set(), set(), 0
    candles = bars_daily(random_daily(100, DAYS[-260:], instruments=60, volatility=0.022))
    for as_of in (DAYS[-1], DAYS[-2]):
        chain = _chains_agree(shuffled(candles, 1), as_of)
        verdicts |= set(chain["filter_results"]["verdict"])
        stages |= set(chain["filter_results"]["stopped_at"].dropna())
        runs += int((chain["sequences"]["kind"] == "MAMBA").sum())
    assert verdicts == set(VERDICTS)
    assert stages == set(STAGES)
    assert runs > 100


@pytest.mark.parametrize("price", [0.1, 1.15, 70.7, 123.45, 999.95, 4321.05, 99_999.95])
def test_a_constant_price_lies_on_its_own_ema(price: float) -> None:
    """As LIQUIDBEES does: a close equal to every close before counts as above, in both variants."""
    rows = bar_rows([price] * 300, first="2024-01-01", step="1D", volume=500_000)
    chain = _chains_agree(bars_daily(rows), pd.Timestamp("2024-10-26"))
    assert chain["moves_daily"]["is_above_ema"].all()
    assert (chain["moves_daily"]["trend"] == "BULLISH").all()
    assert chain["filter_results"]["stopped_at"].tolist() in (["ema"], ["basic"])


def test_moves_of_exactly_the_threshold() -> None:
    """Rises of 5 % and falls of 3 % to the tick are at the limit in both, not above it."""
    ticks = np.arange(100, 20_000, 97)
    rising = pd.DataFrame({"open": ticks * 20 * 0.05, "close": ticks * 21 * 0.05}).round(2)
    falling = pd.DataFrame({"open": ticks * 103 * 0.01, "close": ticks * 100 * 0.01}).round(2)
    stocks = []
    for name, days in (("RISING", rising), ("FALLING", falling)):
        for first in range(0, len(days) - 20, 21):
            block = days.iloc[first : first + 21]
            rows = bar_rows(
                block["close"],
                high=block.max(axis=1),
                low=block.min(axis=1),
                first="2025-06-10",
                step="1D",
                volume=np.arange(1000, 1021),
                key=f"NSE_EQ|{name}{first}",
            )
            stocks.append(rows.assign(open=block["open"].to_numpy()))
    candles = bars_daily(pd.concat(stocks, ignore_index=True))
    rises = candles["instrument_key"].str.contains("RISING")
    ema = rises.map({True: 0.01, False: 1e6})
    indicators = V1.indicators(candles, "day").assign(ema_50=ema, is_warm=True)
    one, other = (
        variant.moves(candles, indicators, pd.Timestamp("2025-06-30")) for variant in (V1, V2)
    )
    assert (one["trend"] == rises.map({True: "BULLISH", False: "BEARISH"})).all()
    assert compare(TABLES["moves_daily"], one, other) == one.size
    assert not one["is_mamba"].any()


def test_a_fall_that_never_ends() -> None:
    """RSI and ATR fade by 13/14 a bar: the last values are tiny differences of large numbers."""
    close = np.concatenate([[1000.0, 1040.0], 1039.95 - 0.05 * np.arange(600)]).round(2)
    assert _indicators_agree(bars_5min(bar_rows(close)), "5minute") > 0
    silent = np.concatenate([np.linspace(100, 120, 30), np.full(600, 119.95)]).round(2)
    assert _indicators_agree(bars_5min(bar_rows(silent)), "5minute") > 0


@pytest.mark.parametrize("price", [1_000.0, 150_000.0, 1e6])
def test_bands_one_tick_wide(price: float) -> None:
    """One tick in twenty bars: the bands differ in the last digits of the price."""
    close = np.full(200, price)
    close[30::37] += 0.05
    assert _indicators_agree(bars_5min(bar_rows(close)), "5minute") > 0


def test_both_series_new_listings_and_named_starts() -> None:
    history = random_daily(5, DAYS, instruments=4, missing_share=0.25)
    minutes_series = random_daily(6, DAYS[-280:], instruments=4, missing_share=0.05)
    candles = pd.concat(
        [
            bars_daily(history),
            bars_daily(minutes_series, "minutes"),
        ],
        ignore_index=True,
    )
    starts = starts_of(candles)
    partial = starts.iloc[::3].reset_index(drop=True)
    window = candles[candles["trading_day"] >= DAYS[60]].reset_index(drop=True)
    for history_starts in (None, starts, partial, starts.iloc[:0]):
        assert _indicators_agree(window, "day", history_starts) > 0
    used = set()
    for as_of in (DAYS[-1], DAYS[-2], DAYS[120], DAYS[8]):
        used |= set(_chains_agree(candles, as_of)["moves_daily"]["series"])
    assert used == {"exchange", "minutes"}


def test_a_cold_minutes_bar_and_no_exchange_bar() -> None:
    """A series without a bar on the day is never chosen, however cold the other one is."""
    exchange = bars_daily(bar_rows([100.0] * 30, first="2025-05-01", step="1D"))
    minutes = bars_daily(bar_rows([100.0] * 31, first="2025-05-01", step="1D"), "minutes")
    candles = pd.concat([exchange, minutes], ignore_index=True)
    chain = _chains_agree(candles, pd.Timestamp("2025-05-31"))
    assert set(chain["moves_daily"]["series"]) == {"minutes"}
    assert chain["filter_results"]["series"].tolist() == ["minutes"]


def test_other_periods() -> None:
    periods = Periods(
        moving_average=3,
        exponential=(2, 7, 30, 100),
        rsi=5,
        atr=21,
        bands=10,
        band_deviations=2.5,
        volume_average=30,
    )
    settings = IndicatorSettings(warm_margin_bars=0)
    candles = bars_daily(random_daily(9, DAYS))
    one, other = (
        variant.indicators(candles, "day", settings=settings, periods=periods)
        for variant in (V1, V2)
    )
    assert compare(INDICATORS_DAILY, one, other) == one.size > 0
    assert one["is_warm"].sum() > 1000


def test_a_single_bar_and_none() -> None:
    for count in (0, 1, 2, 21):
        candles = bars_daily(bar_rows([100.0] * count, first="2025-06-02", step="1D"))
        one, other = (
            daily_chain(variant, candles, pd.Timestamp("2025-06-02")) for variant in (V1, V2)
        )
        for name, frame in one.items():
            assert compare(TABLES[name], frame, other[name]) == frame.size
        assert len(one["filter_results"]) == min(count, 1)
        if count == 0:
            for name, frame in one.items():
                pd.testing.assert_frame_equal(frame, TABLES[name].empty())


def test_real_daily_candles(shared_data: Path) -> None:
    path = shared_data / "market" / "daily_long.parquet"
    names = pd.read_parquet(path, columns=["instrument_key"])["instrument_key"]
    chosen = sorted(names.unique())[::20]
    rows = pd.read_parquet(path, filters=[("instrument_key", "in", chosen)])
    candles = bars_daily(rows.drop(columns="symbol"))
    assert candles["instrument_key"].nunique() == 11
    assert _indicators_agree(candles, "day", starts_of(candles)) > 200_000
    indicators = V1.indicators(candles, "day", starts_of(candles))
    moves = 0
    for as_of in ("2021-02-24", "2024-06-04", "2026-08-21"):
        chain = _chains_agree(candles, pd.Timestamp(as_of), indicators=indicators)
        moves += len(chain["moves_daily"])
    assert moves > 3 * 5 * 21
