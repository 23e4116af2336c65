"""The outbox: when a notice is tried, tried again, and given up.

Belongs here: the life of a notice. Does not belong here: sending, storing.

A notice is claimed before it is sent: its next attempt moves into the future, so that another process leaves it
alone, and one that dies while sending loses nothing. A receiver can get a notice twice, never not at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from setbull_pipelines.alerts.ledger import DELIVERED, GIVEN_UP, WAITING, Notice
from setbull_pipelines.settings import AlertSettings


def due(notices: Iterable[Notice], now: datetime) -> list[Notice]:
    """The notices to try now."""
    return [
        notice
        for notice in notices
        if notice.state == WAITING
        and notice.next_attempt_at is not None
        and notice.next_attempt_at <= now
    ]


def claimed(notice: Notice, settings: AlertSettings, now: datetime) -> Notice:
    """The notice while it is being sent; if nothing more is heard it is due again after the wait."""
    wait = wait_after(notice.attempts, settings)
    return replace(notice, attempts=notice.attempts + 1, next_attempt_at=now + wait)


def wait_after(attempts: int, settings: AlertSettings) -> timedelta:
    """How long a receiver is left alone after one attempt more, when ``attempts`` failed before it."""
    return timedelta(seconds=settings.first_retry_seconds * 2**attempts)


def finished(notice: Notice, error: str | None, settings: AlertSettings, now: datetime) -> Notice:
    """A claimed notice after its attempt; ``error`` is None when the receiver accepted it."""
    if error is None:
        return replace(
            notice, state=DELIVERED, delivered_at=now, next_attempt_at=None, last_error=None
        )
    if notice.attempts >= settings.attempts:
        return replace(notice, state=GIVEN_UP, next_attempt_at=None, last_error=error)
    return replace(notice, last_error=error)
