"""Assets that are pictures of served tables, for people who look at the UI.

Belongs here: their definitions and what can be chosen in the launchpad. Does not belong here: reading
(``pipeline/charting.py``), drawing (``pictures/``).

They are assets of their own and not metadata of the served tables: readers wait for those, and a picture that cannot
be drawn must not fail them. A picture is kept in Dagster's event log for ever, so a run draws that of its last day.
"""

import datetime
from collections.abc import Callable

import dagster as dg
from pydantic import Field

from setbull_pipelines import tables
from setbull_pipelines.assets.common import WHOLE_RANGE, asset_key
from setbull_pipelines.assets.describing import OWNERS, link
from setbull_pipelines.pictures.drawing import image
from setbull_pipelines.pipeline import charting
from setbull_pipelines.pipeline.serving import served_table
from setbull_pipelines.pipeline.versions import code_version
from setbull_pipelines.tables import Table
from setbull_pipelines.warehouse.resources import WarehouseResource
from setbull_pipelines.warehouse.store import Warehouse

GROUP = "charts"


class InstrumentConfig(dg.Config):
    """The instrument that a chart is drawn of."""

    instrument: str = Field(
        default="",
        description="Symbol or instrument key, such as RELIANCE or NSE_EQ|INE002A01018. Empty: the first of the day's "
        "bullish and bearish stocks, else the one with the highest traded value.",
    )


class HistoryConfig(InstrumentConfig):
    """The instrument that a chart is drawn of, and how far back."""

    sessions: int = Field(
        default=120,
        ge=2,
        le=500,
        description="Sessions drawn, the last one included; fewer where fewer are stored.",
    )


class FunnelConfig(dg.Config):
    """How far back the funnel is drawn."""

    sessions: int = Field(
        default=60,
        ge=1,
        le=250,
        description="Served sessions drawn, the last one included; fewer where fewer were served.",
    )


def build_chart_assets(sessions: dg.StaticPartitionsDefinition) -> list[dg.AssetsDefinition]:
    """One asset per picture."""
    return [_session(sessions), _daily(sessions), _squeeze(sessions), _funnel(sessions)]


def _session(sessions: dg.StaticPartitionsDefinition) -> dg.AssetsDefinition:
    table = tables.INDICATORS_5MIN

    @_chart(
        sessions,
        "five_minute_candles",
        (tables.CANDLES_5MIN, table),
        "Candles of one instrument and session with Bollinger bands (mean of 20 closes, 2 population deviations) in "
        "rupees, the volume in shares, and the width of the bands in percent of their mean.",
    )
    def five_minute_candles(
        context: dg.AssetExecutionContext, config: InstrumentConfig, warehouse: WarehouseResource
    ) -> dg.MaterializeResult:
        from setbull_pipelines.pictures.market import candle_chart

        def draw(day: datetime.date, store: Warehouse) -> tuple[bytes, str]:
            of = charting.chosen_instrument(table, config.instrument, day, store)
            return candle_chart(charting.bars_of_session(of, day, store), of.name), _told(of)

        return _drawn(context, warehouse.open(), draw)

    return five_minute_candles


def _daily(sessions: dg.StaticPartitionsDefinition) -> dg.AssetsDefinition:
    table = tables.INDICATORS_DAILY

    @_chart(
        sessions,
        "daily_candles",
        (tables.CANDLES_DAILY, table),
        "Daily candles of one instrument with Bollinger bands in rupees, the volume in shares, and the width of the "
        "bands in percent of their mean: of one series, in prices of their own days, without corporate actions.",
    )
    def daily_candles(
        context: dg.AssetExecutionContext, config: HistoryConfig, warehouse: WarehouseResource
    ) -> dg.MaterializeResult:
        from setbull_pipelines.pictures.market import candle_chart

        def draw(day: datetime.date, store: Warehouse) -> tuple[bytes, str]:
            of = charting.chosen_instrument(table, config.instrument, day, store)
            bars = charting.daily_bars(of, day, config.sessions, store)
            return candle_chart(bars, of.name), _told(of)

        return _drawn(context, warehouse.open(), draw)

    return daily_candles


def _squeeze(sessions: dg.StaticPartitionsDefinition) -> dg.AssetsDefinition:
    table = tables.BB_WIDTH_ALERTS

    @_chart(
        sessions,
        "squeeze_history",
        (table,),
        "How narrow the Bollinger bands of one instrument were in every session, in rupees: narrowest, 10th "
        "percentile, mean and widest of the five-minute bars, and the lowest width that alerts are held against.",
    )
    def squeeze_history(
        context: dg.AssetExecutionContext, config: HistoryConfig, warehouse: WarehouseResource
    ) -> dg.MaterializeResult:
        from setbull_pipelines.pictures.market import squeeze_chart

        def draw(day: datetime.date, store: Warehouse) -> tuple[bytes, str]:
            of = charting.chosen_instrument(table, config.instrument, day, store)
            widths, lowest = charting.widths(of, day, config.sessions, store)
            if widths["p10_bb_width"].isna().all():
                raise charting.NothingToDraw(
                    f"{of.name}: no session up to {day} has a band, nothing to draw"
                )
            return squeeze_chart(widths, lowest, of.name), _told(of)

        return _drawn(context, warehouse.open(), draw)

    return squeeze_history


def _funnel(sessions: dg.StaticPartitionsDefinition) -> dg.AssetsDefinition:
    @_chart(
        sessions,
        "filter_funnel",
        (tables.FILTER_RESULTS,),
        "How many instruments passed each filter stage on the day, and at which stage how many stopped on every "
        "served session, in percent.",
    )
    def filter_funnel(
        context: dg.AssetExecutionContext, config: FunnelConfig, warehouse: WarehouseResource
    ) -> dg.MaterializeResult:
        from setbull_pipelines.pictures.decisions import funnel_chart

        def draw(day: datetime.date, store: Warehouse) -> tuple[bytes, str]:
            rows = charting.verdicts(day, config.sessions, store)
            if rows.empty:
                raise charting.NothingToDraw(f"no verdict up to {day}, nothing to draw")
            return funnel_chart(rows), "all instruments"

        return _drawn(context, warehouse.open(), draw)

    return filter_funnel


def _chart(
    sessions: dg.StaticPartitionsDefinition, name: str, of: tuple[Table, ...], description: str
) -> Callable:
    # The instrument is chosen from the verdicts, or the traded values, of the day.
    read = dict.fromkeys((*of, tables.CANDLES_DAILY, tables.FILTER_RESULTS))
    sources = " and ".join(link("served", table) for table in of)
    return dg.asset(
        key=dg.AssetKey([GROUP, name]),
        deps=[asset_key(served_table(table)) for table in read],
        group_name=GROUP,
        owners=[OWNERS[GROUP]],
        kinds={"matplotlib"},
        tags={"setbull/stage": GROUP},
        code_version=code_version("pictures", "pipeline/charting.py"),
        description=f"{description}\n\n**From** {sources}, earlier sessions from the variant that serves the "
        "instrument. A run over several days draws the last one. The launchpad chooses the instrument.",
        partitions_def=sessions,
        backfill_policy=WHOLE_RANGE,
    )


def _told(instrument: charting.Instrument) -> str:
    return f"{instrument.name}, served from {instrument.variant.upper()}"


def _drawn(
    context: dg.AssetExecutionContext,
    warehouse: Warehouse,
    draw: Callable[[datetime.date, Warehouse], tuple[bytes, str]],
) -> dg.MaterializeResult:
    """Draw the last day of the run; where there is nothing to draw, say why."""
    day = datetime.date.fromisoformat(context.partition_keys[-1])
    try:
        png, told = draw(day, warehouse)
        found = {
            "chart": dg.MetadataValue.md(image(f"chart of {day}", png)),
            "drawn of": told,
            "size [bytes]": len(png),
        }
    except charting.NothingToDraw as error:
        found = {"chart": f"not drawn: {error}"}
    context.add_asset_metadata(found, partition_key=day.isoformat())
    return dg.MaterializeResult(
        metadata={"day drawn": f"{day}, the last of the run: open its partition"}
    )
