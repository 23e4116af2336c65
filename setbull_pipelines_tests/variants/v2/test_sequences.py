"""V2 moves and runs: hand-made vectors, choice of the series, trend limits, missing days."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from setbull_pipelines.settings import SequenceSettings
from setbull_pipelines.tables import (
    CANDLES_DAILY,
    INDICATORS_DAILY,
    MOVES_DAILY,
    SEQUENCES,
)
from setbull_pipelines.variants import v1, v2
from setbull_pipelines_tests.variants.v2.frames import STOCK, bars, shuffled

AS_OF = pd.Timestamp("2025-06-30")
OTHER = "NSE_EQ|INE000B01018"


def indicator_rows(
    candles: pd.DataFrame, ema_50: float | list[float] = 90.0, is_warm: bool = True
) -> pd.DataFrame:
    """Indicators of ``candles`` with the given EMA 50; the other indicators are null."""
    frame = candles[["instrument_key", "series", "timestamp", "trading_day"]].assign(
        ema_50=ema_50, is_warm=is_warm, bars_of_history=range(1, len(candles) + 1)
    )
    return INDICATORS_DAILY.conform(frame.reindex(columns=INDICATORS_DAILY.column_names))


def moves_of(
    candles: pd.DataFrame, ema_50: float | list[float] = 90.0, **settings: float
) -> pd.DataFrame:
    result = v2.moves(candles, indicator_rows(candles, ema_50), AS_OF, SequenceSettings(**settings))
    MOVES_DAILY.schema.validate(result)
    return result


def rising(percent: list[float], volume: list[int] | None = None) -> pd.DataFrame:
    """Days that open at 100 and change by ``percent``."""
    close = 100 + np.array(percent)
    return bars(
        close,
        opens=[100.0] * len(percent),
        high=np.maximum(close, 100),
        low=np.minimum(close, 100),
        volume=volume,
    )


def test_a_rise_is_measured_from_the_open_and_a_fall_from_the_close() -> None:
    moves = moves_of(rising([5.0, -2.92, -2.91, 0.0]))
    assert moves["move_percent"].tolist() == pytest.approx([5.0, 3.0078, 2.9972, 0], abs=5e-5)
    assert moves["is_bullish"].tolist() == [True, False, False, False]


def test_strength_vector() -> None:
    moves = moves_of(rising([6.0, 20.0, 0.0, 0.0], volume=[150, 300, 0, 0]))
    # Mean volume 112.5: 150 is 1.333 of it, 300 more than twice, 0 is minus one.
    expected = [0.6 * 0.7 + 0.3 / 3, 0.7 + 0.3, -0.3, -0.3]
    assert moves["strength"].tolist() == pytest.approx(expected, rel=1e-12)
    half_more = moves_of(rising([6.0, 6.0], volume=[150, 50]))
    assert half_more["strength"].iloc[0] == pytest.approx(0.57, rel=1e-12)
    no_volume = moves_of(rising([6.0, 0.0], volume=[0, 0]))
    assert no_volume["strength"].tolist() == pytest.approx([0.42, 0.0])


@pytest.mark.parametrize(
    ("below", "above", "trend"),
    [(13, 8, "BEARISH"), (12, 9, "NEUTRAL"), (8, 13, "BULLISH"), (9, 12, "NEUTRAL")],
)
def test_trend_needs_60_percent(below: int, above: int, trend: str) -> None:
    ema = [101.0] * below + [100.0] * above  # a close on the EMA counts as above
    moves = moves_of(bars([100.0] * 21), ema)
    assert set(moves["trend"]) == {trend}
    assert moves["is_above_ema"].tolist() == [False] * below + [True] * above


def test_unknown_trend_is_neutral() -> None:
    assert set(moves_of(bars([100.0] * 20))["trend"]) == {"NEUTRAL"}
    gap = moves_of(bars([100.0] * 21), [np.nan] + [90.0] * 20)
    assert set(gap["trend"]) == {"NEUTRAL"}
    assert gap["is_above_ema"].isna().tolist() == [True] + [False] * 20


def test_mamba_limits_are_strict_and_follow_the_trend() -> None:
    percent = [0.0] * 16 + [5.0, 5.5, -3.5, -10.0, 6.0]
    bullish = moves_of(rising(percent), 80.0)
    assert set(bullish["trend"]) == {"BULLISH"}
    assert np.flatnonzero(bullish["is_mamba"]).tolist() == [17, 20]
    assert bullish["mamba_strength"].notna().equals(bullish["is_mamba"])
    bearish = moves_of(rising(percent), 120.0)
    assert set(bearish["trend"]) == {"BEARISH"}
    assert np.flatnonzero(bearish["is_mamba"]).tolist() == [18, 19]
    strong = moves_of(rising(percent), 120.0, strength_threshold=0.5)
    assert np.flatnonzero(strong["is_mamba"]).tolist() == [19]


def test_look_back_ends_on_the_as_of_day() -> None:
    candles = bars(np.arange(100.0, 140), last_day="2025-07-04")
    moves = moves_of(candles)
    assert len(moves) == 21
    assert moves["move_day"].max() == AS_OF
    assert (moves["trading_day"] == AS_OF).all()
    assert moves["close"].iloc[-1] == 135
    known = candles["trading_day"] <= AS_OF
    assert moves_of(candles[known]).equals(moves)


def test_series_of_the_as_of_day() -> None:
    exchange, minutes = bars([10.0, 11]), bars([20.0, 21], series="minutes")
    stale = bars([10.0, 11], last_day="2025-06-27")

    def chosen(candles: list[pd.DataFrame], warm: list[bool]) -> list[str]:
        indicators = [
            indicator_rows(frame, is_warm=flag) for frame, flag in zip(candles, warm, strict=True)
        ]
        result = v2.moves(pd.concat(candles), pd.concat(indicators), AS_OF)
        return result["series"].tolist()

    assert chosen([exchange, minutes], [True, True]) == ["exchange"] * 2
    assert chosen([exchange, minutes], [False, True]) == ["minutes"] * 2
    assert chosen([exchange, minutes], [False, False]) == ["exchange"] * 2
    assert chosen([stale, minutes], [True, True]) == ["minutes"] * 2
    assert chosen([stale, minutes], [True, False]) == ["minutes"] * 2
    assert chosen([stale], [True]) == []


def test_indicator_rows_are_found_by_key() -> None:
    candles = pd.concat([bars([100.0] * 21), bars([50.0] * 21, instrument=OTHER)])
    indicators = pd.concat(
        [
            indicator_rows(bars([100.0] * 30), list(np.arange(30.0))),
            indicator_rows(bars([1.0] * 30, instrument="BSE_EQ|ONLY IN INDICATORS"), 7.0),
        ]
    )
    result = v2.moves(shuffled(candles), shuffled(indicators), AS_OF)
    MOVES_DAILY.schema.validate(result)
    assert result["ema_50"].tolist()[:21] == list(np.arange(9.0, 30))
    assert result["ema_50"].isna().sum() == 21
    assert result["trend"].tolist() == ["BULLISH"] * 21 + ["NEUTRAL"] * 21


def test_runs_alternate_and_know_their_gap() -> None:
    percent = [0.0] * 15 + [6.0, 7.0, 8.0, 0.0, 0.0, 9.0]
    moves = moves_of(rising(percent, volume=list(range(1, 22))), 80.0)
    runs = v2.sequences(shuffled(moves))
    SEQUENCES.schema.validate(runs)
    assert runs["kind"].tolist() == ["NON_MAMBA", "MAMBA", "NON_MAMBA", "MAMBA"]
    assert runs["length"].tolist() == [15, 3, 2, 1]
    assert runs["sequence_number"].tolist() == [1, 2, 3, 4]
    # 2025-06-30 is a Monday: the last run begins after a weekend.
    assert runs["gap_days_to_next"].tolist()[:3] == [3, 1, 3]
    assert runs["gap_days_to_next"].isna().tolist() == [False] * 3 + [True]
    assert runs["start_day"].dt.strftime("%m-%d").tolist() == ["06-02", "06-23", "06-26", "06-30"]
    assert runs["total_volume"].tolist() == [120, 51, 39, 21]
    assert runs["return_percent"].tolist() == pytest.approx([0, 8, 0, 9])
    strength = moves["strength"]
    assert runs["strength"].tolist() == pytest.approx(
        [0, sum(strength[15:18]) / 3, 0, strength[20]]
    )


def test_instruments_do_not_share_runs() -> None:
    moves = pd.concat([moves_of(bars([100.0] * 5, instrument=key)) for key in (OTHER, STOCK)])
    runs = v2.sequences(moves)
    SEQUENCES.schema.validate(runs)
    assert runs["instrument_key"].tolist() == [STOCK, OTHER]
    assert runs["length"].tolist() == [5, 5]
    assert runs["gap_days_to_next"].isna().all()


def test_as_of_days_do_not_share_runs() -> None:
    moves = moves_of(bars([100.0] * 5))
    earlier = moves.head(4).assign(trading_day=pd.Timestamp("2025-06-27").as_unit("us"))
    runs = v2.sequences(pd.concat([moves, earlier]))
    assert runs["length"].tolist() == [4, 5]
    assert runs["trading_day"].is_monotonic_increasing


def test_runs_of_several_as_of_days_are_in_the_order_of_the_key_then_of_the_day() -> None:
    percent = [0.0] * 20 + [6.0]
    moves = pd.concat(
        [
            moves_of(rising(percent), 80.0).assign(
                instrument_key=key, trading_day=pd.Timestamp(day)
            )
            for day in ("2025-06-27", "2025-06-30")
            for key in (STOCK, OTHER)
        ]
    )
    for implementation in (v1, v2):
        runs = implementation.sequences(moves)
        assert list(zip(runs["instrument_key"], runs["sequence_number"], strict=True)) == [
            *[(STOCK, 1), (STOCK, 1), (STOCK, 2), (STOCK, 2)],
            *[(OTHER, 1), (OTHER, 1), (OTHER, 2), (OTHER, 2)],
        ]
        assert runs["trading_day"].dt.day.tolist() == [27, 30] * 4


def test_nothing_in_nothing_out() -> None:
    none, no_indicators = CANDLES_DAILY.empty(), INDICATORS_DAILY.empty()
    pd.testing.assert_frame_equal(v2.moves(none, no_indicators, AS_OF), MOVES_DAILY.empty())
    pd.testing.assert_frame_equal(v2.sequences(MOVES_DAILY.empty()), SEQUENCES.empty())
    future = bars([1.0], last_day="2025-07-04")
    pd.testing.assert_frame_equal(
        v2.moves(future, indicator_rows(future), AS_OF), MOVES_DAILY.empty()
    )
    one = v2.moves(bars([1.0]), no_indicators, AS_OF.tz_localize("Asia/Kolkata"))
    MOVES_DAILY.schema.validate(one)
    assert len(v2.sequences(one)) == 1
