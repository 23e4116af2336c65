"""What a recogniser says about a difference.

Belongs here: the result type and the interface of recognisers. Does not belong here: any shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from setbull_pipelines.reconciliation.sides import Difference, Sides

Evidence = Mapping[str, int | float | str]
LITERAL, EXACT_MATCH, FEW = 1, 2, 3
"""Least numbers of unequal cells: of a shape that only says what is in the cells, of one that predicts every bit of
differing values, and of one that concludes from what cells have in common."""


@dataclass(frozen=True)
class Finding:
    """The likely cause in words, and the numbers that speak for it."""

    cause: str
    evidence: Evidence = field(default_factory=dict)


class ColumnShape(Protocol):
    """Recognises the shape of the difference in one column."""

    name: str
    least_cells: int
    """Unequal cells that the columns with this cause need together; with fewer of them it could be chance."""

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
