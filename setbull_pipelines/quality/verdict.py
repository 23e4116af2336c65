"""The verdict of one rule about one table on one day."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.pointers import StoredTable

Scalar = str | int | float | bool
NOTHING_TO_COMPARE = "nothing to compare"
"""Among the figures of a verdict: neither side has a row. A warning, neither a pass nor a fault."""
NOT_JUDGED = "not judged"
"""Among the figures of a verdict: there was nothing to judge, or V1 was not computed for it. A warning, neither a pass
nor a fault, that raises no alert and ends none."""

TOLD_BY_OWN_ALERT = "told by an alert of its own"
"""Among the figures of a failed verdict: an alert watches the same, so that the check raises no second one."""


@dataclass(frozen=True)
class Verdict:
    """Whether a rule held, why in one sentence, and the figures behind it."""

    passed: bool
    description: str
    metadata: Mapping[str, Scalar] = field(default_factory=dict)


def not_judged(reason: str) -> Verdict:
    """The third answer, where a rule finds nothing that it could judge: that is no pass."""
    return Verdict(False, f"not judged: {reason}", {NOT_JUDGED: True})


Judge = Callable[[Mapping[str, pd.DataFrame], pd.Timestamp, Settings], Verdict]
JudgeTogether = Callable[[Sequence[Mapping[str, pd.DataFrame]], Settings], list[Verdict]]


@dataclass(frozen=True)
class Rule:
    """A rule about ``table``: what it needs to read, how it judges, and whether a breach is an error.

    ``judge`` receives the frames of ``reads`` for the day, by stored name (``raw.candles_1min``).
    """

    name: str
    description: str
    table: StoredTable
    reads: tuple[StoredTable, ...]
    judge: Judge
    is_error: bool = True
    earlier_sessions: int = 0
    """So many stored sessions of ``table`` before the day are given to ``judge`` too, as :func:`before` names them."""
    judge_together: JudgeTogether | None = None
    """Gives for the frames of each of several days what ``judge`` gives for them alone, in less time. For rules about
    single rows."""


def before(stored: StoredTable) -> str:
    """The name of the frame with the rows of earlier sessions of a table."""
    return f"{stored.name} before"
