"""What a stored comparison means for the checks, on verdicts written by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from setbull_pipelines import tables
from setbull_pipelines.quality.agreement import RULES
from setbull_pipelines.quality.verdict import NOT_JUDGED, NOTHING_TO_COMPARE, Verdict, before
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables import CANDLES_5MIN
from setbull_pipelines.tables.reconciliation import (
    DIVERGED,
    NOT_COMPARABLE,
    PASS,
    SAMPLE_EMPTY,
    V1_RETIRED,
)

DAY = pd.Timestamp("2026-06-30")
CELLS = 2 * len(CANDLES_5MIN.value_columns)
"""Of two rows."""


def judged(
    name: str,
    *,
    rows: int = 2,
    cells_before: int = CELLS,
    columns: dict[str, object] | None = None,
    **verdict: object,
) -> Verdict:
    stored = {"state": PASS, "reason": "all agree", "cells_compared": CELLS, "warning": None}
    stored |= {"cells_unequal": 0, "null_differences": 0, "tolerances": "1e-9"} | verdict
    (rule,) = (
        rule
        for rule in RULES
        if rule.name == name and rule.table.table is tables.RECONCILIATIONS["candles_5min"]
    )
    table = rule.table.name
    within = {"cells_within_tolerance": 0, "warning": None, "largest_within_tolerance": None}
    frames = {
        table: pd.DataFrame([within | (columns or {})]),
        before(rule.table): pd.DataFrame({"cells_compared": [cells_before]}),
        f"reconciliation.{tables.RECONCILIATION_VERDICTS['candles_5min'].name}": pd.DataFrame(
            [stored]
        ),
        "v1.candles_5min": pd.DataFrame(index=range(rows)),
        "v2.candles_5min": pd.DataFrame(index=range(rows)),
    }
    return rule.judge(frames, DAY, Settings())


AGREES, ROUNDING = "v2_agrees_with_v1", "differences_are_rounding"


def test_all_cells_compared_and_equal_passes() -> None:
    verdict = judged(AGREES)
    assert (verdict.passed, verdict.description) == (True, "all agree")
    assert verdict.metadata["cells that must be compared"] == CELLS


@pytest.mark.parametrize("compared", [CELLS - 1, CELLS + 1, 0])
def test_a_pass_that_compared_other_cells_than_are_stored_is_none(compared: int) -> None:
    verdict = judged(AGREES, cells_compared=compared)
    assert not verdict.passed
    assert verdict.description == (f"{NOT_COMPARABLE}: {compared} cells compared, {CELLS} expected")


def test_a_divergence_fails_with_its_own_reason() -> None:
    verdict = judged(AGREES, state=DIVERGED, reason="close: 1 cell", cells_unequal=1)
    assert (verdict.passed, verdict.description) == (False, "close: 1 cell")


@pytest.mark.parametrize(("cells_before", "is_usual"), [(0, True), (CELLS, False)])
def test_two_empty_tables_are_an_alert_only_where_the_session_before_had_rows(
    cells_before: int, is_usual: bool
) -> None:
    verdict = judged(AGREES, rows=0, cells_compared=0, cells_before=cells_before)
    assert not verdict.passed
    assert verdict.metadata[NOTHING_TO_COMPARE] is True
    assert verdict.metadata.get(NOT_JUDGED, False) is is_usual


@pytest.mark.parametrize("reason", [V1_RETIRED, SAMPLE_EMPTY])
def test_what_is_not_compared_on_purpose_is_not_judged(reason: str) -> None:
    verdict = judged(AGREES, state=NOT_COMPARABLE, reason=reason, cells_compared=0)
    assert (verdict.passed, verdict.description) == (False, reason)
    assert verdict.metadata[NOT_JUDGED] is True


def test_differences_inside_the_tolerance_are_counted() -> None:
    assert judged(ROUNDING).description == "no cell differs inside its tolerance"
    near = {"cells_within_tolerance": 3, "largest_within_tolerance": 2.5e-16}
    verdict = judged(ROUNDING, columns=near)
    assert verdict.passed
    assert (
        verdict.description == "3 cells differ inside their tolerance, by 2.5e-16 at most: rounding"
    )


def test_a_column_that_drifts_fails_with_its_warning() -> None:
    drifts = {"cells_within_tolerance": 3, "warning": "ema_50 drifts"}
    verdict = judged(ROUNDING, columns=drifts, warning="ema_50 drifts")
    assert (verdict.passed, verdict.description) == (False, "ema_50 drifts")
    assert verdict.metadata["columns that drift"] == 1


def test_what_was_not_compared_says_nothing_of_rounding() -> None:
    verdict = judged(ROUNDING, state=NOT_COMPARABLE, reason="V2 has no rows")
    assert (verdict.passed, verdict.description) == (False, "not judged: V2 has no rows")
    assert verdict.metadata[NOT_JUDGED] is True
