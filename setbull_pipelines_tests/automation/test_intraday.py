"""The intraday job as the daemon runs it: on the sample, and with a broker to ask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from setbull_pipelines import tables
from setbull_pipelines.assets import common
from setbull_pipelines.assets import fetched as fetched_asset
from setbull_pipelines.assets.common import asset_key
from setbull_pipelines.automation.schedules import materialized_days
from setbull_pipelines.definitions import build_defs
from setbull_pipelines.pipeline.candle_events import EVENTS, READ, bars_of, last_event
from setbull_pipelines.pipeline.opening import catalog_path, warehouse_root
from setbull_pipelines.pipeline.running import AS_OF
from setbull_pipelines.pipeline.serving import served_table
from setbull_pipelines.pipeline.shown import plain
from setbull_pipelines.pipeline.what_to_fetch import fetched_directory
from setbull_pipelines.quality.groups import PLAN
from setbull_pipelines.settings import GroupSettings, Settings, UpstoxSettings
from setbull_pipelines.tables.live import OF_BAR
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests.api import stream_client
from setbull_pipelines_tests.api.running import serving
from setbull_pipelines_tests.pipeline.small_run import SmallRun, forget
from setbull_pipelines_tests.sources.upstox.broker import (
    INFY,
    Broker,
    Reply,
    broker,
    candle_body,
    minute_rows,
)

pytestmark = pytest.mark.run

INDIA = ZoneInfo("Asia/Kolkata")
FRIDAY, MONDAY = date(2026, 11, 20), date(2026, 11, 23)
SERVED = served_table(tables.CANDLES_5MIN)


def refresh(
    settings: Settings,
    instance: dg.DagsterInstance,
    day: date,
    clock: str | None,
    name: str = "intraday",
) -> dg.ExecuteInProcessResult:
    tags = {"dagster/partition": day.isoformat()}
    if clock:
        tags["setbull/as_of"] = f"{day}T{clock}:00"
    job = build_defs(settings).resolve_job_def(name)
    return job.execute_in_process(instance=instance, tags=tags, raise_on_error=False)


def reasons(result: dg.ExecuteInProcessResult) -> set[str]:
    """Why steps failed; more than one can."""
    return {
        event.step_failure_data.user_failure_data.description
        for event in result.all_node_events
        if event.is_step_failure
    }


def reason(result: dg.ExecuteInProcessResult) -> str:
    (found,) = reasons(result)
    return found


OF_A_DAY = [
    *(StoredTable(lane, table) for table in tables.COMPUTED_TABLES for lane in ("v1", "v2")),
    *(served_table(table) for table in tables.COMPUTED_TABLES if table.name in tables.SERVED),
]


def the_clock_says(monkeypatch: pytest.MonkeyPatch, day: date, clock: time) -> None:
    moment = datetime.combine(day, clock, INDIA)
    monkeypatch.setattr(common, "now", lambda: moment)


@pytest.fixture
def session(copied_run: SmallRun, monkeypatch: pytest.MonkeyPatch) -> SmallRun:
    """The run as it is on its last day at 15:00, before anything of that session was computed."""
    day = copied_run.days[-1]
    for stored in OF_A_DAY:
        forget(copied_run.warehouse, stored, day)
    the_clock_says(monkeypatch, day, time(15))
    return copied_run


def stored_of(run: SmallRun, day: date) -> dict[str, str | None]:
    """Content of everything that is stored of a day."""
    pointers = {stored.name: run.warehouse.pointer(stored, day.isoformat()) for stored in OF_A_DAY}
    return {name: pointer and pointer.content_hash for name, pointer in pointers.items()}


@pytest.mark.parametrize("clock", [time(12), time(18)], ids=["in the session", "in the evening"])
@pytest.mark.parametrize("job", ["intraday", "v2_lane"])
def test_an_old_run_that_is_executed_again_does_not_cut_a_finished_day(
    job: str, clock: time, copied_run: SmallRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = copied_run.days[-1]
    the_clock_says(monkeypatch, day, clock)
    before = stored_of(copied_run, day)
    result = refresh(copied_run.settings, dg.DagsterInstance.ephemeral(), day, "10:05", job)
    assert not result.success
    told = reasons(result)
    found = (
        f"v1.candles_5min {day} is stored as a whole day"
        if clock == time(12)
        else f"the session of {day} has closed at {day} 18:00"
    )
    assert told == {
        f"tag setbull/as_of: found {day} 10:05, but {found}; nothing was changed. To compute the whole day once it "
        f"has closed, run: setbull run --from {day} --to {day}"
    }
    assert stored_of(copied_run, day) == before
    assert None not in before.values()


def test_an_earlier_moment_does_not_cut_a_later_one(session: SmallRun) -> None:
    day, settings = session.days[-1], session.settings
    instance = dg.DagsterInstance.ephemeral()
    assert refresh(settings, instance, day, "11:00").success
    before = stored_of(session, day)
    earlier = refresh(settings, instance, day, "10:05")
    assert not earlier.success
    assert f"v1.candles_5min {day} is stored as of {day} 11:00; nothing was changed" in (
        reasons(earlier).pop()
    )
    assert stored_of(session, day) == before
    to_come = refresh(settings, instance, day, "15:20")
    assert f"15:20 of {day} has not come at {day} 15:00" in reasons(to_come).pop()
    # The same moment again, and a later one, are no step back.
    assert refresh(settings, instance, day, "11:00").success
    assert refresh(settings, instance, day, "12:00").success
    assert stored_of(session, day) != before


def test_a_reader_who_is_killed_has_every_bar_of_the_replayed_session_once_as_it_is_in_the_whole_day(
    session: SmallRun, small_run: SmallRun, tmp_path: Path
) -> None:
    day, settings, path = session.days[-1], session.settings, tmp_path / "events"
    key, instance = day.isoformat(), dg.DagsterInstance.ephemeral()
    with serving(settings) as client:
        url = f"{client.base_url.join('/api/v1/stream/candles')}?after=0"
        reader = stream_client.started(url, path)
        for clock in ("10:05", "12:00"):
            assert refresh(settings, instance, day, clock).success
            stream_client.wait_until(path, last_event(session.warehouse), reader)
            reader.kill()
            reader.wait()
            reader = stream_client.started(url, path)
        reader.kill()
        reader.wait()
    events = stream_client.kept(path)
    assert [event["event_id"] for event in events] == list(range(1, len(events) + 1))
    assert {event["event"] for event in events} == {"candle"}
    of_day = (small_run.warehouse.read(served_table(table), [key]) for table in READ)
    whole = bars_of(*of_day).sort_values(["timestamp", "instrument_key"])
    closed = plain(whole[whole["timestamp"].dt.time < time(12)])
    for event, bar in zip(events, closed, strict=True):
        names = ["instrument_key", "timestamp", *(each.name for each in OF_BAR)]
        assert {name: event[name] for name in names} == {name: bar[name] for name in names}


def test_a_lane_computes_no_half_day_as_a_whole_one(
    session: SmallRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = session.days[-1]
    result = refresh(session.settings, dg.DagsterInstance.ephemeral(), day, None, "v1_lane")
    assert not result.success
    assert f"the session of {day} has not closed at {day} 15:00" in reasons(result).pop()
    assert set(stored_of(session, day).values()) == {None}


def test_the_job_serves_closed_bars_and_leaves_everything_daily_alone(
    session: SmallRun,
) -> None:
    copied_run = session
    day = copied_run.days[-1]
    settings, instance = copied_run.settings, dg.DagsterInstance.ephemeral()
    untouched = [
        StoredTable(schema, table)
        for table in (tables.CANDLES_DAILY, tables.FILTER_RESULTS)
        for schema in ("v1", "v2")
    ]
    before = [copied_run.warehouse.pointer(stored, day.isoformat()) for stored in untouched]
    catalog_path(settings).unlink(missing_ok=True)
    assert refresh(settings, instance, day, "10:05").success
    served = copied_run.warehouse.read(SERVED, [day.isoformat()])
    assert served["timestamp"].dt.time.min() == time(9, 15)
    assert served["timestamp"].dt.time.max() == time(10, 0)
    assert served["instrument_key"].nunique() == 12
    widths = copied_run.warehouse.read(served_table(tables.BB_WIDTH_DAILY), [day.isoformat()])
    assert widths["bars"].max() == 10
    alerts = copied_run.warehouse.read(served_table(tables.BB_WIDTH_ALERTS), [day.isoformat()])
    assert alerts["last_band"].dt.time.max() == time(10, 0)
    assert alerts["lowest_bb_width"].notna().all()
    events = copied_run.warehouse.read(EVENTS, [day.isoformat()])
    assert len(events) == len(served)
    newest = events[events["timestamp"].dt.time == time(10)]
    assert newest["distance_from_lowest_percent"].notna().all()
    after = [copied_run.warehouse.pointer(stored, day.isoformat()) for stored in untouched]
    assert after == before
    assert catalog_path(settings).exists()
    # The day is not there as a whole: the daily refresh will ask for it.
    assert materialized_days(instance) == set()
    event = instance.get_latest_materialization_event(asset_key(SERVED))
    shown = event.asset_materialization.metadata
    assert shown["session under way, as of"].value == f"{day} 10:05"


def test_the_plan_of_the_groups_follows_the_session(session: SmallRun, tmp_path: Path) -> None:
    copied_run, day = session, session.days[-1]
    key = copied_run.warehouse.read(SERVED)["instrument_key"].iloc[0]
    path = tmp_path / "groups.csv"
    path.write_text(
        "group_id,instrument_key,entry_type,stop_loss_percent,direction\n"
        f"morning,{key},1ST_ENTRY,0.5,LONG\nafternoon,{key},2_30_ENTRY,0.5,LONG\n"
    )
    settings = replace(
        copied_run.settings, groups=GroupSettings(str(path), first_entry_risk=5000.0)
    )
    assert refresh(settings, dg.DagsterInstance.ephemeral(), day, "10:05").success
    plan = copied_run.warehouse.read(PLAN, [day.isoformat()]).set_index("group_id")
    assert plan["is_planned"].to_dict() == {"afternoon": False, "morning": True}
    assert plan.loc["afternoon", "reason"] == f"there is no five-minute bar of {day} 14:30"
    pointer = copied_run.warehouse.pointer(PLAN, day.isoformat())
    assert pointer.inputs[AS_OF] == f"{day} 10:05"


def test_a_moment_of_another_day_is_refused(copied_run: SmallRun) -> None:
    earlier, day = copied_run.days[-2:]
    job = build_defs(copied_run.settings).resolve_job_def("intraday")
    result = job.execute_in_process(
        instance=dg.DagsterInstance.ephemeral(),
        tags={"dagster/partition": day.isoformat(), "setbull/as_of": f"{earlier}T10:05:00"},
        raise_on_error=False,
    )
    assert not result.success
    assert reason(result) == (
        f"tag setbull/as_of: found {earlier}T10:05:00, expected a moment of the run's partition {day}"
    )


def test_a_session_under_way_is_no_whole_day(
    copied_run: SmallRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = copied_run.days[-1]
    the_clock_says(monkeypatch, day, time(12))
    result = refresh(copied_run.settings, dg.DagsterInstance.ephemeral(), day, None)
    assert not result.success
    assert reason(result) == (
        f"the session of {day} has not closed at {day} 12:00: choose earlier sessions; the job intraday refreshes "
        "a session under way"
    )


@pytest.fixture
def server() -> Iterator[Broker]:
    with broker() as state:
        state.today = MONDAY
        yield state


def test_the_minutes_of_today_are_asked_for_where_the_input_is_the_broker(
    server: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instruments = tmp_path / "list.csv"
    instruments.write_text(f"instrument_key,symbol\n{INFY},INFY\n")
    upstox = UpstoxSettings(base_url=server.url, instruments=str(instruments), days=1, daily_days=5)
    settings = Settings(data_directory=tmp_path / "data", upstox=upstox)
    settings = replace(settings, input=str(fetched_directory(settings)))
    instance = dg.DagsterInstance.ephemeral()
    moment = datetime.combine(MONDAY, time(9, 20), INDIA)
    monkeypatch.setattr(fetched_asset, "now", lambda: moment)
    the_clock_says(monkeypatch, MONDAY, time(9, 20))
    assert refresh(settings, instance, FRIDAY, None).success

    asked = len(server.paths)
    # The broker has seven minutes, of which the last is under way; the first five are a bar.
    rows = minute_rows(INFY, MONDAY, 7)
    server.scripts[INFY] = [Reply(body=candle_body(rows[::-1]))]
    assert refresh(settings, instance, MONDAY, "09:20").success
    assert [path.split("/")[3] for path in server.paths[asked:]] == ["intraday"]
    store = Warehouse(warehouse_root(settings))
    bars = store.read(SERVED, [MONDAY.isoformat()])
    assert list(bars["timestamp"].dt.time) == [time(9, 15)]
    assert list(bars["volume"]) == [sum(row[5] for row in rows[:5])]
    assert store.pointer(SERVED, MONDAY.isoformat()).inputs[AS_OF] == "2026-11-23 09:20"
