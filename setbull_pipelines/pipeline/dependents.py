"""Which stored sessions are out of date once others were corrected: those that look back on them.

Belongs here: how far a correction reaches, which sessions of changed files are corrections, and which sessions a
changed corporate action or alias touches. Does not belong here: which instruments of a session are computed
(``touched``), requesting sessions (``automation/``, ``cli/``).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

import pandas as pd

from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.pipeline.comparing_days import SUMMARY
from setbull_pipelines.pipeline.references import REFERENCES, References
from setbull_pipelines.pipeline.stage_decisions import stages_in_force
from setbull_pipelines.pipeline.steps import STEPS, Step
from setbull_pipelines.pipeline.windows import Windows
from setbull_pipelines.rollout.bucketing import Variant
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.pointers import Pointer, StoredTable
from setbull_pipelines.warehouse.store import Warehouse


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
    corrected: Collection[date],
    stored: Collection[date],
    settings: Settings,
    within: int | None = None,
) -> list[date]:
    """The ``stored`` sessions that depend on ``corrected`` ones, these included, in order.

    ``within`` sessions after one depend on it; None: as many as the longest chain of look-backs reaches. Sessions
    before the first stored one are history that was not computed in full: they count for nothing here.
    """
    first = min(stored, default=date.max)
    within = reach(settings) if within is None else within
    found: set[date] = set()
    for day in corrected:
        if day >= first:
            found.update(NSE.trading_days(day, max(day, *stored))[: within + 1])
    return sorted(found.intersection(stored))


def sessions_of_changed_facts(
    facts: References, warehouse: Warehouse, settings: Settings
) -> list[date]:
    """The stored sessions that were computed with other corporate actions or aliases than ``facts`` say, in order.

    Those whose own window holds a change, by what their partitions recorded, and those that look back on them.
    Raises what reading the log of the rollout raises.
    """
    stages = stages_in_force(warehouse, settings.rollout)
    keys = warehouse.partitions(SUMMARY)
    touched: set[date] = set()
    for step in filter(lambda step: step.is_adjusted, STEPS):
        for variant in Variant:
            windows = Windows(step, variant.value, warehouse, settings, stages, facts, None)
            pointers = warehouse.pointers(StoredTable(variant.value, step.outputs[0]), keys)
            for key, pointer in pointers.items():
                day = date.fromisoformat(key)
                if day not in touched and _used_others(pointer, step, day, windows):
                    touched.add(day)
    longest = max(
        item.look_back(settings) for step in STEPS if step.is_adjusted for item in step.inputs
    )
    stored = [date.fromisoformat(key) for key in keys]
    return depending(touched, stored, settings, within=max(reach(settings) - longest, 0))


def _used_others(pointer: Pointer, step: Step, day: date, windows: Windows) -> bool:
    first = pd.Timestamp(min(windows.starts(day)))
    now = windows.references.hashes(step, first, pd.Timestamp(day))
    recorded = pointer.inputs
    return any(recorded.get(table.name, now[table.name]) != now[table.name] for table in REFERENCES)


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
