"""V1 of moves and sequences: daily moves, and the runs ("mamba" sequences) that they form.

Belongs here: moves, trend, mamba days, runs. Does not belong here: indicators, what the runs say (``analysis.py``), the
verdict on an instrument (``filters.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from math import isnan
from statistics import fmean
from typing import NamedTuple

import pandas as pd

from setbull_pipelines.settings import SequenceSettings
from setbull_pipelines.tables.moves import BEARISH, BULLISH, MOVES_DAILY, NEUTRAL
from setbull_pipelines.tables.sequences import MAMBA, NON_MAMBA, SEQUENCES
from setbull_pipelines.variants.v1.daily_series import DailyBar, bars_of_chosen_series, day_of
from setbull_pipelines.variants.v1.limits import is_above, is_at_least
from setbull_pipelines.variants.v1.rows import frame_of

Key = tuple[pd.Timestamp, str]
_CHANNEL_RANGES = 1.5
"""Average true ranges on either side of EMA 20 that the Keltner channel reaches."""


class Move(NamedTuple):
    """The columns of a row of ``moves_daily`` that runs are made of."""

    series: str
    move_day: pd.Timestamp
    open: float
    high: float
    low: float
    close: float
    volume: int
    """pd.NA where it is not known."""
    is_above_ema: bool
    """pd.NA where the bar has no EMA 50."""
    is_squeezed: bool
    """pd.NA where the bar has no bands or no channel."""
    trend: str
    is_mamba: bool
    mamba_strength: float


def moves(
    candles_daily: pd.DataFrame,
    indicators_daily: pd.DataFrame,
    as_of: pd.Timestamp,
    settings: SequenceSettings = SequenceSettings(),
) -> pd.DataFrame:
    """The last bars of every instrument as ``moves_daily``; the contract is in ``variants/protocol.py``."""
    day = day_of(as_of)
    rows: list[dict[str, object]] = []
    chosen = bars_of_chosen_series(candles_daily, indicators_daily, day)
    for instrument_key, bars in chosen.items():
        bars = bars[-settings.look_back_days :]
        trend = trend_of(bars, settings)
        has_volumes = all(bar.volume is not pd.NA for bar in bars)
        mean_volume = fmean(bar.volume for bar in bars) if has_volumes else None
        for bar in bars:
            is_bullish = bar.close > bar.open
            move_percent = move_percent_of(bar)
            strength = strength_of(move_percent, bar.volume, mean_volume, settings.volume_weight)
            is_mamba = is_at_least(strength, settings.strength_threshold) and (
                (
                    trend == BULLISH
                    and is_bullish
                    and is_above(move_percent, settings.bullish_move_percent)
                )
                or (
                    trend == BEARISH
                    and not is_bullish
                    and is_above(move_percent, settings.bearish_move_percent)
                )
            )
            rows.append(
                {
                    "instrument_key": instrument_key,
                    "move_day": bar.trading_day,
                    "trading_day": day,
                    "series": bar.series,
                    "open": bar.open,
                    "high": bar.high,
                    "low": bar.low,
                    "close": bar.close,
                    "volume": bar.volume,
                    "ema_50": bar.ema_50,
                    "is_above_ema": None if isnan(bar.ema_50) else bar.close >= bar.ema_50,
                    "is_squeezed": is_squeezed(bar),
                    "move_percent": move_percent,
                    "is_bullish": is_bullish,
                    "strength": strength,
                    "trend": trend,
                    "is_mamba": is_mamba,
                    "mamba_strength": strength if is_mamba else None,
                }
            )
    return frame_of(MOVES_DAILY, rows)


def trend_of(bars: Sequence[DailyBar], settings: SequenceSettings) -> str:
    """Side of EMA 50 on which at least ``trend_share`` of the closes lie; NEUTRAL when unknown or mixed."""
    if len(bars) < settings.look_back_days or any(isnan(bar.ema_50) for bar in bars):
        return NEUTRAL
    below = sum(bar.close < bar.ema_50 for bar in bars)
    above = len(bars) - below
    if below / len(bars) >= settings.trend_share:
        return BEARISH
    if above / len(bars) >= settings.trend_share:
        return BULLISH
    return NEUTRAL


def is_squeezed(bar: DailyBar) -> bool | None:
    """Whether both Bollinger bands lie inside the Keltner channel; None while one of the two has no value."""
    if any(isnan(value) for value in (bar.bb_upper, bar.bb_lower, bar.ema_20, bar.atr)):
        return None
    distance = _CHANNEL_RANGES * bar.atr
    return is_above(bar.ema_20 + distance, bar.bb_upper) and is_above(
        bar.bb_lower, bar.ema_20 - distance
    )


def move_percent_of(bar: DailyBar) -> float:
    """Rise from the open in percent, or fall measured from the close; never negative."""
    if bar.close > bar.open:
        return (bar.close - bar.open) / bar.open * 100
    return (bar.open - bar.close) / bar.close * 100


def strength_of(
    move_percent: float, volume: int, mean_volume: float | None, volume_weight: float
) -> float:
    """How strong a move is: a move of 10 % and a volume of twice the mean make 1; below 0 is possible.

    Without a mean, or with one of 0, the price decides alone.
    """
    price_strength = min(move_percent / 10, 1)
    volume_strength = min(volume / mean_volume - 1, 1) if mean_volume else 0
    return price_strength * (1 - volume_weight) + volume_strength * volume_weight


def sequences(moves: pd.DataFrame) -> pd.DataFrame:
    """Runs of consecutive moves with equal is_mamba as ``sequences``; the contract is in ``variants/protocol.py``."""
    rows: list[dict[str, object]] = []
    for (trading_day, instrument_key), days in moves_by_instrument(moves):
        runs = [list(run) for _, run in groupby(days, key=lambda move: move.is_mamba)]
        next_runs = [*runs[1:], None]
        for number, (run, next_run) in enumerate(zip(runs, next_runs, strict=True), start=1):
            first, last = run[0], run[-1]
            rows.append(
                {
                    "instrument_key": instrument_key,
                    "sequence_number": number,
                    "trading_day": trading_day,
                    "series": first.series,
                    "kind": MAMBA if first.is_mamba else NON_MAMBA,
                    "length": len(run),
                    "start_day": first.move_day,
                    "end_day": last.move_day,
                    "strength": (
                        fmean(move.mamba_strength for move in run) if first.is_mamba else 0.0
                    ),
                    "return_percent": (last.close - first.open) / first.open * 100,
                    "total_volume": (
                        sum(move.volume for move in run)
                        if all(move.volume is not pd.NA for move in run)
                        else None
                    ),
                    "gap_days_to_next": (
                        None if next_run is None else (next_run[0].move_day - last.move_day).days
                    ),
                }
            )
    return frame_of(SEQUENCES, rows)


def moves_by_instrument(moves: pd.DataFrame) -> Iterator[tuple[Key, list[Move]]]:
    """The moves of one as-of day and instrument at a time, oldest first."""
    ordered = moves.sort_values(["trading_day", "instrument_key", "move_day"], kind="stable")
    for key, rows in ordered.groupby(["trading_day", "instrument_key"]):
        columns = (rows[name].tolist() for name in Move._fields)
        yield key, [Move(*values) for values in zip(*columns, strict=True)]
