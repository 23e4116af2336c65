"""A whole fetch against a real server: what is asked, what is kept, and what a kill costs."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pyarrow.parquet
import pytest

from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.pipeline.fetching import Fetched, fetch
from setbull_pipelines.pipeline.what_to_fetch import fetched_directory
from setbull_pipelines.settings import UPSTOX_TOKEN_VARIABLE, Settings
from setbull_pipelines_tests.patience import PATIENCE
from setbull_pipelines_tests.pipeline.fetching.conftest import IST, MORNING, ask, minute_files, told
from setbull_pipelines_tests.processes import end, environment
from setbull_pipelines_tests.sources.upstox.broker import (
    INFY,
    SBIN,
    TCS,
    TOKEN,
    Broker,
    Reply,
    error_body,
    listed,
)


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
            *(sys.executable, "-m", "setbull_pipelines_tests.pipeline.fetching.fetching_process"),
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
        deadline = time.monotonic() + PATIENCE
        # Three at once can be answered ones as well: those that wait are the 21st to the 23rd.
        while len(server.paths) < 23 and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.2)
        assert server.under_way == 3, "all three workers wait for an answer that does not come"
        assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=PATIENCE)
    finally:
        end(process)
    answered, held = server.paths[:20], server.paths[20:]
    assert len(server.answered) == 20
    assert len(held) == 3

    server.hold_after = None
    server.released.set()
    process = start(settings, server, keys)
    try:
        output, _ = process.communicate(timeout=PATIENCE)
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
    output, _ = process.communicate(timeout=PATIENCE)
    assert "not welcome" in output
    assert TOKEN not in output
    files = [path for path in settings.data_directory.rglob("*") if path.is_file()]
    assert len(files) > 4
    assert not [path for path in files if TOKEN.encode() in path.read_bytes()]
    assert server.authorizations == {f"Bearer {TOKEN}"}
