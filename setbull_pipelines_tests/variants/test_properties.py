"""Laws that hold for every input: chunking, no look-ahead, row order, scale, bounds.

Belongs here: properties each variant must have by itself, over generated candles. Does not
belong here: expected values, how far indicators look back, comparisons of V1 with V2.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from setbull_pipelines.settings import PROFILES
from setbull_pipelines.tables import (
    CANDLES_5MIN,
    CANDLES_DAILY,
    COMPUTED_TABLES,
    INDICATORS_5MIN,
    INDICATORS_DAILY,
    Table,
)
from setbull_pipelines.tables.indicators import HISTORY_COLUMNS
from setbull_pipelines.variants.protocol import Timeframe, Variant
from setbull_pipelines_tests.variants.frames import (
    INDIA,
    INDICATORS_OF_BARS,
    NO_HISTORY,
    assert_contract,
    daily_chain,
    random_daily,
    random_minutes,
    shuffled,
    starts_of,
    stored_bytes,
    trading_days,
)

# Fixed examples: the same run every time, and few enough to be quick.
quick = settings(
    derandomize=True,
    deadline=None,
    max_examples=4,
    phases=[Phase.generate],  # a smaller seed is no simpler example
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
seeds = st.integers(0, 2**32 - 1)

TABLES: dict[str, Table] = {table.name: table for table in COMPUTED_TABLES}
# Muhurat Friday, with ordinary days around it: sessions of different length and a weekend.
MINUTE_DAYS = trading_days("2024-10-30", 5)
DAILY_DAYS = trading_days("2024-01-01", 300)
IN_RUPEES = [column.name for column in INDICATORS_OF_BARS if column.unit == "rupees"]
WITHOUT_SCALE = [
    *(column.name for column in INDICATORS_OF_BARS if column.unit != "rupees"),
    *(column.name for column in HISTORY_COLUMNS),
]


def _daily_candles(variant: Variant, seed: int, instruments: int = 4) -> pd.DataFrame:
    """Both series: 300 exchange days, and minutes of the last three of them."""
    days = DAILY_DAYS
    minutes = random_minutes(seed, days[-3:], instruments=2)
    minutes["instrument_key"] = minutes["instrument_key"].str.replace("RANDOM", "DAILY")
    history = random_daily(seed, days, instruments=instruments, volatility=0.03)
    return variant.to_daily(minutes, history)


# --- rows since a day ------------------------------------------------------------------------------


@quick
@given(seed=seeds, asked=st.integers(0, len(MINUTE_DAYS)))
def test_five_minute_rows_since_a_day_have_the_values_they_have_among_all(
    variant: Variant, seed: int, asked: int
) -> None:
    candles = variant.to_5min(random_minutes(seed, MINUTE_DAYS))
    since = pd.Timestamp(MINUTE_DAYS[asked] if asked < len(MINUTE_DAYS) else "2024-12-31")
    _assert_rows_since(variant, candles, "5minute", since)


@quick
@given(seed=seeds, asked=st.integers(0, len(DAILY_DAYS) - 1))
def test_daily_rows_since_a_day_have_the_values_they_have_among_all(
    variant: Variant, seed: int, asked: int
) -> None:
    # Series of different length: one that ends before the day, one that has no bar on it.
    candles = _daily_candles(variant, seed)
    ends = candles["trading_day"] > pd.Timestamp(DAILY_DAYS[250])
    first = candles["instrument_key"] == candles["instrument_key"].iloc[0]
    candles = candles[~(first & ends)].reset_index(drop=True)
    _assert_rows_since(variant, candles, "day", pd.Timestamp(DAILY_DAYS[asked]))


def _assert_rows_since(
    variant: Variant, candles: pd.DataFrame, timeframe: Timeframe, since: pd.Timestamp
) -> None:
    of_series = candles if timeframe == "day" else candles.assign(series="minutes")
    starts = starts_of(of_series)
    needed = ["instrument_key", "timestamp", "trading_day", "high", "low", "close", "volume"]
    if timeframe == "day":
        needed += ["series", "open"]
    found = variant.indicators(shuffled(candles, 1)[needed], timeframe, starts, since=since)
    among_all = variant.indicators(candles, timeframe, starts)
    expected = among_all[among_all["trading_day"] >= since].reset_index(drop=True)
    table = INDICATORS_DAILY if timeframe == "day" else INDICATORS_5MIN
    assert_contract(table, found)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


# --- chunking ---------------------------------------------------------------------------------------


@quick
@given(seed=seeds, cuts=st.sets(st.integers(1, len(MINUTE_DAYS) - 1)))
def test_chunks_of_days_give_the_same_bars(variant: Variant, seed: int, cuts: set[int]) -> None:
    minutes = random_minutes(seed, MINUTE_DAYS)
    edges = [0, *sorted(cuts), len(MINUTE_DAYS)]
    chunks = [
        minutes[minutes["trading_day"].isin(MINUTE_DAYS[first:last])].reset_index(drop=True)
        for first, last in pairwise(edges)
    ]
    five_minutes = pd.concat([variant.to_5min(chunk) for chunk in chunks], ignore_index=True)
    whole = variant.to_5min(minutes)
    assert len(whole) > 900
    pd.testing.assert_frame_equal(CANDLES_5MIN.conform(five_minutes), whole)
    days = pd.concat([variant.to_daily(chunk, NO_HISTORY) for chunk in chunks], ignore_index=True)
    pd.testing.assert_frame_equal(
        CANDLES_DAILY.conform(days), variant.to_daily(minutes, NO_HISTORY)
    )


@quick
@given(seed=seeds)
def test_instruments_do_not_touch_each_other(variant: Variant, seed: int) -> None:
    minutes = random_minutes(seed, MINUTE_DAYS[:3])
    bars = variant.to_5min(minutes)
    indicators = variant.indicators(bars, "5minute")
    for key, alone in minutes.groupby("instrument_key"):
        own_bars = variant.to_5min(alone.reset_index(drop=True))
        pd.testing.assert_frame_equal(
            own_bars, bars[bars["instrument_key"] == key].reset_index(drop=True)
        )
        own = variant.indicators(own_bars, "5minute")
        together = indicators[indicators["instrument_key"] == key].reset_index(drop=True)
        pd.testing.assert_frame_equal(own, together, check_exact=True)


# --- no look-ahead ----------------------------------------------------------------------------------


@quick
@given(seed=seeds, day=st.integers(1, 4), minute=st.integers(0, 375))
def test_later_minutes_change_no_earlier_bar(
    variant: Variant, seed: int, day: int, minute: int
) -> None:
    minutes = random_minutes(seed, MINUTE_DAYS)
    opening = "18:00" if MINUTE_DAYS[day] == pd.Timestamp("2024-11-01") else "09:15"
    as_of = pd.Timestamp(f"{MINUTE_DAYS[day]:%Y-%m-%d} {opening}", tz=INDIA)
    as_of += pd.Timedelta(minutes=minute)
    known = minutes[minutes["timestamp"] < as_of].reset_index(drop=True)
    before = variant.to_5min(known, as_of=as_of)
    after = variant.to_5min(minutes, as_of=as_of)
    assert len(before) > 0
    pd.testing.assert_frame_equal(before, after)

    # A bar that had ended keeps every value once the rest of the data arrives.
    everything = variant.to_5min(minutes)
    later = everything.merge(before[["instrument_key", "timestamp"]])
    pd.testing.assert_frame_equal(CANDLES_5MIN.conform(later), before)

    indicators = variant.indicators(before, "5minute")
    full = variant.indicators(everything, "5minute")
    kept = full.merge(before[["instrument_key", "timestamp"]])
    pd.testing.assert_frame_equal(INDICATORS_5MIN.conform(kept), indicators, check_exact=True)


@quick
@given(seed=seeds, back=st.integers(1, 30), profile=st.sampled_from(sorted(PROFILES)))
def test_later_days_change_nothing_as_of_a_day(
    variant: Variant, seed: int, back: int, profile: str
) -> None:
    candles = _daily_candles(variant, seed)
    as_of = DAILY_DAYS[-1 - back]
    known = candles[candles["trading_day"] <= as_of].reset_index(drop=True)
    assert len(known) < len(candles)
    then = daily_chain(variant, known, as_of, profile=profile)
    now = daily_chain(variant, candles, as_of, profile=profile)
    indicators = now.pop("indicators_daily")
    early = indicators[indicators["trading_day"] <= as_of].reset_index(drop=True)
    pd.testing.assert_frame_equal(early, then.pop("indicators_daily"), check_exact=True)
    assert len(then) == 5
    for name, frame in then.items():
        assert_contract(TABLES[name], frame)
        assert len(frame) > 0 or name == "sequence_patterns"
        pd.testing.assert_frame_equal(frame, now[name], check_exact=True, obj=name)


# --- row order --------------------------------------------------------------------------------------


@quick
@given(seed=seeds)
def test_row_order_changes_no_byte(variant: Variant, seed: int) -> None:
    def stored(order: int | None) -> dict[str, bytes]:
        def given_in(frame: pd.DataFrame) -> pd.DataFrame:
            return frame if order is None else shuffled(frame, order)

        as_of = DAILY_DAYS[-1]
        minutes = given_in(random_minutes(seed, DAILY_DAYS[-3:], instruments=2))
        history = given_in(random_daily(seed, DAILY_DAYS, instruments=4, volatility=0.03))
        given_minutes, given_history = minutes.copy(), history.copy()
        five = variant.to_5min(minutes)
        daily = variant.to_daily(minutes, history)
        pd.testing.assert_frame_equal(minutes, given_minutes)
        pd.testing.assert_frame_equal(history, given_history)

        sequence_settings, filter_settings = PROFILES["production"]
        days = given_in(daily)
        indicators = given_in(variant.indicators(days, "day", given_in(starts_of(daily))))
        moves = given_in(variant.moves(days, indicators, as_of))
        runs = given_in(variant.sequences(moves))
        analysis, patterns = variant.sequence_analysis(moves, runs)
        filters = variant.filters(
            days, indicators, given_in(analysis), as_of, filter_settings, sequence_settings
        )
        bands = variant.indicators(given_in(five), "5minute")
        widths = variant.bb_width(given_in(bands))
        frames = {
            "candles_5min": five,
            "candles_daily": daily,
            "bb_width_daily": widths,
            "bb_width_alerts": variant.bb_width_alerts(
                given_in(bands), given_in(widths[widths["trading_day"] < as_of]), as_of
            ),
            "indicators_5min": bands,
            "indicators_daily": variant.indicators(days, "day", given_in(starts_of(daily))),
            "moves_daily": variant.moves(days, indicators, as_of),
            "sequences": variant.sequences(moves),
            "sequence_analysis": analysis,
            "sequence_patterns": patterns,
            "filter_results": filters,
        }
        return {name: stored_bytes(TABLES[name], frame) for name, frame in frames.items()}

    in_order, in_disorder = stored(None), stored(seed % 1000)
    assert set(in_order) == set(TABLES)
    for name, content in in_order.items():
        assert content == in_disorder[name], name


# --- scale and bounds -------------------------------------------------------------------------------


def _rescaled(frame: pd.DataFrame, factor: float) -> pd.DataFrame:
    prices = ["open", "high", "low", "close"]
    return frame.assign(**{name: frame[name] * factor for name in prices})


@quick
@given(seed=seeds, factor=st.sampled_from([0.25, 8.0, 1.1, 0.01, 83.6]))
def test_prices_in_another_unit(variant: Variant, seed: int, factor: float) -> None:
    bars = variant.to_5min(random_minutes(seed, MINUTE_DAYS[:3], volatility=0.002))
    plain = variant.indicators(bars, "5minute")
    scaled = variant.indicators(_rescaled(bars, factor), "5minute")
    # Powers of two scale floating-point numbers without rounding, so that nothing may differ.
    relative = 0.0 if factor in (0.25, 8.0) else 1e-9
    assert plain["ema_50"].notna().sum() > 300
    for column in IN_RUPEES:
        np.testing.assert_allclose(scaled[column], plain[column] * factor, rtol=relative)
    for column in WITHOUT_SCALE:
        np.testing.assert_allclose(
            scaled[column].astype("float64"), plain[column].astype("float64"), rtol=relative
        )


@quick
@given(
    seed=seeds,
    price=st.sampled_from([0.3, 40.0, 2_000.0, 100_000.0]),
    volatility=st.sampled_from([0.0001, 0.002, 0.02]),
    largest_volume=st.sampled_from([1, 50, 2_000_000]),
)
def test_bounds(
    variant: Variant, seed: int, price: float, volatility: float, largest_volume: int
) -> None:
    minutes = random_minutes(
        seed,
        MINUTE_DAYS[:3],
        price=price,
        volatility=volatility,
        largest_volume=largest_volume,
        flat_minutes=150,
    )
    bars = variant.to_5min(minutes)
    found = variant.indicators(bars, "5minute")
    assert_contract(CANDLES_5MIN, bars)
    assert_contract(INDICATORS_5MIN, found)
    bands = found.dropna(subset=["bb_middle"])
    assert len(bands) > 300
    assert (bands["bb_lower"] <= bands["bb_middle"]).all()
    assert (bands["bb_middle"] <= bands["bb_upper"]).all()
    assert (bands["bb_width"] >= 0).all()
    rsi = found["rsi"].dropna()
    assert len(rsi) > 300
    assert rsi.between(0, 100).all()
    atr = found["atr"].dropna()
    assert len(atr) > 300
    assert (atr >= 0).all()

    sessions = bars.groupby(["instrument_key", "trading_day"])
    slack = 1e-12 * price * 10
    assert found["vwap"].notna().all()
    assert (found["vwap"] >= sessions["low"].cummin() - slack).all()
    assert (found["vwap"] <= sessions["high"].cummax() + slack).all()


@quick
@given(seed=seeds)
def test_volume_is_neither_lost_nor_made(variant: Variant, seed: int) -> None:
    minutes = random_minutes(seed, MINUTE_DAYS)
    per_session = ["instrument_key", "trading_day"]
    traded = minutes[minutes["volume"] > 0].groupby(per_session)
    bars = variant.to_5min(minutes).groupby(per_session)
    daily = variant.to_daily(minutes, NO_HISTORY).set_index(per_session)
    assert len(daily) == 3 * len(MINUTE_DAYS)
    assert bars["volume"].sum().equals(traded["volume"].sum())
    assert bars["minutes_traded"].sum().equals(traded["timestamp"].size())
    assert (daily["volume"] == traded["volume"].sum()).all()
    assert (daily["high"] == bars["high"].max()).all()
    assert (daily["low"] == bars["low"].min()).all()
    assert (daily["open"] == bars["open"].first()).all()
    assert (daily["close"] == bars["close"].last()).all()


@quick
@given(seed=seeds)
def test_counts_add_up(variant: Variant, seed: int) -> None:
    candles = _daily_candles(variant, seed)
    chain = daily_chain(variant, candles, DAILY_DAYS[-1])
    analysis, runs = chain["sequence_analysis"], chain["sequences"]
    assert len(analysis) > 0
    assert (analysis["mamba_days"] + analysis["non_mamba_days"] == analysis["days"]).all()
    assert (
        analysis["days"]
        == analysis["instrument_key"].map(runs.groupby("instrument_key")["length"].sum())
    ).all()
    kinds = runs.groupby("instrument_key")["kind"]
    assert not (runs["kind"] == kinds.shift()).any()
    results = chain["filter_results"]
    assert results["instrument_key"].tolist() == sorted(candles["instrument_key"].unique())
    ended = results["stopped_at"].notna()
    assert (ended == ~results["verdict"].isin(["bullish", "bearish"])).all()
