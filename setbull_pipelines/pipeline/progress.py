"""Progress of long work, as log records that a terminal or the Dagster UI can show.

Belongs here: counting, rate and time left. Does not belong here: drawing (``cli/``).
"""

from __future__ import annotations

import logging
import time

logger = logging.getLogger("setbull_pipelines.progress")


def tell(line: str) -> None:
    """Log one result while the work goes on: a line that stays, where progress replaces its last line."""
    logger.info("%s", line, extra={"stays": True})


class Progress:
    """Counts finished units of one piece of work and logs them at most once per ``interval`` seconds."""

    def __init__(self, work: str, total: int, unit: str, interval: float = 1.0) -> None:
        self.work, self.total, self.unit = work, total, unit
        self._interval = interval
        self._started = self._logged = time.monotonic()
        self._done = 0

    def advance(self, units: int = 1) -> None:
        """Count ``units`` more and log when due or finished."""
        self._done += units
        now = time.monotonic()
        if self._done < self.total and now - self._logged < self._interval:
            return
        self._logged = now
        seconds = max(now - self._started, 1e-9)
        rate = self._done / seconds
        left = (self.total - self._done) / rate if rate else 0.0
        logger.info(
            "%s: %s of %s %s, %.1f per second, %.0f s left",
            self.work,
            f"{self._done:,}",
            f"{self.total:,}",
            self.unit,
            rate,
            left,
            extra={"seconds": seconds},
        )
