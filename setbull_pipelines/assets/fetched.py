"""The asset that fetches candles from the broker.

Belongs here: its definition and metadata, and the moment. Does not belong here: fetching
(``pipeline/fetching.py``), reading what was fetched (``raw.py``).
"""

from collections.abc import Iterable, Iterator

import dagster as dg
from pydantic import Field

from setbull_pipelines.assets.checking import check_specs
from setbull_pipelines.assets.common import as_of, asset_key, asset_spec, pointer_metadata
from setbull_pipelines.assets.describing import OWNERS
from setbull_pipelines.assets.lane import Lane, report_besides
from setbull_pipelines.market.calendar import OutsideCoverage
from setbull_pipelines.pipeline import fetching, what_to_fetch
from setbull_pipelines.pipeline.opening import now
from setbull_pipelines.settings import Settings
from setbull_pipelines.sources.upstox.calls import MINUTE, CallFailed
from setbull_pipelines.sources.upstox.master import InvalidMaster
from setbull_pipelines.warehouse.resources import WarehouseResource

FETCHED_KEY = dg.AssetKey(["raw", "fetched"])
FETCHES_KEY = asset_key(fetching.STORED)
_SHOWN = 20


class FetchConfig(dg.Config):
    """How far back a fetch completes candles."""

    sessions: int = Field(
        default=0,
        ge=0,
        le=5_000,
        description="Sessions to keep complete, of minutes and of daily bars; 0: the settings upstox.days and "
        "upstox.daily_days. What was received before is never asked for again.",
    )


def build_fetched_asset(settings: Settings) -> dg.AssetsDefinition:
    """Completes the candle files of the broker; an instrument that failed is a stored row, not a failed run."""
    version = fetching.fetching_code_version()

    @dg.multi_asset(
        name="fetched",
        # What was received is kept, so that only the rest is asked for again.
        retry_policy=dg.RetryPolicy(
            max_retries=settings.runs.fetch_retries,
            delay=settings.runs.fetch_retry_seconds,
            backoff=dg.Backoff.EXPONENTIAL,
        ),
        specs=[
            dg.AssetSpec(
                FETCHED_KEY,
                group_name="raw",
                owners=[OWNERS["raw"]],
                code_version=version,
                tags={"setbull/stage": "raw"},
                kinds={"parquet", "api"},
                description="Candle files of what the broker answered, in the folder 'fetched' of the data folder: "
                "one per session of minutes and one per month of daily bars. Name the folder as input to use them.",
            ),
            asset_spec(
                fetching.STORED, group="operations", code_version=version, deps=[FETCHED_KEY]
            ),
        ],
        check_specs=check_specs([fetching.STORED]),
        can_subset=True,
    )
    def fetched(
        context: dg.AssetExecutionContext, config: FetchConfig, warehouse: WarehouseResource
    ):
        lane = Lane(context, warehouse.open(), settings)
        if context.selected_asset_keys:
            yield from _fetched(lane, config, settings)
        yield from lane.end()

    return fetched


def _fetched(lane: Lane, config: FetchConfig, settings: Settings) -> Iterator[dg.MaterializeResult]:
    context = lane.context
    # Imported here: the HTTP library takes longer to load than all definitions of the project should.
    from setbull_pipelines.sources.upstox.client import InvalidToken

    is_under_way = as_of(context) is not None
    listed = "not asked for"
    if settings.upstox.refresh_instruments and not is_under_way:
        try:
            refreshed = what_to_fetch.refresh_instruments(settings, now)
            listed = f"{refreshed.stocks:,} stocks, {refreshed.with_derivatives:,} with derivatives"
        except (CallFailed, InvalidMaster) as error:
            # Candles of the instruments known before are worth more than none.
            listed = f"stays as it was: {error}"
            context.log.error(f"the list of instruments {listed}")
    try:
        instruments = what_to_fetch.configured_instruments(settings)
    except what_to_fetch.NoInstruments as error:
        if _comes_along_only(context, settings):
            nothing = fetching.Fetched((), {}, None)
            yield from _told(lane, nothing, f"nothing was asked for: {error}", settings)
            return
        raise dg.Failure(str(error), allow_retries=False) from None
    sessions = what_to_fetch.configured_sessions(settings.upstox)
    if config.sessions:
        sessions = dict.fromkeys(sessions, config.sessions)
    if is_under_way:
        sessions = {MINUTE: sessions[MINUTE]}
    try:
        outcome = fetching.fetch(instruments, sessions, settings, now, also_open=is_under_way)
    except (InvalidToken, OutsideCoverage) as error:
        raise dg.Failure(str(error), allow_retries=False) from None
    yield from _told(lane, outcome, listed, settings)
    if outcome.stopped:
        raise dg.Failure(outcome.stopped, allow_retries=False)


def _told(
    lane: Lane, outcome: fetching.Fetched, listed: str, settings: Settings
) -> Iterator[dg.MaterializeResult]:
    """Store what became of each instrument, and say it of the selected assets."""
    context = lane.context
    pointer = fetching.publish_fetch(outcome, lane.warehouse, settings, context.run_id)
    files = outcome.files.values()
    made = {
        FETCHED_KEY: {
            "folder": dg.MetadataValue.path(str(what_to_fetch.fetched_directory(settings))),
            "list of instruments": listed,
            "candles received": sum(result.candles for result in outcome.results),
            "requests": sum(result.requests for result in outcome.results),
            "files written": sum(of_interval.written for of_interval in files),
            "files unchanged": sum(of_interval.unchanged for of_interval in files),
            "damaged answers removed": sum(len(of_interval.damaged) for of_interval in files),
        },
        FETCHES_KEY: pointer_metadata(pointer)
        | {status: outcome.count(status) for status in fetching.FETCH_STATES}
        | {"failed, the first": _first_failed(outcome.results)},
    }
    for key, metadata in made.items():
        if key in context.selected_asset_keys:
            yield lane.made(key, metadata)
        else:
            report_besides(context, [dg.AssetMaterialization(key, metadata=metadata)])


def _comes_along_only(context: dg.AssetExecutionContext, settings: Settings) -> bool:
    """Whether the run is about other assets too, of a folder that no list of the broker's instruments is named for.

    Who materializes everything in the UI does not mean to ask a broker that was never set up.
    """
    selected = context.run.asset_selection or set()
    others = selected - {FETCHED_KEY, FETCHES_KEY}
    return (
        bool(others) and not settings.upstox.instruments and not what_to_fetch.is_source(settings)
    )


def _first_failed(results: Iterable[fetching.FetchResult]) -> dg.MetadataValue:
    """The first requests that failed, as a table."""
    failed = [result for result in results if result.status == fetching.FAILED]
    names = ("instrument_key", "interval", "reason")
    return dg.MetadataValue.table(
        [
            dg.TableRecord({name: getattr(result, name) for name in names})
            for result in failed[:_SHOWN]
        ],
        dg.TableSchema([dg.TableColumn(name) for name in names]),
    )
