"""A table of a small run, reconciled as it is stored now: the verdict, what is told of it, and the check.

Belongs here: comparing, and making one cell wrong. Does not belong here: assertions.
"""

from __future__ import annotations

import dagster as dg
import pandas as pd
import pytest

from setbull_pipelines import tables
from setbull_pipelines.assets.checking import severity
from setbull_pipelines.pipeline.comparing_days import (
    SUMMARY,
    explanations_of,
    outputs_of,
    read_findings,
    reconcile,
    summarize,
)
from setbull_pipelines.pipeline.judging import judge
from setbull_pipelines.quality import agreement
from setbull_pipelines.tables import Kind, Table
from setbull_pipelines_tests.pipeline.small_run import SmallRun

every_table = pytest.mark.parametrize("table", tables.COMPUTED_TABLES, ids=lambda table: table.name)
AGREES, ROUNDS = (
    {rule.table.table.name: rule for rule in agreement.RULES if rule.name == name}
    for name in ("v2_agrees_with_v1", "differences_are_rounding")
)


class Reconciled:
    """What reconciliation, summary and check say about one table on the first day of a run."""

    def __init__(self, table: Table, run: SmallRun) -> None:
        day = run.days[0]
        list(reconcile(table, [day], run.warehouse, run.settings, "test"))
        list(summarize([day], run.warehouse, run.settings, "test"))
        self.columns, self.cells, verdicts = (
            run.warehouse.read(stored, [day.isoformat()]) for stored in outputs_of(table)
        )
        (self.verdict,) = verdicts.itertuples()
        self.causes = run.warehouse.read(explanations_of(table)[0], [day.isoformat()])
        self.findings = read_findings(table, day, run.warehouse)
        summary = run.warehouse.read(SUMMARY, [day.isoformat()])
        self.states = summary.set_index("table_name")["state"].to_dict()
        self.rule = AGREES[table.name]
        self.check = judge([self.rule], run.warehouse, run.settings, day)[self.rule.name]

    @property
    def severity(self) -> dg.AssetCheckSeverity:
        return severity(self.rule, self.check)


def made_wrong(frame: pd.DataFrame, table: Table, column: str) -> pd.DataFrame:
    """One cell changed by far more than its tolerance; of numbers the largest, which is not 0."""
    changed = frame.copy()
    if table.column(column).kind in (Kind.TEXT, Kind.LONG_TEXT):
        changed.loc[0, column] = "something else"
    elif table.column(column).kind is Kind.FLOAT:
        changed.loc[changed[column].idxmax(), column] *= 1.0 - 1e-6
    else:
        changed.loc[changed[column].idxmax(), column] += 1
    return changed
