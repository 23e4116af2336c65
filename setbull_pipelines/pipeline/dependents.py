"""Which stored sessions are out of date once others were corrected: those that look back on them.

Belongs here: how far a correction reaches, and which sessions of changed files are corrections. Does not belong here:
which instruments of a session are computed (``touched``), requesting sessions (``automation/``, ``cli/``).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

import pandas as pd

from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.pipeline.steps import STEPS
from setbull_pipelines.settings import Settings


def reach(settings: Settings) -> int:
    """Sessions after a corrected one that can depend on it: the longest chain of look-backs of the steps."""
    reaches: dict[str, int] = {}
    for step in STEPS:
        longest = max(
            item.look_back(settings) + reaches.get(item.table.name, 0) for item in step.inputs
        )
        reaches |= {table.name: longest for table in step.outputs}
    return max(reaches.values())


def depending(
    corrected: Collection[date], stored: Collection[date], settings: Settings
) -> list[date]:
    """The ``stored`` sessions that depend on ``corrected`` ones, these included, in order.

    Sessions before the first stored one are history that was not computed in full: they count for nothing here.
    """
    first = min(stored, default=date.max)
    within = reach(settings)
    found: set[date] = set()
    for day in corrected:
        if day >= first:
            found.update(NSE.trading_days(day, max(day, *stored))[: within + 1])
    return sorted(found.intersection(stored))


def sessions_of_changed_files(before: pd.DataFrame, after: pd.DataFrame) -> set[date]:
    """The sessions of the files that two states of ``raw.intake`` do not share: changed, new and removed ones."""
    columns = ["source", "content_hash"]
    both = pd.concat([before, after], ignore_index=True)
    changed = both[~both.duplicated(columns, keep=False)].dropna(subset=["first_day", "last_day"])
    return {
        day
        for file in changed.itertuples()
        for day in NSE.trading_days(file.first_day.date(), file.last_day.date())
    }
