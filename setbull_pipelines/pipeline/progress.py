"""Progress of long work, as log records that a terminal or the Dagster UI can show.

Belongs here: counting and rate. Does not belong here: how long it still takes (``time_left``), drawing (``cli/``).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from setbull_pipelines.pipeline.time_left import of_work

logger = logging.getLogger("setbull_pipelines.progress")
REACHED = "reached"
"""The attribute of a record that holds a :class:`Reached`."""


@dataclass(frozen=True)
class Reached:
    """How far one piece of work is."""

    work: str
    done: int
    total: int | None
    """None where nobody knows how much there is."""
    unit: str
    seconds: float
    """Since it began."""
    before: int = 0
    """What of ``done`` was done before it began, and says nothing of its rate."""
    limit: float | None = None
    """Seconds after which the work ends, done or not."""

    @property
    def per_second(self) -> float:
        """How many units were done each second."""
        return (self.done - self.before) / max(self.seconds, 1e-9)

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes at this rate; None where nothing says it yet, and at the end."""
        if self.total is None or self.done >= self.total:
            return None
        left = of_work(self.done - self.before, self.total - self.done, self.seconds)
        if left is None or self.limit is None:
            return left
        return min(left, max(self.limit - self.seconds, 0.0))

    @property
    def count(self) -> str:
        """How many units are done, and of how many."""
        of = "" if self.total is None else f" of {self.total:,}"
        return f"{self.done:,}{of} {self.unit}"

    def __str__(self) -> str:
        found = f"{self.work}: {self.count}"
        if self.done > self.before and self.seconds:
            found += f", {self.per_second:,.1f} per second"
        left = self.seconds_left
        return found if left is None else f"{found}, {left:,.0f} s left"


def tell(line: str, is_well: bool = True) -> None:
    """Log one result while the work goes on; what is not well is a warning."""
    logger.log(logging.INFO if is_well else logging.WARNING, "%s", line)


class Progress:
    """Counts finished units of one piece of work and logs them at most once per ``interval`` seconds, and its begin.

    ``before`` units were done before, ``limit`` is the time in seconds after which the work ends, done or not.
    """

    def __init__(
        self,
        work: str,
        total: int | None,
        unit: str,
        interval: float = 1.0,
        before: int = 0,
        limit: float | None = None,
    ) -> None:
        self.work, self.total, self.unit = work, total, unit
        self._interval, self._before, self._limit = interval, before, limit
        self._started = self._logged = time.monotonic()
        self._done = before
        self._tell(0.0)

    def advance(self, units: int = 1) -> None:
        """Count ``units`` more and log when due or finished."""
        self.reach(self._done + units)

    def reach(self, done: int, work: str | None = None) -> None:
        """Say how many units are ``done``, and under which name the work goes on; log when due or finished."""
        self._done, self.work = done, work or self.work
        now = time.monotonic()
        if done != self.total and now - self._logged < self._interval:
            return
        self._logged = now
        self._tell(now - self._started)

    def _tell(self, seconds: float) -> None:
        reached = Reached(
            self.work, self._done, self.total, self.unit, seconds, self._before, self._limit
        )
        logger.info("%s", reached, extra={REACHED: reached})


def following_files() -> Callable[[str, int, int], None]:
    """For a reader of files, one after the other, that says which one begins: its name, its number, how many there are.

    Files that were read before are passed over without a word; they say nothing of the rate.
    """
    progress: Progress | None = None

    def begun(name: str, number: int, total: int) -> None:
        nonlocal progress
        work = f"reading {name}"
        if progress is None:
            progress = Progress(work, total, "files", before=number - 1)
        else:
            progress.reach(number - 1, work)

    return begun


def following_works() -> Callable[[str, int, int | None, str], None]:
    """For what does several works and says how far one is: its name, what is done, of how much, and the unit."""
    known: dict[str, Progress] = {}

    def reached(work: str, done: int, total: int | None, unit: str) -> None:
        if work in known:
            known[work].reach(done)
        else:
            known[work] = Progress(work, total, unit, before=done)

    return reached
