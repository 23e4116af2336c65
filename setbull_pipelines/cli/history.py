"""The look-back of a run: earlier sessions that are published before the asked days.

Belongs here: which steps publish the look-back, and telling Dagster of each partition. Does not belong here:
which sessions those are (``plan``), how a step works (``pipeline/``).

These partitions are published by the engine directly and reported with one event each, those of a step together, and
only when they changed. A Dagster run writes two events per partition of every asset into SQLite, changed or not.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import date
from uuid import uuid4

import dagster as dg

from setbull_pipelines.assets.common import asset_key, came_along, open_warehouse
from setbull_pipelines.assets.event_log import report_materializations
from setbull_pipelines.assets.variants import VARIANTS
from setbull_pipelines.cli.plan import Plan
from setbull_pipelines.cli.terminal import showing_progress
from setbull_pipelines.pipeline.engine import StepRun
from setbull_pipelines.pipeline.metrics import CacheUse, cache_use_of
from setbull_pipelines.pipeline.raw import RawDays
from setbull_pipelines.pipeline.rolling_out import stages_in_force
from setbull_pipelines.pipeline.steps import STEPS
from setbull_pipelines.settings import Settings
from setbull_pipelines.sources.intake import Intake


class History:
    """Brings the look-back sessions of a plan up to date."""

    def __init__(self, intake: Intake, settings: Settings, instance: dg.DagsterInstance) -> None:
        self._intake, self._settings, self._instance = intake, settings, instance
        self._warehouse = open_warehouse(settings)
        self._run_id = str(uuid4())
        self.cache_use = CacheUse()
        """Of all partitions that were looked at."""

    def materialize(self, plan: Plan) -> dict[str, float]:
        """Publish what is missing or stale; returns the seconds of each part.

        Raises MissingPartition, ContractViolation and whatever a step raises.
        """
        raw_days = RawDays(self._intake, self._warehouse, self._settings, self._run_id)
        parts = (
            ("history of candles", plan.candles, [raw_days, *self._both("candles_daily")]),
            ("history of 5-minute candles", plan.candles_5min, self._both("candles_5min")),
            (
                "history of band widths",
                plan.bb_width,
                [*self._both("indicators_5min"), *self._both("bb_width_daily")],
            ),
            ("history of indicators", plan.indicators_daily, self._both("indicators_daily")),
        )
        seconds = {}
        for heading, days, works in parts:
            if days:
                started = time.monotonic()
                with showing_progress(
                    f"{heading}: {len(days)} sessions from {days[0]} to {days[-1]}"
                ):
                    for work in works:
                        self._publish(work, days)
                seconds[heading] = time.monotonic() - started
        return seconds

    def _both(self, name: str) -> list[StepRun]:
        step = next(step for step in STEPS if step.name == name)
        stages = stages_in_force(self._warehouse, self._settings.rollout)
        return [
            StepRun(step, variant, self._warehouse, self._settings, self._run_id, stages)
            for variant in VARIANTS.values()
        ]

    def _publish(self, work: RawDays | StepRun, days: Sequence[date]) -> None:
        known = {
            stored: self._instance.get_materialized_partitions(asset_key(stored))
            for stored in work.outputs
        }
        made: list[dg.AssetMaterialization] = []
        try:
            for result in work.over(days):
                self.cache_use += cache_use_of([result])
                key = result.day.isoformat()
                made += came_along(
                    (
                        stored
                        for stored in work.outputs
                        if not result.cached or key not in known[stored]
                    ),
                    result,
                )
        finally:
            # Also those before a day that fails: they are published.
            report_materializations(self._instance, None, made)
