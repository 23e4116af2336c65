"""The old system, written again from its description: the tables that its store path leaves of given minutes.

Belongs here: what the old code did, step by step, as plainly as it can be said, faults included; dumps and exports of
the result. Does not belong here: assertions. It shares no code with the package.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from itertools import pairwise

import pandas as pd

Minute = tuple[datetime, float, float, float, float, int]
"""Moment, open, high, low, close, volume."""


def stored_bars(minutes: list[Minute]) -> dict[datetime, dict[str, float]]:
    """The rows of ``stock_candle_data_5min`` of one instrument after its minutes (exchange time) were aggregated."""
    rows: dict[datetime, dict[str, float]] = {}
    days = sorted({moment.date() for moment, *_ in minutes})
    for day in days:
        boundary = datetime.combine(day, datetime.min.time()).replace(hour=9, minute=15)
        while (boundary.hour, boundary.minute) <= (15, 30):
            _at_boundary(boundary, minutes, rows)
            boundary += timedelta(minutes=5)
    return rows


def _at_boundary(
    boundary: datetime, minutes: list[Minute], rows: dict[datetime, dict[str, float]]
) -> None:
    begin = boundary - timedelta(minutes=5)
    window = [minute for minute in minutes if begin <= minute[0] <= boundary]
    if not window:
        return
    earliest = begin - timedelta(hours=24)
    history = [minute for minute in minutes if earliest <= minute[0] <= begin]
    bars = _buckets(history + window)
    stored = {bar["timestamp"]: bar for bar in _buckets(window)}
    if len(bars) < 20:
        # The duplicated first minute is aggregated too.
        for label in stored:
            rows[label] = next(bar for bar in bars if bar["timestamp"] == label) | _ZEROS
        return
    values = _indicators(bars)
    for label, bar in stored.items():
        place = next(number for number, own in enumerate(bars) if own["timestamp"] == label)
        rows[label] = bar | {name: series[place] for name, series in values.items()}


_ZEROS = dict.fromkeys(
    (
        *("ma_9", "ema_5", "ema_9", "ema_20", "ema_50", "rsi", "atr", "vwap"),
        *("bb_upper", "bb_middle", "bb_lower", "bb_width"),
        *("bb_width_normalized", "bb_width_normalized_percentage", "lowest_bb_width"),
    ),
    0.0,
)


def _buckets(minutes: Iterable[Minute]) -> list[dict[str, float]]:
    found: dict[datetime, list[Minute]] = {}
    for minute in minutes:
        label = minute[0].replace(minute=minute[0].minute // 5 * 5)
        found.setdefault(label, []).append(minute)
    return [
        {
            "timestamp": label,
            "open": own[0][1],
            "high": max(minute[2] for minute in own),
            "low": min(minute[3] for minute in own),
            "close": own[-1][4],
            "volume": sum(minute[5] for minute in own),
            "open_interest": 0,
        }
        for label, own in found.items()
    ]


def _indicators(bars: list[dict[str, float]]) -> dict[str, list[float]]:
    closes = [bar["close"] for bar in bars]
    newest_first = closes[::-1]
    upper, middle, lower = _bands(closes)
    width = [
        min(high - low, 100.0) if mean else 0.0
        for high, mean, low in zip(upper, middle, lower, strict=True)
    ]
    normalized = [
        min((high - low) / mean, 10.0) if mean else 0.0
        for high, mean, low in zip(upper, middle, lower, strict=True)
    ]
    return {
        # The newest-first list is averaged as it comes.
        "ma_9": [
            sum(newest_first[max(0, place - 8) : place + 1]) / min(place + 1, 9)
            for place in range(len(closes))
        ][::-1],
        **{f"ema_{period}": _ema(closes, period) for period in (5, 9, 20, 50)},
        "rsi": _ratio_of_averages(closes),
        "atr": [bar["high"] - bar["low"] for bar in bars],
        "bb_upper": upper,
        "bb_middle": middle,
        "bb_lower": lower,
        "bb_width": width,
        "bb_width_normalized": normalized,
        "bb_width_normalized_percentage": [100 * value for value in normalized],
        "vwap": _vwap_newest_first(bars),
        "lowest_bb_width": [0.0] * len(bars),
    }


def _ema(closes: list[float], period: int) -> list[float]:
    if len(closes) < period:
        return [0.0] * len(closes)
    k, found = 2 / (period + 1), [closes[0]]
    for close in closes[1:]:
        found.append(k * close + (1 - k) * found[-1])
    return found


def _ratio_of_averages(closes: list[float]) -> list[float]:
    gains, losses = [0.0], [0.0]
    for before, close in pairwise(closes):
        gains.append(max(close - before, 0.0))
        losses.append(max(before - close, 0.0))

    def averages(values: list[float]) -> list[float]:
        found: list[float] = []
        for place, value in enumerate(values):
            if place < 14:
                found.append(sum(values[: place + 1]) / (place + 1))
            else:
                found.append((13 * found[-1] + value) / 14)
        return found

    return [
        math.floor(100 * gain / loss + 0.5) / 100 if loss else 0.0
        for gain, loss in zip(averages(gains), averages(losses), strict=True)
    ]


def _bands(closes: list[float]) -> tuple[list[float], list[float], list[float]]:
    upper, middle, lower = [], [], []
    for place in range(len(closes)):
        if place < 19:
            mean = deviation = 0.0
        else:
            window = closes[place - 19 : place + 1]
            mean = sum(window) / 20
            deviation = math.sqrt(sum((close - mean) ** 2 for close in window) / 20)
        upper.append(mean + 2 * deviation)
        middle.append(mean)
        lower.append(mean - 2 * deviation)
    return upper, middle, lower


def _vwap_newest_first(bars: list[dict[str, float]]) -> list[float]:
    found, day, value, volume = [], None, 0.0, 0
    for bar in reversed(bars):
        if bar["timestamp"].date() != day:
            day, value, volume = bar["timestamp"].date(), 0.0, 0
        value += bar["close"] * bar["volume"]
        volume += bar["volume"]
        found.append(value / volume if volume else 0.0)
    return found[::-1]


def old_five_minutes(minutes: pd.DataFrame) -> list[dict[str, object]]:
    """Rows of ``stock_candle_data_5min`` of ``raw.candles_1min``, as its columns keep them."""
    rows: list[dict[str, object]] = []
    ordered = minutes.sort_values(["instrument_key", "timestamp"])
    for key, own in ordered.groupby("instrument_key", sort=True):
        moments = own["timestamp"].dt.tz_localize(None).dt.to_pydatetime()
        values = own[["open", "high", "low", "close", "volume"]].itertuples(index=False, name=None)
        told = [(moment, *rest) for moment, rest in zip(moments, values, strict=True)]
        for label, bar in sorted(stored_bars(told).items()):
            prices = {name: f"{bar[name]:.2f}" for name in ("open", "high", "low", "close")}
            counts = {name: str(int(bar[name])) for name in ("volume", "open_interest")}
            values_of_bar = {name: f"{bar[name]:.4f}" for name in _ZEROS}
            rows.append(
                {"id": str(len(rows) + 1), "instrument_key": key, "timestamp": label}
                | prices
                | counts
                | {"time_interval": "5minute", "active": "1"}
                | values_of_bar
            )
    return rows


def old_candles(minutes: pd.DataFrame, daily: pd.DataFrame) -> list[dict[str, object]]:
    """Rows of ``stock_candle_data`` of both raw tables."""
    rows: list[dict[str, object]] = []
    for frame, interval in ((minutes, "1minute"), (daily, "day")):
        for bar in frame.sort_values(["instrument_key", "timestamp"]).itertuples():
            rows.append(
                {
                    "id": str(len(rows) + 1),
                    "instrument_key": bar.instrument_key,
                    "timestamp": bar.timestamp.tz_localize(None).to_pydatetime(),
                    **{
                        name: f"{getattr(bar, name):.2f}"
                        for name in ("open", "high", "low", "close")
                    },
                    "volume": str(bar.volume),
                    "open_interest": "0",
                    "time_interval": interval,
                    "ma_9": None,
                }
            )
    return rows


def as_dump(table: str, rows: list[Mapping[str, object]], utc: bool = True) -> str:
    """As mysqldump writes a table; moments are in UTC, which its head says, or as they are."""
    columns = list(rows[0])

    def text(value: object) -> str:
        if value is None:
            return "NULL"
        if isinstance(value, datetime):
            value = value - timedelta(hours=5, minutes=30) if utc else value
            return f"'{value:%Y-%m-%d %H:%M:%S}'"
        escaped = str(value).replace("\\", "\\\\").replace("'", "\\'")
        return f"'{escaped}'"

    lines = ["-- MariaDB dump 10.19", "/*!40101 SET NAMES utf8mb4 */;"]
    if utc:
        lines.append("/*!40103 SET TIME_ZONE='+00:00' */;")
    lines += [
        f"DROP TABLE IF EXISTS `{table}`;",
        f"CREATE TABLE `{table}` (",
        *(f"  `{name}` varchar(255) DEFAULT NULL," for name in columns),
        "  PRIMARY KEY (`id`)",
        ") ENGINE=InnoDB;",
        f"LOCK TABLES `{table}` WRITE;",
    ]
    for begin in range(0, len(rows), 500):
        values = ",".join(
            "(" + ",".join(text(value) for value in row.values()) + ")"
            for row in rows[begin : begin + 500]
        )
        lines.append(f"INSERT INTO `{table}` VALUES {values};")
    return "\n".join([*lines, "UNLOCK TABLES;", ""])


def as_csv(rows: list[Mapping[str, object]]) -> str:
    """As a client exports a table: a header, NULL as text, moments as the session shows them."""
    frame = pd.DataFrame(rows)
    return frame.to_csv(index=False, na_rep="NULL")
