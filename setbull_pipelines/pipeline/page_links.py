"""Where the links of a page lead: beside it in the data folder, or to paths of the API.

Belongs here: which pages are there, and their addresses seen from another one. Does not belong here: the paths of the
API themselves (``addresses``), the pages (``reporting/``, ``reconciliation/page.py``).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import quote

from setbull_pipelines.pipeline.addresses import (
    CHART_PATH,
    DIVERGENCE_PATH,
    OVERVIEW_PATH,
    REPORT_PATH,
    chart_address,
    divergence_address,
)
from setbull_pipelines.pipeline.daily_reports import report_path
from setbull_pipelines.pipeline.instruments import symbols_of, unique_names
from setbull_pipelines.pipeline.overview import overview_path
from setbull_pipelines.reconciliation.page import Around
from setbull_pipelines.reconciliation.report import Findings
from setbull_pipelines.reporting.stock_chart import TABLES
from setbull_pipelines.settings import Settings

_TIMEFRAME_OF = {table.name: timeframe for timeframe, found in TABLES.items() for table in found}
_NOT_IN_A_NAME = re.compile(r"[^\w&.-]+")


def chart_path(settings: Settings, name: str) -> Path:
    """Where the chart of a stock is, or would be: beside the reports. ``name`` is its symbol or its key."""
    return overview_path(settings).parent / f"chart-{_NOT_IN_A_NAME.sub('_', name)}.html"


@dataclass(frozen=True)
class Places:
    """Where the links of a page lead: ``folder`` is the address of the reports, seen from the page."""

    settings: Settings
    folder: str | None
    """None: seen from a page of the API, whose paths are known."""

    @classmethod
    def of_file(cls, folder: Path, settings: Settings) -> Places:
        """Links of a page that lies in a file of ``folder``."""
        reports = overview_path(settings).parent.resolve()
        return cls(settings, quote(Path(os.path.relpath(reports, folder.resolve())).as_posix()))

    @property
    def overview(self) -> str | None:
        """The page of all sessions, where it is written."""
        path = overview_path(self.settings)
        if not path.exists():
            return None
        return OVERVIEW_PATH if self.folder is None else f"{self.folder}/{path.name}"

    def report(self, day: date, stock: str = "") -> str | None:
        """The daily report, where it is written; at the stock with this address in it."""
        path = report_path(self.settings, day)
        if not path.exists():
            return None
        page = REPORT_PATH.format(day=day) if self.folder is None else f"{self.folder}/{path.name}"
        return f"{page}#{quote(stock)}" if stock else page

    def difference(self, table_name: str, day: date) -> str | None:
        """The page about a difference: of the API, a file that is written, or where people reach the API."""
        if self.folder is None:
            return DIVERGENCE_PATH.format(table_name=table_name, day=day)
        name = f"{table_name}-{day}.html"
        if (overview_path(self.settings).parent / name).exists():
            return f"{self.folder}/{name}"
        return divergence_address(self.settings.api, table_name, day)

    def chart(self, name: str, last: date) -> str | None:
        """The chart of a stock up to a day: of the API, a file that is written, or where people reach the API."""
        if self.folder is None:
            return f"{CHART_PATH.format(symbol=quote(name, safe=''))}?to={last}"
        path = chart_path(self.settings, name)
        if path.exists():
            return f"{self.folder}/{quote(path.name)}"
        address = chart_address(self.settings.api, name)
        return f"{address}?to={last}" if address else None


def around(findings: Findings, places: Places) -> Around:
    """The names of the stocks that differ, and where the links of the page about it lead.

    A chart opens at the column that differs the most, where it has that.
    """
    settings, day = places.settings, findings.trading_day.date()
    symbols, names = symbols_of(settings), unique_names(settings)
    differing = findings.instruments.sort_values("cells_unequal", ascending=False)
    columns = differing.drop_duplicates("instrument_key").set_index("instrument_key")["column_name"]
    timeframe = _TIMEFRAME_OF.get(findings.table.name)
    charts = {}
    for key, column in columns.items():
        address = places.chart(names.get(key, key), day)
        if address and timeframe:
            address += f"#frame={timeframe}&compare={column}"
        if address:
            charts[key] = address
    return Around(symbols, charts, places.report(day), places.overview)
