"""The served tables: the computed tables that readers use, each row with the variant it was taken from."""

from __future__ import annotations

from dataclasses import replace

from setbull_pipelines.tables.bb_width import BB_WIDTH_ALERTS, BB_WIDTH_DAILY
from setbull_pipelines.tables.candles import CANDLES_5MIN, CANDLES_DAILY
from setbull_pipelines.tables.columns import label
from setbull_pipelines.tables.contract import Table
from setbull_pipelines.tables.filters import FILTER_RESULTS
from setbull_pipelines.tables.indicators import INDICATORS_5MIN, INDICATORS_DAILY
from setbull_pipelines.tables.sequence_analysis import SEQUENCE_ANALYSIS

SERVED_SCHEMA = "served"
VARIANT = label(
    "variant", "Variant that all rows of the instrument on the day were taken from", ("v1", "v2")
)


def _served(table: Table) -> Table:
    return replace(
        table,
        description=f"What readers use: {table.name} of the variant that is served, one per instrument.",
        schemas=(SERVED_SCHEMA,),
        columns=(*table.columns, VARIANT),
    )


SERVED = {
    table.name: _served(table)
    for table in (
        CANDLES_5MIN,
        CANDLES_DAILY,
        INDICATORS_5MIN,
        INDICATORS_DAILY,
        BB_WIDTH_DAILY,
        BB_WIDTH_ALERTS,
        SEQUENCE_ANALYSIS,
        FILTER_RESULTS,
    )
}
"""By the name of the computed table, which is also theirs."""
