"""V2 filters: every way through the chain, with verdict, columns and wording."""

from __future__ import annotations

import pandas as pd
import pytest

from setbull_pipelines.settings import FilterSettings
from setbull_pipelines.tables import (
    CANDLES_DAILY,
    FILTER_RESULTS,
    INDICATORS_DAILY,
    SEQUENCE_ANALYSIS,
)
from setbull_pipelines.variants import v2
from setbull_pipelines_tests.variants.v2.frames import STOCK, bars, shuffled

AS_OF = pd.Timestamp("2025-06-30")
MAMBA_COLUMNS = ["mamba_ratio", "mamba_count", "trend", "mamba_series", "average_mamba_length"]


def indicator_row(
    ema_50: float = 100.0,
    rsi: float = 60.0,
    is_warm: bool = True,
    series: str = "exchange",
    instrument: str = STOCK,
) -> pd.DataFrame:
    candles = bars([1.0], series=series, instrument=instrument)
    frame = candles[["instrument_key", "series", "timestamp", "trading_day"]].assign(
        ema_50=ema_50, rsi=rsi, is_warm=is_warm, bars_of_history=120
    )
    return INDICATORS_DAILY.conform(frame.reindex(columns=INDICATORS_DAILY.column_names))


def analysis_row(instrument: str = STOCK, **changes: object) -> pd.DataFrame:
    texts = {
        "series": "exchange",
        "trend": "BULLISH",
        "mamba_series": "[3, 2]",
        "non_mamba_series": "[9, 7]",
        "current_kind": "MAMBA",
        "trend_reason": None,
        "dominant_pattern": None,
        "dominant_by_continuation": None,
    }
    counts = {"mamba_days": 5, "mamba_sequences": 2, "long_gaps": 0, "current_length": 2}
    counts |= {"longest_mamba_sequence": 3, "average_mamba_length": 2.5}
    days = dict.fromkeys(("trading_day", "start_day", "end_day"), AS_OF)
    row = dict.fromkeys(SEQUENCE_ANALYSIS.column_names, 0) | texts | counts | days
    return SEQUENCE_ANALYSIS.conform(pd.DataFrame([row | {"instrument_key": instrument} | changes]))


def candles(close: float = 110.0, volume: int = 500_000, days: int = 10, **more) -> pd.DataFrame:
    return bars([close] * days, volume=[volume] * days, **more)


def verdict(
    daily: pd.DataFrame | None = None,
    indicators: pd.DataFrame | None = None,
    analysis: pd.DataFrame | None = None,
    settings: FilterSettings = FilterSettings(),
) -> pd.Series:
    result = v2.filters(
        candles() if daily is None else daily,
        indicator_row() if indicators is None else indicators,
        analysis_row() if analysis is None else analysis,
        AS_OF,
        settings,
    )
    FILTER_RESULTS.schema.validate(result)
    assert len(result) == 1
    return result.iloc[0]


def columns_of(stage: str) -> list[str]:
    return [f"{stage}_passed", f"{stage}_reason"]


def test_bullish_through_all_stages() -> None:
    row = verdict()
    assert (row["verdict"], row["side"], row["series"]) == ("bullish", "BULLISH", "exchange")
    assert pd.isna(row["stopped_at"])
    assert row[[f"{stage}_passed" for stage in ("basic", "ema", "rsi", "mamba")]].all()
    assert row["basic_reason"] == "close 110.00 and average volume 500000 are in range"
    assert row["basic_threshold"] == "close 50.00 to 1000.00, average volume at least 400000"
    assert row["ema_reason"] == "close 110.00 is 10.00 % above EMA 50 100.00"
    assert row["rsi_reason"] == "RSI 60.00 confirms BULLISH (limit 50.00)"
    assert row["mamba_reason"] == "5 mamba days of 21, trend BULLISH confirms BULLISH"
    assert row["reason"] == row["mamba_reason"]
    assert row["ema_deviation"] == pytest.approx(0.1)
    assert row["mamba_ratio"] == pytest.approx(5 / 21)
    assert (row["ema_threshold"], row["rsi_threshold"], row["mamba_threshold"]) == (0.03, 50, 0.2)
    counts = row[["mamba_count", "bullish_mamba_count", "bearish_mamba_count"]]
    assert counts.tolist() == [5, 5, 0]
    assert (row["mamba_series"], row["non_mamba_series"]) == ("[3, 2]", "[9, 7]")


def test_bearish_through_all_stages() -> None:
    row = verdict(candles(90.0), indicator_row(rsi=55.0), analysis_row(trend="BEARISH"))
    assert (row["verdict"], row["side"]) == ("bearish", "BEARISH")
    assert row["ema_reason"] == "close 90.00 is 10.00 % below EMA 50 100.00"
    assert row["rsi_reason"] == "RSI 55.00 confirms BEARISH (limit 55.00)"
    assert (row["bullish_mamba_count"], row["bearish_mamba_count"]) == (0, 5)


def test_the_share_of_mamba_days_that_is_asked_for_is_told() -> None:
    row = verdict(settings=FilterSettings(mamba_ratio=0.7))
    assert row["reason"] == "5 mamba days of 21 are fewer than 70 %"


def test_no_bar_on_the_day() -> None:
    row = verdict(candles(last_day="2025-06-27"))
    assert (row["verdict"], row["stopped_at"]) == ("not enough data", "basic")
    assert (
        row["reason"]
        == row["basic_reason"]
        == "data is stale: expected 2025-06-30, have 2025-06-27"
    )
    empty = ["series", "side", "close", "average_volume", "basic_passed", "basic_threshold"]
    assert row[[*empty, *columns_of("ema"), *columns_of("rsi"), *columns_of("mamba")]].isna().all()


def test_too_few_bars() -> None:
    row = verdict(candles(days=9))
    assert (row["verdict"], row["stopped_at"]) == ("not enough data", "basic")
    assert row["reason"] == "9 daily bars in the look-back up to 2025-06-30, 10 needed"
    assert row["close"] == 110
    assert row[["basic_passed", "average_volume"]].isna().all()


@pytest.mark.parametrize(
    ("close", "volume", "reason"),
    [
        (49.99, 1, "close 49.99 is below 50.00"),
        (1000.05, 1, "close 1000.05 is above 1000.00"),
        (50.0, 399_999, "average volume 399999 is below 400000"),
    ],
)
def test_basic_rejects_in_order(close: float, volume: int, reason: str) -> None:
    row = verdict(candles(close, volume))
    assert (row["verdict"], row["stopped_at"]) == ("rejected", "basic")
    assert row["reason"] == row["basic_reason"] == reason
    assert row["basic_passed"] is False or not row["basic_passed"]
    assert row["average_volume"] == volume
    assert row[["ema_50", "side", *columns_of("ema")]].isna().all()


def test_average_volume_is_rounded_down_over_the_last_days() -> None:
    daily = bars([110.0] * 12, volume=[9_999_999] * 2 + [400_000] * 9 + [400_009])
    assert verdict(daily)["average_volume"] == 400_000


@pytest.mark.parametrize(
    ("indicators", "reason"),
    [
        (indicator_row(is_warm=False), "indicators are not warm: 120 daily bars of history"),
        (indicator_row(rsi=float("nan")), "rsi is not known"),
        (indicator_row(ema_50=float("nan")), "ema_50 is not known"),
    ],
)
def test_cold_indicators(indicators: pd.DataFrame, reason: str) -> None:
    row = verdict(indicators=indicators)
    assert (row["verdict"], row["stopped_at"]) == ("not enough data", "ema")
    assert row["reason"] == reason
    assert row["basic_passed"]
    assert row[["ema_passed", "ema_threshold", "side", "rsi", *columns_of("rsi")]].isna().all()


def test_no_indicators_at_all() -> None:
    row = verdict(indicators=INDICATORS_DAILY.empty())
    assert (row["verdict"], row["stopped_at"]) == ("not enough data", "ema")


def test_close_to_the_ema() -> None:
    row = verdict(candles(102.0))
    assert (row["verdict"], row["stopped_at"]) == ("rejected", "ema")
    assert row["reason"] == "close 102.00 is within 3.00 % of EMA 50 100.00"
    assert row["ema_deviation"] == pytest.approx(0.02)
    assert row[["side", "rsi", "rsi_passed"]].isna().all()


@pytest.mark.parametrize(
    ("close", "rsi", "reason"),
    [
        (110.0, 49.99, "RSI 49.99 does not confirm BULLISH (limit 50.00)"),
        (90.0, 55.01, "RSI 55.01 does not confirm BEARISH (limit 55.00)"),
    ],
)
def test_rsi_against_the_side(close: float, rsi: float, reason: str) -> None:
    row = verdict(candles(close), indicator_row(rsi=rsi))
    assert (row["verdict"], row["stopped_at"], row["reason"]) == ("rejected", "rsi", reason)
    assert row["rsi"] == rsi
    assert row[[*columns_of("mamba"), *MAMBA_COLUMNS]].isna().all()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"mamba_days": 4}, "4 mamba days of 21 are fewer than 20 %"),
        ({"current_length": 0, "longest_mamba_sequence": 0}, "no run of 1 days or more"),
        ({"long_gaps": 1}, "1 long gaps for 2 mamba runs, at most 0 allowed"),
        ({"long_gaps": 3, "mamba_sequences": 6}, "3 long gaps for 6 mamba runs, at most 2 allowed"),
        ({"trend": "NEUTRAL"}, "trend NEUTRAL does not confirm BULLISH"),
        ({"trend": "BEARISH", "mamba_days": 0}, "0 mamba days of 21 are fewer than 20 %"),
    ],
)
def test_mamba_rejects_in_order(changes: dict[str, object], reason: str) -> None:
    row = verdict(analysis=analysis_row(**changes))
    assert (row["verdict"], row["stopped_at"], row["reason"]) == ("rejected", "mamba", reason)
    assert not row["mamba_passed"]
    assert row["mamba_threshold"] == 0.2
    assert row[MAMBA_COLUMNS].notna().all()


@pytest.mark.parametrize(
    "changes", [{"long_gaps": 1, "mamba_sequences": 1}, {"long_gaps": 2, "mamba_sequences": 6}]
)
def test_long_gaps_that_are_allowed(changes: dict[str, object]) -> None:
    assert verdict(analysis=analysis_row(**changes))["verdict"] == "bullish"


def test_unknown_trend() -> None:
    reason = "trend is unknown: fewer than 21 daily bars with EMA 50 in the look-back"
    cold = analysis_row(trend="NEUTRAL", trend_reason="insufficient_history")
    row = verdict(analysis=cold)
    assert (row["verdict"], row["stopped_at"], row["reason"]) == (
        "not enough data",
        "mamba",
        reason,
    )
    assert row[["mamba_passed", "mamba_threshold"]].isna().all()
    assert row["trend"] == "NEUTRAL"
    for analysis in (
        SEQUENCE_ANALYSIS.empty(),
        analysis_row(trading_day=pd.Timestamp("2025-06-27")),
    ):
        row = verdict(analysis=analysis)
        assert (row["verdict"], row["reason"]) == ("not enough data", reason)
        assert row[MAMBA_COLUMNS].isna().all()


def test_settings_are_used() -> None:
    strict = FilterSettings(
        profile="strict", minimum_close=120.0, minimum_average_volume=1, volume_days=3
    )
    row = verdict(settings=strict)
    assert row["profile"] == "strict"
    assert row["reason"] == "close 110.00 is below 120.00"
    assert row["basic_threshold"] == "close 120.00 to 1000.00, average volume at least 1"


def test_minutes_series_steps_in() -> None:
    both = pd.concat([candles(), candles(120.0, series="minutes")])
    indicators = pd.concat([indicator_row(is_warm=False), indicator_row(series="minutes")])
    row = verdict(both, indicators)
    assert (row["series"], row["close"], row["verdict"]) == ("minutes", 120, "bullish")


def test_many_instruments_in_any_order_and_no_look_ahead() -> None:
    keys = [f"NSE_EQ|INE{number:03d}A01010" for number in range(25)]
    daily = pd.concat(
        [
            bars(
                [42.0 + 5 * number] * 14,
                volume=[396_000 + 1_000 * number] * 14,
                instrument=key,
                last_day="2025-07-04" if number % 6 else "2025-06-27",
            )
            for number, key in enumerate(keys)
        ]
    )
    indicators = pd.concat(
        [indicator_row(rsi=70.0 - 2 * number, instrument=key) for number, key in enumerate(keys)]
    )
    analysis = pd.concat(
        [
            analysis_row(key, mamba_days=number % 9, trend=("BULLISH", "BEARISH")[number % 2])
            for number, key in enumerate(keys)
        ]
    )
    together = v2.filters(daily, indicators, analysis, AS_OF)
    FILTER_RESULTS.schema.validate(together)
    assert together["instrument_key"].tolist() == keys
    assert set(together["stopped_at"].dropna()) == {"basic", "ema", "rsi", "mamba"}
    mixed = v2.filters(shuffled(daily), shuffled(indicators), shuffled(analysis), AS_OF)
    pd.testing.assert_frame_equal(mixed, together, check_exact=True)
    known = daily[daily["trading_day"] <= AS_OF]
    pd.testing.assert_frame_equal(
        v2.filters(known, indicators, analysis, AS_OF), together, check_exact=True
    )
    alone = pd.concat(
        [
            v2.filters(daily[daily["instrument_key"] == key], indicators, analysis, AS_OF)
            for key in keys
        ],
        ignore_index=True,
    )
    pd.testing.assert_frame_equal(alone, together, check_exact=True)


def test_nothing_in_nothing_out() -> None:
    arguments = (INDICATORS_DAILY.empty(), SEQUENCE_ANALYSIS.empty(), AS_OF)
    pd.testing.assert_frame_equal(
        v2.filters(CANDLES_DAILY.empty(), *arguments), FILTER_RESULTS.empty()
    )
    future = candles(last_day="2025-07-31")
    pd.testing.assert_frame_equal(v2.filters(future, *arguments), FILTER_RESULTS.empty())


def test_stale_data_names_the_last_bar_of_either_series() -> None:
    old = candles(last_day="2025-06-20")
    newer = candles(last_day="2025-06-26").assign(series="minutes")
    row = verdict(pd.concat([old, newer]))
    assert row["reason"] == "data is stale: expected 2025-06-30, have 2025-06-26"
    later = candles(last_day="2025-07-02").assign(series="minutes").tail(1)
    assert verdict(pd.concat([old, later]))["reason"].endswith("have 2025-06-20")
