"""A small deterministic market, and a variant's tables of it.

Three instruments: 12 sessions of minutes and 300 daily bars, shaped so that every formula has
something to say. Does not hold expected values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.market.session_frames import session_intervals
from setbull_pipelines.market.session_table import FULL
from setbull_pipelines.settings import BB_WIDTH_RULES, AggregationSettings, BandWidthSettings
from setbull_pipelines.tables import (
    BB_WIDTH_ALERTS,
    CANDLES_1MIN,
    CANDLES_DAILY_HISTORY,
    Table,
)
from setbull_pipelines.variants.protocol import Variant

FIRST_DAY, LAST_DAY = date(2025, 4, 1), date(2026, 6, 18)
DAYS = [pd.Timestamp(day) for day in NSE.trading_days(FIRST_DAY, LAST_DAY)]
SESSIONS = DAYS[-12:]
AS_OF = DAYS[-1]
RISING, FALLING, ALTERNATING = (f"NSE_EQ|INE00000000{number}" for number in (1, 2, 3))
MAMBA_DAYS = {
    RISING: "NNMMNMMMNNNMNNMMNNNMM",
    FALLING: "MNNNNNNNMMNNMMMNNNNNN",
    ALTERNATING: "MNMNMNMNMNMNMNMNMNMNM",
}
"""The last 21 days: M is a strong move with the trend, N is none."""
QUIET_SESSIONS = {RISING: (6, 11), FALLING: (5, 8, 9), ALTERNATING: (7, 11)}
"""Their last 150 minutes move little, so that bands come near the lowest width."""
UNTRADED = AggregationSettings(untraded_minutes="include")
"""Bars without volume are kept, so that VWAP has bars for which it has no value."""

WIDTHS = BandWidthSettings(range_percent=30.0, alert_rules=BB_WIDTH_RULES)
"""A range wide enough for bands to be in it: widths of this market rarely come near their lowest."""


@dataclass(frozen=True)
class Market:
    """The tables of one variant by name."""

    tables: dict[str, pd.DataFrame]

    def __getitem__(self, name: str) -> pd.DataFrame:
        return self.tables[name]


def computed_by(variant: Variant, shuffle_seed: int | None = None) -> Market:
    """Return every computed table of the sample market, and the minutes they come from.

    With ``shuffle_seed`` the rows of every input are put in another order first.
    """

    def given(frame: pd.DataFrame) -> pd.DataFrame:
        if shuffle_seed is None:
            return frame
        return frame.sample(frac=1.0, random_state=shuffle_seed).reset_index(drop=True)

    minutes, history = given(_minutes()), given(_history())
    candles_5min = variant.to_5min(minutes, UNTRADED)
    candles_daily = variant.to_daily(minutes, history, UNTRADED)
    indicators_5min = variant.indicators(given(candles_5min), "5minute")
    bb_width_daily = variant.bb_width(given(indicators_5min))
    alerts = [
        variant.bb_width_alerts(given(indicators_5min), given(bb_width_daily), day, WIDTHS)
        for day in SESSIONS
    ]
    indicators_daily = variant.indicators(given(candles_daily), "day")
    moves = variant.moves(given(candles_daily), given(indicators_daily), AS_OF)
    sequences = variant.sequences(given(moves))
    analysis, patterns = variant.sequence_analysis(given(moves), given(sequences))
    return Market(
        {
            "candles_1min": minutes,
            "candles_5min": candles_5min,
            "candles_daily": candles_daily,
            "indicators_5min": indicators_5min,
            "indicators_daily": indicators_daily,
            "bb_width_daily": bb_width_daily,
            "bb_width_alerts": BB_WIDTH_ALERTS.conform(pd.concat(alerts)),
            "moves_daily": moves,
            "sequences": sequences,
            "sequence_analysis": analysis,
            "sequence_patterns": patterns,
            "filter_results": variant.filters(
                given(candles_daily), given(indicators_daily), given(analysis), AS_OF
            ),
        }
    )


def _session_minutes(days: Sequence[pd.Timestamp]) -> pd.DatetimeIndex:
    intervals = session_intervals(pd.DatetimeIndex(days))
    minutes = [
        pd.date_range(row.start, row.end, freq="1min", inclusive="left", unit="us")
        for row in intervals.itertuples()
    ]
    return minutes[0].append(minutes[1:])


def _raw(table: Table, rows: pd.DataFrame) -> pd.DataFrame:
    days = rows["timestamp"].dt.tz_localize(None).dt.normalize().astype("datetime64[us]")
    complete = rows.assign(trading_day=days, session_shape=FULL)
    return table.conform(complete[table.column_names])


def _minutes() -> pd.DataFrame:
    times = _session_minutes(SESSIONS)
    minute_of_session = times.hour * 60 + times.minute - (9 * 60 + 15)
    number = np.arange(len(times))
    frames = []
    for seed, (key, price) in enumerate(
        ((RISING, 250.0), (FALLING, 9_000.0), (ALTERNATING, 120.0))
    ):
        generator = np.random.default_rng(seed)
        is_quiet = np.isin(number // 375, QUIET_SESSIONS[key]) & (minute_of_session >= 225)
        steps = generator.normal(0, 0.001, len(times)) * np.where(is_quiet, 0.15, 1)
        close = price * np.exp(np.cumsum(steps))
        spread = close * generator.uniform(0, 0.0005, len(times))
        volume = generator.integers(1, 5_000, len(times))
        if key == FALLING:  # flat for its first 20 bars, and without volume at every open
            close[number < 100] = price
            spread[number < 100] = 0
            volume[minute_of_session < 10] = 0
        if key == ALTERNATING:  # only rises for its first 26 bars
            close[:130] = np.sort(close[:130])
        is_delivered = (number % 97 != 50) | (key != ALTERNATING)
        frames.append(
            pd.DataFrame(
                {
                    "instrument_key": key,
                    "timestamp": times,
                    "open": close - spread / 2,
                    "high": close + spread,
                    "low": close - spread,
                    "close": close,
                    "volume": volume,
                    "open_interest": pd.array(
                        generator.integers(100, 900, len(times))
                        if key == RISING
                        else [pd.NA] * len(times),
                        dtype="Int64",
                    ),
                }
            )[is_delivered]
        )
    return _raw(CANDLES_1MIN.without_provenance, pd.concat(frames, ignore_index=True))


def _history() -> pd.DataFrame:
    frames = []
    for seed, (key, kinds) in enumerate(MAMBA_DAYS.items()):
        generator = np.random.default_rng(100 + seed)
        is_mamba = np.array([False] * (len(DAYS) - len(kinds)) + [kind == "M" for kind in kinds])
        up = -1 if key == FALLING else 1
        quiet = up * generator.uniform(-0.008, 0.01, len(DAYS))
        strong = up * generator.uniform(0.055, 0.085, len(DAYS))
        change = np.where(is_mamba, strong, quiet)
        close = 200 * np.cumprod(1 + change)
        open_ = close / (1 + change)
        frames.append(
            pd.DataFrame(
                {
                    "instrument_key": key,
                    "timestamp": pd.DatetimeIndex(DAYS).tz_localize("Asia/Kolkata").as_unit("us"),
                    "open": open_,
                    "high": np.maximum(open_, close) * 1.01,
                    "low": np.minimum(open_, close) * 0.99,
                    "close": close,
                    "volume": generator.integers(800_000, 2_500_000, len(DAYS))
                    + is_mamba * 1_000_000,
                }
            )
        )
    return _raw(
        CANDLES_DAILY_HISTORY.without_provenance,
        pd.concat(frames, ignore_index=True).assign(open_interest=pd.NA),
    )
