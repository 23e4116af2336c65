"""How long work still takes: of one piece of work from its rate, of a whole run from what of it is done.

Belongs here: every estimate of time, and what the works of a run usually take. Does not belong here: counting
(``progress``), drawing (``cli/``), a clock: the caller says what time it is.

Nothing is said before there is something to say it from: an estimate that jumps is worse than none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_SECONDS_OF_WORK = 1.0
"""Before, a rate is that of what was found done rather than that of the work."""
_SHARE_OF_RUN = 0.05
"""The part of what grows with the input that is done before the rest is estimated from it."""
_TRUST = 1.0
"""How much the fixed figures count before anything was seen: as much as a step of one fixed second that took them."""
_FASTEST = 0.3
"""The part of the fixed figures that even the fastest machine is taken to need."""
_FIXED = {
    "raw_intake": 0.4,
    "raw": 1.2,
    "v1": 2.9,
    "v2": 2.7,
    "reconciliation": 4.0,
    "judgement": 0.9,
    "served": 0.9,
    "daily_report": 1.0,
    "operations__catalog": 1.0,
}
_FIXED_OF_OTHERS = 0.15
"""Seconds that a step takes on hardly any rows: what it asks of the disk and of Dagster, and its checks."""
_GROWING = {
    "raw": 4.0,
    "v1/candles_5min": 15.5,
    "v1/candles_daily": 3.5,
    "v1/indicators_5min": 6.9,
    "v1/indicators_daily": 1.9,
    "v1/bb_width_daily": 1.3,
    "v1/bb_width_alerts": 3.7,
    "v1/moves_daily": 2.1,
    "v1/sequences": 0.3,
    "v1/sequence_analysis": 0.7,
    "v1/filter_results": 1.3,
    "v2/candles_5min": 0.7,
    "v2/candles_daily": 0.9,
    "v2/indicators_5min": 0.9,
    "reconciliation/indicators_5min": 0.5,
    "served.indicators_5min": 0.4,
    "daily_report": 1.5,
}
"""What works take with the input, each in proportion to the others: seconds of 300 instruments, 275 days of daily bars
and 12 of minutes, more than the fixed ones (medians of runs of ``setbull run`` in a new folder)."""


def of_work(done: int, left: int, seconds: float) -> float | None:
    """Seconds that ``left`` units take at the rate of those ``done`` in ``seconds``; None before that says anything."""
    if done <= 0 or seconds < _SECONDS_OF_WORK:
        return None
    return left * seconds / done


@dataclass(frozen=True)
class _Part:
    """A step or what is done of it: what it takes by the figures above, and what it took."""

    fixed: float
    growing: float
    seconds: float


class WholeRun:
    """How long a run still takes, from which of its steps are done and how far the works of the present one are.

    A step takes some seconds however little there is to do, and others in proportion to the input. How many these are
    follows from the time that was taken until now. ``later`` is the size of what comes after this run, over that of
    this run. Seconds are counted from the begin of the run.
    """

    def __init__(self, steps: Sequence[str], later: float = 0.0) -> None:
        self._steps, self._later = list(steps), later
        self._done: list[_Part] = []
        self._begun = 0.0
        self._step, self._work = "", ""
        self._shares: dict[str, float] = {}
        """What is done of each work of the present step."""
        self._at = self._left = self._after_this_work = 0.0
        self._is_known = False

    def begins(self, step: str, seconds: float) -> None:
        """A step begins, and the one before it is done."""
        if self._step:
            self._done.append(_Part(*_takes(self._step), seconds - self._begun))
        self._begun = seconds
        self._step, self._work, self._shares = step, "", {}
        self._estimate(seconds)

    def reached(self, work: str, share: float, seconds: float) -> None:
        """So much is done of a work of the present step."""
        # The days that are looked back at, and those that were asked for, can be works of one name.
        self._work = work
        self._shares[work] = max(share, self._shares.get(work, 0.0))
        self._estimate(seconds)

    def seconds_left(self, seconds: float) -> float | None:
        """How long it still takes; None while nothing says it."""
        if not self._is_known:
            return None
        return max(self._left - (seconds - self._at), self._after_this_work)

    def _estimate(self, seconds: float) -> None:
        fixed, growing = _takes(self._step)
        done = sum(_GROWING[work] * self._shares.get(work, 0.0) for work in _works(self._step))
        part = done / growing if growing else 0.0
        now = _Part(fixed * part, done, seconds - self._begun)
        parts = [*self._done, now]
        fixed_all, growing_all = map(sum, zip(*map(_takes, self._steps), strict=True))
        fixed_done, growing_done = sum(each.fixed for each in parts), sum(e.growing for e in parts)
        self._is_known = growing_done >= _SHARE_OF_RUN * growing_all
        if not self._is_known:
            return
        slowness, size = _fitted(parts)
        whole = slowness * fixed_all + size * growing_all
        self._at = seconds
        self._left = (
            slowness * (fixed_all - fixed_done)
            + size * (growing_all - growing_done)
            + self._later * whole
        )
        of_this = _GROWING.get(self._work, 0.0) * (1.0 - self._shares.get(self._work, 0.0))
        in_all = size + slowness * fixed / growing if growing else 0.0
        self._after_this_work = self._left - in_all * of_this


def _fitted(parts: Sequence[_Part]) -> tuple[float, float]:
    """How many times the figures above fixed seconds take here, and growing ones: least squares over what was taken.

    Many pairs could be true of a few parts. The first is taken for nearer to 1, as on a machine like that of the
    figures, until parts say otherwise.
    """
    of_fixed = _TRUST + sum(part.fixed**2 for part in parts)
    of_both = sum(part.fixed * part.growing for part in parts)
    of_growing = sum(part.growing**2 for part in parts)
    fixed_seen = _TRUST + sum(part.fixed * part.seconds for part in parts)
    growing_seen = sum(part.growing * part.seconds for part in parts)
    size = (of_fixed * growing_seen - of_both * fixed_seen) / (of_fixed * of_growing - of_both**2)
    if size < 0.0:
        return fixed_seen / of_fixed, 0.0
    slowness = (fixed_seen - size * of_both) / of_fixed
    if slowness < _FASTEST:
        return _FASTEST, max(growing_seen - _FASTEST * of_both, 0.0) / of_growing
    return slowness, size


def _works(step: str) -> list[str]:
    return [work for work in _GROWING if work == step or work.startswith((f"{step}/", f"{step}."))]


def _takes(step: str) -> tuple[float, float]:
    """Seconds of a step that are fixed, and those that grow, at the size of the figures above."""
    return _FIXED.get(step, _FIXED_OF_OTHERS), sum(_GROWING[work] for work in _works(step))
