"""The asset that puts small files together, deletes what nobody needs any more, and keeps the limits of disk space.

Belongs here: the maintenance asset. Does not belong here: which versions are kept (``warehouse/``), what is given up
(``pipeline/evicting.py``), which runs are deleted (``forgetting``).
"""

import datetime

import dagster as dg

from setbull_pipelines.assets.describing import OWNERS
from setbull_pipelines.assets.forgetting import forget_error_logs, forget_runs
from setbull_pipelines.pipeline.catalog import refresh_catalog
from setbull_pipelines.pipeline.evicting import Eviction, Stored, evict
from setbull_pipelines.pipeline.fetching import remove_expired
from setbull_pipelines.pipeline.opening import now
from setbull_pipelines.pipeline.versions import code_version
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.resources import WarehouseResource
from setbull_pipelines.warehouse.store import Warehouse

MAINTENANCE_KEY = dg.AssetKey(["operations", "maintenance"])


def build_maintenance_asset(settings: Settings) -> dg.AssetsDefinition:
    """Keeps the last versions of every partition, and answers of the broker for their retention."""

    @dg.asset(
        key=MAINTENANCE_KEY,
        group_name="operations",
        owners=[OWNERS["operations"]],
        kinds={"parquet"},
        config_schema={},
        code_version=code_version("warehouse", "sources/upstox"),
        description="Puts days gone by that lie in many files together, deletes versions of partitions beyond "
        "storage.keep_versions and leftovers of crashed writers an hour after they were needed, answers of "
        "the broker past upstox.retention_days, and runs of Dagster past storage.runs_days. Current versions stay, "
        "except of tables of V1 and V2 beyond storage.intermediate_limit_mib and storage.intermediate_days.",
    )
    def maintenance(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource
    ) -> dg.MaterializeResult:
        moment = now()
        store = warehouse.open()
        eviction = keep_limits(store, settings, moment, context.run_id)
        merged = put_together(store, settings, moment)
        return dg.MaterializeResult(
            metadata={
                "files written of days put together": merged,
                "files deleted": store.collect_garbage(),
                "answers of the broker deleted": remove_expired(settings, moment.date()),
                "runs deleted": forget_runs(context.instance, settings, moment),
                "tracebacks deleted": forget_error_logs(settings, moment),
                **(_described(eviction, settings, moment) if eviction else {}),
            }
        )

    return maintenance


def keep_limits(
    warehouse: Warehouse, settings: Settings, moment: datetime.datetime, run_id: str
) -> Eviction | None:
    """Give up what the limits of disk space do not allow, and take it out of the catalog; None without limits.

    The bytes go with the next ``Warehouse.collect_garbage``.
    """
    eviction = evict(warehouse, settings, moment, run_id)
    # What is left of files that held evicted days too is written anew, so that their bytes can go.
    if eviction and eviction.evicted and not put_together(warehouse, settings, moment):
        refresh_catalog(warehouse, settings)
    return eviction


def put_together(warehouse: Warehouse, settings: Settings, moment: datetime.datetime) -> int:
    """Put days gone by that lie in many files together, for readers of SQL too; how many files were written."""
    written = warehouse.merge(moment.date().isoformat())
    if written:
        refresh_catalog(warehouse, settings)
    return written


def sentence(eviction: Eviction, settings: Settings) -> str:
    """What was given up and what is left, in one line."""
    limit = settings.storage.intermediate_limit_mib
    freed = sum(each.size_bytes for each in eviction.evicted)
    text = (
        f"disk: {len(eviction.evicted):,} partitions of V1 and V2 removed ({_mebibytes(freed)}), "
        f"{_mebibytes(eviction.bytes_left)} left"
    )
    if limit and eviction.bytes_left > limit * 2**20:
        text += (
            f", more than storage.intermediate_limit_mib ({limit:,}): {_mebibytes(eviction.bytes_that_stay)} "
            "are needed by coming or unfinished sessions"
        )
    return text


def _described(
    eviction: Eviction, settings: Settings, moment: datetime.datetime
) -> dict[str, object]:
    by_table: dict[str, list[Stored]] = {}
    for each in eviction.evicted:
        by_table.setdefault(each.stored.name, []).append(each)
    lines = [
        f"| {name} | {len(found)} | {_mebibytes(sum(each.size_bytes for each in found))} "
        f"| {_hours(moment, found[-1])} to {_hours(moment, found[0])} h |"
        for name, found in sorted(by_table.items())
    ]
    head = ["| table | partitions | size | last used before |", "|---|---|---|---|"]
    return {
        "partitions evicted": len(eviction.evicted),
        "bytes evicted": sum(each.size_bytes for each in eviction.evicted),
        "bytes of V1 and V2 left": eviction.bytes_left,
        "disk space": sentence(eviction, settings),
        **({"evicted by table": dg.MetadataValue.md("\n".join(head + lines))} if lines else {}),
    }


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB"


def _hours(moment: datetime.datetime, each: Stored) -> str:
    return f"{(moment - each.last_used).total_seconds() / 3600:,.0f}"
