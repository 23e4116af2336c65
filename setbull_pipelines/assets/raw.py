"""Assets of what comes in: intake of the source, and the raw tables of each trading day.

Belongs here: the raw assets. Does not belong here: reading and judging rows (``sources/``).
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import dagster as dg

from setbull_pipelines import tables
from setbull_pipelines.assets.common import (
    TRADING_DAYS,
    WHOLE_RANGE,
    asset_key,
    asset_spec,
    completeness_of,
    days_of,
    first_rows,
    freshness,
    pointer_metadata,
    report,
)
from setbull_pipelines.assets.fetched import FETCHED_KEY
from setbull_pipelines.pipeline import fetching, raw
from setbull_pipelines.pipeline.engine import PartitionResult
from setbull_pipelines.pipeline.versions import raw_code_version
from setbull_pipelines.quality.revisions import REVISIONS, markdown
from setbull_pipelines.settings import Settings
from setbull_pipelines.sources.landing import DamagedLanding
from setbull_pipelines.warehouse.pointers import WHOLE, StoredTable
from setbull_pipelines.warehouse.resources import WarehouseResource
from setbull_pipelines.warehouse.store import Warehouse

GROUP = "raw"
_OF_CANDLES = (tables.CANDLES_1MIN, tables.CANDLES_DAILY_HISTORY)
_CHANGES_SHOWN = 20


@contextmanager
def _damage_as_failure() -> Iterator[None]:
    """What is damaged in the landing stays damaged: one sentence, and no retry."""
    try:
        yield
    except DamagedLanding as error:
        raise dg.Failure(str(error), allow_retries=False) from error


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
    version, fresh = raw_code_version(), freshness(settings)
    fetched = [FETCHED_KEY] if fetching.is_source(settings) else []

    @dg.multi_asset(
        name="raw__intake",
        specs=[
            asset_spec(
                stored, group=GROUP, code_version=version, deps=fetched, freshness_policy=fresh
            )
            for stored in raw.WHOLE_TABLES
        ],
    )
    def intake(context: dg.AssetExecutionContext, warehouse: WarehouseResource):
        """Read the configured source once and publish files, instruments, coverage and corporate actions."""
        store = warehouse.open()
        with _damage_as_failure():
            sources = raw.read_sources(settings)
            pointers = raw.publish_intake(sources, store, settings, context.run_id)
        for stored in raw.WHOLE_TABLES:
            pointer = pointers[stored.table.name]
            yield dg.MaterializeResult(
                asset_key=asset_key(stored),
                metadata=pointer_metadata(pointer) | {"preview": first_rows(stored, WHOLE, store)},
                data_version=dg.DataVersion(pointer.input_hash),
            )

    upstream = [asset_key(StoredTable("raw", tables.INTAKE))]

    @dg.multi_asset(
        name="raw__day",
        specs=[
            asset_spec(
                stored, group=GROUP, code_version=version, deps=upstream, freshness_policy=fresh
            )
            for stored in raw.DAY_TABLES
        ],
        partitions_def=TRADING_DAYS,
        backfill_policy=WHOLE_RANGE,
    )
    def raw_day(context: dg.AssetExecutionContext, warehouse: WarehouseResource):
        """Publish candles, quarantine, accounting and revisions of each trading day."""
        store = warehouse.open()
        days = days_of(context, store, settings)
        publication = raw.RawDays(raw.read_sources(settings), store, settings, context.run_id)

        def describe(result: PartitionResult, stored: StoredTable) -> Mapping[str, object]:
            if stored.table not in _OF_CANDLES:
                return {}
            return completeness_of(stored, result.day, store, settings)

        results = _with_revisions(context, store, publication.over(days))
        with _damage_as_failure():
            yield from report(context, raw.DAY_TABLES, results, store, describe)

    return [intake, raw_day]
