"""The alerts in the warehouse: what is recorded, and what is delivered from the outbox.

Belongs here: reading and publishing the ledger under its lock, delivering. Does not belong here: deciding
(``alerts/``), sending (``channels``), Dagster, a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from setbull_pipelines import disk, tables
from setbull_pipelines.alerts.acts import Act, Subject
from setbull_pipelines.alerts.finding import Finding, Severity
from setbull_pipelines.alerts.ledger import Alert, Ledger, Notice, acted, record
from setbull_pipelines.alerts.message import compose, how_things_stand
from setbull_pipelines.alerts.outbox import claimed, due, finished
from setbull_pipelines.pipeline.channels import Send, send
from setbull_pipelines.pipeline.versions import code_version
from setbull_pipelines.settings import AlertSettings, fingerprint
from setbull_pipelines.tables.contract import INDIA
from setbull_pipelines.warehouse.pointers import WHOLE, StoredTable
from setbull_pipelines.warehouse.store import Warehouse

Clock = Callable[[], datetime]
"""Gives the moment, with a zone. Asked while the ledger is held."""
ALERTS = StoredTable("operations", tables.ALERTS)
NOTICES = StoredTable("operations", tables.ALERT_NOTICES)
ALERT_ACTS = StoredTable("operations", tables.ALERT_ACTS)


@dataclass(frozen=True)
class Delivery:
    """One message to one channel; ``error`` says why it was not accepted."""

    channel: str
    notices: int
    error: str | None


def alerting_code_version() -> str:
    """Code version of everything that decides what is written."""
    return code_version("alerts", "tables", "pipeline/alert_delivery.py")


def read_ledger(warehouse: Warehouse) -> Ledger:
    """What is stored; empty when there never was an alert. Raises DamagedPartition, ContractViolation."""
    if warehouse.pointer(ALERTS, WHOLE) is None:
        return Ledger()
    alerts = [_alert(row) for row in warehouse.read(ALERTS, [WHOLE]).to_dict("records")]
    notices = [_notice(row) for row in warehouse.read(NOTICES, [WHOLE]).to_dict("records")]
    acts: list[Act] = []
    if warehouse.pointer(ALERT_ACTS, WHOLE) is not None:  # not in a folder of before there were any
        acts = [
            Act(**_plain(row)) for row in warehouse.read(ALERT_ACTS, [WHOLE]).to_dict("records")
        ]
    # A crash between the two publications leaves a notice without its alert, which is then raised again.
    told = tuple(row for row in notices if row.alert <= len(alerts))
    return Ledger(tuple(alerts), told, tuple(acts))


def record_findings(
    findings: Collection[Finding], warehouse: Warehouse, settings: AlertSettings, clock: Clock
) -> list[Alert]:
    """Record what was observed; returns the alerts that changed. Nothing is written when none did."""
    if not findings and not read_ledger(warehouse).acts:
        return []
    with _writing(warehouse):
        before = read_ledger(warehouse)
        after = record(before, findings, settings, clock())
        known = {alert.number: alert for alert in before.alerts}
        changed = [alert for alert in after.alerts if alert != known.get(alert.number)]
        if changed:
            _publish(after, warehouse, settings)
    return changed


def record_act(
    act: str,
    subject: Subject,
    actor: str,
    reason: str | None,
    until: datetime | None,
    warehouse: Warehouse,
    settings: AlertSettings,
    clock: Clock,
) -> Act:
    """Record what a person did about alerts. Raises NotMuted."""
    with _writing(warehouse):
        after = acted(read_ledger(warehouse), act, subject, actor, reason, until, clock())
        _publish(after, warehouse, settings)
    return after.acts[-1]


def deliver(
    warehouse: Warehouse, settings: AlertSettings, clock: Clock, send: Send = send
) -> list[Delivery]:
    """Send what is due, one message per channel; returns what was tried. A receiver that is down does not raise."""
    waiting = due(read_ledger(warehouse).notices, clock())
    deliveries = []
    for channel in dict.fromkeys(notice.channel for notice in waiting):
        # The ledger is not held while sending: a slow receiver would hold up runs.
        claims, ledger = _claim(channel, warehouse, settings, clock)
        if not claims:
            continue
        # Of an alert that has recovered meanwhile, the recovery says since when it was wrong.
        last = {notice.alert: notice.event for notice in claims}
        events = [(event, ledger.alert(alert)) for alert, event in last.items()]
        standing = how_things_stand(ledger, clock(), settings.ui_address)
        message = compose(events, settings.ui_address, standing)
        error = send(channel, message, settings.timeout_seconds)
        ended = {notice.number: finished(notice, error, settings, clock()) for notice in claims}
        _replace(ended, warehouse, settings)
        deliveries.append(Delivery(channel, len(claims), error))
    return deliveries


def _claim(
    channel: str, warehouse: Warehouse, settings: AlertSettings, clock: Clock
) -> tuple[list[Notice], Ledger]:
    with _writing(warehouse):
        now, ledger = clock(), read_ledger(warehouse)
        claims = [
            claimed(notice, settings, now)
            for notice in due(ledger.notices, now)
            if notice.channel == channel
        ]
        if claims:
            changed = {notice.number: notice for notice in claims}
            _publish(_with_notices(ledger, changed), warehouse, settings)
    return claims, ledger


def _replace(notices: dict[int, Notice], warehouse: Warehouse, settings: AlertSettings) -> None:
    with _writing(warehouse):
        _publish(_with_notices(read_ledger(warehouse), notices), warehouse, settings)


def _with_notices(ledger: Ledger, changed: dict[int, Notice]) -> Ledger:
    notices = tuple(changed.get(notice.number, notice) for notice in ledger.notices)
    return replace(ledger, notices=notices)


@contextmanager
def _writing(warehouse: Warehouse) -> Iterator[None]:
    """Keep other writers of the ledger out from reading it to publishing it."""
    directory = warehouse.root.joinpath(*ALERTS.key)
    directory.mkdir(parents=True, exist_ok=True)
    with disk.writer_lock(directory):
        yield


def _publish(ledger: Ledger, warehouse: Warehouse, settings: AlertSettings) -> None:
    frames = {
        stored: stored.table.conform(
            pd.DataFrame(map(_record, rows), columns=stored.table.column_names)
        )
        for stored, rows in (
            (NOTICES, ledger.notices),
            (ALERTS, ledger.alerts),
            (ALERT_ACTS, ledger.acts),
        )
    }
    warehouse.publish_together(
        frames,
        WHOLE,
        code_version=alerting_code_version(),
        settings_hash=fingerprint(settings),
        inputs={},
        run_id="alerts",
    )


def _record(row: Alert | Notice | Act) -> dict[str, Any]:
    values = asdict(row)
    for name, value in values.items():
        if isinstance(value, datetime):
            values[name] = value.astimezone(ZoneInfo(INDIA))
    if isinstance(row, Alert):
        values |= {"alert_key": values.pop("key"), "severity": row.severity.label}
    return values


def _alert(row: dict[str, Any]) -> Alert:
    values = _plain(row)
    day = values["trading_day"]
    return Alert(
        **values
        | {
            "key": values.pop("alert_key"),
            "severity": Severity.named(values["severity"]),
            "trading_day": day.date() if day else None,
        }
    )


def _notice(row: dict[str, Any]) -> Notice:
    return Notice(**_plain(row))


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Values of Python's own types, None for null."""
    values = {name: None if pd.isna(value) else value for name, value in row.items()}
    return {
        name: value.to_pydatetime() if isinstance(value, pd.Timestamp) else value
        for name, value in values.items()
    }
