"""How often one client is answered: an allowance that fills up again, for each address by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from setbull_pipelines.api import pace
from setbull_pipelines.api.pace import MOST_CLIENTS, Allowances
from setbull_pipelines.settings import ApiSettings, InvalidSettings
from setbull_pipelines_tests.api.answers import data, sentence
from setbull_pipelines_tests.api.running import PREFIX, serving
from setbull_pipelines_tests.pipeline.small_run import SmallRun

HEALTH = f"{PREFIX}/health"


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_ten_seconds_worth_are_answered_at_once_and_then_as_many_as_come_back() -> None:
    clock = Clock()
    allowances = Allowances(2.0, clock)
    assert [allowances.wait_of("a") for _ in range(20)] == [0.0] * 20
    assert allowances.wait_of("a") == 0.5
    clock.now += 0.25
    assert allowances.wait_of("a") == 0.25
    clock.now += 0.25
    assert allowances.wait_of("a") == 0.0
    assert allowances.wait_of("a") == 0.5
    clock.now += 3600.0
    assert [allowances.wait_of("a") for _ in range(21)] == [0.0] * 20 + [0.5]


def test_one_client_takes_nothing_from_another() -> None:
    allowances = Allowances(1.0, Clock())
    while not allowances.wait_of("a"):
        pass
    assert allowances.wait_of("b") == 0.0


def test_clients_that_have_their_whole_allowance_are_forgotten() -> None:
    clock = Clock()
    allowances = Allowances(1.0, clock)
    while not allowances.wait_of("spent"):
        pass
    for number in range(3 * MOST_CLIENTS):
        clock.now += 1e-6
        allowances.wait_of(str(number))
    assert len(allowances) <= MOST_CLIENTS + 1
    # Or a client could get a new allowance by asking from many other addresses.
    assert allowances.wait_of("spent") > 0


@given(
    rate=st.floats(0.5, 1000),
    pauses=st.lists(st.floats(0, 5), min_size=1, max_size=200),
)
def test_no_stretch_of_time_holds_more_than_the_allowance(rate: float, pauses: list[float]) -> None:
    clock = Clock()
    allowances = Allowances(rate, clock)
    answered = []
    for pause in pauses:
        clock.now += pause
        if not allowances.wait_of("a"):
            answered.append(clock.now)
    for first, begin in enumerate(answered):
        for last in range(first, len(answered)):
            assert last - first + 1 <= rate * (answered[last] - begin + 10) + 1e-3


def test_who_asks_too_often_learns_when_to_ask_again(
    small_run: SmallRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(pace, "monotonic", clock)
    settings = replace(small_run.settings, api=ApiSettings(requests_per_second=1))
    with serving(settings) as client:
        for _ in range(10):
            data(client.get(HEALTH))
        answer = client.get(HEALTH)
        assert sentence(answer, 429) == (
            "found more requests from 127.0.0.1 than api.requests_per_second = 1 allows; ask again in 1 s, and for "
            "several instruments in one request"
        )
        assert answer.headers["Retry-After"] == "1"
        clock.now += 1
        data(client.get(HEALTH))


def test_wrong_tokens_count(small_run: SmallRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "monotonic", Clock())
    settings = replace(small_run.settings, api=ApiSettings(requests_per_second=1))
    with serving(settings, "a secret of this test") as client:
        assert [client.get(HEALTH).status_code for _ in range(11)] == [401] * 10 + [429]


@pytest.mark.parametrize("wrong", [0, -1, 0.5, "many"])
def test_an_allowance_of_nothing_is_refused(wrong: object) -> None:
    with pytest.raises(InvalidSettings, match=r"api\.requests_per_second: .*expected"):
        ApiSettings(requests_per_second=wrong)
