"""Progress of long work, as log records that a terminal or the Dagster UI can show.

Belongs here: counting, rate and time left. Does not belong here: drawing (``cli/``).
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

logger = logging.getLogger("setbull_pipelines.progress")
REACHED = "reached"
"""The attribute of a record that holds a :class:`Reached`."""


@dataclass(frozen=True)
class Reached:
    """How far one piece of work is."""

    work: str
    done: int
    total: int
    unit: str
    seconds: float
    """Since it began."""

    @property
    def per_second(self) -> float:
        """How many units were done each second."""
        return self.done / max(self.seconds, 1e-9)

    @property
    def seconds_left(self) -> float:
        """How long the rest takes at this rate."""
        return (self.total - self.done) / self.per_second if self.done else 0.0

    def __str__(self) -> str:
        found = f"{self.work}: {self.done:,} of {self.total:,} {self.unit}"
        if not self.done:
            return found
        return f"{found}, {self.per_second:.1f} per second, {self.seconds_left:.0f} s left"


def tell(line: str, is_well: bool = True) -> None:
    """Log one result while the work goes on; what is not well is a warning."""
    logger.log(logging.INFO if is_well else logging.WARNING, "%s", line)


class Progress:
    """Counts finished units of one piece of work and logs them at most once per ``interval`` seconds, and its begin."""

    def __init__(self, work: str, total: int, unit: str, interval: float = 1.0) -> None:
        self.work, self.total, self.unit = work, total, unit
        self._interval = interval
        self._started = self._logged = time.monotonic()
        self._done = 0
        self._tell(0.0)

    def advance(self, units: int = 1) -> None:
        """Count ``units`` more and log when due or finished."""
        self._done += units
        now = time.monotonic()
        if self._done < self.total and now - self._logged < self._interval:
            return
        self._logged = now
        self._tell(now - self._started)

    def _tell(self, seconds: float) -> None:
        reached = Reached(self.work, self._done, self.total, self.unit, seconds)
        logger.info("%s", reached, extra={REACHED: reached})
