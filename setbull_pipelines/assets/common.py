"""What all assets share: the partitions, the column schema of the UI, and reporting of partitions.

Belongs here: translation between the project's terms and Dagster's. Does not belong here: single assets.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import dagster as dg

from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.pipeline.engine import PartitionResult
from setbull_pipelines.pipeline.lanes import MARK
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables import Table
from setbull_pipelines.warehouse.resources import WarehouseResource
from setbull_pipelines.warehouse.store import Pointer, StoredTable

# Static keys from the calendar, not a daily definition with exclusions: Dagster writes the definition with
# its 1,400 closed days (135 KB) into the event log for every check of every partition.
TRADING_DAYS = dg.StaticPartitionsDefinition(
    [day.isoformat() for day in NSE.trading_days(NSE.first_day, NSE.last_day)]
)
WHOLE_RANGE = dg.BackfillPolicy.single_run()


def warehouse_root(settings: Settings) -> Path:
    """Folder of the partition files."""
    return settings.data_directory / "warehouse"


def catalog_path(settings: Settings) -> Path:
    """The DuckDB file of views for notebooks, BI tools and ``setbull sql``."""
    return settings.data_directory / "setbull.duckdb"


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
) -> dg.AssetSpec:
    """The Dagster spec of a stored table."""
    return dg.AssetSpec(
        asset_key(stored),
        deps=list(deps),
        description=description or stored.table.description,
        group_name=group,
        code_version=code_version,
        tags={"setbull/stage": group, **(tags or {})},
        kinds={"parquet", *(kinds or set())},
        metadata={
            "dagster/column_schema": column_schema(stored.table),
            "dagster/table_name": stored.name,
            "key": ", ".join(stored.table.key),
        },
        partitions_def=TRADING_DAYS if stored.table.partitioned else None,
    )


def days_of(context: dg.AssetExecutionContext) -> list[datetime.date]:
    """The trading days of this run, one or a range."""
    return [datetime.date.fromisoformat(key) for key in context.partition_keys]


def pointer_metadata(pointer: Pointer) -> dict[str, dg.MetadataValue]:
    """What a reader of one partition wants to know."""
    metadata = {
        "dagster/partition_row_count": dg.MetadataValue.int(pointer.rows),
        "content hash": dg.MetadataValue.text(pointer.content_hash),
        "code version": dg.MetadataValue.text(pointer.code_version),
        "settings hash": dg.MetadataValue.text(pointer.settings_hash),
    }
    if MARK in pointer.inputs:
        metadata["computed for instruments"] = dg.MetadataValue.text(pointer.inputs[MARK])
    if pointer.failures:
        metadata["instruments failed"] = dg.MetadataValue.int(len(pointer.failures))
    if pointer.note:
        metadata["note"] = dg.MetadataValue.text(pointer.note)
    return metadata


def report(
    context: dg.AssetExecutionContext,
    outputs: Iterable[StoredTable],
    results: Iterable[PartitionResult],
    describe: Callable[[PartitionResult], Mapping[str, object]] = lambda result: {},
) -> Iterator[dg.MaterializeResult]:
    """Drive ``results`` to the end, attach each partition's figures, and materialize ``outputs``.

    ``describe`` adds what only the caller can say about a partition. Days outside the run, which came along because
    the stage changed, are reported each as an event of its own.
    """
    outputs = list(outputs)
    asked = set(context.partition_keys)
    days = cached = 0
    last: PartitionResult | None = None
    rows = dict.fromkeys((stored.table.name for stored in outputs), 0)
    for result in results:
        if result.day.isoformat() not in asked:
            for stored in outputs:
                context.instance.report_runless_asset_event(
                    dg.AssetMaterialization(
                        asset_key(stored),
                        partition=result.day.isoformat(),
                        metadata=pointer_metadata(result.pointers[stored.table.name])
                        | describe(result),
                    )
                )
            continue
        days += 1
        cached += result.cached
        last = result
        for stored in outputs:
            pointer = result.pointers[stored.table.name]
            rows[stored.table.name] += pointer.rows
            context.add_asset_metadata(
                pointer_metadata(pointer)
                | {
                    "from cache": result.cached,
                    "seconds computing": round(result.seconds, 4),
                }
                | describe(result),
                asset_key=asset_key(stored),
                partition_key=result.day.isoformat(),
            )
    for stored in outputs:
        yield dg.MaterializeResult(
            asset_key=asset_key(stored),
            metadata={
                "days in run": days,
                "days from cache": cached,
                "rows in run": rows[stored.table.name],
            },
            data_version=dg.DataVersion(last.pointers[stored.table.name].input_hash)
            if days == 1 and last
            else None,
        )


def needs_warehouse(settings: Settings) -> dict[str, object]:
    """The resources of every asset and check."""
    return {
        "warehouse": WarehouseResource(
            root=str(warehouse_root(settings)), keep_versions=settings.storage.keep_versions
        )
    }
