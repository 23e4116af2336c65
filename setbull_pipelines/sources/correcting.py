"""Which of several rows of one bar counts: corrections, confirmations, contradictions, and what is provisional.

Belongs here: the rules between rows of one bar, and the one rule of what is provisional. Does not belong here: finding
the rows (``intake.py``), judging a single row (``candle_files.py``).

The rules:

- A file makes one statement per bar. The last line counts where one file has several; others are ignored when they say
  the same, else they contradict it and go to quarantine.
- Files speak in the order of their arrival, those of one moment in that of their paths. The last statement counts,
  whatever its state. One that says what the one before said confirms it: the earlier moment and file stay, and the bar
  is final once one of its statements is. One that says otherwise is a correction: what it corrects becomes a revision.
- A bar that a later file does not mention stays as it is.
- A row is **provisional** when its file was taken in before the session of its day had closed, auction included, or
  when the file says that the broker gave it for a session under way. Otherwise it is final.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.tables.contract import INDIA

_INDIA = ZoneInfo(INDIA)


def had_closed(day: date, moment: datetime) -> bool:
    """Whether the session of a trading day was over at ``moment`` (with time zone), auction included.

    Where its hours are not known, the day is over at midnight.
    """
    closes_at = NSE.closes_at(day)
    if closes_at is None:
        end = datetime.combine(day + timedelta(days=1), time(), _INDIA)
    else:
        end = datetime.combine(day, closes_at, _INDIA)
    return moment >= end


@dataclass(frozen=True)
class Corrections:
    """Positions of rows; every row is accepted, contradicted, ignored or the first of an old statement, once."""

    accepted: np.ndarray
    """The row that first said what counts, for each bar."""
    accepted_is_final: np.ndarray
    contradicted: np.ndarray
    contradicted_by: np.ndarray
    """The row of the same file that counts instead."""
    ignored: np.ndarray
    old: np.ndarray
    """The row that first said what was known before, for each correction."""
    old_is_final: np.ndarray
    new: np.ndarray
    """The row that corrected it."""
    number: np.ndarray
    """The number of each correction among those of its bar, from 1."""


def correct(rows: pd.DataFrame, values: Sequence[str]) -> Corrections:
    """Decide about rows sorted by ``instrument``, ``timestamp`` and then as they arrived.

    ``file`` numbers the arrivals, ``is_provisional`` is the rule above; ``values`` are compared, no value equals no
    value.
    """
    is_final = ~rows["is_provisional"].to_numpy(bool)
    bar_starts = _changes(rows["instrument"].to_numpy()) | _changes(
        rows["timestamp"].to_numpy("datetime64[us]")
    )
    nothing = np.array([], "int64")
    if bar_starts.all():
        every = np.arange(len(rows))
        none = np.array([], bool)
        return Corrections(
            every, is_final, nothing, nothing, nothing, nothing, none, nothing, nothing
        )
    bar = np.cumsum(bar_starts)

    file_starts = bar_starts | _changes(rows["file"].to_numpy())
    statements = np.flatnonzero(np.append(file_starts[1:], True))  # the last row of bar and file
    repeated = np.setdiff1d(np.arange(len(rows)), statements, assume_unique=True)
    stated = statements[np.searchsorted(statements, repeated)]
    repeats = _same(rows, repeated, stated, values)

    follows = np.flatnonzero(bar[statements[1:]] == bar[statements[:-1]]) + 1
    confirms = _same(rows, statements[follows], statements[follows - 1], values)
    confirming = statements[follows[confirms]]
    is_first = np.ones(len(statements), bool)
    is_first[follows[confirms]] = False
    # A run of statements that say the same is one value that was known.
    run_starts = np.flatnonzero(is_first)
    first = statements[run_starts]
    run_is_final = np.logical_or.reduceat(is_final[statements], run_starts)
    is_old = np.append(bar[first[1:]] == bar[first[:-1]], False)
    old = np.flatnonzero(is_old)
    first_of_bar = np.maximum.accumulate(np.where(_changes(bar[first]), np.arange(len(first)), 0))
    return Corrections(
        accepted=first[~is_old],
        accepted_is_final=run_is_final[~is_old],
        contradicted=repeated[~repeats],
        contradicted_by=stated[~repeats],
        ignored=np.concatenate([repeated[repeats], confirming]),
        old=first[old],
        old_is_final=run_is_final[old],
        new=first[old + 1],
        number=old + 1 - first_of_bar[old],
    )


def differing(
    rows: pd.DataFrame, left: np.ndarray, right: np.ndarray, values: Sequence[str]
) -> pd.DataFrame:
    """Per pair of rows and value column, whether the two differ; no value equals no value."""
    found = {}
    for name in values:
        column = rows[name].to_numpy("float64", na_value=np.nan)
        one, other = column[left], column[right]
        found[name] = (one != other) & ~(np.isnan(one) & np.isnan(other))
    return pd.DataFrame(found)


def _same(
    rows: pd.DataFrame, left: np.ndarray, right: np.ndarray, values: Sequence[str]
) -> np.ndarray:
    return ~differing(rows, left, right, values).to_numpy(bool).any(axis=1)


def _changes(values: np.ndarray) -> np.ndarray:
    """Where a value differs from the one before; the first always does."""
    return np.concatenate([[True], values[1:] != values[:-1]])[: len(values)]
