"""Sessions that ticks are asked about, and the tags of the runs that they ask for."""

from __future__ import annotations

from datetime import date

import dagster as dg

RECONCILED = dg.AssetKey(["reconciliation", "summary"])
FILTER_RESULTS = dg.AssetKey(["v1", "filter_results"])
PARTITION = "dagster/partition"
RANGE_START, RANGE_END = (
    "dagster/asset_partition_range_start",
    "dagster/asset_partition_range_end",
)
WEDNESDAY = date(2024, 6, 5)
BEFORE = date(2024, 6, 4)
