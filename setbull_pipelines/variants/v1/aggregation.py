"""V1 of the candles: one-minute candles to five-minute and daily candles.

Belongs here: which minutes make a bar, and the bar they make. Does not belong here: the session hours
(``market/``), indicators.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd

from setbull_pipelines.market.calendar import NSE, Interval, Session
from setbull_pipelines.market.instruments import is_index
from setbull_pipelines.settings import AggregationSettings
from setbull_pipelines.tables.candles import CANDLES_5MIN, CANDLES_DAILY, CANDLES_DAILY_HISTORY
from setbull_pipelines.tables.columns import EXCHANGE, MINUTES
from setbull_pipelines.tables.contract import INDIA
from setbull_pipelines.variants.v1.rows import frame_of

_ONE_MINUTE = pd.Timedelta(minutes=1)


class _Minute(NamedTuple):
    """One delivered minute; ``minute`` counts from midnight of its trading day."""

    minute: int
    open: float
    high: float
    low: float
    close: float
    volume: int
    """pd.NA where it is not known."""
    open_interest: int
    """pd.NA where the source does not say."""


class _Bucket(NamedTuple):
    """The minutes from ``start`` (included) to ``end`` (excluded), counted from midnight."""

    start: int
    end: int


def to_5min(
    candles_1min: pd.DataFrame,
    settings: AggregationSettings = AggregationSettings(),
    as_of: pd.Timestamp | None = None,
) -> pd.DataFrame:
    """``raw.candles_1min`` rows to ``candles_5min``; the contract is in ``variants/protocol.py``.

    Raises ValueError for a minute outside its session.
    """
    rows = []
    for instrument_key, session, minutes in _sessions(candles_1min):
        trading_day = pd.Timestamp(session.day)
        midnight = trading_day.tz_localize(INDIA)
        for interval in session.intervals:
            for bucket in _buckets(interval, settings.bar_minutes):
                if as_of is not None and midnight + bucket.end * _ONE_MINUTE > as_of:
                    continue
                inside = [minutes[m] for m in range(bucket.start, bucket.end) if m in minutes]
                counts_untraded = _counts_untraded(instrument_key, settings)
                bar = _bar(inside, bucket.end - bucket.start, counts_untraded)
                if bar is not None:
                    rows.append(
                        {
                            "instrument_key": instrument_key,
                            "timestamp": midnight + bucket.start * _ONE_MINUTE,
                            "trading_day": trading_day,
                            **bar,
                        }
                    )
    return frame_of(CANDLES_5MIN, rows)


def to_daily(
    candles_1min: pd.DataFrame,
    candles_daily_history: pd.DataFrame,
    settings: AggregationSettings = AggregationSettings(),
) -> pd.DataFrame:
    """Both daily series as ``candles_daily``; the contract is in ``variants/protocol.py``.

    Raises ValueError for a minute outside its session.
    """
    rows = []
    for instrument_key, session, minutes in _sessions(candles_1min):
        trading_day = pd.Timestamp(session.day)
        counts_untraded = _counts_untraded(instrument_key, settings)
        expected = sum(interval.minutes for interval in session.intervals)
        bar = _bar(list(minutes.values()), expected, counts_untraded)
        if bar is not None:
            rows.append(
                {
                    "instrument_key": instrument_key,
                    "series": MINUTES,
                    "timestamp": trading_day.tz_localize(INDIA),
                    "trading_day": trading_day,
                    **bar,
                }
            )
    history = candles_daily_history[CANDLES_DAILY_HISTORY.without_provenance.column_names]
    exchange = history.assign(
        series=EXCHANGE,
        timestamp=history["trading_day"].dt.tz_localize(INDIA),
        minutes_traded=None,
        minutes_present=None,
        minutes_expected=None,
        is_complete=None,
    )
    both = pd.concat([frame_of(CANDLES_DAILY, rows), CANDLES_DAILY.conform(exchange)])
    return CANDLES_DAILY.conform(both)


def _sessions(
    candles_1min: pd.DataFrame,
) -> Iterator[tuple[str, Session, dict[int, _Minute]]]:
    """The session of one instrument at a time, and its minutes in time order, by minute of the day."""
    ordered = candles_1min.sort_values(["instrument_key", "timestamp"], kind="stable")
    wall_clock = ordered["timestamp"].dt.tz_convert(INDIA).dt.tz_localize(None)
    ordered = ordered.assign(minute=(wall_clock - ordered["trading_day"]) // _ONE_MINUTE)
    for (instrument_key, trading_day, shape), rows in ordered.groupby(
        ["instrument_key", "trading_day", "session_shape"]
    ):
        columns = (rows[name].tolist() for name in _Minute._fields)
        minutes = {values[0]: _Minute(*values) for values in zip(*columns, strict=True)}
        session = NSE.session(trading_day.date(), shape)
        _refuse_minutes_outside_session(instrument_key, session, minutes)
        yield instrument_key, session, minutes


def _refuse_minutes_outside_session(
    instrument_key: str, session: Session, minutes: dict[int, _Minute]
) -> None:
    inside = {m for interval in session.intervals for m in range(*_minutes_of_day(interval))}
    for minute in minutes:
        if minute not in inside:
            moment = pd.Timestamp(session.day) + minute * _ONE_MINUTE
            raise ValueError(
                f"candles_1min: {instrument_key} has a minute at {moment}, "
                f"expected only minutes inside the session of {session.day}"
            )


def _minutes_of_day(interval: Interval) -> _Bucket:
    return _Bucket(
        interval.start.hour * 60 + interval.start.minute,
        interval.end.hour * 60 + interval.end.minute,
    )


def _buckets(interval: Interval, bar_minutes: int) -> list[_Bucket]:
    """The bars of an interval, counted from its start; the last one can be shorter."""
    first, end = _minutes_of_day(interval)
    return [
        _Bucket(start, min(start + bar_minutes, end)) for start in range(first, end, bar_minutes)
    ]


def _counts_untraded(instrument_key: str, settings: AggregationSettings) -> bool:
    """Whether minutes without volume count: those of an index, whose prices nobody trades, always do."""
    return is_index(instrument_key) or settings.untraded_minutes == "include"


def _bar(
    minutes: list[_Minute], minutes_expected: int, counts_untraded: bool
) -> dict[str, object] | None:
    """The bar of delivered minutes in time order; None when none of them counts."""
    traded = [m for m in minutes if m.volume is not pd.NA and m.volume > 0]
    counted = minutes if counts_untraded else traded
    if not counted:
        return None
    volumes = [m.volume for m in counted]
    has_volume = all(volume is not pd.NA for volume in volumes)
    stated = [m.open_interest for m in counted if m.open_interest is not pd.NA]
    return {
        "open": counted[0].open,
        "high": max(minute.high for minute in counted),
        "low": min(minute.low for minute in counted),
        "close": counted[-1].close,
        "volume": sum(volumes) if has_volume else None,
        "open_interest": stated[-1] if stated else None,
        "minutes_traded": len(traded),
        "minutes_present": len(minutes),
        "minutes_expected": minutes_expected,
        "is_complete": len(minutes) == minutes_expected,
    }
