"""``setbull report``: the daily report of one day, made from what is stored.

Belongs here: which day, and the sentence about the file. Does not belong here: making it
(``pipeline/daily_reports.py``).
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

from setbull_pipelines import tables
from setbull_pipelines.pipeline.daily_reports import answer_on, make_reports, report_path
from setbull_pipelines.pipeline.opening import warehouse_root
from setbull_pipelines.pipeline.serving import served_table
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.errors import MissingPartition
from setbull_pipelines.warehouse.store import Warehouse


def write_report(settings: Settings, day: date | None) -> Path:
    """Write the report of ``day``, of the last served one for None, and return its path.

    Raises MissingPartition for a day that is not served, OSError for a folder that cannot be written.
    """
    warehouse = _warehouse(settings)
    day = day or _last_day(warehouse)
    for _ in make_reports([day], warehouse, settings, "setbull report"):
        pass
    return report_path(settings, day)


def answer(settings: Settings, day: date | None) -> list[str]:
    """The answer of ``day``, of the last served one for None, as lines. Raises MissingPartition."""
    warehouse = _warehouse(settings)
    return answer_on(day or _last_day(warehouse), warehouse, settings)


def _warehouse(settings: Settings) -> Warehouse:
    return Warehouse(warehouse_root(settings), settings.storage.keep_versions)


def _last_day(warehouse: Warehouse) -> date:
    stored = served_table(tables.FILTER_RESULTS)
    served = warehouse.partitions(stored)
    if not served:
        raise MissingPartition(f"{stored.name} has no day yet; run: setbull run")
    return date.fromisoformat(served[-1])
