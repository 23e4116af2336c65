"""V2 of the indicators: every column of every series in one pass of a compiled kernel.

Belongs here: ``indicators``. Does not belong here: the loops themselves (``kernels.py``, imported
on first use because numba is slow to import), reading candles.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd

from setbull_pipelines.settings import IndicatorSettings
from setbull_pipelines.tables import INDICATORS_5MIN, INDICATORS_DAILY
from setbull_pipelines.tables.actions import GENUINE
from setbull_pipelines.tables.columns import MINUTES
from setbull_pipelines.tables.indicator_columns import INDICATOR_COLUMNS, PERIODS, Periods
from setbull_pipelines.tables.indicators import HISTORY_COLUMNS, VWAP
from setbull_pipelines.tables.look_back import bars_to_first_values, warm_bars
from setbull_pipelines.variants.protocol import Timeframe, workers
from setbull_pipelines.variants.v2 import columns
from setbull_pipelines.variants.v2.daily_series import as_of_day

_KERNEL_PRICES = ("high", "low", "close")
_BARS_PER_THREAD = 100_000
"""Below this a second thread costs more than it saves."""
_DAY = 86_400_000_000
"""Microseconds."""
_NOT_IN_CANDLES = -1
_END_OF_TIME = np.iinfo("int64").max


def indicators(
    candles: pd.DataFrame,
    timeframe: Timeframe,
    history_starts: pd.DataFrame | None = None,
    settings: IndicatorSettings = IndicatorSettings(),
    since: pd.Timestamp | None = None,
    periods: Periods = PERIODS,
    actions: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Indicators of five-minute or daily candles; see ``Variant.indicators``."""
    if timeframe not in ("5minute", "day"):
        raise ValueError(f"timeframe {timeframe!r}: expected '5minute' or 'day'")
    table = INDICATORS_DAILY if timeframe == "day" else INDICATORS_5MIN
    if candles.empty:
        return table.empty()

    (codes,), instruments = columns.shared_codes(candles["instrument_key"])
    is_minutes = np.ones(len(candles), dtype=bool)
    if timeframe == "day":
        is_minutes = (candles["series"] == MINUTES).to_numpy(dtype=bool)
    group = codes * 2 + is_minutes
    time = columns.microseconds(candles["timestamp"])
    order = columns.sort_order(group, time)
    group = columns.ordered(group, order)
    day = columns.ordered(columns.microseconds(candles["trading_day"]), order)
    starts = columns.run_starts(group)
    lengths = columns.run_lengths(starts, len(group))

    # The wanted bars of a series are its last ones.
    is_wanted = np.ones(len(day), dtype=bool) if since is None else day >= as_of_day(since)
    wanted = np.flatnonzero(is_wanted)
    wanted_of_series = np.add.reduceat(is_wanted, starts, dtype="int64")

    bars_of_history = wanted + 1 - np.repeat(starts, wanted_of_series)
    is_new = _is_new_listing(
        instruments, group[starts], np.minimum.reduceat(day, starts), history_starts
    )
    is_warm = (bars_of_history >= warm_bars(settings.warm_margin_bars)) | (
        np.repeat(is_new, wanted_of_series) & (bars_of_history >= bars_to_first_values())
    )

    volume = candles["volume"]
    high, low, close = (
        columns.ordered(candles[name].to_numpy("float64"), order) for name in _KERNEL_PRICES
    )
    values = _kernel_columns(
        starts,
        starts + lengths,
        wanted_of_series,
        day,
        (high, low, close),
        columns.ordered(volume.to_numpy("int64", na_value=0), order),
        periods,
    )
    unknown = columns.ordered(volume.isna().to_numpy(), order)
    if unknown.any():
        last_unknown = np.maximum.accumulate(np.where(unknown, np.arange(len(unknown)), -1))
        for name, first in (
            ("volume_ma_10", np.arange(len(unknown)) - periods.volume_average + 1),
            (VWAP.name, _first_of_run(group, day)),
        ):
            first = np.maximum(first, _first_of_run(group))
            values[name] = np.where((last_unknown >= first)[wanted], np.nan, values[name])
    values |= {
        column.name: row
        for column, row in zip(HISTORY_COLUMNS, (bars_of_history, is_warm), strict=True)
    }
    given = wanted if order is None else order[wanted]
    values |= {
        "instrument_key": candles["instrument_key"].astype("str").array.take(given),
        "timestamp": columns.moments(time[given]),
        "trading_day": columns.days(day[wanted]),
    }
    if timeframe == "day":
        values["series"] = candles["series"].astype("str").array.take(given)
        open_, close = (
            columns.ordered(candles[name].to_numpy("float64"), order) for name in ("open", "close")
        )
        genuine = _is_genuine(instruments, group >> 1, day, actions)
        gaps = _unexplained_gaps(open_, close, day, starts, genuine, settings)
        values |= {name: column[wanted] for name, column in gaps.items()}
    return pd.DataFrame({name: values[name] for name in table.column_names}, copy=False)


def _first_of_run(*keys: np.ndarray) -> np.ndarray:
    """For each row the position of the first one of its run of equal keys."""
    starts = columns.run_starts(*keys)
    return np.repeat(starts, columns.run_lengths(starts, len(keys[0])))


def _unexplained_gaps(
    open_: np.ndarray,
    close: np.ndarray,
    day: np.ndarray,
    starts: np.ndarray,
    genuine: np.ndarray,
    settings: IndicatorSettings,
) -> dict[str, np.ndarray]:
    """The latest overnight jump of each series that its bars are not warm after; see ``Variant.indicators``."""
    ratio = np.full(len(open_), np.nan)
    ratio[1:] = open_[1:] / close[:-1]
    days_apart = np.diff(day, prepend=day[0]) // _DAY
    ratio[starts] = np.nan
    bar = np.arange(len(ratio))
    jumped = np.abs(ratio - 1) > settings.maximum_unexplained_gap
    jumped &= (days_apart <= settings.overnight_days) & ~genuine
    first = np.repeat(starts, columns.run_lengths(starts, len(ratio)))
    latest = np.maximum.accumulate(np.where(jumped, bar, -1))
    carries = (latest >= first) & (bar - latest < warm_bars(settings.warm_margin_bars))
    gap_day = np.where(carries, columns.days(day)[latest], np.datetime64("NaT"))
    return {
        "unexplained_gap": np.where(carries, ratio[latest], np.nan),
        "unexplained_gap_day": gap_day.astype("datetime64[us]"),
    }


def _is_genuine(
    instruments: pd.Index, codes: np.ndarray, day: np.ndarray, actions: pd.DataFrame | None
) -> np.ndarray:
    """Which bars, of the instruments with these ``codes``, opened on a day of a genuine move."""
    found = np.zeros(len(codes), dtype=bool)
    moves = None if actions is None else actions[actions["kind"] == GENUINE]
    if moves is None or moves.empty:
        return found
    of_moves = instruments.get_indexer(pd.Index(moves["instrument_key"]))
    for code, moment in zip(of_moves, columns.microseconds(moves["ex_date"]), strict=True):
        found |= (codes == code) & (day == moment)
    return found


def _kernel_columns(
    starts: np.ndarray,
    ends: np.ndarray,
    wanted: np.ndarray,
    session: np.ndarray,
    prices: tuple[np.ndarray, np.ndarray, np.ndarray],
    volume: np.ndarray,
    periods: Periods,
) -> dict[str, np.ndarray]:
    """Run the kernel over blocks of whole series, one thread each, and return its columns by name.

    Every series is computed by one thread from its own bars, so the blocks change no value.
    """
    from setbull_pipelines.variants.v2 import kernels

    names = [column.name for column in (*INDICATOR_COLUMNS, VWAP)]
    row_of = kernels.rows_of(names)
    output = np.empty((len(names), wanted.sum()))
    places = np.cumsum(wanted) - wanted
    threads = min(workers(), -(-int(ends[-1]) // _BARS_PER_THREAD))
    blocks = np.array_split(np.arange(len(starts)), threads)
    with ThreadPoolExecutor(threads) as pool:
        done = [
            pool.submit(
                kernels.write_indicators,
                starts[block],
                ends[block],
                wanted[block],
                places[block],
                session,
                *prices,
                volume,
                periods,
                row_of,
                output,
            )
            for block in blocks
        ]
    for future in done:
        future.result()
    return dict(zip(names, output, strict=True))


def _is_new_listing(
    instruments: pd.Index,
    group: np.ndarray,
    first_day: np.ndarray,
    history_starts: pd.DataFrame | None,
) -> np.ndarray:
    """Per group (instrument code x 2 + series) whether its stored series begins inside ``candles``.

    ``first_day`` is the first day of each group in ``candles``.
    """
    if history_starts is None:
        known_group, known_series, known_day = group, group % 2, first_day
    else:
        code = instruments.get_indexer(pd.Index(history_starts["instrument_key"]))
        known_series = (history_starts["series"] == MINUTES).to_numpy(dtype="int64")
        known_group = np.where(code >= 0, code * 2 + known_series, _NOT_IN_CANDLES)
        known_day = columns.microseconds(history_starts["first_trading_day"])
    earliest = np.array(
        [known_day[known_series == series].min(initial=_END_OF_TIME) for series in (0, 1)]
    )
    named = known_group != _NOT_IN_CANDLES
    start = pd.Series(known_day[named], index=known_group[named])
    # Without a named start a series counts as older than everything.
    start = start.reindex(group, fill_value=-_END_OF_TIME).to_numpy()
    return (start > earliest[group % 2]) & (start >= first_day.min())
