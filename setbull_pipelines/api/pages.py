"""Pages for people: the daily report and the difference of a diverged day, at addresses that the UI can link to.

Belongs here: finding them. Does not belong here: what they show (``reporting/``, ``reconciliation/page.py``).
"""

from __future__ import annotations

from datetime import date

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from setbull_pipelines import tables
from setbull_pipelines.api.asking import Tables, refused
from setbull_pipelines.pipeline.addresses import DIVERGENCE_PATH, REPORT_PATH
from setbull_pipelines.pipeline.comparing_days import read_findings
from setbull_pipelines.pipeline.daily_reports import report_path
from setbull_pipelines.reconciliation.page import html_page
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


@router.get(REPORT_PATH)
def report(reader: Tables, day: date) -> HTMLResponse:
    """The daily report."""
    try:
        page = report_path(reader.settings(), day).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise refused(
            f"there is no report of {day}; write it by: setbull report --day {day}", 404
        ) from None
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
    return HTMLResponse(html_page(findings), headers=_HEADERS)
