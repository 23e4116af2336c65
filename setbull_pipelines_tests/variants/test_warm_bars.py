"""From which bar on a row is warm: after the slowest period and a margin, and at once for a new listing.

Belongs here: ``is_warm`` and ``bars_of_history`` of listings with a known number of bars. Does not belong here: values
of indicators.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from setbull_pipelines.settings import IndicatorSettings
from setbull_pipelines.tables import INDICATORS_5MIN, INDICATORS_DAILY
from setbull_pipelines.variants.protocol import Variant
from setbull_pipelines_tests.variants.frames import bar_rows, bars_5min, bars_daily, starts_of

COUNTED_BY_HAND = (
    "is another indicator the slowest one now? Then count its bars by hand, and correct them in test_warm_bars.py and "
    "in the listings of this test"
)


def _warm_from(found: pd.DataFrame, key: str) -> int | None:
    """bars_of_history of the first warm row; None when no row is warm. Warm rows never turn cold."""
    rows = found[found["instrument_key"] == key]
    warm = rows[rows["is_warm"]]
    assert rows["bars_of_history"].tolist() == list(range(1, len(rows) + 1))
    if warm.empty:
        return None
    assert rows.loc[warm.index[0] :, "is_warm"].all()
    return int(warm["bars_of_history"].iloc[0])


def test_warm_after_the_slowest_period_and_the_margin(variant: Variant) -> None:
    old = bar_rows(np.arange(100.0, 400.0), first="2024-01-01", step="1D", key="NSE_EQ|OLD")
    new = bar_rows(np.arange(100.0, 200.0), first="2024-05-01", step="1D", key="NSE_EQ|NEW")
    candles = bars_daily(pd.concat([old, new], ignore_index=True))
    found = variant.indicators(candles, "day")
    assert _warm_from(found, "NSE_EQ|OLD") == 250, COUNTED_BY_HAND
    assert _warm_from(found, "NSE_EQ|NEW") == 50, COUNTED_BY_HAND
    narrow = IndicatorSettings(warm_margin_bars=10)
    found = variant.indicators(candles, "day", settings=narrow)
    assert _warm_from(found, "NSE_EQ|OLD") == 60
    assert _warm_from(found, "NSE_EQ|NEW") == 50


def test_history_starts_decide_what_a_new_listing_is(variant: Variant) -> None:
    old = bar_rows(np.arange(100.0, 220.0), first="2024-01-01", step="1D", key="NSE_EQ|OLD")
    late = bar_rows(np.arange(100.0, 200.0), first="2024-01-21", step="1D", key="NSE_EQ|LATE")
    candles = bars_daily(pd.concat([old, late], ignore_index=True))
    starts = starts_of(candles)
    assert _warm_from(variant.indicators(candles, "day", starts), "NSE_EQ|LATE") == 50
    assert _warm_from(variant.indicators(candles, "day", starts), "NSE_EQ|OLD") is None

    unnamed = starts[starts["instrument_key"] == "NSE_EQ|OLD"]
    assert _warm_from(variant.indicators(candles, "day", unnamed), "NSE_EQ|LATE") is None

    # Stored before the first bar given: these bars are a part of its life, not the whole of it.
    earlier = starts.assign(
        first_trading_day=[pd.Timestamp("2024-01-10"), pd.Timestamp("2023-06-01")]
    )
    assert earlier["instrument_key"].tolist() == ["NSE_EQ|LATE", "NSE_EQ|OLD"]
    found = variant.indicators(candles, "day", earlier)
    assert _warm_from(found, "NSE_EQ|LATE") == 50
    within = candles[candles["trading_day"] >= pd.Timestamp("2024-01-11")].reset_index(drop=True)
    assert _warm_from(variant.indicators(within, "day", earlier), "NSE_EQ|LATE") is None

    # A series that started with another series' first day is judged within its own series.
    other_series = starts.assign(series="minutes")
    assert _warm_from(variant.indicators(candles, "day", other_series), "NSE_EQ|LATE") is None


def test_five_minute_bars_use_the_start_of_the_minutes_series(variant: Variant) -> None:
    old = bar_rows(np.arange(100.0, 200.0), first="2025-06-02 09:15", key="NSE_EQ|OLD")
    new = bar_rows(np.arange(100.0, 200.0), first="2025-06-03 09:15", key="NSE_EQ|NEW")
    candles = bars_5min(pd.concat([old, new], ignore_index=True))
    starts = pd.DataFrame(
        {
            "instrument_key": ["NSE_EQ|OLD", "NSE_EQ|NEW", "NSE_EQ|NEW"],
            "series": ["minutes", "minutes", "exchange"],
            "first_trading_day": pd.to_datetime(["2025-06-02", "2025-06-03", "2020-01-01"]),
        }
    )
    for history_starts in (starts, starts.iloc[:2], None):
        found = variant.indicators(candles, "5minute", history_starts)
        assert _warm_from(found, "NSE_EQ|NEW") == 50
        assert _warm_from(found, "NSE_EQ|OLD") is None


@pytest.mark.parametrize("timeframe", ["5minute", "day"])
def test_no_candles_give_no_indicators(variant: Variant, timeframe: str) -> None:
    empty = bars_daily(bar_rows([])) if timeframe == "day" else bars_5min(bar_rows([]))
    table = INDICATORS_DAILY if timeframe == "day" else INDICATORS_5MIN
    pd.testing.assert_frame_equal(variant.indicators(empty, timeframe), table.empty())
