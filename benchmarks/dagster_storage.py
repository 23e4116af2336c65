"""What years of daily runs leave in Dagster's SQLite files, and how long the pages of its UI take then.

``python -m benchmarks.dagster_storage --runs 250``: one real run of a session of the sample, stored again under the
moment and the session of each day before it, with the runs forgotten that the setting ``storage.runs_days`` says.
Belongs here: repeating the run, measuring. Does not belong here: what is forgotten when (``assets/forgetting.py``).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from unittest import mock

import dagster as dg
import httpx
from dagster._core.events.log import EventLogEntry
from dagster._serdes import deserialize_value, serialize_value

from benchmarks.measuring import PROJECT
from benchmarks.small_runs import run
from setbull_pipelines.assets.forgetting import forget_runs
from setbull_pipelines.cli.home import prepare_dagster_home
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.settings import load_settings
from setbull_pipelines_tests.reporting.browser import Page, browsing, chromium

_LAST = date(2026, 6, 30)
"""The last session of the sample."""
_FORGET_EVERY = 20
_PORT = 3917
_PAGES = {
    "runs": "/runs",
    "timeline": "/overview/activity/timeline",
    "catalog": "/assets",
    "lineage": "/asset-groups",
    "an asset": "/assets/served/filter_results",
    "its days": "/assets/served/filter_results?view=partitions",
    "its checks": "/assets/served/filter_results?view=checks",
    "a run": "/runs/{run_id}",
}
_ANSWERED = """
(() => {
  const asked = performance.getEntriesByType("resource").filter((each) => each.name.includes("/graphql"));
  return asked.map((each) => [each.startTime, each.responseEnd]);
})()
"""
_QUIET_MILLISECONDS = 700
"""A page that has asked nothing for so long shows what it has to show; later questions refresh it."""


@contextmanager
def at(moment: datetime) -> Iterator[None]:
    """Dagster's clock stands at ``moment``."""
    with (
        mock.patch("dagster._time._mockable_get_current_datetime", return_value=moment),
        mock.patch(
            "dagster._time._mockable_get_current_timestamp", return_value=moment.timestamp()
        ),
    ):
        yield


class Repeated:
    """A stored run, and its copies as of other sessions."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance
        record = instance.get_run_records(limit=1)[0]
        self._run = record.dagster_run
        self._began = record.start_time
        self._events = [serialize_value(entry) for entry in instance.all_logs(self._run.run_id)]

    def store_for(self, session: date) -> None:
        """Store the run as that of ``session``, which ended in its evening."""
        moment = datetime(session.year, session.month, session.day, 11, tzinfo=UTC)
        run_id, later = str(uuid.uuid4()), moment.timestamp() - self._began

        def moved(text: str) -> str:
            return text.replace(self._run.run_id, run_id).replace(str(_LAST), str(session))

        copied = deserialize_value(moved(serialize_value(self._run)), dg.DagsterRun)
        with at(moment):
            self._instance.add_run(copied.with_status(dg.DagsterRunStatus.NOT_STARTED))
            for text in self._events:
                entry = deserialize_value(moved(text), EventLogEntry)
                self._instance.handle_new_event(entry._replace(timestamp=entry.timestamp + later))


def size(folder: Path) -> tuple[float, int]:
    """MB and number of the files of Dagster's storage."""
    paths = [path for path in (folder / "dagster" / "storage").rglob("*") if path.is_file()]
    return sum(path.stat().st_size for path in paths) / 1e6, len(paths)


@contextmanager
def webserver(home: Path) -> Iterator[str]:
    """Dagster's pages on this machine, without the daemon; its address."""
    address = f"http://127.0.0.1:{_PORT}"
    server = subprocess.Popen(
        [sys.executable, "-m", "dagster_webserver", "-w", "workspace.yaml", "-p", str(_PORT)],
        cwd=PROJECT,
        env={**os.environ, "DAGSTER_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(240):
            try:
                httpx.get(f"{address}/server_info", timeout=5)
                break
            except httpx.TransportError:
                time.sleep(0.5)
        yield address
    finally:
        server.terminate()
        server.wait(30)


def seconds_until_shown(page: Page, address: str) -> float:
    """From opening a page until the last of the questions is answered that it asks at first."""
    page.send("Page.navigate", url=address)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        time.sleep(0.2)
        answered = page.run(_ANSWERED)
        now = page.run("performance.now()")
        ends = [end for _, end in answered if end]
        if ends and len(ends) == len(answered) and now - max(ends) > _QUIET_MILLISECONDS:
            return max(ends) / 1000
    raise TimeoutError(f"{address} still asks after a minute")


def shown(home: Path, instance: dg.DagsterInstance, profile: Path) -> dict[str, float]:
    """Seconds of each page, the second time it is opened: the first loads scripts and the server's own caches."""
    run_id = instance.get_run_records(limit=1)[0].dagster_run.run_id
    executable = chromium()
    if not executable:
        raise SystemExit("Chromium is not installed: pages cannot be opened")
    with webserver(home) as address, browsing(executable, profile) as page:
        page.size(1372, 869)
        addresses = {name: address + path.format(run_id=run_id) for name, path in _PAGES.items()}
        return {
            name: min(seconds_until_shown(page, each) for _ in range(3))
            for name, each in addresses.items()
        }


def main() -> None:
    """Repeat the run, and print sizes and seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=250, help="daily runs, one a session")
    parser.add_argument("--folder", type=Path, help="where to work; default: a temporary folder")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="setbull-storage-") as temporary:
        folder = (given.folder or Path(temporary)).resolve()
        run(["-m", "setbull_pipelines.cli.main", "run", "--quiet"], folder)
        last = ["--from", str(_LAST), "--to", str(_LAST)]
        empty, _ = size(folder)
        run(["-m", "setbull_pipelines.cli.main", "run", "--quiet", *last], folder)
        once, _ = size(folder)
        home = prepare_dagster_home(folder)
        settings = load_settings()
        rows = []
        with dg.DagsterInstance.get() as instance:
            before = shown(home, instance, folder / "profile")
            repeated = Repeated(instance)
            sessions = NSE.trading_days(NSE.first_day, _LAST)[-given.runs - 1 : -1]
            largest = 0.0
            for number, session in enumerate(sessions, 1):
                repeated.store_for(session)
                if number % _FORGET_EVERY == 0 or number == len(sessions):
                    moment = datetime(session.year, session.month, session.day, 12, tzinfo=UTC)
                    forget_runs(instance, settings, moment + timedelta(hours=1))
                    megabytes, files = size(folder)
                    largest = max(largest, megabytes)
                    rows.append((number, megabytes, files, instance.get_runs_count()))
            after = shown(home, instance, folder / "profile")
    print(f"one run of a session: {once - empty:.1f} MB\n")
    print("| daily runs | MB | files | runs kept |\n|---|---|---|---|")
    shown_rows = rows[:: max(1, len(rows) // 6)]
    for number, megabytes, files, kept in [*shown_rows, *rows[-1:]]:
        print(f"| {number:,} | {megabytes:.0f} | {files:,} | {kept:,} |")
    print(f"\n| page | seconds after 2 runs | after {given.runs:,} |\n|---|---|---|")
    for name in before:
        print(f"| {name} | {before[name]:.2f} | {after[name]:.2f} |")
    print(f"\nat most {largest:.0f} MB (target 500), slowest page {max(after.values()):.2f} s (1)")


if __name__ == "__main__":
    main()
