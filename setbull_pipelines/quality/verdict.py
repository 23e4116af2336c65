"""The verdict of one rule about one table on one day."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pandas as pd

from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.store import StoredTable

Scalar = str | int | float | bool


@dataclass(frozen=True)
class Verdict:
    """Whether a rule held, why in one sentence, and the figures behind it."""

    passed: bool
    description: str
    metadata: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True)
class Rule:
    """A rule about ``table``: what it needs to read, how it judges, and whether a breach is an error.

    ``judge`` receives the frames of ``reads`` for the day, by stored name (``raw.candles_1min``).
    """

    name: str
    description: str
    table: StoredTable
    reads: tuple[StoredTable, ...]
    judge: Callable[[Mapping[str, pd.DataFrame], pd.Timestamp, Settings], Verdict]
    is_error: bool = True
