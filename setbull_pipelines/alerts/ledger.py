"""The ledger: alerts and the notices about them, as a fold over findings.

Belongs here: which finding raises, repeats or recovers an alert, which messages follow, and when: at once or in
the morning. Does not belong here: delivering (``outbox.py``), what acts cover (``acts.py``), storing the rows.

A finding that is not later than what its alert already knows changes nothing, nor does news that was told before. So
looking twice at the same run is harmless, and when every source reports its findings in the order of their moments, the
alerts that are open in the end depend on the last finding of each key only, however the sources mix.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from setbull_pipelines.alerts.acts import (
    MUTED,
    Act,
    NotMuted,
    Subject,
    acknowledging,
    muting,
    was_muted,
)
from setbull_pipelines.alerts.finding import Finding, Says, Severity
from setbull_pipelines.settings import AlertSettings
from setbull_pipelines.tables.contract import INDIA
from setbull_pipelines.tables.operations import ALERT_STATES, NOTICE_EVENTS, NOTICE_STATES

OPEN, RECOVERED, NOTED = ALERT_STATES
RAISED, REMINDER, _ = NOTICE_EVENTS
WAITING, DELIVERED, GIVEN_UP = NOTICE_STATES
_NEVER_WAITS = "bb_width"
"""The kind of alerts that are of use only while the session trades."""


@dataclass(frozen=True)
class Alert:
    """A row of ``operations.alerts``."""

    number: int
    key: str
    kind: str
    severity: Severity
    state: str
    title: str
    message: str
    asset: str | None
    trading_day: date | None
    link: str
    run_id: str | None
    first_seen: datetime
    last_seen: datetime
    recovered_at: datetime | None = None
    recovered_by: str | None = None
    notified_at: datetime | None = None
    occurrences: int = 1

    @property
    def known_until(self) -> datetime:
        """The moment of the last finding that counted."""
        return self.recovered_at or self.last_seen


@dataclass(frozen=True)
class Notice:
    """A row of ``operations.alert_notices``: one event of one alert, for one channel."""

    number: int
    alert: int
    event: str
    channel: str
    created_at: datetime
    next_attempt_at: datetime | None
    state: str = WAITING
    attempts: int = 0
    delivered_at: datetime | None = None
    last_error: str | None = None


@dataclass(frozen=True)
class Ledger:
    """All alerts and notices, and what people did about them, each in the order of their numbers."""

    alerts: tuple[Alert, ...] = ()
    notices: tuple[Notice, ...] = ()
    acts: tuple[Act, ...] = ()

    @property
    def open(self) -> tuple[Alert, ...]:
        """The alerts that somebody has to look at, the worst first."""
        found = [alert for alert in self.alerts if alert.state == OPEN]
        return tuple(sorted(found, key=lambda alert: (-alert.severity.value, alert.number)))

    def alert(self, number: int) -> Alert:
        """The alert with this number."""
        return self.alerts[number - 1]

    def muted(self, alert: Alert, moment: datetime) -> Act | None:
        """The mute that keeps people from being told of the alert at a moment."""
        return muting(self.acts, alert.key, alert.asset, alert.severity, moment)

    def acknowledged(self, alert: Alert) -> Act | None:
        """The act by which somebody took notice of the alert."""
        return acknowledging(self.acts, alert.number)


def record(
    ledger: Ledger, findings: Iterable[Finding], settings: AlertSettings, now: datetime
) -> Ledger:
    """``ledger`` after ``findings``, in the order of their moments; the same ledger when they say nothing new.

    What was raised while it was muted is sent once the mute has ended, if it is still open.
    """
    alerts = {alert.number: alert for alert in ledger.alerts}
    latest = {alert.key: alert for alert in ledger.alerts}
    notices = list(ledger.notices)

    def told(alert: Alert, event: str | None) -> Alert:
        if not event or not settings.channels:
            return alert
        due_at = _due_at(alert, settings, now)
        for channel in settings.channels:
            notices.append(Notice(len(notices) + 1, alert.number, event, channel, now, due_at))
        return replace(alert, notified_at=now)

    for finding in sorted(findings, key=lambda finding: finding.observed_at):
        before = latest.get(finding.key)
        after = _after(before, finding, len(alerts) + 1)
        if after is None:
            continue
        after = told(after, _event(before, after, ledger, settings, now))
        alerts[after.number] = latest[after.key] = after
    for alert in list(alerts.values()):
        is_untold = alert.state == OPEN and alert.notified_at is None
        if is_untold and was_muted(ledger.acts, alert.key, alert.asset):
            alerts[alert.number] = told(alert, _event(None, alert, ledger, settings, now))
    return replace(ledger, alerts=tuple(alerts.values()), notices=tuple(notices))


def acted(
    ledger: Ledger,
    act: str,
    subject: Subject,
    actor: str,
    reason: str | None,
    until: datetime | None,
    now: datetime,
) -> Ledger:
    """``ledger`` after what a person did. Raises NotMuted: a critical alert is sent in any case."""
    if act == MUTED and subject.alert and ledger.alert(subject.alert).severity is Severity.CRITICAL:
        raise NotMuted(
            f"alert {subject.alert} is critical, and a critical alert is sent in any case; to end its reminders type: "
            f"setbull alerts acknowledge {subject.alert} --by NAME"
        )
    number = len(ledger.acts) + 1
    made = Act(number, act, subject.subject, subject.name, actor, reason, now, subject.alert, until)
    return replace(ledger, acts=(*ledger.acts, made))


def _after(alert: Alert | None, finding: Finding, next_number: int) -> Alert | None:
    """The alert after the finding; None when the finding says nothing new."""
    if alert is not None and (
        finding.observed_at <= alert.known_until or finding.says is Says.CHANGED
    ):
        return None
    is_open = alert is not None and alert.state == OPEN
    if finding.says is Says.WELL:
        if alert is None or not is_open:
            return None
        return replace(
            alert,
            state=RECOVERED,
            recovered_at=finding.observed_at,
            recovered_by=finding.run_id,
        )
    seen: dict[str, Any] = {
        "severity": finding.severity,
        "title": finding.title,
        "message": finding.message,
        "link": finding.link,
        "run_id": finding.run_id,
        "trading_day": finding.trading_day,
        "last_seen": finding.observed_at,
    }
    if alert is not None and is_open:
        return replace(alert, **seen, occurrences=alert.occurrences + 1)
    return Alert(
        number=next_number,
        key=finding.key,
        kind=finding.kind,
        state=NOTED if finding.says is Says.CHANGED else OPEN,
        asset=finding.asset,
        first_seen=finding.observed_at,
        **seen,
    )


def _event(
    before: Alert | None, after: Alert, ledger: Ledger, settings: AlertSettings, now: datetime
) -> str | None:
    """The message about the change; None when there is none."""
    if ledger.muted(after, now):
        return None
    if after.state == RECOVERED:
        # Nobody was told of an alert below the minimum, so nobody waits for its end.
        return RECOVERED if after.notified_at else None
    if after.severity.value < Severity.named(settings.minimum_severity).value:
        return None
    if after.notified_at is None:
        return RAISED
    is_worse = before is not None and after.severity.value > before.severity.value
    is_due = now - after.notified_at >= timedelta(hours=settings.repeat_hours)
    # A message of the morning that only repeats itself would be read by nobody after a week.
    is_known = ledger.acknowledged(after) is not None or _waits(after, settings)
    return REMINDER if is_worse or (is_due and not is_known) else None


def _waits(alert: Alert, settings: AlertSettings) -> bool:
    """Whether the alert waits for the morning's message."""
    is_mild = alert.severity.value < Severity.named(settings.at_once_severity).value
    return bool(settings.morning) and is_mild and alert.kind != _NEVER_WAITS


def _due_at(alert: Alert, settings: AlertSettings, now: datetime) -> datetime:
    if not _waits(alert, settings):
        return now
    hour, minute = map(int, settings.morning.split(":"))
    local = now.astimezone(ZoneInfo(INDIA))
    morning = local.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return morning if morning > local else morning + timedelta(days=1)
