"""Making one stored partition again from its inputs, whatever table it is of.

Belongs here: which part of the pipeline makes which table, and what comes before what. Does not belong here: which
partitions are to be made again (``scrubbing``), making them (the modules that are called).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from setbull_pipelines import tables
from setbull_pipelines.pipeline import (
    candle_events,
    comparing_days,
    daily_reports,
    group_plans,
    metrics,
    raw,
    serving,
    serving_days,
)
from setbull_pipelines.pipeline.engine import StepRun
from setbull_pipelines.pipeline.rollout_log import read_log
from setbull_pipelines.pipeline.stage_decisions import serving_of, stages_in_force
from setbull_pipelines.pipeline.steps import STEPS
from setbull_pipelines.quality.groups import GROUPS, PLAN, REFUSED
from setbull_pipelines.quality.rollout_log import LOG
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables import Table
from setbull_pipelines.variants import V1, V2
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.store import Warehouse

_VARIANTS = {variant.name: variant for variant in (V1, V2)}
# By their names: two contracts are compared column by column.
_COMPUTED = {
    StoredTable(name, table).key: step
    for step in STEPS
    for table in step.outputs
    for name in _VARIANTS
}
_SERVED = {
    serving.served_table(table).key: table
    for table in tables.COMPUTED_TABLES
    if table.name in tables.SERVED
}
_RECONCILED: dict[tuple[str, str], Table] = {
    stored.key: table
    for table in tables.COMPUTED_TABLES
    for stored in (*comparing_days.outputs_of(table), *comparing_days.explanations_of(table))
}
_MEASURED = tuple(
    StoredTable("operations", table) for table in (tables.PROCESSING_METRICS, tables.FAILURES)
)
_ORDER = (
    *(stored.key for stored in (*raw.WHOLE_TABLES, *raw.DAY_TABLES)),
    *_COMPUTED,
    *_RECONCILED,
    comparing_days.SUMMARY.key,
    *_SERVED,
    candle_events.EVENTS.key,
    *(stored.key for stored in (GROUPS, REFUSED, PLAN, *_MEASURED, daily_reports.REPORT)),
)


class NothingMakesIt(LookupError):
    """The table is made of nothing that is stored, such as a log; the message says what to do."""


def is_day(partition: str) -> bool:
    """Whether a partition is a trading day."""
    return partition[:1].isdigit()


def rank(stored: StoredTable) -> int:
    """Inputs before what is computed from them."""
    return _ORDER.index(stored.key) if stored.key in _ORDER else len(_ORDER)


def make_again(
    stored: StoredTable, partition: str, warehouse: Warehouse, settings: Settings, run_id: str
) -> None:
    """Have a partition that is not what was published made again, as a run that is asked for its day does.

    Raises NothingMakesIt, and whatever making it raises: MissingPartition for absent inputs, DamagedPartition for
    damaged ones, NoInput and DamagedLanding for what was received.
    """
    if not is_day(partition):
        if stored in raw.WHOLE_TABLES or stored in raw.DAY_TABLES:
            raw.publish_intake(raw.read_sources(settings), warehouse, settings, run_id)
        elif stored in (GROUPS, REFUSED):
            group_plans.publish_groups(warehouse, settings, run_id)
        elif stored == LOG:
            raise NothingMakesIt(
                "and made of nothing that is stored; get it back by: setbull rollout restore --by NAME --reason WHY"
            )
        else:
            raise NothingMakesIt("and made of nothing that is stored: restore it from a backup")
        return
    for _ in _of_day(stored, [date.fromisoformat(partition)], warehouse, settings, run_id):
        pass


def _of_day(
    stored: StoredTable,
    days: list[date],
    warehouse: Warehouse,
    settings: Settings,
    run_id: str,
) -> Iterable[object]:
    given = (warehouse, settings, run_id)
    if stored in raw.DAY_TABLES:
        return raw.RawDays(raw.read_sources(settings), *given).over(days)
    if stored.key in _COMPUTED:
        stages = stages_in_force(warehouse, settings.rollout)
        variant = _VARIANTS[stored.schema]
        return StepRun(_COMPUTED[stored.key], variant, *given, stages).over(days)
    if stored.key in _RECONCILED:
        return comparing_days.reconcile(_RECONCILED[stored.key], days, *given)
    if stored == comparing_days.SUMMARY:
        return comparing_days.summarize(days, *given)
    if stored.key in _SERVED:
        table = _SERVED[stored.key]
        asked = serving_of(table, read_log(warehouse), warehouse, settings.rollout)
        return serving_days.serve_one(table, days, asked, warehouse, run_id)
    if stored == candle_events.EVENTS:
        return candle_events.record(days, *given)
    if stored == PLAN:
        return group_plans.plan_days(days, *given)
    if stored in _MEASURED:
        return metrics.collect(days, warehouse, run_id)
    if stored == daily_reports.REPORT:
        return daily_reports.make_reports(days, *given)
    raise NothingMakesIt("and made of nothing that is stored: restore it from a backup")
