"""The computing steps: what each reads, how far back, what it calls, what it writes.

Belongs here: one :class:`Step` per call of the variant protocol. Does not belong here: how a step is
carried out (``engine``) and the formulas (``variants/``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables import Table
from setbull_pipelines.variants.protocol import Variant

Frames = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Input:
    """A table that a step reads: the partition of the day itself and ``look_back`` sessions before it."""

    table: Table
    look_back: Callable[[Settings], int] = lambda settings: 0
    columns: tuple[str, ...] | None = None
    """Those that are read; None for all but where rows are from."""

    @property
    def column_names(self) -> list[str]:
        """The columns that the step is given."""
        return list(self.columns or self.table.without_provenance.column_names)

    @property
    def is_raw(self) -> bool:
        """Raw tables are shared by both variants; all others are read from the variant's own schema."""
        return "raw" in self.table.schemas


@dataclass(frozen=True)
class Step:
    """One computing step, the same for both variants."""

    name: str
    group: str
    inputs: tuple[Input, ...]
    outputs: tuple[Table, ...]
    compute: Callable[[Variant, Frames, pd.Timestamp, Settings], tuple[pd.DataFrame, ...]]
    settings_groups: Callable[[Settings], tuple[Any, ...]]
    needs_history_starts: bool = False
    is_adjusted: bool = False
    """Its look-back is read in prices and under instrument keys of the day, by the corporate actions up to it."""
    gives_days_since: bool = False
    """``compute`` gives the rows of ``day`` and of all later days that it is given, not of ``day`` alone."""

    def is_of_own_rows(self, settings: Settings) -> bool:
        """Whether a day follows from its own rows alone, so that the rows of any days can be computed together."""
        looks_back = any(item.look_back(settings) for item in self.inputs)
        return not (looks_back or self.is_adjusted or self.needs_history_starts)


def _candles_5min(variant: Variant, frames: Frames, day: pd.Timestamp, settings: Settings):
    return (variant.to_5min(frames["candles_1min"], settings.aggregation),)


def _candles_daily(variant: Variant, frames: Frames, day: pd.Timestamp, settings: Settings):
    return (
        variant.to_daily(
            frames["candles_1min"], frames["candles_daily_history"], settings.aggregation
        ),
    )


def _adjusted(variant: Variant, table: Table, frames: Frames, day: pd.Timestamp) -> pd.DataFrame:
    return variant.adjusted(frames[table.name], table, frames["corporate_actions"], day)


def _indicators_5min(variant: Variant, frames: Frames, day: pd.Timestamp, settings: Settings):
    candles = _adjusted(variant, tables.CANDLES_5MIN, frames, day)
    starts = frames["history_starts"]
    return (variant.indicators(candles, "5minute", starts, settings.indicators, since=day),)


def _indicators_daily(variant: Variant, frames: Frames, day: pd.Timestamp, settings: Settings):
    candles = _adjusted(variant, tables.CANDLES_DAILY, frames, day)
    starts, actions = frames["history_starts"], frames["corporate_actions"]
    return (
        variant.indicators(candles, "day", starts, settings.indicators, since=day, actions=actions),
    )


def _bb_width_daily(variant: Variant, frames: Frames, day: pd.Timestamp, settings: Settings):
    return (variant.bb_width(frames["indicators_5min"], settings.bb_width),)


def _bb_width_alerts(variant: Variant, frames: Frames, day: pd.Timestamp, settings: Settings):
    sessions = _adjusted(variant, tables.BB_WIDTH_DAILY, frames, day)
    return (variant.bb_width_alerts(frames["indicators_5min"], sessions, day, settings.bb_width),)


def _moves_daily(variant: Variant, frames: Frames, day: pd.Timestamp, settings: Settings):
    candles = _adjusted(variant, tables.CANDLES_DAILY, frames, day)
    indicators = _adjusted(variant, tables.INDICATORS_DAILY, frames, day)
    return (variant.moves(candles, indicators, day, settings.sequences),)


def _sequences(variant: Variant, frames: Frames, day: pd.Timestamp, settings: Settings):
    return (variant.sequences(frames["moves_daily"]),)


def _sequence_analysis(variant: Variant, frames: Frames, day: pd.Timestamp, settings: Settings):
    return variant.sequence_analysis(frames["moves_daily"], frames["sequences"], settings.sequences)


def _filter_results(variant: Variant, frames: Frames, day: pd.Timestamp, settings: Settings):
    return (
        variant.filters(
            _adjusted(variant, tables.CANDLES_DAILY, frames, day),
            frames["indicators_daily"],
            frames["sequence_analysis"],
            day,
            settings.filters,
            settings.sequences,
        ),
    )


_OF_INDICATORS = ("instrument_key", "timestamp", "trading_day", "high", "low", "close", "volume")
"""What indicators are computed from: of hundreds of sessions every column counts."""
_OF_BANDS = ("instrument_key", "timestamp", "trading_day", "bb_width")
_OF_WIDTHS = ("instrument_key", "trading_day", "bands", "p10_bb_width", "min_bb_width")

STEPS: tuple[Step, ...] = (
    Step(
        "candles_5min",
        "candles",
        (Input(tables.CANDLES_1MIN),),
        (tables.CANDLES_5MIN,),
        _candles_5min,
        lambda settings: (settings.aggregation,),
    ),
    Step(
        "candles_daily",
        "candles",
        (Input(tables.CANDLES_1MIN), Input(tables.CANDLES_DAILY_HISTORY)),
        (tables.CANDLES_DAILY,),
        _candles_daily,
        lambda settings: (settings.aggregation,),
    ),
    Step(
        "indicators_5min",
        "indicators",
        (
            Input(
                tables.CANDLES_5MIN,
                lambda settings: settings.look_back.sessions_5min,
                _OF_INDICATORS,
            ),
        ),
        (tables.INDICATORS_5MIN,),
        _indicators_5min,
        lambda settings: (settings.indicators, settings.look_back),
        needs_history_starts=True,
        is_adjusted=True,
        gives_days_since=True,
    ),
    Step(
        "indicators_daily",
        "indicators",
        (
            Input(
                tables.CANDLES_DAILY,
                lambda settings: settings.look_back.sessions_daily,
                (*_OF_INDICATORS, "series", "open"),
            ),
        ),
        (tables.INDICATORS_DAILY,),
        _indicators_daily,
        lambda settings: (settings.indicators, settings.look_back),
        needs_history_starts=True,
        is_adjusted=True,
        gives_days_since=True,
    ),
    Step(
        "bb_width_daily",
        "indicators",
        (Input(tables.INDICATORS_5MIN, columns=_OF_BANDS),),
        (tables.BB_WIDTH_DAILY,),
        _bb_width_daily,
        lambda settings: (settings.bb_width,),
    ),
    Step(
        "bb_width_alerts",
        "indicators",
        (
            Input(tables.INDICATORS_5MIN, columns=_OF_BANDS),
            Input(
                tables.BB_WIDTH_DAILY,
                lambda settings: settings.bb_width.look_back_sessions,
                _OF_WIDTHS,
            ),
        ),
        (tables.BB_WIDTH_ALERTS,),
        _bb_width_alerts,
        lambda settings: (settings.bb_width,),
        is_adjusted=True,
    ),
    Step(
        "moves_daily",
        "sequences",
        (
            Input(tables.CANDLES_DAILY, lambda settings: settings.look_back.sessions_moves),
            Input(tables.INDICATORS_DAILY, lambda settings: settings.look_back.sessions_moves),
        ),
        (tables.MOVES_DAILY,),
        _moves_daily,
        lambda settings: (settings.sequences, settings.look_back),
        is_adjusted=True,
    ),
    Step(
        "sequences",
        "sequences",
        (Input(tables.MOVES_DAILY),),
        (tables.SEQUENCES,),
        _sequences,
        lambda settings: (settings.sequences,),
    ),
    Step(
        "sequence_analysis",
        "sequences",
        (Input(tables.MOVES_DAILY), Input(tables.SEQUENCES)),
        (tables.SEQUENCE_ANALYSIS, tables.SEQUENCE_PATTERNS),
        _sequence_analysis,
        lambda settings: (settings.sequences,),
    ),
    Step(
        "filter_results",
        "filters",
        (
            Input(tables.CANDLES_DAILY, lambda settings: settings.look_back.sessions_moves),
            Input(tables.INDICATORS_DAILY),
            Input(tables.SEQUENCE_ANALYSIS),
        ),
        (tables.FILTER_RESULTS,),
        _filter_results,
        lambda settings: (settings.filters, settings.sequences, settings.look_back),
        is_adjusted=True,
    ),
)
