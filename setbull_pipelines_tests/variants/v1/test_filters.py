"""V1 of the filters: every way out of every stage, and what the row then says."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from setbull_pipelines.settings import FilterSettings, SequenceSettings
from setbull_pipelines.tables.candles import CANDLES_DAILY
from setbull_pipelines.tables.filters import FILTER_RESULTS
from setbull_pipelines.tables.indicators import INDICATORS_DAILY
from setbull_pipelines.tables.sequence_analysis import SEQUENCE_ANALYSIS
from setbull_pipelines.variants import v1
from setbull_pipelines_tests.variants.v1.daily_frames import AS_OF, DAYS, candles, indicators_of

CALM = (110.0, 110.0)
MAMBA_DAY = (100.0, 110.0)
BULLISH_PRICES = [*[CALM, MAMBA_DAY] * 10, CALM]
"""Ten mamba runs of one day in 21 days, all closes above EMA 50."""
FALL = (100.0, 90.0)
BEARISH_PRICES = [*[(90.0, 90.0), FALL] * 10, (90.0, 90.0)]

STAGE_COLUMNS = {
    "basic": ["close", "average_volume", "basic_threshold", "basic_reason", "basic_passed"],
    "ema": ["ema_50", "ema_deviation", "ema_threshold", "ema_reason", "ema_passed"],
    "rsi": ["rsi", "rsi_threshold", "rsi_reason", "rsi_passed"],
    "mamba": [
        "mamba_ratio",
        "mamba_threshold",
        "mamba_reason",
        "mamba_passed",
        "trend",
        "mamba_count",
        "bullish_mamba_count",
        "bearish_mamba_count",
        "average_mamba_length",
        "average_non_mamba_length",
        "mamba_series",
        "non_mamba_series",
    ],
}


def result_of(
    prices=BULLISH_PRICES,
    *,
    volume=500_000,
    without_analysis: bool = False,
    settings: FilterSettings = FilterSettings(),
    sequence_settings: SequenceSettings = SequenceSettings(),
    **indicator_values,
) -> pd.Series:
    """The one row of ``filter_results`` of a stock with these bars, and the checks that always hold."""
    bars = candles(prices, volume=volume)
    values = indicators_of(bars, **indicator_values)
    moves = v1.moves(bars, values, AS_OF, sequence_settings)
    analysis, _ = v1.sequence_analysis(moves, v1.sequences(moves), sequence_settings)
    if without_analysis:
        analysis = SEQUENCE_ANALYSIS.empty()
    results = v1.filters(bars, values, analysis, AS_OF, settings, sequence_settings)
    FILTER_RESULTS.schema.validate(results)
    assert len(results) == 1
    return results.iloc[0]


def assert_stopped(row: pd.Series, stage: str, verdict: str, reason: str) -> None:
    """The chain ended at ``stage``: the stages before passed, those after left no trace."""
    assert (row["stopped_at"], row["verdict"], row["reason"]) == (stage, verdict, reason)
    stages = list(STAGE_COLUMNS)
    position = stages.index(stage)
    for earlier in stages[:position]:
        assert row[f"{earlier}_passed"]
        assert row[STAGE_COLUMNS[earlier]].notna().all()
    assert row[f"{stage}_reason"] == reason
    if verdict == "rejected":
        assert not row[f"{stage}_passed"]
        required = [name for name in STAGE_COLUMNS[stage] if "average" not in name]
        assert row[required].notna().all()
    else:
        assert pd.isna(row[f"{stage}_passed"])
        assert pd.isna(row[f"{stage}_threshold"])
    for later in stages[position + 1 :]:
        assert row[STAGE_COLUMNS[later]].isna().all()


def test_a_bullish_stock_passes() -> None:
    row = result_of()
    assert (row["verdict"], row["side"], row["series"]) == ("bullish", "BULLISH", "exchange")
    assert pd.isna(row["stopped_at"])
    assert row[["basic_passed", "ema_passed", "rsi_passed", "mamba_passed"]].all()
    assert row["basic_threshold"] == "close 50.00 to 1000.00, average volume at least 400000"
    assert row["basic_reason"] == "close 110.00 and average volume 500000 are in range"
    assert row["ema_reason"] == "close 110.00 is 10.00 % above EMA 50 100.00"
    assert row["rsi_reason"] == "RSI 60.00 confirms BULLISH (limit 50.00)"
    assert row["mamba_reason"] == "10 mamba days of 21, trend BULLISH confirms BULLISH"
    assert row["reason"] == row["mamba_reason"]
    assert row["ema_deviation"] == pytest.approx(0.1)
    assert row["mamba_ratio"] == pytest.approx(10 / 21)
    assert (row["ema_threshold"], row["rsi_threshold"], row["mamba_threshold"]) == (0.03, 50, 0.2)
    counts = row[["mamba_count", "bullish_mamba_count", "bearish_mamba_count"]]
    assert counts.tolist() == [10, 10, 0]
    assert row["mamba_series"] == str([1] * 10)
    assert row["non_mamba_series"] == str([1] * 11)
    assert (row["average_mamba_length"], row["average_non_mamba_length"]) == (1, 1)
    assert (row["profile"], row["trading_day"]) == ("production", AS_OF)


def test_a_bearish_stock_passes() -> None:
    row = result_of(BEARISH_PRICES, rsi=55.0)
    assert (row["verdict"], row["side"]) == ("bearish", "BEARISH")
    assert row["ema_reason"] == "close 90.00 is 10.00 % below EMA 50 100.00"
    assert row["rsi_reason"] == "RSI 55.00 confirms BEARISH (limit 55.00)"
    counts = row[["mamba_count", "bullish_mamba_count", "bearish_mamba_count"]]
    assert counts.tolist() == [10, 0, 10]


REJECTED, NOT_ENOUGH = "rejected", "not enough data"


def one_day_of(close: float) -> list[tuple[float, float]]:
    return [*BULLISH_PRICES[:-1], (close, close)]


@pytest.mark.parametrize(
    ("changes", "stage", "verdict", "reason"),
    [
        (
            {"prices": [CALM] * 9},
            "basic",
            NOT_ENOUGH,
            "9 daily bars in the look-back up to 2025-06-30, 10 needed",
        ),
        ({"prices": one_day_of(49.99)}, "basic", REJECTED, "close 49.99 is below 50.00"),
        ({"prices": one_day_of(1000.05)}, "basic", REJECTED, "close 1000.05 is above 1000.00"),
        # 399,999.9 shares are 399,999 of them.
        (
            {"volume": [500_000] * 11 + [400_000] * 9 + [399_999]},
            "basic",
            REJECTED,
            "average volume 399999 is below 400000",
        ),
        # Of several faults the price is named first.
        ({"prices": one_day_of(10), "volume": 1}, "basic", REJECTED, "close 10.00 is below 50.00"),
        (
            {"is_warm": False, "bars_of_history": 249},
            "ema",
            NOT_ENOUGH,
            "indicators are not warm: 249 daily bars of history",
        ),
        (
            {"rsi": None},
            "ema",
            NOT_ENOUGH,
            "rsi is not known",
        ),
        (
            {"ema_50": float("nan")},
            "ema",
            NOT_ENOUGH,
            "ema_50 is not known",
        ),
        (
            {"prices": one_day_of(103.0)},
            "ema",
            REJECTED,
            "close 103.00 is within 3.00 % of EMA 50 100.00",
        ),
        (
            {"prices": one_day_of(97.0)},
            "ema",
            REJECTED,
            "close 97.00 is within 3.00 % of EMA 50 100.00",
        ),
        (
            {"rsi": 49.994},
            "rsi",
            REJECTED,
            "RSI 49.99 does not confirm BULLISH (limit 50.00)",
        ),
        (
            {"prices": BEARISH_PRICES, "rsi": 55.25},
            "rsi",
            REJECTED,
            "RSI 55.25 does not confirm BEARISH (limit 55.00)",
        ),
        (
            {"without_analysis": True},
            "mamba",
            NOT_ENOUGH,
            "trend is unknown: fewer than 21 daily bars with EMA 50 in the look-back",
        ),
        (
            {"prices": BULLISH_PRICES[-20:]},
            "mamba",
            NOT_ENOUGH,
            "trend is unknown: fewer than 21 daily bars with EMA 50 in the look-back",
        ),
        (
            {"prices": [CALM] * 17 + [MAMBA_DAY] * 4},
            "mamba",
            REJECTED,
            "4 mamba days of 21 are fewer than 20 %",
        ),
        (
            {"settings": replace(FilterSettings(), mamba_ratio=0.7)},
            "mamba",
            REJECTED,
            "10 mamba days of 21 are fewer than 70 %",
        ),
        (
            {"settings": replace(FilterSettings(), minimum_sequence_length=2)},
            "mamba",
            REJECTED,
            "no run of 2 days or more",
        ),
        (
            {"prices": [CALM] * 7 + [MAMBA_DAY] * 3 + [CALM] * 7 + [MAMBA_DAY] * 4},
            "mamba",
            REJECTED,
            "2 long gaps for 2 mamba runs, at most 0 allowed",
        ),
        (
            {"prices": BULLISH_PRICES, "ema_50": [111.0] * 20 + [100.0]},
            "mamba",
            REJECTED,
            "0 mamba days of 21 are fewer than 20 %",
        ),
        (
            {
                "prices": [*BEARISH_PRICES[:-1], (120.0, 120.0)],
                "ema_50": 100.0,
            },
            "mamba",
            REJECTED,
            "trend BEARISH does not confirm BULLISH",
        ),
    ],
)
def test_every_way_out(changes: dict, stage: str, verdict: str, reason: str) -> None:
    assert_stopped(result_of(**changes), stage, verdict, reason)


def test_limits_themselves_pass() -> None:
    for close in (50.0, 1000.0):
        row = result_of(one_day_of(close), volume=[500_000] * 11 + [400_000] * 10)
        assert row["basic_passed"]
        assert row["average_volume"] == 400_000
    assert result_of(rsi=50.0)["rsi_passed"]
    five_days = [CALM] * 16 + [MAMBA_DAY] * 5
    assert result_of(five_days)["verdict"] == "bullish"  # 5 / 21 >= 0.2, one long gap, one run


def test_a_single_mamba_run_may_have_long_gaps_and_three_runs_one() -> None:
    three_runs = [CALM] * 7 + [*[MAMBA_DAY] * 2, CALM] * 2 + [MAMBA_DAY] * 8
    assert len(three_runs) == 21
    row = result_of(three_runs)
    assert (row["mamba_series"], row["verdict"]) == ("[2, 2, 8]", "bullish")


def test_columns_known_before_the_stop_are_kept() -> None:
    cold = result_of(is_warm=False)
    assert (cold["close"], cold["ema_50"]) == (110, 100)
    assert cold["ema_deviation"] == pytest.approx(0.1)
    assert pd.isna(cold["side"])
    few = result_of([CALM] * 9)
    assert few["close"] == 110
    assert pd.isna(few["average_volume"])
    short = result_of(BULLISH_PRICES[-20:])
    assert (short["trend"], short["mamba_count"], short["mamba_ratio"]) == ("NEUTRAL", 0, 0)
    assert short["non_mamba_series"] == "[20]"
    assert pd.isna(short["average_mamba_length"])


def test_an_instrument_without_a_bar_on_the_day() -> None:
    earlier = candles(BULLISH_PRICES)
    earlier = earlier[earlier["trading_day"] < AS_OF]
    other = candles(BULLISH_PRICES, key="NSE_EQ|B")
    bars = pd.concat([other, earlier])
    row = v1.filters(bars, indicators_of(bars), SEQUENCE_ANALYSIS.empty(), AS_OF).iloc[0]
    assert row["instrument_key"] == "NSE_EQ|A"
    assert_stopped(row, "basic", NOT_ENOUGH, "data is stale: expected 2025-06-30, have 2025-06-27")
    assert pd.isna(row["series"])
    assert pd.isna(row["close"])


def test_nothing_later_than_the_day_is_seen() -> None:
    bars = pd.concat([candles(BULLISH_PRICES), candles([CALM], key="NSE_EQ|LATER")])
    values = indicators_of(bars)
    moves = v1.moves(bars, values, AS_OF)
    analysis_of_later_day, _ = v1.sequence_analysis(moves, v1.sequences(moves))
    day = DAYS[-2]
    results = v1.filters(bars, values, analysis_of_later_day, day)
    assert results["instrument_key"].tolist() == ["NSE_EQ|A"]
    assert results["reason"].tolist() == [
        "trend is unknown: fewer than 21 daily bars with EMA 50 in the look-back"
    ]
    alone = bars[bars["trading_day"] <= day]
    until_then = v1.filters(alone, indicators_of(alone), SEQUENCE_ANALYSIS.empty(), day)
    pd.testing.assert_frame_equal(results, until_then)


def test_a_bar_without_a_row_of_indicators_is_not_warm() -> None:
    bars = candles(BULLISH_PRICES)
    row = v1.filters(bars, INDICATORS_DAILY.empty(), SEQUENCE_ANALYSIS.empty(), AS_OF).iloc[0]
    assert_stopped(row, "ema", NOT_ENOUGH, "indicators are not warm: 0 daily bars of history")


def test_row_order_changes_nothing() -> None:
    bars = pd.concat([candles(BULLISH_PRICES), candles(BEARISH_PRICES, key="NSE_EQ|B")])
    values = indicators_of(bars, rsi=52.0)
    moves = v1.moves(bars, values, AS_OF)
    analysis, _ = v1.sequence_analysis(moves, v1.sequences(moves))
    results = v1.filters(bars, values, analysis, AS_OF)
    assert results["verdict"].tolist() == ["bullish", "bearish"]
    shuffled = (frame.sample(frac=1, random_state=4) for frame in (bars, values, analysis))
    pd.testing.assert_frame_equal(v1.filters(*shuffled, AS_OF), results)


def test_nothing_in_gives_nothing_out() -> None:
    results = v1.filters(
        CANDLES_DAILY.empty(), INDICATORS_DAILY.empty(), SEQUENCE_ANALYSIS.empty(), AS_OF
    )
    pd.testing.assert_frame_equal(results, FILTER_RESULTS.empty())


def test_stale_data_names_the_last_bar_of_either_series() -> None:
    exchange = candles(BULLISH_PRICES)
    exchange = exchange[exchange["trading_day"] < AS_OF - pd.Timedelta(days=5)]
    minutes = candles(BULLISH_PRICES).assign(series="minutes")
    minutes = minutes[minutes["trading_day"] < AS_OF]
    bars = pd.concat([exchange, minutes])
    row = v1.filters(bars, indicators_of(bars), SEQUENCE_ANALYSIS.empty(), AS_OF).iloc[0]
    expected = minutes["trading_day"].max()
    assert row["reason"] == f"data is stale: expected 2025-06-30, have {expected:%Y-%m-%d}"
    assert pd.isna(row["series"])
    assert pd.isna(row["close"])
