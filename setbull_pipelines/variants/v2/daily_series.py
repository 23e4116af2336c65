"""V2's choice of each instrument's daily series on an as-of day, and its last bars up to that day.

Belongs here: what moves and filters must choose alike. Does not belong here: what they do with the
bars.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from setbull_pipelines.tables.columns import EXCHANGE, MINUTES
from setbull_pipelines.tables.contract import INDIA
from setbull_pipelines.variants.v2 import columns

SERIES = (EXCHANGE, MINUTES)
"""In sort order, so that the position is the code of the series."""
NO_SERIES = -1
_CANDLE_COLUMNS = ["trading_day", "open", "high", "low", "close", "volume"]


@dataclass(frozen=True)
class DailyBars:
    """The chosen series of every instrument with a daily bar up to the as-of day.

    ``instruments`` is sorted. ``series`` (code in :data:`SERIES`) is -1 for an instrument without a
    bar on the as-of day; ``last_day`` (microseconds) is the last day with a bar in either series;
    ``bars`` is the length of the chosen series up to the as-of day, ``kept`` how many of its last bars
    are in ``recent``. ``recent`` has one row per bar, sorted by ``instrument`` (position in
    ``instruments``) and day, with the candle and its ema_50, rsi, is_warm, bars_of_history,
    unexplained_gap and unexplained_gap_day, and the other indicators that were asked for; a bar
    without a row of indicators has NaN, NaN, False, 0, NaN and NaT, and NaN in the others.
    """

    instruments: pd.Index
    series: np.ndarray
    last_day: np.ndarray
    bars: np.ndarray
    kept: np.ndarray
    recent: pd.DataFrame

    def on_as_of_day(self, name: str) -> np.ndarray:
        """``recent[name]`` of the as-of day as float64; NaN (a flag: 0) without a bar."""
        values = self.recent[name].to_numpy()
        return self._of_last_bars(values, 0.0 if values.dtype == bool else np.nan)

    def gap_day(self) -> np.ndarray:
        """``unexplained_gap_day`` of the as-of day; NaT without a bar or a gap."""
        return self._of_last_bars(
            self.recent["unexplained_gap_day"].to_numpy(), np.datetime64("NaT", "us")
        )

    def _of_last_bars(self, values: np.ndarray, missing: float | np.datetime64) -> np.ndarray:
        result = np.full(len(self.kept), missing)
        has_bar = self.kept > 0
        result[has_bar] = values[np.cumsum(self.kept)[has_bar] - 1]
        return result


def as_of_day(as_of: pd.Timestamp) -> int:
    """The day of ``as_of`` on the exchange's clock, in microseconds since 1970."""
    if as_of.tzinfo is not None:
        as_of = as_of.tz_convert(INDIA).tz_localize(None)
    return int(as_of.normalize().as_unit("us").value // 1000)


def daily_bars(
    candles_daily: pd.DataFrame,
    indicators_daily: pd.DataFrame,
    as_of: int,
    look_back: int,
    others: tuple[str, ...] = (),
) -> DailyBars:
    """Choose series by the rule of ``Variant.moves``, keep the last ``look_back`` bars of each.

    ``others`` are the indicators that the bars have besides those that the choice and filters need.
    """
    day = columns.microseconds(candles_daily["trading_day"])
    visible = np.flatnonzero(day <= as_of)
    candles = candles_daily[["instrument_key", "series"]].iloc[visible]
    (codes,), instruments = columns.shared_codes(candles["instrument_key"])
    group = _group(codes, candles["series"])
    order = columns.sort_order(group, day[visible])
    group, visible = columns.ordered(group, order), columns.ordered(visible, order)
    starts = columns.run_starts(group)
    end = starts + columns.run_lengths(starts, len(group))

    # One row per instrument, one column per series.
    shape = (len(instruments), len(SERIES))
    bars, ends = np.zeros(shape, dtype="int64"), np.zeros(shape, dtype="int64")
    last_day = np.full(shape, np.iinfo("int64").min)
    bars.flat[group[starts]] = end - starts
    ends.flat[group[starts]] = end
    last_day.flat[group[starts]] = day[visible[end - 1]]
    has_bar = last_day == as_of

    first = np.maximum(ends - look_back, ends - bars)[has_bar]
    first_day = day[visible[first]].min(initial=as_of)
    indicators = _Indicators.read(indicators_daily, instruments, first_day, as_of)
    all_groups = np.arange(bars.size)
    is_warm = indicators.value("is_warm", all_groups, np.full(bars.size, as_of), False)
    is_warm = is_warm.reshape(shape) & has_bar
    exchange = has_bar[:, 0] & (is_warm[:, 0] | ~is_warm[:, 1])
    series = np.where(exchange, 0, np.where(has_bar[:, 1], 1, NO_SERIES))

    row = np.arange(len(instruments))
    bars, ends = bars[row, series], ends[row, series]
    kept = np.where(series != NO_SERIES, np.minimum(bars, look_back), 0)
    rows = columns.positions_before(ends, kept)
    recent = candles_daily[_CANDLE_COLUMNS].iloc[visible[rows]].reset_index(drop=True)
    recent.insert(0, "instrument", group[rows] // len(SERIES))
    bar = (group[rows], columns.microseconds(recent["trading_day"]))
    for name, missing in (
        ("ema_50", np.nan),
        ("rsi", np.nan),
        ("is_warm", False),
        ("bars_of_history", 0),
        ("unexplained_gap", np.nan),
        ("unexplained_gap_day", np.datetime64("NaT")),
    ):
        recent[name] = indicators.value(name, *bar, missing)
    for name in others:
        recent[name] = indicators.value(name, *bar, np.nan)
    return DailyBars(instruments, series, last_day.max(axis=1), bars, kept, recent)


@dataclass(frozen=True)
class _Indicators:
    """Rows of daily indicators, found by group (instrument code and series) and day."""

    frame: pd.DataFrame
    bars: pd.Index

    @classmethod
    def read(
        cls, indicators_daily: pd.DataFrame, instruments: pd.Index, first_day: int, last_day: int
    ) -> _Indicators:
        """The rows of ``instruments`` in a range of days."""
        day = columns.microseconds(indicators_daily["trading_day"])
        frame = indicators_daily.iloc[np.flatnonzero((day >= first_day) & (day <= last_day))]
        codes = columns.codes_in(instruments, frame["instrument_key"])
        frame, codes = frame[codes >= 0], codes[codes >= 0]
        group = _group(codes, frame["series"])
        return cls(
            frame, pd.Index(columns.bar_key(group, columns.microseconds(frame["trading_day"])))
        )

    def value(
        self, name: str, group: np.ndarray, day: np.ndarray, missing: float | bool | np.datetime64
    ) -> np.ndarray:
        """The column ``name`` for each bar, ``missing`` where there is no row for it."""
        position = self.bars.get_indexer(columns.bar_key(group, day))
        column = self.frame[name]
        # A count or flag that can be null has no NumPy type.
        is_nullable = pd.api.types.is_extension_array_dtype(column)
        values = (
            column.to_numpy(type(missing), na_value=missing) if is_nullable else column.to_numpy()
        )
        result = np.full(len(position), missing, dtype=values.dtype)
        found = position >= 0
        result[found] = values[position[found]]
        return result


def _group(codes: np.ndarray, series: pd.Series) -> np.ndarray:
    return codes * len(SERIES) + (series == MINUTES).to_numpy(dtype="int64")
