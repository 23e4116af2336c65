"""What a recogniser says about a difference.

Belongs here: the result type and the interface of recognisers. Does not belong here: any shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from setbull_pipelines.reconciliation.sides import Difference, Sides

Evidence = Mapping[str, int | float | str]


@dataclass(frozen=True)
class Finding:
    """The likely cause in words, and the numbers that speak for it."""

    cause: str
    evidence: Evidence = field(default_factory=dict)


class ColumnShape(Protocol):
    """Recognises the shape of the difference in one column."""

    name: str

    def recognise(self, difference: Difference) -> Finding | None:
        """Return what was found, or None when the difference has another shape."""
        ...


class RowShape(Protocol):
    """Recognises the shape of rows that one side lacks or repeats."""

    name: str
    explains_cells: bool
    """Whether unequal cells follow from it, because rows were paired wrongly."""

    def recognise(self, sides: Sides) -> Finding | None:
        """Return what was found, or None when the rows have another shape."""
        ...
