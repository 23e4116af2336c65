"""V2 of aggregation: one-minute candles to five-minute and daily candles, by runs of sorted rows.

Belongs here: ``to_5min`` and ``to_daily``. Does not belong here: the loop over the rows of a run (``kernels.py``,
imported on first use because numba is slow to import), session hours (``market/``), repair of rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from setbull_pipelines.market.instruments import is_index
from setbull_pipelines.market.session_frames import session_intervals
from setbull_pipelines.market.session_table import CLOSING_AUCTION, FULL
from setbull_pipelines.settings import AggregationSettings
from setbull_pipelines.tables import CANDLES_5MIN
from setbull_pipelines.tables.columns import EXCHANGE, MINUTES
from setbull_pipelines.variants.v2 import columns

_MINUTE = 60_000_000
"""Microseconds."""
_SERIES = (EXCHANGE, MINUTES)
"""In sort order, so that the position is the code of the series."""
_PRICES = ("open", "high", "low", "close")
_COUNTS = ("minutes_traded", "minutes_present", "minutes_expected")


def to_5min(
    candles_1min: pd.DataFrame,
    settings: AggregationSettings = AggregationSettings(),
    as_of: pd.Timestamp | None = None,
) -> pd.DataFrame:
    """One-minute to five-minute candles; see ``Variant.to_5min``."""
    if candles_1min.empty:
        return CANDLES_5MIN.empty()
    (codes,), instruments = columns.shared_codes(candles_1min["instrument_key"])
    minutes = _Minutes.read(candles_1min, codes, instruments, settings)
    bar = settings.bar_minutes * _MINUTE
    bar_start = minutes.bar_start
    starts = columns.run_starts(minutes.instrument, bar_start)
    bar_end = np.minimum(bar_start[starts] + bar, minutes.interval_end[minutes.interval[starts]])
    kept, values = minutes.bars(starts, settings)
    if as_of is not None:
        closed = bar_end[kept] <= _moment(as_of)
        kept = kept[closed]
        values = {name: column[closed] for name, column in values.items()}
    first = starts[kept]
    volume = columns.nullable_integers(values.pop("volume"), values.pop("knows_volume"))
    open_interest = columns.nullable_integers(
        values.pop("open_interest"), values.pop("states_open_interest")
    )
    expected = (bar_end[kept] - bar_start[first]) // _MINUTE
    return pd.DataFrame(
        {
            "instrument_key": columns.texts(instruments, minutes.instrument[first]),
            "timestamp": columns.moments(bar_start[first]),
            "trading_day": columns.days(minutes.day[first]),
            **values,
            "volume": volume,
            "open_interest": open_interest,
            "minutes_expected": expected,
            "is_complete": values["minutes_present"] == expected,
        },
        copy=False,
    )[CANDLES_5MIN.column_names]


def to_daily(
    candles_1min: pd.DataFrame,
    candles_daily_history: pd.DataFrame,
    settings: AggregationSettings = AggregationSettings(),
) -> pd.DataFrame:
    """Daily candles of the series 'exchange' and 'minutes'; see ``Variant.to_daily``."""
    (minute_codes, history_codes), instruments = columns.shared_codes(
        candles_1min["instrument_key"], candles_daily_history["instrument_key"]
    )
    exchange = _exchange_days(candles_daily_history, history_codes)
    minutes = _minute_days(candles_1min, minute_codes, instruments, settings)
    # One column after the other: all of them in both forms would be half of the memory of this step.
    values = {name: np.concatenate([exchange.pop(name), minutes.pop(name)]) for name in [*exchange]}
    order = columns.sort_order(values["group"], values["day"])
    if order is not None:
        for name, column in values.items():
            values[name] = column[order]
    is_minutes = values["group"] % len(_SERIES) == _SERIES.index(MINUTES)
    is_complete = values["minutes_present"] == values["minutes_expected"]
    return pd.DataFrame(
        {
            "instrument_key": columns.texts(instruments, values["group"] // len(_SERIES)),
            "series": columns.texts(_SERIES, values["group"] % len(_SERIES)),
            "timestamp": columns.moments(columns.midnights(values["day"])),
            "trading_day": columns.days(values["day"]),
            **{name: values[name] for name in _PRICES},
            "volume": columns.nullable_integers(values["volume"], values["knows_volume"]),
            "open_interest": columns.nullable_integers(
                values["open_interest"], values["states_open_interest"]
            ),
            **{name: columns.nullable_integers(values[name], is_minutes) for name in _COUNTS},
            "is_complete": columns.nullable_booleans(is_complete, is_minutes),
        },
        copy=False,
    )


def _minute_days(
    candles_1min: pd.DataFrame,
    codes: np.ndarray,
    instruments: pd.Index,
    settings: AggregationSettings,
) -> dict[str, np.ndarray]:
    minutes = _Minutes.read(candles_1min, codes, instruments, settings)
    starts = columns.run_starts(minutes.instrument, minutes.day)
    kept, values = minutes.bars(starts, settings)
    first = starts[kept]
    return {
        "group": minutes.instrument[first] * len(_SERIES) + _SERIES.index(MINUTES),
        "day": minutes.day[first],
        **values,
        "minutes_expected": minutes.session_minutes(first),
    }


def _exchange_days(history: pd.DataFrame, codes: np.ndarray) -> dict[str, np.ndarray]:
    """The columns of :func:`_minute_days`; the counts are placeholders that become null."""
    no_count = np.zeros(len(history), dtype="int64")
    return {
        "group": codes * len(_SERIES) + _SERIES.index(EXCHANGE),
        "day": columns.microseconds(history["trading_day"]),
        **{name: history[name].to_numpy("float64") for name in _PRICES},
        "volume": history["volume"].to_numpy("int64", na_value=0),
        "knows_volume": history["volume"].notna().to_numpy(),
        "open_interest": history["open_interest"].to_numpy("int64", na_value=0),
        "states_open_interest": history["open_interest"].notna().to_numpy(),
        **dict.fromkeys(_COUNTS, no_count),
    }


@dataclass(frozen=True)
class _Minutes:
    """One-minute candles sorted by instrument and time, each placed in its session interval."""

    instrument: np.ndarray
    time: np.ndarray
    day: np.ndarray
    interval: np.ndarray
    bar_start: np.ndarray
    prices: dict[str, np.ndarray]
    volume: np.ndarray
    knows_volume: np.ndarray
    open_interest: np.ndarray
    states_open_interest: np.ndarray
    is_index: np.ndarray
    interval_day: np.ndarray
    interval_shape: np.ndarray
    interval_start: np.ndarray
    interval_end: np.ndarray

    @classmethod
    def read(
        cls,
        candles_1min: pd.DataFrame,
        codes: np.ndarray,
        instruments: pd.Index,
        settings: AggregationSettings,
    ) -> _Minutes:
        """Sort and place the rows; ValueError for the first minute outside its day's session."""
        from setbull_pipelines.variants.v2 import kernels

        time = columns.microseconds(candles_1min["timestamp"])
        order = columns.sort_order(codes, time)

        def column(values: np.ndarray) -> np.ndarray:
            return columns.ordered(values, order)

        codes, time = column(codes), column(time)
        day = column(columns.microseconds(candles_1min["trading_day"]))
        days = pd.DatetimeIndex(columns.days(np.unique(day[columns.run_starts(day)])))
        # The same intervals twice, first for the full shape, then up to the closing auction.
        shapes = [session_intervals(days, shape=shape) for shape in (FULL, CLOSING_AUCTION)]
        intervals = pd.concat(shapes, ignore_index=True)
        interval_day, interval_start, interval_end = (
            columns.ordered(columns.microseconds(intervals[name]), None)
            for name in ("trading_day", "start", "end")
        )
        is_shorter = candles_1min["session_shape"] == CLOSING_AUCTION
        interval, bar_start = np.empty_like(time), np.empty_like(time)
        outside = kernels.place_minutes(
            time,
            day,
            column(is_shorter.to_numpy(dtype=bool)),
            interval_start,
            interval_end,
            interval_day,
            settings.bar_minutes * _MINUTE,
            interval,
            bar_start,
        )
        if outside:
            row = int(np.argmin(interval))
            raise ValueError(
                f"candles_1min: {outside} minutes are outside the session of "
                f"their trading day, the first is {instruments[codes[row]]} at "
                f"{columns.moments(time[row : row + 1])[0]} with trading day "
                f"{np.datetime_as_string(columns.days(day[row : row + 1])[0], 'D')}; "
                f"expected minutes that intake has accepted"
            )
        open_interest = candles_1min["open_interest"]
        return cls(
            instrument=codes,
            time=time,
            day=day,
            interval=interval,
            bar_start=bar_start,
            prices={name: column(candles_1min[name].to_numpy("float64")) for name in _PRICES},
            volume=column(candles_1min["volume"].to_numpy("int64", na_value=0)),
            knows_volume=column(candles_1min["volume"].notna().to_numpy()),
            open_interest=column(open_interest.to_numpy("int64", na_value=0)),
            states_open_interest=column(open_interest.notna().to_numpy()),
            is_index=np.array([is_index(key) for key in instruments], dtype=bool)[codes],
            interval_day=interval_day,
            interval_shape=np.repeat(np.arange(len(shapes)), len(shapes[0])),
            interval_start=interval_start,
            interval_end=interval_end,
        )

    def bars(
        self, starts: np.ndarray, settings: AggregationSettings
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Bars of the runs that ``starts`` begins: (the runs that have a bar, columns of bars)."""
        from setbull_pipelines.variants.v2 import kernels

        present = columns.run_lengths(starts, len(self.time))
        prices = np.empty((len(_PRICES), len(starts)))
        integers = np.empty((3, len(starts)), dtype="int64")
        last_stating = np.empty(len(starts), dtype="int64")
        counts_untraded = self.is_index[starts] | (settings.untraded_minutes == "include")
        kernels.write_bars(
            starts,
            starts + present,
            self.prices["open"],
            self.prices["high"],
            self.prices["low"],
            self.prices["close"],
            self.volume,
            self.states_open_interest,
            counts_untraded,
            prices,
            integers,
            last_stating,
        )
        counted, minutes_traded, volume = integers
        knows_volume = np.ones(len(starts), dtype=bool)
        if not self.knows_volume.all():
            # Elsewhere a minute without a volume does not count.
            knows_volume = ~counts_untraded | np.logical_and.reduceat(self.knows_volume, starts)
        kept = np.flatnonzero(counted)
        last_stating = last_stating[kept]
        return kept, {
            **{name: row[kept] for name, row in zip(_PRICES, prices, strict=True)},
            "volume": volume[kept],
            "knows_volume": knows_volume[kept],
            "open_interest": self.open_interest[last_stating],
            "states_open_interest": last_stating >= 0,
            "minutes_traded": minutes_traded[kept],
            "minutes_present": present[kept],
        }

    def session_minutes(self, rows: np.ndarray) -> np.ndarray:
        """Minutes of all intervals of the session that each of the given rows belongs to."""
        first = columns.run_starts(self.interval_day, self.interval_shape)
        lengths = (self.interval_end - self.interval_start) // _MINUTE
        sessions = np.add.reduceat(lengths, first)
        of_interval = np.repeat(sessions, columns.run_lengths(first, len(lengths)))
        return of_interval[self.interval[rows]]


def _moment(as_of: pd.Timestamp) -> int:
    if as_of.tzinfo is None:
        raise ValueError(f"as_of {as_of}: expected a moment with a time zone")
    return int(as_of.to_datetime64().astype("datetime64[us]").astype("int64"))
