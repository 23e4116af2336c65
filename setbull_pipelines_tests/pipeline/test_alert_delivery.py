"""The stored ledger: round trip, delivery to real receivers, retries, and nothing lost or leaked."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from setbull_pipelines.alerts.finding import Says, Severity
from setbull_pipelines.alerts.ledger import Ledger
from setbull_pipelines.alerts.message import Message
from setbull_pipelines.pipeline import alert_delivery
from setbull_pipelines.pipeline.alert_delivery import ALERTS, NOTICES, deliver, read_ledger
from setbull_pipelines.settings import AlertSettings
from setbull_pipelines.tables.contract import INDIA
from setbull_pipelines.warehouse.pointers import WHOLE
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests.alerts.findings import at, finding
from setbull_pipelines_tests.pipeline.receivers import (
    SECRETS,
    Webhook,
    http_receiver,
    smtp_receiver,
)
from setbull_pipelines_tests.ports import free_port

SETTINGS = AlertSettings(channels=("HOOK",), attempts=3, first_retry_seconds=60)


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    with http_receiver() as receiver:
        monkeypatch.setenv("HOOK", receiver.url)
        yield receiver


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "warehouse")


def record(warehouse: Warehouse, *findings, settings: AlertSettings = SETTINGS, now=None):
    moment = now or max(item.observed_at for item in findings)
    return alert_delivery.record_findings(findings, warehouse, settings, lambda: moment)


def delivered(warehouse: Warehouse, hours: float, settings: AlertSettings = SETTINGS):
    return deliver(warehouse, settings, lambda: at(hours))


def states(warehouse: Warehouse) -> list[tuple[str, int]]:
    return [(notice.state, notice.attempts) for notice in read_ledger(warehouse).notices]


def test_without_alerts_there_is_nothing_and_looking_writes_nothing(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    assert read_ledger(warehouse) == Ledger()
    assert record_nothing(warehouse) == []
    assert deliver(warehouse, SETTINGS, lambda: at(0)) == []
    assert list(tmp_path.iterdir()) == []


def record_nothing(warehouse: Warehouse):
    return alert_delivery.record_findings([], warehouse, SETTINGS, lambda: at(0))


def test_the_ledger_is_read_as_it_was_written(warehouse: Warehouse) -> None:
    news = finding(0, Says.CHANGED, "news", asset=None, trading_day=None, run_id=None)
    changed = record(warehouse, finding(0), finding(0, key="check b"), news)
    assert len(changed) == 3
    record(warehouse, finding(1, Says.WELL), finding(1, key="check b", severity=Severity.CRITICAL))
    first, second, third = read_ledger(warehouse).alerts
    assert (first.state, first.recovered_at, first.recovered_by) == ("recovered", at(1), "run-1")
    assert first.trading_day == finding(0).trading_day
    assert (second.state, second.occurrences, second.severity) == ("open", 2, Severity.CRITICAL)
    assert (third.state, third.asset, third.trading_day, third.run_id) == ("noted", *[None] * 3)
    frame = warehouse.read(ALERTS, [WHOLE])
    assert str(frame["first_seen"].dt.tz) == INDIA
    assert frame["alert_key"].tolist() == ["check a", "check b", "news"]


def test_what_says_nothing_new_is_not_published(warehouse: Warehouse) -> None:
    record(warehouse, finding(0))
    before = [warehouse.pointer(stored, WHOLE) for stored in (ALERTS, NOTICES)]
    assert record(warehouse, finding(0), now=at(99)) == []
    assert [warehouse.pointer(stored, WHOLE) for stored in (ALERTS, NOTICES)] == before


def test_a_receiver_that_is_down_is_tried_again_and_gets_every_notice_once(
    warehouse: Warehouse, webhook: Webhook
) -> None:
    webhook.answers = [500]
    record(warehouse, finding(0))
    (first,) = delivered(warehouse, 0)
    assert "500" in first.error
    assert states(warehouse) == [("waiting", 1)]
    assert delivered(warehouse, 0.01) == []  # 36 seconds later: too early
    (second,) = delivered(warehouse, 0.02)
    assert second.error is None
    assert states(warehouse) == [("delivered", 2)]
    assert delivered(warehouse, 99) == []
    assert [body["title"] for body in webhook.bodies] == ["setbull: check a fails"]


def test_a_closed_port_ends_in_a_notice_that_is_given_up_with_its_reason(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    webhook = Webhook(free_port())
    monkeypatch.setenv("HOOK", webhook.url)
    record(warehouse, finding(0))
    for hours in (0, 1, 2, 3):
        delivered(warehouse, hours)
    (notice,) = read_ledger(warehouse).notices
    assert (notice.state, notice.attempts, notice.next_attempt_at) == ("given up", 3, None)
    assert "onnection" in notice.last_error
    # Read as rows: the files are compressed.
    stored = "".join(warehouse.read(table, [WHOLE]).to_csv() for table in (ALERTS, NOTICES))
    assert "HOOK" in stored
    for secret in SECRETS:
        assert secret not in stored
        assert secret not in caplog.text


def test_one_channel_that_is_down_does_not_hold_up_the_others(
    warehouse: Warehouse, webhook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    settings = replace(SETTINGS, channels=("ABSENT", "log", "HOOK"))
    record(warehouse, finding(0), settings=settings)
    absent, log, hook = delivered(warehouse, 0, settings)
    assert absent.error.startswith("environment variable ABSENT is not set")
    assert (log.error, hook.error) == (None, None)
    assert "setbull: check a fails" in caplog.text
    assert len(webhook.bodies) == 1


def test_many_alerts_of_one_look_are_one_message(warehouse: Warehouse, webhook: Webhook) -> None:
    record(warehouse, *(finding(0, key=f"check {number}") for number in range(30)))
    (delivery,) = delivered(warehouse, 0)
    assert delivery.notices == 30
    (body,) = webhook.bodies
    assert body["title"] == "setbull: 30 alerts, first: check 0 fails"
    assert "and 10 more: setbull alerts list" in body["message"]
    assert set(states(warehouse)) == {("delivered", 1)}


def test_raised_and_recovered_reach_a_mailbox_once_each(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    with smtp_receiver() as mailbox:
        monkeypatch.setenv("HOOK", mailbox.url)
        for hours, says in ((0, Says.WRONG), (0, Says.WRONG), (1, Says.WELL), (2, Says.WELL)):
            record(warehouse, finding(hours, says))
            delivered(warehouse, hours)
        assert [mail["Subject"] for mail in mailbox.mails] == [
            "setbull: check a fails",
            "setbull: recovered: check a fails",
        ]
        text = mailbox.mails[1].get_content()
        assert "http://127.0.0.1:3000/runs/run-1" in text
        assert "wrong since 2026-06-30 21:30 IST, well at 2026-06-30 22:30 IST" in text


def test_two_processes_send_a_notice_once(warehouse: Warehouse, webhook: Webhook) -> None:
    webhook.delay = 0.2
    record(warehouse, *(finding(0, key=f"check {number}") for number in range(3)))
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: delivered(Warehouse(warehouse.root), 0), range(4)))
    assert len(webhook.bodies) == 1
    assert set(states(warehouse)) == {("delivered", 1)}


def test_the_ledger_is_free_while_a_slow_receiver_is_waited_for(warehouse: Warehouse) -> None:
    record(warehouse, finding(0))

    def slow(channel: str, message: Message, seconds: float) -> None:
        record(warehouse, finding(0, key="check b"))

    deliver(warehouse, SETTINGS, lambda: at(0), slow)
    assert states(warehouse) == [("delivered", 1), ("waiting", 0)]


def test_a_process_that_dies_while_sending_loses_no_notice(
    warehouse: Warehouse, webhook: Webhook
) -> None:
    record(warehouse, finding(0))

    def dies(*arguments: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        deliver(warehouse, SETTINGS, lambda: at(0), dies)
    assert delivered(warehouse, 0) == []
    (delivery,) = delivered(warehouse, 1)
    assert (delivery.error, len(webhook.bodies)) == (None, 1)


@pytest.mark.parametrize("is_published", [False, True])
def test_a_crash_at_the_commit_of_both_tables_neither_loses_nor_doubles(
    is_published: bool, warehouse: Warehouse, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(warehouse, finding(0))
    publish = warehouse.publish_together

    def power_cut(*arguments, **keywords):
        if is_published:
            publish(*arguments, **keywords)
        raise OSError("power cut")

    with monkeypatch.context() as crash:
        crash.setattr(warehouse, "publish_together", power_cut)
        with pytest.raises(OSError, match="power cut"):
            record(warehouse, finding(0, key="check b"))
    assert len(read_ledger(warehouse).notices) == 1 + is_published
    record(warehouse, finding(0, key="check b"))
    ledger = read_ledger(warehouse)
    assert [(n.number, n.alert) for n in ledger.notices] == [(1, 1), (2, 2)]
    delivered(warehouse, 0)
    assert webhook.bodies[0]["title"].startswith("setbull: 2 alerts")


def test_moments_of_any_zone_are_stored_together(warehouse: Warehouse) -> None:
    here = finding(0, key="check b")
    local = replace(
        here, key="check c", observed_at=datetime.fromisoformat("2026-06-30T22:30:00+05:30")
    )
    record(warehouse, here, local)
    record(warehouse, finding(2, key="check d"), now=at(2) + timedelta(seconds=1))
    assert [alert.first_seen for alert in read_ledger(warehouse).alerts] == [at(0), at(1), at(2)]
