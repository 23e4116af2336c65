"""All steps of a variant, computed over ranges of days, and what is stored then.

Belongs here: computing, counting calls, and reading what is stored in a range and day by day. Does not belong here:
the days and what they differ by.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import date, datetime

import pandas as pd

from setbull_pipelines.pipeline.engine import StepRun
from setbull_pipelines.pipeline.steps import STEPS, Step
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines_tests.pipeline.small_run import IN_FULL, SmallRun


def counted(step: Step, calls: list[int]) -> Step:
    """The step, which counts its calls."""

    def compute(*arguments: object) -> tuple[pd.DataFrame, ...]:
        calls.append(1)
        return step.compute(*arguments)

    return dataclasses.replace(step, compute=compute)


def told(run: SmallRun, step: Step, lane: str, days: Sequence[date]) -> dict[tuple, tuple]:
    """All that is stored of the step but what it took, and when."""
    found, warehouse = {}, run.warehouse
    for table in step.outputs:
        for day in days:
            stored, key = StoredTable(lane, table), day.isoformat()
            pointer = warehouse.pointer(stored, key)
            computed_from = warehouse.instrument_inputs(stored, key).to_pydict()
            found[table.name, day] = (
                *(pointer.content_hash, computed_from, pointer.inputs),
                *(dict(pointer.failures), pointer.note, pointer.cost is None),
            )
    return found


def compute(
    run: SmallRun,
    variant: object,
    ranges: Sequence[Sequence[date]],
    stages=IN_FULL,
    as_of: datetime | None = None,
) -> dict[str, int]:
    """Every step of the variant for each range in turn; how often each was called."""
    counts, given = {}, (run.warehouse, run.settings, "spans", stages, as_of)
    for step in STEPS:
        calls: list[int] = []
        for days in ranges:
            list(StepRun(counted(step, calls), variant, *given).over(days))
        counts[step.name] = len(calls)
    return counts


def stored_alike(
    runs: dict[str, SmallRun], variant: str, days: Sequence[date]
) -> dict[str, dict[tuple, tuple]]:
    """What is stored of every step, which has to be the same in the range and day by day."""
    alike = {}
    for step in STEPS:
        stored = {name: told(run, step, variant, days) for name, run in runs.items()}
        assert stored["range"] == stored["alone"], step.name
        alike[step.name] = stored["range"]
    return alike


def compute_chain(
    runs: dict[str, SmallRun],
    variant: object,
    days: Sequence[date],
    stages=IN_FULL,
    as_of: datetime | None = None,
) -> tuple[dict[str, int], dict[str, dict[tuple, tuple]]]:
    """Every step, in one run in a range and in the other day by day.

    Returns how often a step of the range was called, and what is stored of it in both runs.
    """
    counts = compute(runs["range"], variant, [days], stages, as_of)
    compute(runs["alone"], variant, [[day] for day in days], stages, as_of)
    return counts, stored_alike(runs, variant.name, days)
