"""The result of the self-test as a stored table.

Belongs here: one row per fault and control, publication. Does not belong here: running the test
(``reconciliation/self_test``), judging the stored rows (``quality/``), Dagster, a clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.pipeline.versions import code_version
from setbull_pipelines.reconciliation.self_test.one_day import OneDay
from setbull_pipelines.reconciliation.self_test.score import SelfTest
from setbull_pipelines.tables.operations import CONTROL, FAULT
from setbull_pipelines.tables.reconciliation import PASS
from setbull_pipelines.warehouse.pointers import WHOLE, Pointer, StoredTable
from setbull_pipelines.warehouse.store import Warehouse

STORED = StoredTable("operations", tables.SELF_TEST)


def self_test_code_version() -> str:
    """Code version of everything that the score depends on."""
    return code_version("reconciliation", "tables", "variants", "market")


def publish_self_test(
    result: SelfTest, warehouse: Warehouse, moment: datetime, run_id: str
) -> Pointer:
    """Put ``result``, which ended at ``moment`` (with time zone), in the place of the stored one."""
    version = self_test_code_version()
    records = [
        {
            "kind": FAULT,
            "name": outcome.mutant.name,
            "table_name": outcome.mutant.table.name,
            "caught": outcome.is_caught,
            "diagnosed": outcome.is_diagnosed,
            "expected_diagnosis": by_cause(outcome.mutant.diagnoses),
            "found_diagnosis": by_cause(outcome.found) or None,
            **_of_one_day(outcome.one_day),
        }
        for outcome in result.outcomes
    ] + [
        {
            "kind": CONTROL,
            "name": control.name,
            "table_name": control.table.name,
            "caught": control.state == PASS,
            "diagnosed": control.state == PASS,
            "expected_diagnosis": None,
            "found_diagnosis": None if control.state == PASS else control.reason,
            **_of_one_day(None),
        }
        for control in result.controls
    ]
    frame = pd.DataFrame(records).assign(
        number=range(1, len(records) + 1), code_version=version, recorded_at=pd.Timestamp(moment)
    )
    return warehouse.publish(
        STORED,
        WHOLE,
        STORED.table.conform(frame),
        code_version=version,
        # The test has its own fixed settings: those of the data folder play no part.
        settings_hash="fixed",
        inputs={},
        run_id=run_id,
    )


def _of_one_day(day: OneDay | None) -> dict[str, object]:
    """The columns about the day that shows a fault; null without one."""
    return {
        "visible_on": day.trading_day if day else None,
        "on_an_ordinary_day": day.is_ordinary if day else None,
        "caught_on_the_day": day.is_caught if day else None,
        "named_on_the_day": day.is_named if day else None,
        "misnamed_on_the_day": day.is_misnamed if day else None,
        "found_on_the_day": (by_cause(day.found) or None) if day else None,
    }


def by_cause(diagnoses: Mapping[str, str]) -> str:
    """Diagnoses by column in words, one per cause: ``rounding (open, close)``."""
    names: dict[str, list[str]] = {}
    for column, name in diagnoses.items():
        names.setdefault(name, []).append(column)
    return "; ".join(f"{name} ({', '.join(columns)})" for name, columns in names.items())
