"""The band-width dashboard against the table of the monitor, and whether the server is up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import httpx
import pandas as pd
import pytest

from setbull_pipelines import tables
from setbull_pipelines.api import band_shapes, bands
from setbull_pipelines.pipeline.serving import served_table
from setbull_pipelines.settings import GroupSettings
from setbull_pipelines_tests.api.answers import UNKNOWN, data, sentence
from setbull_pipelines_tests.api.running import PREFIX, keys_of, serving
from setbull_pipelines_tests.pipeline.small_run import SmallRun
from setbull_pipelines_tests.stored import damage

BBW = f"{PREFIX}/bbw"
ALERTS = served_table(tables.BB_WIDTH_ALERTS)


@pytest.fixture(scope="module")
def everyone(small_run: SmallRun) -> Iterator[httpx.Client]:
    """A server without groups, which monitors all stocks."""
    settings = replace(small_run.settings, groups=GroupSettings())
    with serving(settings) as asked:
        yield asked


@pytest.fixture(scope="module")
def grouped(grouped_run: SmallRun) -> Iterator[httpx.Client]:
    """A server with one stock in a group that trades the band range."""
    with serving(grouped_run.settings) as asked:
        yield asked


def rows_of(run: SmallRun, *days: object) -> pd.DataFrame:
    wanted = [f"{day}" for day in days or run.days[-1:]]
    rows = run.warehouse.read(ALERTS, wanted)
    return rows[rows["bb_width"].notna()]


def told(answer: httpx.Response) -> dict:
    assert answer.status_code == 200, answer.text
    document = answer.json()
    assert document["success"] is True
    return document


def test_rows_are_those_of_the_monitor_under_the_old_names(
    everyone: httpx.Client, small_run: SmallRun
) -> None:
    document = told(everyone.get(f"{BBW}/dashboard-data"))
    band_shapes.BandRows.model_validate(document)
    stored = rows_of(small_run)
    assert len(document["data"]) == len(stored) > 1
    bar = timedelta(minutes=5)
    for row, monitor in zip(document["data"], stored.itertuples(), strict=True):
        assert row["instrument_key"] == monitor.instrument_key
        assert row["current_bb_width"] == pytest.approx(monitor.bb_width, abs=5.1e-5)
        assert row["historical_min_bb_width"] == pytest.approx(monitor.lowest_bb_width, abs=5.1e-5)
        assert row["contracting_sequence_count"] == monitor.contracting_bands
        assert row["bb_width_trend"] == monitor.bb_width_trend
        assert row["pattern_strength"] == monitor.pattern_strength
        assert row["alert_triggered"] is not pd.isna(monitor.alert_rule)
        assert datetime.fromisoformat(row["timestamp"]) == monitor.last_band + bar
        if row["alert_triggered"]:
            assert datetime.fromisoformat(row["alert_triggered_at"]) == monitor.alert_bar + bar
    latest = told(everyone.get(f"{BBW}/latest-day-data"))
    assert (latest["data"], latest["count"]) == (document["data"], len(stored))
    active = told(everyone.get(f"{BBW}/alerts/active"))
    assert active["data"] == [row for row in document["data"] if row["alert_triggered"]]
    page = everyone.get(f"{BBW}/dashboard-data", params={"limit": 1, "offset": 1})
    assert page.json()["data"] == document["data"][1:2]


def test_only_stocks_of_band_range_groups_are_monitored_where_there_are_such(
    grouped: httpx.Client, grouped_run: SmallRun
) -> None:
    key, other = keys_of(grouped_run)[:2]
    document = told(grouped.get(f"{BBW}/dashboard-data"))
    assert [row["instrument_key"] for row in document["data"]] == [key]
    alone = told(grouped.get(f"{BBW}/stocks", params={"instrument_key": key}))
    assert alone["data"] == document["data"][0]
    # Asked for by name, others are told too.
    found = told(grouped.get(f"{BBW}/stocks", params={"instrument_key": other}))
    assert found["data"]["instrument_key"] == other
    unknown = grouped.get(f"{BBW}/stocks", params={"instrument_key": UNKNOWN})
    assert sentence(unknown, 404).startswith(f"{UNKNOWN} is not among the instruments")
    assert told(grouped.get(f"{BBW}/stats"))["data"]["total_stocks"] == 1


def test_the_history_of_a_stock_is_one_row_a_session(
    everyone: httpx.Client, small_run: SmallRun
) -> None:
    key = keys_of(small_run)[0]
    symbol = key.partition("|")[2]
    document = told(everyone.get(f"{BBW}/stocks/{symbol}/history"))
    stored = rows_of(small_run, *small_run.days)
    stored = stored[stored["instrument_key"] == key]
    assert document["count"] == len(document["data"]) == len(stored) == 2
    moments = [row["timestamp"][:10] for row in document["data"]]
    assert moments == [day.isoformat() for day in small_run.days]
    assert (document["instrument_key"], document["days"]) == (key, 7)
    one = told(everyone.get(f"{BBW}/stocks/x/history", params={"instrument_key": key, "days": 1}))
    assert one["data"] == document["data"][-1:]
    nobody = everyone.get(f"{BBW}/stocks/NOBODY/history")
    assert sentence(nobody, 404).startswith("symbol 'NOBODY' is not among the instruments")


def test_alerts_come_newest_first_by_their_old_types(
    everyone: httpx.Client, small_run: SmallRun
) -> None:
    document = told(everyone.get(f"{BBW}/alerts/history"))
    band_shapes.BandAlertHistory.model_validate(document)
    stored = rows_of(small_run, *small_run.days)
    stored = stored[stored["alert_rule"].notna()]
    assert document["total"] == document["count"] == len(stored) > 2
    moments = [event["timestamp"] for event in document["data"]]
    assert moments == sorted(moments, reverse=True)
    kind = document["data"][0]["alert_type"]
    symbol = document["data"][-1]["symbol"]
    for asked, expected in (
        ({"limit": 2}, document["data"][:2]),
        ({"alert_type": kind}, [e for e in document["data"] if e["alert_type"] == kind]),
        ({"symbol": symbol}, [e for e in document["data"] if e["symbol"] == symbol]),
    ):
        found = told(everyone.get(f"{BBW}/alerts/history", params=asked))
        assert found["data"] == expected
        assert (found["count"], found["total"]) == (len(expected), document["total"])
    wrong = everyone.get(f"{BBW}/alerts/history", params={"alert_type": "loud"})
    assert sentence(wrong).startswith("query.alert_type")


def test_numbers_over_all_stocks(everyone: httpx.Client, small_run: SmallRun) -> None:
    stored = rows_of(small_run)
    stats = told(everyone.get(f"{BBW}/stats"))
    band_shapes.BandStats.model_validate(stats)
    statistics = told(everyone.get(f"{BBW}/statistics"))
    band_shapes.BandStatistics.model_validate(statistics)
    for found in (stats["data"], statistics["data"]):
        assert found["total_stocks"] == len(stored)
        assert found["min_bb_width"] == pytest.approx(stored["bb_width"].min(), abs=5.1e-5)
        assert found["avg_bb_width"] == pytest.approx(stored["bb_width"].mean(), abs=5.1e-5)
    assert stats["data"]["alerted_stocks"] == stored["alert_rule"].notna().sum()
    assert len(stats["data"]["recent_alerts"]) <= 5
    trends = statistics["data"]["trend_distribution"]
    assert sum(trends.values()) == len(stored)
    assert sum(statistics["data"]["alert_distribution"].values()) == stats["data"]["alerted_stocks"]
    assert statistics["data"]["squeeze_opportunities"] == stored["is_squeeze"].sum()


@pytest.mark.parametrize(
    ("moment", "is_open", "hours"),
    [
        ("2026-06-30T15:29:59+05:30", True, "09:15 - 15:30 IST"),
        ("2026-06-30T15:30:00+05:30", False, "09:15 - 15:30 IST"),
        ("2026-06-30T18:30:00+05:30", False, "09:15 - 15:30 IST"),
        ("2026-06-28T11:00:00+05:30", False, None),
        ("2099-01-01T11:00:00+05:30", False, None),
    ],
)
def test_the_status_of_the_market_follows_the_calendar(
    everyone: httpx.Client,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
    is_open: bool,
    hours: str | None,
) -> None:
    now = datetime.fromisoformat(moment)
    monkeypatch.setattr(bands, "now", lambda: now)
    answer = everyone.get(f"{BBW}/market-status")
    document = told(answer)
    band_shapes.MarketStatus.model_validate(document)
    status = document["data"]
    assert (status["market_open"], status["market_hours"]) == (is_open, hours)
    assert status["current_time"] == moment[:19].replace("T", " ")
    assert status["last_data_timestamp"] == "2026-06-30T15:30:00+05:30"
    age = now - datetime.fromisoformat(status["last_data_timestamp"])
    assert status["last_data_age_minutes"] == int(age.total_seconds() // 60)
    assert answer.headers["cache-control"] == "no-store"


def test_up_is_not_yet_ready(small_run: SmallRun, copied_run: SmallRun, tmp_path) -> None:
    with serving(replace(small_run.settings, data_directory=tmp_path / "empty")) as empty:
        assert data(empty.get(f"{PREFIX}/health"))["status"] == "UP"
        nothing = "nothing is served yet; run: setbull run"
        assert sentence(empty.get(f"{PREFIX}/ready"), 503) == nothing
        assert sentence(empty.get(f"{BBW}/dashboard-data"), 503) == nothing
    day = copied_run.days[-1].isoformat()
    with serving(copied_run.settings) as client:
        up = data(client.get(f"{PREFIX}/ready"))
        assert up["status"] == "UP"
        assert datetime.fromisoformat(up["time"]).utcoffset() == timedelta(hours=5.5)
        damage(copied_run.warehouse, served_table(tables.FILTER_RESULTS), day)
        assert sentence(client.get(f"{PREFIX}/ready"), 503)
        assert data(client.get(f"{PREFIX}/health"))["status"] == "UP"
