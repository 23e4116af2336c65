"""What a recogniser says about a difference.

Belongs here: the result type, and the decorators that declare recognisers. Does not belong here: any shape.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

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


@dataclass(frozen=True)
class ColumnShape:
    """Recognises the shape of the difference in one column."""

    name: str
    least_cells: int
    """Unequal cells that the columns with this cause need together; with fewer of them it could be chance."""
    recognise: Callable[[Difference], Finding | None]
    """Returns what was found, or None when the difference has another shape."""


@dataclass(frozen=True)
class RowShape:
    """Recognises the shape of rows that one side lacks or repeats."""

    name: str
    explains_cells: bool
    """Whether unequal cells follow from it, because rows were paired wrongly."""
    recognise: Callable[[Sides], Finding | None]
    """Returns what was found, or None when the rows have another shape."""


def column_shape(
    name: str, least_cells: int
) -> Callable[[Callable[[Difference], Finding | None]], ColumnShape]:
    """Declare the function below as the recogniser of a shape of cells."""
    return lambda recognise: ColumnShape(name, least_cells, recognise)


def row_shape(
    name: str, explains_cells: bool
) -> Callable[[Callable[[Sides], Finding | None]], RowShape]:
    """Declare the function below as the recogniser of a shape of rows."""
    return lambda recognise: RowShape(name, explains_cells, recognise)
