"""Which columns each column of a computed table takes its values from.

Belongs here: one entry per computed table. The column lineage of the UI is derived from it, and a test disturbs every
input column to see that no value follows one that is not named here. Does not belong here: the formulas (column
descriptions, ``variants/protocol.py``), which tables a step reads (``pipeline/steps.py``).

Columns that only choose rows are named where they choose a row as a whole (its key), not at each of its values. A
column that repeats a setting names the columns that the setting is held against.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from setbull_pipelines.tables.indicators import PERIODS


class Source(NamedTuple):
    """A column that values are taken from, in a table of the same variant or of ``raw``."""

    table: str
    column: str


Sources = tuple[Source, ...]


def _from(table: str, columns: str) -> Sources:
    return tuple(Source(table, column) for column in columns.split())


def _same(table: str, columns: str) -> dict[str, Sources]:
    """Columns that are those of ``table``, under the same name."""
    return {column: _from(table, column) for column in columns.split()}


def _each(columns: str, *sources: Sources) -> dict[str, Sources]:
    """Columns that all come from the same sources."""
    together = tuple(dict.fromkeys(source for some in sources for source in some))
    return dict.fromkeys(columns.split(), together)


_PRICES = "open high low close"
_ADJUSTMENT = _from("corporate_actions", "ex_date ratio")
"""Of values from earlier days, in prices and share counts of the as-of day."""

_MINUTES, _HISTORY = "candles_1min", "candles_daily_history"
_AGGREGATED = f"{_PRICES} volume open_interest"
_MINUTES_EXPECTED = _from(_MINUTES, "timestamp session_shape")

_CANDLES_5MIN = {
    **_same(_MINUTES, f"instrument_key timestamp trading_day {_AGGREGATED}"),
    **_each("minutes_traded", _from(_MINUTES, "timestamp volume")),
    **_each("minutes_present", _from(_MINUTES, "timestamp")),
    **_each("minutes_expected is_complete", _MINUTES_EXPECTED),
}

_CANDLES_DAILY = {
    **{
        name: _from(_MINUTES, name) + _from(_HISTORY, name)
        for name in f"instrument_key timestamp trading_day {_AGGREGATED}".split()
    },
    **_each("series", _from(_MINUTES, "trading_day"), _from(_HISTORY, "trading_day")),
    **_each("minutes_traded", _from(_MINUTES, "timestamp volume")),
    **_each("minutes_present", _from(_MINUTES, "timestamp")),
    **_each("minutes_expected is_complete", _MINUTES_EXPECTED),
}


_EXPONENTIAL = " ".join(f"ema_{period}" for period in PERIODS.exponential)


def _indicators(candles: str, keys: str) -> dict[str, Sources]:
    return {
        **_same(candles, keys),
        **_each(
            f"ma_9 {_EXPONENTIAL} rsi bb_upper bb_middle bb_lower bb_width "
            "bb_width_normalized bb_width_normalized_percentage",
            _from(candles, "close"),
            _ADJUSTMENT,
        ),
        **_each("atr", _from(candles, "high low close"), _ADJUSTMENT),
        **_each("volume_ma_10", _from(candles, "volume"), _ADJUSTMENT),
        **_each("bars_of_history", _from(candles, "timestamp")),
        **_each(
            "is_warm", _from(candles, "timestamp"), _from("coverage", "first_trading_day series")
        ),
    }


_INDICATORS_5MIN = {
    **_indicators("candles_5min", "instrument_key timestamp trading_day"),
    **_each("vwap", _from("candles_5min", "high low close volume")),
}

_INDICATORS_DAILY = {
    **_indicators("candles_daily", "instrument_key series timestamp trading_day"),
    **_each(
        "unexplained_gap unexplained_gap_day",
        _from("candles_daily", "open close trading_day"),
        _ADJUSTMENT,
        _from("corporate_actions", "kind"),
    ),
}

_BANDS = "indicators_5min"
_WIDTHS = _from(_BANDS, "timestamp bb_width")

_BB_WIDTH_DAILY = {
    **_same(_BANDS, "instrument_key trading_day"),
    **_each("bars", _from(_BANDS, "timestamp")),
    **_each(
        "bands p10_bb_width p15_bb_width p20_bb_width p25_bb_width p50_bb_width mean_bb_width "
        "min_bb_width max_bb_width",
        _from(_BANDS, "bb_width"),
    ),
}

_LOWEST = _from("bb_width_daily", "trading_day bands p10_bb_width min_bb_width") + _ADJUSTMENT
"""What the lowest width of the look-back, and all that is held against it, comes from."""

_BB_WIDTH_ALERTS = {
    **_same(_BANDS, "instrument_key trading_day"),
    **_each("look_back_sessions", _from("bb_width_daily", "trading_day bands")),
    **_each("lowest_bb_day lowest_bb_width lowest_bb_width_absolute", _LOWEST),
    **_each("last_band bb_width contracting_bands bb_width_trend pattern_strength", _WIDTHS),
    **_each(
        "distance_from_lowest_percent candles_in_range is_squeeze alert_rule alert_bar "
        "alert_bb_width alert_distance_percent alerting_bands",
        _WIDTHS,
        _LOWEST,
    ),
}

_DAY = "candles_daily"
_OF_DAY = "indicators_daily"
_EMA = _from(_OF_DAY, "ema_50")

_MOVES_DAILY = {
    **_same(_DAY, "instrument_key trading_day"),
    **_each("move_day", _from(_DAY, "trading_day")),
    **_each("series", _from(_DAY, "series"), _from(_OF_DAY, "is_warm")),
    **{name: _from(_DAY, name) + _ADJUSTMENT for name in f"{_PRICES} volume".split()},
    **_each("ema_50", _EMA, _ADJUSTMENT),
    **_each("is_above_ema trend", _from(_DAY, "close"), _EMA, _ADJUSTMENT),
    **_each("move_percent is_bullish", _from(_DAY, "open close"), _ADJUSTMENT),
    **_each("strength", _from(_DAY, "open close volume"), _ADJUSTMENT),
    **_each("is_mamba mamba_strength", _from(_DAY, "open close volume"), _EMA, _ADJUSTMENT),
}

_MOVES = "moves_daily"
_RUN = _from(_MOVES, "is_mamba")

_SEQUENCES = {
    **_same(_MOVES, "instrument_key trading_day series"),
    **_each("sequence_number kind length", _RUN),
    **_each("start_day end_day gap_days_to_next", _from(_MOVES, "move_day"), _RUN),
    **_each("strength", _from(_MOVES, "mamba_strength"), _RUN),
    **_each("return_percent", _from(_MOVES, "open close"), _RUN),
    **_each("total_volume", _from(_MOVES, "volume"), _RUN),
}

_RUNS = "sequences"
_ORDER = _from(_RUNS, "sequence_number")
_KINDS = _from(_RUNS, "kind")
_LENGTHS = _from(_RUNS, "kind length")
_SCORES = _from(_RUNS, "kind strength")

_SEQUENCE_ANALYSIS = {
    **_same(_MOVES, "instrument_key trading_day series trend"),
    **_each("trend_reason days", _from(_MOVES, "move_day ema_50")),
    **_each("start_day end_day", _from(_MOVES, "move_day")),
    **_each("days_above_ema days_below_ema trend_percent", _from(_MOVES, "close ema_50")),
    **_each("mamba_days non_mamba_days", _RUN),
    **_each("sequences", _ORDER),
    **_each("mamba_sequences non_mamba_sequences", _KINDS),
    **_each("mamba_series non_mamba_series", _LENGTHS, _ORDER),
    **_each(
        "longest_mamba_sequence long_gaps average_mamba_length average_non_mamba_length",
        _LENGTHS,
    ),
    **_each("current_kind", _KINDS, _ORDER),
    **_each("current_length", _from(_RUNS, "length"), _ORDER),
    **_each("length_score consistency_score", _LENGTHS),
    **_each("strength_score", _SCORES),
    **_each("quality_score", _from(_RUNS, "kind length strength")),
    **_each("continuity_score", _from(_RUNS, "gap_days_to_next"), _ORDER),
    **_each("predictive_score", _KINDS, _ORDER),
    **_each("momentum_score", _from(_RUNS, "strength"), _ORDER),
    **_each(
        "volume_average volume_trend volume_trend_relative volume_consistency",
        _from(_MOVES, "volume"),
    ),
    **_each("volume_strength", _from(_MOVES, "volume"), _from(_RUNS, "kind length total_volume")),
    **_each("dominant_pattern", _from(_RUNS, "kind length strength"), _ORDER),
    **_each(
        "dominant_by_continuation",
        _from(_RUNS, "kind length strength return_percent"),
        _ORDER,
        _from(_MOVES, "trend"),
    ),
}

_RANKED = _from(_RUNS, "kind length strength")
"""What puts the patterns in order, and so decides which of them a row is about."""

_SEQUENCE_PATTERNS = {
    **_same(_RUNS, "instrument_key trading_day"),
    **_each("pattern_rank kind length frequency strength", _RANKED),
    **_each("average_gap_days", _from(_RUNS, "gap_days_to_next"), _RANKED, _ORDER),
    **_each("average_return_percent", _from(_RUNS, "return_percent"), _RANKED),
    **_each("success_rate", _RANKED, _ORDER),
    **_each(
        "continuation_rate",
        _from(_RUNS, "return_percent"),
        _RANKED,
        _ORDER,
        _from(_MOVES, "trend"),
    ),
}

_ANALYSIS = "sequence_analysis"
_AVERAGE_VOLUME = _from(_DAY, "volume") + _ADJUSTMENT
_BASIC = _from(_DAY, "trading_day close") + _AVERAGE_VOLUME + _from(_OF_DAY, "unexplained_gap")
_EMA_STAGE = _from(_DAY, "close") + _from(_OF_DAY, "ema_50 is_warm bars_of_history")
_RSI_STAGE = _from(_OF_DAY, "rsi")
_MAMBA_DAYS = _from(_ANALYSIS, "mamba_days")
_MAMBA_STAGE = _from(
    _ANALYSIS,
    "mamba_days current_length longest_mamba_sequence mamba_sequences long_gaps trend trend_reason",
)

_FILTER_RESULTS = {
    **_same(_DAY, "instrument_key trading_day close"),
    **_each("profile", _from(_DAY, "instrument_key")),
    **_each("series", _from(_DAY, "series"), _from(_OF_DAY, "is_warm")),
    **_each("verdict stopped_at reason", _BASIC, _EMA_STAGE, _RSI_STAGE, _MAMBA_STAGE),
    **_each("side", _EMA_STAGE),
    **_each("basic_passed basic_reason", _BASIC),
    **_each("average_volume", _AVERAGE_VOLUME),
    **_each("basic_threshold", _from(_DAY, "close volume")),
    **_each("ema_passed ema_reason", _EMA_STAGE),
    **_same(_OF_DAY, "ema_50 rsi"),
    **_each("ema_deviation ema_threshold", _from(_DAY, "close"), _EMA),
    **_each("rsi_passed rsi_reason", _RSI_STAGE, _EMA_STAGE),
    **_each("rsi_threshold", _RSI_STAGE, _EMA_STAGE),
    **_each("mamba_passed mamba_reason", _MAMBA_STAGE, _EMA_STAGE),
    **_each("mamba_ratio mamba_threshold mamba_count", _MAMBA_DAYS),
    **_each("bullish_mamba_count bearish_mamba_count", _from(_ANALYSIS, "mamba_days trend")),
    **_same(
        _ANALYSIS,
        "trend average_mamba_length average_non_mamba_length mamba_series non_mamba_series",
    ),
}

LINEAGE: Mapping[str, Mapping[str, Sources]] = {
    "candles_5min": _CANDLES_5MIN,
    "candles_daily": _CANDLES_DAILY,
    "indicators_5min": _INDICATORS_5MIN,
    "indicators_daily": _INDICATORS_DAILY,
    "bb_width_daily": _BB_WIDTH_DAILY,
    "bb_width_alerts": _BB_WIDTH_ALERTS,
    "moves_daily": _MOVES_DAILY,
    "sequences": _SEQUENCES,
    "sequence_analysis": _SEQUENCE_ANALYSIS,
    "sequence_patterns": _SEQUENCE_PATTERNS,
    "filter_results": _FILTER_RESULTS,
}
"""By the name of the computed table and of its column."""

_LISTED = "stock_groups"
_ENTRY_TYPE = _from(_LISTED, "entry_type")
"""Decides at which bar a plan is made."""
_RANGE = _ENTRY_TYPE + _from("candles_5min", "timestamp high low")
_BEFORE = _from(_OF_DAY, "series trading_day is_warm bars_of_history")
"""Which daily bar is used, and whether its indicators may be."""
_DAILY_ATR = _from(_OF_DAY, "atr") + _BEFORE
_SIDE = _from(_LISTED, "direction") + _from(_DAY, "close") + _from(_OF_DAY, "ema_50") + _BEFORE
_ENTRY = _RANGE + _SIDE
_STOP = _ENTRY + _from(_LISTED, "stop_loss_percent")
_LEGS = _STOP + _from(_LISTED, "position_type")

PLAN_LINEAGE: Mapping[str, Sources] = {
    **_same(_LISTED, "group_id instrument_key entry_type stop_loss_percent position_type"),
    **_same("candles_5min", "trading_day"),
    **_each("entry_time risk", _ENTRY_TYPE),
    **_each("is_planned reason", _STOP),
    **_each("direction", _SIDE),
    **_each("indicators_day", _from(_DAY, "trading_day"), _from(_OF_DAY, "trading_day")),
    **_each("morning_range", _RANGE),
    **_each("daily_atr", _DAILY_ATR, _ENTRY_TYPE),
    **_each(
        "atr_to_morning_range range_reason",
        _RANGE,
        _DAILY_ATR,
        _from("corporate_actions", "ex_date"),
    ),
    **_each("entry_price", _ENTRY),
    **_each("stop_price risk_per_share", _STOP),
    **_each("quantity", _STOP),
    **_each("level_1_25 level_1_5 level_1_75 level_2", _STOP),
    **_each("quantity_1 quantity_1_25 quantity_1_5 quantity_1_75 quantity_2", _LEGS),
}
"""Of the plan of the stock groups, from raw and served tables."""
