"""The asset that holds stored files against their hashes, and takes damaged ones out of the catalog.

Belongs here: its definition and metadata. Does not belong here: which files, and how they are made again
(``pipeline/scrubbing.py``).
"""

import datetime

import dagster as dg

from setbull_pipelines import tables
from setbull_pipelines.assets.checking import check_specs
from setbull_pipelines.assets.common import asset_key, asset_spec
from setbull_pipelines.assets.lane import Lane
from setbull_pipelines.pipeline import scrubbing
from setbull_pipelines.pipeline.catalog import UNREADABLE, refresh_catalog, stored_tables
from setbull_pipelines.pipeline.comparing_days import SUMMARY
from setbull_pipelines.pipeline.daily_reports import REPORT
from setbull_pipelines.pipeline.opening import now
from setbull_pipelines.pipeline.serving import served_table
from setbull_pipelines.pipeline.versions import code_version
from setbull_pipelines.quality.groups import PLAN
from setbull_pipelines.quality.rollout_log import LOG
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.resources import WarehouseResource
from setbull_pipelines.warehouse.store import Warehouse

SCRUB_KEY = asset_key(scrubbing.STORED)
ALL_FILES_TAG = "setbull/scrub"
"""On runs that verify all files; others verify what was published since the last scrub."""


def scrub_stored_files(
    warehouse: Warehouse,
    settings: Settings,
    moment: datetime.datetime,
    run_id: str,
    all_files: bool,
) -> scrubbing.Scrub:
    """Scrub (``pipeline/scrubbing.py``), and rebuild the catalog where a file was damaged."""
    found = scrubbing.scrub(warehouse, stored_tables(), settings, moment, run_id, all_files)
    if found.damages:
        refresh_catalog(warehouse, settings)
    return found


def build_scrub_asset(settings: Settings) -> dg.AssetsDefinition:
    """Replaces ``operations.scrub``; a damaged file is a stored row and a failed check, not a failed run."""
    spec = asset_spec(
        scrubbing.STORED,
        group="operations",
        code_version=code_version("warehouse", "pipeline/scrubbing.py"),
        deps=[
            asset_key(SUMMARY),
            asset_key(LOG),
            asset_key(REPORT),
            *(asset_key(served_table(table)) for table in tables.SERVED_TABLES),
            asset_key(PLAN),
        ],
    )

    @dg.multi_asset(
        name="scrubbing",
        specs=[spec],
        check_specs=check_specs([scrubbing.STORED]),
        can_subset=True,
    )
    def scrub(context: dg.AssetExecutionContext, warehouse: WarehouseResource):
        store = warehouse.open()
        lane = Lane(context, store, settings)
        if context.selected_asset_keys:
            all_files = ALL_FILES_TAG in context.run.tags
            try:
                found = scrub_stored_files(store, settings, now(), context.run_id, all_files)
            except UNREADABLE as error:
                raise dg.Failure(
                    f"the catalog could not be rebuilt without damaged files: {error}",
                    allow_retries=False,
                ) from error
            sentences = [damage.sentence for damage in found.damages]
            yield lane.made(
                SCRUB_KEY,
                {
                    "files verified": found.verified,
                    "files left for the next scrub": found.left,
                    "files damaged": len(sentences),
                    "files still damaged": sum(
                        damage.reason is not None for damage in found.damages
                    ),
                    "damage": dg.MetadataValue.md(
                        "\n".join(f"- {text}" for text in sentences) or "none"
                    ),
                },
            )
        yield from lane.end()

    return scrub
