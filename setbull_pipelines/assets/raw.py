"""The lanes of what comes in: intake of the source, and the raw tables of each trading day.

Belongs here: the raw assets, and bringing up what a later lane finds missing of them. Does not belong here: reading and
judging rows (``sources/``).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date

import dagster as dg

from setbull_pipelines import tables
from setbull_pipelines.assets.checking import check_specs
from setbull_pipelines.assets.common import (
    WHOLE_RANGE,
    asset_key,
    asset_spec,
    completeness_of,
    days_of,
    first_rows,
    freshness,
)
from setbull_pipelines.assets.fetched import FETCHED_KEY
from setbull_pipelines.assets.lane import INTAKE, RAW, Lane, report_whole
from setbull_pipelines.pipeline import raw
from setbull_pipelines.pipeline.engine import PartitionResult
from setbull_pipelines.pipeline.look_back import needs_of
from setbull_pipelines.pipeline.references import references_of
from setbull_pipelines.pipeline.steps import STEPS, Step
from setbull_pipelines.pipeline.versions import raw_code_version
from setbull_pipelines.pipeline.what_to_fetch import is_source
from setbull_pipelines.quality.revisions import REVISIONS, markdown
from setbull_pipelines.rollout.bucketing import Variant
from setbull_pipelines.rollout.stages import Component, Stage
from setbull_pipelines.settings import Settings
from setbull_pipelines.sources.found_files import NoInput
from setbull_pipelines.sources.intake import Intake
from setbull_pipelines.sources.landing import DamagedLanding
from setbull_pipelines.warehouse.pointers import WHOLE, Pointer, StoredTable
from setbull_pipelines.warehouse.resources import WarehouseResource
from setbull_pipelines.warehouse.store import Warehouse

GROUP = "raw"
_OF_CANDLES = (tables.CANDLES_1MIN, tables.CANDLES_DAILY_HISTORY)
_CHANGES_SHOWN = 20
_COVERAGE = StoredTable("raw", tables.COVERAGE)


class _Landed:
    """What the last run of this process found landed, so that its lanes read the source once and all see the same."""

    def __init__(self) -> None:
        self._run_id: str | None = None
        self._intake: Intake | None = None

    def known(self, run_id: str) -> Intake | None:
        """What the run has read; None before it did."""
        return self._intake if self._run_id == run_id else None

    def read(self, run_id: str, settings: Settings) -> Intake:
        """What has landed. Raises NoInput, DamagedLanding."""
        if self.known(run_id) is None:
            self._intake, self._run_id = raw.read_sources(settings), run_id
        return self._intake


LANDED = _Landed()


@contextmanager
def reading_as_failure() -> Iterator[None]:
    """What is damaged in the landing stays damaged, and an input without candles has none: one sentence, no retry."""
    try:
        yield
    except (DamagedLanding, NoInput) as error:
        raise dg.Failure(str(error), allow_retries=False) from error


def bring_up_intake(lane: Lane, settings: Settings) -> None:
    """Publish what intake tells of the whole source, where it never was. Raises dg.Failure."""
    if lane.warehouse.pointer(_COVERAGE, WHOLE) is None:
        with reading_as_failure():
            landed = LANDED.read(lane.context.run_id, settings)
            _publish_intake(lane.context, landed, lane.warehouse, settings)


def bring_up_days(lane: Lane, days: Collection[date], settings: Settings) -> None:
    """Publish the raw tables of ``days`` that are missing; those out of date too, where the run has read the source.

    Reading a large source takes seconds, so that a lane which finds all days there does not read it only to learn that
    nothing has changed. Raises dg.Failure.
    """
    store, run_id = lane.warehouse, lane.context.run_id
    wanted = sorted(days)
    if LANDED.known(run_id) is None:
        wanted = [day for day in wanted if not _is_stored(day, store)]
    if wanted:
        with reading_as_failure():
            publication = raw.RawDays(LANDED.read(run_id, settings), store, settings, run_id)
            lane.bring_along(raw.DAY_TABLES, publication.over(wanted))


def _looked_back_at(
    context: dg.AssetExecutionContext, days: Collection[date], store: Warehouse, settings: Settings
) -> set[date]:
    """The days before ``days`` that computed tables of the same run are made from; of V1 cut back, as of all of it."""
    made = set(context.op_execution_context.job_def.asset_layer.executable_asset_keys)
    asked = [
        (variant.value, [step for step in STEPS if _is_any_of(variant, step, made)])
        for variant in Variant
    ]
    in_full = dict.fromkeys(Component, Stage.SHADOW)
    needs = needs_of(asked, days, in_full, settings, references_of(store))
    return set(needs.raw).difference(days)


def _is_any_of(variant: Variant, step: Step, made: Collection[dg.AssetKey]) -> bool:
    return any(asset_key(StoredTable(variant.value, table)) in made for table in step.outputs)


def _is_stored(day: date, store: Warehouse) -> bool:
    return all(store.pointer(stored, day.isoformat()) for stored in raw.DAY_TABLES)


def _publish_intake(
    context: dg.AssetExecutionContext, intake: Intake, store: Warehouse, settings: Settings
) -> dict[str, Pointer]:
    pointers = raw.publish_intake(intake, store, settings, context.run_id)
    report_whole(context, raw.WHOLE_TABLES, pointers)
    return pointers


def _with_revisions(
    context: dg.AssetExecutionContext, store: Warehouse, results: Iterator[PartitionResult]
) -> Iterator[PartitionResult]:
    """The results as they come; the revisions of each day are logged as a report. Raises dg.Failure for a damage."""
    with reading_as_failure():
        for result in results:
            key = result.day.isoformat()
            if asset_key(REVISIONS) in context.selected_asset_keys:
                text = markdown(store.read(REVISIONS, [key]), _CHANGES_SHOWN)
                context.add_asset_metadata(
                    {"corrections": dg.MetadataValue.md(text)},
                    asset_key=asset_key(REVISIONS),
                    partition_key=key,
                )
            yield result


def build_raw_assets(
    settings: Settings, sessions: dg.StaticPartitionsDefinition
) -> list[dg.AssetsDefinition]:
    """Intake (unpartitioned) and the raw tables of each trading day."""
    version, fresh = raw_code_version(), freshness(settings)
    fetched = [FETCHED_KEY] if is_source(settings) else []

    def specs(stored: Sequence[StoredTable], deps: Sequence[dg.AssetKey]) -> list[dg.AssetSpec]:
        return [
            asset_spec(each, group=GROUP, code_version=version, deps=deps, freshness_policy=fresh)
            for each in stored
        ]

    @dg.multi_asset(
        name=INTAKE,
        specs=specs(raw.WHOLE_TABLES, fetched),
        check_specs=check_specs(raw.WHOLE_TABLES),
        can_subset=True,
    )
    def intake(context: dg.AssetExecutionContext, warehouse: WarehouseResource):
        """Read the configured source once and publish files, instruments, coverage and corporate actions."""
        store = warehouse.open()
        lane = Lane(context, store, settings)
        if context.selected_asset_keys:
            with reading_as_failure():
                landed = LANDED.read(context.run_id, settings)
                pointers = _publish_intake(context, landed, store, settings)
            for stored in filter(lane.is_selected, raw.WHOLE_TABLES):
                pointer = pointers[stored.table.name]
                yield lane.materialized(
                    stored, pointer, {"preview": first_rows(stored, WHOLE, store)}
                )
        yield from lane.end()

    @dg.multi_asset(
        name=RAW,
        specs=specs(raw.DAY_TABLES, [asset_key(StoredTable("raw", tables.INTAKE))]),
        check_specs=check_specs(raw.DAY_TABLES),
        partitions_def=sessions,
        backfill_policy=WHOLE_RANGE,
        can_subset=True,
    )
    def raw_lane(context: dg.AssetExecutionContext, warehouse: WarehouseResource):
        """Publish candles, quarantine, accounting and revisions of each trading day."""
        store = warehouse.open()
        lane = Lane(context, store, settings)

        def describe(result: PartitionResult, stored: StoredTable) -> Mapping[str, object]:
            if stored.table not in _OF_CANDLES:
                return {}
            return completeness_of(stored, result.day, store, settings)

        if context.selected_asset_keys:
            days = days_of(context, store, settings)
            bring_up_intake(lane, settings)
            with reading_as_failure():
                landed = LANDED.read(context.run_id, settings)
            # Before the days of the run, so that the last of these is the latest that the UI shows.
            bring_up_days(lane, _looked_back_at(context, days, store, settings), settings)
            publication = raw.RawDays(landed, store, settings, context.run_id)
            results = _with_revisions(context, store, publication.over(days))
            yield from lane.part(raw.DAY_TABLES, lambda: results, describe=describe)
        yield from lane.end()

    return [intake, raw_lane]
