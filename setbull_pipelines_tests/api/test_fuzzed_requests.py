"""Requests changed at random: each is answered as promised, and an answer that is not would be found."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from setbull_pipelines_tests.api.fuzzed_requests import Broken, Refused, fuzzed, judge, whole
from setbull_pipelines_tests.pipeline.small_run import SmallRun
from setbull_pipelines_tests.sources.fuzzed_readers import Reader
from setbull_pipelines_tests.sources.fuzzing import Fuzzer

WAYS = ("API, requests", "API, bytes", "API, without the token")
REFUSED_SEEDS = {
    *("GET /divergence/candles_daily/2026-06-30", "DELETE alerts/history", "POST alerts/configure"),
}
"""There is no difference on that day, and what changes something is refused."""


@pytest.fixture(scope="module")
def ways(grouped_run: SmallRun) -> Iterator[dict[str, Reader]]:
    with fuzzed(grouped_run) as found:
        yield found


@pytest.mark.parametrize("way", WAYS[:2])
def test_every_seed_is_answered(way: str, ways: dict[str, Reader]) -> None:
    refused = set()
    for what, (name, content) in ways[way].seeds.items():
        try:
            ways[way].read(name, content)
        except Refused:
            refused.add(what)
    assert refused == REFUSED_SEEDS
    assert len(ways[way].seeds) > 25


@pytest.mark.parametrize("way", WAYS)
def test_changed_requests_are_answered_or_refused(way: str, ways: dict[str, Reader]) -> None:
    fuzzer = Fuzzer(ways[way], random.Random(7))
    for _ in range(120):
        fuzzer.step()
    assert not fuzzer.tally.faults
    assert fuzzer.tally.refused > 0


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 500 \r\ncontent-length: 2\r\n\r\n{}", "status 500"),
        (b'HTTP/1.1 503 \r\n\r\n{"success":false,"error":"cut file"}', "status 503"),
        (
            b'HTTP/1.1 400 \r\ncontent-type: application/json\r\ncontent-length: 15\r\n\r\n{"detail":"no"}',
            "an error in other words",
        ),
        (
            b'HTTP/1.1 400 \r\ncontent-type: application/json\r\n\r\n{"success":false,"error":"'
            + b"A" * 5000
            + b'"}',
            "bytes of an error",
        ),
        (b"GET / HTTP/1.1\r\n\r\n", "no answer of HTTP"),
    ],
)
def test_an_answer_that_no_request_may_get_is_found(answer: bytes, said: str) -> None:
    with pytest.raises(Broken, match=said):
        judge(answer)


def test_a_request_is_made_whole_and_keeps_what_it_says() -> None:
    made = whole(b"POST /x y\nHost: other\n\n{}")
    assert made == (
        b"POST /x%20y HTTP/1.1\r\nHost: other\r\nx-user-id: 1\r\ncontent-type: application/json\r\n"
        b"content-length: 2\r\n\r\n{}"
    )
    assert whole(b"GET /a").startswith(b"GET /a HTTP/1.1\r\nhost: 127.0.0.1:8000\r\n")
