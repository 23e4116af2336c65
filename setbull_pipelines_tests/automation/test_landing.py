"""New and changed input files: the pure decision, and the real sensor on a real folder, warehouse and instance."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pandas as pd
import pytest

from setbull_pipelines.assets.common import LAST_TABLE, RANGE_TAGS, asset_key, needs_warehouse
from setbull_pipelines.automation import landing_sensor
from setbull_pipelines.automation.landing import Memory, Taken, notice, release, with_dependents
from setbull_pipelines.definitions import build_defs
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.pipeline.opening import warehouse_root
from setbull_pipelines.pipeline.raw import publish_intake, read_sources
from setbull_pipelines.pipeline.references import References
from setbull_pipelines.settings import RefreshSettings, Settings
from setbull_pipelines.sources.decided_actions import ACCEPTED, Decision, record
from setbull_pipelines.sources.watching import FileState, scan
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests.automation.ticks import start_run

INDIA = ZoneInfo("Asia/Kolkata")
MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY = (date(2025, 6, day) for day in (2, 3, 4, 5, 6))
FRIDAY_NIGHT = datetime(2025, 6, 6, 22, 0)


def state(content: str) -> FileState:
    return FileState(len(content), 1, content)


def test_a_new_file_waits_for_intake_and_then_touches_its_sessions() -> None:
    seen = {"a.csv": state("one")}
    waiting = notice(NSE, Memory(), seen, {})
    assert waiting.waiting == {"a.csv": "one"}
    still = notice(NSE, waiting, seen, {"a.csv": Taken("older", MONDAY, MONDAY)})
    assert still == waiting
    read = notice(NSE, still, seen, {"a.csv": Taken("one", THURSDAY, date(2025, 6, 9))})
    assert read.waiting == {}
    assert list(read.sessions) == [THURSDAY, FRIDAY, date(2025, 6, 9)]
    assert notice(NSE, read, seen, {"a.csv": Taken("one", THURSDAY, FRIDAY)}) == read


def test_at_the_first_look_what_intake_has_read_is_known() -> None:
    taken = {"a.csv": Taken("one", MONDAY, FRIDAY)}
    memory = notice(NSE, None, {"a.csv": state("one"), "b.csv": state("two")}, taken)
    assert memory.waiting == {"b.csv": "two"}
    assert not memory.sessions


def test_a_changed_file_counts_even_when_another_run_has_read_it_already() -> None:
    memory = Memory({"a.csv": state("one")})
    taken = {"a.csv": Taken("two", TUESDAY, TUESDAY)}
    changed = notice(NSE, memory, {"a.csv": state("two")}, taken)
    assert list(changed.sessions) == [TUESDAY]


def test_files_without_days_and_removed_files_touch_nothing() -> None:
    memory = Memory({"a.csv": state("one")}, {"b.csv": "two"})
    gone = notice(NSE, memory, {"l.csv": state("list")}, {"l.csv": Taken("list", None, None)})
    assert (dict(gone.waiting), dict(gone.sessions)) == ({}, {})


def test_touched_sessions_are_released_oldest_first_and_some_at_a_time() -> None:
    sessions = dict.fromkeys((FRIDAY, MONDAY, WEDNESDAY, TUESDAY, THURSDAY), "cause")
    memory, first = release(NSE, Memory(sessions=sessions), FRIDAY_NIGHT, {TUESDAY}, {THURSDAY}, 2)
    assert list(first) == [TUESDAY, WEDNESDAY]
    assert sorted(memory.sessions) == [THURSDAY, FRIDAY]  # Monday is history
    memory, second = release(NSE, memory, FRIDAY_NIGHT, {TUESDAY}, set(), 5)
    assert list(second) == [THURSDAY, FRIDAY]
    assert not memory.sessions


def test_a_session_that_has_not_closed_stays_and_nothing_materialized_means_today_only() -> None:
    memory = Memory(sessions=dict.fromkeys((THURSDAY, FRIDAY, date(2025, 6, 9)), "cause"))
    noon = datetime(2025, 6, 6, 12, 0)
    kept, released = release(NSE, memory, noon, {MONDAY}, set(), 5)
    assert list(released) == [THURSDAY]
    assert sorted(kept.sessions) == [FRIDAY, date(2025, 6, 9)]
    _, released = release(NSE, memory, FRIDAY_NIGHT, set(), set(), 5)
    assert list(released) == [FRIDAY]


def test_what_does_not_follow_on_and_what_looks_back_on_a_run_waits() -> None:
    memory = Memory(sessions=dict.fromkeys((MONDAY, TUESDAY, THURSDAY, FRIDAY), "cause"))
    kept, released = release(NSE, memory, FRIDAY_NIGHT, {MONDAY}, set(), 5)
    assert list(released) == [MONDAY, TUESDAY]
    assert sorted(kept.sessions) == [THURSDAY, FRIDAY]
    kept, released = release(NSE, memory, FRIDAY_NIGHT, {MONDAY}, {TUESDAY}, 5)
    assert list(released) == [MONDAY]
    assert sorted(kept.sessions) == [TUESDAY, THURSDAY, FRIDAY]


def test_stored_sessions_that_look_back_on_touched_ones_come_along_once() -> None:
    before = Memory(sessions={MONDAY: "older"})
    after = Memory(sessions={MONDAY: "older", WEDNESDAY: "newer"})
    stored = {MONDAY, TUESDAY, WEDNESDAY, FRIDAY}
    found = with_dependents(before, after, stored, Settings())
    assert dict(found.sessions) == {MONDAY: "older", WEDNESDAY: "newer", FRIDAY: "newer"}
    # A look that notices nothing adds nothing, whatever is still to be requested.
    assert with_dependents(found, found, stored, Settings()) == found
    # Nothing looks back on a session that was never computed in full.
    assert with_dependents(None, after, {FRIDAY}, Settings()) == after


def test_sessions_without_a_partition_stay_and_hold_up_no_later_ones() -> None:
    memory = Memory(sessions=dict.fromkeys((MONDAY, TUESDAY, WEDNESDAY), "cause"))
    kept, released = release(NSE, memory, FRIDAY_NIGHT, {MONDAY}, set(), 5, TUESDAY)
    assert list(released) == [TUESDAY, WEDNESDAY]
    assert list(kept.sessions) == [MONDAY]


def test_the_memory_survives_the_cursor() -> None:
    memory = Memory({"a.csv": FileState(3, 2**62, "ab")}, {"b.csv": "cd"}, {FRIDAY: "cause"})
    assert Memory.from_text(memory.to_text()) == memory


def test_content_is_hashed_once_and_a_file_being_written_is_left_alone(tmp_path: Path) -> None:
    now = datetime.now(INDIA)
    (tmp_path / "a.csv").write_text("one")
    assert scan(tmp_path, {}, now - timedelta(minutes=1)) == {}
    (known,) = scan(tmp_path, {}, now + timedelta(minutes=1)).values()
    remembered = {"a.csv": known._replace(content_hash="remembered")}
    assert scan(tmp_path, remembered, now + timedelta(minutes=1)) == remembered
    (tmp_path / "a.csv").write_text("other")
    assert scan(tmp_path, remembered, now - timedelta(minutes=1)) == remembered
    assert scan(tmp_path, remembered, now + timedelta(minutes=1))["a.csv"].content_hash != (
        known.content_hash
    )


def test_a_file_that_cannot_be_read_hides_no_other(tmp_path: Path) -> None:
    later = datetime.now(INDIA) + timedelta(minutes=1)
    (tmp_path / "a.csv").symlink_to("/proc/self/mem")
    (tmp_path / "b.csv").write_text("one")
    assert list(scan(tmp_path, {}, later)) == ["b.csv"]
    known = {"a.csv": FileState(3, 1, "ab")}
    assert scan(tmp_path, known, later)["a.csv"] == known["a.csv"]


class Deployment:
    """A folder that the sensor looks at, with a way to take it in as the intake job does."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance) -> None:
        self.inbox = folder / "inbox"
        self.inbox.mkdir()
        self.settings = Settings(
            data_directory=folder / "data",
            input=str(self.inbox),
            refresh=RefreshSettings(catch_up_days=2),
        )
        self.instance = instance
        self.cursor: str | None = None
        self.load()

    def load(self) -> None:
        """Load the definitions, as the code location does when it is reloaded."""
        self.repository = build_defs(self.settings).get_repository_def()

    def put(self, name: str, *days: date, price: int = 100) -> None:
        path = self.inbox / name
        rows = [f"NSE_EQ|A,{day},{price},{price},{price},{price},10" for day in days]
        header = "instrument_key,timestamp,open,high,low,close,volume"
        path.write_text("\n".join([header, *rows]) + "\n")
        settled = datetime.now().timestamp() - 60 + len(list(self.inbox.iterdir()))
        os.utime(path, (settled, settled))

    def take_in(self) -> None:
        warehouse = Warehouse(warehouse_root(self.settings))
        publish_intake(read_sources(self.settings), warehouse, self.settings, "test")

    def finish(self, *days: date) -> None:
        for day in days:
            event = dg.AssetMaterialization(asset_key(LAST_TABLE), partition=day.isoformat())
            self.instance.report_runless_asset_event(event)

    def tick(self):
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            repository_def=self.repository,
            resources=needs_warehouse(self.settings),
        ) as context:
            data = self.repository.get_sensor_def("new_files").evaluate_tick(context)
        self.cursor = data.cursor or self.cursor
        return data


@pytest.fixture
def deployment(
    tmp_path: Path, stored_instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> Deployment:
    def night() -> datetime:
        return datetime.now(INDIA).replace(year=2030)

    monkeypatch.setattr(landing_sensor, "now", lambda: FRIDAY_NIGHT.replace(tzinfo=INDIA))
    # Files are stamped by the real clock, the market's moment is chosen.
    real_scan: Callable = landing_sensor.scan
    monkeypatch.setattr(
        landing_sensor,
        "scan",
        lambda input, known, before, decided: real_scan(input, known, night(), decided),
    )
    stored_instance.wipe()
    return Deployment(tmp_path, stored_instance)


def asked(data) -> list[tuple[str, str | None]]:
    def sessions(request: dg.RunRequest) -> str | None:
        ends = [request.tags[tag] for tag in RANGE_TAGS if tag in request.tags]
        return " to ".join(ends) or request.partition_key

    return [(request.job_name, sessions(request)) for request in data.run_requests]


def test_it_is_switched_on_by_the_user(deployment: Deployment) -> None:
    sensor = deployment.repository.get_sensor_def("new_files")
    assert sensor.default_status is dg.DefaultSensorStatus.STOPPED
    assert "never moved or changed" in sensor.description


def test_from_a_new_file_to_its_sessions(deployment: Deployment) -> None:
    deployment.finish(MONDAY)
    deployment.put("a.csv", MONDAY)
    deployment.take_in()
    assert deployment.tick().skip_message == "no new content in 1 files"

    deployment.put("b.csv", TUESDAY, WEDNESDAY, THURSDAY)
    before = sorted(path.name for path in deployment.inbox.iterdir())
    first, again = deployment.tick(), deployment.tick()
    assert asked(first) == asked(again) == [("intake", None)]
    # The daemon drops the second request: same files, same key.
    assert first.run_requests[0].run_key == again.run_requests[0].run_key

    deployment.take_in()
    assert asked(deployment.tick()) == [("daily", "2025-06-03 to 2025-06-04")]
    assert asked(deployment.tick()) == [("daily", "2025-06-05")]
    assert deployment.tick().skip_message == "no new content in 2 files"
    assert sorted(path.name for path in deployment.inbox.iterdir()) == before


def test_a_corrected_file_asks_for_the_same_sessions_under_another_key(
    deployment: Deployment,
) -> None:
    deployment.finish(MONDAY, TUESDAY)
    keys = []
    for price in (100, 101):
        deployment.put("a.csv", TUESDAY, price=price)
        intake = deployment.tick()
        deployment.take_in()
        daily = deployment.tick()
        assert asked(intake) == [("intake", None)]
        assert asked(daily) == [("daily", "2025-06-03")]
        keys.append((intake.run_requests[0].run_key, daily.run_requests[0].run_key))
    assert not set(keys[0]) & set(keys[1])


def test_a_correction_in_the_past_asks_for_what_looks_back_on_it_in_ranges(
    deployment: Deployment,
) -> None:
    deployment.finish(MONDAY, TUESDAY, WEDNESDAY, THURSDAY)
    deployment.tick()
    deployment.put("a.csv", TUESDAY)
    deployment.tick()
    deployment.take_in()
    first = deployment.tick()
    assert asked(first) == [("daily", "2025-06-03 to 2025-06-04")]
    ends = dict(zip(RANGE_TAGS, ("2025-06-03", "2025-06-04"), strict=True))
    run = start_run(deployment.instance, ends)
    # Thursday is computed from what that run makes of the days before it.
    assert deployment.tick().skip_message == "1 touched sessions are under way or not closed yet"
    deployment.instance.delete_run(run)
    assert asked(deployment.tick()) == [("daily", "2025-06-05")]


def test_a_decided_action_is_taken_in_and_just_the_sessions_that_it_changes_are_asked_for(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment.finish(MONDAY, TUESDAY, WEDNESDAY)
    deployment.put("a.csv", MONDAY, TUESDAY, WEDNESDAY)
    deployment.take_in()
    assert deployment.tick().skip_message == "no new content in 1 files"
    asked_about = []

    def changed(facts: References, warehouse: Warehouse, settings: Settings) -> list[date]:
        known = facts.actions_between(pd.Timestamp(MONDAY), pd.Timestamp(FRIDAY))
        asked_about.append(known)
        return [day for day in (TUESDAY, WEDNESDAY) if known]

    monkeypatch.setattr(landing_sensor, "sessions_of_changed_facts", changed)
    decision = Decision(
        FRIDAY_NIGHT, "Asha", ACCEPTED, "NSE_EQ|A", TUESDAY, "split", "2", "announced"
    )
    record(deployment.settings.data_directory, decision)
    assert asked(deployment.tick()) == [("intake", None)]
    assert not asked_about, "nothing has been published yet"
    deployment.take_in()
    assert asked(deployment.tick()) == [("daily", "2025-06-03 to 2025-06-04")]
    assert asked_about == [{TUESDAY: {"NSE_EQ|A"}}]
    assert deployment.tick().skip_message == "no new content in 2 files"
    assert len(asked_about) == 1, "asked once for each version of the facts"


def test_a_file_touched_without_another_content_is_no_news(deployment: Deployment) -> None:
    deployment.put("a.csv", MONDAY)
    deployment.take_in()
    deployment.tick()
    os.utime(deployment.inbox / "a.csv", (1_700_000_000, 1_700_000_000))
    assert deployment.tick().skip_message == "no new content in 1 files"


def test_a_session_under_way_is_asked_for_afterwards(deployment: Deployment) -> None:
    deployment.finish(MONDAY)
    deployment.put("a.csv", TUESDAY)
    deployment.tick()
    deployment.take_in()
    run = start_run(deployment.instance, {"dagster/partition": "2025-06-03"})
    assert deployment.tick().skip_message == "1 touched sessions are under way or not closed yet"
    deployment.instance.delete_run(run)
    assert asked(deployment.tick()) == [("daily", "2025-06-03")]


def test_days_older_than_the_partitions_wait_until_the_code_location_is_reloaded(
    deployment: Deployment,
) -> None:
    deployment.put("a.csv", WEDNESDAY)
    deployment.take_in()
    deployment.load()
    deployment.finish(WEDNESDAY)
    deployment.tick()
    # Older candles arrive, and the command line runs their days: its process knows them, this one does not.
    deployment.put("b.csv", MONDAY, TUESDAY)
    deployment.take_in()
    deployment.finish(MONDAY, TUESDAY)
    waits = (
        "2 touched sessions, the first is 2025-06-02, are older than 2025-06-04, with which the partitions began when "
        "the code location was loaded: reload it, and they are refreshed"
    )
    # Wednesday looks back on them.
    data = deployment.tick()
    assert asked(data) == [("daily", "2025-06-04")]
    idle = deployment.tick()
    assert (asked(idle), idle.skip_message) == ([], waits)
    deployment.load()
    assert asked(deployment.tick()) == [("daily", "2025-06-02 to 2025-06-03")]
    assert deployment.tick().skip_message == "no new content in 2 files"


def test_without_a_folder_it_says_why_it_does_nothing(
    deployment: Deployment, tmp_path: Path
) -> None:
    assert "found a folder without candle files" in deployment.tick().skip_message
    deployment.repository = build_defs(Settings(data_directory=tmp_path)).get_repository_def()
    assert "generated sample" in deployment.tick().skip_message
