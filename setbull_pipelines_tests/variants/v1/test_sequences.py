"""V1 of moves and sequences, against hand-made vectors and a worked example."""

from __future__ import annotations

from math import nan, tanh

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
from setbull_pipelines_tests.variants.v1.daily_frames import AS_OF, DAYS, candles, indicators_of


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


# --- runs -------------------------------------------------------------------------------------------


def moves_from(flags: list[bool], volumes: list[int] | None = None) -> pd.DataFrame:
    """Moves of the last days, open 100, closes 101, 102, ..., strength 0.2, 0.4, ... on mamba days."""
    count = len(flags)
    closes = 101.0 + np.arange(count)
    strengths = 0.2 * (1 + np.arange(count))
    return MOVES_DAILY.conform(
        pd.DataFrame(
            {
                "instrument_key": "NSE_EQ|A",
                "move_day": DAYS[-count:],
                "trading_day": AS_OF,
                "series": "exchange",
                "open": 100.0,
                "high": closes,
                "low": 100.0,
                "close": closes,
                "volume": volumes or [100] * count,
                "ema_50": 90.0,
                "is_above_ema": True,
                "is_squeezed": False,
                "move_percent": closes - 100,
                "is_bullish": True,
                "strength": strengths,
                "trend": "BULLISH",
                "is_mamba": flags,
                "mamba_strength": np.where(flags, strengths, np.nan),
            }
        )
    )


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


# --- scores and patterns ----------------------------------------------------------------------------


def runs_from(rows: list[tuple], as_of: pd.Timestamp = AS_OF) -> pd.DataFrame:
    """Runs from (kind, length, strength, return, volume, gap or None); their days are of no matter."""
    columns = ["kind", "length", "strength", "return_percent", "total_volume", "gap_days_to_next"]
    frame = pd.DataFrame(rows, columns=columns, dtype=object)
    return SEQUENCES.conform(
        frame.assign(
            instrument_key="NSE_EQ|A",
            sequence_number=range(1, len(rows) + 1),
            trading_day=as_of,
            series="exchange",
            start_day=as_of,
            end_day=as_of,
        )
    )


def analyse(rows: list[tuple], moves: pd.DataFrame | None = None, **changes):
    moves = moves_from([True] * 6) if moves is None else moves
    analysis, patterns = v1.sequence_analysis(moves, runs_from(rows), SequenceSettings(**changes))
    SEQUENCE_ANALYSIS.schema.validate(analysis)
    SEQUENCE_PATTERNS.schema.validate(patterns)
    return analysis.iloc[0], patterns


WORKED_RUNS = [
    ("MAMBA", 3, 0.6, 12.0, 300, 1),
    ("NON_MAMBA", 2, 0.0, 1.0, 100, 3),
    ("MAMBA", 1, 0.8, -2.0, 300, None),
]


def test_worked_example() -> None:
    flags = [True, True, True, False, False, True]
    moves = moves_from(flags, [100, 100, 100, 50, 50, 300])
    row, patterns = analyse(WORKED_RUNS, moves, look_back_days=6)
    assert row["length_score"] == pytest.approx(0.266667, abs=5e-7)
    assert row["strength_score"] == pytest.approx(0.7)
    assert row["consistency_score"] == pytest.approx(0.8)
    assert row["quality_score"] == pytest.approx(0.6)
    assert row["continuity_score"] == pytest.approx(0.6)
    assert row["momentum_score"] == pytest.approx(0.49)
    assert row["predictive_score"] == 0
    assert row["volume_average"] == pytest.approx(116.666667, abs=5e-7)
    assert row["volume_strength"] == pytest.approx(1.142857, abs=5e-7)
    assert row["volume_trend"] == pytest.approx(tanh(22.857142857e-6), rel=1e-9)
    assert row["volume_trend_relative"] == pytest.approx(22.857142857 / 116.666666667, rel=1e-9)
    assert row["volume_consistency"] == pytest.approx(0.202043, abs=5e-7)
    assert (row["mamba_series"], row["non_mamba_series"]) == ("[3, 1]", "[2]")
    assert (row["average_mamba_length"], row["average_non_mamba_length"]) == (2, 2)
    assert (row["longest_mamba_sequence"], row["current_kind"], row["current_length"]) == (
        3,
        "MAMBA",
        1,
    )
    assert (row["trend"], row["trend_percent"]) == ("BULLISH", 100)
    assert pd.isna(row["trend_reason"])
    assert pd.isna(row["dominant_pattern"])

    assert patterns["kind"].tolist() == ["MAMBA", "NON_MAMBA"]
    assert patterns["length"].tolist() == [3, 2]
    assert patterns["average_gap_days"].tolist() == [1, 3]
    assert patterns["success_rate"].tolist() == [0, 0]
    # After MAMBA-3 prices rose with the trend, after NON_MAMBA-2 they fell.
    assert patterns["continuation_rate"].tolist() == [1, 0]
    assert row["dominant_by_continuation"] == "MAMBA-3"


def test_scores_of_a_single_run() -> None:
    moves = moves_from([False], [0])
    row, patterns = analyse([("NON_MAMBA", 1, 0.0, 1.0, 0, None)], moves)
    scores = [name for name in SEQUENCE_ANALYSIS.column_names if name.endswith("_score")]
    volumes = [name for name in SEQUENCE_ANALYSIS.column_names if name.startswith("volume_")]
    assert len(scores) == 7
    assert len(volumes) == 5
    assert (row[scores + volumes] == 0).all()
    assert pd.isna(row["average_mamba_length"])
    assert row["average_non_mamba_length"] == 1
    assert patterns.empty


def test_predictive_score_and_dominant_pattern_of_runs_that_repeat() -> None:
    """Runs as no builder makes them: of two equal neighbours, one is followed by a third, one is not."""
    rows = [("MAMBA", 2, 0.5, 1.0, 10, 1)] * 3 + [("NON_MAMBA", 4, 0.0, -1.0, 10, None)]
    row, patterns = analyse(rows)
    assert row["predictive_score"] == 0.5
    assert patterns["frequency"].tolist() == [3, 1]
    assert patterns["success_rate"].iloc[0] == pytest.approx(2 / 3)
    # NON_MAMBA-4 is the last run: nothing is known about what follows it.
    unknown = ["success_rate", "continuation_rate", "average_gap_days"]
    assert patterns[unknown].iloc[1].isna().all()
    assert row["dominant_pattern"] == row["dominant_by_continuation"] == "MAMBA-2"


def test_order_of_patterns() -> None:
    rows = [
        ("NON_MAMBA", 2, 0.0, 0.0, 1, 1),
        ("NON_MAMBA", 3, 0.0, 0.0, 1, 1),
        ("MAMBA", 3, 0.0, 0.0, 1, 1),
        ("MAMBA", 2, 0.7, 0.0, 1, 1),
        ("MAMBA", 4, 0.8, 0.0, 1, 1),
        ("NON_MAMBA", 5, 0.0, 0.0, 1, 1),
        ("NON_MAMBA", 5, 0.0, 0.0, 1, 1),
        ("MAMBA", 1, 0.9, 0.0, 1, None),
    ]
    _, patterns = analyse(rows)
    found = list(zip(patterns["kind"], patterns["length"], strict=True))
    assert found == [
        ("NON_MAMBA", 5),
        ("MAMBA", 4),
        ("MAMBA", 2),
        ("MAMBA", 3),
        ("NON_MAMBA", 2),
        ("NON_MAMBA", 3),
    ]
    assert patterns["pattern_rank"].tolist() == [1, 2, 3, 4, 5, 6]


def test_continuation_follows_the_sign_of_the_trend() -> None:
    rows = [("MAMBA", 2, 0.5, -9.0, 10, 1), ("NON_MAMBA", 1, 0.0, -1.0, 10, None)]
    rates = {}
    for trend in ("BULLISH", "BEARISH", "NEUTRAL"):
        row, patterns = analyse(rows, moves_from([True] * 6).assign(trend=trend))
        rates[trend] = (patterns["continuation_rate"].iloc[0], row["dominant_by_continuation"])
    assert rates["BULLISH"][0] == 0
    assert pd.isna(rates["BULLISH"][1])
    assert rates["BEARISH"] == (1, "MAMBA-2")
    assert pd.isna(rates["NEUTRAL"][0])
    assert pd.isna(rates["NEUTRAL"][1])


def test_settings_of_gaps_lengths_and_long_runs_are_used() -> None:
    rows = [
        ("NON_MAMBA", 7, 0.0, 0.0, 1, 4),
        ("MAMBA", 1, 0.5, 0.0, 1, 9),
        ("NON_MAMBA", 6, 0.0, 0.0, 1, None),
    ]
    row, patterns = analyse(rows)
    assert (row["long_gaps"], row["continuity_score"]) == (1, pytest.approx(1 - 4 / 5))
    assert len(patterns) == 2
    row, patterns = analyse(
        rows, long_run_days=5, continuity_maximum_gap_days=10, pattern_minimum_length=1
    )
    assert (row["long_gaps"], row["continuity_score"]) == (2, pytest.approx(1 - 6.5 / 10))
    assert len(patterns) == 3
    # A gap of exactly the maximum counts.
    assert analyse(rows, continuity_maximum_gap_days=9)[0]["continuity_score"] == pytest.approx(
        1 - 6.5 / 9
    )
    assert analyse(rows, continuity_maximum_gap_days=3)[0]["continuity_score"] == 0


def test_momentum_looks_at_the_last_five_runs_only() -> None:
    strengths = [100.0, 0.0, 0.5, 0.0, 0.25, 0.0]
    rows = [("MAMBA", 1, s, 0.0, 1, 1) for s in strengths[:-1]] + [
        ("MAMBA", 1, strengths[-1], 0.0, 1, None)
    ]
    weighted = (0.5 * 2 + 0.25 * 4) / 15
    row, _ = analyse(rows)
    assert row["momentum_score"] == pytest.approx(0.7 * weighted + 0.3 * 0.15)


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
