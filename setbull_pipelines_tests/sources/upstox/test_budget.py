"""The budget under a clock that only moves when somebody sleeps."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from setbull_pipelines.settings import UpstoxSettings
from setbull_pipelines.sources.upstox.budget import Limit, RequestBudget, limits_of


class FakeTime:
    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


def in_window(sent: list[float], limit: Limit) -> int:
    """The most requests in any window, counted the slow way."""
    return max(sum(start <= moment < start + limit.seconds for moment in sent) for start in sent)


limits = st.lists(st.builds(Limit, st.integers(1, 6), st.floats(0.5, 30)), min_size=1, max_size=3)
happenings = st.lists(
    st.one_of(
        st.just(("ask", 0.0)),
        st.tuples(st.sampled_from(["idle", "pause"]), st.floats(0, 40)),
    ),
    min_size=1,
    max_size=60,
)


@given(limits, happenings)
def test_no_window_is_ever_exceeded_and_no_pause_broken(limits, happenings) -> None:
    fake, sent, paused_until = FakeTime(), [], 0.0
    budget = RequestBudget(limits, fake.clock, fake.sleep)
    for what, seconds in happenings:
        if what == "idle":
            fake.now += seconds
        elif what == "pause":
            budget.pause(seconds)
            paused_until = max(paused_until, fake.now + seconds)
        else:
            budget.wait_for_turn()
            sent.append(fake.now)
            assert fake.now >= paused_until - 1e-6
    for limit in limits:
        # Sums of floats: a window is that much shorter.
        assert (
            not sent
            or in_window(sent, Limit(limit.requests, limit.seconds - 1e-6)) <= limit.requests
        )


def test_the_limits_of_the_broker_give_its_known_times() -> None:
    fake = FakeTime()
    budget = RequestBudget(limits_of(UpstoxSettings()), fake.clock, fake.sleep)
    moments = []
    for _ in range(2001):
        budget.wait_for_turn()
        moments.append(fake.now)
    # 50 at once, 500 within ten seconds of the first minute, the 501st a minute after the first, and so on.
    assert [moments[n] for n in (49, 50, 499, 500, 1999, 2000)] == [0, 1, 9, 60, 189, 1800]


def test_requests_of_an_earlier_process_count() -> None:
    fake = FakeTime()
    budget = RequestBudget([Limit(2, 10.0)], fake.clock, fake.sleep, sent=[-3.0, -8.0])
    budget.wait_for_turn()
    assert fake.now == 2.0


@pytest.mark.parametrize("threads", [2, 6])
def test_threads_share_one_budget(threads: int) -> None:
    limit, sent = Limit(5, 0.1), []
    budget = RequestBudget([limit], time.monotonic, time.sleep)

    def ask() -> None:
        for _ in range(3):
            budget.wait_for_turn()
            sent.append(time.monotonic())

    started = time.monotonic()
    workers = [threading.Thread(target=ask) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(sent) == threads * 3
    assert max(sent) - started >= (len(sent) - 1) // limit.requests * limit.seconds
