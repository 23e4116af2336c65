"""Seconds of the read API over a generated exchange: indicators of 100 instruments, and answers under load.

``python -m benchmarks.api --instruments 2400 --sessions 10`` starts ``setbull api`` in a process of its own and asks it
over HTTP. Belongs here: the clock and the printed lines. Does not belong here: checks of answers.
"""

from __future__ import annotations

import argparse
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import httpx

from setbull_pipelines import tables
from setbull_pipelines.pipeline import raw
from setbull_pipelines.pipeline.engine import StepRun
from setbull_pipelines.pipeline.opening import warehouse_root
from setbull_pipelines.pipeline.serving import served_table
from setbull_pipelines.pipeline.steps import STEPS
from setbull_pipelines.rollout.stages import Component, Stage
from setbull_pipelines.settings import SampleSettings, Settings
from setbull_pipelines.variants import V2
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.store import Warehouse

BULK, CALLERS = 100, 8
PREFIX = "/api/v1"
USER = {"X-User-Id": "1"}
_ALL_V2 = dict.fromkeys(Component, Stage.RETIRED)
_SERVED = (tables.CANDLES_5MIN, tables.INDICATORS_5MIN)


def prepare(settings: Settings) -> list[str]:
    """Store the five-minute tables of V2 and serve them; returns the instrument keys."""
    intake, warehouse = raw.read_sources(settings), Warehouse(warehouse_root(settings))
    days = intake.days("minutes")
    raw.publish_intake(intake, warehouse, settings, "benchmark")
    list(raw.RawDays(intake, warehouse, settings, "benchmark").over(days))
    for table in _SERVED:
        step = next(step for step in STEPS if step.name == table.name)
        list(StepRun(step, V2, warehouse, settings, "benchmark", _ALL_V2).over(days))
        for day in days:
            rows = warehouse.read(StoredTable("v2", table), [day.isoformat()])
            warehouse.publish(
                served_table(table),
                day.isoformat(),
                rows.assign(variant="v2"),
                code_version="benchmark",
                settings_hash="benchmark",
                inputs={},
                run_id="benchmark",
            )
    return sorted(intake.instruments["instrument_key"])


@contextmanager
def server(folder: Path) -> Iterator[httpx.Client]:
    """``setbull api`` over the folder, and a client of it."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "setbull_pipelines.cli.main", "api", "--port", str(port)],
        env=os.environ | {"SETBULL_DATA_DIR": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60
        ) as client:
            for _ in range(600):
                try:
                    client.get("/openapi.json").raise_for_status()
                    break
                except httpx.TransportError:
                    time.sleep(0.1)
            yield client
    finally:
        process.terminate()
        process.wait(20)


def bulk(client: httpx.Client, keys: list[str]) -> float:
    """Seconds until the newest bar of the instruments, with all indicators, has been received."""
    started = time.perf_counter()
    answer = client.post(
        f"{PREFIX}/market/intraday-quotes", json={"instrumentKeys": keys}, headers=USER
    )
    inner = answer.raise_for_status().json()["data"]
    assert len(inner["data"]) == len(keys), inner["errors"]
    return time.perf_counter() - started


def load(url: httpx.URL, keys: list[str], seconds: float) -> list[float]:
    """Seconds of every answer that :data:`CALLERS` callers got, each asking one thing after the other."""

    def call(seed: int) -> list[float]:
        chance, took = random.Random(seed), []
        with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
            ends = time.perf_counter() + seconds
            while (started := time.perf_counter()) < ends:
                key = quote(chance.choice(keys), safe="")
                client.get(f"{PREFIX}/candles/{key}/5minute").raise_for_status()
                took.append(time.perf_counter() - started)
        return took

    with ThreadPoolExecutor(CALLERS) as callers:
        return [each for took in callers.map(call, range(CALLERS)) for each in took]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--instruments", type=int, default=2400)
    parser.add_argument("--sessions", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=20.0, help="of load")
    parser.add_argument("--folder", type=Path, help="where to work; default: a temporary folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        sample = SampleSettings(
            instruments=arguments.instruments,
            daily_sessions=arguments.sessions,
            minute_sessions=arguments.sessions,
        )
        keys = prepare(Settings(data_directory=Path(folder), sample=sample))
        print(f"- {len(keys):,} instruments, {arguments.sessions} sessions served")
        with server(Path(folder)) as client:
            chosen = random.Random(0).sample(keys, min(BULK, len(keys)))
            first, *later = [bulk(client, chosen) for _ in range(21)]
            print(
                f"- indicators of {len(chosen)} instruments: first answer {first:.2f} s, then "
                f"{statistics.median(later):.3f} s (median of {len(later)}), slowest {max(later):.3f} s"
            )
            took = load(client.base_url, keys, arguments.seconds)
        cuts = statistics.quantiles(took, n=100)
        print(
            f"- five-minute candles of 7 days, {CALLERS} callers at once: {len(took):,} answers in "
            f"{arguments.seconds:.0f} s, p50 {cuts[49]:.3f} s, p99 {cuts[98]:.3f} s, slowest {max(took):.3f} s; "
            f"load of the machine {os.getloadavg()[0]:.1f}"
        )


if __name__ == "__main__":
    main()
