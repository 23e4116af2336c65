"""The stream of live bars over a real server: in order, once, resumed after a kill, limited, and ended."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import httpx
import pytest

from setbull_pipelines import tables
from setbull_pipelines.api import stream
from setbull_pipelines.api.feed import Feed
from setbull_pipelines.pipeline.candle_events import last_event
from setbull_pipelines.warehouse.pointers import WHOLE, StoredTable
from setbull_pipelines_tests.api import stream_client
from setbull_pipelines_tests.api.answers import sentence
from setbull_pipelines_tests.api.running import PREFIX, serving
from setbull_pipelines_tests.patience import PATIENCE
from setbull_pipelines_tests.pipeline.live_session import LiveSession
from setbull_pipelines_tests.pipeline.small_run import SmallRun

PATH = f"{PREFIX}/stream/candles"
INSTRUMENTS = StoredTable("raw", tables.INSTRUMENTS)
CLOCKS = ("09:20", "09:25", "09:35", "10:00", "12:00", "15:00")


@pytest.fixture
def session(copied_run: SmallRun) -> LiveSession:
    return LiveSession(copied_run)


@pytest.fixture
def client(session: LiveSession) -> Iterator[httpx.Client]:
    with serving(session.run.settings) as asked:
        yield asked


def messages(answer: httpx.Response) -> Iterator[dict[str, str]]:
    """The messages of an open stream; those without data, which only say where the reader is, too."""
    found: dict[str, str] = {}
    for line in answer.iter_lines():
        name, _, value = line.partition(": ")
        if line:
            found[name] = value
        else:
            yield found
            found = {}


def read(client: httpx.Client, count: int, **options: object) -> list[dict[str, str]]:
    """The first messages with data."""
    with client.stream("GET", PATH, **options) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        return list(islice((each for each in messages(answer) if "data" in each), count))


def test_a_reader_that_is_killed_and_comes_back_misses_nothing_and_gets_nothing_twice(
    session: LiveSession, client: httpx.Client, tmp_path: Path
) -> None:
    url, path = f"{client.base_url.join(PATH)}?after=0", tmp_path / "events"
    reader = stream_client.started(url, path)
    for number, clock in enumerate(CLOCKS):
        session.tick(clock)
        last = last_event(session.warehouse)
        if number % 2:
            # In the middle of what it is sent, or before it is sent any of it.
            reader.kill()
            reader.wait()
            reader = stream_client.started(url, path)
        else:
            stream_client.wait_until(path, last, reader)
    stream_client.wait_until(path, last, reader)
    reader.kill()
    reader.wait()
    events = stream_client.kept(path)
    assert [event["event_id"] for event in events] == list(range(1, last + 1))
    bars = [(event["instrument_key"], event["timestamp"]) for event in events]
    assert len(set(bars)) == len(bars)
    stored = session.events()
    assert [event["close"] for event in events] == list(stored["close"])
    assert max(event["timestamp"] for event in events) == f"{session.key}T14:55:00+05:30"


def test_the_stream_has_bars_with_indicators_and_says_what_was_corrected(
    session: LiveSession, client: httpx.Client
) -> None:
    session.tick("09:30")
    count = last_event(session.warehouse)
    key = session.whole[tables.CANDLES_5MIN.name]["instrument_key"].iloc[0]
    session.tick(
        "09:30",
        change=lambda name, rows: (
            rows.assign(volume=rows["volume"].where(rows["instrument_key"] != key, 1))
            if name == tables.CANDLES_5MIN.name
            else rows
        ),
    )
    found = read(client, count + 3, params={"after": 0})
    assert [each["event"] for each in found] == ["candle"] * count + ["revision"] * 3
    assert [each["id"] for each in found] == [str(n + 1) for n in range(count + 3)]
    first, last = (json.loads(found[place]["data"]) for place in (0, -1))
    assert (first["event_id"], first["revision"], first["event"]) == (1, 1, "candle")
    assert first["timestamp"] == f"{session.key}T09:15:00+05:30"
    assert first["rsi"] is not None
    assert (last["instrument_key"], last["revision"], last["volume"]) == (key, 2, 1)
    answer = client.get(
        f"{PREFIX}/candles/{key.replace('|', '%7C')}/5minute",
        params={"start": first["timestamp"], "end": first["timestamp"]},
    )
    (bar,) = answer.json()["data"]["data"]
    of_key = [json.loads(each["data"]) for each in found]
    (sent,) = [
        event for event in of_key[count:]
        if (event["instrument_key"], event["timestamp"]) == (key, first["timestamp"])
    ]  # fmt: skip
    assert {name: sent[name] for name in bar if name in sent} == {
        name: value for name, value in bar.items() if name in sent
    }


def test_only_the_instruments_that_were_asked_for_by_key_or_symbol(
    session: LiveSession, client: httpx.Client
) -> None:
    instruments = session.warehouse.read(INSTRUMENTS, [WHOLE], ["instrument_key", "symbol"])
    first, second = instruments.iloc[0], instruments.iloc[1]
    session.tick("09:30")
    wanted = f"{first['instrument_key']}, {second['symbol']}"
    found = read(client, 6, params={"after": 0, "keys": wanted})
    assert {json.loads(each["data"])["instrument_key"] for each in found} == {
        first["instrument_key"],
        second["instrument_key"],
    }


def test_without_a_number_it_begins_now_and_says_where_that_is(
    session: LiveSession, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT_SECONDS", 0.2)
    session.tick("09:20")
    last = last_event(session.warehouse)
    with client.stream("GET", PATH) as answer:
        told = messages(answer)
        assert next(told) == {"retry": "2000", "id": str(last)}
        # A reader of whom nothing is new knows where to go on, too.
        assert next(told) == {"": "nothing new", "id": str(last)}
        session.tick("09:25")
        following = next(each for each in told if "data" in each)
    assert following["id"] == str(last + 1)
    # What a browser sends counts more than the address, which stays the same.
    again = read(client, 1, params={"after": 0}, headers={"Last-Event-ID": str(last + 1)})
    assert again[0]["id"] == str(last + 2)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"params": {"after": "x"}}, "query.after: "),
        ({"params": {"after": -1}}, "query.after: "),
        ({"params": {"after": 1}}, "after: found 1, expected at most 0, the number of the last"),
        ({"headers": {"Last-Event-ID": "a b"}}, "header Last-Event-ID: found 'a b', expected"),
        ({"params": {"keys": " , "}}, "keys: found 0, expected 1 to 200"),
        ({"params": {"keys": "NSE_EQ|NOBODY"}}, "keys: found 'NSE_EQ|NOBODY', expected keys or"),
    ],
)
def test_what_cannot_be_asked_for(client: httpx.Client, options: dict, said: str) -> None:
    assert sentence(client.get(PATH, **options)).startswith(said)


def test_more_streams_than_may_be_are_told_so_and_closed_ones_do_not_count(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "MOST_STREAMS", 2)
    with client.stream("GET", PATH) as first, client.stream("GET", PATH) as second:
        assert (first.status_code, second.status_code) == (200, 200)
        assert sentence(client.get(PATH), 503).startswith("2 streams are open")
        assert client.get("/openapi.json").status_code == 200
    deadline = time.monotonic() + PATIENCE
    while True:
        with client.stream("GET", PATH) as third:
            if third.status_code == 200:
                break
        assert time.monotonic() < deadline, "closed streams count"
        time.sleep(0.05)


def test_with_a_token_only_those_who_send_it_are_answered(session: LiveSession) -> None:
    with serving(session.run.settings, "a token") as client:
        sentence(client.get(PATH), 401)
        with client.stream("GET", PATH, headers={"Authorization": "Bearer a token"}) as answer:
            assert answer.status_code == 200


def test_a_server_that_ends_ends_its_streams(session: LiveSession) -> None:
    ended = threading.Event()
    with serving(session.run.settings) as client:
        began, url = threading.Event(), client.base_url.join(PATH)

        def follow() -> None:
            with httpx.stream("GET", url, trust_env=False, timeout=PATIENCE) as answer:
                for _ in messages(answer):
                    began.set()
            # Without an error: the answer has its proper end.
            ended.set()

        reader = threading.Thread(target=follow, daemon=True)
        reader.start()
        assert began.wait(PATIENCE)
    assert ended.wait(PATIENCE)


def test_a_reader_that_does_not_read_is_cut_off(
    session: LiveSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "PATIENCE_SECONDS", 0.1)

    async def asked() -> Feed:
        feed = Feed(session.warehouse)

        async def never(*_: object) -> dict:
            await asyncio.Event().wait()
            return {}

        answer = stream._Stream(stream._messages(feed, 0, None), feed)
        await asyncio.wait_for(answer({"type": "http"}, never, never), 5)
        return feed

    assert asyncio.run(asked()).readers == 0
