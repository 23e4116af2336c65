"""A whole fetch against a real server: what is asked, what is kept, and what a kill costs."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pyarrow.parquet
import pytest
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run

from setbull_pipelines.assets import fetched as fetched_asset
from setbull_pipelines.assets.checking import severity
from setbull_pipelines.assets.common import needs_warehouse
from setbull_pipelines.assets.fetched import FETCHED_KEY, FETCHES_KEY, build_fetched_asset
from setbull_pipelines.assets.maintenance import build_maintenance_asset
from setbull_pipelines.automation.noticing import failure_of
from setbull_pipelines.definitions import build_defs
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.pipeline.fetching import (
    STORED,
    Fetched,
    fetch,
    publish_fetch,
    remove_expired,
)
from setbull_pipelines.pipeline.judging import judge
from setbull_pipelines.pipeline.opening import warehouse_root
from setbull_pipelines.pipeline.raw import read_sources
from setbull_pipelines.pipeline.what_to_fetch import (
    NoInstruments,
    fetched_directory,
    instruments_of,
    kept_directory,
)
from setbull_pipelines.quality.fetches import RULES
from setbull_pipelines.settings import UPSTOX_TOKEN_VARIABLE, Settings, UpstoxSettings
from setbull_pipelines.warehouse.pointers import WHOLE
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests.processes import end, environment
from setbull_pipelines_tests.sources.upstox.broker import (
    INFY,
    SBIN,
    TCS,
    TOKEN,
    Broker,
    Reply,
    broker,
    error_body,
    listed,
)

IST = ZoneInfo("Asia/Kolkata")
FRIDAY, MONDAY = date(2026, 11, 20), date(2026, 11, 23)
MORNING = datetime(2026, 11, 23, 8, 0, tzinfo=IST)  # a Monday, before the session
(RULE,) = RULES


@pytest.fixture
def server() -> Iterator[Broker]:
    with broker() as state:
        state.today = MONDAY
        yield state


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(UPSTOX_TOKEN_VARIABLE, TOKEN)


@pytest.fixture
def settings(tmp_path: Path, server: Broker) -> Settings:
    upstox = UpstoxSettings(base_url=server.url, first_retry_seconds=0.01, attempts=3)
    return Settings(data_directory=tmp_path / "data", upstox=upstox)


def ask(
    settings: Settings, *keys: str, at: datetime = MORNING, days: int = 5, intraday: bool = False
) -> Fetched:
    return fetch(listed(*keys), {"1minute": days}, settings, lambda: at, intraday)


def told(fetched: Fetched) -> list[tuple[str, str]]:
    return [(r.status, "; ".join(map(str, r.segments))) for r in fetched.results]


def minute_files(settings: Settings) -> list[str]:
    folder = fetched_directory(settings) / "1minute"
    return sorted(path.stem for path in folder.glob("*.parquet"))


def test_the_first_fetch_is_one_full_range_and_the_second_asks_nothing(
    server: Broker, settings: Settings
) -> None:
    first = ask(settings, INFY, TCS)
    assert told(first) == [("success", "full_range 2026-11-16 to 2026-11-20")] * 2
    assert [(r.requests, r.candles, r.provisional) for r in first.results] == [(1, 15, 0)] * 2
    assert minute_files(settings) == [f"2026-11-{day}" for day in (16, 17, 18, 19, 20)]
    asked = len(server.paths)
    second = ask(settings, INFY, TCS)
    assert told(second) == [("skipped", "")] * 2
    assert len(server.paths) == asked == 2
    assert (second.files["1minute"].written, second.files["1minute"].unchanged) == (0, 5)


def test_more_days_are_a_backfill_and_later_days_an_update(
    server: Broker, settings: Settings
) -> None:
    ask(settings, INFY, at=datetime(2026, 11, 19, 8, 0, tzinfo=IST), days=2)
    assert told(ask(settings, INFY, days=6)) == [
        (
            "success",
            "recent_update 2026-11-19 to 2026-11-20; historical_backfill 2026-11-13 to 2026-11-16",
        )
    ]
    assert [path[-21:] for path in server.paths] == [
        "2026-11-18/2026-11-17",
        "2026-11-20/2026-11-19",
        "2026-11-16/2026-11-13",
    ]


def test_fifty_sessions_of_minutes_are_asked_for_by_the_month(
    server: Broker, settings: Settings
) -> None:
    (result,) = ask(settings, INFY, days=50).results
    assert result.requests == 3
    assert result.candles == 150
    assert len(minute_files(settings)) == 50


def test_the_day_after_its_close_is_provisional_until_history_has_it(
    server: Broker, settings: Settings
) -> None:
    evening = MORNING.replace(hour=17)
    ask(settings, INFY)
    (result,) = ask(settings, INFY, at=evening).results
    assert told(Fetched((result,), {}, None))[0][1] == (
        "recent_update 2026-11-23 to 2026-11-23; running_session 2026-11-23 to 2026-11-23"
    )
    assert (result.requests, result.candles, result.provisional) == (2, 3, 3)
    assert minute_files(settings)[-1] == "2026-11-23"
    server.history_has_today = True
    (result,) = ask(settings, INFY, at=evening).results
    assert (result.requests, result.candles, result.provisional) == (1, 3, 0)
    assert told(ask(settings, INFY, at=evening)) == [("skipped", "")]


def test_the_session_under_way_is_asked_for_on_demand_and_every_time(
    server: Broker, settings: Settings
) -> None:
    noon = MORNING.replace(hour=12)
    assert told(ask(settings, INFY, at=noon)) == [
        ("success", "full_range 2026-11-16 to 2026-11-20")
    ]
    for _ in range(2):
        found = ask(settings, INFY, at=noon, intraday=True)
        assert told(found) == [("success", "running_session 2026-11-23 to 2026-11-23")]
    assert (
        server.paths[-2:] == ["/v3/historical-candle/intraday/NSE_EQ%7CINE009A01021/minutes/1"] * 2
    )
    # The next morning history has the day, and takes the place of what was provisional.
    server.today = date(2026, 11, 25)
    (result,) = ask(settings, INFY, at=datetime(2026, 11, 25, 8, tzinfo=IST)).results
    assert str(result.segments[0]) == "recent_update 2026-11-23 to 2026-11-23"


def test_an_instrument_that_fails_loses_no_other(server: Broker, settings: Settings) -> None:
    server.scripts[TCS] = [Reply(400, error_body("UDAPI100011", "Invalid Instrument key"))]
    fetched = ask(settings, INFY, TCS, SBIN)
    assert [r.status for r in fetched.results] == ["success", "failed", "success"]
    assert fetched.stopped is None
    failed = fetched.results[1]
    assert failed.reason == (
        "1minute candles of NSE_EQ|INE467B01029, 2026-11-16 to 2026-11-20: found HTTP 400 "
        "(UDAPI100011: Invalid Instrument key), expected candles"
    )
    table = pyarrow.parquet.read_table(fetched_directory(settings) / "1minute/2026-11-20.parquet")
    assert set(table["instrument_key"].to_pylist()) == {INFY, SBIN}
    # The next fetch asks for what is missing and nothing else.
    before = len(server.paths)
    again = ask(settings, INFY, TCS, SBIN)
    assert [r.status for r in again.results] == ["skipped", "success", "skipped"]
    assert len(server.paths) == before + 1


def test_what_an_instrument_received_before_its_failure_is_kept(
    server: Broker, settings: Settings
) -> None:
    rows = [["2026-11-20T09:15:00+05:30", 1, 1, 1, 1, 1, 0]]
    server.scripts[INFY] = [
        Reply(body={"status": "success", "data": {"candles": rows}}),
        Reply(200, {"status": "success", "data": None}),
    ]
    (result,) = ask(settings, INFY, days=50).results
    assert (result.status, result.candles, result.requests) == ("failed", 1, 2)
    (result,) = ask(settings, INFY, days=50).results
    assert [segment.kind for segment in result.segments] == ["historical_backfill"]
    assert result.requests == 2
    kept, again = sessions_of(server.paths[:1]), sessions_of(server.paths[2:])
    assert not kept & again
    assert len(kept | again) == 50


def test_a_refused_token_stops_everything_with_one_sentence(
    server: Broker, settings: Settings
) -> None:
    keys = [f"NSE_EQ|X{n}" for n in range(40)]
    for key in keys:
        server.scripts[key] = [Reply(401, error_body("UDAPI100050", "Invalid token used"))]
    fetched = ask(settings, *keys)
    assert "set SETBULL_UPSTOX_TOKEN to a token of today" in fetched.stopped
    assert {r.status for r in fetched.results} == {"failed"}
    assert len(server.paths) <= settings.upstox.concurrency
    assert sum("not asked for" in r.reason for r in fetched.results) >= 30


def test_workers_ask_at_the_same_time_but_not_more_than_allowed(
    server: Broker, settings: Settings
) -> None:
    keys = [f"NSE_EQ|X{n}" for n in range(30)]
    for key in keys:
        server.scripts[key] = [
            Reply(200, {"status": "success", "data": {"candles": []}}, delay=0.05)
        ]
    assert {status for status, _ in told(ask(settings, *keys))} == {"success"}
    assert 2 <= server.most_at_once <= settings.upstox.concurrency


def test_an_empty_answer_is_an_answer(server: Broker, settings: Settings) -> None:
    nothing = Reply(200, {"status": "success", "data": {"candles": []}})
    server.scripts[INFY] = [nothing, nothing]
    assert told(ask(settings, INFY))[0][0] == "success"
    # But of the last session the broker may have nothing yet.
    assert told(ask(settings, INFY)) == [("success", "recent_update 2026-11-20 to 2026-11-20")]
    assert minute_files(settings) == []
    wednesday = datetime(2026, 11, 25, 8, tzinfo=IST)
    server.scripts[INFY] = [nothing]
    assert told(ask(settings, INFY, at=wednesday, days=2)) == [
        ("success", "recent_update 2026-11-20 to 2026-11-23")
    ]
    assert told(ask(settings, INFY, at=wednesday, days=1))[0][1].endswith(
        "2026-11-23 to 2026-11-23"
    )


def test_the_older_version_of_the_api_can_be_asked(server: Broker, settings: Settings) -> None:
    settings = replace(settings, upstox=replace(settings.upstox, api_version="v2"))
    fetched = fetch(
        listed(INFY),
        {"1minute": 50, "day": 600},
        settings,
        lambda: MORNING.replace(hour=16, minute=5),
    )
    minutes, daily = fetched.results
    assert (minutes.status, minutes.requests, minutes.provisional) == ("success", 4, 3)
    assert (daily.status, daily.requests, daily.candles) == ("success", 3, 599)


# Kill


def start(settings: Settings, server: Broker, keys: list[str]) -> subprocess.Popen:
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "setbull_pipelines_tests.pipeline.fetching_process"),
            *(str(settings.data_directory), server.url, MORNING.isoformat(), *keys),
        ],
        env=environment(settings.data_directory, Path("/dev/null"))
        | {UPSTOX_TOKEN_VARIABLE: TOKEN},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def sessions_of(paths: list[str]) -> set[tuple[str, str, date]]:
    """Instrument, unit and session of everything that was asked for."""
    found = set()
    for path in paths:
        *_, key, unit, _, last, first = path.split("/")
        days = NSE.trading_days(date.fromisoformat(first), date.fromisoformat(last))
        found |= {(key, unit, day) for day in days}
    return found


@pytest.mark.run
def test_a_killed_fetch_goes_on_without_asking_again_for_what_it_has(
    server: Broker, settings: Settings
) -> None:
    """The server counts: 12 instruments are 3 months of minutes and one call for daily candles each."""
    keys = [f"NSE_EQ|X{n:02}" for n in range(12)]
    server.hold_after = 20
    process = start(settings, server, keys)
    try:
        deadline = time.monotonic() + 60
        # Three at once can be answered ones as well: those that wait are the 21st to the 23rd.
        while len(server.paths) < 23 and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.2)
        assert server.under_way == 3, "all three workers wait for an answer that does not come"
        assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
    finally:
        end(process)
    answered, held = server.paths[:20], server.paths[20:]
    assert len(server.answered) == 20
    assert len(held) == 3

    server.hold_after = None
    server.released.set()
    process = start(settings, server, keys)
    try:
        output, _ = process.communicate(timeout=90)
    finally:
        end(process)
    assert process.returncode == 0, output
    assert {line.split()[2] for line in output.splitlines()} <= {"success", "skipped"}
    after = server.paths[23:]
    assert not sessions_of(after) & sessions_of(answered), (
        "what was received is not asked for again"
    )
    assert sessions_of(held) <= sessions_of(after)
    assert len(after) == len(set(after)) == 12 * 4 - 20
    assert len(minute_files(settings)) == 50
    table = pyarrow.parquet.read_table(fetched_directory(settings) / "1minute/2026-11-20.parquet")
    assert len(set(table["instrument_key"].to_pylist())) == 12


@pytest.mark.run
def test_the_token_is_in_no_file_and_in_no_output(server: Broker, settings: Settings) -> None:
    server.scripts["NSE_EQ|X1"] = [Reply(400, f"Bearer {TOKEN} is not welcome")]
    process = start(settings, server, ["NSE_EQ|X1", "NSE_EQ|X2"])
    output, _ = process.communicate(timeout=90)
    assert "not welcome" in output
    assert TOKEN not in output
    files = [path for path in settings.data_directory.rglob("*") if path.is_file()]
    assert len(files) > 4
    assert not [path for path in files if TOKEN.encode() in path.read_bytes()]
    assert server.authorizations == {f"Bearer {TOKEN}"}


# Instruments


def test_the_list_of_instruments_is_a_csv_or_the_brokers_json(tmp_path: Path) -> None:
    csv = tmp_path / "list.csv"
    csv.write_text(f"instrument_key,symbol\n{TCS},TCS\n{INFY},INFY\n")
    assert list(instruments_of(csv)["symbol"]) == ["INFY", "TCS"]
    json = tmp_path / "NSE.json"
    json.write_text(
        f'[{{"instrument_key": "{INFY}", "trading_symbol": "INFY", "lot_size": 1, "tick_size": 5}}]'
    )
    found = instruments_of(json).iloc[0]
    assert (found["instrument_key"], found["isin"], found["tick_size"]) == (INFY, INFY[7:], 0.05)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, r"cannot be read \(No such file or directory\)"),
        ("", "empty file"),
        ("symbol,lot_size\n,1\nINFY,1\n", "1 of 2 rows name no instrument; first line 2"),
        ("instrument_key,symbol\nNOWHERE|X,X\n", "unknown segment 'NOWHERE'"),
    ],
)
def test_a_list_that_is_none_is_refused(tmp_path: Path, content: str | None, sentence: str) -> None:
    path = tmp_path / "list.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(NoInstruments, match=sentence):
        instruments_of(path)


# Stored results, check, asset, retention


def test_the_last_fetch_of_every_instrument_is_a_row(server: Broker, settings: Settings) -> None:
    store = Warehouse(warehouse_root(settings))
    server.scripts[TCS] = [Reply(400, b"no")]
    publish_fetch(ask(settings, INFY, TCS), store, settings, "test")
    found = judge([RULE], store, settings, None)[RULE.name]
    assert not found.passed
    assert found.description.startswith(
        "1 of 2 failed; first: 1minute candles of NSE_EQ|INE467B01029"
    )
    assert severity(RULE, found) is dg.AssetCheckSeverity.WARN
    publish_fetch(ask(settings, TCS), store, settings, "test")
    rows = store.read(STORED, [WHOLE]).set_index("instrument_key")
    assert list(rows["status"]) == ["success", "success"]
    assert rows.loc[INFY, "segments"] == "full_range 2026-11-16 to 2026-11-20"
    assert list(rows["wanted_to"].dt.date) == [FRIDAY] * 2
    assert list(rows["finished_at"]) == [MORNING] * 2
    assert judge([RULE], store, settings, None)[RULE.name].passed


def test_a_fetch_of_nothing_fails_the_check(server: Broker, settings: Settings) -> None:
    store = Warehouse(warehouse_root(settings))
    publish_fetch(ask(settings), store, settings, "test")
    assert not judge([RULE], store, settings, None)[RULE.name].passed


def configured(settings: Settings, tmp_path: Path, *keys: str) -> Settings:
    path = tmp_path / "list.csv"
    path.write_text("instrument_key,symbol\n" + "".join(f"{key},{key[-4:]}\n" for key in keys))
    upstox = replace(settings.upstox, instruments=str(path), days=5, daily_days=10)
    return replace(settings, upstox=upstox)


def materialize(settings: Settings) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        [build_fetched_asset(settings)],
        resources=needs_warehouse(settings),
        raise_on_error=False,
    )


def test_the_asset_fetches_stores_and_shows_it(
    server: Broker, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetched_asset, "now", lambda: MORNING)
    settings = configured(settings, tmp_path, INFY, TCS)
    server.scripts[TCS] = [Reply(400, b"no")]
    result = materialize(settings)
    assert result.success
    events = {e.asset_key: e.materialization for e in result.get_asset_materialization_events()}
    assert events[FETCHED_KEY].metadata["files written"].value == 6  # 5 sessions, 1 month
    shown = events[FETCHES_KEY].metadata
    assert [shown[name].value for name in ("success", "skipped", "failed")] == [3, 0, 1]
    assert len(shown["failed, the first"].value.records) == 1
    (check,) = result.get_asset_check_evaluations()
    assert not check.passed
    # What was fetched is an input like any other.
    intake = read_sources(replace(settings, input=str(fetched_directory(settings))))
    assert intake.days("minutes")[-1] == FRIDAY
    assert len(intake.days("daily")) == 10
    assert set(intake.files["kind"]) == {"minutes", "daily", "instruments"}
    assert list(intake.instruments["symbol"]) == ["1021", "1029"]


def test_the_list_beside_the_candles_never_forgets_an_instrument(
    server: Broker, settings: Settings
) -> None:
    ask(settings, INFY, TCS)
    renamed = listed(INFY).assign(symbol="INFOSYS")
    fetch(renamed, {"1minute": 5}, settings, lambda: MORNING)
    intake = read_sources(replace(settings, input=str(fetched_directory(settings))))
    assert list(intake.instruments["symbol"]) == ["INFOSYS", "01029"]
    day = intake.load_day(FRIDAY)
    assert len(day.candles_1min) == 6
    assert day.quarantine.empty


def test_the_asset_fails_when_the_token_is_refused_and_stores_that(
    server: Broker, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetched_asset, "now", lambda: MORNING)
    settings = configured(settings, tmp_path, INFY)
    server.scripts[INFY] = [Reply(401, b"")] * 2
    result = materialize(settings)
    assert not result.success
    rows = Warehouse(warehouse_root(settings)).read(STORED, [WHOLE])
    assert set(rows["status"]) == {"failed"}


def test_the_asset_without_a_list_says_which_setting_is_missing(settings: Settings) -> None:
    result = materialize(settings)
    assert not result.success
    (failure,) = [e for e in result.all_node_events if e.is_step_failure]
    assert "upstox.instruments" in str(failure.step_failure_data.user_failure_data.description)


def test_maintenance_removes_answers_and_candles_past_their_retention(
    server: Broker, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(settings, INFY)
    assert remove_expired(settings, date(2029, 5, 8)) == 0  # 900 days after the last session
    assert len(minute_files(settings)) == 5
    assert remove_expired(settings, date(2029, 5, 10)) == 1
    assert minute_files(settings) == []
    assert not list(kept_directory(settings).rglob("*.json.gz"))
    result = dg.materialize(
        [build_maintenance_asset(settings)], resources=needs_warehouse(settings)
    )
    (event,) = result.get_asset_materialization_events()
    assert event.materialization.metadata["answers of the broker deleted"].value == 0


def test_nothing_is_removed_where_nothing_was_fetched(tmp_path: Path) -> None:
    assert remove_expired(Settings(data_directory=tmp_path), FRIDAY) == 0


@pytest.mark.parametrize("with_others", [False, True])
def test_a_broker_that_was_never_set_up_fails_a_fetch_and_not_a_run_of_everything(
    settings: Settings, with_others: bool
) -> None:
    keys = {FETCHED_KEY, FETCHES_KEY}
    if with_others:
        keys |= {dg.AssetKey(["raw", "intake"])}
    definitions = build_defs(settings)
    job = definitions.resolve_implicit_global_asset_job_def().get_subset(asset_selection=keys)
    with dg.DagsterInstance.ephemeral() as instance:
        run = instance.create_run_for_job(job, asset_selection=frozenset(keys))
        result = execute_run(InMemoryJob(job), run, instance)
        assert result.success is with_others
        if not with_others:
            assert "upstox.instruments: found no file" in failure_of(result.all_events)
        made = {
            event.asset_key: event.materialization.metadata
            for event in result.all_events
            if event.is_step_materialization
        }
        if with_others:
            assert made[FETCHED_KEY]["requests"].value == 0
            assert made[FETCHED_KEY]["list of instruments"].value.startswith(
                "nothing was asked for"
            )
        else:
            assert FETCHED_KEY not in made
