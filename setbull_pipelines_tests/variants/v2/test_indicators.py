"""V2 indicators: hand-made vectors, TA-Lib on many instruments at once, warm-up, independence of order."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import talib

from setbull_pipelines.settings import IndicatorSettings
from setbull_pipelines.tables import (
    CANDLES_5MIN,
    CANDLES_DAILY,
    INDICATORS_5MIN,
    INDICATORS_DAILY,
)
from setbull_pipelines.tables.indicator_columns import INDICATOR_COLUMNS, PERIODS, Periods
from setbull_pipelines.tables.indicators import VWAP
from setbull_pipelines.tables.look_back import bars_to_first_values, warm_bars
from setbull_pipelines.variants import v2
from setbull_pipelines.variants.protocol import allowing_workers
from setbull_pipelines_tests.variants.v2.frames import STOCK, bars, shuffled

INDEX = np.arange(60)
S60_CLOSE = 100.0 + INDEX * INDEX % 17
LISTED_LATER = "NSE_EQ|INE000B01018"


def intraday(
    close: np.ndarray,
    high: np.ndarray,
    low: np.ndarray,
    volume: np.ndarray,
    per_day: int = 75,
    instrument: str = STOCK,
) -> pd.DataFrame:
    """Five-minute candles from 09:15, ``per_day`` a day from 2025-06-02 on (weekends ignored)."""
    position = np.arange(len(close))
    day = pd.DatetimeIndex(
        np.datetime64("2025-06-02") + position // per_day, dtype="datetime64[us]"
    )
    start = (day + pd.to_timedelta(555 + 5 * (position % per_day), unit="min")).as_unit("us")
    frame = pd.DataFrame(
        {
            "instrument_key": instrument,
            "timestamp": start.tz_localize("Asia/Kolkata"),
            "trading_day": day,
            "open": close,
            "high": high,
            "low": low,
            "close": close,
            "volume": volume,
            "open_interest": pd.array([None] * len(close), dtype="Int64"),
            "minutes_traded": 5,
            "minutes_present": 5,
            "minutes_expected": 5,
            "is_complete": True,
        }
    )
    return CANDLES_5MIN.conform(frame)


def random_walks(instruments: int, count: int) -> pd.DataFrame:
    generator = np.random.default_rng(11)
    frames = []
    for number in range(instruments):
        close = np.round(100 * np.exp(np.cumsum(generator.normal(0, 0.004, count))), 2)
        reach = generator.uniform(0, 0.5, (2, count))
        frames.append(
            intraday(
                close,
                close + reach[0],
                close - reach[1],
                generator.integers(0, 10_000, count),
                instrument=f"NSE_EQ|INE{number:03d}A01010",
            )
        )
    return pd.concat(frames, ignore_index=True)


@pytest.fixture(scope="module")
def s60() -> pd.DataFrame:
    return v2.indicators(
        intraday(S60_CLOSE, S60_CLOSE + 1, S60_CLOSE - 2, 10 + INDEX % 7), "5minute"
    )


@pytest.mark.parametrize(
    ("column", "first", "first_value", "last_value"),
    [
        ("ma_9", 8, 107.555556, 107.555556),
        ("ema_5", 4, 106.0, 110.490441),
        ("ema_9", 8, 107.555556, 109.206244),
        ("ema_20", 19, 107.05, 108.319689),
        ("ema_50", 49, 108.14, 107.885739),
        ("rsi", 14, 55.555556, 53.576955),
        ("atr", 14, 7.357143, 7.125843),
        ("bb_upper", 19, 118.495086, 119.721033),
        ("bb_lower", 19, 95.604914, 96.878967),
        ("bb_width", 19, 22.890173, 22.842066),
        ("bb_width_normalized", 19, 0.21382693, 0.21091474),
        ("bb_width_normalized_percentage", 19, 21.382693, 21.091474),
        ("vwap", 0, 99.666667, 107.709302),
        ("volume_ma_10", 9, 12.4, 12.7),
    ],
)
def test_data_set_a(
    s60: pd.DataFrame, column: str, first: int, first_value: float, last_value: float
) -> None:
    INDICATORS_5MIN.schema.validate(s60)
    assert s60[column].first_valid_index() == first
    assert s60[column].iloc[first:].notna().all()
    # The reference prints 6 decimals, 8 for the ratio.
    tolerance = 5e-9 if column == "bb_width_normalized" else 6e-7
    assert s60[column].iloc[first] == pytest.approx(first_value, abs=tolerance)
    assert s60[column].iloc[-1] == pytest.approx(last_value, abs=tolerance)


def test_moving_averages_of_a_ramp() -> None:
    ramp = v2.indicators(bars(np.arange(10.0, 16)), "day")
    assert ramp["ema_5"].tolist()[4:] == [12, 13]
    nines = v2.indicators(bars(np.arange(1.0, 13)), "day")["ma_9"]
    assert nines.isna().sum() == 8
    assert nines.tolist()[8:] == pytest.approx([5, 6, 7, 8], rel=1e-14)


def test_bollinger_vectors() -> None:
    ramp = v2.indicators(bars(np.arange(1.0, 21)), "day").iloc[-1]
    assert ramp["bb_middle"] == pytest.approx(10.5, rel=1e-14)
    assert ramp["bb_upper"] == pytest.approx(22.032563, abs=6e-7)
    assert ramp["bb_lower"] == pytest.approx(-1.032563, abs=6e-7)
    alternating = v2.indicators(bars(np.tile([500.0, 501.0], 10)), "day").iloc[-1]
    assert alternating["bb_width"] == pytest.approx(2.0, rel=1e-12)
    assert alternating["bb_width_normalized"] == pytest.approx(0.003996004, abs=6e-10)


@pytest.mark.parametrize("price", [0.1, 71.15, 1e5 / 3])
def test_flat_window_has_width_exactly_0(price: float) -> None:
    # A wild start: rounding of earlier windows must not reach the flat one.
    wild = np.random.default_rng(2).uniform(price / 2, price * 1000, 40)
    last = v2.indicators(bars([*wild, *[price] * 20]), "day").iloc[-1]
    assert last["bb_width"] == 0
    assert last["bb_width_normalized"] == 0
    assert last["bb_upper"] == last["bb_middle"] == last["bb_lower"] == last["ma_9"] == price


def test_a_window_forgets_what_has_left_it() -> None:
    """A running sum of squares would keep the rounding of the price that is a billion times larger."""
    close = np.concatenate([[1e11], np.full(40, 100.1)])
    found = v2.indicators(intraday(close, close, close, np.full(41, 10)), "5minute")
    after = found.iloc[20:]
    assert (after["bb_width"] == 0.0).all()
    assert (after["bb_middle"] == 100.1).all()
    assert (found["ma_9"].iloc[9:] == 100.1).all()


def test_kernels_are_compiled_for_one_type_whatever_the_frame() -> None:
    from numba import config

    from setbull_pipelines.variants.v2 import kernels

    if config.DISABLE_JIT:
        pytest.skip("numba was told to compile nothing: make coverage")
    close = S60_CLOSE
    candles = intraday(close, close + 1, close - 1, np.full(60, 10))
    for frame in (candles, shuffled(candles), candles.iloc[::2], candles.copy().iloc[5:]):
        v2.indicators(frame, "5minute")
    assert len(kernels.write_indicators.signatures) == 1


def test_a_column_that_the_kernel_does_not_write_is_refused_with_the_file_to_edit() -> None:
    from setbull_pipelines.variants.v2 import kernels

    names = [column.name for column in (*INDICATOR_COLUMNS, VWAP)]
    backwards = kernels.rows_of(names[::-1])
    assert (backwards.vwap, backwards.ma_9) == (0, len(names) - 1)
    with pytest.raises(ValueError, match=r"does not write \['roc_14'\].*variants/v2/kernels.py"):
        kernels.rows_of([*names, "roc_14"])


def test_rsi_vectors() -> None:
    wilder = "44.34 44.09 44.15 43.61 44.33 44.83 45.10 45.42 45.84 46.08 45.89 46.03 45.61 46.28"
    wilder += " 46.28 46.00 46.03 46.41 46.22 45.64"
    rsi = v2.indicators(bars([float(text) for text in wilder.split()]), "day")["rsi"]
    assert rsi.isna().sum() == 14
    expected = [70.4641, 66.2496, 66.4809, 69.3469, 66.2947, 57.9150]
    assert rsi.tolist()[14:] == pytest.approx(expected, abs=6e-5)

    def last_rsi(close: np.ndarray) -> float:
        return v2.indicators(bars(close), "day")["rsi"].iloc[-1]

    assert last_rsi(np.arange(10.0, 40)) == 100
    assert last_rsi(np.arange(40.0, 10, -1)) == 0
    assert last_rsi(np.full(30, 10.0)) == 100


def test_average_true_range_vector() -> None:
    close = [100.0] * 15 + [106]
    high, low = [101.0] * 15 + [107], [99.0] * 15 + [105]
    atr = v2.indicators(bars(close, high=high, low=low), "day")["atr"]
    assert atr.isna().sum() == 14
    assert atr.tolist()[14:] == pytest.approx([2.0, 2.357143], abs=6e-7)


def test_vwap_restarts_every_day_and_waits_for_volume() -> None:
    close = np.array([100.0, 100, 110, 120])
    high, low = np.array([100.0, 100, 112, 123]), np.array([100.0, 100, 107, 118])
    two_days = intraday(close, high, low, np.array([100, 100, 100, 300]), per_day=2)
    assert v2.indicators(two_days, "5minute")["vwap"].tolist() == pytest.approx(
        [100, 100, 109.666667, 117.666667], abs=6e-7
    )
    quiet = intraday(close, close, close, np.array([0, 0, 10, 0]))
    vwap = v2.indicators(quiet, "5minute")["vwap"]
    assert vwap.isna().tolist() == [True, True, False, False]
    assert vwap.tolist()[2:] == [110, 110]


def test_equals_talib_on_many_instruments_at_once() -> None:
    walks = random_walks(instruments=40, count=400)
    result = v2.indicators(shuffled(walks), "5minute")
    INDICATORS_5MIN.schema.validate(result)
    for key, candles in walks.groupby("instrument_key"):
        own = result[result["instrument_key"] == key]
        close, high, low = (candles[name].to_numpy() for name in ("close", "high", "low"))
        upper, middle, lower = talib.BBANDS(close, 20, 2, 2)
        expected = {
            "ma_9": talib.SMA(close, 9),
            **{f"ema_{period}": talib.EMA(close, period) for period in (5, 9, 20, 50)},
            "rsi": talib.RSI(close, 14),
            "atr": talib.ATR(high, low, close, 14),
            "bb_upper": upper,
            "bb_middle": middle,
            "bb_lower": lower,
            "volume_ma_10": talib.SMA(candles["volume"].to_numpy("float64"), 10),
        }
        for name, values in expected.items():
            np.testing.assert_allclose(own[name].to_numpy(), values, rtol=1e-9, err_msg=name)


def test_instruments_threads_and_later_bars_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    walks = random_walks(instruments=7, count=160)
    together = v2.indicators(walks, "5minute")
    key = walks["instrument_key"].iloc[3 * 160]
    values = [column.name for column in INDICATORS_5MIN.columns if column.name != "is_warm"]
    alone = v2.indicators(walks[walks["instrument_key"] == key], "5minute")
    own = together[together["instrument_key"] == key].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone[values], own[values], check_exact=True)

    cut = walks["timestamp"] < walks["timestamp"].iloc[100]
    earlier = together[cut.to_numpy()].reset_index(drop=True)
    pd.testing.assert_frame_equal(
        v2.indicators(walks[cut], "5minute")[values], earlier[values], check_exact=True
    )

    module = sys.modules["setbull_pipelines.variants.v2.indicators"]
    monkeypatch.setattr(module, "_BARS_PER_THREAD", 100)
    known, used = module.ThreadPoolExecutor, []
    monkeypatch.setattr(
        module, "ThreadPoolExecutor", lambda threads: used.append(threads) or known(threads)
    )
    for count in (5, 1):
        with allowing_workers(count):
            computed = v2.indicators(walks, "5minute")
        pd.testing.assert_frame_equal(computed, together, check_exact=True)
    assert used == [5, 1]


def test_daily_series_are_never_mixed() -> None:
    exchange = bars(np.linspace(100, 130, 30))
    from_minutes = bars(np.linspace(200, 150, 25), series="minutes")
    both = v2.indicators(shuffled(pd.concat([from_minutes, exchange])), "day")
    INDICATORS_DAILY.schema.validate(both)
    assert both["series"].tolist() == ["exchange"] * 30 + ["minutes"] * 25
    assert both["bars_of_history"].tolist() == [*range(1, 31), *range(1, 26)]
    for series, candles in (("exchange", exchange), ("minutes", from_minutes)):
        own = both[both["series"] == series].reset_index(drop=True)
        alone = v2.indicators(candles, "day")
        pd.testing.assert_frame_equal(own, alone, check_exact=True)


SHORT = IndicatorSettings(warm_margin_bars=20)
FIRST, WARM = bars_to_first_values(), warm_bars(SHORT.warm_margin_bars)
NEW_BARS = FIRST + 10
"""Enough to be warm as a new listing, too few as any other series."""


def warm_from(result: pd.DataFrame, key: str) -> int | None:
    """bars_of_history of the first warm row."""
    warm = result[(result["instrument_key"] == key) & result["is_warm"]]
    return None if warm.empty else int(warm["bars_of_history"].min())


def starts(*rows: tuple[str, str, str]) -> pd.DataFrame:
    keys, series, days = zip(*rows, strict=True)
    return pd.DataFrame(
        {
            "instrument_key": pd.Series(keys, dtype="str"),
            "series": pd.Series(series, dtype="str"),
            "first_trading_day": pd.DatetimeIndex(days).as_unit("us"),
        }
    )


def test_new_listing_is_warm_from_the_slowest_period() -> None:
    rising, flat = np.arange(100.0, 100 + WARM + 20), [50.0] * NEW_BARS
    candles = pd.concat([bars(rising), bars(flat, instrument=LISTED_LATER)])
    result = v2.indicators(candles, "day", settings=SHORT)
    assert warm_from(result, STOCK) == WARM
    assert warm_from(result, LISTED_LATER) == FIRST


def test_history_starts_tell_new_listings_from_cut_histories() -> None:
    rising, flat = np.arange(100.0, 100 + NEW_BARS), [50.0] * NEW_BARS
    candles = pd.concat([bars(rising), bars(flat, instrument=LISTED_LATER)])
    first = str(candles["trading_day"].min().date())
    old = (STOCK, "exchange", "2020-01-01")

    def later(day: str, series: str = "exchange") -> int | None:
        known = starts(old, (LISTED_LATER, series, day))
        return warm_from(v2.indicators(candles, "day", known, SHORT), LISTED_LATER)

    assert later(first) == FIRST
    assert later("2024-12-31") is None  # the history of this stock is cut by the look-back
    assert later(first, "minutes") is None  # its exchange series is not named
    assert warm_from(v2.indicators(candles, "day", starts(old), SHORT), LISTED_LATER) is None
    both_first = starts((STOCK, "exchange", first), (LISTED_LATER, "exchange", first))
    assert warm_from(v2.indicators(candles, "day", both_first, SHORT), LISTED_LATER) is None


def test_five_minute_history_starts_are_those_of_the_minutes() -> None:
    candles = random_walks(instruments=2, count=NEW_BARS)
    old, new = candles["instrument_key"].unique()
    known = starts(
        (old, "minutes", "2024-01-01"),
        (new, "minutes", "2025-06-02"),
        (new, "exchange", "2020-01-01"),
    )
    result = v2.indicators(candles, "5minute", known)
    assert warm_from(result, new) == FIRST
    assert warm_from(result, old) is None


def test_periods_are_used() -> None:
    periods = Periods(
        moving_average=3, exponential=tuple(range(2, 2 + len(PERIODS.exponential))), bands=2
    )
    result = v2.indicators(bars([1.0, 2, 6, 7, 8]), "day", periods=periods)
    assert result["ma_9"].tolist()[2:] == pytest.approx([3, 5, 7])
    assert result["ema_5"].first_valid_index() == 1
    assert result["ema_50"].iloc[-1] == pytest.approx(4.8)
    assert result["bb_width"].tolist()[1:] == pytest.approx([2, 8, 2, 2])


def test_nothing_in_nothing_out_and_one_row() -> None:
    pd.testing.assert_frame_equal(
        v2.indicators(CANDLES_5MIN.empty(), "5minute"), INDICATORS_5MIN.empty()
    )
    pd.testing.assert_frame_equal(
        v2.indicators(CANDLES_DAILY.empty(), "day"), INDICATORS_DAILY.empty()
    )
    one = v2.indicators(bars([5.0]), "day")
    assert one["bars_of_history"].tolist() == [1]
    assert one[["ma_9", "ema_5", "rsi", "atr", "bb_width", "volume_ma_10"]].isna().all(axis=None)
    with pytest.raises(ValueError, match="15minute"):
        v2.indicators(bars([5.0]), "15minute")


def test_input_frames_are_not_changed_and_not_shared() -> None:
    candles = bars(np.arange(1.0, 30))
    before = candles.copy(deep=True)
    result = v2.indicators(candles, "day")
    result.loc[:, "trading_day"] = pd.Timestamp("2000-01-01")
    result.loc[:, "instrument_key"] = "changed"
    pd.testing.assert_frame_equal(candles, before)


def test_kernels_compile_where_no_cache_can_be_written() -> None:
    from setbull_pipelines.variants.v2.kernels import compiled

    # numba finds no folder for the machine code of a function without a source file.
    names: dict[str, object] = {}
    exec(compile("def double(value):\n    return 2 * value", "<no file>", "exec"), names)
    assert compiled(names["double"])(21) == 42


@pytest.mark.run
def test_importing_the_variant_does_not_import_numba() -> None:
    program = "import sys, setbull_pipelines.variants.v2; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
