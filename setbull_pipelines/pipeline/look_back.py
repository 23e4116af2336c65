"""Which earlier sessions a lane has to bring up to date before the days it is asked for.

Belongs here: the closure of the steps' windows, and the order in which it is carried out. Does not belong here: how a
step works (``engine``), Dagster.

A lane computes what it looks back at itself, from what has landed: the command line, a schedule, and
somebody in the UI who materializes one table of one day in an empty folder get the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.pipeline.lanes import COMPONENT_OF, Stages, lane_of, part_in
from setbull_pipelines.pipeline.raw import DAY_TABLES
from setbull_pipelines.pipeline.references import References
from setbull_pipelines.pipeline.steps import STEPS, Step
from setbull_pipelines.rollout.bucketing import Variant
from setbull_pipelines.rollout.stages import Component
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.pointers import StoredTable

_STEP_OF = {table.name: step for step in STEPS for table in step.outputs}


@dataclass(frozen=True)
class Work:
    """One step of one variant over some days."""

    variant: str
    step: Step
    days: tuple[date, ...]
    """Ascending: the days asked for, where the step was asked for, and those that later steps look back at."""


@dataclass(frozen=True)
class Needs:
    """What has to be up to date, so that the days asked for can be computed."""

    raw: tuple[date, ...]
    """Days of the raw tables, ascending; those asked for are among them where they are read."""
    works: tuple[Work, ...]
    """In the order in which they are carried out."""


def needs_of(
    asked: Iterable[tuple[str, Collection[Step]]],
    days: Collection[date],
    stages: Stages,
    settings: Settings,
    references: References,
) -> Needs:
    """What ``days`` of the ``asked`` steps, by variant, are computed from, back to the first session there is.

    V1 reads tables of V2 where the stages in force cut V1 back (``lanes``), so that those come first.
    """
    wanted: dict[tuple[str, str], set[date]] = {
        (variant, step.name): set(days) for variant, steps in asked for step in steps
    }
    raw: set[date] = set()
    for variant in (Variant.V1.value, Variant.V2.value):
        for step in reversed(STEPS):
            mine = wanted.get((variant, step.name), set())
            component = COMPONENT_OF[step.outputs[0].name]
            if variant == Variant.V1.value:
                mine = {day for day in mine if _is_read(component, day, stages, settings)}
            for item in step.inputs:
                looks_back = item.look_back(settings)
                window = _windows(mine, looks_back, references.first_day(item.table))
                if item.is_raw:
                    raw |= window
                    continue
                lane = variant
                if variant == Variant.V1.value:
                    lane = lane_of(item.table, component, stages, looks_back > 0).value
                wanted.setdefault((lane, _STEP_OF[item.table.name].name), set()).update(window)
    return Needs(tuple(sorted(raw)), tuple(_in_order(wanted)))


def partitions_behind(
    days: Collection[date], stages: Stages, settings: Settings, references: References
) -> Iterator[tuple[StoredTable, list[date]]]:
    """The tables that all computed tables of ``days`` are made from, and which days of them, those among them.

    Ascending, raw tables first.
    """
    asked = [(variant.value, STEPS) for variant in Variant]
    needs = needs_of(asked, days, stages, settings, references)
    for stored in DAY_TABLES:
        yield stored, sorted({*days, *needs.raw})
    for work in needs.works:
        for table in work.step.outputs:
            yield StoredTable(work.variant, table), list(work.days)


def _in_order(wanted: dict[tuple[str, str], set[date]]) -> Iterator[Work]:
    for variant in (Variant.V2.value, Variant.V1.value):
        for step in STEPS:
            if days := wanted.get((variant, step.name)):
                yield Work(variant, step, tuple(sorted(days)))


def _is_read(component: Component, day: date, stages: Stages, settings: Settings) -> bool:
    """Whether V1 of a component computes anything on the day: retired, it reads nothing."""
    part = part_in(component, stages[component], day, settings.rollout)
    return part is None or part.percentage > 0


def _windows(days: Collection[date], look_back: int, first: date) -> set[date]:
    """The days and the ``look_back`` sessions before each, from ``first`` on."""
    if look_back == 0 or not days:
        return set(days)
    sessions = NSE.trading_days(min(first, min(days)), max(days))
    place = {session: number for number, session in enumerate(sessions)}
    found: set[date] = set(days)
    covered = 0
    for day in sorted(days):
        if day < first:
            continue
        number = place[day]
        start = max(number - look_back, place.get(first, 0), covered)
        found.update(sessions[start : number + 1])
        covered = number + 1
    return found
