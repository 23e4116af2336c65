"""``setbull alerts``, and the alerts of ``setbull run``: what is open, and who was told.

Belongs here: words for the terminal. Does not belong here: options (``commands/``), what raises alerts
(``automation/noticing.py``), delivering (``pipeline/alert_delivery.py``).
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from textwrap import shorten
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from setbull_pipelines.alerts.acts import (
    ACKNOWLEDGED,
    MUTED,
    Act,
    NotMuted,
    mutes_in_force,
    named,
)
from setbull_pipelines.alerts.finding import Severity
from setbull_pipelines.alerts.ledger import (
    GIVEN_UP,
    NOTED,
    OPEN,
    RECOVERED,
    WAITING,
    Alert,
    Ledger,
)
from setbull_pipelines.alerts.message import Message
from setbull_pipelines.alerts.observing import RunOutcome
from setbull_pipelines.pipeline.alert_delivery import read_ledger, record_act
from setbull_pipelines.pipeline.catalog import refresh_catalog
from setbull_pipelines.pipeline.channels import LOG, send
from setbull_pipelines.pipeline.opening import now, open_warehouse
from setbull_pipelines.quality.rules import all_rules
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables.contract import INDIA
from setbull_pipelines.warehouse.store import Warehouse

if TYPE_CHECKING:
    import dagster as dg

_REASON_WIDTH = 240
_COMMAND = "setbull run"


def _warehouse(settings: Settings) -> Warehouse:
    return open_warehouse(settings)


class _Lines(logging.Handler):
    """Keeps the title of every message to the log channel."""

    def __init__(self) -> None:
        super().__init__()
        self.titles: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.titles.append(record.getMessage().splitlines()[0])


@contextmanager
def _log_as_lines() -> Iterator[list[str]]:
    """What goes to the log channel, for the terminal: without a daemon there is no other log."""
    handler = _Lines()
    LOG.addHandler(handler)
    propagate, LOG.propagate = LOG.propagate, False
    try:
        yield handler.titles
    finally:
        LOG.removeHandler(handler)
        LOG.propagate = propagate


def after_run(
    instance: dg.DagsterInstance,
    run_ids: Sequence[str],
    settings: Settings,
    error: str | None = None,
    gone: Sequence[str] = (),
) -> list[str]:
    """Raise and deliver the alerts of ``setbull run`` and its Dagster runs; returns what to print.

    ``error`` is why the command failed, ``gone`` are earlier runs that it found killed. Never raises: the run is over.
    """
    try:
        # Listing alerts needs no Dagster, whose imports take half a second.
        from setbull_pipelines.automation.noticing import outcome_of

        runs = [outcome_of(instance, instance.get_run_record_by_id(run_id)) for run_id in run_ids]
        # A failed run records why; what fails between runs is recorded as a failure of the command.
        if not any(run.error for run in runs):
            runs.append(RunOutcome(None, _COMMAND, None, error, now()))
        killed = [outcome_of(instance, instance.get_run_record_by_id(run_id)) for run_id in gone]
        return _round(instance, [*killed, *runs], settings)[0]
    except Exception as problem:
        return [f"alerts: not recorded: {problem}"]


def deliver_due(settings: Settings) -> tuple[list[str], bool]:
    """Look at the rollout log and the calendar and deliver what is due; whether every receiver accepted it."""
    import dagster as dg

    with dg.DagsterInstance.get() as instance:
        return _round(instance, [], settings)


def _round(
    instance: dg.DagsterInstance, runs: Sequence[RunOutcome], settings: Settings
) -> tuple[list[str], bool]:
    from setbull_pipelines.automation.noticing import look_and_deliver

    warehouse = _warehouse(settings)
    with _log_as_lines() as logged:
        found = look_and_deliver(instance, runs, warehouse, settings)
    states = [alert.state for alert in found.changed]
    still_open = len(read_ledger(warehouse).open)
    line = f"alerts: {still_open} open"
    if states:
        counts = [f"{states.count(state)} {state}" for state in (OPEN, RECOVERED, NOTED)]
        line += f" (this time: {', '.join(counts)})"
    lines = [line + (" - setbull alerts list" if still_open else ""), *map(_indented, logged)]
    failed = {delivery.channel: delivery.error for delivery in found.deliveries if delivery.error}
    failed |= {sent.receiver: sent.error for sent in found.candles if sent.error}
    for receiver, error in failed.items():
        lines.append(f"  not delivered to {receiver}, will be tried again: {error}")
    return lines, not failed


def _indented(line: str) -> str:
    return f"  {line}"


def alert_lines(settings: Settings, at_most: int) -> Iterator[str]:
    """Open alerts, the worst first, then the last others; then what could not be delivered."""
    ledger = read_ledger(_warehouse(settings))
    moment = now()
    for alert in in_order(ledger, moment)[:at_most]:
        yield _headline(alert, moment)
        yield f"  {shorten(alert.message, _REASON_WIDTH)}"
        yield from map(_indented, _acts_about(alert, ledger, moment))
    hidden = len(ledger.alerts) - at_most
    if hidden > 0:
        yield f"and {hidden} more in operations.alerts"
    yield f"{len(ledger.open)} open of {len(ledger.alerts)} alerts"
    for act in mutes_in_force(ledger.acts, moment):
        yield sentence_of(act)
    yield from _outbox_lines(ledger)


def in_order(ledger: Ledger, moment: datetime.datetime) -> list[Alert]:
    """The open alerts, those that are muted after the others and else the worst first; then the last others."""
    others = [alert for alert in reversed(ledger.alerts) if alert.state != OPEN]
    return [*sorted(ledger.open, key=lambda alert: bool(ledger.muted(alert, moment))), *others]


def _acts_about(alert: Alert, ledger: Ledger, moment: datetime.datetime) -> Iterator[str]:
    if alert.state != OPEN:
        return
    if act := ledger.acknowledged(alert):
        yield sentence_of(act)
    if act := ledger.muted(alert, moment):
        yield sentence_of(act)


def sentence_of(act: Act) -> str:
    """What a person did about alerts, in one line."""
    zone = ZoneInfo(INDIA)
    if act.muted_until:
        end = act.muted_until.astimezone(zone)
        what = f"{act.subject} {act.name}: muted until {end:%Y-%m-%d} by {act.actor}"
    else:
        what = f"alert {act.alert}: acknowledged by {act.actor} at {act.recorded_at.astimezone(zone):%Y-%m-%d %H:%M}"
    return f"{what}: {act.reason}" if act.reason else what


def mute(settings: Settings, about: str, until: datetime.date, actor: str, reason: str) -> str:
    """Tell nobody of what ``about`` names until a day begins; raises NoSuchSubject, NotMuted."""
    zone = ZoneInfo(INDIA)
    if until < now().astimezone(zone).date():
        raise NotMuted(f"--until {until} lies in the past, expected a day to come")
    end = datetime.datetime.combine(until, datetime.time.min, zone)
    return _recorded(MUTED, about, actor, reason, end, settings)


def acknowledge(settings: Settings, number: int, actor: str, reason: str | None) -> str:
    """Record that a person knows of an alert; raises NoSuchSubject."""
    return _recorded(ACKNOWLEDGED, str(number), actor, reason, None, settings)


def _recorded(
    act: str,
    about: str,
    actor: str,
    reason: str | None,
    until: datetime.datetime | None,
    settings: Settings,
) -> str:
    warehouse = _warehouse(settings)
    known = {alert.number: alert.key for alert in read_ledger(warehouse).alerts}
    rules = all_rules()
    tables = [f"{stored.schema}/{stored.table.name}" for stored in rules]
    names = {rule.name for of_table in rules.values() for rule in of_table}
    subject = named(
        about, known.get, names, {*tables, *(name.partition("/")[2] for name in tables)}
    )
    made = record_act(act, subject, actor, reason, until, warehouse, settings.alerts, now)
    refresh_catalog(warehouse, settings)
    return sentence_of(made)


def _headline(alert: Alert, moment: datetime.datetime) -> str:
    times = f", seen {alert.occurrences} times" if alert.occurrences > 1 else ""
    age = f"for {_duration(moment - alert.first_seen)}"
    if alert.state == RECOVERED:
        age = f"after {_duration(alert.recovered_at - alert.first_seen)}"
    if alert.state == NOTED:
        age = f"{_duration(moment - alert.first_seen)} ago"
    return f"{alert.number} {alert.state} {age}, {alert.severity.label}{times}: {alert.title}"


def _duration(length: datetime.timedelta) -> str:
    minutes = int(length.total_seconds() // 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h"
    return f"{minutes // (24 * 60)} days"


def _outbox_lines(ledger: Ledger) -> Iterator[str]:
    """Per channel what is not delivered, with the last reason."""
    for state in (WAITING, GIVEN_UP):
        stuck = [n for n in ledger.notices if n.state == state and n.attempts]
        for channel in dict.fromkeys(notice.channel for notice in stuck):
            of_channel = [notice for notice in stuck if notice.channel == channel]
            yield f"{channel}: {len(of_channel)} notices {state}: {of_channel[-1].last_error}"


def send_test(settings: Settings) -> Iterator[tuple[str, str | None]]:
    """Send one test message to every channel; gives each channel with the reason why that failed, or None."""
    message = Message(
        "setbull: test of the alerts",
        f"Sent on {now():%Y-%m-%d %H:%M} by setbull alerts test. Nothing is wrong.\n",
        Severity.INFO,
    )
    for channel in settings.alerts.channels:
        with _log_as_lines():
            yield channel, send(channel, message, settings.alerts.timeout_seconds)
