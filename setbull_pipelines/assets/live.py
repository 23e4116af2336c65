"""The assets of live bars: the log of events, and sending it to receivers.

Belongs here: their definitions and metadata. Does not belong here: which events there are, sending (``pipeline/``),
readers of the API (``api/stream.py``).
"""

import dagster as dg

from setbull_pipelines.assets.common import WHOLE_RANGE, as_of, asset_key, asset_spec, days_of
from setbull_pipelines.assets.lane import Lane
from setbull_pipelines.pipeline import candle_events, candle_receivers
from setbull_pipelines.pipeline.candle_events import EVENTS
from setbull_pipelines.pipeline.candle_receivers import RECEIVERS
from setbull_pipelines.pipeline.engine import PartitionResult
from setbull_pipelines.pipeline.opening import now
from setbull_pipelines.pipeline.serving import served_table
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.resources import WarehouseResource
from setbull_pipelines.warehouse.store import Warehouse

GROUP = "operations"


def build_live_assets(
    settings: Settings, sessions: dg.StaticPartitionsDefinition
) -> list[dg.AssetsDefinition]:
    """``operations/candle_events`` of each session, and ``operations/candle_receivers``, which sends them."""

    @dg.multi_asset(
        name=EVENTS.table.name,
        specs=[
            asset_spec(
                EVENTS,
                group=GROUP,
                code_version=candle_events.events_code_version(),
                deps=[asset_key(served_table(table)) for table in candle_events.READ],
            )
        ],
        partitions_def=sessions,
        backfill_policy=WHOLE_RANGE,
        can_subset=True,
    )
    def events(context: dg.AssetExecutionContext, warehouse: WarehouseResource):
        """Sessions that were never refreshed while they traded have no events."""
        store = warehouse.open()
        lane = Lane(context, store, settings)
        days = days_of(context, store, settings)
        is_under_way = as_of(context) is not None

        def describe(result: PartitionResult, stored: StoredTable) -> dict[str, object]:
            return {"last event": candle_events.last_event(store)}

        yield from lane.part(
            [EVENTS],
            lambda: candle_events.record(days, store, settings, context.run_id, is_under_way),
            describe=describe,
        )
        yield from lane.end()

    @dg.multi_asset(
        name=RECEIVERS.table.name,
        specs=[
            asset_spec(
                RECEIVERS,
                group=GROUP,
                code_version=candle_receivers.receiving_code_version(),
                deps=[asset_key(EVENTS)],
            )
        ],
        can_subset=True,
    )
    def receivers(warehouse: WarehouseResource):
        """Send what is new; a receiver that is down fails no run, and the sensor of the alerts tries it again."""
        store = warehouse.open()
        sent = candle_receivers.send_due(store, settings, now)
        yield dg.MaterializeResult(asset_key(RECEIVERS), metadata=_figures(store, settings, sent))

    return [events, receivers]


def _figures(
    store: Warehouse, settings: Settings, sent: list[candle_receivers.Sent]
) -> dict[str, object]:
    """How many events each receiver still lacks, and why."""
    last, places = candle_events.last_event(store), candle_receivers.read_receivers(store)
    names = [name for name in candle_receivers.receivers_of(settings) if name in places]
    return {
        "receivers": len(candle_receivers.receivers_of(settings)),
        "events sent": sum(each.events for each in sent),
        **{f"events that {name} lacks": last - places[name].delivered_event for name in names},
        **{f"why {name} lacks them": error for name in names if (error := places[name].last_error)},
        "dagster/row_count": len(places),
    }
