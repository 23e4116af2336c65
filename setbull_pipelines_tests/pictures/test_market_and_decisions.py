"""Pictures of an instrument and of decisions: small, the same for the same frames, and they show what they say."""

from __future__ import annotations

import datetime
import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.pictures.decisions import funnel_chart, rollout_chart
from setbull_pipelines.pictures.market import candle_chart, squeeze_chart

LARGEST_BYTES = 30_000
DAYS = NSE.trading_days(datetime.date(2025, 10, 1), datetime.date(2026, 6, 30))
BLUE, ORANGE, GREEN = (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00), (0x00, 0x9E, 0x73)


def bars(timestamps: pd.DatetimeIndex, step: float | None = None) -> pd.DataFrame:
    """A random walk, or with ``step`` one that only rises or falls, with bands from the 20th bar on."""
    generator = np.random.default_rng(7)
    moves = generator.normal(0, 5, len(timestamps)) if step is None else step
    close = 1500 + np.cumsum(np.broadcast_to(moves, len(timestamps)))
    opens = close - moves
    middle = pd.Series(close).rolling(20).mean()
    return pd.DataFrame(
        {
            "timestamp": timestamps,
            "open": opens,
            "high": np.maximum(opens, close) + 2,
            "low": np.minimum(opens, close) - 2,
            "close": close,
            "volume": generator.integers(1, 900_000, len(timestamps)),
            "bb_upper": middle + 30,
            "bb_middle": middle,
            "bb_lower": middle - 30,
            "bb_width_normalized_percentage": 6000 / middle,
        }
    )


SESSION = pd.date_range("2026-06-30 09:15", periods=75, freq="5min", tz="Asia/Kolkata")
DAILY = pd.DatetimeIndex(DAYS[-120:]).tz_localize("Asia/Kolkata")


def widths(sessions: int) -> pd.DataFrame:
    p10 = np.linspace(4, 9, sessions)
    return pd.DataFrame(
        {
            "trading_day": pd.DatetimeIndex(DAYS[-sessions:]),
            "min_bb_width": p10 - 1,
            "p10_bb_width": p10,
            "mean_bb_width": p10 * 2,
            "max_bb_width": p10 * 4,
        }
    )


def verdicts(sessions: int, passing: int) -> pd.DataFrame:
    stops = ["basic"] * 30 + ["ema"] * 40 + ["rsi"] * 10 + ["mamba"] * (20 - passing)
    stops += [None] * passing
    return pd.DataFrame(
        [(pd.Timestamp(day), stop) for day in DAYS[-sessions:] for stop in stops],
        columns=["trading_day", "stopped_at"],
    )


def judgements(stage: str, verdict: str = "counted") -> list[tuple[datetime.date, str, str, str]]:
    return [
        (day, component, stage if component == "indicators" else "shadow", verdict)
        for day in DAYS[-20:]
        for component in ("aggregation", "indicators", "sequences")
    ]


def opened(png: bytes) -> Image.Image:
    assert len(png) < LARGEST_BYTES
    return Image.open(io.BytesIO(png)).convert("RGB")


def share_of(image: Image.Image, colour: tuple[int, int, int]) -> float:
    distance = np.abs(np.asarray(image, dtype=int) - colour).max(axis=2)
    return (distance < 24).mean()


@pytest.mark.parametrize("timestamps", [SESSION, DAILY, DAILY[:1]], ids=["session", "days", "one"])
def test_a_candle_chart_is_small_and_the_same_for_the_same_bars(timestamps) -> None:
    rows = bars(timestamps)
    png = candle_chart(rows, "RELIANCE (NSE_EQ|INE002A01018)")
    assert opened(png).width == 900
    again = candle_chart(rows.sample(frac=1, random_state=1), "RELIANCE (NSE_EQ|INE002A01018)")
    assert again == png


def test_rises_and_falls_are_told_apart() -> None:
    rising, falling = (opened(candle_chart(bars(SESSION, step), "X")) for step in (3.0, -3.0))
    assert share_of(rising, BLUE) > 2 * share_of(falling, BLUE)
    assert share_of(falling, ORANGE) > 2 * share_of(rising, ORANGE)


def test_bars_without_a_known_volume_are_drawn_without_one() -> None:
    rows = bars(SESSION).astype({"volume": "Int64"})
    unknown = opened(candle_chart(rows.assign(volume=pd.array([pd.NA] * 75, "Int64")), "X"))
    known = opened(candle_chart(rows, "X"))
    assert share_of(unknown, BLUE) + share_of(unknown, ORANGE) < (
        share_of(known, BLUE) + share_of(known, ORANGE)
    )
    assert candle_chart(rows.assign(volume=rows["volume"].mask(rows.index < 9)), "X")


def test_a_squeeze_chart_marks_the_lowest_width_where_there_is_one() -> None:
    with_lowest, without = (
        opened(squeeze_chart(widths(60), lowest, "X")) for lowest in (3.0, None)
    )
    assert share_of(with_lowest, GREEN) > 0.0005
    assert share_of(without, GREEN) == 0


def test_a_funnel_shows_more_green_the_more_pass() -> None:
    few, many = (opened(funnel_chart(verdicts(60, passing))) for passing in (1, 20))
    assert share_of(many, GREEN) > share_of(few, GREEN) + 0.02


def test_a_rollout_is_higher_where_v2_serves_more() -> None:
    def height(stage: str) -> float:
        image = np.asarray(opened(rollout_chart(judgements(stage))), dtype=int)
        # Left of the explanations.
        rows, _ = np.nonzero(np.abs(image[:, :600] - ORANGE).max(axis=2) < 24)
        return -rows.min()

    assert height("shadow") < height("10") < height("50") < height("100")


def test_nothing_to_draw_is_an_error_and_no_empty_picture() -> None:
    with pytest.raises(ValueError, match="found no bars"):
        candle_chart(bars(SESSION)[:0], "X")
    with pytest.raises(ValueError, match="no session with a width"):
        squeeze_chart(widths(5).assign(p10_bb_width=np.nan), None, "X")
    with pytest.raises(ValueError, match="found no rows"):
        funnel_chart(verdicts(1, 1)[:0])
    with pytest.raises(ValueError, match="no judged session"):
        rollout_chart([])
