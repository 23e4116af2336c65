"""The tolerances are written down twice: a contract that allows more than the self-test fails it."""

from __future__ import annotations

from pathlib import Path

import pytest

from setbull_pipelines.reconciliation.self_test import score
from setbull_pipelines.reconciliation.self_test import tolerance_mutants as mutants
from setbull_pipelines.reconciliation.self_test.market import Market
from setbull_pipelines.tables import COMPUTED_TABLES
from setbull_pipelines.tables.bb_width import DISTANCE
from setbull_pipelines.tables.contract import EXACT, RELATIVE, SCORE, Tolerance

NEVER_ABOVE_0 = {"predictive_score", "success_rate"}
"""Scores that are 0 in the whole sample: a part of 0 shows nothing, the absolute part does."""


def missed(variants: tuple[Market, Market], folder: Path, *only: Tolerance) -> set[str]:
    """Columns that deviate by more than they may and were let pass, in tables with one of the tolerances."""
    names: set[str] = set()
    for mutant in mutants.MUTANTS:
        if any(column.tolerance in only for column in mutants.judged_columns(mutant.table)):
            outcome = score.outcome_of(mutant, *variants, folder)
            names |= set(mutant.diagnoses) - outcome.columns_diverged
    return names


@pytest.mark.parametrize(
    ("tolerance", "part", "loosened"),
    [
        (RELATIVE, "relative", 1e-2),
        (RELATIVE, "relative", 3e-9),
        (SCORE, "relative", 1e-2),
        (SCORE, "absolute", 1e-2),
        (DISTANCE, "relative", 1e-2),
        (DISTANCE, "absolute", 1e-2),
    ],
    ids=lambda value: value.name if isinstance(value, Tolerance) else str(value),
)
def test_a_loosened_tolerance_is_noticed_in_every_column(
    variants: tuple[Market, Market],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tolerance: Tolerance,
    part: str,
    loosened: float,
) -> None:
    monkeypatch.setitem(tolerance.__dict__, part, loosened)
    with_it = {
        column.name
        for table in COMPUTED_TABLES
        for column in mutants.judged_columns(table)
        if column.tolerance is tolerance
    }
    unseen = NEVER_ABOVE_0 if part == "relative" else set()
    assert missed(variants, tmp_path, tolerance) == with_it - unseen


def test_a_column_that_must_be_exact_may_not_become_tolerant(
    variants: tuple[Market, Market], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("relative", "absolute"):
        monkeypatch.setitem(EXACT.__dict__, name, 1e-9)
    # The comparison knows an exact column by its tolerance: so that it is another one.
    for module in ("cells", "joining"):
        monkeypatch.setattr(f"setbull_pipelines.reconciliation.{module}.EXACT", SCORE)
    assert set(mutants.TO_THE_LAST_BIT) - {"unexplained_gap"} <= missed(variants, tmp_path, EXACT)


@pytest.mark.usefixtures("market_computed_once")
def test_a_loosened_tolerance_fails_the_self_test(
    variants: tuple[Market, Market], monkeypatch: pytest.MonkeyPatch
) -> None:
    of_scores = [mutant for mutant in mutants.MUTANTS if mutant.table.name == "moves_daily"]
    monkeypatch.setattr(score, "MUTANTS", tuple(of_scores))
    monkeypatch.setattr(score, "NOISE_SEEDS", ())
    monkeypatch.setitem(SCORE.__dict__, "relative", 1e-2)
    result = score.run_self_test()
    assert (result.caught, len(result.outcomes), result.is_perfect) == (0, 1, False)


def test_every_column_of_numbers_is_compared_as_the_self_test_says() -> None:
    for table in COMPUTED_TABLES:
        for column in table.value_columns:
            allowed = (column.tolerance.relative, column.tolerance.absolute)
            if column.kind.name != "FLOAT" or column.name in mutants.TO_THE_LAST_BIT:
                assert allowed == (0, 0), f"{table.name}.{column.name}"
            else:
                absolute = mutants.ABSOLUTE.get(column.name, 0.0)
                assert allowed == (mutants.RELATIVE, absolute), f"{table.name}.{column.name}"
