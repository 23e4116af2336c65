"""Connections that never send a whole request are closed, and others are answered meanwhile."""

from __future__ import annotations

import socket
import time

import httpx
import pytest

from setbull_pipelines.api import patience
from setbull_pipelines_tests.api.running import PREFIX, serving
from setbull_pipelines_tests.patience import PATIENCE
from setbull_pipelines_tests.pipeline.small_run import SmallRun

TOP = f"{PREFIX}/filter-pipeline/fetch/top-10"
HALVES = {
    "nothing": b"",
    "half a line": b"GET /api",
    "half a head": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n",
    "half a body": b"POST /api/v1/market/quotes HTTP/1.1\r\nHost: 127.0.0.1\r\nX-User-Id: 1\r\n"
    b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
}
SECONDS = 1.0


def opened(client: httpx.Client, first: bytes) -> socket.socket:
    """A connection on which ``first`` was sent."""
    address = (client.base_url.host, client.base_url.port)
    assert address[1] is not None
    connection = socket.create_connection(address, timeout=PATIENCE)
    connection.sendall(first)
    return connection


def drop_by_drop(connection: socket.socket) -> None:
    """Send a byte now and then, for ten seconds."""
    for _ in range(200):
        connection.sendall(b"X")
        time.sleep(0.05)


@pytest.mark.parametrize("half", HALVES)
def test_a_request_that_never_ends_is_given_up_and_others_are_answered(
    half: str, small_run: SmallRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "REQUEST_SECONDS", SECONDS)
    with serving(small_run.settings) as client:
        began = time.monotonic()
        waiting = [opened(client, HALVES[half]) for _ in range(50)]
        assert client.get(TOP).status_code == 200
        for connection in waiting:
            while connection.recv(4096):
                pass  # an answer is no harm: the connection has to end
            connection.close()
        assert time.monotonic() - began >= SECONDS
        assert client.get(TOP).status_code == 200


def test_a_head_that_comes_drop_by_drop_is_given_up_too(
    small_run: SmallRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "REQUEST_SECONDS", SECONDS)
    with serving(small_run.settings) as client:
        connection = opened(client, b"GET / HTTP/1.1\r\n")
        with pytest.raises(ConnectionError):
            drop_by_drop(connection)
        connection.close()


def test_a_second_request_on_a_connection_has_its_own_time(
    small_run: SmallRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "REQUEST_SECONDS", SECONDS)
    with serving(small_run.settings) as client:
        for _ in range(4):
            assert client.get(TOP).status_code == 200
            time.sleep(SECONDS / 2)


def test_more_connections_than_may_be_are_told_so(
    small_run: SmallRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "LARGEST_CROWD", 5)
    with serving(small_run.settings) as client:
        waiting = [opened(client, HALVES["half a head"]) for _ in range(6)]
        assert client.get(TOP).status_code == 503
        for connection in waiting:
            connection.close()
