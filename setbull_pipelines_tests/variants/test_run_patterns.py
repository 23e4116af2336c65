"""The patterns of the current run, and squeezed days, against cases worked out by hand; both variants.

Belongs here: hand-made days that show a pattern, and the same days beside each of its limits; many random look-backs,
of which both variants say the same. Does not belong here: what the patterns predicted (``benchmarks/patterns.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from setbull_pipelines.settings import SequenceSettings
from setbull_pipelines.tables import INDICATORS_DAILY, MOVES_DAILY, SEQUENCE_ANALYSIS
from setbull_pipelines.tables.sequence_analysis import RUN_PATTERNS
from setbull_pipelines.variants import V1, V2
from setbull_pipelines.variants.protocol import Variant
from setbull_pipelines_tests.variants.frames import (
    assert_contract,
    bars_daily,
    compare,
    shuffled,
    trading_days,
)

NAMES = [column.name for column in RUN_PATTERNS]
WITH_PRICES = ("open", "high", "low", "close")


class Day(NamedTuple):
    """A day of the look-back; prices of a BULLISH trend, BEARISH ones are their mirror image at 100."""

    is_mamba: bool
    open: float
    high: float
    low: float
    close: float
    volume: int | None = 100
    is_squeezed: bool | None = False


CALM = Day(False, 100, 101, 99, 100)
RISE = Day(True, 100, 108, 99, 107)
"""A mamba day that shows no pattern after CALM: it opens inside the day before, on the same volume."""


def analysed(
    variant: Variant,
    days: Sequence[Day],
    dates: Sequence[str] | None = None,
    trend: str = "BULLISH",
    **settings: int,
) -> pd.Series:
    """The analysis of ``days``, the last of which is the as-of day; a BEARISH trend has mirrored prices."""
    rows = pd.DataFrame(days)
    if trend == "BEARISH":
        mirrored = {name: 200 - rows[name] for name in WITH_PRICES}
        rows = rows.assign(**mirrored | {"high": mirrored["low"], "low": mirrored["high"]})
    dates = dates or trading_days("2025-06-02", len(days))
    move_days = pd.to_datetime(pd.Series(list(dates)))
    moves = MOVES_DAILY.conform(
        rows.assign(
            instrument_key="NSE_EQ|WORKED",
            move_day=move_days,
            trading_day=move_days.iloc[-1],
            series="exchange",
            volume=pd.array([day.volume for day in days], dtype="Int64"),
            is_squeezed=pd.array([day.is_squeezed for day in days], dtype="boolean"),
            ema_50=50.0,
            is_above_ema=trend != "BEARISH",
            move_percent=6.0,
            is_bullish=trend != "BEARISH",
            strength=0.5,
            trend=trend,
            mamba_strength=np.where(rows["is_mamba"], 0.5, np.nan),
        )
    )
    settings = {"look_back_days": len(days), **settings}
    analysis, _ = variant.sequence_analysis(
        moves, variant.sequences(moves), SequenceSettings(**settings)
    )
    assert_contract(SEQUENCE_ANALYSIS, analysis)
    return analysis.iloc[0]


def shown(row: pd.Series) -> set[str]:
    """The patterns that a row shows; fails where one is null."""
    assert row[NAMES].notna().all()
    return {name for name in NAMES if row[name]}


# The run of two days stays above 101, the high of CALM: 101.1 and 101.05 are its lows.
GAP = [CALM, CALM, Day(True, 102, 110, 101.1, 109), Day(True, 106, 115, 101.05, 114)]
# From 100 to 107: half of it is 103.5. The pull-back closes at 104 and 103.5, the new run at 107.5.
PULL_BACK = [
    CALM,
    RISE,
    Day(False, 107, 108, 103, 104),
    Day(False, 104, 105, 103, 103.5),
    Day(True, 101.8, 108, 101, 107.5),
]
SQUEEZE = [CALM, CALM._replace(is_squeezed=True), RISE]
# Means: 120 before the run, 180 in the run.
VOLUME = [
    CALM,
    CALM._replace(volume=140),
    RISE._replace(volume=160),
    RISE._replace(volume=200),
]


def changed(days: Sequence[Day], place: int, **values: object) -> list[Day]:
    """The days with other values on one of them."""
    days = list(days)
    days[place] = days[place]._replace(**values)
    return days


CASES = {
    "no pattern": ([CALM, CALM, RISE], set()),
    "a gap": (GAP, {"run_after_gap"}),
    "a gap that is filled on the first day": (changed(GAP, 2, low=100.9), set()),
    "a gap that is filled on the second day": (changed(GAP, 3, low=100.9), set()),
    "a low at the high of the day before": (changed(GAP, 3, low=101), set()),
    "a low above that high by rounding": (changed(GAP, 3, low=101 + 5e-8), set()),
    "a gap within the run alone": ([CALM, RISE, Day(True, 112, 120, 111, 119)], set()),
    "a run that began after a gap and is over": ([*GAP, Day(False, 114, 115, 113, 114)], set()),
    "a pull-back": (PULL_BACK, {"run_after_pull_back"}),
    "a pull-back that keeps less than half": (changed(PULL_BACK, 3, close=103.4), set()),
    "a pull-back of closes above the end": (
        changed(changed(PULL_BACK, 2, close=108), 3, close=107.2),
        set(),
    ),
    "a pull-back of one such close": (changed(PULL_BACK, 2, close=108), {"run_after_pull_back"}),
    "a run that only reaches the end": (changed(PULL_BACK, 4, close=107), set()),
    "a pull-back without a run before": ([CALM, CALM, *PULL_BACK[2:]], set()),
    "a second day that reaches beyond": (
        [*changed(PULL_BACK, 4, close=106.9), Day(True, 103, 113, 102, 112)],
        {"run_after_pull_back"},
    ),
    "a squeeze": (SQUEEZE, {"run_after_squeeze"}),
    "a squeeze two days before": ([SQUEEZE[1], CALM, RISE], set()),
    "a squeeze on the first day of the run": ([CALM, CALM, RISE._replace(is_squeezed=True)], set()),
    "no bands on the day before": ([CALM, CALM._replace(is_squeezed=None), RISE], set()),
    "a second day after a squeeze": ([*SQUEEZE, RISE], {"run_after_squeeze"}),
    "1.5 times the volume": (VOLUME, {"run_on_volume"}),
    "one share less": (changed(VOLUME, 3, volume=199), set()),
    "no volume before the run": (
        [CALM._replace(volume=0), CALM._replace(volume=0), RISE],
        set(),
    ),
    "no day before the run": ([RISE, RISE], set()),
    "other days, last": ([CALM, RISE, CALM._replace(is_squeezed=True, volume=900)], set()),
    "all at once": (
        [
            *PULL_BACK[:3],
            Day(False, 104, 105, 103, 103.5, is_squeezed=True),
            Day(True, 106, 114, 105.5, 113, volume=150),
        ],
        set(NAMES),
    ),
}


@pytest.mark.parametrize("trend", ["BULLISH", "BEARISH"])
@pytest.mark.parametrize(("days", "expected"), CASES.values(), ids=CASES.keys())
def test_a_run_shows_the_patterns_that_its_days_make(
    variant: Variant, days: Sequence[Day], expected: set[str], trend: str
) -> None:
    assert shown(analysed(variant, days, trend=trend)) == expected


@pytest.mark.parametrize(
    ("first_day", "expected"), [("2025-06-23", {"run_after_gap"}), ("2025-06-24", set())]
)
def test_a_gap_over_more_than_five_days_is_none(
    variant: Variant, first_day: str, expected: set[str]
) -> None:
    dates = ["2025-06-17", "2025-06-18", first_day, "2025-06-25"]
    assert shown(analysed(variant, GAP, dates)) == expected
    longer = analysed(variant, GAP, dates, continuity_maximum_gap_days=6)
    assert shown(longer) == {"run_after_gap"}


@pytest.mark.parametrize(("others", "expected"), [(6, {"run_after_pull_back"}), (7, set())])
def test_a_pull_back_of_more_than_six_days_is_none(
    variant: Variant, others: int, expected: set[str]
) -> None:
    days = [*PULL_BACK[:2], *[PULL_BACK[2]] * others, PULL_BACK[4]]
    assert shown(analysed(variant, days)) == expected
    assert shown(analysed(variant, days, long_run_days=others)) == {"run_after_pull_back"}


def test_a_neutral_trend_shows_none(variant: Variant) -> None:
    for days in (GAP, PULL_BACK, SQUEEZE, VOLUME):
        assert shown(analysed(variant, days, trend="NEUTRAL")) == set()


def test_a_pattern_is_null_while_the_trend_is_not_known(variant: Variant) -> None:
    row = analysed(variant, GAP, look_back_days=len(GAP) + 1)
    assert row["trend_reason"] == "insufficient_history"
    assert row[NAMES].isna().all()


@pytest.mark.parametrize("days", [GAP, [CALM, RISE, CALM]])
def test_a_volume_that_is_not_known_leaves_the_other_patterns(
    variant: Variant, days: Sequence[Day]
) -> None:
    row = analysed(variant, changed(days, 0, volume=None))
    assert pd.isna(row["run_on_volume"])
    assert row[NAMES].drop("run_on_volume").notna().all()
    assert bool(row["run_after_gap"]) == (days == GAP)


# --- many look-backs at once -------------------------------------------------------------------------


def _random_moves(seed: int, instruments: int = 400, days: int = 7) -> pd.DataFrame:
    """Look-backs of coarse prices and volumes, so that many lie exactly at a limit; some values are not known."""
    generator = np.random.default_rng(seed)
    size = instruments * days
    of_instrument = np.repeat(np.arange(instruments), days)
    trends = np.array(["BULLISH", "BEARISH", "BULLISH", "BEARISH", "NEUTRAL"])
    close = 100 + generator.integers(-4, 5, size) / 2 + np.tile(np.arange(days), instruments)
    close = np.where(of_instrument % 5 % 2 == 1, 220 - close, close)
    open_ = close + generator.integers(-2, 3, size) / 2
    is_mamba = generator.random(size) < 0.5
    # Every tenth instrument lacks a day, so that look-backs have different lengths.
    is_kept = (of_instrument % 10 != 3) | (np.tile(np.arange(days), instruments) > 0)
    move_days = np.array(trading_days("2025-06-23", days), dtype="datetime64[us]")
    rows = pd.DataFrame(
        {
            "instrument_key": [f"NSE_EQ|RANDOM{number:03d}" for number in of_instrument],
            "move_day": np.tile(move_days, instruments),
            "trading_day": move_days[-1],
            "series": "exchange",
            "open": open_,
            "high": np.maximum(open_, close) + generator.integers(0, 2, size) / 2,
            "low": np.minimum(open_, close) - generator.integers(0, 2, size) / 2,
            "close": close,
            "volume": pd.array(generator.integers(0, 6, size), dtype="Int64"),
            "ema_50": 50.0,
            "is_above_ema": True,
            "is_squeezed": pd.array(generator.random(size) < 0.3, dtype="boolean"),
            "move_percent": 6.0,
            "is_bullish": True,
            "strength": 0.5,
            "trend": trends[of_instrument % 5],
            "is_mamba": is_mamba,
            "mamba_strength": np.where(is_mamba, 0.5, np.nan),
        }
    )
    rows.loc[generator.random(size) < 0.01, "volume"] = pd.NA
    rows.loc[generator.random(size) < 0.1, "is_squeezed"] = pd.NA
    return MOVES_DAILY.conform(rows[is_kept])


@pytest.mark.parametrize("seed", range(3))
def test_both_variants_find_the_same_patterns(seed: int) -> None:
    moves = _random_moves(seed)
    settings = SequenceSettings(look_back_days=6)
    (v1, _), (v2, _) = (
        variant.sequence_analysis(moves, variant.sequences(moves), settings) for variant in (V1, V2)
    )
    assert compare(SEQUENCE_ANALYSIS, v1, v2) == v1.size
    for name in NAMES:
        assert 3 <= v1[name].sum() <= len(v1) // 2, name
    assert 0 < v1["run_on_volume"].isna().sum() < len(v1) // 4


@pytest.mark.parametrize("seed", range(2))
def test_neither_the_order_of_rows_nor_other_instruments_matter(
    variant: Variant, seed: int
) -> None:
    moves = _random_moves(seed, instruments=30)
    settings = SequenceSettings(look_back_days=6)
    runs = variant.sequences(moves)
    together, _ = variant.sequence_analysis(shuffled(moves, 1), shuffled(runs, 2), settings)
    for key, row in together.set_index("instrument_key").iterrows():
        own = [frame[frame["instrument_key"] == key] for frame in (moves, runs)]
        alone, _ = variant.sequence_analysis(*own, settings)
        pd.testing.assert_series_equal(alone.iloc[0][NAMES], row[NAMES], check_names=False)


# --- squeezed days -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bb_upper", "bb_lower", "atr", "expected"),
    [
        # EMA 20 is 100, so that the channel reaches from 97 to 103.
        (102.9, 97.1, 2.0, True),
        (103.0, 97.1, 2.0, False),
        (102.9, 97.0, 2.0, False),
        (103.1, 97.1, 2.0, False),
        (103.0 * (1 - 5e-10), 97.1, 2.0, False),  # at the channel, but for rounding
        (100.0, 100.0, 0.0, False),  # a price that never moved
        (np.nan, np.nan, 2.0, None),
        (102.9, 97.1, np.nan, None),
    ],
)
def test_a_day_is_squeezed_with_both_bands_inside_the_channel(
    variant: Variant, bb_upper: float, bb_lower: float, atr: float, expected: bool | None
) -> None:
    days = trading_days("2025-06-02", 2)
    candles = bars_daily(
        pd.DataFrame(
            {
                "instrument_key": "NSE_EQ|WORKED",
                "timestamp": pd.DatetimeIndex(days).tz_localize("Asia/Kolkata").as_unit("us"),
                **dict.fromkeys(WITH_PRICES, 100.0),
                "volume": 100,
            }
        )
    )
    indicators = variant.indicators(candles, "day").assign(
        bb_upper=bb_upper, bb_lower=bb_lower, ema_20=100.0, atr=atr
    )
    moves = variant.moves(candles, INDICATORS_DAILY.conform(indicators), pd.Timestamp(days[-1]))
    assert_contract(MOVES_DAILY, moves)
    found = moves["is_squeezed"]
    assert found.isna().all() if expected is None else (found == expected).all()
    unknown = variant.moves(candles, INDICATORS_DAILY.empty(), pd.Timestamp(days[-1]))
    assert unknown["is_squeezed"].isna().all()
