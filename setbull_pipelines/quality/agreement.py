"""The rules that V2 agrees with V1, and only differs by rounding, read from the stored reconciliation.

Belongs here: what a verdict means for a check. Does not belong here: comparing (``reconciliation/``).
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.quality.verdict import (
    NOT_JUDGED,
    NOTHING_TO_COMPARE,
    Rule,
    Scalar,
    Verdict,
    before,
    not_judged,
)
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables import Table
from setbull_pipelines.tables.reconciliation import NOT_COMPARABLE, PASS, SAMPLE_EMPTY, V1_RETIRED
from setbull_pipelines.warehouse.pointers import StoredTable


def _agrees(table: Table) -> Rule:
    columns = StoredTable("reconciliation", tables.RECONCILIATIONS[table.name])
    verdicts = StoredTable("reconciliation", tables.RECONCILIATION_VERDICTS[table.name])
    v1, v2 = StoredTable("v1", table), StoredTable("v2", table)

    def judge(frames: Mapping[str, pd.DataFrame], day: pd.Timestamp, settings: Settings) -> Verdict:
        verdict = frames[verdicts.name].iloc[0]
        # Counted again from the tables themselves: an empty comparison cannot pass.
        rows = len(frames[v1.name])
        expected = rows * len(table.value_columns)
        compared = int(verdict["cells_compared"])
        metadata: dict[str, Scalar] = {
            "state": str(verdict["state"]),
            "rows V1": rows,
            "rows V2": len(frames[v2.name]),
            "cells compared": compared,
            "cells that must be compared": expected,
            "cells unequal": int(verdict["cells_unequal"]),
            "null differences": int(verdict["null_differences"]),
        }
        if rows == 0 and len(frames[v2.name]) == 0:
            metadata |= {NOTHING_TO_COMPARE: True}
            if not frames[before(columns)]["cells_compared"].sum():
                # A table that never had one, such as five-minute bars of daily candles, is no reason for an alert.
                reason = "neither V1 nor V2 has a row, nor had one on the session before"
                return Verdict(False, f"not comparable: {reason}", metadata | {NOT_JUDGED: True})
            return Verdict(False, "not comparable: neither V1 nor V2 has a row", metadata)
        if str(verdict["reason"]) in (V1_RETIRED, SAMPLE_EMPTY):
            return Verdict(
                False,
                str(verdict["reason"]),
                metadata | {NOTHING_TO_COMPARE: True, NOT_JUDGED: True},
            )
        passed = verdict["state"] == PASS and compared == expected > 0
        reason = str(verdict["reason"])
        if verdict["state"] == PASS and not passed:
            reason = f"{NOT_COMPARABLE}: {compared:,} cells compared, {expected:,} expected"
        return Verdict(passed, reason, metadata)

    return Rule(
        "v2_agrees_with_v1",
        "Every cell of V2 equals V1 within the tolerance of its column, and every cell was compared",
        columns,
        (verdicts, v1, v2),
        judge,
        earlier_sessions=1,
    )


def _only_rounding(table: Table) -> Rule:
    columns = StoredTable("reconciliation", tables.RECONCILIATIONS[table.name])
    verdicts = StoredTable("reconciliation", tables.RECONCILIATION_VERDICTS[table.name])

    def judge(frames: Mapping[str, pd.DataFrame], day: pd.Timestamp, settings: Settings) -> Verdict:
        if frames[verdicts.name].empty:
            return not_judged("V1 and V2 were not compared")
        verdict = frames[verdicts.name].iloc[0]
        found = frames[columns.name]
        within = found["cells_within_tolerance"].sum()
        metadata: dict[str, Scalar] = {
            "cells within the tolerance": int(within),
            "columns that drift": int(found["warning"].notna().sum()),
            "tolerances": str(verdict["tolerances"]),
        }
        if verdict["state"] == NOT_COMPARABLE:
            return Verdict(False, f"not judged: {verdict['reason']}", metadata | {NOT_JUDGED: True})
        if pd.notna(verdict["warning"]):
            return Verdict(False, str(verdict["warning"]), metadata)
        if not within:
            return Verdict(True, "no cell differs inside its tolerance", metadata)
        largest = found["largest_within_tolerance"].max()
        return Verdict(
            True,
            f"{within:,} cells differ inside their tolerance, by {largest:.2g} at most: rounding",
            metadata,
        )

    return Rule(
        "differences_are_rounding",
        "What differs inside the tolerance is near the noise floor, and does not lie all on one side of V1",
        columns,
        (columns, verdicts),
        judge,
        is_error=False,
    )


RULES: tuple[Rule, ...] = tuple(
    rule for table in tables.COMPUTED_TABLES for rule in (_agrees(table), _only_rounding(table))
)
