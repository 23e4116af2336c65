"""Evidence: what was measured does not change, and what was not is never taken for a number."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import date

import pytest

from setbull_pipelines.rollout.evidence import InvalidEvidence
from setbull_pipelines.rollout.stages import Component, Stage
from setbull_pipelines_tests.rollout.evidence import healthy

FRIDAY = date(2026, 3, 6)


def test_what_was_measured_stays_as_it_was() -> None:
    evidence = healthy(Component.INDICATORS, FRIDAY, Stage.TEN)
    with pytest.raises(FrozenInstanceError):
        evidence.cells_unequal = 0


def test_a_figure_that_was_not_measured_is_no_number() -> None:
    evidence = healthy(Component.INDICATORS, FRIDAY, Stage.TEN, seconds_v2=None, cells_unequal=0)
    assert evidence.measured("cells_unequal") == 0
    assert evidence.measured("seconds_v1") == 4.0
    with pytest.raises(InvalidEvidence, match="seconds_v2: found nothing measured"):
        evidence.measured("seconds_v2")


def test_facts_are_counted_and_named() -> None:
    assert healthy(Component.INDICATORS, FRIDAY, Stage.TEN).facts_against == []
    facts = {"cells_unequal": 1_200, "decision_differences": 2, "schema_failures": 1}
    evidence = healthy(Component.INDICATORS, FRIDAY, Stage.TEN, **facts)
    assert evidence.facts_against == [
        "1,200 unequal cells",
        "2 decision differences",
        "1 schema failures",
    ]
    unknown = healthy(Component.INDICATORS, FRIDAY, Stage.TEN, **dict.fromkeys(facts))
    assert unknown.facts_against == []
