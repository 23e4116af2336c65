"""What the room hands on is a value: whoever reads it cannot change it for those after."""

from __future__ import annotations

from setbull_pipelines import rollout
from setbull_pipelines_tests.values import changeable


def test_nothing_that_is_handed_on_can_be_changed() -> None:
    assert changeable(rollout) == set()
