"""What all assets share: the days of a run, the column schema of the UI, and reporting of partitions.

Belongs here: translation between the project's terms and Dagster's. Does not belong here: single assets.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from itertools import pairwise

import dagster as dg
import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.assets.describing import OWNERS, column_lineage
from setbull_pipelines.market.calendar import NSE, OutsideCoverage
from setbull_pipelines.pictures.preview import preview
from setbull_pipelines.pipeline.lanes import MARK
from setbull_pipelines.pipeline.opening import catalog_path, now, warehouse_root
from setbull_pipelines.pipeline.running import AS_OF, further_on
from setbull_pipelines.pipeline.serving import served_table
from setbull_pipelines.quality import completeness
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables import Table
from setbull_pipelines.warehouse.pointers import WHOLE, Pointer, StoredTable
from setbull_pipelines.warehouse.resources import CatalogResource, WarehouseResource
from setbull_pipelines.warehouse.store import Warehouse

PARTITION_TAG = "dagster/partition"
RANGE_TAGS = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
DAILY_JOB_NAME, INTRADAY_JOB_NAME = "daily", "intraday"
AS_OF_TAG = "setbull/as_of"
"""On runs of the intraday job: the moment of their tick. Only here does a clock enter the computing."""
MAX_RUNTIME_TAG = "dagster/max_runtime"
"""Seconds after which the daemon ends the run."""
LAST_TABLE = served_table(tables.FILTER_RESULTS)
"""A session is done when it has this one; each run of ``daily`` comes to it last but for reports and the like."""
_COVERAGE = StoredTable("raw", tables.COVERAGE)
_ROWS_SHOWN = 5
WHOLE_RANGE = dg.BackfillPolicy.single_run()


def sessions_of(tags: Mapping[str, str]) -> list[datetime.date]:
    """The sessions of a run, by its tags; none of a run without, or with tags that somebody wrote by hand."""
    try:
        if PARTITION_TAG in tags:
            return [datetime.date.fromisoformat(tags[PARTITION_TAG])]
        if all(tag in tags for tag in RANGE_TAGS):
            first, last = (datetime.date.fromisoformat(tags[tag]) for tag in RANGE_TAGS)
            return NSE.trading_days(first, last)
    except (ValueError, OutsideCoverage):
        pass
    return []


def freshness(settings: Settings) -> dg.FreshnessPolicy:
    """When the UI calls a daily table stale: later than after the longest break between two sessions.

    Dagster's policies know neither partitions nor holidays. The alert 'stale' watches single sessions, by the
    calendar; this policy never fires on a holiday, and shows a refresh that has stopped altogether.
    """
    sessions = NSE.trading_days(NSE.first_day, NSE.last_day)
    longest_break = max(later - earlier for earlier, later in pairwise(sessions))
    grace = datetime.timedelta(hours=settings.alerts.stale_after_hours)
    return dg.FreshnessPolicy.time_window(fail_window=longest_break + grace)


def completeness_of(
    stored: StoredTable, day: datetime.date, warehouse: Warehouse, settings: Settings
) -> Mapping[str, object]:
    """Figures of how complete a published day is; without ``raw.coverage`` nothing is expected of it."""
    columns = [name for name in completeness.COLUMNS if name in stored.table.column_names]
    key = day.isoformat()
    return completeness.completeness(
        stored.table.name,
        warehouse.distinct(stored, key, columns),
        warehouse.pointer(stored, key).rows,
        warehouse.read(_COVERAGE, [WHOLE])
        if warehouse.pointer(_COVERAGE, WHOLE)
        else _COVERAGE.table.empty(),
        pd.Timestamp(day),
        settings.aggregation.bar_minutes,
    )


def asset_key(stored: StoredTable) -> dg.AssetKey:
    """``v1.candles_5min`` is the asset ``v1/candles_5min``."""
    return dg.AssetKey(list(stored.key))


def column_schema(table: Table) -> dg.TableSchema:
    """The table contract as the UI shows it."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                type=column.kind.duckdb_type,
                description=f"{column.description} [{column.unit}]"
                if column.unit
                else column.description,
                constraints=dg.TableColumnConstraints(
                    nullable=column.nullable, unique=table.key == (column.name,)
                ),
                tags={"tolerance": column.tolerance.name},
            )
            for column in table.columns
        ]
    )


def asset_spec(
    stored: StoredTable,
    *,
    group: str,
    code_version: str,
    deps: Iterable[dg.AssetDep | dg.AssetKey] = (),
    tags: Mapping[str, str] | None = None,
    kinds: set[str] | None = None,
    description: str | None = None,
    freshness_policy: dg.FreshnessPolicy | None = None,
) -> dg.AssetSpec:
    """The Dagster spec of a stored table."""
    lineage = column_lineage(stored)
    return dg.AssetSpec(
        asset_key(stored),
        deps=list(deps),
        description=description or stored.table.description,
        group_name=group,
        owners=[OWNERS[group]],
        code_version=code_version,
        tags={"setbull/stage": group, **(tags or {})},
        kinds={"parquet", *(kinds or set())},
        metadata={
            "dagster/column_schema": column_schema(stored.table),
            "dagster/table_name": stored.name,
            "key": ", ".join(stored.table.key),
            **({"dagster/column_lineage": lineage} if lineage else {}),
        },
        freshness_policy=freshness_policy,
    )


def days_of(
    context: dg.AssetExecutionContext, warehouse: Warehouse, settings: Settings
) -> list[datetime.date]:
    """The trading days of this run, one or a range.

    Raises dg.Failure where a whole day is asked for whose session has not closed, and where a session under way is
    asked for that is over or further on than the run's moment: whatever launched the run, a finished day stays so.
    """
    days = _asked_days(context)
    clock, moment = now(), as_of(context)
    if moment is None:
        _refuse_unfinished(days, clock)
        return days
    (day,) = days
    margin = settings.aggregation.bar_minutes
    reason = None
    if NSE.has_closed(day, clock, margin):
        reason = f"the session of {day} has closed at {clock:%Y-%m-%d %H:%M}"
    elif clock.replace(tzinfo=None) < moment:
        reason = f"{moment:%H:%M} of {day} has not come at {clock:%Y-%m-%d %H:%M}"
    else:
        reason = further_on(day, moment, warehouse)
    if reason:
        raise dg.Failure(
            f"tag {AS_OF_TAG}: found {moment:%Y-%m-%d %H:%M}, but {reason}; nothing was changed. To compute the whole "
            f"day once it has closed, run: setbull run --from {day} --to {day}",
            allow_retries=False,
        )
    return days


def _asked_days(context: dg.AssetExecutionContext) -> list[datetime.date]:
    """The partitions that the run names.

    They need not be those of this process: a program can name any, and the UI offers those it has loaded.
    """
    asked = context.op_execution_context.partition_key_range
    known = context.assets_def.partitions_def
    for key in (asked.start, asked.end):
        if not known.has_partition_key(key):
            first, last = known.get_first_partition_key(), known.get_last_partition_key()
            raise dg.Failure(
                f"partition: found {key}, expected a session from {first}, the first of the input, to {last}; reload "
                "the code location to see these in the UI",
                allow_retries=False,
            )
    return [datetime.date.fromisoformat(key) for key in context.partition_keys]


def _refuse_unfinished(days: Iterable[datetime.date], clock: datetime.datetime) -> None:
    """Without a moment that a run looks at, a day is a whole one: a half or future one would be untrue."""
    unfinished = [day for day in days if not NSE.has_closed(day, clock)]
    if unfinished:
        raise dg.Failure(
            f"the session of {unfinished[0]} has not closed at {clock:%Y-%m-%d %H:%M}: choose earlier sessions; "
            f"the job {INTRADAY_JOB_NAME} refreshes a session under way",
            allow_retries=False,
        )


def as_of(context: dg.AssetExecutionContext) -> datetime.datetime | None:
    """The moment (exchange time, without zone) at which a run looks at the session under way; None: at whole days.

    Raises dg.Failure when the moment lies on another day than the run's partition.
    """
    text = context.run.tags.get(AS_OF_TAG)
    if text is None:
        return None
    moment = datetime.datetime.fromisoformat(text)
    day = context.run.tags.get(PARTITION_TAG)
    if moment.date().isoformat() != day:
        raise dg.Failure(
            f"tag {AS_OF_TAG}: found {text}, expected a moment of the run's partition {day}",
            allow_retries=False,
        )
    return moment


def pointer_metadata(pointer: Pointer) -> dict[str, dg.MetadataValue]:
    """What a reader of one partition wants to know."""
    metadata = {
        "dagster/partition_row_count": dg.MetadataValue.int(pointer.rows),
        "content hash": dg.MetadataValue.text(pointer.content_hash),
        "code version": dg.MetadataValue.text(pointer.code_version),
        "settings hash": dg.MetadataValue.text(pointer.settings_hash),
    }
    if pointer.cost:
        metadata["rows read"] = dg.MetadataValue.int(pointer.cost.input_rows)
        metadata["seconds when computed"] = dg.MetadataValue.float(round(pointer.cost.seconds, 4))
        if pointer.cost.seconds:
            rate = pointer.cost.input_rows / pointer.cost.seconds
            metadata["rows read per second"] = dg.MetadataValue.int(round(rate))
    if MARK in pointer.inputs:
        metadata["computed for instruments"] = dg.MetadataValue.text(pointer.inputs[MARK])
    if AS_OF in pointer.inputs:
        metadata["session under way, as of"] = dg.MetadataValue.text(pointer.inputs[AS_OF])
    if pointer.failures:
        metadata["instruments failed"] = dg.MetadataValue.int(len(pointer.failures))
    if pointer.note:
        metadata["note"] = dg.MetadataValue.text(pointer.note)
    return metadata


def first_rows(stored: StoredTable, partition: str, warehouse: Warehouse) -> dg.MetadataValue:
    """The first rows of a published partition as a table of text."""
    return dg.MetadataValue.md(
        preview(warehouse.first_rows(stored, partition, _ROWS_SHOWN), stored.table)
    )


def needs_warehouse(settings: Settings) -> dict[str, object]:
    """The resources of every asset and check; ``duckdb`` is the catalog, for assets that are written in SQL."""
    return {
        "warehouse": _warehouse_resource(settings),
        "duckdb": CatalogResource(database=str(catalog_path(settings))),
    }


def _warehouse_resource(settings: Settings) -> WarehouseResource:
    return WarehouseResource(
        root=str(warehouse_root(settings)),
        keep_versions=settings.storage.keep_versions,
        remote=settings.storage.remote,
        decoded_cache_mib=settings.processing.decoded_cache_mib,
        workers=settings.processing.workers,
    )
