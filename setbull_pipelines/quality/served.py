"""Rules about served tables: whole series of one variant per instrument, and nobody forgotten."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.quality.verdict import Rule, Verdict, not_judged
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables import Table
from setbull_pipelines.tables.served import SERVED_SCHEMA
from setbull_pipelines.warehouse.pointers import StoredTable


def _rows_of(served: pd.DataFrame, lane: pd.DataFrame) -> bool:
    """Whether the served rows are all rows that the lane has of their instruments, unchanged."""
    expected = lane[lane["instrument_key"].isin(served["instrument_key"].unique())]
    found = served.drop(columns="variant")
    return found.reset_index(drop=True).equals(expected.reset_index(drop=True))


def _one_variant(table: Table) -> Rule:
    served = StoredTable(SERVED_SCHEMA, tables.SERVED[table.name])
    lanes = {name: StoredTable(name, table) for name in ("v1", "v2")}

    def judge(frames: Mapping[str, pd.DataFrame], day: pd.Timestamp, settings: Settings) -> Verdict:
        rows = frames[served.name]
        if rows.empty and all(frames[stored.name].empty for stored in lanes.values()):
            return not_judged("neither variant has a row, and none is served")
        pairs = rows[["instrument_key", "variant"]].drop_duplicates()
        instruments = set(pairs["instrument_key"])
        mixed = len(pairs) - len(instruments)
        altered = [
            stored.name
            for name, stored in lanes.items()
            if not _rows_of(rows[rows["variant"] == name], frames[stored.name])
        ]
        missing = len(set(frames[lanes["v1"].name]["instrument_key"].unique()) - instruments)
        from_v2 = int((pairs["variant"] == "v2").sum())
        return Verdict(
            not mixed and not altered and not missing,
            f"{len(instruments)} instruments, {from_v2} of them from V2; {mixed} of two variants, "
            f"{missing} of V1 not served; rows differ from those of: {', '.join(altered) or 'none'}",
            {"instruments": len(instruments), "instruments from V2": from_v2},
        )

    return Rule(
        "one_variant_per_instrument",
        "Every instrument of V1 is served, with all rows of exactly one variant",
        served,
        (served, *lanes.values()),
        judge,
    )


RULES: tuple[Rule, ...] = tuple(
    _one_variant(table) for table in tables.COMPUTED_TABLES if table.name in tables.SERVED
)
