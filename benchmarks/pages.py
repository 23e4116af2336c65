"""Size and time of the pages that people open, of a generated exchange.

``python -m benchmarks.pages``: the daily report, the page of all sessions and the chart of one stock, made anew in a
folder with 2,400 instruments, V2 in force. Belongs here: the clock, the limits, the printed table. Does not belong
here: what is on a page (the tests of ``reporting/``), the API in front of it (``api``).
"""

from __future__ import annotations

import argparse
import gzip
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from setbull_pipelines.pipeline.daily_reports import gather
from setbull_pipelines.pipeline.opening import open_warehouse
from setbull_pipelines.pipeline.overview import overview_path, write_overview
from setbull_pipelines.pipeline.page_links import Places
from setbull_pipelines.pipeline.stock_charts import Range, gather_chart
from setbull_pipelines.reporting.chart_page import html_chart
from setbull_pipelines.reporting.page import html_page
from setbull_pipelines.rollout.stages import Stage
from setbull_pipelines.settings import Settings
from setbull_pipelines.sources.sample import minute_days

_SESSIONS = 12
"""Sessions with minutes: a chart shows ten of them where nobody asks for a range."""
_MB = 1e6
REPORT_SECONDS, REPORT_MEGABYTES = 15.0, 25.0
"""Limits of the daily report: processor time, and what a browser opens within some seconds (packed a quarter of it)."""
OVERVIEW_SECONDS, OVERVIEW_MEGABYTES = 0.5, 1.0
"""Limits of the page of all sessions, which every run makes anew, of the twelve sessions here."""
CHART_SECONDS, CHART_MEGABYTES = 1.0, 1.5
"""Limits of the chart of a stock, which is made while somebody waits for it."""


@dataclass(frozen=True)
class Page:
    """One page, how it is made, and its limits."""

    name: str
    make: Callable[[], str]
    processor_seconds: float
    megabytes: float

    def row(self) -> str:
        """Made twice, since a first time pays for what is loaded; the second is told."""
        self.make()
        started, used = time.perf_counter(), time.process_time()
        content = self.make().encode()
        seconds, used = time.perf_counter() - started, time.process_time() - used
        is_met = used <= self.processor_seconds and len(content) <= self.megabytes * _MB
        packed = len(gzip.compress(content, 6)) / _MB
        return (
            f"| {self.name} | {seconds:.2f} | {used:.2f} | {self.processor_seconds:g} | {len(content) / _MB:.2f} "
            f"| {self.megabytes:g} | {packed:.2f} | {'met' if is_met else '**missed**'} |"
        )


def pages_of(settings: Settings) -> list[Page]:
    """The pages of the newest session that was run."""
    warehouse, day = open_warehouse(settings), minute_days(settings.sample)[-2]
    stored = gather(day, warehouse, settings)
    key = str(stored.filter_results["instrument_key"].iloc[0])

    def chart(first: date | None, timeframe: str | None) -> str:
        asked, links = Range(first, day, timeframe), Places.of_file(Path("."), settings)
        return html_chart(gather_chart(key, asked, warehouse, settings, links))

    def report() -> str:
        return html_page(gather(day, warehouse, settings), "made")

    def overview() -> str:
        overview_path(settings).unlink(missing_ok=True)
        write_overview(warehouse, settings)
        return overview_path(settings).read_text(encoding="utf-8")

    first = minute_days(settings.sample)[0]
    limits = CHART_SECONDS, CHART_MEGABYTES
    return [
        Page("daily report", report, REPORT_SECONDS, REPORT_MEGABYTES),
        Page("all sessions", overview, OVERVIEW_SECONDS, OVERVIEW_MEGABYTES),
        Page("chart of a stock", lambda: chart(None, None), *limits),
        Page("chart of its days", lambda: chart(first, "day"), *limits),
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages", description=__doc__)
    parser.add_argument("--instruments", type=int, default=2_400)
    parser.add_argument("--history", type=int, default=560, help="sessions of daily bars")
    parser.add_argument("--folder", type=Path, help="where to work; default: a temporary folder")
    chosen = parser.parse_args()
    # A test that only asks for the limits does not load all definitions.
    from benchmarks.days import prepare, settings_of
    from setbull_pipelines.automation.jobs import DAILY_JOB_NAME

    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        settings = settings_of(Path(folder), chosen.instruments, chosen.history, _SESSIONS)
        prepare(settings, Stage.RETIRED, DAILY_JOB_NAME)
        print("| page | seconds | processor seconds | at most | MB | at most | packed MB | |")
        print("|---|---|---|---|---|---|---|---|")
        for page in pages_of(settings):
            print(page.row(), flush=True)


if __name__ == "__main__":
    main()
