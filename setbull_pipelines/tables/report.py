"""The table of what the daily report says, so that it can be held against the tables it was made from."""

from __future__ import annotations

from setbull_pipelines.tables.columns import AS_OF_DAY, INSTRUMENT_KEY, count, flag, label
from setbull_pipelines.tables.contract import Table
from setbull_pipelines.tables.filters import FILTER_RESULTS
from setbull_pipelines.tables.served import SERVED_SCHEMA, VARIANT

REPEATED = tuple(
    FILTER_RESULTS.column(name)
    for name in (
        *("verdict", "stopped_at", "reason", "close", "average_volume", "ema_deviation", "rsi"),
        "mamba_count",
    )
)
"""Columns of the filter results that the report shows of every instrument."""

DAILY_REPORT = Table(
    name="daily_report",
    description="What the daily report (reports/YYYY-MM-DD.html in the data folder) says of every instrument, read "
    "back from the written file: one offline page with funnel, lists, reasons, charts, data quality and verdicts.",
    schemas=(SERVED_SCHEMA,),
    key=("instrument_key",),
    columns=(
        INSTRUMENT_KEY,
        AS_OF_DAY,
        *REPEATED,
        VARIANT,
        label(
            "list", "List that it is in; null without one", ("bullish", "bearish"), nullable=True
        ),
        count("rank", "Place in that list", "place, from 1", nullable=True),
        flag("has_chart", "The file holds its daily bars"),
    ),
)
