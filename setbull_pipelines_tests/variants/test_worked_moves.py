"""Moves, their strength and their trend against vectors worked out by hand, and which daily series they are taken of.

Belongs here: single days at and beside the limits. Does not belong here: runs of days, stages of the filters.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from setbull_pipelines.tables import MOVES_DAILY
from setbull_pipelines.variants.protocol import Variant
from setbull_pipelines_tests.variants.frames import assert_contract, daily_chain
from setbull_pipelines_tests.variants.single_days import AS_OF, days_with_ema

CALM = [(100.0, 100.0)] * 20


@pytest.mark.parametrize(
    ("day", "ema_50", "move_percent", "is_mamba"),
    [
        ((100.0, 105.0), 50.0, 5.0, False),  # a rise must be above 5 %
        ((100.0, 105.01), 50.0, 5.01, True),
        ((100.0, 97.08), 200.0, 3.0078286, True),  # a fall is measured from the close
        ((100.0, 97.09), 200.0, 2.9972191, False),
        ((100.0, 105.01), 200.0, 5.01, False),  # against the trend
        ((100.0, 97.08), 50.0, 3.0078286, False),
        ((100.0, 100.0), 50.0, 0.0, False),
    ],
)
def test_vector_moves(
    variant: Variant,
    day: tuple[float, float],
    ema_50: float,
    move_percent: float,
    is_mamba: bool,
) -> None:
    candles, indicators = days_with_ema([*CALM, day], ema_50=ema_50)
    moves = variant.moves(candles, indicators, AS_OF)
    assert_contract(MOVES_DAILY, moves)
    assert len(moves) == 21
    last = moves.iloc[-1]
    assert last["move_percent"] == pytest.approx(move_percent, abs=5e-8)
    assert last["is_mamba"] == is_mamba
    assert pd.notna(last["mamba_strength"]) == is_mamba
    assert (moves["trend"] == ("BULLISH" if ema_50 < 100 else "BEARISH")).all()


def test_vector_strength(variant: Variant) -> None:
    # The last volume is 1.5 x the mean of all 21: 1.5 x 1000, the others (21 - 1.5) / 20 x 1000.
    volumes = [975] * 20 + [1500]
    candles, indicators = days_with_ema([*CALM, (100.0, 106.0)], volumes=volumes)
    strength = variant.moves(candles, indicators, AS_OF)["strength"]
    assert strength.iloc[-1] == pytest.approx(0.57)
    assert strength.iloc[0] == pytest.approx(0.3 * -0.025)
    largest, indicators = days_with_ema([*CALM, (100.0, 150.0)], volumes=[1] * 20 + [10**9])
    assert variant.moves(largest, indicators, AS_OF)["strength"].iloc[-1] == pytest.approx(1.0)
    silent, indicators = days_with_ema([*CALM, (100.0, 106.0)], volumes=0)
    assert variant.moves(silent, indicators, AS_OF)["strength"].iloc[-1] == pytest.approx(0.42)


@pytest.mark.parametrize(
    ("below", "trend"),
    [(13, "BEARISH"), (12, "NEUTRAL"), (9, "NEUTRAL"), (8, "BULLISH"), (21, "BEARISH")],
)
def test_vector_trend(variant: Variant, below: int, trend: str) -> None:
    ema = [100.01] * below + [100.0] * (21 - below)  # a close on the EMA counts as above
    candles, indicators = days_with_ema([*CALM, (100.0, 100.0)], ema_50=ema)
    moves = variant.moves(candles, indicators, AS_OF)
    assert (moves["trend"] == trend).all()
    assert (~moves["is_above_ema"]).sum() == below
    analysis, _ = variant.sequence_analysis(moves, variant.sequences(moves))
    assert analysis["trend"].tolist() == [trend]
    assert analysis["trend_percent"].iloc[0] == pytest.approx(max(below, 21 - below) / 21 * 100)


def test_a_trend_needs_every_ema_and_every_day(variant: Variant) -> None:
    days = [*CALM, (100.0, 100.0)]
    for candles, indicators in (
        days_with_ema(days, ema_50=[np.nan] + [50.0] * 20),
        days_with_ema(days[:20], ema_50=50.0),
    ):
        moves = variant.moves(candles, indicators, AS_OF)
        assert (moves["trend"] == "NEUTRAL").all()
        assert not moves["is_mamba"].any()
        analysis, _ = variant.sequence_analysis(moves, variant.sequences(moves))
        assert analysis["trend_reason"].tolist() == ["insufficient_history"]
        assert analysis["trend_percent"].isna().all()
        assert analysis["days_above_ema"].tolist() == [20]


@pytest.mark.parametrize(
    ("exchange", "minutes", "chosen"),
    [
        ("warm", "warm", "exchange"),
        ("cold", "warm", "minutes"),
        ("cold", "cold", "exchange"),
        ("absent", "warm", "minutes"),
        ("warm", "absent", "exchange"),
        ("absent", "absent", None),
    ],
)
def test_which_daily_series_is_used(
    variant: Variant, exchange: str, minutes: str, chosen: str | None
) -> None:
    """``absent``: the series has bars, but none on the as-of day."""
    frames = [
        days_with_ema(
            [*CALM, (100.0, price)],
            is_warm=state != "cold",
            series=series,
            last="2025-06-29" if state == "absent" else "2025-06-30",
        )
        for series, state, price in (("exchange", exchange, 101.0), ("minutes", minutes, 102.0))
    ]
    candles, indicators = (
        pd.concat(parts, ignore_index=True) for parts in zip(*frames, strict=True)
    )
    chain = daily_chain(variant, candles, AS_OF, indicators=indicators)
    filtered = chain["filter_results"].iloc[0]
    if chosen is None:
        assert chain["moves_daily"].empty
        assert pd.isna(filtered["series"])
        assert filtered["stopped_at"] == "basic"
        assert filtered["reason"] == "data is stale: expected 2025-06-30, have 2025-06-29"
        assert filtered["verdict"] == "not enough data"
    else:
        assert set(chain["moves_daily"]["series"]) == {chosen} == {filtered["series"]}
        assert chain["moves_daily"]["close"].iloc[-1] == {"exchange": 101, "minutes": 102}[chosen]
