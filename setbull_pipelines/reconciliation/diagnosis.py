"""Name the likely cause of a difference between V1 and V2, in words and with evidence.

Belongs here: the order in which recognisers are asked, grouping of columns with the same cause. Does not
belong here: the recognisers (``*_shapes``), reading files (``compare``).

A new shape is one function in one of the ``*_shapes`` modules, one place in its tuple, and one mutant
of the self-test that it must recognise.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from setbull_pipelines.reconciliation.chains import places
from setbull_pipelines.reconciliation.extent_shapes import EXTENT_SHAPES
from setbull_pipelines.reconciliation.finding import ColumnShape, Evidence, Finding
from setbull_pipelines.reconciliation.limit_shapes import LIMIT_SHAPES
from setbull_pipelines.reconciliation.mix_up_shapes import MIX_UP_SHAPES
from setbull_pipelines.reconciliation.rounding_shapes import ROUNDING_SHAPES
from setbull_pipelines.reconciliation.row_shapes import ROW_SHAPES
from setbull_pipelines.reconciliation.scale_shapes import SCALE_SHAPES
from setbull_pipelines.reconciliation.session_shapes import FIRST_BAR_SHAPES, SESSION_SHAPES
from setbull_pipelines.reconciliation.sides import Difference, Sides
from setbull_pipelines.reconciliation.time_shapes import FIRST_SHAPES, TIME_SHAPES
from setbull_pipelines.reconciliation.value_shapes import (
    COLUMN_SHAPES,
    LOOSE_VALUE_SHAPES,
    VALUE_SHAPES,
)

ROW = "(row)"
"""Stands for the columns where a diagnosis is about rows that one side lacks."""
ECHO = "echo"
UNKNOWN = "unknown shape"
CAUSE_SHAPES: tuple[ColumnShape, ...] = (
    *FIRST_SHAPES,
    *FIRST_BAR_SHAPES,
    *VALUE_SHAPES,
    *ROUNDING_SHAPES,
    *SCALE_SHAPES,
    *COLUMN_SHAPES,
    *LIMIT_SHAPES,
    *MIX_UP_SHAPES,
    *TIME_SHAPES,
    *SESSION_SHAPES,
    *LOOSE_VALUE_SHAPES,
)
"""From specific to general; the first that recognises a column is its diagnosis."""
_LEAST_CELLS = {shape.name: shape.least_cells for shape in CAUSE_SHAPES}
_RANKS = {
    name: rank
    for rank, name in enumerate(
        (
            *(shape.name for shape in ROW_SHAPES),
            *(shape.name for shape in CAUSE_SHAPES),
            ECHO,
            *(shape.name for shape in EXTENT_SHAPES),
            UNKNOWN,
        )
    )
}

_NOT_READ = (
    UNKNOWN,
    Finding(
        "differs in instruments that were not read for this: look at the first and the worst cell"
    ),
)


@dataclass(frozen=True)
class Diagnosis:
    """A recognised cause and the columns that show it."""

    name: str
    columns: tuple[str, ...]
    cause: str
    evidence: Mapping[str, Evidence]
    """The numbers, by column."""

    @property
    def sentence(self) -> str:
        """Columns, cause and the evidence of the first column."""
        numbers = ", ".join(
            f"{name} {_written(value)}" for name, value in self.evidence[self.columns[0]].items()
        )
        return f"{', '.join(self.columns)}: {self.cause} ({numbers})"

    @property
    def evidence_text(self) -> str:
        """The evidence as a JSON object, by column."""
        return json.dumps(self.evidence, default=float)


def _written(value: int | float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, int) else f"{value:.7g}"


def diagnose(sides: Sides) -> tuple[Diagnosis, ...]:
    """Return the causes of the differences; every diverging column is in one.

    Columns with the same cause share a diagnosis, and need enough unequal cells together (``least_cells``). A column
    that no recogniser knows, and that differs only where an earlier column with a known cause differs, is its echo; so
    is a label or flag of a later stage of the row's chain (``chains``). All others are of unknown shape, and so is a
    column whose unequal cells are all in rows that were not read. The earliest stage comes first, and within a stage
    the most specific cause.
    """
    found: dict[tuple[str, str], dict[str, Evidence]] = {}
    left = list(sides.diverging)
    if sides.only_v1 or sides.only_v2 or sides.rows_v1 != sides.rows_v2 or sides.repeats_a_key:
        for shape in ROW_SHAPES:
            if (finding := shape.recognise(sides)) is not None:
                columns = [ROW, *(left if shape.explains_cells else ())]
                found[shape.name, finding.cause] = dict.fromkeys(columns, finding.evidence)
                left = [] if shape.explains_cells else left
                break
    place = places(sides.table)
    left.sort(key=lambda name: place[name])
    differences = {name: sides.difference(name) for name in left}
    shaped = _shaped([differences[name] for name in left if differences[name].cells])
    for name in left:
        difference = differences[name]
        earlier = [differences[other] for other in left if place[other] < place[name]]
        label, finding = (
            (None if difference.cells else _NOT_READ)
            or _follows(difference, earlier)
            or shaped.get(name)
            or _echo(difference, [differences[other] for other in left if other in shaped])
            or _extent(difference)
        )
        evidence = {**finding.evidence, "unequal cells": difference.cells}
        found.setdefault((label, finding.cause), {})[name] = evidence
    diagnoses = [
        Diagnosis(name, tuple(evidence), cause, evidence)
        for (name, cause), evidence in found.items()
    ]
    return tuple(
        sorted(
            diagnoses,
            key=lambda diagnosis: (place.get(diagnosis.columns[0], -1), _RANKS[diagnosis.name]),
        )
    )


def _shaped(differences: list[Difference]) -> dict[str, tuple[str, Finding]]:
    """What the recognisers say, by column, where the columns that share a cause have enough cells to say it."""
    named: dict[tuple[str, str], list[tuple[Difference, Finding]]] = {}
    for difference in differences:
        for shape in CAUSE_SHAPES:
            if (finding := shape.recognise(difference)) is not None:
                named.setdefault((shape.name, finding.cause), []).append((difference, finding))
                break
    return {
        difference.column.name: (name, finding)
        for (name, _), members in named.items()
        if sum(difference.cells for difference, _ in members) >= _LEAST_CELLS[name]
        for difference, finding in members
    }


def _follows(difference: Difference, earlier: list[Difference]) -> tuple[str, Finding] | None:
    """A label or flag that differs only where an earlier stage of its row differs; a number speaks for itself."""
    if difference.is_number:
        return None
    for cause in earlier:
        if not (difference.unequal & ~cause.unequal).any():
            name = cause.column.name
            return ECHO, Finding(f"differs only in rows in which {name}, an earlier stage, differs")
    return None


def _echo(difference: Difference, known: list[Difference]) -> tuple[str, Finding] | None:
    for cause in known:
        is_part = not (difference.unequal & ~cause.unequal).any()
        # A cause that differs in every row would claim everything.
        if is_part and not cause.unequal.all():
            return ECHO, Finding(f"differs only in rows in which {cause.column.name} differs")
    return None


def _extent(difference: Difference) -> tuple[str, Finding]:
    for shape in EXTENT_SHAPES:
        if (finding := shape.recognise(difference)) is not None:
            return shape.name, finding
    return UNKNOWN, Finding("no known shape: look at the first and the worst cell")
