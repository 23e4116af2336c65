"""Every parameter of the pipeline: typed, validated, documented, in one place.

Belongs here: numbers and choices, their meaning and their limits, and reading them from a TOML file and
the environment, and the calendar file that they name. Does not belong here: behaviour, table columns, paths inside
the warehouse.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from setbull_pipelines.market.calendar import NSE, Amendment
from setbull_pipelines.market.calendar_file import InvalidCalendar, parse_calendar

DATA_DIRECTORY_VARIABLE = "SETBULL_DATA_DIR"
SETTINGS_FILE_VARIABLE = "SETBULL_SETTINGS"
INPUT_VARIABLE = "SETBULL_INPUT"
KILL_VARIABLE = "SETBULL_KILL_V2"
UPSTOX_TOKEN_VARIABLE = "SETBULL_UPSTOX_TOKEN"
"""Holds the access token of the broker's API, which is a secret and has no setting."""
_YES, _NO = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")
FIRST_SESSION_FILE = "first_session"
"""In the data folder: the first day of its input, from which on there are partitions."""
SOURCE_FILE = "source.json"
"""In the data folder: which input its tables were made from, and of a replay the moment."""


_READING_TABLE = "input"
"""Of the settings file. As a field of the settings that word is the place of the candles."""
_CRON = re.compile(r"[\d*,/-]+( [\d*,/-]+){4}")


class InvalidSettings(ValueError):
    """A setting has a value it cannot have; the message names key, value found and value expected."""


_BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[a-z0-9][a-z0-9._-]*)*")


def _require(condition: bool, key: str, found: object, expected: str) -> None:
    if not condition:
        # Receivers of alerts are URLs with passwords; one that was put here by mistake is not repeated.
        shown = re.sub(r"://[^\s'\"]+", "://...", repr(found))
        raise InvalidSettings(f"setting {key}: found {shown}, expected {expected}")


@dataclass(frozen=True)
class AggregationSettings:
    """How one-minute candles become bars."""

    bar_minutes: int = 5
    """Length of an intraday bar in minutes, counted from the open of each session interval."""
    untraded_minutes: Literal["exclude", "include"] = "exclude"
    """``exclude``: a minute with volume 0 makes no bar (charting platforms); ``include``: it does (broker). Those of an
    index, which is never traded, always do."""

    def __post_init__(self) -> None:
        _require(self.bar_minutes >= 1, "aggregation.bar_minutes", self.bar_minutes, "1 or more")
        _require(
            self.untraded_minutes in ("exclude", "include"),
            "aggregation.untraded_minutes",
            self.untraded_minutes,
            "'exclude' or 'include'",
        )


@dataclass(frozen=True)
class IndicatorSettings:
    """When indicators can be relied on. Their periods belong to their columns: ``tables/indicators.py``."""

    warm_margin_bars: int = 200
    """Bars beyond its first value before EMA 50 counts as warm: the mean that it starts from then has 0.034 % of its
    weight. A column that forgets more slowly is warm when its own start has no more: ``tables/look_back.py``."""
    maximum_unexplained_gap: float = 0.25
    """|open / previous close - 1| above which no corporate action is missing only by chance: price bands end at
    20 %, a bonus of 1 for 2 opens around 0.67. Not among the quality limits, because results depend on it."""
    overnight_days: int = 10
    """Bars more calendar days apart are not compared: after weeks without trading a price has moved by itself."""

    def __post_init__(self) -> None:
        _require(
            self.warm_margin_bars >= 0,
            "indicators.warm_margin_bars",
            self.warm_margin_bars,
            "0 or more",
        )
        _require(
            0 < self.maximum_unexplained_gap < 1,
            "indicators.maximum_unexplained_gap",
            self.maximum_unexplained_gap,
            "above 0 and below 1",
        )
        _require(
            self.overnight_days >= 1, "indicators.overnight_days", self.overnight_days, "1 or more"
        )


@dataclass(frozen=True)
class SequenceSettings:
    """Daily moves, their trend, and the runs ("mamba" sequences) they form."""

    look_back_days: int = 21
    """Daily bars that are analysed, the as-of day included."""
    bullish_move_percent: float = 5.0
    """A rise from the open above this (strictly) can be a mamba day in a bullish trend."""
    bearish_move_percent: float = 3.0
    """A fall measured from the close above this (strictly) can be a mamba day in a bearish trend."""
    volume_weight: float = 0.3
    """Share of the volume term in the strength of a move; the price term has the rest."""
    strength_threshold: float = 0.1
    trend_share: float = 0.60
    """Share of closes on one side of EMA 50 that makes a trend."""
    pattern_minimum_length: int = 2
    continuity_maximum_gap_days: int = 5
    long_run_days: int = 6
    """A run of non-mamba days longer than this counts as a long gap."""

    def __post_init__(self) -> None:
        _require(self.look_back_days >= 2, "sequences.look_back_days", self.look_back_days, ">= 2")
        for name in ("continuity_maximum_gap_days", "pattern_minimum_length", "long_run_days"):
            _require(
                getattr(self, name) >= 1, f"sequences.{name}", getattr(self, name), "1 or more"
            )
        for name in ("bullish_move_percent", "bearish_move_percent"):
            value = getattr(self, name)
            _require(0 < value < 100, f"sequences.{name}", value, "above 0 and below 100")
        # The largest strength is 1: a move of 10 % or more and twice the mean volume.
        _require(
            0 <= self.strength_threshold <= 1,
            "sequences.strength_threshold",
            self.strength_threshold,
            "0 to 1",
        )
        _require(
            0 <= self.volume_weight <= 1, "sequences.volume_weight", self.volume_weight, "0 to 1"
        )
        _require(
            0.5 <= self.trend_share <= 1, "sequences.trend_share", self.trend_share, "0.5 to 1"
        )


@dataclass(frozen=True)
class FilterSettings:
    """Thresholds of the filter stages basic, EMA, RSI and mamba. Prices in rupees, volumes in shares."""

    profile: str = "production"
    minimum_close: float = 50.0
    maximum_close: float = 1000.0
    minimum_average_volume: int = 400_000
    volume_days: int = 10
    ema_deviation: float = 0.03
    rsi_bullish: float = 50.0
    rsi_bearish: float = 55.0
    mamba_ratio: float = 0.2
    """Share of the look-back days that must be mamba days."""
    minimum_sequence_length: int = 1
    long_gaps_per_mamba_sequences: int = 3
    """At most one long gap per this many mamba sequences (floor), unless there is at most one mamba sequence."""

    def __post_init__(self) -> None:
        _require(
            0 < self.minimum_close < self.maximum_close,
            "filters.minimum_close",
            self.minimum_close,
            f"above 0 and below filters.maximum_close ({self.maximum_close})",
        )
        _require(self.volume_days >= 1, "filters.volume_days", self.volume_days, "1 or more")
        for name in ("minimum_average_volume", "minimum_sequence_length"):
            _require(getattr(self, name) >= 0, f"filters.{name}", getattr(self, name), "0 or more")
        _require(
            0 < self.ema_deviation < 1,
            "filters.ema_deviation",
            self.ema_deviation,
            "above 0 and below 1",
        )
        for name in ("rsi_bullish", "rsi_bearish"):
            _require(
                0 <= getattr(self, name) <= 100, f"filters.{name}", getattr(self, name), "0 to 100"
            )
        _require(0 <= self.mamba_ratio <= 1, "filters.mamba_ratio", self.mamba_ratio, "0 to 1")
        _require(
            self.long_gaps_per_mamba_sequences >= 1,
            "filters.long_gaps_per_mamba_sequences",
            self.long_gaps_per_mamba_sequences,
            "1 or more",
        )


PROFILES: Mapping[str, tuple[SequenceSettings, FilterSettings]] = {
    # Recovered from a published report of the production service (docs/filters.md).
    "production": (SequenceSettings(), FilterSettings()),
    "strict": (
        SequenceSettings(strength_threshold=0.2, long_run_days=5),
        FilterSettings(
            profile="strict",
            minimum_close=20.0,
            maximum_close=1500.0,
            minimum_average_volume=300_000,
            rsi_bullish=60.0,
            rsi_bearish=40.0,
            mamba_ratio=0.3,
            minimum_sequence_length=2,
        ),
    ),
}


BB_WIDTH_RULES = ("range contracting", "threshold", "squeeze", "pattern", "expansion")
"""What the band-width monitor can alert of; ``Variant.bb_width_alerts`` says when."""


@dataclass(frozen=True)
class BandWidthSettings:
    """The band-width monitor: which widths count, what a pattern is, of what people are told."""

    look_back_sessions: int = 20
    """Sessions before a day in which its lowest width is looked for."""
    minimum_width: float = 0.001
    """Rupees; a narrower bar has no band, since nothing was traded away from one price."""
    minimum_bands: int = 10
    """Bands that a session of the look-back must have."""
    minimum_p10: float = 0.01
    """Rupees; a session with a smaller 10th percentile is that of a stock that hardly trades."""
    minimum_sessions: int = 3
    """Such sessions without which there is no lowest width, and no alert."""
    range_percent: float = 0.1
    """On either side of the lowest width."""
    range_bands: int = 20
    """Most bands that are counted as being in range."""
    pattern_bands: int = 3
    """Bands whose mean is compared with that of as many before, and over which a contraction is measured."""
    trend_percent: float = 5.0
    """Change of that mean above which widths contract or expand."""
    moderate_contractions: int = 3
    moderate_percent: float = 5.0
    """Falls in a row, and fall in percent (strictly), of a moderate contraction."""
    strong_contractions: int = 5
    strong_percent: float = 10.0
    """The same for a strong one."""
    alert_rules: tuple[str, ...] = BB_WIDTH_RULES[:3]
    """In this order; the first that a bar meets names its alert. ``pattern`` and ``expansion`` look at the width's way
    and not at its lowest: almost every stock meets them in every session (``docs/alerts.md``), and since a session has
    one alert, they would hide the others."""

    def __post_init__(self) -> None:
        for name in (
            "look_back_sessions",
            "minimum_bands",
            "minimum_sessions",
            "range_bands",
            "moderate_contractions",
        ):
            _require(getattr(self, name) >= 1, f"bb_width.{name}", getattr(self, name), "1 or more")
        _require(self.pattern_bands >= 2, "bb_width.pattern_bands", self.pattern_bands, "2 or more")
        _require(
            self.minimum_sessions <= self.look_back_sessions,
            "bb_width.minimum_sessions",
            self.minimum_sessions,
            f"at most bb_width.look_back_sessions ({self.look_back_sessions})",
        )
        for name in ("minimum_width", "minimum_p10"):
            value = getattr(self, name)
            _require(0 < value < math.inf, f"bb_width.{name}", value, "a number of rupees above 0")
        for name in ("range_percent", "trend_percent", "moderate_percent", "strong_percent"):
            value = getattr(self, name)
            _require(0 < value < 100, f"bb_width.{name}", value, "above 0 and below 100")
        for name, weaker in (
            ("strong_contractions", "moderate_contractions"),
            ("strong_percent", "moderate_percent"),
        ):
            found, least = getattr(self, name), getattr(self, weaker)
            _require(
                found >= least, f"bb_width.{name}", found, f"bb_width.{weaker} ({least}) or more"
            )
        for rule in self.alert_rules:
            _require(rule in BB_WIDTH_RULES, "bb_width.alert_rules", rule, f"of {BB_WIDTH_RULES}")
        _require(
            len(set(self.alert_rules)) == len(self.alert_rules),
            "bb_width.alert_rules",
            self.alert_rules,
            "each rule only once",
        )


@dataclass(frozen=True)
class LookBackSettings:
    """Sessions before a partition that it is computed from, chosen so that a longer history changes nothing.

    The slowest column, EMA 50, weighs its start with less than 1e-9 from bar 569 on; 9 sessions hold 576
    five-minute bars even when one of them is an evening session and stocks trade until 15:15. Fewer sessions
    than the columns need are refused (``tables/look_back.py``).
    """

    sessions_5min: int = 9
    sessions_daily: int = 600
    sessions_moves: int = 42
    """Twice the look-back days, so that a stock that missed sessions still has its bars."""

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            _require(value >= 0, f"look_back.{item.name}", value, "0 or more")


@dataclass(frozen=True)
class ReconciliationSettings:
    """How much of a difference is kept for readers. What counts as one is in the table contracts."""

    sample_cells: int = 20
    """Differing cells kept per column, the worst first."""
    window_rows: int = 5
    """Input rows kept for the first and the worst cell of a column, up to the bar of the cell."""
    chart_bars: int = 60
    """Bars kept and drawn around the first diverging one."""
    charts: int = 3
    """Diverged columns drawn per table, one for each likely cause."""
    noise_instruments: int = 3
    """Instruments whose V1 is computed twice for the noise floor of a day; 0 measures none."""

    def __post_init__(self) -> None:
        for name, least in (
            ("sample_cells", 1),
            ("window_rows", 1),
            ("chart_bars", 2),
            ("charts", 0),
            ("noise_instruments", 0),
        ):
            found = getattr(self, name)
            _require(found >= least, f"reconciliation.{name}", found, f">= {least}")


@dataclass(frozen=True)
class QualitySettings:
    """Limits of the checks that warn about the input."""

    minimum_delivered_share: float = 0.80
    """Share of a session's minutes that instruments with minutes must have, on average."""
    daily_open_difference: float = 0.01
    """Allowed |minutes - exchange| / exchange of the daily open: the official one is the price of the pre-open
    auction, the first minute's is that of the first continuous trade."""
    daily_high_difference: float = 0.005
    """The same for the high: trades of the auctions and after the close count for 'exchange' only."""
    daily_low_difference: float = 0.005
    """The same for the low, for the same reason."""
    daily_close_difference: float = 0.01
    """The same for the close: the official one is the mean price of the last half hour, or that of the closing
    auction, never the last minute's."""
    daily_volume_difference: float = 0.05
    """The same for the volume: auctions, block deals and trades after the close are in 'exchange' only."""
    auction_price_difference: float = 0.03
    """Instead of the above for high, low and close of a stock that may have had a closing auction: its price may be
    3 % from the mean price of the last continuous trading."""
    auction_volume_difference: float = 0.25
    """Instead of the above for its volume: the auction's is in 'exchange' only. NSE's share is not known yet; on
    exchanges with old closing auctions it is up to a quarter of the day."""
    maximum_stale_share: float = 0.25
    """Share of instruments without a bar of the day from which the whole day counts as stale. Suspended and rarely
    traded stocks have none: 4 to 8 % of the exchange on a usual day, 12 % at most."""
    maximum_share_jump: float = 0.10
    """Most by which the share of stocks with a verdict, or stopped by a stage, and the number of stocks may differ from
    the median of the sessions before: in 85 sessions of half the market no share was 0.04 away."""
    maximum_revised_share: float = 0.001
    """Share of a day's bars that may be corrected after they were final: single trades are cancelled, but more means
    that a source, or one of its files, was wrong. Corrections of provisional bars are expected and not limited."""

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            _require(0 <= value <= 1, f"quality.{item.name}", value, "0 to 1")


@dataclass(frozen=True)
class CalendarSettings:
    """Where holidays and sessions come from that the built-in calendar does not know."""

    file: str = ""
    """CSV with the columns date, kind, intervals, source (docs/operations.md); empty: the built-in table alone."""
    first_partition: str = ""
    """The first day (YYYY-MM-DD) that the UI offers; empty: the first session of the input."""

    def __post_init__(self) -> None:
        try:
            if self.first_partition:
                date.fromisoformat(self.first_partition)
        except ValueError:
            _require(
                False,
                "calendar.first_partition",
                self.first_partition,
                "a date YYYY-MM-DD, or nothing",
            )


@dataclass(frozen=True)
class RefreshSettings:
    """When the refreshes look for work (cron, exchange time)."""

    ticks: tuple[str, ...] = ("30 16 * * *", "30 20 * * *")
    """After the regular close, and after evening sessions such as Muhurat."""
    fetch_ticks: tuple[str, ...] = ("5 16 * * *", "5 20 * * *")
    """When candles are fetched from the broker: before the ticks above, after sessions have settled."""
    intraday_ticks: tuple[str, ...] = ("*/5 9-19 * * *",)
    """When the session under way is looked at; the calendar says which of these lie in one. Every bar, in hours that
    hold all sessions, special ones included."""
    maintenance_tick: str = "0 6 * * 6"
    self_test_tick: str = "0 7 * * 6"
    scrub_tick: str = "0 8 * * 6"
    catch_up_days: int = 10
    """Missed sessions requested per tick at most."""

    def __post_init__(self) -> None:
        expected = "five cron fields of digits and * , - /"
        for name in ("ticks", "fetch_ticks", "intraday_ticks"):
            ticks = getattr(self, name)
            _require(bool(ticks), f"refresh.{name}", ticks, "at least one cron expression")
            for tick in ticks:
                _require(bool(_CRON.fullmatch(tick)), f"refresh.{name}", tick, expected)
        for name in ("maintenance_tick", "self_test_tick", "scrub_tick"):
            tick = getattr(self, name)
            _require(bool(_CRON.fullmatch(tick)), f"refresh.{name}", tick, expected)
        _require(self.catch_up_days >= 1, "refresh.catch_up_days", self.catch_up_days, "1 or more")


@dataclass(frozen=True)
class RolloutSettings:
    """When V2 takes over from V1, and when it is taken back. Shares are 0 to 1, times seconds per session."""

    sessions_per_stage: int = 5
    """Consecutive trading sessions with enough evidence and no breach before the next stage (K)."""
    highest_automatic_stage: str = "100"
    """Where advancing by itself ends; beyond it V1 no longer runs in full, which a person decides."""
    minimum_instruments: int = 20
    minimum_rows: int = 100
    minimum_cohort: int = 2
    """Instruments served from V2 before a stage with a percentage counts a session."""
    soft_breaches: int = 3
    """Sessions with a soft breach (F), of the last ``soft_breach_sessions`` (N) judged, that roll back."""
    soft_breach_sessions: int = 5
    minimum_cache_hit_rate: float = 0.70
    minimum_cache_lookups: int = 100
    """Fewer look-ups say nothing about the hit rate."""
    maximum_calculation_seconds: float = 5.0
    """V2's processor time for indicators and for sequences, however few rows a session has."""
    calculation_seconds_per_million_rows: float = 2.5
    """Processor time for each million rows that V2 reads; the limit where that is more than the one above."""
    maximum_aggregation_seconds: float = 10.0
    """The same for candles."""
    aggregation_seconds_per_million_rows: float = 5.0
    """The same for candles."""
    minimum_exceptions: int = 3
    """Instruments that V2 must fail for on a session before its error rate counts. They are served from V1."""
    maximum_error_rate: float = 0.05
    """Share of the instruments that V2 fails for, above which a session is a soft breach."""
    rollback_error_rate: float = 0.10
    """Above this one session is enough to roll back."""
    maximum_memory_share: float = 0.90
    maximum_worker_share: float = 0.95
    maximum_sequence_failure_share: float = 0.03
    maximum_slowdown: float = 0.50
    """How much more processor time than V1 may V2 take, as a share of V1's."""
    minimum_seconds_compared: float = 1.0
    """Less time of V1 says nothing about how much slower V2 is."""
    maximum_memory_growth: float = 0.20
    """How much more memory than at the last judged session, as a share of that."""
    minimum_memory_share_compared: float = 0.30
    """Less memory, as a share of the allowance, says nothing about growth: it is what the libraries take."""
    sample_percentage: int = 10
    """Instruments, of 100, that V1 is still computed for per session in stage ``sampled``; the sample rotates."""
    kill: bool = False
    """Serve V1 everywhere, whatever the log says; ``SETBULL_KILL_V2`` does the same."""
    force_v1: tuple[str, ...] = ()
    """Instrument keys served from V1 in every stage that runs both variants in full."""
    force_v2: tuple[str, ...] = ()
    """Instrument keys served from V2 in the same stages."""
    freeze: tuple[str, ...] = ()
    """Instrument keys that keep the variant they have in the same stages."""

    def __post_init__(self) -> None:
        for name in (
            "sessions_per_stage",
            "minimum_instruments",
            "minimum_rows",
            "minimum_cohort",
            "soft_breaches",
            "minimum_cache_lookups",
            "minimum_exceptions",
        ):
            _require(getattr(self, name) >= 1, f"rollout.{name}", getattr(self, name), "1 or more")
        _require(
            1 <= self.sample_percentage <= 100,
            "rollout.sample_percentage",
            self.sample_percentage,
            "1 to 100",
        )
        _require(
            self.soft_breach_sessions >= self.soft_breaches,
            "rollout.soft_breach_sessions",
            self.soft_breach_sessions,
            f"at least rollout.soft_breaches ({self.soft_breaches})",
        )
        stages = ("shadow", "10", "50", "100", "sampled")
        _require(
            self.highest_automatic_stage in stages,
            "rollout.highest_automatic_stage",
            self.highest_automatic_stage,
            f"one of {stages}",
        )
        for name in (
            "minimum_cache_hit_rate",
            "minimum_memory_share_compared",
            "maximum_error_rate",
            "maximum_memory_share",
            "maximum_worker_share",
            "maximum_sequence_failure_share",
        ):
            _require(
                0 <= getattr(self, name) <= 1, f"rollout.{name}", getattr(self, name), "0 to 1"
            )
        _require(
            self.maximum_error_rate <= self.rollback_error_rate <= 1,
            "rollout.rollback_error_rate",
            self.rollback_error_rate,
            f"rollout.maximum_error_rate ({self.maximum_error_rate}) to 1",
        )
        for name in (
            "maximum_calculation_seconds",
            "calculation_seconds_per_million_rows",
            "maximum_aggregation_seconds",
            "aggregation_seconds_per_million_rows",
        ):
            value = getattr(self, name)
            _require(0 < value < math.inf, f"rollout.{name}", value, "a number above 0")
        for name in ("maximum_slowdown", "minimum_seconds_compared", "maximum_memory_growth"):
            value = getattr(self, name)
            _require(0 <= value < math.inf, f"rollout.{name}", value, "0 or more")
        seen: set[str] = set()
        for name in ("force_v1", "force_v2", "freeze"):
            for key in getattr(self, name):
                _require(isinstance(key, str), f"rollout.{name}", key, "instrument keys as text")
                _require(key not in seen, f"rollout.{name}", key, "each instrument key only once")
                seen.add(key)


LOG_CHANNEL = "log"
SEVERITIES = ("info", "warning", "error", "critical")
"""Of alerts, the mildest first."""
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")


@dataclass(frozen=True)
class AlertSettings:
    """Who is told what, how often, and how long a channel that is down is tried again."""

    channels: tuple[str, ...] = (LOG_CHANNEL,)
    """``log``, or names of environment variables that each hold the Apprise URL of a receiver: URLs are secrets."""
    minimum_severity: str = "info"
    """Milder alerts are kept in the table and sent nowhere."""
    repeat_hours: float = 24.0
    """An open alert that is seen again is sent again no earlier than this after its last notice."""
    attempts: int = 12
    """Then a notice is given up; with the waits below that is after almost three days."""
    first_retry_seconds: float = 60.0
    """Wait before the second attempt; every further wait is twice as long."""
    timeout_seconds: float = 15.0
    """A receiver that takes longer counts as down."""
    stale_after_hours: float = 4.0
    """How long after its close a session may be without a reconciliation."""
    ui_address: str = "http://127.0.0.1:3000"
    """Where the links of a message lead."""
    bb_width_instruments: tuple[str, ...] = ()
    """Instrument keys whose band-width alerts are sent; empty: all. The tables have all in any case."""
    bb_width_per_hour: int = 100
    """Most band-width alerts sent of an hour, by the time of their bars; the others are in the table only."""

    def __post_init__(self) -> None:
        for name in self.channels:
            valid = isinstance(name, str) and (name == LOG_CHANNEL or _VARIABLE.fullmatch(name))
            _require(
                bool(valid),
                "alerts.channels",
                name,
                f"'{LOG_CHANNEL}' or names of environment variables in capitals; a URL belongs into the variable",
            )
        _require(
            len(set(self.channels)) == len(self.channels),
            "alerts.channels",
            self.channels,
            "each channel only once",
        )
        _require(
            self.minimum_severity in SEVERITIES,
            "alerts.minimum_severity",
            self.minimum_severity,
            f"one of {SEVERITIES}",
        )
        for name in ("repeat_hours", "stale_after_hours", "timeout_seconds"):
            value = getattr(self, name)
            _require(0 < value < math.inf, f"alerts.{name}", value, "a number above 0")
        _require(1 <= self.attempts <= 20, "alerts.attempts", self.attempts, "1 to 20")
        for key in self.bb_width_instruments:
            _require(isinstance(key, str), "alerts.bb_width_instruments", key, "keys as text")
        _require(
            self.bb_width_per_hour >= 1,
            "alerts.bb_width_per_hour",
            self.bb_width_per_hour,
            "1 or more",
        )
        # A notice is reserved for this long while it is being sent.
        _require(
            self.timeout_seconds < self.first_retry_seconds < math.inf,
            "alerts.first_retry_seconds",
            self.first_retry_seconds,
            f"more than alerts.timeout_seconds ({self.timeout_seconds})",
        )
        _require(
            bool(re.fullmatch(r"https?://[^\s?#]*[^\s?#/]", self.ui_address)),
            "alerts.ui_address",
            self.ui_address,
            "an address like http://127.0.0.1:3000, without a slash at its end",
        )


_LOOPBACK = r"(127\.0\.0\.1|localhost|\[::1\])"


@dataclass(frozen=True)
class UpstoxSettings:
    """How candles are fetched from the Upstox API. The token is in ``SETBULL_UPSTOX_TOKEN`` only."""

    base_url: str = "https://api.upstox.com"
    api_version: Literal["v3", "v2"] = "v3"
    """``v2`` is deprecated by the broker, but still answered."""
    instruments: str = ""
    """File (CSV or the broker's JSON list) of the instruments to fetch; empty: name it with --instruments, or take
    the broker's list."""
    instruments_url: str = "https://assets.upstox.com/market-quote/instruments/exchange/NSE.json.gz"
    """The broker's list of all instruments of the exchange, gzipped JSON."""
    refresh_instruments: bool = False
    """Whether every fetch begins with that list; without upstox.instruments its stocks are what is fetched."""
    days: int = 50
    """Sessions of 1-minute candles that are kept complete, counted back from the last closed one."""
    daily_days: int = 600
    """The same for daily candles; one call holds ten years."""
    concurrency: int = 5
    """Requests under way at the same time, each of another instrument."""
    requests_per_second: int = 50
    requests_per_minute: int = 500
    requests_per_half_hour: int = 2000
    """The broker's limits per user; lower them when another program uses the same account."""
    attempts: int = 6
    """Of one request, the first included; only failures that can pass are tried again."""
    first_retry_seconds: float = 1.0
    """Wait before the second attempt; every further wait is twice as long, with jitter."""
    longest_wait_seconds: float = 1800.0
    """A longer wait, asked for by the broker, fails the instrument."""
    timeout_seconds: float = 30.0
    """For one attempt, from connecting to the last byte."""
    settle_minutes: int = 30
    """After the close of a session its candles count as final: the closing auction ends after the session."""
    retention_days: int = 900
    """Calendar days that responses are kept, counted from their last session."""

    def __post_init__(self) -> None:
        _require(
            bool(re.fullmatch(rf"(https://[^\s/?#@]+|http://{_LOOPBACK}(:\d+)?)", self.base_url)),
            "upstox.base_url",
            self.base_url,
            "https:// and a host without path (http:// only for this machine)",
        )
        _require(
            bool(
                re.fullmatch(
                    rf"(https://[^\s/?#@]+|http://{_LOOPBACK}(:\d+)?)/[^\s?#@]+",
                    self.instruments_url,
                )
            ),
            "upstox.instruments_url",
            self.instruments_url,
            "https:// and the path of a file (http:// only for this machine)",
        )
        versions = ("v3", "v2")
        _require(
            self.api_version in versions,
            "upstox.api_version",
            self.api_version,
            f"one of {versions}",
        )
        for name in (
            "concurrency",
            "requests_per_second",
            "requests_per_minute",
            "requests_per_half_hour",
            "attempts",
        ):
            _require(getattr(self, name) >= 1, f"upstox.{name}", getattr(self, name), "1 or more")
        for name in ("first_retry_seconds", "longest_wait_seconds", "timeout_seconds"):
            value = getattr(self, name)
            _require(0 < value < math.inf, f"upstox.{name}", value, "a number above 0")
        _require(
            self.settle_minutes >= 0, "upstox.settle_minutes", self.settle_minutes, "0 or more"
        )
        for name in ("days", "daily_days"):
            # Two of three calendar days are sessions, so that what is fetched does not expire at once.
            most = self.retention_days * 2 // 3
            _require(
                1 <= getattr(self, name) <= most,
                f"upstox.{name}",
                getattr(self, name),
                f"1 to {most}, two thirds of upstox.retention_days ({self.retention_days})",
            )


@dataclass(frozen=True)
class GroupSettings:
    """Stock groups and the plan of entries that is computed from them. Nothing here places an order."""

    file: str = ""
    """CSV of the groups (docs/api.md has its columns); empty: there are none."""
    first_entry_bar: str = "09:15"
    """Start of the bar that 1ST_ENTRY enters on, exchange time; the plan is made when the bar has closed."""
    second_entry_bar: str = "14:30"
    """The same for 2_30_ENTRY. The replaced system took the bar of 13:00 in spite of the name."""
    first_entry_risk: float = 50.0
    """Rupees that an instrument of 1ST_ENTRY may lose between entry and stop."""
    second_entry_risk: float = 50.0
    """The same for the other entry types."""

    def __post_init__(self) -> None:
        for name in ("first_entry_bar", "second_entry_bar"):
            value = getattr(self, name)
            is_time = bool(re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value))
            _require(is_time, f"groups.{name}", value, "a time such as '09:15'")
        for name in ("first_entry_risk", "second_entry_risk"):
            value = getattr(self, name)
            _require(0 < value < math.inf, f"groups.{name}", value, "a number above 0")


@dataclass(frozen=True)
class ApiSettings:
    """The read API. Host and port are options of ``setbull api``."""

    token_variable: str = "SETBULL_API_TOKEN"
    """Environment variable that holds the token callers must send; while it is empty none is asked for, and the API
    answers on this machine only."""
    dagster_url: str = "http://127.0.0.1:3000"
    """Webserver that jobs are started through, that of ``setbull ui``; it must work on the same data folder."""
    wait_seconds: float = 25.0
    """A request that starts a job waits so long for its end before it answers with the run's id."""

    def __post_init__(self) -> None:
        _require(
            bool(re.fullmatch(r"[A-Z][A-Z0-9_]*", self.token_variable)),
            "api.token_variable",
            "...",  # a token that was put here by mistake is not repeated
            "the name of an environment variable",
        )
        _require(
            bool(
                re.fullmatch(rf"(https://[^\s/?#@]+|http://{_LOOPBACK}(:\d+)?)", self.dagster_url)
            ),
            "api.dagster_url",
            self.dagster_url,
            "https:// and a host without path (http:// only for this machine)",
        )
        value = self.wait_seconds
        _require(0 <= value < math.inf, "api.wait_seconds", value, "0 or more")


@dataclass(frozen=True)
class ProcessingSettings:
    """What computing may use. No result depends on any of these, so that none is part of a fingerprint."""

    memory_allowance_mib: int = 4096
    """Memory of the whole process, in mebibytes. What a day needs is estimated before it is read; a day that needs more
    than is left is computed in chunks of instruments. ``rollout.maximum_memory_share`` of it is the limit of V2."""
    workers: int = 0
    """Threads that run V2's kernels, and that encode and write files; 0: one per processor, and 4 for files."""
    instruments_per_chunk: int = 0
    """Instruments computed together; 0: as many as the allowance has room for."""
    sessions_per_chunk: int = 0
    """Sessions published together; 0: as many as the allowance has room for, at most 40."""
    decoded_cache_mib: int = 256
    """Memory for decoded files, kept between reads, in mebibytes; a part of the allowance. 0: nothing is kept."""

    def __post_init__(self) -> None:
        value = self.memory_allowance_mib
        _require(value >= 1, "processing.memory_allowance_mib", value, "1 or more")
        for name in ("workers", "instruments_per_chunk", "sessions_per_chunk"):
            _require(
                getattr(self, name) >= 0, f"processing.{name}", getattr(self, name), "0 or more"
            )
        _require(
            0 <= self.decoded_cache_mib <= value / 2,
            "processing.decoded_cache_mib",
            self.decoded_cache_mib,
            f"0 to half of processing.memory_allowance_mib ({value})",
        )


@dataclass(frozen=True)
class RunSettings:
    """How long Dagster's runs may take, and which of their steps are tried again. No result depends on these."""

    max_runtime_seconds: int = 21_600
    """Of any run; of ``setbull run`` over several sessions, for each of them. The daemon then ends the run as failed,
    so that the queue goes on, and its process stops before the next session."""
    intraday_max_runtime_seconds: int = 900
    """Of a run over the session under way, for which the ticks after it wait."""
    fetch_retries: int = 2
    """How often the step that asks the broker is tried again when it fails, for a disk or an object store that cannot
    be reached; single requests have ``upstox.attempts``. Steps that compute would only fail again."""
    fetch_retry_seconds: float = 60.0
    """Wait before the first of these; every further wait is twice as long."""
    fail_on_divergence: bool = True
    """Whether a run, whatever launched it, ends as failed, in red, when V2 differs from V1 on one of its days: after
    all its work is done and, where it serves, everything is served from V1."""

    def __post_init__(self) -> None:
        for name in ("max_runtime_seconds", "intraday_max_runtime_seconds"):
            _require(getattr(self, name) >= 1, f"runs.{name}", getattr(self, name), "1 or more")
        _require(self.fetch_retries >= 0, "runs.fetch_retries", self.fetch_retries, "0 or more")
        value = self.fetch_retry_seconds
        _require(0 < value < math.inf, "runs.fetch_retry_seconds", value, "a number above 0")


@dataclass(frozen=True)
class ReportSettings:
    """What the daily report shows."""

    chart_sessions: int = 60
    """Sessions of daily bars in a chart, the day included; its file grows with them."""

    def __post_init__(self) -> None:
        value = self.chart_sessions
        _require(value >= 1, "report.chart_sessions", value, "1 or more")


@dataclass(frozen=True)
class StorageSettings:
    """How the warehouse keeps its files."""

    keep_versions: int = 3
    """Versions of a partition kept on disk, the current one included."""
    intermediate_limit_mib: int = 0
    """Disk space of the tables of V1 and V2 together, in mebibytes. Maintenance brings them back to it by removing the
    files that were not used for the longest time; what coming sessions look back on stays. 0: no limit."""
    intermediate_days: int = 0
    """Days without use after which maintenance removes such a file in any case; 0: never."""
    scrub_seconds: int = 600
    """Longest time that a scrub reads stored files to hold them against their hashes; the next goes on from there."""
    remote: str = ""
    """Object store that several machines share, as ``s3://bucket/prefix``; the data folder then holds copies. Endpoint,
    region and credentials are read from the environment variables ``AWS_*`` only. Empty: the data folder is all."""

    def __post_init__(self) -> None:
        _require(self.keep_versions >= 2, "storage.keep_versions", self.keep_versions, "2 or more")
        _require(self.scrub_seconds >= 1, "storage.scrub_seconds", self.scrub_seconds, "1 or more")
        for name in ("intermediate_limit_mib", "intermediate_days"):
            _require(getattr(self, name) >= 0, f"storage.{name}", getattr(self, name), "0 or more")
        _require(
            not self.remote or bool(_BUCKET.fullmatch(self.remote)),
            "storage.remote",
            self.remote,
            "'' or s3://BUCKET/PREFIX of lower-case letters, digits, '.', '-' and '_'",
        )
        _require(
            not self.remote or not (self.intermediate_limit_mib or self.intermediate_days),
            "storage.remote",
            self.remote,
            "'' with storage.intermediate_limit_mib or storage.intermediate_days: what one machine did not use for "
            "long may be what another one needs",
        )


@dataclass(frozen=True)
class InputSettings:
    """How input files are understood where they do not say it themselves: the table ``[input]`` of a settings file.

    Each is also an option of ``setbull run`` and ``setbull check``.
    """

    columns: Mapping[str, str] = field(default_factory=dict, hash=False)
    """What columns mean, found = expected: ``{date = "timestamp"}``. Of files without a header, whose columns have no
    names, the number from 1: ``{1 = "symbol", 2 = "date", 3 = "time"}``."""
    timezone: str = ""
    """Time zone of moments without offset, such as ``Asia/Kolkata``; empty: the exchange's where every row lies in its
    hours."""
    timestamp_format: str = ""
    """How moments are written, in the signs of strptime, such as ``%d/%m/%Y %H:%M``; empty: found out."""
    day_first: bool | None = None
    """Whether 02-06-2025 is a day of June; without it a day above 12 in the file decides."""
    label: Literal["", "start", "end"] = ""
    """Which minute of its bar a moment is: ``end`` shifts by one minute; empty: the start, unless whole sessions say
    otherwise."""
    interval: Literal["", "minute", "day"] = ""
    """How long bars are; empty: found out, which takes three days of an instrument that has one bar on each."""
    symbol_from: Literal["", "file name"] = ""
    """``file name``: all of it, in upper case, is the symbol; empty: the content says it, or a name of a usual form."""
    symbol_pattern: str = ""
    """Regular expression for file names, whose first group is the symbol: ``^([A-Z]+)_``."""
    symbols: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Symbols (or instrument keys) of single files: ``{"prices.csv" = "RELIANCE"}``."""
    separator: str = ""
    """What separates the fields of text files, such as ``;`` or ``tab``; empty: found out."""
    decimal: Literal["", ".", ","] = ""
    """Decimal sign of text files; empty: found out."""
    volume: Literal["", "per bar", "cumulative"] = ""
    """``cumulative``: a running total over the day, of which differences are taken; empty: per bar, unless it never
    falls."""
    exchange: Literal["", "NSE", "BSE"] = ""
    """Where symbols are listed; empty: as the file or its name says, else NSE."""
    series: tuple[str, ...] = ("EQ",)
    """Series of the exchange's day files that candles are made of; add BE, SM, ST for shares in other segments."""
    unpacked_limit_mib: int = 1024
    """The most that one compressed file may hold, in mebibytes."""

    def __post_init__(self) -> None:
        for name in ("columns", "symbols"):
            pairs = [*getattr(self, name).keys(), *getattr(self, name).values()]
            is_text = all(isinstance(text, str) and text.strip() for text in pairs)
            _require(is_text, f"input.{name}", getattr(self, name), "names = texts")
        if self.timezone:
            try:
                ZoneInfo(self.timezone)
            except (ZoneInfoNotFoundError, ValueError, OSError):
                expected = "the name of a time zone, such as Asia/Kolkata or UTC"
                _require(False, "input.timezone", self.timezone, expected)
        for name, allowed in (
            ("label", ("", "start", "end")),
            ("interval", ("", "minute", "day")),
            ("symbol_from", ("", "file name")),
            ("decimal", ("", ".", ",")),
            ("volume", ("", "per bar", "cumulative")),
            ("exchange", ("", "NSE", "BSE")),
        ):
            value = getattr(self, name)
            _require(value in allowed, f"input.{name}", value, f"one of {list(allowed)}")
        try:
            groups = re.compile(self.symbol_pattern).groups
        except re.error as error:
            _require(False, "input.symbol_pattern", self.symbol_pattern, f"a pattern ({error})")
        _require(
            not self.symbol_pattern or groups >= 1,
            "input.symbol_pattern",
            self.symbol_pattern,
            "a pattern with one group, such as ^([A-Z]+)_",
        )
        _require(
            len(self.separator) <= 1 or self.separator == "tab",
            "input.separator",
            self.separator,
            "one sign, or tab",
        )
        _require(
            "%" in self.timestamp_format or not self.timestamp_format,
            "input.timestamp_format",
            self.timestamp_format,
            "signs of strptime, such as %d/%m/%Y %H:%M",
        )
        _require(
            bool(self.series) and all(text.isalnum() for text in self.series),
            "input.series",
            self.series,
            "one or more series, such as EQ",
        )
        limit = self.unpacked_limit_mib
        _require(limit >= 1, "input.unpacked_limit_mib", limit, "1 or more")


@dataclass(frozen=True)
class SampleSettings:
    """The generated sample: what is made when no input is named."""

    instruments: int = 40
    daily_sessions: int = 280
    """Sessions of daily history, enough for warm daily indicators."""
    minute_sessions: int = 15
    """Sessions with one-minute candles, at the end of the daily history."""
    last_day: str = "2026-06-30"
    seed: int = 20260630

    def __post_init__(self) -> None:
        _require(self.instruments >= 12, "sample.instruments", self.instruments, "12 or more")
        _require(
            1 <= self.minute_sessions <= self.daily_sessions,
            "sample.minute_sessions",
            self.minute_sessions,
            f"1 to sample.daily_sessions ({self.daily_sessions})",
        )
        try:
            date.fromisoformat(self.last_day)
        except ValueError:
            _require(False, "sample.last_day", self.last_day, "a date YYYY-MM-DD")


@dataclass(frozen=True)
class Replay:
    """The tables as they were known at a moment, in a data folder of their own."""

    as_of: datetime
    """With time zone; what arrived later does not count."""
    landing: Path
    """Where the data folder that is replayed keeps what it has taken in."""


@dataclass(frozen=True)
class Settings:
    """All settings of one deployment."""

    data_directory: Path = Path("data")
    input: str | None = None
    """File or folder with candles; None is the generated sample."""
    replay: Replay | None = None
    """None: everything that has arrived counts. Set by ``setbull run --as-of``, never in a file of settings."""
    reading: InputSettings = field(default_factory=InputSettings)
    """The table ``[input]`` of the settings file, and options of the command line."""
    aggregation: AggregationSettings = field(default_factory=AggregationSettings)
    indicators: IndicatorSettings = field(default_factory=IndicatorSettings)
    sequences: SequenceSettings = field(default_factory=SequenceSettings)
    filters: FilterSettings = field(default_factory=FilterSettings)
    bb_width: BandWidthSettings = field(default_factory=BandWidthSettings)
    look_back: LookBackSettings = field(default_factory=LookBackSettings)
    reconciliation: ReconciliationSettings = field(default_factory=ReconciliationSettings)
    quality: QualitySettings = field(default_factory=QualitySettings)
    calendar: CalendarSettings = field(default_factory=CalendarSettings)
    refresh: RefreshSettings = field(default_factory=RefreshSettings)
    rollout: RolloutSettings = field(default_factory=RolloutSettings)
    processing: ProcessingSettings = field(default_factory=ProcessingSettings)
    runs: RunSettings = field(default_factory=RunSettings)
    alerts: AlertSettings = field(default_factory=AlertSettings)
    upstox: UpstoxSettings = field(default_factory=UpstoxSettings)
    groups: GroupSettings = field(default_factory=GroupSettings)
    api: ApiSettings = field(default_factory=ApiSettings)
    storage: StorageSettings = field(default_factory=StorageSettings)
    report: ReportSettings = field(default_factory=ReportSettings)
    sample: SampleSettings = field(default_factory=SampleSettings)


def fingerprint(*groups: Any) -> str:
    """A short stable hash of settings groups, recorded with every table computed from them."""
    text = json.dumps([dataclasses.asdict(group) for group in groups], sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _group_from_mapping(defaults: Any, name: str, values: Any) -> Any:
    _require(isinstance(values, Mapping), name, values, "a table of settings")
    known = {item.name: getattr(defaults, item.name) for item in dataclasses.fields(defaults)}
    changes: dict[str, Any] = {}
    for key, value in values.items():
        _require(key in known, f"{name}.{key}", value, f"one of the keys {sorted(known)}")
        default = known[key]
        if isinstance(default, tuple) and isinstance(value, list):
            value = tuple(value)
        elif default is None:
            _require(isinstance(value, bool), f"{name}.{key}", value, "true or false")
            changes[key] = value
            continue
        elif isinstance(default, float) and type(value) is int:
            value = float(value)
        _require(
            type(value) is type(default), f"{name}.{key}", value, f"a {type(default).__name__}"
        )
        if isinstance(default, tuple) and default:
            kind = type(default[0])
            expected = f"a list of {kind.__name__}"
            _require(all(type(item) is kind for item in value), f"{name}.{key}", value, expected)
        elif isinstance(default, float):
            _require(math.isfinite(value), f"{name}.{key}", value, "a finite number")
        changes[key] = value
    return dataclasses.replace(defaults, **changes)


def load_settings(
    environment: Mapping[str, str] | None = None, with_recorded: bool = True
) -> Settings:
    """Read the settings: defaults, then the TOML file, then the environment.

    ``SETBULL_SETTINGS`` names the TOML file (groups as tables, ``profile = "strict"`` at the top for a
    filter profile), ``SETBULL_DATA_DIR`` the data folder, ``SETBULL_INPUT`` the input; ``SETBULL_KILL_V2=1``
    serves V1 everywhere. Files are understood as the last run of the data folder was told to, if
    ``with_recorded``. Raises :class:`InvalidSettings` for an unknown key or an impossible value.

    The calendar file that they name is in force in this process from then on, for all who ask ``market.calendar.NSE``.
    """
    environment = os.environ if environment is None else environment
    document: dict[str, Any] = {}
    if settings_file := environment.get(SETTINGS_FILE_VARIABLE):
        try:
            document = tomllib.loads(Path(settings_file).read_text(encoding="utf-8"))
        except OSError as error:
            raise InvalidSettings(
                f"setting {SETTINGS_FILE_VARIABLE}: found {settings_file!r}, expected a readable TOML file "
                f"({error.strerror})"
            ) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidSettings(
                f"settings file {settings_file}: not valid TOML: {error}"
            ) from error
    profile = document.pop("profile", "production")
    known = isinstance(profile, str) and profile in PROFILES
    _require(known, "profile", profile, f"one of {sorted(PROFILES)}")
    sequences, filters = PROFILES[profile]
    settings = Settings(sequences=sequences, filters=filters)
    groups = {
        _READING_TABLE if item.name == "reading" else item.name: getattr(settings, item.name)
        for item in dataclasses.fields(settings)
        if dataclasses.is_dataclass(getattr(settings, item.name))
    }
    changes: dict[str, Any] = {}
    for key, value in document.items():
        _require(key in groups, key, value, f"one of the groups {sorted(groups)} or 'profile'")
        if key == "filters" and isinstance(value, Mapping) and "profile" in value:
            # It would rename the numbers of another profile, and be shown beside every result.
            expected = f"no such key here, but profile = {value['profile']!r} as the first line of the file"
            _require(False, "filters.profile", value["profile"], expected)
        changes[key] = _group_from_mapping(groups[key], key, value)
    if _READING_TABLE in changes:
        changes["reading"] = changes.pop(_READING_TABLE)
    kill = environment.get(KILL_VARIABLE, "").strip().lower()
    _require(kill in (*_YES, *_NO), KILL_VARIABLE, kill, f"one of {_YES} or {_NO}")
    if kill in _YES:
        rollout = changes.get("rollout", settings.rollout)
        changes["rollout"] = dataclasses.replace(rollout, kill=True)
    directory = data_directory(environment)
    changes["data_directory"] = directory
    source = environment.get(INPUT_VARIABLE)
    recorded, replay, reading = recorded_source(directory)
    changes["input"] = str(Path(source).resolve()) if source else recorded
    if with_recorded and reading and changes["input"] == recorded:
        of_file = changes.get("reading", settings.reading)
        changes["reading"] = _group_from_mapping(of_file, _READING_TABLE, reading)
    loaded = dataclasses.replace(settings, **changes)
    _refuse_contradictions(loaded)
    NSE.amend(_amendment(loaded.calendar))
    return replaying(loaded, replay, directory) if replay else loaded


def _refuse_contradictions(settings: Settings) -> None:
    """Refuse settings of different groups that each are possible and together are not."""
    moves = settings.look_back.sessions_moves
    for name, needed in (
        ("sequences.look_back_days", settings.sequences.look_back_days),
        ("filters.volume_days", settings.filters.volume_days),
    ):
        _require(
            needed <= moves,
            name,
            needed,
            f"at most look_back.sessions_moves ({moves}), which are read",
        )
    length = settings.filters.minimum_sequence_length
    days = settings.sequences.look_back_days
    expected = f"at most sequences.look_back_days ({days})"
    _require(length <= days, "filters.minimum_sequence_length", length, expected)
    shortest = settings.sequences.pattern_minimum_length
    _require(shortest <= days, "sequences.pattern_minimum_length", shortest, expected)
    bar = settings.aggregation.bar_minutes
    for name in ("first_entry_bar", "second_entry_bar"):
        start = getattr(settings.groups, name)
        since_open = int(start[:2]) * 60 + int(start[3:]) - (9 * 60 + 15)
        expected = f"the start of a bar of {bar} minutes that counts from 09:15"
        _require(since_open >= 0 and since_open % bar == 0, f"groups.{name}", start, expected)


def _amendment(settings: CalendarSettings) -> Amendment:
    if not settings.file:
        return Amendment()
    try:
        return parse_calendar(Path(settings.file).read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise InvalidSettings(
            f"setting calendar.file: found {settings.file!r}, expected a readable CSV file ({reason})"
        ) from error
    except InvalidCalendar as error:
        raise InvalidSettings(f"setting calendar.file: {settings.file}, {error}") from error


def replaying(settings: Settings, replay: Replay, data_directory: Path) -> Settings:
    """The settings of a replay in a data folder of its own. It tells nobody: its alerts are of the past, and its
    tables are not those that machines share."""
    return dataclasses.replace(
        settings,
        data_directory=data_directory,
        replay=replay,
        alerts=dataclasses.replace(settings.alerts, channels=()),
        storage=dataclasses.replace(settings.storage, remote=""),
    )


def recorded_source(
    data_directory: Path,
) -> tuple[str | None, Replay | None, dict[str, Any]]:
    """The input that the data folder's tables were made from, None for the generated sample, of which replay, and what
    the command line said of reading it.

    ``setbull run`` records both, so that the UI's code server works on the same.
    """
    path = data_directory / SOURCE_FILE
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        replay = record.get("replay")
        as_of = (
            Replay(datetime.fromisoformat(replay["as_of"]), Path(replay["landing"]))
            if replay
            else None
        )
        return record["input"], as_of, dict(record.get("reading", {}))
    except FileNotFoundError:
        return None, None, {}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InvalidSettings(
            f'{path}: found something else than {{"input": ...}}; restore it, or delete it to start from the '
            "generated sample"
        ) from None


def data_directory(environment: Mapping[str, str]) -> Path:
    """The data folder that the environment names, or ``data`` in the working folder."""
    return Path(environment.get(DATA_DIRECTORY_VARIABLE) or "data").resolve()


def source_record(
    source: str | None, replay: Replay | None, reading: Mapping[str, Any] | None = None
) -> dict[str, object]:
    """What :func:`recorded_source` reads."""
    record: dict[str, object] = {"input": source}
    if replay is not None:
        record["replay"] = {"as_of": replay.as_of.isoformat(), "landing": str(replay.landing)}
    if reading:
        record["reading"] = dict(reading)
    return record
