"""Pictures of a divergence: size, same bytes for the same frames, and what cannot be drawn."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from setbull_pipelines.pictures.divergence import INSTRUMENTS_DRAWN, bar_chart, heat_map
from setbull_pipelines.tables import INDICATORS_5MIN
from setbull_pipelines_tests.reconciliation.partition_files import TRADING_DAY

LARGEST_BYTES = 60_000
COLUMNS = [column.name for column in INDICATORS_5MIN.value_columns if column.name != "trading_day"]


def counts(instruments: int, columns: list[str], unequal: int = 75) -> pd.DataFrame:
    return pd.DataFrame(
        [
            (f"NSE_EQ|INE{number:03}A01018", name, 75, max(1, unequal - number))
            for number in range(instruments)
            for name in columns
        ],
        columns=["instrument_key", "column_name", "cells_compared", "cells_unequal"],
    )


def bars(v1: np.ndarray, v2: np.ndarray) -> pd.DataFrame:
    start = "2026-06-30 09:15"
    times = pd.date_range(start, periods=len(v1), freq="5min", tz="Asia/Kolkata")
    is_equal = v1 == v2
    return pd.DataFrame(
        {
            "column_name": "ema_50",
            "timestamp": times,
            "instrument_key": "NSE_EQ|INE002A01018",
            "series": None,
            "v1": v1,
            "v2": v2,
            "difference": v2 - v1,
            "is_equal": is_equal,
            "is_first": np.arange(len(v1)) == np.argmin(is_equal),
        }
    )


def opened(png: bytes) -> Image.Image:
    assert len(png) < LARGEST_BYTES
    return Image.open(io.BytesIO(png)).convert("RGB")


def share_of(image: Image.Image, colour: tuple[int, int, int]) -> float:
    """Share of pixels near a colour; quantising and smoothing move it a little."""
    distance = np.abs(np.asarray(image, dtype=int) - colour).max(axis=2)
    return (distance < 24).mean()


BLUE, ORANGE = (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)


def test_a_heat_map_of_a_whole_universe_stays_small_and_bounded() -> None:
    every = opened(heat_map(counts(500, COLUMNS), INDICATORS_5MIN, TRADING_DAY))
    bound = opened(heat_map(counts(INSTRUMENTS_DRAWN, COLUMNS), INDICATORS_5MIN, TRADING_DAY))
    few = opened(heat_map(counts(3, COLUMNS), INDICATORS_5MIN, TRADING_DAY))
    assert every.size == bound.size
    assert few.height < bound.height


def test_a_heat_map_is_darker_where_more_cells_differ() -> None:
    few, many = (
        heat_map(counts(5, ["ema_5", "(row)"], unequal), INDICATORS_5MIN, TRADING_DAY)
        for unequal in (6, 75)
    )
    assert np.asarray(opened(many)).mean() < np.asarray(opened(few)).mean() - 10


def test_the_scale_keeps_its_colours_when_no_cell_has_them() -> None:
    image = opened(heat_map(counts(40, COLUMNS, 75), INDICATORS_5MIN, TRADING_DAY))
    lowest, tenth = (0xFD, 0xE7, 0x25), (0xBD, 0xDF, 0x26)
    assert share_of(image, lowest) > 0
    assert share_of(image, tenth) > 0


def test_a_chart_shows_both_variants_and_their_difference() -> None:
    v1 = np.linspace(100, 110, 60)
    v2 = v1 + np.where(np.arange(60) >= 20, 2.0, 0.0)
    image = opened(bar_chart(bars(v1, v2), INDICATORS_5MIN, TRADING_DAY))
    assert share_of(image, BLUE) > 0.001
    upper = image.crop((0, 0, image.width, image.height // 2))
    lower = image.crop((0, image.height * 6 // 10, image.width, image.height))
    assert share_of(upper, ORANGE) > 0.001
    assert share_of(lower, ORANGE) > 0.1


@pytest.mark.parametrize("missing", [np.nan, np.inf])
def test_values_that_cannot_be_drawn_leave_a_gap(missing) -> None:
    v1 = np.linspace(100, 110, 20)
    v2 = np.where(np.arange(20) >= 5, missing, v1)
    assert opened(bar_chart(bars(v1, v2), INDICATORS_5MIN, TRADING_DAY)).width == 900
    assert opened(bar_chart(bars(v2, v1), INDICATORS_5MIN, TRADING_DAY)).width == 900


def test_the_same_frames_give_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib

    frame = bars(np.arange(10.0), np.arange(10.0) + 1)
    before = bar_chart(frame, INDICATORS_5MIN, TRADING_DAY)
    with matplotlib.rc_context({"font.size": 20, "timezone": "America/New_York"}):
        assert bar_chart(frame, INDICATORS_5MIN, TRADING_DAY) == before


def test_nothing_to_draw_is_an_error_and_no_empty_picture() -> None:
    with pytest.raises(ValueError, match="found no instrument that differs"):
        heat_map(counts(0, []), INDICATORS_5MIN, TRADING_DAY)
    both = pd.concat(
        bars(np.arange(3.0), np.zeros(3)).assign(column_name=name) for name in ("rsi", "atr")
    )
    with pytest.raises(ValueError, match="expected one"):
        bar_chart(both, INDICATORS_5MIN, TRADING_DAY)


@pytest.mark.run
def test_definitions_do_not_load_the_drawing_library() -> None:
    code = "import sys, setbull_pipelines.definitions; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
