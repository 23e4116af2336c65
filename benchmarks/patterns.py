"""What the patterns of a run predicted on real daily bars: ``python -m benchmarks.patterns`` prints its page's tables.

The definitions come from the sources that ``docs/patterns.md`` names and were fixed before any outcome was looked at;
nothing is fitted. Sessions up to 2022 are shown beside those from 2023 on, by which the patterns are judged.
Belongs here: which days count, what is counted after them, the intervals, the printed tables. Does not belong here: the
patterns (``setbull_pipelines/variants``), prices, which are never part of the project.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from setbull_pipelines.market.session_table import FULL
from setbull_pipelines.settings import IndicatorSettings, Settings
from setbull_pipelines.tables import CANDLES_1MIN, CANDLES_DAILY_HISTORY
from setbull_pipelines.tables.moves import BEARISH, BULLISH
from setbull_pipelines.tables.sequence_analysis import RUN_PATTERNS
from setbull_pipelines.tables.sequences import MAMBA
from setbull_pipelines.variants import V2

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
LONG, HALF = "daily_long.parquet", "daily_2024-01_2025-04-08_half.parquet"
JUDGED_FROM = pd.Timestamp("2023-01-01")
SESSIONS_AFTER = 5
LONGEST_DAYS_AFTER = 14
"""Calendar days that the sessions after a day may take; a stock that was suspended for longer is left out."""
RESAMPLES, SEED = 2000, 1
PATTERNS = tuple(column.name for column in RUN_PATTERNS)
ANY_RUN, ANY_DAY = "any mamba run", "any day in a trend"
_SERIES = ("instrument_key", "series", "trading_day")
_OF_CANDLES = (*_SERIES, "open", "high", "low", "close", "volume")
_OF_INDICATORS = (
    *(*_SERIES, "ema_20", "ema_50", "atr", "bb_upper", "bb_lower", "rsi"),
    *("bars_of_history", "is_warm", "unexplained_gap", "unexplained_gap_day"),
)
"""What moves are made of: of thousands of sessions every column counts."""
PROFIT, AGAIN = "profit", "mamba day"
"""The outcomes: 1 where it came, 0 where not."""


def read_bars(path: Path) -> pd.DataFrame:
    """The daily bars of a file of real prices as ``raw.candles_daily_history``."""
    rows = pd.read_parquet(path).drop(columns="symbol")
    days = rows["timestamp"].dt.tz_localize(None).astype("datetime64[us]")
    table = CANDLES_DAILY_HISTORY.without_provenance
    complete = rows.assign(trading_day=days, session_shape=FULL)
    return table.conform(complete[table.column_names])


def analysed(history: pd.DataFrame) -> pd.DataFrame:
    """The analysis of every session with the bar and the unexplained gap of its day; by instrument and day."""
    settings = Settings()
    candles = V2.to_daily(CANDLES_1MIN.empty(), history)
    indicators = V2.indicators(candles, "day")
    bar = ["instrument_key", "trading_day"]
    # A year together: an analysis of many as-of days costs little more than one of few.
    parts = [
        V2.sequence_analysis(moves, V2.sequences(moves), settings.sequences)[0]
        for moves in _moves_by_year(candles, indicators, settings)
    ]
    told = pd.concat(parts, ignore_index=True).drop(columns="series")
    found = candles[[*bar, "open", "close"]].merge(told, on=bar, how="left", validate="one_to_one")
    gaps = indicators[[*bar, "unexplained_gap"]]
    return found.merge(gaps, on=bar, validate="one_to_one").sort_values(bar, ignore_index=True)


def _moves_by_year(
    candles: pd.DataFrame, indicators: pd.DataFrame, settings: Settings
) -> Iterator[pd.DataFrame]:
    """The moves of every session, each from the look-back that a run of the pipeline gives it."""
    by_day = [
        frame[list(names)].sort_values("trading_day", kind="stable", ignore_index=True)
        for frame, names in ((candles, _OF_CANDLES), (indicators, _OF_INDICATORS))
    ]
    days = by_day[0]["trading_day"].to_numpy()
    sessions = np.unique(days)
    starts = np.searchsorted(days, sessions)
    ends = np.append(starts[1:], len(days))
    moves: list[pd.DataFrame] = []
    for place, session in enumerate(sessions):
        first = starts[max(place - settings.look_back.sessions_moves, 0)]
        window = [frame.iloc[first : ends[place]] for frame in by_day]
        moves.append(V2.moves(*window, pd.Timestamp(session), settings.sequences))
        is_last = place + 1 == len(sessions)
        if is_last or pd.Timestamp(sessions[place + 1]).year > pd.Timestamp(session).year:
            yield pd.concat(moves, ignore_index=True)
            moves = []


@dataclass(frozen=True)
class Days:
    """Days of stocks with a known outcome, and on which of them each pattern began; one row per day."""

    month: np.ndarray
    is_judged: np.ndarray
    trend: np.ndarray
    gain: np.ndarray
    """Percent from the next open to the close of the last of the sessions after, in the direction of the trend."""
    came: dict[str, np.ndarray]
    began: dict[str, np.ndarray]


def days_of(analysis: pd.DataFrame) -> Days:
    """The days in a BULLISH or BEARISH trend that have an outcome, without those near a jump that nothing explains."""
    of_stock = analysis.groupby("instrument_key", sort=False)
    last_close = of_stock["close"].shift()
    day_before = of_stock["trading_day"].shift()
    limits = IndicatorSettings()
    jumped = ((analysis["open"] / last_close - 1).abs() > limits.maximum_unexplained_gap) & (
        (analysis["trading_day"] - day_before).dt.days <= limits.overnight_days
    )
    direction = analysis["trend"].map({BULLISH: 1.0, BEARISH: -1.0})
    is_mamba_run = (analysis["current_kind"] == MAMBA) & direction.notna()

    def later(values: pd.Series, sessions: int) -> pd.Series:
        return values.groupby(analysis["instrument_key"], sort=False).shift(-sessions)

    ahead = range(1, SESSIONS_AFTER + 1)
    jumps = sum(later(jumped.astype("float64"), sessions) for sessions in ahead)
    is_mamba_day = is_mamba_run.astype("float64") * direction.fillna(0)
    again = sum((later(is_mamba_day, sessions) == direction) for sessions in ahead) > 0
    days_after = later(analysis["trading_day"], SESSIONS_AFTER) - analysis["trading_day"]
    entry, exit_ = later(analysis["open"], 1), later(analysis["close"], SESSIONS_AFTER)
    gain = direction * (exit_ / entry - 1) * 100
    counts = (
        direction.notna()
        & analysis["trend_reason"].isna()
        & analysis["unexplained_gap"].isna()
        & (jumps == 0)
        & (days_after.dt.days <= LONGEST_DAYS_AFTER)
    ).to_numpy()

    def began(shown: pd.Series) -> np.ndarray:
        is_shown = shown.fillna(False).astype(bool)
        before = is_shown.groupby(analysis["instrument_key"], sort=False).shift(fill_value=False)
        return (is_shown & ~before).to_numpy()[counts]

    day = analysis["trading_day"][counts]
    return Days(
        month=(day.dt.year * 12 + day.dt.month).to_numpy(),
        is_judged=(day >= JUDGED_FROM).to_numpy(),
        trend=analysis["trend"][counts].to_numpy(),
        gain=gain[counts].to_numpy(),
        came={
            PROFIT: (gain > 0)[counts].to_numpy("float64"),
            AGAIN: again[counts].to_numpy("float64"),
        },
        began={
            ANY_DAY: np.ones(int(counts.sum()), dtype=bool),
            ANY_RUN: began(is_mamba_run),
            **{name: began(analysis[name]) for name in PATTERNS},
        },
    )


@dataclass(frozen=True)
class Mean:
    """A mean over days, and the interval that 95 % of its resamples lie in."""

    value: float
    low: float
    high: float

    @property
    def is_apart_from_zero(self) -> bool:
        return self.low > 0 or self.high < 0


def compared(
    days: Days, chosen: np.ndarray, base: np.ndarray, values: np.ndarray
) -> tuple[Mean, Mean]:
    """The mean over ``chosen`` days, and its difference to that over ``base``, with intervals.

    Whole months are drawn with repetition: what happens to several stocks, or on neighbouring days, is one event.
    """
    months, place = np.unique(days.month, return_inverse=True)
    draws = np.random.default_rng(SEED).multinomial(
        len(months), np.full(len(months), 1 / len(months)), RESAMPLES
    )

    def means(of: np.ndarray) -> np.ndarray:
        """That of all days first, then those of the resamples."""
        sums, counts = (
            np.bincount(place, weights=weights, minlength=len(months))
            for weights in (values * of, of.astype("float64"))
        )
        all_draws = np.vstack([np.ones(len(months)), draws])
        return (all_draws @ sums) / np.maximum(all_draws @ counts, 1)

    own, other = means(chosen), means(base)
    return _mean(own), _mean(own - other)


def _mean(found: np.ndarray) -> Mean:
    low, high = np.quantile(found[1:], (0.025, 0.975))
    return Mean(float(found[0]), float(low), float(high))


def table(days: Days, of: np.ndarray) -> str:
    """What followed the days ``of``, as Markdown: each pattern against any mamba run, that against any day."""
    lines = [
        "| what began on the day | days | profit after 5 sessions | points above the base | mean gain, % | mamba day "
        "within 5 sessions | points above the base |",
        "|---|---|---|---|---|---|---|",
    ]
    kept = Days(
        days.month[of],
        days.is_judged[of],
        days.trend[of],
        days.gain[of],
        {name: values[of] for name, values in days.came.items()},
        {name: values[of] for name, values in days.began.items()},
    )
    for name, began in kept.began.items():
        base = kept.began[ANY_DAY if name == ANY_RUN else ANY_RUN]
        profit, more_profit = compared(kept, began, base, kept.came[PROFIT])
        gain, _ = compared(kept, began, base, kept.gain)
        again, more_again = compared(kept, began, base, kept.came[AGAIN])
        more = [_points(each) if name != ANY_DAY else "" for each in (more_profit, more_again)]
        label = f"`{name}`" if name in PATTERNS else name
        lines.append(
            f"| {label} | {int(began.sum()):,} | {_share(profit)} | {more[0]} | "
            f"{gain.value:+.2f} ({gain.low:+.2f} to {gain.high:+.2f}) | {_share(again)} | {more[1]} |"
        )
    return "\n".join(lines)


def _share(mean: Mean) -> str:
    return f"{100 * mean.value:.1f} % ({100 * mean.low:.1f} to {100 * mean.high:.1f})"


def _points(mean: Mean) -> str:
    told = f"{100 * mean.value:+.1f} ({100 * mean.low:+.1f} to {100 * mean.high:+.1f})"
    return f"**{told}**" if mean.is_apart_from_zero else told


def report(data: Path) -> str:
    """The tables of the page."""
    long, half = (days_of(analysed(read_bars(data / "market" / name))) for name in (LONG, HALF))
    parts = [
        ("Judged: 2023 to August 2026, 201 instruments", long, long.is_judged),
        ("Before: 2020 to 2022, the same instruments", long, ~long.is_judged),
        (
            "Judged, bullish trends alone",
            long,
            long.is_judged & (long.trend == BULLISH),
        ),
        (
            "Judged, bearish trends alone (a profit is a fall)",
            long,
            long.is_judged & (long.trend == BEARISH),
        ),
        ("Another market: half of all stocks, April 2024 to April 2025", half, half.is_judged),
    ]
    return "\n\n".join(f"### {title}\n\n{table(days, of)}" for title, days, of in parts)


def main() -> None:
    """Print the tables of ``docs/patterns.md``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="the folder of real market data")
    print(report(parser.parse_args().data))


if __name__ == "__main__":
    main()
