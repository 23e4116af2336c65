"""What an answer of the API must be before it is used.

Belongs here: the shape of bodies, of candles and of errors. Does not belong here: rules about single candles,
such as a high below the low (intake judges those, and one bad candle stops no good one), sending.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from setbull_pipelines.sources.upstox.calls import DAY, Call

FIELDS = ("timestamp", "open", "high", "low", "close", "volume", "open interest")
_TIMESTAMP = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\+05:?30")
_SHOWN = 120


class InvalidAnswer(ValueError):
    """A body that is not what was asked for; the message says what was found and expected."""


class CutShort(InvalidAnswer):
    """A body that is not whole JSON, as a broken connection leaves it."""


@dataclass(frozen=True)
class Candles:
    """Candles of one answer, newest first; equal ones once.

    ``moments`` are starts of bars on the clock of Asia/Kolkata (``datetime64[us]``), ``values`` has the columns open,
    high, low, close (rupees), volume (shares) and open interest (contracts), not a number where the answer has none.
    """

    moments: np.ndarray
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.moments)

    @property
    def days(self) -> np.ndarray:
        """The day of each candle, ``datetime64[D]``."""
        return self.moments.astype("datetime64[D]")


def read_answer(body: bytes, call: Call) -> Candles:
    """The candles of a body that answers ``call``; :class:`InvalidAnswer` when it is something else."""
    document = _document(body)
    if document.get("status") != "success":
        raise InvalidAnswer(f"found an error ({error_message(body)}), expected candles")
    data = document.get("data")
    rows = data.get("candles") if isinstance(data, dict) else None
    if not isinstance(rows, list):
        raise InvalidAnswer(
            f"found {_shown(data)} as data, expected an object with a list of candles"
        )
    for number, row in enumerate(rows, start=1):
        _require_candle(row, number)
    moments = _moments(rows)
    values = np.array([row[1:] for row in rows], "float64").reshape(-1, len(FIELDS) - 1)
    return _of_asked_days(_newest_first(Candles(moments, values)), call)


def error_message(body: bytes) -> str:
    """Code and message of an error body, or the beginning of a body that is none."""
    try:
        errors = _document(body).get("errors")
        found = [
            f"{error.get('errorCode') or error.get('error_code')}: {error.get('message')}"
            for error in errors or ()
        ]
    except (InvalidAnswer, AttributeError, TypeError):
        found = []
    return "; ".join(found) or _shown(body.decode("utf-8", "replace"))


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError as error:
        raise CutShort(
            f"found {len(body)} bytes that are not JSON ({error}), expected a whole answer"
        ) from None
    if not isinstance(document, dict):
        raise InvalidAnswer(f"found {_shown(document)}, expected an object with status and data")
    return document


def _require_candle(row: object, number: int) -> None:
    if not isinstance(row, list) or len(row) != len(FIELDS):
        raise InvalidAnswer(
            f"found {_shown(row)} as candle {number}, expected [{', '.join(FIELDS)}]"
        )
    if not isinstance(row[0], str) or not _TIMESTAMP.fullmatch(row[0]):
        raise InvalidAnswer(
            f"found {_shown(row[0])} as the timestamp of candle {number}, "
            "expected one like 2025-06-09T09:15:00+05:30"
        )
    for name, value in zip(FIELDS[1:], row[1:], strict=True):
        # No value at all is for intake to judge: open interest may lack, a price may not.
        if value is not None and not _is_number(value):
            raise InvalidAnswer(
                f"found {_shown(value)} as {name} of candle {number}, expected a finite number"
            )


def _is_number(value: object) -> bool:
    try:
        return (
            isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        )
    except OverflowError:  # a whole number of hundreds of digits
        return False


def _moments(rows: list[list[Any]]) -> np.ndarray:
    wall_clock = [row[0][: len("2025-06-09T09:15:00")] for row in rows]
    try:
        return np.array(wall_clock, "datetime64[us]")
    except ValueError as error:
        raise InvalidAnswer(f"found an impossible timestamp ({error}), expected a moment") from None


def _newest_first(candles: Candles) -> Candles:
    """The candles in the one order that is expected; of several that say the same, one.

    Two that say other things of one bar stay, in their order: intake decides, and quarantines one.
    """
    order = np.argsort(-candles.moments.astype("int64"), kind="stable")
    moments, values = candles.moments[order], candles.values[order]
    again = np.zeros(len(order), bool)
    if len(order) > 1:
        equal = (values[1:] == values[:-1]) | (np.isnan(values[1:]) & np.isnan(values[:-1]))
        again[1:] = (moments[1:] == moments[:-1]) & equal.all(axis=1)
    return Candles(moments[~again], values[~again])


def _of_asked_days(candles: Candles, call: Call) -> Candles:
    """The candles of the asked days; one beyond them is of a call of its own. Refused when none is."""
    days = candles.days
    asked = (days >= np.datetime64(call.first)) & (days <= np.datetime64(call.last))
    if len(asked) and not asked.any():
        raise InvalidAnswer(
            f"found a candle of {days[0]}, expected only days from {call.first} to {call.last}"
        )
    candles = Candles(candles.moments[asked], candles.values[asked])
    if call.interval == DAY and not (candles.moments == candles.days).all():
        found = candles.moments[candles.moments != candles.days][0].astype("datetime64[s]")
        raise InvalidAnswer(f"found a daily candle of {found}, expected midnight")
    return candles


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
