"""Who is measured: V1, V2, and the same jobs as a person would write them with other tools.

Belongs here: the jobs, each a preparation that is not timed and an action that is. Does not belong here: the clock,
processes, comparing results (``measuring``), targets (``__main__``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import exchange
from setbull_pipelines.tables.indicator_columns import PERIODS
from setbull_pipelines.variants import V1, V2, Variant

BAR = "5min"
BAR_COLUMNS = (
    *("instrument_key", "timestamp", "open", "high", "low", "close", "volume"),
    *("open_interest", "minutes_traded"),
)
"""What rivals of the aggregation make. V2 makes what the calendar knows in addition."""


@dataclass(frozen=True)
class Contestant:
    """One way to do a job."""

    load: Callable[[Path], Any]
    """From the folder of the exchange to what the job starts from; not timed."""
    run: Callable[[Any], Any]
    """The job, from what ``load`` gave."""
    result: Callable[[Any], dict[str, pd.DataFrame]]
    """From what ``run`` gave to frames that are compared."""
    rows: Callable[[Any], int]
    """Rows of input."""


# --- a file of minutes to five-minute bars in memory ------------------------------------------------


def _v2_bars(folder: Path) -> pd.DataFrame:
    return V2.to_5min(exchange.read_minutes(folder))


def _polars_bar() -> list[Any]:
    """The columns of one bar, from its minutes with a trade in order of time."""
    import polars as pl

    return [
        pl.col("open").first(),
        pl.col("high").max(),
        pl.col("low").min(),
        pl.col("close").last(),
        pl.col("volume").sum(),
        pl.col("open_interest").drop_nulls().last(),
        pl.len().alias("minutes_traded"),
    ]


def _polars_bars(folder: Path) -> Any:
    """Sorted minutes allow a dynamic group-by, which is faster than one by a truncated timestamp."""
    import polars as pl

    return (
        pl.scan_parquet(exchange.minutes_file(folder))
        .filter(pl.col("volume") > 0)
        .group_by_dynamic("timestamp", every="5m", group_by="instrument_key")
        .agg(_polars_bar())
        .collect()
    )


def _polars_group_by_bars(folder: Path) -> Any:
    """The plain lazy group-by, with buckets as whole numbers, sorted like the table."""
    import polars as pl

    start = pl.col("timestamp").to_physical() // 300_000_000 * 300_000_000
    return (
        pl.scan_parquet(exchange.minutes_file(folder))
        .filter(pl.col("volume") > 0)
        .group_by("instrument_key", start.cast(pl.Datetime("us", "UTC")).alias("timestamp"))
        .agg(_polars_bar())
        .sort("instrument_key", "timestamp")
        .collect()
    )


def _duckdb_bars(folder: Path) -> Any:
    import duckdb

    return duckdb.execute(
        """
        SELECT instrument_key, time_bucket(INTERVAL 5 MINUTE, timestamp) AS start,
            arg_min(open, timestamp) AS open, max(high) AS high, min(low) AS low,
            arg_max(close, timestamp) AS close, sum(volume)::BIGINT AS volume,
            arg_max(open_interest, timestamp) AS open_interest, count(*) AS minutes_traded
        FROM read_parquet(?) WHERE volume > 0 GROUP BY ALL ORDER BY ALL
        """,
        [str(exchange.minutes_file(folder))],
    ).to_arrow_table()


def _pandas_bars(folder: Path) -> pd.DataFrame:
    columns = [name for name in BAR_COLUMNS if name != "minutes_traded"]
    minutes = pd.read_parquet(exchange.minutes_file(folder), columns=columns)
    minutes = minutes[minutes["volume"] > 0]
    start = minutes["timestamp"].dt.floor(BAR)
    return (
        minutes.groupby(["instrument_key", start], observed=True)
        .agg(
            open=("open", "first"),
            high=("high", "max"),
            low=("low", "min"),
            close=("close", "last"),
            volume=("volume", "sum"),
            open_interest=("open_interest", "last"),
            minutes_traded=("volume", "size"),
        )
        .reset_index()
    )


def _bars_frame(bars: Any) -> pd.DataFrame:
    frame = bars if isinstance(bars, pd.DataFrame) else bars.to_pandas()
    frame = frame.rename(columns={"start": "timestamp"})[list(BAR_COLUMNS)]
    timestamp = frame["timestamp"].dt.tz_convert("Asia/Kolkata").dt.as_unit("us")
    frame = frame.assign(
        instrument_key=frame["instrument_key"].astype("str"),
        timestamp=timestamp,
        open_interest=frame["open_interest"].astype("Float64").astype("Int64"),
        minutes_traded=frame["minutes_traded"].astype("int64"),
    )
    return frame.sort_values(["instrument_key", "timestamp"], ignore_index=True)


def _bars(run: Callable[[Path], Any]) -> Contestant:
    def rows(folder: Path) -> int:
        return len(exchange.read_minutes(folder))

    return Contestant(lambda folder: folder, run, lambda bars: {"bars": _bars_frame(bars)}, rows)


# --- five-minute bars in memory to indicators --------------------------------------------------------

OF_INDICATORS = (
    *("ma_9", "ema_5", "ema_9", "ema_20", "ema_50", "rsi", "atr"),
    *("bb_upper", "bb_middle", "bb_lower", "bb_width"),
    *("bb_width_normalized", "bb_width_normalized_percentage", "volume_ma_10", "vwap"),
)


def _sorted_bars(folder: Path) -> pd.DataFrame:
    history = exchange.read(folder, "candles_5min_history")
    return history.sort_values(["instrument_key", "timestamp"], ignore_index=True)


def _arrays(bars: pd.DataFrame) -> dict[str, np.ndarray]:
    arrays = {name: bars[name].to_numpy(copy=True) for name in ("high", "low", "close")}
    arrays["volume"] = bars["volume"].to_numpy("int64", copy=True)
    arrays["day"] = bars["trading_day"].to_numpy(copy=True).astype("datetime64[us]").view("int64")
    codes, _ = pd.factorize(bars["instrument_key"])
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    arrays["starts"], arrays["ends"] = starts, np.append(starts[1:], len(bars))
    arrays["output"] = np.zeros((len(OF_INDICATORS), len(bars)))
    return arrays


def _load_arrays(folder: Path) -> dict[str, np.ndarray]:
    return _arrays(_sorted_bars(folder))


def _v2_kernel(arrays: dict[str, np.ndarray]) -> np.ndarray:
    from setbull_pipelines.variants.v2 import kernels

    starts, ends = arrays["starts"], arrays["ends"]
    kernels.write_indicators(
        *(starts, ends, ends - starts, starts),
        *(arrays[name] for name in ("day", "high", "low", "close", "volume")),
        PERIODS,
        kernels.rows_of(OF_INDICATORS),
        arrays["output"],
    )
    return arrays["output"]


def _talib_calls(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Every column that TA-Lib has, into memory that exists; the five that it does not have stay zero."""
    import talib

    output = arrays["output"]
    volumes = arrays["volume"].astype("float64")
    for start, end in zip(arrays["starts"], arrays["ends"], strict=True):
        bars = slice(start, end)
        high, low, close = (arrays[name][bars] for name in ("high", "low", "close"))
        output[0, bars] = talib.SMA(close, PERIODS.moving_average)
        for row, period in enumerate(PERIODS.exponential, start=1):
            output[row, bars] = talib.EMA(close, period)
        output[5, bars] = talib.RSI(close, PERIODS.rsi)
        output[6, bars] = talib.ATR(high, low, close, PERIODS.atr)
        deviations = PERIODS.band_deviations
        output[7, bars], output[8, bars], output[9, bars] = talib.BBANDS(
            close, PERIODS.bands, deviations, deviations
        )
        output[13, bars] = talib.SMA(volumes[bars], PERIODS.volume_average)
    return output


def _talib_all(bars: pd.DataFrame) -> pd.DataFrame:
    """TA-Lib per instrument, and whole columns for those that TA-Lib does not have."""
    arrays = _arrays(bars)
    output = _talib_calls(arrays)
    output[10] = output[7] - output[9]
    output[11] = output[10] / output[8]
    output[12] = 100 * output[11]
    high, low, close, volume, day, starts = (
        arrays[name] for name in ("high", "low", "close", "volume", "day", "starts")
    )
    begins = np.diff(day, prepend=-1) != 0
    begins[starts] = True
    # A running sum over all sessions would lose the digits of a session's first, small volumes.
    session = np.cumsum(begins)
    turnover, traded = (
        pd.Series(column).groupby(session).cumsum().to_numpy()
        for column in ((high + low + close) / 3 * volume, volume)
    )
    output[14] = np.nan
    np.divide(turnover, traded, out=output[14], where=traded > 0)
    columns = dict(zip(OF_INDICATORS, output, strict=True))
    keys = {name: bars[name] for name in ("instrument_key", "timestamp", "trading_day")}
    return pd.DataFrame({**keys, **columns}, copy=False)


def _pandas_indicators(bars: pd.DataFrame) -> pd.DataFrame:
    """rolling and ewm, one instrument after the other."""
    return pd.concat([_pandas_of_one(group) for _, group in bars.groupby("instrument_key")])


def _pandas_of_one(bars: pd.DataFrame) -> pd.DataFrame:
    close, volume = bars["close"], bars["volume"]
    change, before = close.diff(), close.shift()
    true_range = (
        pd.concat([bars["high"], before], axis=1).max(axis=1)
        - pd.concat([bars["low"], before], axis=1).min(axis=1)
    ).iloc[1:]
    window = close.rolling(PERIODS.bands)
    middle, reach = window.mean(), PERIODS.band_deviations * window.std(ddof=0)
    gain = _pandas_wilder(change.clip(lower=0).iloc[1:], PERIODS.rsi)
    loss = _pandas_wilder((-change).clip(lower=0).iloc[1:], PERIODS.rsi)
    typical = (bars["high"] + bars["low"] + close) / 3 * volume
    day = bars["trading_day"]
    traded = volume.groupby(day).cumsum()
    emas = [_seeded(close, period, 2 / (period + 1)) for period in PERIODS.exponential]
    values = (
        close.rolling(PERIODS.moving_average).mean(),
        *emas,
        (100 * gain / (gain + loss)).reindex(close.index),
        _pandas_wilder(true_range, PERIODS.atr).reindex(close.index),
        *(middle + reach, middle, middle - reach, 2 * reach),
        *(2 * reach / middle, 200 * reach / middle),
        volume.rolling(PERIODS.volume_average).mean(),
        (typical.groupby(day).cumsum() / traded).where(traded > 0),
    )
    return bars[["instrument_key", "timestamp", "trading_day"]].assign(
        **dict(zip(OF_INDICATORS, values, strict=True))
    )


def _pandas_wilder(values: pd.Series, period: int) -> pd.Series:
    return _seeded(values, period, 1 / period)


def _seeded(values: pd.Series, period: int, alpha: float) -> pd.Series:
    seeded = values.copy()
    seeded.iloc[: period - 1] = np.nan
    seeded.iloc[period - 1 : period] = values.iloc[:period].mean()
    return seeded.ewm(alpha=alpha, adjust=False).mean()


def _v2_indicators(bars: pd.DataFrame) -> pd.DataFrame:
    return V2.indicators(bars, "5minute")


def _indicators(run: Callable[[pd.DataFrame], pd.DataFrame]) -> Contestant:
    columns = ["instrument_key", "timestamp", *OF_INDICATORS]
    return Contestant(_sorted_bars, run, lambda frame: {"indicators": frame[columns]}, len)


def _kernel(run: Callable[[dict[str, np.ndarray]], np.ndarray]) -> Contestant:
    # Only what both write is compared.
    columns = {row: OF_INDICATORS[row] for row in range(14) if row not in (10, 11, 12)}
    return Contestant(
        _load_arrays,
        run,
        lambda output: {"columns": pd.DataFrame({n: output[row] for row, n in columns.items()})},
        lambda arrays: len(arrays["close"]),
    )


# --- the steps of a day, frames to frames ------------------------------------------------------------

Frames = dict[str, pd.DataFrame]
AS_OF = pd.Timestamp(exchange.LAST_DAY)


def _aggregation(variant: Variant, given: Frames) -> Frames:
    minutes, history = given["candles_1min"], given["candles_daily_history"]
    return {
        "candles_5min": variant.to_5min(minutes),
        "candles_daily": variant.to_daily(minutes, history),
    }


def _both_indicators(variant: Variant, given: Frames) -> Frames:
    return {
        "indicators_5min": variant.indicators(given["candles_5min"], "5minute"),
        "indicators_daily": variant.indicators(given["candles_daily"], "day"),
    }


def _sequences_and_filters(variant: Variant, given: Frames) -> Frames:
    candles, indicators = given["candles_daily"], given["indicators_daily"]
    moves = variant.moves(candles, indicators, AS_OF)
    runs = variant.sequences(moves)
    analysis, patterns = variant.sequence_analysis(moves, runs)
    verdicts = variant.filters(candles, indicators, analysis, AS_OF)
    return {
        "moves_daily": moves,
        "sequences": runs,
        "sequence_analysis": analysis,
        "sequence_patterns": patterns,
        "filter_results": verdicts,
    }


def _whole_day(variant: Variant, given: Frames) -> Frames:
    """The three after each other; of five-minute bars the look-back is given, as from earlier days."""
    candles = _aggregation(variant, given)
    indicators = _both_indicators(variant, given | {"candles_daily": candles["candles_daily"]})
    return candles | indicators | _sequences_and_filters(variant, candles | indicators)


def _step(run: Callable[[Variant, Frames], Frames], *names: str) -> dict[str, Contestant]:
    def load(folder: Path) -> Frames:
        return {
            name: exchange.read_minutes(folder)
            if name == "candles_1min"
            else exchange.read(folder, name)
            for name in names
        }

    def of(variant: Variant) -> Contestant:
        return Contestant(
            load,
            lambda given: run(variant, given),
            lambda frames: frames,
            lambda given: sum(map(len, given.values())),
        )

    return {"V2": of(V2), "V1": of(V1)}


CONTESTANTS: dict[str, dict[str, Contestant]] = {
    "bars from a file": {
        "V2": _bars(_v2_bars),
        "Polars, dynamic group-by": _bars(_polars_bars),
        "Polars, group-by": _bars(_polars_group_by_bars),
        "DuckDB": _bars(_duckdb_bars),
        "pandas": _bars(_pandas_bars),
    },
    "indicators, frame to frame": {
        "V2": _indicators(_v2_indicators),
        "TA-Lib and NumPy": _indicators(_talib_all),
        "pandas": _indicators(_pandas_indicators),
    },
    "indicators, arrays to arrays": {
        "V2, 15 columns": _kernel(_v2_kernel),
        "TA-Lib, its 10 columns": _kernel(_talib_calls),
    },
    "step aggregation": _step(_aggregation, "candles_1min", "candles_daily_history"),
    "step indicators": _step(_both_indicators, "candles_5min", "candles_daily"),
    "step sequences and filters": _step(
        _sequences_and_filters, "candles_daily", "indicators_daily"
    ),
    "whole day": _step(_whole_day, "candles_1min", "candles_daily_history", "candles_5min"),
}
"""By job; of each job ours comes first."""
