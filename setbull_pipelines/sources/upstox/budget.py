"""How many requests may be sent: sliding windows shared by all workers.

Belongs here: counting and waiting. Does not belong here: requests, retries.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from setbull_pipelines.settings import UpstoxSettings


class Limit(NamedTuple):
    """At most ``requests`` in any ``seconds`` on end."""

    requests: int
    seconds: float


def limits_of(settings: UpstoxSettings) -> tuple[Limit, ...]:
    """The three limits of the broker."""
    return (
        Limit(settings.requests_per_second, 1.0),
        Limit(settings.requests_per_minute, 60.0),
        Limit(settings.requests_per_half_hour, 1800.0),
    )


class RequestBudget:
    """Lets requests through so that no window of any limit ever holds more than it may.

    ``clock`` counts seconds from any moment, ``sleep`` waits for so many; ``sent`` are the moments of
    requests that an earlier process sent, on the same clock.
    """

    def __init__(
        self,
        limits: Sequence[Limit],
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        sent: Iterable[float] = (),
    ) -> None:
        self._limits, self._clock, self._sleep = tuple(limits), clock, sleep
        self._sent = deque(sorted(sent), maxlen=max(limit.requests for limit in self._limits))
        self._not_before = float("-inf")
        self._turn, self._pausing = threading.Lock(), threading.Lock()

    def wait_for_turn(self) -> None:
        """Return when one more request may be sent; count it."""
        # Waiting with the lock held: later requests have to wait at least as long.
        with self._turn:
            while (wait := self._next_turn() - self._clock()) > 0:
                self._sleep(wait)
            self._sent.append(self._clock())

    def pause(self, seconds: float) -> None:
        """Let nothing through for so long: the broker said that it has had enough."""
        with self._pausing:
            self._not_before = max(self._not_before, self._clock() + seconds)

    def _next_turn(self) -> float:
        return max(
            self._not_before,
            *(
                self._sent[-limit.requests] + limit.seconds
                for limit in self._limits
                if len(self._sent) >= limit.requests
            ),
            self._clock(),
        )
