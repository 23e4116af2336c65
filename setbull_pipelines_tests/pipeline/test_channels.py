"""Messages reach real receivers, failures come back as sentences, and no secret is in them."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from apprise import Apprise

from setbull_pipelines.alerts.finding import Severity
from setbull_pipelines.alerts.message import Message
from setbull_pipelines.pipeline.channels import send
from setbull_pipelines_tests.pipeline.receivers import (
    SECRET_PASSWORD,
    SECRET_TOKEN,
    SECRETS,
    Mailbox,
    Webhook,
    http_receiver,
    smtp_receiver,
)
from setbull_pipelines_tests.ports import free_port

pytestmark = pytest.mark.run

MESSAGE = Message(
    "setbull: v2/indicators_5min differs from v1 on 2026-06-30",
    "reason: bb_upper <b>: 5,400 cells & more\nrun: http://127.0.0.1:3000/runs/1\n",
    Severity.ERROR,
)
SECONDS = 10.0


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with http_receiver() as receiver:
        yield receiver


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with smtp_receiver() as receiver:
        yield receiver


def sent(monkeypatch: pytest.MonkeyPatch, url: str, seconds: float = SECONDS) -> str | None:
    monkeypatch.setenv("RECEIVER", url)
    return send("RECEIVER", MESSAGE, seconds)


def test_a_webhook_gets_title_text_and_type(
    webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sent(monkeypatch, webhook.url) is None
    (body,) = webhook.bodies
    assert (body["title"], body["message"], body["type"]) == (
        MESSAGE.title,
        MESSAGE.body.strip(),
        "failure",
    )


def test_a_mail_is_plain_text_with_the_title_as_its_subject(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sent(monkeypatch, mailbox.url) is None
    (mail,) = mailbox.mails
    assert mail["Subject"] == MESSAGE.title
    assert mail["To"] == "trader@example.com"
    assert [part.get_content_type() for part in mail.walk()] == ["text/plain"]
    assert mail.get_content().strip().replace("\r\n", "\n") == MESSAGE.body.strip()


def test_a_receiver_that_refuses_is_a_sentence_with_its_answer(
    webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook.answers = [500]
    assert "500" in sent(monkeypatch, webhook.url)
    assert sent(monkeypatch, webhook.url) is None
    assert len(webhook.bodies) == 1


def test_a_slow_receiver_counts_as_down_after_the_time_of_the_settings(
    webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook.delay = 60  # then it would answer that all is well
    assert sent(monkeypatch, webhook.url, 0.5)


def test_a_receiver_may_take_as_long_as_the_settings_say(
    webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook.delay = 4.3  # the library's own patience ends after 4 seconds
    assert sent(monkeypatch, webhook.url, 60) is None


def test_a_receiver_that_never_ends_its_answer_counts_as_down(
    webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook.drips = True
    assert sent(monkeypatch, webhook.url, 1)
    assert not webhook.dripped_out


@pytest.mark.parametrize(
    "url",
    [
        f"json://{SECRET_TOKEN}.invalid/{SECRET_TOKEN}",
        f"json://user:{SECRET_PASSWORD}@127.0.0.1:{{port}}/{SECRET_TOKEN}",
        f"mailto://user:{SECRET_PASSWORD}@127.0.0.1:{{port}}"
        f"?mode=insecure&from=a@example.com&to={SECRET_TOKEN}@example.com",
        f"no-such-service://{SECRET_TOKEN}:{SECRET_PASSWORD}@host",
        f"slack://{SECRET_TOKEN}",
        f"not a url at all {SECRET_PASSWORD}",
        f"json://[{SECRET_PASSWORD}",
    ],
)
def test_no_failure_repeats_a_secret_anywhere(
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    error = sent(monkeypatch, url.format(port=free_port()))
    assert error
    said = error + caplog.text + "".join(capfd.readouterr())
    for secret in SECRETS:
        assert secret not in said


def test_a_success_repeats_no_secret_either(
    webhook: Webhook, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    assert sent(monkeypatch, webhook.url) is None
    for secret in SECRETS:
        assert secret not in caplog.text


@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_variable_that_is_not_set_is_named(
    value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RECEIVER", raising=False)
    if value is not None:
        monkeypatch.setenv("RECEIVER", value)
    assert "environment variable RECEIVER is not set" in send("RECEIVER", MESSAGE, SECONDS)


def test_an_invalid_url_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    error = sent(monkeypatch, "no-such-service://host")
    assert "RECEIVER does not hold a valid Apprise URL" in error


@pytest.mark.parametrize(
    ("severity", "level"),
    [(None, "INFO"), (Severity.WARNING, "WARNING"), (Severity.CRITICAL, "CRITICAL")],
)
def test_the_log_has_the_level_of_the_severity(
    severity: Severity | None, level: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "setbull_pipelines.alerts")
    assert send("log", Message("setbull: a title", "reason: b", severity), SECONDS) is None
    (entry,) = caplog.records
    assert (entry.name, entry.levelname) == ("setbull_pipelines.alerts", level)
    assert entry.getMessage() == "setbull: a title\nreason: b"


def test_the_urls_of_the_documentation_are_valid() -> None:
    page = Path(__file__).parents[2].joinpath("docs", "alerts.md").read_text(encoding="utf-8")
    urls = re.findall(r"`([a-z]+://[^`]+)`", page)
    assert len(urls) >= 9
    for url in urls:
        assert Apprise.instantiate(url) is not None, url
