"""Seconds until a reader of the stream has every closed bar of a generated exchange.

``python -m benchmarks.live --instruments 2400 --sessions 10`` runs ticks of the intraday job over the last session,
while a ``setbull api`` in a process of its own streams to one reader of all instruments. The minutes are landed before
a tick begins: its start is the moment at which the data is there. Belongs here: the reader, the clock, the printed
lines. Does not belong here: ticks alone (``ticks``), checks of events.
"""

from __future__ import annotations

import argparse
import datetime
import logging
import re
import tempfile
import threading
import time
from pathlib import Path

import httpx

from benchmarks.api import PREFIX, server
from benchmarks.ticks import publish_look_back, tick
from setbull_pipelines import tables
from setbull_pipelines.cli.rollout import act
from setbull_pipelines.pipeline import raw
from setbull_pipelines.pipeline.candle_events import last_event
from setbull_pipelines.pipeline.opening import warehouse_root
from setbull_pipelines.pipeline.serving import served_table
from setbull_pipelines.rollout.controller import Verdict
from setbull_pipelines.rollout.stages import Component, Stage
from setbull_pipelines.settings import SampleSettings, Settings
from setbull_pipelines.warehouse.store import Warehouse

CLOCKS = ("09:20", "12:25", "12:30", "15:20", "15:25")
_NUMBER = re.compile(rb"id: (\d+)\nevent")


class Reader:
    """Follows the stream in a thread, and knows when it had which event."""

    def __init__(self, url: httpx.URL) -> None:
        self.number, self.at = 0, time.time()
        threading.Thread(target=self._follow, args=(url,), daemon=True).start()

    def _follow(self, url: httpx.URL) -> None:
        tail = b""
        with httpx.stream("GET", url, trust_env=False, timeout=None) as answer:
            for chunk in answer.iter_raw():
                tail = tail[-100:] + chunk
                if numbers := _NUMBER.findall(tail):
                    self.number, self.at = int(numbers[-1]), time.time()

    def wait_for(self, number: int) -> float:
        """When it had an event, in seconds since 1970."""
        while self.number < number:
            time.sleep(0.01)
        return self.at


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--instruments", type=int, default=2400)
    parser.add_argument("--sessions", type=int, default=10)
    parser.add_argument("--folder", type=Path, help="where to work; default: a temporary folder")
    parser.add_argument("--v2-alone", action="store_true", help="V1 is retired")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        sample = SampleSettings(
            instruments=arguments.instruments, minute_sessions=arguments.sessions
        )
        settings = Settings(data_directory=Path(folder), sample=sample)
        if arguments.v2_alone:
            forced = Verdict("forced"), "benchmark", "measuring", Stage.RETIRED
            list(act(settings, list(Component), *forced))
        intake = raw.read_sources(settings)
        logging.disable(logging.CRITICAL)
        publish_look_back(intake, settings)
        warehouse, day = Warehouse(warehouse_root(settings)), f"{intake.days('minutes')[-1]}"
        with server(Path(folder)) as client:
            reader = Reader(client.base_url.join(f"{PREFIX}/stream/candles?after=0"))
            known = 0
            for clock in CLOCKS:
                began = time.time()
                print(tick(settings, day, clock), flush=True)
                number = last_event(warehouse)
                received = reader.wait_for(number)
                pointer = warehouse.pointer(served_table(tables.CANDLES_5MIN), day)
                assert pointer is not None
                served = datetime.datetime.fromisoformat(pointer.published_at).timestamp()
                print(
                    f"  {number - known:,} events, the last received {received - began:.1f} s after the data was "
                    f"there, {received - served:.1f} s after the bars were served",
                    flush=True,
                )
                known = number


if __name__ == "__main__":
    main()
