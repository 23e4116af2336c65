"""The client against a real server: attempts, waits, what is given up, and where the token does not appear."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime

import pytest

from setbull_pipelines.settings import UpstoxSettings
from setbull_pipelines.sources.upstox.budget import Limit, RequestBudget
from setbull_pipelines.sources.upstox.calls import MINUTE, Call, CallFailed, TokenRefused
from setbull_pipelines.sources.upstox.client import InvalidToken, UpstoxClient
from setbull_pipelines_tests.ports import free_port
from setbull_pipelines_tests.sources.upstox.broker import (
    INFY,
    TOKEN,
    Broker,
    Reply,
    broker,
    error_body,
)

CALL = Call(INFY, MINUTE, date(2026, 11, 2), date(2026, 11, 6))
BUSY = Reply(503, error_body("UDAPI500000", "try later"))


@pytest.fixture
def server() -> Iterator[Broker]:
    with broker() as state:
        yield state


@dataclass
class Asking:
    """A client whose waits are only written down."""

    url: str
    token: str | None = TOKEN
    attempts: int = 3
    timeout: float = 5.0
    waits: list[float] = field(default_factory=list)
    requests: int = 0
    budget_time: float = 0.0

    def ask(self, call: Call = CALL):
        settings = UpstoxSettings(
            base_url=self.url,
            attempts=self.attempts,
            timeout_seconds=self.timeout,
            first_retry_seconds=2.0,
            longest_wait_seconds=100.0,
        )

        def pass_time(seconds: float) -> None:
            self.budget_time += seconds

        budget = RequestBudget([Limit(1000, 1.0)], lambda: self.budget_time, pass_time)
        with UpstoxClient(settings, self.token, budget, self.waits.append) as client:
            return client.ask(call, self._count)

    def _count(self) -> None:
        self.requests += 1


def test_an_answer_is_body_and_candles_and_the_token_is_sent(server: Broker) -> None:
    asking = Asking(server.url)
    body, candles = asking.ask()
    assert body.startswith(b'{"status": "success"')
    assert len(candles) == 5 * 3  # sessions from Monday to Friday
    assert server.paths == [
        "/v3/historical-candle/NSE_EQ%7CINE009A01021/minutes/1/2026-11-06/2026-11-02"
    ]
    assert server.authorizations == {f"Bearer {TOKEN}"}
    assert (asking.requests, asking.waits) == (1, [])


@pytest.mark.parametrize("token", [None, "", "  "])
def test_without_a_token_none_is_sent(server: Broker, token: str | None) -> None:
    Asking(server.url, token).ask()
    assert server.authorizations == {None}


@pytest.mark.parametrize(
    "passing",
    [
        BUSY,
        Reply(500, b"<html>oops</html>"),
        Reply(429, error_body("UDAPI10005", "Too Many Request Sent")),
        Reply(408),
        Reply(200, b'{"status": "success", "data": {"candles": [["2026-11'),
        Reply(200, b'{"status": "success"', cut=True),
    ],
    ids=["503", "500", "429", "408", "truncated", "broken connection"],
)
def test_what_can_pass_is_tried_again_with_longer_waits(server: Broker, passing: Reply) -> None:
    server.scripts[INFY] = [passing, passing]
    asking = Asking(server.url)
    assert len(asking.ask()[1]) == 15
    assert asking.requests == len(server.paths) == 3
    first, second = asking.waits
    assert 2 <= first <= 4  # the first wait and a random part of the same length
    assert 4 <= second <= 6


def test_when_the_attempts_are_used_up_the_last_reason_is_told(server: Broker) -> None:
    server.scripts[INFY] = [BUSY] * 3
    with pytest.raises(CallFailed) as failure:
        Asking(server.url).ask()
    assert str(failure.value) == (
        "1minute candles of NSE_EQ|INE009A01021, 2026-11-02 to 2026-11-06: found HTTP 503 "
        "(UDAPI500000: try later), expected candles, after 3 attempts"
    )
    assert len(server.paths) == 3


def test_the_wait_that_the_broker_asks_for_is_kept_by_everybody(server: Broker) -> None:
    server.scripts[INFY] = [Reply(429, headers={"Retry-After": "17"})]
    asking = Asking(server.url)
    asking.ask()
    assert asking.waits == [17.0]
    assert asking.budget_time == 17.0  # the budget let nobody through meanwhile


def test_a_wait_can_be_a_date(server: Broker) -> None:
    until = datetime.now(UTC) + timedelta(seconds=40)
    server.scripts[INFY] = [
        Reply(503, headers={"Retry-After": format_datetime(until, usegmt=True)}),
        Reply(503, headers={"Retry-After": "soon"}),
    ]
    asking = Asking(server.url)
    started = datetime.now(UTC)
    asking.ask()
    asked_at = until.replace(microsecond=0) - timedelta(seconds=asking.waits[0])
    assert started <= asked_at <= datetime.now(UTC)
    assert asking.waits[1] >= 4  # what cannot be read asks for nothing: the usual wait


def test_a_wait_that_is_too_long_fails_the_call_at_once(server: Broker) -> None:
    server.scripts[INFY] = [Reply(429, headers={"Retry-After": "101"})]
    with pytest.raises(
        CallFailed, match=r"wait 101 s, more than upstox.longest_wait_seconds \(100\)"
    ):
        Asking(server.url).ask()
    assert len(server.paths) == 1


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (
            Reply(400, error_body("UDAPI100011", "Invalid Instrument key")),
            "HTTP 400 .UDAPI100011: ",
        ),
        (Reply(404, b"nothing here"), "HTTP 404 .'nothing here'"),
        (Reply(302, headers={"Location": "http://127.0.0.1:9/"}), "HTTP 302"),
        (
            Reply(200, {"status": "success", "data": {}}),
            "expected an object with a list of candles",
        ),
    ],
)
def test_what_cannot_pass_is_asked_once(server: Broker, reply: Reply, sentence: str) -> None:
    server.scripts[INFY] = [reply]
    with pytest.raises(CallFailed, match=sentence):
        Asking(server.url).ask()
    assert len(server.paths) == 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_says_what_to_do(server: Broker, status: int) -> None:
    server.scripts[INFY] = [Reply(status, error_body("UDAPI100050", "Invalid token used"))]
    with pytest.raises(
        TokenRefused, match=r"UDAPI100050: .*set SETBULL_UPSTOX_TOKEN to a token of today"
    ):
        Asking(server.url).ask()
    assert len(server.paths) == 1


def test_a_body_that_comes_in_drops_is_a_time_out(server: Broker) -> None:
    server.scripts[INFY] = [Reply(200, b"x" * 1000, drips=True)]
    asking = Asking(server.url, timeout=2.0)
    assert len(asking.ask()[1]) == 15
    assert asking.requests == 2


def test_a_server_that_does_not_answer_or_is_not_there(server: Broker) -> None:
    server.scripts[INFY] = [Reply(200, delay=60.0)] * 2
    with pytest.raises(CallFailed, match=r"the request failed \(timed out\), after 2 attempts"):
        Asking(server.url, attempts=2, timeout=0.2).ask()
    with pytest.raises(CallFailed, match=r"the request failed .* after 2 attempts"):
        Asking(f"http://127.0.0.1:{free_port()}", attempts=2).ask()


@pytest.mark.parametrize(
    "reply",
    [
        Reply(400, error_body("E", f"bad token {TOKEN}")),
        Reply(401, error_body("E", f"bad token {TOKEN}")),
        Reply(500, f"you sent Bearer {TOKEN}"),
        Reply(200, {"status": "error", "errors": [{"errorCode": "E", "message": TOKEN}]}),
    ],
)
def test_the_token_appears_in_no_error_and_no_log(
    server: Broker, reply: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    server.scripts[INFY] = [reply] * 3
    with caplog.at_level(logging.DEBUG), pytest.raises(CallFailed) as failure:
        Asking(server.url).ask()
    chain = repr(failure.value) + repr(failure.value.__cause__) + str(failure.value)
    assert TOKEN not in chain
    assert TOKEN not in caplog.text
    assert "[token]" in str(failure.value)


@pytest.mark.parametrize("token", ["abc\ndef", "abc def", "ключ"])
def test_a_token_that_cannot_be_sent_is_refused_without_showing_it(token: str) -> None:
    with pytest.raises(InvalidToken) as refusal:
        Asking("http://127.0.0.1:9", token).ask()
    assert "SETBULL_UPSTOX_TOKEN" in str(refusal.value)
    assert token not in str(refusal.value)


def test_the_client_does_not_show_its_token() -> None:
    budget = RequestBudget([Limit(1, 1.0)], lambda: 0.0, lambda seconds: None)
    client = UpstoxClient(UpstoxSettings(), TOKEN, budget)
    assert TOKEN not in repr(client)
    assert TOKEN not in repr(client._http.headers)
