"""The data of the chart of one stock: bars of both variants, where they differ, and what is known of each session.

Belongs here: putting the bars of V1 and V2 side by side, what of them is drawn, shortening numbers, the sentences.
Does not belong here: minutes that are missing or refused (``chart_marks``), the document (``chart_page``), reading
tables (``pipeline/stock_charts.py``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pandas as pd

from setbull_pipelines.tables import Table
from setbull_pipelines.tables.candles import CANDLES_5MIN, CANDLES_DAILY
from setbull_pipelines.tables.contract import INDIA, Column, Tolerance
from setbull_pipelines.tables.indicators import INDICATORS_5MIN, INDICATORS_DAILY

DAY, FIVE_MINUTES = "day", "5minute"
TIMEFRAMES = (DAY, FIVE_MINUTES)
TABLES: Mapping[str, tuple[Table, Table]] = {
    DAY: (CANDLES_DAILY, INDICATORS_DAILY),
    FIVE_MINUTES: (CANDLES_5MIN, INDICATORS_5MIN),
}
"""Candles and indicators of each timeframe."""
CANDLE = ("open", "high", "low", "close", "volume")
_SHARES = "shares"
_LEVELS = ("ma_", "ema_", "bb_upper", "bb_middle", "bb_lower", "vwap")
"""How the names of indicators begin that are prices themselves, and drawn over the candles."""
_BANDS = ("bb_upper", "bb_middle", "bb_lower")
_FIRST_CHOICES = ("bands", "ema_50", "vwap", "rsi")
_ABBREVIATIONS = {"ma", "ema", "rsi", "atr", "vwap", "bb"}
_DIGITS = 7
"""Significant digits of a drawn value: more than a pixel, and prices to the paisa."""


@dataclass(frozen=True)
class Bars:
    """The bars of one timeframe, of each variant with its indicators, in time order."""

    v1: pd.DataFrame
    v2: pd.DataFrame


@dataclass(frozen=True)
class Session:
    """What is known of one session of the stock."""

    day: date
    verdict: str | None = None
    reason: str | None = None
    stages: Mapping[str, str] = field(default_factory=dict)
    """Stage of each component of the rollout after the session."""
    served: Mapping[str, str] = field(default_factory=dict)
    """The variant that each component was served from."""
    states: Mapping[str, str] = field(default_factory=dict)
    """State of V1 against V2 over all stocks, by table."""
    report: str | None = None
    """Address of the daily report."""
    differences: Mapping[str, str | None] = field(default_factory=dict)
    """By table that diverged the address of the page about it; None where nobody knows it."""


@dataclass(frozen=True)
class StockChart:
    """Everything that the chart of a stock shows, as it is stored."""

    key: str
    symbol: str
    name: str | None
    first: date
    last: date
    bars: Mapping[str, Bars]
    """By timeframe."""
    series: str
    """The daily series: the exchange's where it has bars, else that made of minutes."""
    sessions: Sequence[Session]
    corporate_actions: pd.DataFrame
    minutes: pd.DataFrame
    """Delivered minutes: ``timestamp``, ``trading_day``, ``session_shape``."""
    minute_days: Sequence[date]
    """Sessions for which minutes are expected."""
    quarantined: pd.DataFrame
    is_generated: bool = False
    notes: Sequence[str] = ()
    """What is left out, and how to get it, one sentence each."""
    overview: str | None = None
    """Address of the page of all sessions."""


@dataclass(frozen=True)
class Difference:
    """How V2 differs from V1 in one column beyond its tolerance."""

    column: str
    unit: str | None
    bars: int
    """Bars in which it does."""
    compared: int
    """Bars in which at least one side has a value."""
    largest: float | None
    """The largest \\|V2 - V1\\|; None where one side is always null or infinite."""
    relative: float | None
    """The largest as a share of the value."""
    first: str
    """The first bar that differs."""


@dataclass(frozen=True)
class Agreement:
    """V1 against V2 of one timeframe."""

    bars: int
    cells: int
    differences: Sequence[Difference]
    """The column that differs the most first."""
    only_v1: int
    only_v2: int

    @property
    def sentence(self) -> str:
        """What was compared, in words, where nothing differs."""
        if not self.bars:
            return "V1 and V2 have no bar in common: nothing was compared"
        return f"V1 and V2 agree in all {self.cells:,} cells of {self.bars:,} bars"


@dataclass(frozen=True)
class Choice:
    """Indicators that are shown or hidden together."""

    name: str
    label: str
    columns: Sequence[str]
    meaning: str
    unit: str
    is_level: bool
    """Over the candles, not in a pane of its own."""
    is_first: bool
    """Shown at first."""


@dataclass(frozen=True)
class Frame:
    """One timeframe as it is drawn."""

    timeframe: str
    data: Mapping[str, object]
    """Times, columns, and what differs: as the script of the page reads it."""
    agreement: Agreement
    summary: str


def drawn_columns(timeframe: str) -> list[Column]:
    """What can be drawn: the candle, and every indicator of the contract."""
    candles, indicators = TABLES[timeframe]
    values = [column for column in indicators.value_columns if column.memory is not None]
    values += [column for column in indicators.value_columns if column.name == "vwap"]
    return [*map(candles.column, CANDLE), *values]


def choices() -> list[Choice]:
    """The indicators that can be chosen, of both timeframes."""
    columns = {
        column.name: column for timeframe in TIMEFRAMES for column in drawn_columns(timeframe)[5:]
    }
    bands = [columns.pop(name) for name in _BANDS]
    found = [
        Choice(
            "bands",
            "Bollinger bands",
            _BANDS,
            "; ".join(column.description for column in bands),
            "rupees",
            True,
            "bands" in _FIRST_CHOICES,
        )
    ]
    for name, column in columns.items():
        found.append(
            Choice(
                name,
                label_of(name),
                (name,),
                column.description,
                column.unit or "",
                name.startswith(_LEVELS),
                name in _FIRST_CHOICES,
            )
        )
    return found


def label_of(column: str) -> str:
    """The name of a column for people: EMA 50."""
    words = [word.upper() if word in _ABBREVIATIONS else word for word in column.split("_") if word]
    words[0] = words[0][:1].upper() + words[0][1:]
    return " ".join(words)


def frame_of(chart: StockChart, timeframe: str) -> Frame:
    """The bars of both variants side by side: V1's are drawn, and V2's where V1 has none."""
    bars = chart.bars[timeframe]
    columns = drawn_columns(timeframe)
    both = {name: rows.set_index("timestamp") for name, rows in (("v1", bars.v1), ("v2", bars.v2))}
    moments = both["v1"].index.union(both["v2"].index).sort_values()
    v1, v2 = (rows.reindex(moments) for rows in both.values())
    has_v1, has_v2 = (moments.isin(rows.index) for rows in both.values())
    in_both = has_v1 & has_v2
    times = _times(moments, timeframe)
    values: dict[str, list[float | int | None]] = {}
    compared: dict[str, dict[str, list[float | int | None]]] = {}
    differences = []
    for column in columns:
        first, second = (_numbers(rows[column.name]) for rows in (v1, v2))
        values[column.name] = _short(np.where(has_v1, first, second))
        unequal = _unequal(first, second, column.tolerance) & in_both
        if not unequal.any():
            continue
        compared[column.name] = {
            "v1": _short(first),
            "v2": _short(second),
            "difference": _short(np.where(unequal, second - first, np.nan)),
        }
        differences.append(_difference(column, first, second, unequal, in_both, times, timeframe))
    agreement = Agreement(
        int(in_both.sum()),
        int(in_both.sum()) * len(columns),
        sorted(differences, key=lambda each: (-(each.relative or math.inf), each.column)),
        int((has_v1 & ~has_v2).sum()),
        int((has_v2 & ~has_v1).sum()),
    )
    data = {"times": times, "columns": values, "compared": compared}
    return Frame(timeframe, data, agreement, _summary(chart, timeframe, times, values))


def shown_time(time: str | int) -> str:
    """A moment of a frame for people: the day, or the minute of the clock in India."""
    return time if isinstance(time, str) else f"{pd.Timestamp(time, unit='s'):%Y-%m-%d %H:%M}"


def wall_clock(moments: pd.DatetimeIndex) -> list[int]:
    """Seconds as the chart counts them: it shows them as UTC, so that the clock in India is what it is given."""
    local = moments.tz_convert(INDIA).tz_localize(None)
    return [int(seconds) for seconds in local.as_unit("s").astype("int64")]


def _times(moments: pd.Index, timeframe: str) -> list[str] | list[int]:
    if not len(moments):
        return []
    moments = pd.DatetimeIndex(moments)
    if timeframe == DAY:
        return [f"{moment:%Y-%m-%d}" for moment in moments.tz_convert(INDIA)]
    return wall_clock(moments)


def _numbers(column: pd.Series) -> np.ndarray:
    numbers: np.ndarray = column.astype("Float64").to_numpy("float64", na_value=np.nan)
    return numbers


def _unequal(first: np.ndarray, second: np.ndarray, tolerance: Tolerance) -> np.ndarray:
    """Where two values differ by more than the tolerance; null on one side alone differs."""
    with np.errstate(invalid="ignore"):
        apart, larger = np.abs(first - second), np.fmax(np.abs(first), np.abs(second))
        is_near = (first == second) | tolerance.allows(apart, larger)
    unequal: np.ndarray = ~is_near & ~(np.isnan(first) & np.isnan(second))
    return unequal


def _difference(
    column: Column,
    first: np.ndarray,
    second: np.ndarray,
    unequal: np.ndarray,
    in_both: np.ndarray,
    times: Sequence[str | int],
    timeframe: str,
) -> Difference:
    apart = np.abs(second - first)[unequal]
    size = np.fmax(np.abs(first), np.abs(second))[unequal]
    is_known = np.isfinite(apart)
    shares = apart[is_known] / np.where(size[is_known] > 0, size[is_known], 1)
    return Difference(
        column.name,
        column.unit,
        int(unequal.sum()),
        int((in_both & ~(np.isnan(first) & np.isnan(second))).sum()),
        float(apart[is_known].max()) if is_known.any() else None,
        float(shares.max()) if is_known.any() else None,
        shown_time(times[int(np.flatnonzero(unequal)[0])]),
    )


def _short(values: np.ndarray) -> list[float | int | None]:
    """Numbers in few characters: whole ones without a point, null for what JSON cannot say."""
    return [_shortened(value) for value in values.tolist()]


def _shortened(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() else float(f"{value:.{_DIGITS}g}")


def _summary(
    chart: StockChart,
    timeframe: str,
    times: Sequence[str | int],
    values: Mapping[str, Sequence[float | int | None]],
) -> str:
    """The chart in one sentence, for those who do not see it."""
    kind = "Daily" if timeframe == DAY else "Five-minute"
    if not times:
        return f"{kind} candles of {chart.symbol}: none from {chart.first} to {chart.last}."
    highs, lows = (
        [value for value in values[name] if value is not None] for name in ("high", "low")
    )
    opened, closed = values["open"][0] or math.nan, values["close"][-1] or math.nan
    change = 100 * (closed / opened - 1)
    at_high, at_low = (
        shown_time(times[values[name].index(value)])
        for name, value in (("high", max(highs)), ("low", min(lows)))
    )
    return (
        f"{kind} candles of {chart.symbol}, {len(times):,} from {shown_time(times[0])} to {shown_time(times[-1])}: "
        f"opened at {opened:,.2f} rupees, closed at {closed:,.2f} ({change:+.1f} %); highest {max(highs):,.2f} "
        f"({at_high}), lowest {min(lows):,.2f} ({at_low})."
    )
