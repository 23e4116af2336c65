"""Assets of what comes in: intake of the source, and the raw tables of each trading day.

Belongs here: the raw assets. Does not belong here: reading and judging rows (``sources/``).
"""

import datetime
from collections.abc import Iterable, Iterator
from zoneinfo import ZoneInfo

import dagster as dg

from setbull_pipelines import tables
from setbull_pipelines.assets.common import (
    TRADING_DAYS,
    WHOLE_RANGE,
    asset_key,
    asset_spec,
    days_of,
    pointer_metadata,
    report,
)
from setbull_pipelines.pipeline import raw
from setbull_pipelines.pipeline.engine import PartitionResult
from setbull_pipelines.pipeline.versions import raw_code_version
from setbull_pipelines.quality.revisions import REVISIONS, markdown
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables.contract import INDIA
from setbull_pipelines.warehouse.resources import WarehouseResource
from setbull_pipelines.warehouse.store import StoredTable, Warehouse

GROUP = "raw"
_CHANGES_SHOWN = 20


def _refuse_future(days: list[datetime.date]) -> None:
    """A future session can be selected in the UI; storing it as a day without rows would be untrue."""
    today = datetime.datetime.now(ZoneInfo(INDIA)).date()
    future = [day for day in days if day > today]
    if future:
        raise dg.Failure(
            f"{future[0]} lies in the future (today is {today}): choose sessions up to today",
            allow_retries=False,
        )


def _with_revisions(
    context: dg.AssetExecutionContext, store: Warehouse, results: Iterable[PartitionResult]
) -> Iterator[PartitionResult]:
    """The results as they come; the revisions of each day are told as a report."""
    for result in results:
        key = result.day.isoformat()
        text = markdown(store.read(REVISIONS, [key]), _CHANGES_SHOWN)
        context.add_asset_metadata(
            {"corrections": dg.MetadataValue.md(text)},
            asset_key=asset_key(REVISIONS),
            partition_key=key,
        )
        yield result


def build_raw_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """Intake (unpartitioned) and the raw tables of each trading day."""
    version = raw_code_version()

    @dg.multi_asset(
        name="raw__intake",
        specs=[
            asset_spec(stored, group=GROUP, code_version=version) for stored in raw.WHOLE_TABLES
        ],
    )
    def intake(context: dg.AssetExecutionContext, warehouse: WarehouseResource):
        """Read the configured source once and publish files, instruments, coverage and corporate actions."""
        pointers = raw.publish_intake(
            raw.read_sources(settings), warehouse.open(), settings, context.run_id
        )
        for stored in raw.WHOLE_TABLES:
            pointer = pointers[stored.table.name]
            yield dg.MaterializeResult(
                asset_key=asset_key(stored),
                metadata=pointer_metadata(pointer),
                data_version=dg.DataVersion(pointer.input_hash),
            )

    upstream = [asset_key(StoredTable("raw", tables.INTAKE))]

    @dg.multi_asset(
        name="raw__day",
        specs=[
            asset_spec(stored, group=GROUP, code_version=version, deps=upstream)
            for stored in raw.DAY_TABLES
        ],
        partitions_def=TRADING_DAYS,
        backfill_policy=WHOLE_RANGE,
    )
    def raw_day(context: dg.AssetExecutionContext, warehouse: WarehouseResource):
        """Publish candles, quarantine, accounting and revisions of each trading day."""
        days = days_of(context)
        _refuse_future(days)
        store = warehouse.open()
        publication = raw.RawDays(raw.read_sources(settings), store, settings, context.run_id)
        results = _with_revisions(context, store, publication.over(days))
        yield from report(context, raw.DAY_TABLES, results)

    return [intake, raw_day]
