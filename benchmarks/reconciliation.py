"""Time and memory of the reconciliation on 15 million rows of 10 columns, beside other ways to do the same.

``python -m benchmarks.reconciliation --help`` lists the sizes. Every measurement is a process of its own: its seconds
begin after the imports, its memory is the peak of the process; files are in the page cache. Belongs here: the
generator, the clock, the printed table. Does not belong here: the rivals (``rivals``), targets.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow
import pyarrow.parquet

from setbull_pipelines.reconciliation.compare import compare
from setbull_pipelines.settings import ReconciliationSettings
from setbull_pipelines.tables import INDICATORS_5MIN, Kind, Table
from setbull_pipelines.tables.columns import TRADING_DAY
from setbull_pipelines.tables.contract import RELATIVE

PROJECT = Path(__file__).resolve().parents[1]
REFEREE = PROJECT / ".venv-referee" / "bin" / "python"
FLOATS = [column for column in INDICATORS_5MIN.value_columns if column.kind is Kind.FLOAT][:10]
TABLE = Table(
    name=INDICATORS_5MIN.name,
    description="Key and trading day of the 5-minute indicators, and ten of their columns.",
    schemas=INDICATORS_5MIN.schemas,
    key=INDICATORS_5MIN.key,
    columns=(*map(INDICATORS_5MIN.column, INDICATORS_5MIN.key), TRADING_DAY, *FLOATS),
)
BARS_PER_SESSION = 75
INSTRUMENTS_PER_WRITE = 100
DAY = date(2026, 6, 30)
DIFFERING_SHARE = 0.01
SMALL_RIVALS = {
    "pandas_merge": Path(sys.executable),
    "polars_join": REFEREE,
    "datacompy": REFEREE,
}
"""Rivals that hold both sides in memory, and the interpreter that has them."""
TIMEOUT_SECONDS = 900


@dataclass(frozen=True)
class Sides:
    """V1, a V2 that is equal, and one that differs in some cells."""

    rows: int
    v1: Path
    equal: Path
    differing: Path
    cells_differing: int


def make_sides(folder: Path, instruments: int, sessions: int, seed: int) -> Sides:
    """Write the three files, sorted by key as the warehouse does; equal arguments give equal values."""
    generator = np.random.default_rng(seed)
    bars = BARS_PER_SESSION * sessions
    first = np.datetime64("2024-01-01T03:45", "us").astype("int64")
    number = np.arange(bars)
    moments = first + number // 75 * 86_400_000_000 + number % 75 * 300_000_000
    days = (moments // 86_400_000_000).astype("int32")
    paths = [folder / f"{name}-{sessions}.parquet" for name in ("v1", "equal", "differing")]
    options = {"compression": "zstd", "use_dictionary": ["instrument_key"]}
    writers = [pyarrow.parquet.ParquetWriter(path, TABLE.arrow_schema, **options) for path in paths]
    changed = 0
    for start in range(0, instruments, INSTRUMENTS_PER_WRITE):
        count = min(INSTRUMENTS_PER_WRITE, instruments - start)
        names = [f"NSE_EQ|INE{start + place:06d}01" for place in range(count)]
        codes = np.repeat(np.arange(count, dtype="int32"), bars)
        keys = [
            pyarrow.DictionaryArray.from_arrays(pyarrow.array(codes), pyarrow.array(names)),
            pyarrow.array(np.tile(moments, count)).cast(TABLE.arrow_schema.field("timestamp").type),
            pyarrow.array(np.tile(days, count)).cast(pyarrow.date32()),
        ]
        values = [generator.uniform(50, 2_000, count * bars) for _ in FLOATS]
        is_changed = [generator.random(count * bars) < DIFFERING_SHARE for _ in FLOATS]
        changed += int(sum(chosen.sum() for chosen in is_changed))
        wrong = [
            np.where(chosen, column * (1 + 1e-6), column)
            for column, chosen in zip(values, is_changed, strict=True)
        ]
        for writer, columns in zip(writers, (values, values, wrong), strict=True):
            arrays = [*keys, *map(pyarrow.array, columns)]
            writer.write_table(pyarrow.Table.from_arrays(arrays, schema=TABLE.arrow_schema))
    for writer in writers:
        writer.close()
    return Sides(instruments * bars, *paths, changed)


@dataclass(frozen=True)
class Measurement:
    """One process: seconds after its imports, peak memory in bytes, unequal cells it found."""

    seconds: float
    peak_bytes: int
    found: int


def measured(command: list[str]) -> Measurement:
    """Run ``command``, which prints seconds and a number; RuntimeError with its message when it fails."""
    watcher = [sys.executable, "-m", "benchmarks.reconciliation", "--watch", json.dumps(command)]
    finished = subprocess.run(
        watcher, cwd=PROJECT, capture_output=True, text=True, timeout=TIMEOUT_SECONDS
    )
    if finished.returncode:
        raise RuntimeError((finished.stderr.strip().splitlines() or ["no message"])[-1])
    return Measurement(*json.loads(finished.stdout))


def watch(command: list[str]) -> None:
    """Print seconds, peak memory and result of ``command``, the only child of this process, as JSON."""
    finished = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    seconds, found = finished.stdout.split()
    # ru_maxrss is in kibibytes on Linux, in bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit
    print(json.dumps([float(seconds), peak, int(found)]))


def ours(v1: str, v2: str) -> None:
    """Compare two files as the pipeline does and print the seconds and the number of unequal cells."""
    started = time.perf_counter()
    comparison = compare(TABLE, [Path(v1)], [Path(v2)], DAY, ReconciliationSettings())
    print(time.perf_counter() - started, comparison.summary.at[0, "cells_unequal"])


def rival(name: str, interpreter: Path, v1: Path, v2: Path) -> list[str]:
    """The command that runs a rival on the same files."""
    script = str(PROJECT / "benchmarks" / "rivals.py")
    columns = ",".join(column.name for column in FLOATS)
    tolerance = repr(RELATIVE.relative)
    return [
        *(str(interpreter), script, name, str(v1), str(v2), ",".join(TABLE.key), columns, tolerance)
    ]


def report(sides: Sides, small: Sides) -> None:
    """Measure everybody on equal and on differing sides and print a line of a table each."""
    print(
        "\n| sides | who | rows | seconds | peak GiB | million cells per second | ours is | unequal cells found |"
        "\n|---|---|---|---|---|---|---|---|"
    )
    own = [sys.executable, "-m", "benchmarks.reconciliation", "--compare"]
    for label in ("equal", "differing"):
        rate_of_ours = None
        here = Path(sys.executable)
        jobs = [("ours", sides, None), ("duckdb_join", sides, here), ("duckdb_except", sides, here)]
        jobs += [("ours", small, None)]
        jobs += [(name, small, interpreter) for name, interpreter in SMALL_RIVALS.items()]
        for name, given, interpreter in jobs:
            files = (given.v1, getattr(given, label))
            if interpreter is None:
                command = [*own, *map(str, files)]
            elif not interpreter.exists():
                print(f"| {label} | {name} | not installed: make .venv-referee/ready |")
                continue
            else:
                command = rival(name, interpreter, *files)
            try:
                result = measured(command)
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                print(f"| {label} | {name} | failed: {error} |")
                continue
            rate = given.rows * len(FLOATS) / result.seconds
            rate_of_ours = rate if interpreter is None else rate_of_ours
            ratio = f"{rate_of_ours / rate:.1f}x" if interpreter and rate_of_ours else ""
            unit = " rows" if name == "duckdb_except" else ""
            print(
                f"| {label} | {name} | {given.rows:,} | {result.seconds:.2f} | {result.peak_bytes / 2**30:.2f} "
                f"| {rate / 1e6:.1f} | {ratio} | {result.found:,}{unit} |",
                flush=True,
            )


def main() -> None:
    """Parse the sizes, make the files, measure."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reconciliation", description=__doc__
    )
    parser.add_argument("--instruments", type=int, default=2_000)
    parser.add_argument("--sessions", type=int, default=100, help="of 75 bars")
    parser.add_argument(
        "--small-sessions", type=int, default=5, help="for rivals that work in memory"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--compare", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--watch", type=json.loads, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.compare:
        ours(*chosen.compare)
    elif chosen.watch:
        watch(chosen.watch)
    else:
        print(
            f"Seconds without imports, {len(FLOATS)} float columns, {DIFFERING_SHARE:.0%} of the cells differ"
        )
        with TemporaryDirectory(prefix="benchmark-") as folder:
            started = time.perf_counter()
            sizes = (chosen.sessions, chosen.small_sessions)
            sides, small = (
                make_sides(Path(folder), chosen.instruments, sessions, chosen.seed)
                for sessions in sizes
            )
            print(
                f"made the files in {time.perf_counter() - started:.1f} s; "
                f"{sides.cells_differing:,} and {small.cells_differing:,} cells differ"
            )
            report(sides, small)


if __name__ == "__main__":
    main()
