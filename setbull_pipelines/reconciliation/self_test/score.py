"""Run all mutants through the comparison and count how many were caught and rightly diagnosed.

Belongs here: the score, the noise floor, the control without a fault. Does not belong here: mutants
(``*_mutants``), printing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pyarrow
import pyarrow.parquet

from setbull_pipelines import tables, variants
from setbull_pipelines.reconciliation.compare import Comparison, compare
from setbull_pipelines.reconciliation.diagnosis import UNKNOWN
from setbull_pipelines.reconciliation.self_test import (
    bb_width_mutants,
    candle_mutants,
    evidence_mutants,
    filter_mutants,
    generic_mutants,
    indicator_mutants,
    sequence_mutants,
    tolerance_mutants,
)
from setbull_pipelines.reconciliation.self_test.market import AS_OF, Market, computed_by
from setbull_pipelines.reconciliation.self_test.mutant import Mutant
from setbull_pipelines.reconciliation.self_test.one_day import OneDay, diagnoses_of, on_one_day
from setbull_pipelines.settings import ReconciliationSettings
from setbull_pipelines.tables import Table
from setbull_pipelines.tables.reconciliation import DIVERGED, PASS

MUTANTS: tuple[Mutant, ...] = (
    *indicator_mutants.MUTANTS,
    *bb_width_mutants.MUTANTS,
    *candle_mutants.MUTANTS,
    *sequence_mutants.MUTANTS,
    *filter_mutants.MUTANTS,
    *generic_mutants.MUTANTS,
    *evidence_mutants.MUTANTS,
    *tolerance_mutants.MUTANTS,
)
NOISE_SEEDS = (1, 2, 3)
_CONTROLS = (1 + 2 * len(NOISE_SEEDS)) * len(tables.COMPUTED_TABLES)
COMPARISONS = len(MUTANTS) + _CONTROLS
"""How many comparisons the test makes: of every mutant, and of two sides without a fault."""


@dataclass(frozen=True)
class Outcome:
    """What the comparison said about one mutant."""

    mutant: Mutant
    state: str
    found: Mapping[str, str]
    """Name of the diagnosis by column."""
    columns_diverged: frozenset[str]
    one_day: OneDay | None = None
    """The same in the rows of one trading day; None for tables that have only one, or when no session shows it."""

    @property
    def is_caught(self) -> bool:
        """Whether the verdict is 'diverged', in the right columns and in no other."""
        expected = set(self.mutant.diagnoses) - {"(row)"}
        return self.state == DIVERGED and self.columns_diverged == expected

    @property
    def is_diagnosed(self) -> bool:
        """Whether every column got the diagnosis that its fault deserves."""
        return self.is_caught and dict(self.found) == dict(self.mutant.diagnoses)


@dataclass(frozen=True)
class Control:
    """A comparison of two sides without a fault; anything but 'pass' is a false alarm."""

    name: str
    table: Table
    state: str
    reason: str
    cells_compared: int
    cells_identical: int
    largest_relative_difference: float
    largest_ulp_difference: float


@dataclass(frozen=True)
class DayScore:
    """What the comparison of one trading day says about mutants of tables that are compared day by day."""

    mutants: int
    visible_on_an_ordinary_day: int
    visible: int
    """On an ordinary day, or on an earlier one, such as the first of a series."""
    caught: int
    named: int
    misnamed: int
    """Called by a cause that they do not have; all others that are not named are of unknown shape."""

    @property
    def sentence(self) -> str:
        """All figures in words."""
        unknown = self.caught - self.named - self.misnamed
        return (
            f"one trading day at a time: of {self.mutants} faults in tables compared per day, {self.visible} are "
            f"visible on a single day ({self.visible_on_an_ordinary_day} on an ordinary one, the others only on an "
            f"earlier one, such as the first of a series); of these caught {self.caught}, named {self.named}, "
            f"of unknown shape {unknown}, misnamed {self.misnamed}"
        )


@dataclass(frozen=True)
class SelfTest:
    """The score of one run."""

    outcomes: tuple[Outcome, ...]
    controls: tuple[Control, ...]

    @property
    def caught(self) -> int:
        """Mutants that were caught."""
        return sum(outcome.is_caught for outcome in self.outcomes)

    @property
    def diagnosed(self) -> int:
        """Mutants whose cause was named, or rightly called unknown."""
        return sum(outcome.is_diagnosed for outcome in self.outcomes)

    @property
    def rightly_unknown(self) -> int:
        """Diagnosed mutants whose fault has a shape that no recogniser claims to know."""
        return sum(
            outcome.is_diagnosed and UNKNOWN in outcome.mutant.diagnoses.values()
            for outcome in self.outcomes
        )

    @property
    def of_days(self) -> tuple[Outcome, ...]:
        """Mutants of the tables that production compares one trading day at a time."""
        return tuple(outcome for outcome in self.outcomes if outcome.mutant.has_days)

    @property
    def days(self) -> DayScore:
        """What single days show of these mutants."""
        shown = [outcome.one_day for outcome in self.of_days if outcome.one_day]
        return DayScore(
            len(self.of_days),
            sum(day.is_ordinary for day in shown),
            len(shown),
            sum(day.is_caught for day in shown),
            sum(day.is_named for day in shown),
            sum(day.is_misnamed for day in shown),
        )

    @property
    def failures(self) -> list[Outcome]:
        """Mutants that were missed or got another diagnosis, or that the day that shows them let pass."""
        return [
            outcome
            for outcome in self.outcomes
            if not outcome.is_diagnosed or (outcome.one_day and not outcome.one_day.is_caught)
        ]

    @property
    def false_alarms(self) -> list[Control]:
        """Comparisons without a fault that did not pass."""
        return [control for control in self.controls if control.state != PASS]

    @property
    def is_perfect(self) -> bool:
        """Whether every mutant was caught and diagnosed, and nothing else was."""
        return bool(self.outcomes) and not self.failures and not self.false_alarms


def run_self_test(compared: Callable[[], None] = lambda: None) -> SelfTest:
    """Build the sample market, apply every mutant, compare; about half a minute.

    ``compared`` is called after each of :data:`COMPARISONS`.
    """
    v1, v2 = computed_by(variants.V1), computed_by(variants.V2)
    outcomes: list[Outcome] = []
    controls: list[Control] = []
    with TemporaryDirectory(prefix="self-test-") as folder:
        for mutant in MUTANTS:
            outcomes.append(outcome_of(mutant, v1, v2, Path(folder)))
            compared()
        for control in _controls(v1, v2, Path(folder)):
            controls.append(control)
            compared()
    return SelfTest(tuple(outcomes), tuple(controls))


def outcome_of(mutant: Mutant, v1: Market, v2: Market, folder: Path) -> Outcome:
    """Compare V1 with one mutant of V2; files are written into ``folder``."""
    table = mutant.table
    name, wrong = table.name, mutant.applied_to(v2)

    def compared(left: pd.DataFrame, right: pd.DataFrame) -> Comparison:
        return compare_frames(table, left, right, folder)

    found = compared(v1[name], wrong)
    diverged = found.summary.at[0, "columns_diverged"]
    return Outcome(
        mutant,
        found.state,
        diagnoses_of(found),
        frozenset() if pd.isna(diverged) else frozenset(diverged.split(",")),
        on_one_day(mutant, v1[name], v2[name], wrong, compared) if mutant.has_days else None,
    )


def _controls(v1: Market, v2: Market, folder: Path) -> Iterator[Control]:
    """Compare V1 with V2, and each variant with itself on inputs in other row orders (the noise floor)."""
    pairs = [("V1 against V2", v1, v2)]
    for variant, market in ((variants.V1, v1), (variants.V2, v2)):
        name = variant.name.upper()
        pairs += [
            (f"{name} against {name}, row order {seed}", market, computed_by(variant, seed))
            for seed in NOISE_SEEDS
        ]
    for name, left, right in pairs:
        for table in tables.COMPUTED_TABLES:
            found = compare_frames(table, left[table.name], right[table.name], folder)
            columns = found.columns
            yield Control(
                name,
                table,
                found.state,
                found.reason,
                int(columns["cells_compared"].sum()),
                int(columns["cells_identical"].sum()),
                float(columns["largest_relative_difference"].max()),
                float(columns["largest_ulp_difference"].max()),
            )


def compare_frames(table: Table, v1: pd.DataFrame, v2: pd.DataFrame, folder: Path) -> Comparison:
    """Write both sides as partition files of one trading day and compare them."""
    return compare(
        table,
        [write(table, v1, folder / f"{table.name}-v1.parquet")],
        [write(table, v2, folder / f"{table.name}-v2.parquet")],
        AS_OF,
        ReconciliationSettings(),
    )


def write(table: Table, frame: pd.DataFrame, path: Path) -> Path:
    """Write ``frame`` with the Arrow types of ``table``, but also rows that break its contract."""
    schema = pyarrow.schema([field.with_nullable(True) for field in table.arrow_schema])
    content = pyarrow.Table.from_pandas(frame, schema=schema, preserve_index=False)
    pyarrow.parquet.write_table(content, path)
    return path
