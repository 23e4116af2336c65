"""Frames for the tests of both variants, and an independent cell-by-cell comparison.

Belongs here: turning plain rows into table frames, random market data, comparing two frames under the
tolerances of the table contracts. Does not belong here: expected values, computing code of a variant.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet

from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.market.session_frames import session_intervals
from setbull_pipelines.market.session_table import FULL
from setbull_pipelines.market.session_table import TIMEZONE as INDIA
from setbull_pipelines.settings import PROFILES
from setbull_pipelines.tables import (
    CANDLES_1MIN,
    CANDLES_5MIN,
    CANDLES_DAILY,
    CANDLES_DAILY_HISTORY,
    Table,
)
from setbull_pipelines.tables.indicator_columns import INDICATOR_COLUMNS
from setbull_pipelines.tables.indicators import VWAP
from setbull_pipelines.variants.protocol import Variant

FLOAT_KINDS = ("float64",)
NO_HISTORY = CANDLES_DAILY_HISTORY.empty()
INDICATORS_OF_BARS = (*INDICATOR_COLUMNS, VWAP)
"""Those of bars of minutes; of daily bars there is no VWAP."""


def _trading_day(timestamps: pd.Series) -> pd.Series:
    return timestamps.dt.tz_localize(None).dt.normalize().astype("datetime64[us]")


def _raw(table: Table, rows: pd.DataFrame) -> pd.DataFrame:
    complete = rows.assign(trading_day=_trading_day(rows["timestamp"]))
    if "open_interest" not in complete:
        complete["open_interest"] = pd.NA
    if "session_shape" not in complete:
        complete["session_shape"] = FULL
    return table.conform(complete[table.column_names])


def minute_candles(rows: pd.DataFrame) -> pd.DataFrame:
    """``raw.candles_1min`` from rows with instrument_key, timestamp (aware), prices and volume."""
    return _raw(CANDLES_1MIN.without_provenance, rows)


def daily_history(rows: pd.DataFrame) -> pd.DataFrame:
    """``raw.candles_daily_history`` from rows with instrument_key, timestamp (midnight), prices, volume."""
    return _raw(CANDLES_DAILY_HISTORY.without_provenance, rows)


def bars_5min(rows: pd.DataFrame) -> pd.DataFrame:
    """``candles_5min`` with one bar per given row, whatever the spacing of the timestamps."""
    complete = rows.assign(
        trading_day=_trading_day(rows["timestamp"]),
        open_interest=pd.NA,
        minutes_traded=5,
        minutes_present=5,
        minutes_expected=5,
        is_complete=True,
    )
    return CANDLES_5MIN.conform(complete[CANDLES_5MIN.column_names])


def bars_daily(rows: pd.DataFrame, series: str = "exchange") -> pd.DataFrame:
    """``candles_daily`` of one series with one bar per given row; minute counts are null."""
    complete = rows.assign(
        series=series,
        trading_day=_trading_day(rows["timestamp"]),
        open_interest=pd.NA,
        minutes_traded=pd.NA,
        minutes_present=pd.NA,
        minutes_expected=pd.NA,
        is_complete=pd.NA,
    )
    return CANDLES_DAILY.conform(complete[CANDLES_DAILY.column_names])


def bar_rows(
    close: Sequence[float] | np.ndarray,
    *,
    high: Sequence[float] | np.ndarray | None = None,
    low: Sequence[float] | np.ndarray | None = None,
    volume: Sequence[int] | np.ndarray | int = 1000,
    first: str = "2025-06-02 09:15",
    step: str = "1min",
    key: str = "NSE_EQ|TEST",
) -> pd.DataFrame:
    """Rows of one instrument at evenly spaced timestamps; open is the close, high and low too unless given."""
    close = np.asarray(close, dtype="float64")
    return pd.DataFrame(
        {
            "instrument_key": key,
            "timestamp": pd.date_range(first, periods=len(close), freq=step, tz=INDIA, unit="us"),
            "open": close,
            "high": close if high is None else np.asarray(high, dtype="float64"),
            "low": close if low is None else np.asarray(low, dtype="float64"),
            "close": close,
            "volume": volume,
        }
    )


def trading_days(first: str, count: int) -> list[pd.Timestamp]:
    """``count`` trading days from ``first`` on, as naive midnights."""
    start = pd.Timestamp(first).date()
    days = [start] if NSE.is_trading_day(start) else []
    while len(days) < count:
        days.append(NSE.next(days[-1] if days else start))
    return [pd.Timestamp(day) for day in days]


def session_minutes(days: Sequence[pd.Timestamp]) -> pd.DatetimeIndex:
    """Every minute of the sessions of the given days, in order."""
    intervals = session_intervals(pd.DatetimeIndex(days))
    minutes = [
        pd.date_range(row.start, row.end, freq="1min", inclusive="left", unit="us")
        for row in intervals.itertuples()
    ]
    return minutes[0].append(minutes[1:])


def _walk(
    generator: np.random.Generator, bars: int, price: float, tick: float, volatility: float
) -> tuple[np.ndarray, ...]:
    """Open, high, low, close on a grid of ``tick``, never below one tick."""
    steps = generator.normal(0, volatility, size=(bars, 4)).cumsum(axis=1)
    levels = price * np.exp(steps[:, -1].cumsum() - steps[:, -1])
    path = levels[:, None] * np.exp(np.concatenate([np.zeros((bars, 1)), steps[:, 1:]], axis=1))
    path = np.maximum(np.round(path / tick), 1) * tick
    path = np.round(path, 2)
    return path[:, 0], path.max(axis=1), path.min(axis=1), path[:, -1]


def random_minutes(
    seed: int,
    days: Sequence[pd.Timestamp],
    *,
    instruments: int = 3,
    price: float = 250.0,
    tick: float = 0.05,
    volatility: float = 0.0008,
    largest_volume: int = 5_000,
    missing_share: float = 0.05,
    untraded_share: float = 0.1,
    flat_minutes: int = 0,
) -> pd.DataFrame:
    """Minutes of random walks with missing minutes, untraded minutes and a flat stretch."""
    generator = np.random.default_rng(seed)
    minutes = session_minutes(days)
    frames = []
    for number in range(instruments):
        count = len(minutes)
        opens, highs, lows, closes = _walk(generator, count, price, tick, volatility)
        if flat_minutes:
            start = int(generator.integers(0, max(count - flat_minutes, 1)))
            for prices in (opens, highs, lows, closes):
                prices[start : start + flat_minutes] = closes[start]
        volume = generator.integers(1, largest_volume + 1, size=count)
        untraded = generator.random(count) < untraded_share
        untraded[0] = False
        last_close = pd.Series(np.where(untraded, np.nan, closes)).ffill().to_numpy()
        for prices in (opens, highs, lows, closes):
            prices[untraded] = last_close[untraded]
        volume[untraded] = 0
        frame = pd.DataFrame(
            {
                "instrument_key": f"NSE_EQ|RANDOM{number:02d}",
                "timestamp": minutes,
                "open": opens,
                "high": highs,
                "low": lows,
                "close": closes,
                "volume": volume,
                "open_interest": pd.array(generator.integers(0, 9_000, count), dtype="Int64"),
            }
        )
        frame.loc[generator.random(count) < 0.3, "open_interest"] = pd.NA
        frames.append(frame[generator.random(count) >= missing_share])
    return minute_candles(pd.concat(frames, ignore_index=True))


def random_daily(
    seed: int,
    days: Sequence[pd.Timestamp],
    *,
    instruments: int = 6,
    price: float = 250.0,
    tick: float = 0.05,
    volatility: float = 0.022,
    largest_volume: int = 3_000_000,
    missing_share: float = 0.02,
    flat_days: int = 0,
) -> pd.DataFrame:
    """Daily history of random walks with missing days; every fourth instrument is listed late."""
    generator = np.random.default_rng(seed)
    frames = []
    for number in range(instruments):
        count = len(days)
        opens, highs, lows, closes = _walk(generator, count, price, tick, volatility)
        if flat_days:
            for prices in (opens, highs, lows, closes):
                prices[-flat_days:] = closes[-flat_days]
        frame = pd.DataFrame(
            {
                "instrument_key": f"NSE_EQ|DAILY{number:02d}",
                "timestamp": pd.DatetimeIndex(days).tz_localize(INDIA).as_unit("us"),
                "open": opens,
                "high": highs,
                "low": lows,
                "close": closes,
                "volume": generator.integers(1, largest_volume + 1, size=count),
            }
        )
        kept = generator.random(count) >= missing_share
        if number % 4 == 3:
            kept[: int(count * 0.6)] = False
        frames.append(frame[kept])
    return daily_history(pd.concat(frames, ignore_index=True))


def shuffled(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The same rows in another order, with a fresh index."""
    return frame.sample(frac=1.0, random_state=seed).reset_index(drop=True)


def stored_bytes(table: Table, frame: pd.DataFrame) -> bytes:
    """The frame as the bytes of a Parquet file under the table's own schema."""
    content = io.BytesIO()
    arrow = pyarrow.Table.from_pandas(frame, schema=table.arrow_schema, preserve_index=False)
    pyarrow.parquet.write_table(arrow, content)
    return content.getvalue()


def assert_contract(table: Table, frame: pd.DataFrame) -> None:
    """The frame satisfies the table contract: columns, dtypes, checks, key, sort order."""
    table.schema.validate(frame)
    ordered = frame.sort_values(list(table.key), kind="stable", ignore_index=True)
    pd.testing.assert_frame_equal(frame, ordered)


def compare(table: Table, left: pd.DataFrame, right: pd.DataFrame) -> int:
    """Assert that two frames of ``table`` agree; return the number of cells compared.

    Row sets and nulls must be equal, every other cell within the tolerance of its column. The message
    of a failure names the column, how many cells differ and the worst of them. Keys count as cells.
    """
    assert list(left.columns) == table.column_names, f"{table.name}: columns {list(left.columns)}"
    assert list(right.columns) == table.column_names, f"{table.name}: columns {list(right.columns)}"
    pd.testing.assert_frame_equal(left[list(table.key)], right[list(table.key)])
    cells = len(left) * len(table.key)
    for column in table.value_columns:
        one, other = left[column.name], right[column.name]
        assert one.dtype == other.dtype, f"{table.name}.{column.name}: {one.dtype}, {other.dtype}"
        nulls = one.isna().to_numpy()
        where = f"{table.name}.{column.name}"
        wrong = np.flatnonzero(nulls != other.isna().to_numpy())
        assert not len(wrong), f"{where}: nulls differ in {len(wrong)} rows\n" + _rows(
            table, column.name, left, right, wrong
        )
        if one.dtype in FLOAT_KINDS:
            a, b = one.to_numpy("float64")[~nulls], other.to_numpy("float64")[~nulls]
            assert np.isfinite([a, b]).all(), f"{where}: infinite values"
            allowed = column.tolerance.relative * np.maximum(abs(a), abs(b))
            differs = abs(a - b) > allowed + column.tolerance.absolute
        else:
            differs = (one[~nulls].to_numpy() != other[~nulls].to_numpy()).astype(bool)
        wrong = np.flatnonzero(~nulls)[differs]
        assert not len(wrong), f"{where}: {len(wrong)} of {len(left)} cells differ\n" + _rows(
            table, column.name, left, right, wrong
        )
        cells += len(left)
    return cells


def _rows(
    table: Table, column: str, left: pd.DataFrame, right: pd.DataFrame, positions: np.ndarray
) -> str:
    shown = positions[:5]
    sample = left.iloc[shown][list(table.key)].assign(
        left=left[column].iloc[shown].map(repr), right=right[column].iloc[shown].map(repr)
    )
    return sample.to_string()


def assert_values(
    found: pd.Series | np.ndarray,
    expected: pd.Series | np.ndarray,
    *,
    cells: int,
    relative: float = 1e-9,
    absolute: float = 0.0,
    name: str = "",
) -> None:
    """Equal within a tolerance, null where the other is, and as many cells with a number as the test counts."""
    found, expected = np.asarray(found, "float64"), np.asarray(expected, "float64")
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected), err_msg=f"{name}: nulls")
    np.testing.assert_allclose(found, expected, relative, absolute, equal_nan=True, err_msg=name)
    assert int(np.isfinite(found).sum()) == cells, name


def clock(bars: pd.DataFrame) -> list[str]:
    """When bars begin, on the clock of the exchange."""
    return bars["timestamp"].dt.strftime("%H:%M").tolist()


def starts_of(candles: pd.DataFrame) -> pd.DataFrame:
    """First trading day of every stored series of daily candles: the argument ``history_starts``."""
    groups = candles.groupby(["instrument_key", "series"], as_index=False)
    return groups.agg(first_trading_day=("trading_day", "min"))


def daily_chain(
    variant: Variant,
    candles_daily: pd.DataFrame,
    as_of: pd.Timestamp,
    *,
    profile: str = "production",
    indicators: pd.DataFrame | None = None,
) -> dict[str, pd.DataFrame]:
    """Everything computed from daily candles at ``as_of``, by table name."""
    sequence_settings, filter_settings = PROFILES[profile]
    if indicators is None:
        indicators = variant.indicators(candles_daily, "day")
    moves = variant.moves(candles_daily, indicators, as_of, sequence_settings)
    sequences = variant.sequences(moves)
    analysis, patterns = variant.sequence_analysis(moves, sequences, sequence_settings)
    filters = variant.filters(
        candles_daily, indicators, analysis, as_of, filter_settings, sequence_settings
    )
    return {
        "indicators_daily": indicators,
        "moves_daily": moves,
        "sequences": sequences,
        "sequence_analysis": analysis,
        "sequence_patterns": patterns,
        "filter_results": filters,
    }
