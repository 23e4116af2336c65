"""What was measured of one component on one session.

Belongs here: the figures and which of them are facts. Does not belong here: gathering them, what they decide
(``controller.py``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from datetime import date, datetime

from setbull_pipelines.rollout.stages import Component, Stage

_SHARES = ("error_rate", "cache_hit_rate", "worker_share", "sequence_failure_share")


class InvalidEvidence(ValueError):
    """Evidence with a figure that no measurement can give."""


@dataclass(frozen=True)
class Evidence:
    """What was measured of one component on one session. None is "not measured", which never passes.

    ``stage`` is the stage the session was computed under; ``settings_hash`` that of the settings the results depend
    on. Counts are of the session, shares 0 to 1, seconds of processor time that computing the session took.
    """

    component: Component
    session: date
    stage: Stage
    code_version: str
    settings_hash: str
    instruments: int | None = None
    """Instruments with rows."""
    rows: int | None = None
    cohort: int | None = None
    """Instruments served from V2."""
    cells_expected: int | None = None
    cells_compared: int | None = None
    cells_unequal: int | None = None
    """Cells beyond tolerance, null differences and cells of one-sided rows included."""
    decision_differences: int | None = None
    """Instruments that enter or leave a result, or whose verdict or reason changes."""
    schema_failures: int | None = None
    v2_exceptions: int | None = None
    """Instruments that computing V2 failed for; they are served from V1."""
    error_rate: float | None = None
    """Attempts to compute V2 that failed for any reason, retried ones included."""
    input_rows: int | None = None
    """Rows that V2 read."""
    cache_lookups: int | None = None
    cache_hit_rate: float | None = None
    seconds_v1: float | None = None
    seconds_v2: float | None = None
    memory_share: float | None = None
    """Peak memory as a share of the allowance; can be above 1."""
    worker_share: float | None = None
    sequence_failure_share: float | None = None
    likely_cause: str | None = None
    """The likely cause of unequal cells, where their shape was recognised."""
    not_compared: str | None = None
    """Instruments that V1 alone failed for, with the error: nothing says whether V2 is right for them."""
    inputs_in_doubt: str | None = None
    """Why what the source delivered for the session is not to be believed, such as an earlier day under a new date."""
    waits_for: str | None = None
    """An earlier session that is still to come: its run was asked for before, and is under way or has failed."""

    def measured(self, name: str) -> float:
        """A figure that is needed. InvalidEvidence where it was not measured, which never passes as a number."""
        found: float | None = getattr(self, name)
        if found is None:
            raise InvalidEvidence(f"{name}: found nothing measured, expected a number")
        return found

    def __post_init__(self) -> None:
        if isinstance(self.session, datetime):
            raise InvalidEvidence(f"session: found {self.session!r}, expected a date without time")
        for item in fields(self):
            found = getattr(self, item.name)
            if isinstance(found, int | float) and not (found >= 0 and math.isfinite(found)):
                raise InvalidEvidence(f"{item.name}: found {found}, expected 0 or more, or None")
            if item.name in _SHARES and found is not None and found > 1:
                raise InvalidEvidence(f"{item.name}: found {found}, expected a share of 0 to 1")

    @property
    def facts_against(self) -> list[str]:
        """Facts that are enough, one by itself, to take V2 back, however little else is known."""
        return [
            f"{found:,} {words}"
            for found, words in (
                (self.cells_unequal, "unequal cells"),
                (self.decision_differences, "decision differences"),
                (self.schema_failures, "schema failures"),
            )
            if found
        ]
