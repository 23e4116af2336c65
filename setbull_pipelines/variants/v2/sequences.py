"""V2 of daily moves and the runs ("mamba" sequences) they form, for all instruments at once.

Belongs here: ``moves`` and ``sequences``. Does not belong here: what the runs say
(``analysis.py``).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from setbull_pipelines.settings import SequenceSettings
from setbull_pipelines.tables import MOVES_DAILY, SEQUENCES
from setbull_pipelines.tables.moves import BEARISH, BULLISH, NEUTRAL
from setbull_pipelines.tables.sequences import MAMBA, NON_MAMBA
from setbull_pipelines.variants.v2 import columns
from setbull_pipelines.variants.v2.daily_series import SERIES, as_of_day, daily_bars

_TRENDS = (BEARISH, BULLISH, NEUTRAL)
_KINDS = (MAMBA, NON_MAMBA)
"""In sort order, so that kinds sort by their position."""
_DAY = 86_400_000_000
"""Microseconds."""


def moves(
    candles_daily: pd.DataFrame,
    indicators_daily: pd.DataFrame,
    as_of: pd.Timestamp,
    settings: SequenceSettings = SequenceSettings(),
) -> pd.DataFrame:
    """The last daily bars of every instrument as moves; see ``Variant.moves``."""
    if candles_daily.empty:
        return MOVES_DAILY.empty()
    day = as_of_day(as_of)
    bars = daily_bars(candles_daily, indicators_daily, day, settings.look_back_days)
    recent = bars.recent
    if recent.empty:
        return MOVES_DAILY.empty()
    instrument = recent["instrument"].to_numpy()
    starts = columns.run_starts(instrument)
    lengths = columns.run_lengths(starts, len(instrument))

    def to_rows(per_instrument: np.ndarray) -> np.ndarray:
        return np.repeat(per_instrument, lengths)

    open_, close = recent["open"].to_numpy(), recent["close"].to_numpy()
    volume, ema = recent["volume"].to_numpy("int64", na_value=0), recent["ema_50"].to_numpy()
    knows_volume = recent["volume"].notna().to_numpy()
    is_bullish = close > open_
    move_percent = np.where(
        is_bullish, (close - open_) / open_ * 100, (open_ - close) / close * 100
    )
    mean_volume = to_rows(np.add.reduceat(volume, starts) / lengths)
    mean_volume[~to_rows(np.logical_and.reduceat(knows_volume, starts))] = 0
    relative_volume = np.nan_to_num(columns.divide(volume, mean_volume), nan=1.0)
    strength = (
        np.minimum(move_percent / 10, 1) * (1 - settings.volume_weight)
        + np.minimum(relative_volume - 1, 1) * settings.volume_weight
    )

    has_ema = ~np.isnan(ema)
    below = np.add.reduceat(close < ema, starts, dtype="int64")
    above = np.add.reduceat(close >= ema, starts, dtype="int64")
    is_known = (lengths >= settings.look_back_days) & np.logical_and.reduceat(has_ema, starts)
    trend = np.select(
        [
            ~is_known,
            below / lengths >= settings.trend_share,
            above / lengths >= settings.trend_share,
        ],
        [_TRENDS.index(NEUTRAL), _TRENDS.index(BEARISH), _TRENDS.index(BULLISH)],
        _TRENDS.index(NEUTRAL),
    )
    trend = to_rows(trend)
    rises = is_bullish & (move_percent > columns.above(settings.bullish_move_percent))
    falls = ~is_bullish & (move_percent > columns.above(settings.bearish_move_percent))
    is_mamba = (strength >= columns.below(settings.strength_threshold)) & (
        ((trend == _TRENDS.index(BULLISH)) & rises) | ((trend == _TRENDS.index(BEARISH)) & falls)
    )
    return pd.DataFrame(
        {
            "instrument_key": columns.texts(bars.instruments, instrument),
            "move_day": recent["trading_day"],
            "trading_day": columns.days(np.full(len(recent), day)),
            "series": columns.texts(SERIES, bars.series[instrument]),
            "open": open_,
            "high": recent["high"],
            "low": recent["low"],
            "close": close,
            "volume": columns.nullable_integers(volume, knows_volume),
            "ema_50": ema,
            "is_above_ema": columns.nullable_booleans(close >= ema, has_ema),
            "move_percent": move_percent,
            "is_bullish": is_bullish,
            "strength": strength,
            "trend": columns.texts(_TRENDS, trend),
            "is_mamba": is_mamba,
            "mamba_strength": np.where(is_mamba, strength, np.nan),
        }
    )


def sequences(moves: pd.DataFrame) -> pd.DataFrame:
    """Runs of equal moves; see ``Variant.sequences``."""
    if moves.empty:
        return SEQUENCES.empty()
    (codes,), instruments = columns.shared_codes(moves["instrument_key"])
    as_of = columns.microseconds(moves["trading_day"])
    order = np.lexsort((columns.microseconds(moves["move_day"]), codes, as_of))
    moves, codes, as_of = moves.take(order), codes[order], as_of[order]
    move_day = columns.microseconds(moves["move_day"])
    is_mamba = moves["is_mamba"].to_numpy(dtype=bool)
    volume = moves["volume"].to_numpy("int64", na_value=0)
    knows_volume = moves["volume"].notna().to_numpy()
    strength = np.nan_to_num(moves["mamba_strength"].to_numpy("float64"))

    starts = columns.run_starts(as_of, codes, is_mamba)
    length = columns.run_lengths(starts, len(moves))
    last = starts + length - 1
    group_starts = columns.run_starts(as_of[starts], codes[starts])
    group_lengths = columns.run_lengths(group_starts, len(starts))
    number = np.arange(len(starts)) - np.repeat(group_starts, group_lengths) + 1
    has_next = np.ones(len(starts), dtype=bool)
    has_next[group_starts + group_lengths - 1] = False
    gap = (np.roll(move_day[starts], -1) - move_day[last]) // _DAY
    first_open = moves["open"].to_numpy()[starts]
    runs = pd.DataFrame(
        {
            "instrument_key": columns.texts(instruments, codes[starts]),
            "sequence_number": number,
            "trading_day": columns.days(as_of[starts]),
            "series": moves["series"].iloc[starts].array,
            "kind": columns.texts(_KINDS, np.where(is_mamba[starts], 0, 1)),
            "length": length,
            "start_day": columns.days(move_day[starts]),
            "end_day": columns.days(move_day[last]),
            "strength": np.add.reduceat(strength, starts) / length,
            "return_percent": (moves["close"].to_numpy()[last] - first_open) / first_open * 100,
            "total_volume": columns.nullable_integers(
                np.add.reduceat(volume, starts), np.logical_and.reduceat(knows_volume, starts)
            ),
            "gap_days_to_next": columns.nullable_integers(gap, has_next),
        }
    )
    # Rows of one as-of day are in the table's order already; several days are separated last.
    if as_of[0] == as_of[-1]:
        return runs
    return runs.take(np.lexsort((as_of[starts], number, codes[starts]))).reset_index(drop=True)
