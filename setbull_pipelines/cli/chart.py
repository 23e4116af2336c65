"""``setbull chart``: the chart of one stock as a file.

Belongs here: what is asked for, where the file goes. Does not belong here: what is in it (``reporting/chart_page.py``),
reading it (``pipeline/stock_charts.py``).
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

from setbull_pipelines.cli.days import refuse_impossible
from setbull_pipelines.pipeline.instruments import key_of, unique_names
from setbull_pipelines.pipeline.opening import now, open_warehouse
from setbull_pipelines.pipeline.overview import overview_path
from setbull_pipelines.pipeline.page_links import Places, chart_path
from setbull_pipelines.pipeline.stock_charts import Range, gather_chart
from setbull_pipelines.reporting.chart_page import html_chart
from setbull_pipelines.settings import Settings


def write_chart(
    settings: Settings,
    instrument: str,
    first: date | None,
    last: date | None,
    timeframe: str | None,
    out: Path | None,
) -> Path:
    """Write the chart of the instrument, by its symbol or key, and return its path.

    ``timeframe`` None is both, ``out`` None a file in the data folder. Raises NotARange, NoSuchInstrument,
    NothingToChart, TooLong, OSError for a place that cannot be written.
    """
    refuse_impossible(first, last, now().date())
    key = key_of(instrument, settings)
    reports = overview_path(settings).parent
    links = Places.of_file(out.parent if out else reports, settings)
    asked = Range(first, last, timeframe)
    chart = gather_chart(key, asked, open_warehouse(settings), settings, links)
    if out is None:
        reports.mkdir(parents=True, exist_ok=True)
    place = out or chart_path(settings, unique_names(settings).get(key, key))
    place.write_text(html_chart(chart), encoding="utf-8")
    return place
