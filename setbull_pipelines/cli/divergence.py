"""``setbull divergence``: the report of one table and day as a file.

Belongs here: finding the day, where the file goes. Does not belong here: what is in it
(``reconciliation/page.py``).
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

from setbull_pipelines import tables
from setbull_pipelines.errors import SetbullError
from setbull_pipelines.pipeline.comparing_days import read_findings
from setbull_pipelines.pipeline.opening import open_warehouse
from setbull_pipelines.pipeline.page_links import Places, around
from setbull_pipelines.reconciliation.page import html_page
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables.reconciliation import DIVERGED

_REPORTS = "reports"


class UnknownTable(SetbullError, ValueError):
    """The name is not that of a reconciled table; the message lists those."""


def write_page(settings: Settings, table_name: str, day: date, out: Path | None) -> str:
    """Write the page of a diverged day and return one sentence: its place, or why there is none.

    ``out`` None is a file in the data folder. Raises UnknownTable, MissingPartition for a day that was
    never reconciled, OSError for a place that cannot be written.
    """
    by_name = {table.name: table for table in tables.COMPUTED_TABLES}
    if table_name not in by_name:
        raise UnknownTable(f"--table: found {table_name!r}, expected one of {', '.join(by_name)}")
    findings = read_findings(by_name[table_name], day, open_warehouse(settings))
    verdict = findings.verdict.iloc[0]
    told = f"{table_name} {day}: {verdict['state']}, {verdict['reason']}"
    if verdict["state"] != DIVERGED:
        return f"{told}; there is no difference to show"
    place = out or settings.data_directory / _REPORTS / f"{table_name}-{day}.html"
    if out is None:
        place.parent.mkdir(parents=True, exist_ok=True)
    beside = around(findings, Places.of_file(place.parent, settings))
    place.write_text(html_page(findings, beside), encoding="utf-8")
    return f"{told}\nwritten to {place}"
