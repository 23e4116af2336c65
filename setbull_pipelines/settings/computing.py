"""Settings that computed values depend on: the only ones that are part of a code version.

Belongs here: groups that ``variants/``, ``groups/``, ``tables/`` and the generated sample read, and the profiles of
filters. Does not belong here: how much a run may use, how results are judged and kept (``operating.py``), where files
and people are (``connecting.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, get_args

from annotated_types import Ge, Gt, Le, Lt

from setbull_pipelines.settings.dates import is_date
from setbull_pipelines.settings.declaring import (
    AboveZero,
    Count,
    CountOrNone,
    Percent,
    Share,
    group,
    require,
    text_like,
    text_that,
)

_ClockTime = Annotated[str, text_like(r"([01]\d|2[0-3]):[0-5]\d", "a time such as '09:15'")]
_Rsi = Annotated[float, Ge(0), Le(100)]


@group("aggregation")
class AggregationSettings:
    """How one-minute candles become bars."""

    bar_minutes: Count = 5
    """Length of an intraday bar in minutes, counted from the open of each session interval."""
    untraded_minutes: Literal["exclude", "include"] = "exclude"
    """``exclude``: a minute with volume 0 makes no bar (charting platforms); ``include``: it does (broker). Those of an
    index, which is never traded, always do."""


@group("indicators")
class IndicatorSettings:
    """When indicators can be relied on. Their periods belong to their columns: ``tables/indicators.py``."""

    warm_margin_bars: CountOrNone = 200
    """Bars beyond its first value before EMA 50 counts as warm: the mean that it starts from then has 0.034 % of its
    weight. A column that forgets more slowly is warm when its own start has no more: ``tables/look_back.py``."""
    maximum_unexplained_gap: Annotated[float, Gt(0), Lt(1)] = 0.25
    """|open / previous close - 1| above which no corporate action is missing only by chance: price bands end at
    20 %, a bonus of 1 for 2 opens around 0.67. Not among the quality limits, because results depend on it."""
    overnight_days: Count = 10
    """Bars more calendar days apart are not compared: after weeks without trading a price has moved by itself."""


@group("sequences")
class SequenceSettings:
    """Daily moves, their trend, and the runs ("mamba" sequences) they form."""

    look_back_days: Annotated[int, Ge(2)] = 21
    """Daily bars that are analysed, the as-of day included."""
    bullish_move_percent: Percent = 5.0
    """A rise from the open above this (strictly) can be a mamba day in a bullish trend."""
    bearish_move_percent: Percent = 3.0
    """A fall measured from the close above this (strictly) can be a mamba day in a bearish trend."""
    volume_weight: Share = 0.3
    """Share of the volume term in the strength of a move; the price term has the rest."""
    strength_threshold: Share = 0.1
    """Strength of a move from which on its day can be a mamba day. The largest strength is 1: a move of 10 % or more
    and twice the mean volume."""
    trend_share: Annotated[float, Ge(0.5), Le(1)] = 0.60
    """Share of closes on one side of EMA 50 that makes a trend."""
    pattern_minimum_length: Count = 2
    """Days of the shortest sequence that counts as a pattern."""
    continuity_maximum_gap_days: Count = 5
    """Calendar days between two mamba sequences up to which they count as continued."""
    long_run_days: Count = 6
    """A run of non-mamba days longer than this counts as a long gap."""


@group("filters")
class FilterSettings:
    """Thresholds of the filter stages basic, EMA, RSI and mamba. Prices in rupees, volumes in shares."""

    profile: str = "production"
    """Name of the profile that the thresholds start from; in a file it is the line ``profile = ...`` at the top."""
    minimum_close: float = 50.0
    """Lowest close, in rupees, that the basic stage lets pass."""
    maximum_close: float = 1000.0
    """Highest close, in rupees, that the basic stage lets pass."""
    minimum_average_volume: CountOrNone = 400_000
    """Mean volume, in shares a day, from which on a stock passes the basic stage."""
    volume_days: Count = 10
    """Daily bars that the mean volume is taken of."""
    ema_deviation: Annotated[float, Gt(0), Lt(1)] = 0.03
    """Share of EMA 50 by which a close must lie above or below it (strictly) to have a side."""
    rsi_bullish: _Rsi = 50.0
    """Lowest RSI of a stock on the bullish side."""
    rsi_bearish: _Rsi = 55.0
    """Highest RSI of a stock on the bearish side."""
    mamba_ratio: Share = 0.2
    """Share of the look-back days that must be mamba days."""
    minimum_sequence_length: CountOrNone = 1
    """Days that the current sequence, or some mamba sequence, must have."""
    long_gaps_per_mamba_sequences: Count = 3
    """At most one long gap per this many mamba sequences (floor), unless there is at most one mamba sequence."""

    def __post_init__(self) -> None:
        require(
            0 < self.minimum_close < self.maximum_close,
            "filters.minimum_close",
            self.minimum_close,
            f"above 0 and below filters.maximum_close ({self.maximum_close})",
        )


class _Profiles(Mapping[str, tuple[SequenceSettings, FilterSettings]]):
    """The profiles by name, each made when it is asked for: making the first settings takes 80 ms of an import."""

    _CHANGES: Mapping[str, tuple[dict[str, Any], dict[str, Any]]] = {
        # Recovered from a published report of the production service (docs/filters.md).
        "production": ({}, {}),
        "strict": (
            {"strength_threshold": 0.2, "long_run_days": 5},
            {
                "minimum_close": 20.0,
                "maximum_close": 1500.0,
                "minimum_average_volume": 300_000,
                "rsi_bullish": 60.0,
                "rsi_bearish": 40.0,
                "mamba_ratio": 0.3,
                "minimum_sequence_length": 2,
            },
        ),
    }

    def __getitem__(self, name: str) -> tuple[SequenceSettings, FilterSettings]:
        sequences, filters = self._CHANGES[name]
        return SequenceSettings(**sequences), FilterSettings(profile=name, **filters)

    def __iter__(self) -> Iterator[str]:
        return iter(self._CHANGES)

    def __len__(self) -> int:
        return len(self._CHANGES)


PROFILES = _Profiles()


BandWidthRule = Literal["range contracting", "threshold", "squeeze", "pattern", "expansion"]
BB_WIDTH_RULES = get_args(BandWidthRule)
"""What the band-width monitor can alert of; ``Variant.bb_width_alerts`` says when."""


@group("bb_width")
class BandWidthSettings:
    """The band-width monitor: which widths count, what a pattern is, which of them raise alerts."""

    look_back_sessions: Count = 20
    """Sessions before a day in which its lowest width is looked for."""
    minimum_width: AboveZero = 0.001
    """Rupees; a narrower bar has no band, since nothing was traded away from one price."""
    minimum_bands: Count = 10
    """Bands that a session of the look-back must have."""
    minimum_p10: AboveZero = 0.01
    """Rupees; a session with a smaller 10th percentile is that of a stock that hardly trades."""
    minimum_sessions: Count = 3
    """Usable sessions of the look-back without which there is no lowest width, and no alert."""
    range_percent: Percent = 0.1
    """Percent on either side of the lowest width within which a band counts as in range."""
    range_bands: Count = 20
    """Most bands that are counted as being in range."""
    pattern_bands: Annotated[int, Ge(2)] = 3
    """Bands whose mean is compared with that of as many before, and over which a contraction is measured."""
    trend_percent: Percent = 5.0
    """Change, in percent, of the mean of ``pattern_bands`` bands above which widths contract or expand."""
    moderate_contractions: Count = 3
    """Falls in a row that make a moderate contraction."""
    moderate_percent: Percent = 5.0
    """Fall in percent (strictly) that a moderate contraction must reach."""
    strong_contractions: Count = 5
    """Falls in a row that make a strong contraction."""
    strong_percent: Percent = 10.0
    """Fall in percent (strictly) that a strong contraction must reach."""
    alert_rules: tuple[BandWidthRule, ...] = BB_WIDTH_RULES[:3]
    """In this order; the first that a bar meets names its alert. ``pattern`` and ``expansion`` look at the width's way
    and not at its lowest: almost every stock meets them in every session (``docs/alerts.md``), and since a session has
    one alert, they would hide the others."""

    def __post_init__(self) -> None:
        require(
            self.minimum_sessions <= self.look_back_sessions,
            "bb_width.minimum_sessions",
            self.minimum_sessions,
            f"at most bb_width.look_back_sessions ({self.look_back_sessions})",
        )
        for name, weaker in (
            ("strong_contractions", "moderate_contractions"),
            ("strong_percent", "moderate_percent"),
        ):
            found, least = getattr(self, name), getattr(self, weaker)
            require(
                found >= least, f"bb_width.{name}", found, f"bb_width.{weaker} ({least}) or more"
            )
        require(
            len(set(self.alert_rules)) == len(self.alert_rules),
            "bb_width.alert_rules",
            self.alert_rules,
            "each rule only once",
        )


@group("look_back")
class LookBackSettings:
    """Sessions before a partition that it is computed from, chosen so that a longer history changes nothing.

    The slowest column, EMA 50, weighs its start with less than 1e-9 from bar 569 on; 9 sessions hold 576
    five-minute bars even when one of them is an evening session and stocks trade until 15:15. Fewer sessions
    than the columns need are refused (``tables/look_back.py``).
    """

    sessions_5min: CountOrNone = 9
    """Sessions of 5-minute bars."""
    sessions_daily: CountOrNone = 600
    """Sessions of daily bars."""
    sessions_moves: CountOrNone = 42
    """Sessions of moves: twice the look-back days, so that a stock that missed sessions still has its bars."""


@group("groups")
class GroupSettings:
    """Stock groups and the plan of entries that is computed from them. Nothing here places an order."""

    file: str = ""
    """CSV of the groups (docs/api.md has its columns); empty: there are none."""
    first_entry_bar: _ClockTime = "09:15"
    """Start of the bar that 1ST_ENTRY enters on, exchange time; the plan is made when the bar has closed."""
    second_entry_bar: _ClockTime = "14:30"
    """Start of the bar that 2_30_ENTRY enters on. The replaced system took the bar of 13:00 in spite of the name."""
    first_entry_risk: AboveZero = 50.0
    """Rupees that an instrument of 1ST_ENTRY may lose between entry and stop."""
    second_entry_risk: AboveZero = 50.0
    """Rupees that an instrument of the other entry types may lose between entry and stop."""


@group("sample")
class SampleSettings:
    """The generated sample: what is made when no input is named."""

    instruments: Annotated[int, Ge(12)] = 40
    """Instruments that are generated."""
    daily_sessions: int = 280
    """Sessions of daily history, enough for warm daily indicators."""
    minute_sessions: int = 15
    """Sessions with one-minute candles, at the end of the daily history."""
    last_day: Annotated[str, text_that(is_date, "a date YYYY-MM-DD")] = "2026-06-30"
    """Last trading day of the sample, YYYY-MM-DD."""
    seed: int = 20260630
    """Start of the random numbers; another one gives another market."""

    def __post_init__(self) -> None:
        require(
            1 <= self.minute_sessions <= self.daily_sessions,
            "sample.minute_sessions",
            self.minute_sessions,
            f"1 to sample.daily_sessions ({self.daily_sessions})",
        )
