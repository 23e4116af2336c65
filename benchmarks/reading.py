"""What reading a large CSV file of a user costs, beside Polars and DuckDB reading the same.

``python -m benchmarks.reading --megabytes 1000``: one file of one-minute candles, each reader in a process of its own.
The rivals parse numbers and moments; intake in addition judges every row, keeps its line, sorts and lands it. Belongs
here: the file, the readers, the printed table. Does not belong here: small files (``small_runs``).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.measuring import PROJECT
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.settings import Settings
from setbull_pipelines.sources.intake import take_in

_INSTRUMENTS, _MINUTES = 2_400, 375
_FIRST_DAY = datetime(2025, 6, 2).date()
_READERS = {
    "Polars": "import polars; rows = len(polars.read_csv({path!r}, try_parse_dates=True))",
    "DuckDB": "import duckdb; rows = len(duckdb.read_csv({path!r}).fetch_arrow_table())",
    "intake": "from benchmarks.reading import intake; rows = intake({path!r}, {folder!r})",
}


def intake(path: str, folder: str) -> int:
    """Read and land the file as ``setbull run`` does; the rows that were accepted."""
    landing = Path(folder) / "landing"
    taken = take_in(Path(path), landing, Settings().sample, datetime(2025, 12, 1, tzinfo=UTC))
    return int(taken.coverage["rows"].sum())


def write_candles(path: Path, megabytes: float) -> int:
    """Whole sessions of the exchange until the file has ``megabytes``; how many rows."""
    rows = 0
    with path.open("w", encoding="ascii") as file:
        file.write("instrument_key,timestamp,open,high,low,close,volume\n")
        for day in NSE.trading_days(_FIRST_DAY, NSE.last_day):
            for number in range(_INSTRUMENTS):
                price, key = 100 + number / 4, f"NSE_EQ|INE{number:06d}018"
                file.writelines(
                    f"{key},{day}T{(555 + minute) // 60:02d}:{(555 + minute) % 60:02d}:00+05:30,{price:.2f},"
                    f"{price + 0.5:.2f},{price - 0.5:.2f},{price + minute % 5 / 10:.2f},{100 + minute}\n"
                    for minute in range(_MINUTES)
                )
                rows += _MINUTES
                if file.tell() >= megabytes * 1e6:
                    return rows
    raise ValueError(f"{megabytes} megabytes: the calendar ends on {NSE.last_day}")


def measured(code: str) -> dict[str, float]:
    """Run ``code``, which sets ``rows``, in a process of its own: rows, seconds and megabytes of memory at most."""
    ending = (
        "\nimport json, resource, time\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "print(json.dumps({'rows': rows, 'processor': time.process_time(), 'peak': used.ru_maxrss / 1024}))"
    )
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code + ending], cwd=PROJECT, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1]) | {"seconds": time.monotonic() - began}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=1000.0)
    chosen = parser.parse_args()
    print("| who | seconds | processor seconds | peak memory, MiB | rows |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="setbull-reading-") as name:
        path = Path(name) / "candles.csv"
        written = write_candles(path, chosen.megabytes)
        for reader, code in _READERS.items():
            found = measured(code.format(path=str(path), folder=name))
            if found["rows"] != written:
                raise RuntimeError(f"{reader} read {found['rows']} rows of {written}")
            print(
                f"| {reader}, {path.stat().st_size / 1e6:,.0f} MB | {found['seconds']:.1f} | "
                f"{found['processor']:.1f} | {found['peak']:,.0f} | {written:,} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
