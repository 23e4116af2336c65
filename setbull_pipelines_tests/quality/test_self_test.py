"""The rule about the stored self-test, on rows written by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from setbull_pipelines import tables
from setbull_pipelines.quality.self_test import RULES
from setbull_pipelines.quality.verdict import Verdict
from setbull_pipelines.settings import Settings

CAUGHT = {"caught": True, "diagnosed": True}
SEEN = {
    "visible_on": pd.Timestamp("2026-06-30"),
    "on_an_ordinary_day": True,
    "caught_on_the_day": True,
    "named_on_the_day": True,
    "misnamed_on_the_day": False,
}


def row(kind: str = "fault", **values: object) -> dict[str, object]:
    return {"kind": kind, "name": "a factor", "table_name": "candles_5min", **CAUGHT, **values}


def judged(*rows: dict[str, object]) -> Verdict:
    (rule,) = RULES
    numbered = [{"number": number, **one} for number, one in enumerate(rows, 1)]
    names = tables.SELF_TEST.column_names
    frame = tables.SELF_TEST.conform(pd.DataFrame(numbered, columns=names))
    return rule.judge({"operations.self_test": frame}, pd.NaT, Settings())


def test_all_caught_and_named_passes_and_is_counted() -> None:
    verdict = judged(row(), row(**SEEN), row("control"))
    assert verdict.passed
    assert verdict.description == (
        "caught 2 of 2 faults, diagnosed 2, false alarms 0 of 1; by the rows of one trading day: visible 1, caught 1, "
        "named 1, misnamed 0"
    )
    assert verdict.metadata["visible on an ordinary day"] == 1


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (row(caught=False), "caught 1 of 2 faults"),
        (row(diagnosed=False), "diagnosed 1"),
        (row("control", caught=False), "false alarms 1 of 2"),
        (row(**SEEN | {"caught_on_the_day": False}), "visible 1, caught 0"),
    ],
)
def test_one_that_fails_fails_the_test_and_is_named(wrong: dict[str, object], told: str) -> None:
    verdict = judged(row(), row("control"), wrong)
    assert not verdict.passed
    assert told in verdict.description
    assert verdict.description.endswith("; first: a factor, candles_5min")


@pytest.mark.parametrize("kind", ["fault", "control"])
def test_a_test_without_faults_or_without_controls_proves_nothing(kind: str) -> None:
    verdict = judged(row(kind))
    assert not verdict.passed
    assert verdict.description == "the stored self-test has no faults or no controls"
