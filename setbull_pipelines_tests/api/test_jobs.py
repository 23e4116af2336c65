"""The paths that start a job: through Dagster's webserver, or a sentence with the command."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from setbull_pipelines import tables
from setbull_pipelines.api import shapes
from setbull_pipelines.pipeline.serving import served_table
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines_tests.api.answers import data, sentence
from setbull_pipelines_tests.api.running import (
    PREFIX,
    Webserver,
    keys_of,
    serving,
    webserver,
    with_dagster,
)
from setbull_pipelines_tests.pipeline.small_run import SmallRun

RUN = f"{PREFIX}/filter-pipeline/run"
STORE = f"{PREFIX}/historical-data/batch-store"


@pytest.fixture
def dagster(grouped_run: SmallRun) -> Iterator[Webserver]:
    with webserver(grouped_run.settings.data_directory) as state:
        yield state


@pytest.fixture
def client(grouped_run: SmallRun, dagster: Webserver) -> Iterator[httpx.Client]:
    with serving(with_dagster(grouped_run.settings, dagster.url)) as asked:
        yield asked


def test_a_finished_run_is_answered_with_its_result(
    client: httpx.Client, dagster: Webserver, grouped_run: SmallRun
) -> None:
    inner = data(client.post(RUN))
    shapes.FilterRunAnswer.model_validate(inner)
    day = grouped_run.days[-1].isoformat()
    assert (inner["status"], inner["run_id"], inner["day"]) == ("success", "new", day)
    (launched,) = dagster.launched
    assert launched["selector"]["jobName"] == "daily"
    assert launched["executionMetadata"]["tags"] == [{"key": "dagster/partition", "value": day}]

    rows = grouped_run.warehouse.read(served_table(tables.FILTER_RESULTS), [day])
    metrics = inner["data"]["metrics"]
    assert metrics["total_stocks"] == len(rows) == 12
    assert metrics["bullish_stocks"] == (rows["verdict"] == "bullish").sum()
    assert metrics["basic_filter_pass"] == rows["basic_passed"].sum()
    assert metrics["processing_time_ms"] == 1500
    minutes = grouped_run.warehouse.read(StoredTable("raw", tables.CANDLES_1MIN), [day])
    universe = grouped_run.warehouse.read(StoredTable("raw", tables.INSTRUMENTS))
    listed = [*(inner["data"]["bullish_stocks"] or []), *(inner["data"]["bearish_stocks"] or [])]
    assert len(listed) == rows["verdict"].isin(["bullish", "bearish"]).sum() >= 1
    for stock in listed:
        (row,) = rows[rows["instrument_key"] == stock["Stock"]["instrumentKey"]].to_dict("records")
        assert stock["ClosePrice"] == stock["LastCandle"]["close"] == row["close"]
        assert stock["IsBullish"] is (row["verdict"] == "bullish")
        assert stock["SequenceAnalysis"]["TotalMambaDays"] == row["mamba_count"]
        analysis = stock["SequenceAnalysis"]
        assert analysis["Stock"] == stock["Stock"]
        lengths = [run["Length"] for run in analysis["Sequences"]]
        assert [len(run["Moves"]) for run in analysis["Sequences"]] == lengths
        assert sum(lengths) == len(analysis["Trend"]["EMAValues"]) == 21
        assert analysis["CurrentSequence"] == analysis["Sequences"][-1]
        moves = [move for run in analysis["Sequences"] for move in run["Moves"]]
        assert [move["Date"] for move in moves] == sorted({move["Date"] for move in moves})
        assert moves[-1]["Date"] == day
        assert moves[-1]["ClosePrice"] == stock["ClosePrice"]
        assert sum(move["IsMamba"] for move in moves) == row["mamba_count"]
        assert {run["Type"] for run in analysis["Sequences"] if run["Moves"][0]["IsMamba"]} == {
            "MAMBA"
        }
        assert stock["FilterReasons"]["mamba_filter"] == row["mamba_reason"]
        (last,) = (
            minutes[minutes["instrument_key"] == row["instrument_key"]].tail(1).to_dict("records")
        )
        assert stock["LastPrice"] == stock["Stock"]["lastPrice"] == last["close"]
        assert stock["LastVolume"] == last["volume"]
        (known,) = universe[universe["instrument_key"] == row["instrument_key"]].to_dict("records")
        assert stock["Stock"] == stock["Stock"] | {
            "symbol": known["symbol"],
            "tradingSymbol": known["symbol"],
            "exchange": "NSE",
            "instrumentType": known["series"],
        }
        # What nobody has stored is not invented.
        nothing = ("id", "securityId", "isSelected", "createdAt")
        assert [stock["Stock"][name] for name in nothing] == [None] * 4
        assert stock["FilterResults"] == dict.fromkeys(stock["FilterResults"], True)

    keys, unknown = keys_of(grouped_run)[:3], "NSE_EQ|INE000000000"
    some = data(client.post(RUN, json={"instrumentKeys": [*keys, unknown], "day": day}))
    assert some["data"]["metrics"]["total_stocks"] == 3
    assert (some["unknown"], inner["unknown"]) == ([unknown], [])


def test_a_run_that_takes_longer_is_answered_with_its_id(
    client: httpx.Client, dagster: Webserver
) -> None:
    dagster.statuses = ["STARTED"]
    inner = data(client.post(RUN), 202)
    shapes.FilterRunAnswer.model_validate(inner)
    assert (inner["status"], inner["run_id"], inner["data"]) == ("started", "new", None)


def test_asking_twice_is_one_run(client: httpx.Client, dagster: Webserver) -> None:
    dagster.under_way = ["earlier"]
    assert data(client.post(RUN))["run_id"] == "earlier"
    assert dagster.launched == []


def test_a_run_that_failed_says_where_to_look(client: httpx.Client, dagster: Webserver) -> None:
    dagster.statuses = ["STARTED", "FAILURE"]
    expected = f"run new ended with FAILURE; see {dagster.url}/runs/new"
    assert sentence(client.post(RUN), 500) == expected


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        ({"folder": "/elsewhere"}, "works on another data folder than"),
        ({"is_daemon_healthy": False}, "the Dagster daemon does not run"),
        ({"jobs": ("other",)}, "has no job daily"),
    ],
)
def test_where_no_run_could_end_the_command_is_named(
    client: httpx.Client,
    dagster: Webserver,
    grouped_run: SmallRun,
    broken: dict[str, object],
    expected: str,
) -> None:
    for name, value in broken.items():
        setattr(dagster, name, value)
    said = sentence(client.post(RUN), 503)
    assert expected in said
    day = grouped_run.days[-1]
    assert said.endswith(f"do it without: setbull run --from {day} --to {day}")
    assert dagster.launched == []


def test_without_a_webserver_the_command_is_named(grouped_run: SmallRun) -> None:
    with serving(with_dagster(grouped_run.settings, "http://127.0.0.1:9")) as client:
        said = sentence(client.post(RUN), 503)
        assert said.startswith("no Dagster webserver answers at http://127.0.0.1:9 (ConnectError)")
        body = {"interval": "day", "fromDate": "2026-06-01", "toDate": "2026-06-30"}
        assert sentence(client.post(STORE, json=body), 503).endswith("without: setbull run")


def test_taking_in_says_what_is_there_afterwards(
    client: httpx.Client, dagster: Webserver, grouped_run: SmallRun
) -> None:
    key, unknown = keys_of(grouped_run)[0], "NSE_EQ|INE000000000"
    first, last = grouped_run.days[0].isoformat(), grouped_run.days[-1].isoformat()
    body = {
        "instrumentKeys": [key, unknown, key],
        "interval": "5minute",
        "fromDate": first,
        "toDate": last,
    }
    inner = data(client.post(STORE, json=body))
    shapes.StoreAnswer.model_validate(inner)
    assert (inner["job"], dagster.launched[0]["selector"]["jobName"]) == ("intake", "intake")
    rows = grouped_run.warehouse.read(served_table(tables.CANDLES_5MIN), instrument_keys=[key])
    details = inner["data"]["details"]
    assert [each["instrumentKey"] for each in details] == [key, unknown]
    assert details[0]["recordsStored"] == len(rows) > 100
    assert details[0]["status"] == "success"
    assert details[1] == {
        "instrumentKey": unknown,
        "status": "error",
        "recordsStored": 0,
        "message": f"{unknown} is not among the instruments; raw.instruments lists them",
    }
    assert (inner["data"]["processedItems"], inner["data"]["failedItems"]) == (2, 1)
    of_all = data(client.post(STORE, json=body | {"instrumentKeys": []}))["data"]
    assert of_all["successfulItems"] == 12


@pytest.mark.parametrize(
    ("interval", "stored"),
    [
        ("3minute", StoredTable("raw", tables.CANDLES_1MIN)),
        ("30minute", served_table(tables.CANDLES_5MIN)),
        ("month", StoredTable("raw", tables.CANDLES_DAILY_HISTORY)),
    ],
)
def test_of_bars_that_are_made_those_are_counted_that_make_them(
    client: httpx.Client, grouped_run: SmallRun, interval: str, stored: StoredTable
) -> None:
    key, day = keys_of(grouped_run)[0], grouped_run.days[-1].isoformat()
    body = {"instrumentKeys": [key], "interval": interval, "fromDate": day, "toDate": day}
    (detail,) = data(client.post(STORE, json=body))["data"]["details"]
    rows = grouped_run.warehouse.read(stored, [day], instrument_keys=[key])
    assert (detail["status"], detail["recordsStored"]) == ("success", len(rows))
    assert len(rows) >= 1
