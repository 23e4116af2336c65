"""Where people find a page of the API, for messages about what it shows.

Belongs here: paths of pages, and addresses made of them. Does not belong here: the pages (``reporting/``,
``reconciliation/page.py``) and serving them (``api/pages.py``).
"""

from __future__ import annotations

from datetime import date
from urllib.parse import quote

from setbull_pipelines.settings import ApiSettings

OVERVIEW_PATH = "/reports/index.html"
REPORT_PATH = "/reports/{day}"
DIVERGENCE_PATH = "/divergence/{table_name}/{day}"
CHART_PATH = "/chart/{symbol}"


def report_address(api: ApiSettings, day: date) -> str | None:
    """The address of the daily report; None where the settings do not say where people reach the API."""
    return api.public_url + REPORT_PATH.format(day=day) if api.public_url else None


def overview_address(api: ApiSettings) -> str | None:
    """The address of the page of all sessions; None where the settings do not say where people reach the API."""
    return api.public_url + OVERVIEW_PATH if api.public_url else None


def divergence_address(api: ApiSettings, table_name: str, day: date) -> str | None:
    """The address of the page of a divergence; None where the settings do not say where people reach the API."""
    path = DIVERGENCE_PATH.format(table_name=table_name, day=day)
    return api.public_url + path if api.public_url else None


def chart_address(api: ApiSettings, symbol: str) -> str | None:
    """The address of the chart of a stock; None where the settings do not say where people reach the API."""
    path = CHART_PATH.format(symbol=quote(symbol, safe=""))
    return api.public_url + path if api.public_url else None
