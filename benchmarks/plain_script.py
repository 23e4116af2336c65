"""What somebody would write instead of this project: bars, indicators, a screen, Parquet; no checks, no history, no UI.

``python -m benchmarks.plain_script MINUTES DAILY FOLDER``: reads two Parquet files (``small_runs`` makes them), writes
three, and prints the processor seconds of all of it, imports included.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import polars as pl
import talib

_BARS = ("open", "high", "low", "close", "volume")


def five_minute_bars(minutes: pl.LazyFrame) -> pl.DataFrame:
    """Bars of traded minutes, left-closed and left-labelled."""
    traded = minutes.filter(pl.col("volume") > 0).sort("key", "timestamp")
    return (
        traded.group_by_dynamic("timestamp", every="5m", group_by="key")
        .agg(
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            pl.col("volume").sum(),
        )
        .collect()
    )


def indicators(bars: pl.DataFrame) -> pl.DataFrame:
    """The bars of each instrument with the indicators of the project's tables."""
    parts = []
    for series in bars.sort("key", "timestamp").partition_by("key"):
        high, low, close = (
            series[name].to_numpy().astype(float) for name in ("high", "low", "close")
        )
        upper, middle, lower = talib.BBANDS(close, 20, 2, 2)
        parts.append(
            series.with_columns(
                ma_9=talib.SMA(close, 9),
                **{f"ema_{period}": talib.EMA(close, period) for period in (5, 9, 20, 50)},
                rsi=talib.RSI(close, 14),
                atr=talib.ATR(high, low, close, 14),
                bb_upper=upper,
                bb_middle=middle,
                bb_lower=lower,
            )
        )
    return pl.concat(parts)


def screen(daily: pl.DataFrame) -> pl.DataFrame:
    """The last day of instruments away from EMA 50 and in the range of prices."""
    last = daily.group_by("key").last()
    away = (pl.col("close") - pl.col("ema_50")) / pl.col("ema_50")
    return last.filter((away.abs() > 0.03) & pl.col("close").is_between(50, 1000))


def main() -> None:
    """Do it all once."""
    minutes, daily, folder = map(Path, sys.argv[1:4])
    indicators(five_minute_bars(pl.scan_parquet(minutes))).write_parquet(folder / "five.parquet")
    by_day = indicators(pl.read_parquet(daily))
    by_day.write_parquet(folder / "day.parquet")
    screen(by_day).write_parquet(folder / "screen.parquet")
    print(f"{time.process_time():.2f}")


if __name__ == "__main__":
    main()
