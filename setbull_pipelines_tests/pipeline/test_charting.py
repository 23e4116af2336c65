"""What is drawn of a day: the instrument that is chosen, and only stored rows of it."""

from __future__ import annotations

import datetime

import dagster as dg
import pandas as pd
import pytest

from setbull_pipelines import tables
from setbull_pipelines.assets.charts import build_chart_assets
from setbull_pipelines.assets.common import needs_warehouse
from setbull_pipelines.assets.partitions import trading_days
from setbull_pipelines.pipeline.charting import (
    NothingToDraw,
    bars_of_session,
    chosen_instrument,
    daily_bars,
    verdicts,
    widths,
)
from setbull_pipelines.pipeline.serving import served_table
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.errors import MissingPartition
from setbull_pipelines.warehouse.pointers import WHOLE, StoredTable

INDICATORS = tables.INDICATORS_5MIN
INSTRUMENTS = StoredTable("raw", tables.INSTRUMENTS)


def test_a_symbol_and_its_key_choose_the_same_instrument(small_run) -> None:
    store, day = small_run.warehouse, small_run.days[-1]
    served = store.read(served_table(INDICATORS), [day.isoformat()])
    key = served["instrument_key"].iloc[-1]
    names = store.read(INSTRUMENTS, [WHOLE]).set_index("instrument_key")["symbol"]
    by_key, by_symbol = (
        chosen_instrument(INDICATORS, wanted, day, store) for wanted in (key, names[key])
    )
    assert by_key == by_symbol
    assert by_key.name == f"{names[key]} ({key})"
    (variant,) = served.loc[served["instrument_key"] == key, "variant"].unique()
    assert by_key.variant == variant


def test_without_a_choice_the_day_decides(small_run) -> None:
    store, day = small_run.warehouse, small_run.days[-1]
    results = store.read(served_table(tables.FILTER_RESULTS), [day.isoformat()])
    passing = results[results["verdict"].isin(["bullish", "bearish"])]
    chosen = chosen_instrument(INDICATORS, "", day, store).key
    if len(passing):
        most = passing["mamba_count"].max()
        assert chosen == min(passing.loc[passing["mamba_count"] == most, "instrument_key"])
    else:
        candles = store.read(served_table(tables.CANDLES_DAILY), [day.isoformat()])
        value = candles["close"] * candles["volume"]
        assert value[candles["instrument_key"] == chosen].max() == value.max()


def test_an_unknown_instrument_or_day_is_refused_in_words(small_run) -> None:
    store, day = small_run.warehouse, small_run.days[-1]
    with pytest.raises(NothingToDraw, match="found 'NOBODY', expected a symbol"):
        chosen_instrument(INDICATORS, "NOBODY", day, store)
    with pytest.raises(MissingPartition):
        chosen_instrument(INDICATORS, "", datetime.date(2026, 11, 20), store)


def test_rows_are_those_of_one_instrument_up_to_the_day(small_run) -> None:
    store, day = small_run.warehouse, small_run.days[-1]
    of = chosen_instrument(INDICATORS, "", day, store)
    session = bars_of_session(of, day, store)
    assert set(session["instrument_key"]) == {of.key}
    assert session["timestamp"].dt.date.unique().tolist() == [day]
    daily = daily_bars(of, day, 30, store)
    assert 10 < len(daily) <= 30
    assert daily["series"].nunique() == 1
    assert daily["timestamp"].dt.date.max() == day
    assert daily["bb_upper"].notna().any()
    narrow, _ = widths(of, day, 30, store)
    assert set(narrow["instrument_key"]) == {of.key}
    assert narrow["trading_day"].max().date() == day
    before = small_run.days[0]
    assert verdicts(before, 30, store)["trading_day"].max().date() == before
    assert verdicts(day, 1, store)["trading_day"].nunique() == 1


def test_the_first_rows_are_those_of_the_whole_partition(small_run) -> None:
    store, key = small_run.warehouse, small_run.days[-1].isoformat()
    for table in (INDICATORS, tables.FILTER_RESULTS, tables.SEQUENCE_ANALYSIS):
        stored = served_table(table)
        whole = store.read(stored, [key])
        pd.testing.assert_frame_equal(store.first_rows(stored, key, 5), whole.head(5))
        pd.testing.assert_frame_equal(store.first_rows(stored, key, 10**6), whole)


@pytest.mark.parametrize("config", [{}, {"instrument": "NOBODY"}], ids=["default", "unknown"])
def test_charts_are_drawn_of_the_last_day_or_say_why_not(small_run, config) -> None:
    charts = build_chart_assets(trading_days(Settings()))
    # All but the funnel can be asked for an instrument.
    chosen = {chart.op.name: {"config": config} for chart in charts[:3]} if config else {}
    first, last = (day.isoformat() for day in (small_run.days[0], small_run.days[-1]))
    result = dg.materialize(
        charts,
        resources=needs_warehouse(small_run.settings),
        run_config={"ops": chosen},
        tags={
            "dagster/asset_partition_range_start": first,
            "dagster/asset_partition_range_end": last,
        },
        instance=dg.DagsterInstance.ephemeral(),
    )
    assert result.success
    for chart in charts:
        by_day = {
            event.partition: event.materialization.metadata
            for event in result.get_asset_materialization_events()
            if event.asset_key == chart.key
        }
        assert set(by_day) == {day.isoformat() for day in small_run.days}
        assert "chart" not in by_day[first]
        said = by_day[last]["chart"].value
        if config and chart in charts[:3]:
            assert said.startswith("not drawn: instrument: found 'NOBODY'")
        else:
            assert said.startswith("![chart of "), said
            assert by_day[last]["size [bytes]"].value < 30_000
