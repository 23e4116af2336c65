"""What the settings of the replaced Go service are called here.

Belongs here: every key, flag and environment variable of that service, whether it was read or not, and its setting here
or what takes its place. Does not belong here: its tables and endpoints (``docs/migration.md``).
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Former(NamedTuple):
    """Keys of the old service with one meaning, and what they are here."""

    block: str
    names: tuple[str, ...]
    now: tuple[str, ...]
    """Settings, ``group.name``; none where something else takes their place."""
    remark: str = ""


_FLAGS, _VARIABLES, _HISTORY = "features", "environment", "historical data"
_BASIC, _EMA, _RSI, _MAMBA = ("filters: basic", "filters: EMA", "filters: RSI", "filters: mamba")
_MONITOR, _DASHBOARD = "band-width monitor", "band-width dashboard"
_PHASES, _TRIGGERS = "rollout phases", "alerts and rollback triggers"
_ENGINE, _GROUPS, _OTHERS = "analytics engine and caches", "stock groups", "others"

FORMER = (
    Former(
        _FLAGS,
        ("use_dataframe_aggregation", "candle_aggregation_v2"),
        (),
        "component `aggregation` of the rollout (`setbull rollout`); the first name is the salt of its cohorts",
    ),
    Former(
        _FLAGS,
        ("use_gonum_indicators", "technical_indicators_v2"),
        (),
        "component `indicators` of the rollout; the first name is the salt of its cohorts",
    ),
    Former(
        _FLAGS,
        ("use_sequence_analyzer_v2", "sequence_analyzer_v2"),
        (),
        "component `sequences` of the rollout; the first name is the salt of its cohorts",
    ),
    Former(
        _FLAGS,
        ("enable_indicator_caching", "cache_ttl_minutes"),
        (),
        "none: nothing expires, a partition is current or out of date",
    ),
    Former(
        _VARIABLES,
        ("USE_OPTIMIZED_ANALYTICS",),
        ("rollout.kill",),
        "off is `kill = true`, or `SETBULL_KILL_V2=1`: V1 serves, at once",
    ),
    Former(
        _VARIABLES,
        ("ROLLOUT_PERCENTAGE",),
        ("rollout.highest_automatic_stage",),
        "0, 10, 50, 100 are the stages `shadow`, `10`, `50`, `100`, per instrument and not per request; murmur3 "
        "instead of the 31-multiplier hash",
    ),
    Former(
        _VARIABLES, ("FALLBACK_TO_V1_ON_ERROR",), (), "always; counted in `operations.failures`"
    ),
    Former(_VARIABLES, ("ENABLE_DETAILED_METRICS",), (), "always: `operations.processing_metrics`"),
    Former(
        _VARIABLES, ("CACHE_ENABLED",), ("processing.decoded_cache_mib",), "0 keeps nothing decoded"
    ),
    Former(
        _VARIABLES,
        ("MAX_CACHE_SIZE",),
        ("processing.decoded_cache_mib", "storage.intermediate_limit_mib"),
        "memory and disk are two limits",
    ),
    Former(
        _VARIABLES, ("CONCURRENCY_ENABLED", "WORKER_POOL_SIZE"), ("processing.workers",), "1 is off"
    ),
    Former(_HISTORY, ("maxConcurrentRequests",), ("upstox.concurrency",)),
    Former(
        _HISTORY, ("defaultInterval",), (), "option `--interval` of `setbull fetch`; default: both"
    ),
    Former(_HISTORY, ("defaultDaysToFetch",), ("upstox.days", "upstox.daily_days"), "in sessions"),
    Former(_HISTORY, ("defaultUserID",), (), "none: the token `SETBULL_UPSTOX_TOKEN` is the user"),
    Former(_HISTORY, ("retentionPeriodDays",), ("upstox.retention_days",)),
    Former(_HISTORY, ("batchSize",), ("processing.sessions_per_chunk",), "0: as memory allows"),
    Former(
        _HISTORY,
        ("enableAutoCleanup",),
        ("storage.keep_versions", "storage.intermediate_days"),
        "maintenance runs where its schedule is switched on",
    ),
    Former(_HISTORY, ("cleanupInterval",), ("refresh.maintenance_tick",)),
    Former(
        _HISTORY,
        ("excludeWeekends",),
        ("calendar.file",),
        "always: a dated calendar of sessions, with special ones on weekends",
    ),
    Former(_BASIC, ("min price",), ("filters.minimum_close",)),
    Former(_BASIC, ("max price",), ("filters.maximum_close",)),
    Former(_BASIC, ("min average volume",), ("filters.minimum_average_volume",)),
    Former(_BASIC, ("days",), ("filters.volume_days",)),
    Former(_EMA, ("EMA period",), (), "50, a fact of the column: `tables/indicators.py`"),
    Former(_EMA, ("deviation",), ("filters.ema_deviation",)),
    Former(_RSI, ("RSI period",), (), "14, a fact of the column: `tables/indicators.py`"),
    Former(_RSI, ("RSI bullish",), ("filters.rsi_bullish",)),
    Former(_RSI, ("RSI bearish",), ("filters.rsi_bearish",)),
    Former(_MAMBA, ("look-back days",), ("sequences.look_back_days",)),
    Former(_MAMBA, ("bullish move %",), ("sequences.bullish_move_percent",)),
    Former(_MAMBA, ("bearish move %",), ("sequences.bearish_move_percent",)),
    Former(
        _MAMBA,
        ("min sequence length",),
        ("filters.minimum_sequence_length", "sequences.pattern_minimum_length"),
        "of the filter, and of patterns; the old service read one of two constants",
    ),
    Former(
        _MAMBA,
        ("max gap days",),
        ("sequences.continuity_maximum_gap_days", "sequences.long_run_days"),
        "of continuity, and of the filter",
    ),
    Former(_MAMBA, ("min mamba ratio", "min mamba days"), ("filters.mamba_ratio",)),
    Former(_MAMBA, ("strength threshold",), ("sequences.strength_threshold",)),
    Former(_MAMBA, ("volume weight",), ("sequences.volume_weight",)),
    Former(
        _MONITOR,
        ("enabled",),
        ("alerts.channels", "bb_width.alert_rules"),
        "its tables are always made; without channels or rules nothing is sent",
    ),
    Former(
        _MONITOR, ("alert volume", "sound path"), ("alerts.channels",), "a receiver makes the sound"
    ),
    Former(
        _MONITOR,
        ("alert cooldown",),
        ("alerts.repeat_hours",),
        "of open alerts; a session has one band-width alert of an instrument",
    ),
    Former(_MONITOR, ("max alerts per hour",), ("alerts.bb_width_per_hour",)),
    Former(
        _MONITOR,
        ("contracting candles min", "contracting candles max"),
        ("bb_width.moderate_contractions", "bb_width.strong_contractions"),
    ),
    Former(_MONITOR, ("range threshold",), ("bb_width.range_percent",)),
    Former(_MONITOR, ("monitor look-back days",), ("bb_width.look_back_sessions",)),
    Former(_DASHBOARD, ("alert threshold",), ("bb_width.range_percent",)),
    Former(
        _DASHBOARD,
        ("look-back candles",),
        ("bb_width.pattern_bands",),
        "the bands of a session before the bar are all looked at",
    ),
    Former(
        _DASHBOARD,
        ("dashboard cooldown", "alert history", "dashboard retention"),
        (),
        "none: `served.bb_width_alerts` keeps every session",
    ),
    Former(_DASHBOARD, ("dashboard workers",), ("processing.workers",)),
    Former(_DASHBOARD, ("dashboard interval",), ("refresh.intraday_ticks",)),
    Former(
        _PHASES, ("phase percentage",), (), "the stages `10`, `50`, `100`; there is none of 1 %"
    ),
    Former(
        _PHASES,
        ("minimum time", "minimum requests"),
        ("rollout.sessions_per_stage", "rollout.minimum_rows", "rollout.minimum_cohort"),
        "evidence is sessions and rows, not minutes and requests",
    ),
    Former(
        _PHASES, ("minimum success rate", "maximum error rate"), ("rollout.maximum_error_rate",)
    ),
    Former(
        _PHASES,
        ("minimum cache hit rate",),
        ("rollout.minimum_cache_hit_rate", "rollout.minimum_cache_lookups"),
    ),
    Former(_TRIGGERS, ("cache hit rate",), ("rollout.minimum_cache_hit_rate",)),
    Former(
        _TRIGGERS,
        ("calculation latency",),
        ("rollout.maximum_calculation_seconds", "rollout.calculation_seconds_per_million_rows"),
        "of processor time",
    ),
    Former(_TRIGGERS, ("error rate",), ("rollout.maximum_error_rate",)),
    Former(_TRIGGERS, ("memory",), ("rollout.maximum_memory_share",)),
    Former(_TRIGGERS, ("worker pool utilisation",), ("rollout.maximum_worker_share",)),
    Former(
        _TRIGGERS,
        ("DataFrame aggregation time",),
        ("rollout.maximum_aggregation_seconds", "rollout.aggregation_seconds_per_million_rows"),
        "of processor time",
    ),
    Former(_TRIGGERS, ("sequence analysis failures",), ("rollout.maximum_sequence_failure_share",)),
    Former(
        _TRIGGERS,
        ("rollback error rate", "fallback rate"),
        ("rollout.rollback_error_rate", "rollout.minimum_exceptions"),
        "what falls back is an instrument that V2 failed for",
    ),
    Former(
        _TRIGGERS,
        ("performance degradation", "latency difference"),
        ("rollout.maximum_slowdown",),
        "of processor time, as a share of V1's",
    ),
    Former(_TRIGGERS, ("memory leak",), ("rollout.maximum_memory_growth",), "between sessions"),
    Former(_TRIGGERS, ("data inconsistency",), (), "always: an unequal cell rolls back"),
    Former(
        _ENGINE,
        ("engine memory", "engine cache", "cache_strategy"),
        ("processing.memory_allowance_mib", "processing.decoded_cache_mib"),
    ),
    Former(_ENGINE, ("engine workers",), ("processing.workers",)),
    Former(_ENGINE, ("engine timeout", "step timeout"), ("runs.max_runtime_seconds",)),
    Former(_GROUPS, ("first-entry risk",), ("groups.first_entry_risk",)),
    Former(_GROUPS, ("second-entry risk",), ("groups.second_entry_risk",)),
    Former(
        _GROUPS,
        ("trigger bars",),
        ("groups.first_entry_bar", "groups.second_entry_bar"),
        "the old service took 13:00 for 2_30_ENTRY",
    ),
    Former(
        _OTHERS,
        ("broker token", "token lifetime", "login state"),
        (),
        "none: `SETBULL_UPSTOX_TOKEN` in the environment; nothing logs in",
    ),
    Former(
        _OTHERS,
        ("rate limits",),
        (
            "upstox.requests_per_second",
            "upstox.requests_per_minute",
            "upstox.requests_per_half_hour",
        ),
    ),
)


def now_called(name: str) -> str:
    """A sentence about a key that the old service had; empty for others."""
    for former in FORMER:
        if _bare(name) in map(_bare, former.names):
            settings = " and ".join(former.now)
            told = f"is {settings} here" if settings else f"has no setting here: {former.remark}"
            return f"{name} of the old service {told}"
    return ""


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
