"""The order in which the columns of a row are computed from each other, where it is a chain.

Belongs here: which columns come before which. Does not belong here: shapes, formulas.
"""

from __future__ import annotations

from setbull_pipelines.tables.contract import Table
from setbull_pipelines.tables.filters import FILTER_RESULTS

_CHAINS: dict[str, tuple[tuple[str, ...], ...]] = {
    FILTER_RESULTS.name: (
        ("profile", "series"),
        ("close", "average_volume", "basic_threshold"),
        ("basic_passed",),
        ("basic_reason",),
        ("ema_50", "ema_deviation", "ema_threshold"),
        ("ema_passed", "side"),
        ("ema_reason",),
        ("rsi", "rsi_threshold"),
        ("rsi_passed",),
        ("rsi_reason",),
        ("trend", "mamba_count", "mamba_series", "non_mamba_series"),
        ("bullish_mamba_count", "bearish_mamba_count", "mamba_ratio", "mamba_threshold"),
        ("average_mamba_length", "average_non_mamba_length"),
        ("mamba_passed",),
        ("mamba_reason",),
        ("stopped_at",),
        ("verdict",),
        ("reason",),
    )
}
"""Stages by table, the earliest first: a later one is computed from those before it."""


def places(table: Table) -> dict[str, int]:
    """Return the stage of every column of ``table``; 0 for all columns of a table without stages."""
    stages = _CHAINS.get(table.name, ())
    of_chain = {name: place for place, stage in enumerate(stages) for name in stage}
    return {name: of_chain.get(name, 0) for name in table.column_names}
