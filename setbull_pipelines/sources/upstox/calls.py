"""One call of the candle API: what it asks and its path, and how a longer range becomes several calls.

Belongs here: intervals, paths, the broker's limits on the range of a call, that a call failed. Does not belong
here: sending (``client.py``), deciding what is missing (``planning.py``).
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal
from urllib.parse import quote

from setbull_pipelines.errors import SetbullError

Interval = Literal["1minute", "day"]
INTERVALS: tuple[Interval, ...] = ("1minute", "day")
MINUTE, DAY = INTERVALS
ApiVersion = Literal["v3", "v2"]

_PATH_PARTS = {
    ("v3", MINUTE): "minutes/1",
    ("v3", DAY): "days/1",
    ("v2", MINUTE): "1minute",
    ("v2", DAY): "day",
}
_MONTHS_PER_CALL = {("v3", MINUTE): 1, ("v3", DAY): 120, ("v2", MINUTE): 1, ("v2", DAY): 12}


class CallFailed(SetbullError, RuntimeError):
    """A call that brought no candles; the message says why in one sentence, without secrets."""


class TokenRefused(CallFailed):
    """The broker does not accept the token, so that no other call can succeed either."""


@dataclass(frozen=True)
class Call:
    """Candles of one instrument from ``first`` to ``last``, both included.

    ``running`` asks for the candles of today, which the broker keeps apart and corrects later.
    """

    instrument_key: str
    interval: Interval
    first: date
    last: date
    running: bool = False

    def path(self, version: ApiVersion) -> str:
        """The path below the host; the bar of the key is quoted."""
        what = _PATH_PARTS[version, self.interval]
        key = quote(self.instrument_key, safe="")
        if self.running:
            return f"/{version}/historical-candle/intraday/{key}/{what}"
        return f"/{version}/historical-candle/{key}/{what}/{self.last}/{self.first}"

    def __str__(self) -> str:
        days = f"{self.first}" if self.first == self.last else f"{self.first} to {self.last}"
        return f"{self.interval} candles of {self.instrument_key}, {days}"


def calls_for(
    instrument_key: str, interval: Interval, first: date, last: date, version: ApiVersion
) -> list[Call]:
    """The calls that cover the range, the newest first, none longer than the broker allows."""
    calls = []
    while first <= last:
        start = max(first, _months_before(last, _MONTHS_PER_CALL[version, interval]))
        calls.append(Call(instrument_key, interval, start, last))
        last = start - timedelta(days=1)
    return calls


def _months_before(day: date, months: int) -> date:
    """The first day of the span of so many months that ends with ``day``."""
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    month += 1
    return date(year, month, min(day.day, monthrange(year, month)[1])) + timedelta(days=1)
