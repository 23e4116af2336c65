"""A notice is tried with growing waits, given up at the end, and never forgotten in between."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from setbull_pipelines.alerts.ledger import Notice
from setbull_pipelines.alerts.outbox import claimed, due, finished
from setbull_pipelines.settings import AlertSettings

START = datetime(2026, 6, 30, 16, 0, tzinfo=UTC)
SETTINGS = AlertSettings(attempts=4, first_retry_seconds=60)
NEW = Notice(1, 1, "raised", "MAIL_URL", START, START)


def test_waits_double_and_the_last_failure_gives_up() -> None:
    notice, now, waits = NEW, START, []
    while notice.state == "waiting":
        assert due([notice], now) == [notice]
        notice = finished(claimed(notice, SETTINGS, now), "refused", SETTINGS, now)
        if notice.next_attempt_at:
            waits.append((notice.next_attempt_at - now).total_seconds())
            assert due([notice], notice.next_attempt_at - timedelta(seconds=1)) == []
            now = notice.next_attempt_at
    assert waits == [60, 120, 240]
    assert (notice.state, notice.attempts, notice.last_error) == ("given up", 4, "refused")
    assert due([notice], now + timedelta(days=99)) == []


def test_a_claimed_notice_is_left_alone_until_its_wait_is_over() -> None:
    held = claimed(NEW, SETTINGS, START)
    assert due([held], START + timedelta(seconds=59)) == []
    assert due([held], START + timedelta(seconds=60)) == [held]


def test_a_delivered_notice_forgets_its_error() -> None:
    failed = finished(claimed(NEW, SETTINGS, START), "refused", SETTINGS, START)
    done = finished(claimed(failed, SETTINGS, START), None, SETTINGS, START)
    assert (done.state, done.delivered_at, done.next_attempt_at, done.last_error) == (
        "delivered",
        START,
        None,
        None,
    )
    assert due([done], START + timedelta(days=1)) == []


@given(st.lists(st.sampled_from(["accepted", "refused", "died"]), max_size=12))
def test_a_notice_is_delivered_given_up_or_still_due_later(outcomes: list[str]) -> None:
    notice, now = NEW, START
    for outcome in outcomes:
        if not due([notice], now):
            break
        notice = claimed(notice, SETTINGS, now)
        if outcome != "died":
            error = None if outcome == "accepted" else "refused"
            notice = finished(notice, error, SETTINGS, now)
        now = notice.next_attempt_at or now
    assert (notice.state == "waiting") == (notice.next_attempt_at is not None)
    assert (notice.state == "delivered") == (notice.delivered_at is not None)
    if notice.state == "given up":
        assert notice.attempts >= SETTINGS.attempts
