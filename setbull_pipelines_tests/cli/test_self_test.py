"""``setbull self-test``: the score of the reconciliation, in one command.

The whole score is in ``reconciliation/test_divergences.py``, which has compared every mutant.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from setbull_pipelines.cli.main import main
from setbull_pipelines.pipeline.self_testing import STORED
from setbull_pipelines.reconciliation import compare
from setbull_pipelines.reconciliation.self_test import score
from setbull_pipelines.warehouse.pointers import WHOLE
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests.markets import computed_once

pytestmark = [pytest.mark.run, pytest.mark.usefixtures("data_directory")]


@pytest.fixture
def few_mutants(monkeypatch: pytest.MonkeyPatch) -> tuple[score.Mutant, ...]:
    mutants = score.MUTANTS[:4]
    monkeypatch.setattr(score, "MUTANTS", mutants)
    monkeypatch.setattr(score, "NOISE_SEEDS", (1,))
    monkeypatch.setattr(score, "computed_by", computed_once)
    return mutants


def test_the_score_is_kept_where_there_are_tables(few_mutants, data_directory: Path) -> None:
    result = CliRunner().invoke(main, ["self-test"])
    assert "not stored" in result.output
    assert not data_directory.exists()
    (data_directory / "warehouse").mkdir(parents=True)
    result = CliRunner().invoke(main, ["self-test"])
    assert "stored as operations.self_test" in result.output
    rows = Warehouse(data_directory / "warehouse").read(STORED, [WHOLE])
    assert (rows["kind"] == "fault").sum() == 4


def test_a_missed_fault_is_listed_and_fails(few_mutants, monkeypatch) -> None:
    right = score.Mutant.applied_to
    missed = few_mutants[1]
    monkeypatch.setattr(
        score.Mutant,
        "applied_to",
        lambda mutant, v2: v2[mutant.table.name] if mutant is missed else right(mutant, v2),
    )
    result = CliRunner().invoke(main, ["self-test"], env={"COLUMNS": "200"})
    assert result.exit_code == 1
    assert "caught 3 of 4, diagnosed 3 of 4" in result.output
    assert missed.name.split()[0] in result.output


def test_a_misnamed_fault_fails(few_mutants, monkeypatch) -> None:
    monkeypatch.setattr(compare, "diagnose", lambda sides: ())
    result = CliRunner().invoke(main, ["self-test"], env={"COLUMNS": "200"})
    assert result.exit_code == 1
    assert "caught 4 of 4, diagnosed 0 of 4" in result.output
