"""Pages for people: all sessions, the daily report, the difference of a day, the chart of a stock, to link to.

Belongs here: finding them. Does not belong here: what they show (``reporting/``, ``reconciliation/page.py``).
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from setbull_pipelines import tables
from setbull_pipelines.api.asking import LiveTables, Tables, refused
from setbull_pipelines.api.shapes import Day
from setbull_pipelines.pipeline.addresses import (
    CHART_PATH,
    DIVERGENCE_PATH,
    OVERVIEW_PATH,
    REPORT_PATH,
)
from setbull_pipelines.pipeline.comparing_days import read_findings
from setbull_pipelines.pipeline.daily_reports import report_path
from setbull_pipelines.pipeline.instruments import NoSuchInstrument, key_of
from setbull_pipelines.pipeline.overview import overview_path
from setbull_pipelines.pipeline.page_links import Places, around
from setbull_pipelines.pipeline.stock_charts import NothingToChart, Range, TooLong, gather_chart
from setbull_pipelines.reconciliation.page import html_page
from setbull_pipelines.reporting.chart_page import html_chart
from setbull_pipelines.tables.reconciliation import DIVERGED
from setbull_pipelines.warehouse.errors import MissingPartition

router = APIRouter(include_in_schema=False)
_BY_NAME = {table.name: table for table in tables.COMPUTED_TABLES}
# All that the pages need is in them.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src data:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


@router.get("/reports")
@router.get("/reports/")
def reports() -> RedirectResponse:
    """To the page of all sessions, whose links are relative."""
    return RedirectResponse(OVERVIEW_PATH)


@router.get(OVERVIEW_PATH)
def overview(reader: LiveTables) -> HTMLResponse:
    """All sessions."""
    return _written(
        overview_path(reader.settings()),
        "there is no page of sessions yet; write it by: setbull run",
    )


@router.get("/reports/{name}.html", response_model=None)
def file(reader: LiveTables, name: str) -> Response:
    """A page by the name of its file, as other pages link to it: of a report, or of a difference."""
    table_name, day = name[: -len("-YYYY-MM-DD")], name[-len("YYYY-MM-DD") :]
    try:
        found = date.fromisoformat(day)
    except ValueError:
        raise refused(f"found {name!r}, expected a day or a table and a day", 404) from None
    if table_name:
        return RedirectResponse(DIVERGENCE_PATH.format(table_name=table_name, day=found))
    return report(reader, found)


@router.get(REPORT_PATH)
def report(reader: LiveTables, day: date) -> HTMLResponse:
    """The daily report."""
    return _written(
        report_path(reader.settings(), day),
        f"there is no report of {day}; write it by: setbull report --day {day}",
    )


def _written(path: Path, absent: str) -> HTMLResponse:
    try:
        page = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise refused(absent, 404) from None
    return HTMLResponse(page, headers=_HEADERS)


@router.get(DIVERGENCE_PATH)
def divergence(reader: Tables, table_name: str, day: date) -> HTMLResponse:
    """How, where and since when V2 differs from V1."""
    if table_name not in _BY_NAME:
        raise refused(f"found {table_name!r}, expected one of {', '.join(_BY_NAME)}", 404)
    try:
        findings = read_findings(_BY_NAME[table_name], day, reader.warehouse)
    except MissingPartition:
        raise refused(f"{table_name} was never compared on {day}", 404) from None
    verdict = findings.verdict.iloc[0]
    if verdict["state"] != DIVERGED:
        raise refused(
            f"{table_name} {day}: {verdict['state']}, {verdict['reason']}; there is no difference to show",
            404,
        )
    places = Places(reader.settings(), None)
    return HTMLResponse(html_page(findings, around(findings, places)), headers=_HEADERS)


@router.get(CHART_PATH)
def chart(
    reader: Tables,
    symbol: str,
    first: Annotated[Day | None, Query(alias="from")] = None,
    last: Annotated[Day | None, Query(alias="to")] = None,
    timeframe: Literal["day", "5minute"] | None = None,
) -> HTMLResponse:
    """Candles of a stock, by its symbol or key, with indicators, V1 beside V2, and what is known of each session."""
    if first and last and last < first:
        raise refused(f"to: found {last}, expected no earlier than from {first}")
    settings = reader.settings()
    asked = Range(first, last, timeframe, "from={first}&to={last}")
    try:
        key = key_of(symbol, settings)
        stored = gather_chart(key, asked, reader.warehouse, settings, Places(settings, None))
    except (NoSuchInstrument, NothingToChart) as error:
        raise refused(str(error), 404) from None
    except TooLong as error:
        raise refused(str(error)) from None
    return HTMLResponse(html_chart(stored), headers=_HEADERS)
