"""One observation: something is wrong, is well, or has changed.

Belongs here: the type and its words. Does not belong here: where findings come from (``observing.py``), what
becomes of them (``ledger.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum

from setbull_pipelines.settings import SEVERITIES


class Severity(Enum):
    """How bad it is; the values are ordered."""

    INFO, WARNING, ERROR, CRITICAL = range(len(SEVERITIES))

    @property
    def label(self) -> str:
        """The word used in settings and tables."""
        label: str = SEVERITIES[self.value]
        return label

    @classmethod
    def named(cls, label: str) -> Severity:
        """The severity with this label; ValueError when there is none."""
        return cls(SEVERITIES.index(label))


class Says(Enum):
    """What a finding says about its key."""

    WELL, WRONG, CHANGED = "well", "wrong", "changed"


@dataclass(frozen=True)
class Finding:
    """What was observed about ``key``, the name under which it is the same thing every time.

    ``observed_at`` is the moment of the fact (with zone), not of the look at it: the same fact looked at twice has
    the same one. A CHANGED finding is news that nobody has to repair; under one key it is news once.
    """

    key: str
    kind: str
    says: Says
    severity: Severity
    title: str
    message: str
    link: str
    observed_at: datetime
    asset: str | None = None
    trading_day: date | None = None
    run_id: str | None = None
