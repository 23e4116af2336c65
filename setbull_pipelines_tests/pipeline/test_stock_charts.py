"""What the chart of a stock is made of: the rows that are stored, of the sessions that were asked for."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pandas as pd
import pytest

from setbull_pipelines import tables
from setbull_pipelines.pipeline import stock_charts
from setbull_pipelines.pipeline.addresses import chart_address
from setbull_pipelines.pipeline.page_links import Places, chart_path
from setbull_pipelines.pipeline.serving import served_table
from setbull_pipelines.pipeline.stock_charts import NothingToChart, Range, TooLong, gather_chart
from setbull_pipelines.reporting.chart_page import html_chart
from setbull_pipelines.reporting.stock_chart import DAY, FIVE_MINUTES, TIMEFRAMES, StockChart
from setbull_pipelines.settings import ApiSettings, RolloutSettings
from setbull_pipelines.warehouse.pointers import WHOLE, StoredTable
from setbull_pipelines_tests.pipeline.small_run import SmallRun, publish

pytestmark = pytest.mark.run
CANDLES, INDICATORS = tables.CANDLES_DAILY, tables.INDICATORS_DAILY


def chart_of(run: SmallRun, key: str | None = None, asked: Range | None = None) -> StockChart:
    return gather_chart(
        key or first_key(run),
        asked or Range(None, None, None),
        run.warehouse,
        run.settings,
        Places(run.settings, None),
    )


def first_key(run: SmallRun) -> str:
    rows = run.warehouse.read(StoredTable("raw", tables.INSTRUMENTS), [WHOLE])
    return rows["instrument_key"].iloc[0]


def test_it_has_the_stored_bars_of_both_variants(small_run: SmallRun) -> None:
    key, chart = first_key(small_run), chart_of(small_run)
    for variant, found in (("v1", chart.bars[DAY].v1), ("v2", chart.bars[DAY].v2)):
        candles, indicators = (
            small_run.warehouse.read(StoredTable(variant, table), instrument_keys=[key])
            for table in (CANDLES, INDICATORS)
        )
        stored = candles[candles["series"] == chart.series]
        assert found["timestamp"].tolist() == stored["timestamp"].tolist()
        assert found["close"].tolist() == stored["close"].tolist()
        with_rsi = found.dropna(subset=["rsi"])
        expected = indicators[indicators["series"] == chart.series].dropna(subset=["rsi"])
        assert with_rsi["rsi"].tolist() == expected["rsi"].tolist()
        assert len(with_rsi)
    minutes = small_run.warehouse.read(
        StoredTable("v2", tables.CANDLES_5MIN), instrument_keys=[key]
    )
    assert chart.bars[FIVE_MINUTES].v2["close"].tolist() == minutes["close"].tolist()


def test_each_session_has_what_was_decided_on_it(small_run: SmallRun) -> None:
    key, chart = first_key(small_run), chart_of(small_run)
    assert [session.day for session in chart.sessions] == list(small_run.days)
    results = small_run.warehouse.read(served_table(tables.FILTER_RESULTS), instrument_keys=[key])
    for session, row in zip(chart.sessions, results.itertuples(), strict=True):
        assert (session.verdict, session.reason) == (row.verdict, row.reason)
        assert session.served["sequences"] == row.variant
        assert set(session.states.values()) == {"pass"}
        assert set(session.stages) == {"aggregation", "indicators", "sequences"}
        assert session.report == f"/reports/{session.day}#{chart.symbol}"
    assert chart.overview == "/reports/index.html"
    assert chart.is_generated
    assert chart.notes == []


def test_a_range_has_its_sessions_alone_and_a_timeframe_its_bars(small_run: SmallRun) -> None:
    day = small_run.days[-1]
    chart = chart_of(small_run, asked=Range(day, day, None))
    assert (chart.first, chart.last) == (day, day)
    for timeframe in TIMEFRAMES:
        found = chart.bars[timeframe].v1["trading_day"].dt.date.unique()
        assert list(found) == [day]
    assert len(chart.minutes) > 300
    days = chart_of(small_run, asked=Range(None, None, DAY))
    assert list(days.bars) == [DAY]
    assert days.minutes.empty


def test_without_bars_it_says_which_sessions_are_stored(small_run: SmallRun) -> None:
    first = date.fromisoformat(small_run.warehouse.partitions(StoredTable("v1", CANDLES))[0])
    before = first - timedelta(days=9)
    with pytest.raises(NothingToChart) as error:
        chart_of(small_run, asked=Range(before, before, None))
    assert f"has no bars from {before} to {before}, expected a range with some" in str(error.value)
    assert f"sessions from {first} to {small_run.days[-1]} are stored" in str(error.value)
    assert f"the input has them from {first} to {small_run.days[-1]}" in str(error.value)
    with pytest.raises(NothingToChart, match=r"^NSE_EQ\|NOBODY has no bars, .* none at all"):
        chart_of(small_run, "NSE_EQ|NOBODY")


def test_a_page_that_would_be_too_large_is_refused_with_what_to_type(
    small_run: SmallRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = [
        date.fromisoformat(name)
        for name in small_run.warehouse.partitions(StoredTable("v1", CANDLES))
    ]
    monkeypatch.setattr(stock_charts, "MOST_SESSIONS", {DAY: 5, FIVE_MINUTES: 1})
    with pytest.raises(TooLong) as error:
        chart_of(small_run, asked=Range(days[0], days[-1], DAY))
    assert str(error.value) == (
        f"found {len(days)} sessions of daily bars from {days[0]} to {days[-1]}, expected at most 5 on a page: "
        f"--from {days[-5]} --to {days[-1]}"
    )
    with pytest.raises(TooLong, match=rf"from={days[-1]}&to={days[-1]}$"):
        chart_of(small_run, asked=Range(days[-2], days[-1], FIVE_MINUTES, "from={first}&to={last}"))
    both = chart_of(small_run, asked=Range(days[-3], days[-1], None))
    assert len(both.bars[DAY].v1) == 3
    assert list(both.bars[FIVE_MINUTES].v1["trading_day"].dt.date.unique()) == [days[-1]]
    (note,) = both.notes
    assert f"--timeframe 5minute --from {days[-3]} --to {days[-3]}" in note


def test_v2_that_is_not_v1_is_told_and_leads_to_the_difference(copied_run: SmallRun) -> None:
    run, day = copied_run, copied_run.days[-1]
    key, stored = first_key(copied_run), StoredTable("v2", INDICATORS)
    right = run.warehouse.read(stored, [f"{day}"])
    publish(run.warehouse, stored, f"{day}", right.assign(rsi=right["rsi"] * 1.005))
    summary = StoredTable("reconciliation", tables.RECONCILIATION_SUMMARY)
    verdicts = run.warehouse.read(summary, [f"{day}"])
    verdicts.loc[verdicts["table_name"] == INDICATORS.name, "state"] = "diverged"
    publish(run.warehouse, summary, f"{day}", verdicts)
    chart = chart_of(run, key)
    assert chart.sessions[-1].differences == {
        INDICATORS.name: f"/divergence/{INDICATORS.name}/{day}"
    }
    page = html_chart(chart)
    assert "V2 differs from V1" in page
    assert f"1 of {chart.bars[DAY].v1['rsi'].notna().sum()} bars since {day}" in page
    served = replace(run.settings, rollout=RolloutSettings(kill=True))
    killed = gather_chart(key, Range(None, None, None), run.warehouse, served, Places(served, None))
    assert set(killed.sessions[-1].served.values()) == {"v1"}


def test_a_damaged_table_is_left_out_and_told(copied_run: SmallRun) -> None:
    stored = StoredTable("raw", tables.QUARANTINE)
    rows = copied_run.warehouse.read(
        StoredTable("raw", tables.CANDLES_1MIN), [f"{copied_run.days[-1]}"]
    )
    assert len(rows)
    for path in copied_run.warehouse.files(StoredTable("v2", tables.CANDLES_5MIN)):
        path.unlink()
    chart = chart_of(copied_run)
    assert chart.bars[FIVE_MINUTES].v2.empty
    assert len(chart.bars[FIVE_MINUTES].v1)
    assert any(note.startswith("Could not be read: v2.candles_5min") for note in chart.notes)
    assert chart.quarantined.columns.tolist() == stored.table.column_names


def test_quarantined_rows_and_actions_are_those_of_the_stock(copied_run: SmallRun) -> None:
    run, day, key = copied_run, copied_run.days[-1], first_key(copied_run)
    stored = StoredTable("raw", tables.QUARANTINE)
    rows = pd.DataFrame(
        {
            "source": "a.csv",
            "line": [2, 3],
            "trading_day": pd.Timestamp(day),
            "instrument_key": [key, "NSE_EQ|OTHER"],
            "rule": "prices",
            "column": "high",
            "value": "1",
            "reason": "found high 1 below low 2",
            "record": "{}",
        }
    )
    publish(run.warehouse, stored, f"{day}", stored.table.conform(rows))
    chart = chart_of(run, key)
    assert chart.quarantined["instrument_key"].tolist() == [key]
    actions = run.warehouse.read(StoredTable("raw", tables.CORPORATE_ACTIONS), [WHOLE])
    inside = actions[(actions["ex_date"] >= pd.Timestamp(chart.first))]
    of = chart_of(run, inside["instrument_key"].iloc[0])
    assert of.corporate_actions["ratio"].tolist() == inside["ratio"].iloc[:1].tolist()


def test_links_lead_to_what_is_there(small_run: SmallRun) -> None:
    settings, day = small_run.settings, small_run.days[-1]
    reports = settings.data_directory / "reports"
    beside, elsewhere = (
        Places.of_file(folder, settings) for folder in (reports, settings.data_directory)
    )
    assert beside.report(day, "M&M") == f"./{day}.html#M%26M"
    assert elsewhere.report(day) == f"reports/{day}.html"
    assert elsewhere.overview == "reports/index.html"
    assert beside.report(day + timedelta(days=4000)) is None
    assert beside.difference("candles_daily", day) is None
    assert beside.chart("M&M", day) is None
    reached = replace(settings, api=ApiSettings(public_url="http://127.0.0.1:8000"))
    places = Places.of_file(reports, reached)
    assert places.difference("candles_daily", day) == (
        f"http://127.0.0.1:8000/divergence/candles_daily/{day}"
    )
    assert places.chart("M&M", day) == f"http://127.0.0.1:8000/chart/M%26M?to={day}"
    assert chart_address(settings.api, "M&M") is None
    assert Places(settings, None).chart("M&M", day) == f"/chart/M%26M?to={day}"
    assert chart_path(settings, "A/B c").name == "chart-A_B_c.html"
