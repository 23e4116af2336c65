"""Steps of the pipeline, carried out over days of a small run.

Belongs here: carrying out, what was computed again, and what is stored then. Does not belong here: assertions;
changing what the steps read, which :mod:`raw_corrections` has.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from types import SimpleNamespace

import pytest

from setbull_pipelines import variants
from setbull_pipelines.pipeline.engine import PartitionResult, StepRun
from setbull_pipelines.pipeline.steps import STEPS, Step
from setbull_pipelines.settings import Settings
from setbull_pipelines.variants.protocol import Variant
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests.pipeline.small_run import IN_FULL, SmallRun

VARIANTS = {"v1": variants.V1, "v2": variants.V2}
STEP = {step.name: step for step in STEPS}
ALL_STEPS = set(STEP)

every_step = pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
every_variant = pytest.mark.parametrize("variant", ["v1", "v2"])


def carry_out(
    step: Step,
    variant: str | Variant,
    run: SmallRun,
    days: Sequence[date],
    settings: Settings | None = None,
) -> list[PartitionResult]:
    """Carry out one step of a variant; what happened on each day."""
    variant = VARIANTS[variant] if isinstance(variant, str) else variant
    settings = settings or run.settings
    return list(StepRun(step, variant, run.warehouse, settings, "test", IN_FULL).over(days))


def steps_recomputed(
    run: SmallRun, variant: str, day: date, settings: Settings | None = None
) -> set[str]:
    """Carry out the whole chain for one day and tell which steps did not come from the cache."""
    return {
        step.name
        for step in STEPS
        for result in carry_out(step, variant, run, [day], settings)
        if not result.cached
    }


def hashes(warehouse: Warehouse, step: Step, variant: str, day: date) -> dict[str, str]:
    """The content hash of each table that a step publishes."""
    outputs = [StoredTable(variant, table) for table in step.outputs]
    return {
        stored.name: warehouse.pointer(stored, day.isoformat()).content_hash for stored in outputs
    }


def variant_with(**functions) -> SimpleNamespace:
    """V1 with some functions replaced."""
    names = [name for name in variants.V1.__all__ if name not in functions]
    return SimpleNamespace(**{name: getattr(variants.V1, name) for name in names}, **functions)
