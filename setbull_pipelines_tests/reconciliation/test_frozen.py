"""What a comparison found is a value: whoever reads it cannot change it for those after."""

from __future__ import annotations

from setbull_pipelines import reconciliation
from setbull_pipelines_tests.values import changeable


def test_only_what_is_gathered_bit_by_bit_can_be_changed() -> None:
    assert changeable(reconciliation) == {"compare._Found", "old_finding.Finding"}
