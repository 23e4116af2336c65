"""V1 of moves and of runs of days, against hand-made vectors."""

from __future__ import annotations

from math import nan

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from setbull_pipelines.settings import SequenceSettings
from setbull_pipelines.tables.candles import CANDLES_DAILY
from setbull_pipelines.tables.indicators import INDICATORS_DAILY
from setbull_pipelines.tables.moves import MOVES_DAILY
from setbull_pipelines.tables.sequence_analysis import SEQUENCE_ANALYSIS
from setbull_pipelines.tables.sequences import SEQUENCE_PATTERNS, SEQUENCES
from setbull_pipelines.variants import v1
from setbull_pipelines.variants.v1.daily_series import DailyBar, day_of
from setbull_pipelines.variants.v1.sequences import move_percent_of, strength_of
from setbull_pipelines_tests.variants.v1.daily_frames import (
    AS_OF,
    DAYS,
    candles,
    indicators_of,
    moves_from,
)


def bar(open_price: float, close: float) -> DailyBar:
    return DailyBar(
        "exchange", AS_OF, open_price, 0, 0, close, 1, *[1.0] * 5, 50.0, 300, True, nan, pd.NaT
    )


@pytest.mark.parametrize(
    ("open_price", "close", "percent"),
    [(100, 105, 5.0), (100, 97.08, 3.0078), (100, 97.09, 2.9972), (100, 100, 0.0)],
)
def test_move_percent(open_price: float, close: float, percent: float) -> None:
    assert move_percent_of(bar(open_price, close)) == pytest.approx(percent, abs=5e-5)


def test_a_rise_of_exactly_5_percent_is_not_above_5() -> None:
    assert move_percent_of(bar(100, 105)) == 5.0


@pytest.mark.parametrize(
    ("move_percent", "volume", "mean_volume", "strength"),
    [
        (6, 150, 100, 0.57),
        (25, 500, 100, 1.0),
        (0, 0, 100, -0.3),  # not clamped below
        (6, 0, 0, 0.42),  # no volume at all: the volume term is 0
    ],
)
def test_strength(move_percent, volume, mean_volume, strength) -> None:
    assert strength_of(move_percent, volume, mean_volume, 0.3) == pytest.approx(strength)


def moves_of(prices, **changes) -> pd.DataFrame:
    bars = candles(prices, **changes)
    return v1.moves(bars, indicators_of(bars, ema_50=100.0), AS_OF)


@pytest.mark.parametrize(
    ("below", "trend"),
    [(13, "BEARISH"), (12, "NEUTRAL"), (9, "NEUTRAL"), (8, "BULLISH"), (0, "BULLISH")],
)
def test_trend_of_21_days(below: int, trend: str) -> None:
    """A close on EMA 50 counts as above; 13 of 21 is 61.9 %, 12 of 21 is 57.1 %."""
    moves = moves_of([(99, 99)] * below + [(100, 100)] * (21 - below))
    assert set(moves["trend"]) == {trend}
    assert moves["is_above_ema"].sum() == 21 - below


def test_the_share_of_a_trend_is_reached_by_equality() -> None:
    bars = candles([(99, 99)] * 12 + [(101, 101)] * 8)
    moves = v1.moves(bars, indicators_of(bars), AS_OF, SequenceSettings(look_back_days=20))
    assert set(moves["trend"]) == {"BEARISH"}


def test_a_trend_needs_all_days_with_ema_50() -> None:
    few = moves_of([(110, 110)] * 20)
    assert (len(few), set(few["trend"])) == (20, {"NEUTRAL"})
    bars = candles([(110, 110)] * 21)
    without_one = indicators_of(bars, ema_50=[np.nan, *[100.0] * 20])
    moves = v1.moves(bars, without_one, AS_OF)
    MOVES_DAILY.schema.validate(moves)
    assert set(moves["trend"]) == {"NEUTRAL"}
    assert moves["is_above_ema"].isna().tolist() == [True] + [False] * 20
    analysis, _ = v1.sequence_analysis(moves, v1.sequences(moves))
    row = analysis.iloc[0]
    assert row["trend_reason"] == "insufficient_history"
    assert pd.isna(row["trend_percent"])
    assert (row["days_above_ema"], row["days_below_ema"], row["days"]) == (20, 0, 21)


def test_mamba_days_follow_the_trend() -> None:
    rise, rise_of_5, fall, small_fall = (100, 106), (100, 105), (110, 106), (100, 97.2)
    bullish = moves_of([(110, 110)] * 17 + [rise, rise_of_5, fall, (110, 110)])
    assert bullish["is_mamba"].tolist() == [False] * 17 + [True, False, False, False]
    assert bullish["mamba_strength"].notna().tolist() == bullish["is_mamba"].tolist()
    assert bullish["mamba_strength"][17] == pytest.approx(0.42)
    falls = [(100, 90), rise, small_fall, (99, 99)]
    bearish = moves_of([(90, 90)] * 17 + falls)
    assert not moves_of([(90, 90)] * 20 + [(103, 100)])["is_mamba"].any()  # exactly 3 %
    assert bearish["is_mamba"].tolist() == [False] * 17 + [True, False, False, False]
    neutral = moves_of([(90, 90), (110, 110)] * 9 + [rise, (100, 90), (110, 110)])
    assert not neutral["is_mamba"].any()


def test_a_weak_move_is_no_mamba_day() -> None:
    """6 % up, but hardly traded: 0.6 x 0.7 - 0.3 = 0.12 falls below a threshold of 0.13."""
    prices = [(110, 110)] * 20 + [(100, 106)]
    bars = candles(prices, volume=[1_000_000] * 20 + [1])
    inputs = (bars, indicators_of(bars, ema_50=100.0), AS_OF)
    assert v1.moves(*inputs)["is_mamba"].iloc[-1]
    strict = SequenceSettings(strength_threshold=0.13)
    assert not v1.moves(*inputs, strict)["is_mamba"].iloc[-1]


def test_strength_reaches_its_threshold_by_equality() -> None:
    bars = candles([(110, 110)] * 20 + [(100, 110)])
    full_strength = SequenceSettings(volume_weight=0.0, strength_threshold=1.0)
    assert v1.moves(bars, indicators_of(bars), AS_OF, full_strength)["is_mamba"].iloc[-1]


def test_only_the_last_days_up_to_the_as_of_day_count() -> None:
    bars = candles([(100.0 + i, 101.0 + i) for i in range(30)])
    as_of = DAYS[-5]
    shuffled = bars.sample(frac=1, random_state=2)
    moves = v1.moves(shuffled, indicators_of(bars), as_of.tz_localize("Asia/Kolkata"))
    expected = [day for day in DAYS[-30:] if day <= as_of][-21:]
    assert moves["move_day"].tolist() == expected
    assert set(moves["trading_day"]) == {as_of}


@pytest.mark.parametrize(
    ("exchange", "minutes", "chosen"),
    [
        ("warm", "warm", "exchange"),
        ("warm", "cold", "exchange"),
        ("cold", "warm", "minutes"),
        ("cold", "cold", "exchange"),
        ("cold", "absent", "exchange"),
        ("absent", "warm", "minutes"),
        ("absent", "cold", "minutes"),
        ("absent", "absent", None),
        ("cold", "warm today", "minutes"),
        ("warm today", "warm", "exchange"),
        ("cold", "warm until yesterday", "exchange"),
        ("warm until yesterday", "warm", "minutes"),
    ],
)
def test_choice_of_the_daily_series(exchange: str, minutes: str, chosen: str | None) -> None:
    frames, values = [], []
    for series, state in (("exchange", exchange), ("minutes", minutes)):
        bars = candles([(100, 101)] * 25, series=series)
        if state == "absent":
            bars = bars[bars["trading_day"] < AS_OF]
        frames.append(bars)
        is_warm = np.full(len(bars), state in ("warm", "warm until yesterday", "absent"))
        is_warm[-1] = state in ("warm", "warm today", "absent")
        values.append(indicators_of(bars).assign(is_warm=is_warm))
    moves = v1.moves(pd.concat(frames), pd.concat(values), AS_OF)
    assert set(moves["series"]) == ({chosen} if chosen else set())


def test_a_bar_without_a_row_of_indicators_is_not_warm() -> None:
    exchange, minutes = candles([(100, 101)] * 3), candles([(100, 102)] * 3, series="minutes")
    moves = v1.moves(pd.concat([exchange, minutes]), indicators_of(minutes), AS_OF)
    assert set(moves["series"]) == {"minutes"}
    alone = v1.moves(exchange, INDICATORS_DAILY.empty(), AS_OF)
    assert set(alone["series"]) == {"exchange"}
    assert alone["ema_50"].isna().all()


def test_runs_of_equal_days() -> None:
    """The last six sessions to Monday 2025-06-30: Monday to Friday, Monday."""
    runs = v1.sequences(moves_from([True, True, False, False, False, True], [1, 2, 3, 4, 5, 6]))
    SEQUENCES.schema.validate(runs)
    assert runs["kind"].tolist() == ["MAMBA", "NON_MAMBA", "MAMBA"]
    assert runs["length"].tolist() == [2, 3, 1]
    assert runs["strength"].tolist() == pytest.approx([0.3, 0.0, 1.2])
    assert runs["return_percent"].tolist() == pytest.approx([2.0, 5.0, 6.0])
    assert runs["total_volume"].tolist() == [3, 12, 6]
    assert runs["gap_days_to_next"].tolist() == [1, 3, pd.NA]
    assert runs["start_day"].dt.day.tolist() == [23, 25, 30]
    assert runs["end_day"].dt.day.tolist() == [24, 27, 30]


@settings(max_examples=20, deadline=None)
@given(flags=st.lists(st.booleans(), min_size=1, max_size=21), seed=st.integers(0, 9))
def test_runs_cover_the_days_and_alternate(flags: list[bool], seed: int) -> None:
    moves = moves_from(flags)
    runs = v1.sequences(moves.sample(frac=1, random_state=seed))
    kinds = [
        kind == "MAMBA"
        for kind, n in zip(runs["kind"], runs["length"], strict=True)
        for _ in range(n)
    ]
    assert kinds == flags
    assert all(a != b for a, b in zip(runs["kind"], runs["kind"][1:], strict=False))
    analysis, patterns = v1.sequence_analysis(moves, runs)
    SEQUENCE_ANALYSIS.schema.validate(analysis)
    SEQUENCE_PATTERNS.schema.validate(patterns)
    row = analysis.iloc[0]
    assert row["mamba_days"] == sum(flags)
    assert row["days"] == len(flags)
    assert row["predictive_score"] == 0
    assert pd.isna(row["dominant_pattern"])


def test_nothing_in_gives_nothing_out() -> None:
    moves = v1.moves(CANDLES_DAILY.empty(), INDICATORS_DAILY.empty(), AS_OF)
    pd.testing.assert_frame_equal(moves, MOVES_DAILY.empty())
    runs = v1.sequences(moves)
    pd.testing.assert_frame_equal(runs, SEQUENCES.empty())
    analysis, patterns = v1.sequence_analysis(moves, runs)
    pd.testing.assert_frame_equal(analysis, SEQUENCE_ANALYSIS.empty())
    pd.testing.assert_frame_equal(patterns, SEQUENCE_PATTERNS.empty())


def test_the_day_of_a_moment_is_the_day_in_india() -> None:
    assert day_of(pd.Timestamp("2025-06-29 20:00", tz="UTC")) == AS_OF
    assert day_of(pd.Timestamp("2025-06-30 15:30")) == AS_OF
