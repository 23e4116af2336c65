"""Where the input is fetched from the broker: a session is asked for once it was fetched."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime

import dagster as dg
import pandas as pd
import pytest
from dagster import DagsterRunStatus

from setbull_pipelines.assets.common import needs_warehouse
from setbull_pipelines.automation import schedules
from setbull_pipelines.definitions import build_defs
from setbull_pipelines.pipeline.fetching import STORED
from setbull_pipelines.pipeline.opening import warehouse_root
from setbull_pipelines.pipeline.what_to_fetch import fetched_directory
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.pointers import WHOLE
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests.automation.schedules.sessions import (
    BEFORE,
    PARTITION,
    WEDNESDAY,
)
from setbull_pipelines_tests.automation.ticks import (
    INDIA,
    at,
    days_asked,
    materialize,
    start_run,
    ticking,
)
from setbull_pipelines_tests.pipeline.small_run import publish

# Where the input is what is fetched from the broker


@pytest.fixture
def fetching_settings(tmp_path) -> Settings:
    settings = Settings(data_directory=tmp_path)
    return replace(settings, input=str(fetched_directory(settings)))


def record_fetch(settings: Settings, *results: tuple[str, date], interval: str = "1minute") -> None:
    """Results of a fetch: status and last wanted session of one instrument each."""
    rows = pd.DataFrame(
        [
            {
                "interval": interval,
                "instrument_key": f"NSE_EQ|S{number}",
                "status": status,
                "requests": 1,
                "candles": 1,
                "provisional": 0,
                "wanted_from": date(2024, 6, 3),
                "wanted_to": wanted_to,
                "finished_at": pd.Timestamp(wanted_to, tz=INDIA),
            }
            for number, (status, wanted_to) in enumerate(results)
        ],
        columns=STORED.table.column_names,
    )
    publish(Warehouse(warehouse_root(settings)), STORED, WHOLE, STORED.table.conform(rows))


def test_a_session_waits_until_it_was_fetched(fetching_settings, instance):
    tick = ticking(fetching_settings, instance, "after_close")
    materialize(instance, [date(2024, 6, 3)])
    assert (
        tick(at(BEFORE, 16)).skip_message == "1 sessions wait for a fetch, the first is 2024-06-04"
    )
    record_fetch(fetching_settings, ("success", BEFORE))
    assert days_asked(tick(at(BEFORE, 16))) == ["2024-06-04"]
    # The fetch of Wednesday is late: what was missed before is caught up, Wednesday waits.
    assert days_asked(tick(at(WEDNESDAY, 16))) == ["2024-06-04"]
    materialize(instance, [BEFORE])
    assert tick(at(WEDNESDAY, 16)).skip_message == (
        "1 sessions wait for a fetch, the first is 2024-06-05"
    )
    record_fetch(fetching_settings, ("skipped", WEDNESDAY))
    assert days_asked(tick(at(WEDNESDAY, 20))) == ["2024-06-05"]


@pytest.mark.parametrize(
    ("results", "asked"),
    [
        ([("success", WEDNESDAY)] * 3 + [("failed", WEDNESDAY)], ["2024-06-05"]),
        ([("success", WEDNESDAY)] * 3 + [("success", BEFORE)], ["2024-06-05"]),
        ([("success", WEDNESDAY)] * 2 + [("failed", WEDNESDAY)] * 2, []),
        ([("success", WEDNESDAY)] * 2 + [("success", BEFORE)] * 2, []),
        ([("failed", WEDNESDAY)] * 4, []),
    ],
)
def test_a_fetch_counts_when_three_quarters_of_the_instruments_came(
    results, asked, fetching_settings, instance
):
    record_fetch(fetching_settings, *results)
    assert (
        days_asked(ticking(fetching_settings, instance, "after_close")(at(WEDNESDAY, 16))) == asked
    )


def test_daily_candles_alone_are_no_fetch_of_a_session(fetching_settings, instance):
    record_fetch(fetching_settings, ("success", WEDNESDAY), interval="day")
    tick = ticking(fetching_settings, instance, "after_close")
    assert days_asked(tick(at(WEDNESDAY, 16))) == []


def evaluate_after_fetch(settings: Settings, instance: dg.DagsterInstance, monkeypatch) -> object:
    class Clock(datetime):
        @classmethod
        def now(cls, zone=None):
            return at(WEDNESDAY, 16, 9).replace(tzinfo=INDIA)

    monkeypatch.setattr(schedules.datetime, "datetime", Clock)
    repository = build_defs(settings).get_repository_def()
    job = repository.get_job("fetch")
    run = start_run(instance, {}, DagsterRunStatus.SUCCESS, job="fetch")
    context = dg.build_run_status_sensor_context(
        "after_fetch",
        dagster_event=dg.DagsterEvent("PIPELINE_SUCCESS", "fetch"),
        dagster_instance=instance,
        dagster_run=instance.get_run_by_id(run),
        resources=needs_warehouse(settings),
    )
    assert job.name == "fetch"
    return repository.get_sensor_def("after_fetch")(context)


def test_the_daily_refresh_follows_a_fetch_at_once(fetching_settings, instance, monkeypatch):
    record_fetch(fetching_settings, ("success", WEDNESDAY))
    (request,) = evaluate_after_fetch(fetching_settings, instance, monkeypatch)
    assert request.partition_key == "2024-06-05"
    start_run(instance, {PARTITION: "2024-06-05"})
    again = evaluate_after_fetch(fetching_settings, instance, monkeypatch)
    assert again.skip_message.startswith("2024-06-05 is materialized or under way")


def test_after_a_fetch_nothing_follows_for_another_input(settings, instance, monkeypatch):
    skipped = evaluate_after_fetch(settings, instance, monkeypatch)
    assert skipped.skip_message == "the input is not what is fetched from the broker"
