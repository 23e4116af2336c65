"""What a small run costs, from the first import to the last line, beside a plain script on the same rows.

``python -m benchmarks.small_runs``: whole processes in empty data folders. Belongs here: the runs and the printed
table. Does not belong here: what the plain script does (``plain_script``).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow
import pyarrow.parquet

from benchmarks.measuring import PROJECT
from setbull_pipelines.pipeline.raw import landing_directory
from setbull_pipelines.settings import Settings
from setbull_pipelines.sources.intake import take_in

_INSTRUMENTS, _MINUTES = 8, 375
_DAYS = ("2026-06-26", "2026-06-29", "2026-06-30")


@dataclass(frozen=True)
class Took:
    """Seconds of one process: by the clock, and of the processors, its children included."""

    seconds: float
    processor: float


def run(arguments: Sequence[str], data: Path | None = None) -> tuple[Took, str]:
    """Run a program to its end; RuntimeError when it fails."""
    environment = dict(os.environ)
    if data:
        environment["SETBULL_DATA_DIR"] = str(data)
    before, started = os.times(), time.monotonic()
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
    )
    seconds, after = time.monotonic() - started, os.times()
    if done.returncode:
        raise RuntimeError(f"{arguments} ended with {done.returncode}: {done.stderr[-2000:]}")
    used = sum(after[place] - before[place] for place in (2, 3))
    return Took(seconds, used), done.stdout


def files_in(folder: Path) -> int:
    """How many files there are below a folder."""
    return sum(path.is_file() for path in folder.rglob("*"))


def write_candles(path: Path) -> None:
    """One-minute candles of a few instruments over three days, as a stranger would bring them."""
    lines = ["instrument_key,timestamp,open,high,low,close,volume"]
    for number in range(_INSTRUMENTS):
        for day in _DAYS:
            for minute in range(_MINUTES):
                clock = 9 * 60 + 15 + minute
                price = 100 + number + minute / 100
                lines.append(
                    f"NSE_EQ|B{number},{day}T{clock // 60:02d}:{clock % 60:02d}:00+05:30,"
                    f"{price:.2f},{price + 0.5:.2f},{price - 0.5:.2f},{price + 0.1:.2f},{100 + minute}"
                )
    path.write_text("\n".join(lines) + "\n")


def write_input(folder: Path) -> tuple[list[str], int]:
    """The rows of the sample for the plain script, as two files; and how many there are."""
    settings = Settings(data_directory=folder / "sample")
    intake = take_in(None, landing_directory(settings), settings.sample, datetime.now(UTC))
    paths, rows = [], 0
    for kind, name in (("minutes", "candles_1min"), ("daily", "candles_daily_history")):
        landed = intake.load_days(intake.days(kind))
        frames = [getattr(day, name) for day in landed.values()]
        tables = [
            pyarrow.table(
                {
                    "key": frame["instrument_key"].astype(str).to_numpy(object),
                    "timestamp": frame["timestamp"].dt.tz_localize(None).to_numpy(),
                    **{
                        each: frame[each].to_numpy()
                        for each in ("open", "high", "low", "close", "volume")
                    },
                }
            )
            for frame in frames
        ]
        table = pyarrow.concat_tables(tables)
        rows += len(table)
        paths.append(str(folder / f"{kind}.parquet"))
        pyarrow.parquet.write_table(table, paths[-1])
    return paths, rows


def main() -> None:
    """Print the table."""
    setbull = ("-m", "setbull_pipelines.cli.main", "run")
    print("| what | seconds | processor seconds | times the plain script | files |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="setbull-small-") as name:
        folder = Path(name)
        paths, rows = write_input(folder)
        run(("-m", "benchmarks.plain_script", *paths, name))  # once for the disk
        took, printed = run(("-m", "benchmarks.plain_script", *paths, name))
        plain = float(printed)
        print(
            f"| plain script, {rows:,} rows | {took.seconds:.1f} | {plain:.2f} | 1 | 3 |",
            flush=True,
        )

        def tell(what: str, arguments: Sequence[str], data: Path) -> None:
            took, _ = run(arguments, data)
            print(
                f"| {what} | {took.seconds:.1f} | {took.processor:.1f} | {took.processor / plain:.0f} "
                f"| {files_in(data):,} |",
                flush=True,
            )

        tell("`setbull run`, the sample, empty folder", setbull, folder / "first")
        tell("the same again, nothing changed", setbull, folder / "first")
        candles = folder / "candles.csv"
        write_candles(candles)
        given = (*setbull, "--input", str(candles))
        tell(f"`setbull run --input`, {_INSTRUMENTS} instruments, 3 days", given, folder / "small")


if __name__ == "__main__":
    main()
