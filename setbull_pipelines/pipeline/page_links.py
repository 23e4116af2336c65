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
from setbull_pipelines.pipeline.overview import overview_path
from setbull_pipelines.settings import Settings

_NOT_IN_A_NAME = re.compile(r"[^\w&.-]+")


def chart_path(settings: Settings, symbol: str) -> Path:
    """Where the chart of a stock is, or would be: beside the reports."""
    name = _NOT_IN_A_NAME.sub("_", symbol)
    return overview_path(settings).parent / f"chart-{name}.html"


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

    def report(self, day: date, address: str) -> str | None:
        """The daily report at the stock with this address in it, where it is written."""
        path = report_path(self.settings, day)
        if not path.exists():
            return None
        page = REPORT_PATH.format(day=day) if self.folder is None else f"{self.folder}/{path.name}"
        return f"{page}#{quote(address)}"

    def difference(self, table_name: str, day: date) -> str | None:
        """The page about a difference: of the API, a file that is written, or where people reach the API."""
        if self.folder is None:
            return DIVERGENCE_PATH.format(table_name=table_name, day=day)
        name = f"{table_name}-{day}.html"
        if (overview_path(self.settings).parent / name).exists():
            return f"{self.folder}/{name}"
        return divergence_address(self.settings.api, table_name, day)

    def chart(self, symbol: str) -> str | None:
        """The chart of a stock: of the API, a file that is written, or where people reach the API."""
        if self.folder is None:
            return CHART_PATH.format(symbol=quote(symbol, safe=""))
        path = chart_path(self.settings, symbol)
        if path.exists():
            return f"{self.folder}/{quote(path.name)}"
        return chart_address(self.settings.api, symbol)
