"""The rule about the last fetch, on results written by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from setbull_pipelines import tables
from setbull_pipelines.quality.fetches import RULES
from setbull_pipelines.settings import Settings


@pytest.mark.parametrize(
    ("states", "passed", "description"),
    [
        ([], False, "the last fetch was of no instrument"),
        (["success", "skipped"], True, "all 2 were fetched or had nothing missing"),
        (["success", "failed", "failed"], False, "2 of 3 failed; first: reason 1"),
    ],
)
def test_a_failed_instrument_fails_the_fetch(
    states: list[str], passed: bool, description: str
) -> None:
    (rule,) = RULES
    rows = [{"status": state, "reason": f"reason {number}"} for number, state in enumerate(states)]
    frames = {"operations.fetches": pd.DataFrame(rows, columns=tables.FETCHES.column_names)}
    verdict = rule.judge(frames, pd.Timestamp("2026-06-30"), Settings())
    assert (verdict.passed, verdict.description) == (passed, description)
    assert sum(verdict.metadata.values()) == len(states)
