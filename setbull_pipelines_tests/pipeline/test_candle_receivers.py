"""Webhooks and the user's function get every event in order; who is down is tried again, and secrets stay secret."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from setbull_pipelines.pipeline import candle_receivers
from setbull_pipelines.pipeline.candle_events import last_event
from setbull_pipelines.pipeline.candle_receivers import FUNCTION, Sent, read_receivers, send_due
from setbull_pipelines.settings import AlertSettings, LiveSettings, Settings
from setbull_pipelines_tests.alerts.findings import at
from setbull_pipelines_tests.pipeline.live_session import LiveSession
from setbull_pipelines_tests.pipeline.receivers import SECRET_TOKEN, Webhook, http_receiver
from setbull_pipelines_tests.pipeline.small_run import SmallRun

HOOK, OTHER = "SETBULL_CANDLES", "SETBULL_OTHER_CANDLES"


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def address(webhook: Webhook) -> str:
    return f"http://127.0.0.1:{webhook.port}/{SECRET_TOKEN}"


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    with http_receiver() as receiver:
        monkeypatch.setenv(HOOK, address(receiver))
        yield receiver


@pytest.fixture
def session(copied_run: SmallRun) -> LiveSession:
    found = LiveSession(copied_run)
    found.tick("09:20")
    return found


def live(session: LiveSession, **values: object) -> Settings:
    alerts = AlertSettings(first_retry_seconds=60, timeout_seconds=1.0)
    return replace(session.run.settings, live=LiveSettings(**values), alerts=alerts)


def sent(session: LiveSession, hours: float, **values: object) -> list[Sent]:
    values = values or {"receivers": (HOOK,)}
    return send_due(session.warehouse, live(session, **values), lambda: at(hours))


def numbers(webhook: Webhook) -> list[int]:
    return [event["event_id"] for body in webhook.bodies for event in body["events"]]


def test_a_webhook_gets_every_event_once_and_in_order(
    session: LiveSession, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candle_receivers, "EVENTS_AT_ONCE", 5)
    first = last_event(session.warehouse)
    assert sent(session, 0) == [Sent(HOOK, first, None)]
    assert sent(session, 0) == []
    session.tick("09:30")
    last = last_event(session.warehouse)
    assert sent(session, 0) == [Sent(HOOK, last - first, None)]
    assert numbers(webhook) == list(range(1, last + 1))
    assert max(len(body["events"]) for body in webhook.bodies) == 5
    event = webhook.bodies[0]["events"][0]
    assert (event["event"], event["revision"]) == ("candle", 1)
    assert event["timestamp"] == f"{session.key}T09:15:00+05:30"


def test_one_that_is_down_is_tried_again_later_and_holds_nobody_up(
    session: LiveSession, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook.answers = [500, 503]
    with http_receiver() as other:
        monkeypatch.setenv(OTHER, address(other))
        both = {"receivers": (HOOK, OTHER)}
        count = last_event(session.warehouse)
        failed = Sent(HOOK, 0, "answered 500, expected 200 to 299")
        assert sent(session, 0, **both) == [failed, Sent(OTHER, count, None)]
        # Not before a minute, then not before two, then everything and what came meanwhile.
        assert sent(session, 0.5 / 60, **both) == []
        assert sent(session, 1.1 / 60, **both) == [
            replace(failed, error=failed.error.replace("500", "503"))
        ]
        session.tick("09:25")
        assert [each.receiver for each in sent(session, 2 / 60, **both)] == [OTHER]
        last = last_event(session.warehouse)
        assert sent(session, 3.2 / 60, **both) == [Sent(HOOK, last, None)]
        assert numbers(webhook) == numbers(other) == list(range(1, last + 1))
    place = read_receivers(session.warehouse)[HOOK]
    assert (place.attempts, place.next_attempt_at, place.last_error) == (0, None, None)


def test_one_that_is_killed_between_sending_and_noting_it_sends_again(
    session: LiveSession, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(candle_receivers, "_store", _killed)
        with pytest.raises(KeyboardInterrupt):
            sent(session, 0)
    count = last_event(session.warehouse)
    assert numbers(webhook) == list(range(1, count + 1))
    # Nobody knows whether the one that was killed is at work still.
    assert sent(session, 0) == []
    assert sent(session, 1) == [Sent(HOOK, count, None)]
    assert numbers(webhook) == 2 * list(range(1, count + 1))


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", f"environment variable {HOOK} does not hold an address"),
        ("ftp://x", f"environment variable {HOOK} does not hold an address"),
        (f"http://127.0.0.1:9/{SECRET_TOKEN}", "no answer within 1 s (ConnectError)"),
        (f"http://127.0.0.1:x/{SECRET_TOKEN}", "no answer within 1 s (InvalidURL)"),
    ],
)
def test_an_address_that_is_none_or_not_there_is_told_without_it(
    session: LiveSession,
    value: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv(HOOK, value)
    (found,) = sent(session, 0)
    assert found.error is not None
    assert found.error.startswith(said)
    assert SECRET_TOKEN not in found.error + caplog.text


def test_a_webhook_that_drips_is_given_up_in_time(session: LiveSession, webhook: Webhook) -> None:
    webhook.drips = True
    began = datetime.now()
    assert sent(session, 0) == [Sent(HOOK, 0, "no answer within 1 s (TimeoutError)")]
    assert datetime.now() - began < timedelta(seconds=5)


def test_the_function_is_called_with_every_event_and_again_from_the_one_that_it_refused(
    session: LiveSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "desk_of_a_test.py").write_text(
        "seen, refused = [], {3}\n"
        "def on_candle_close(event):\n"
        "    if event['event_id'] in refused:\n"
        "        refused.clear()\n"
        "        raise RuntimeError('not now')\n"
        "    seen.append(event['event_id'])\n"
    )
    own = {"on_candle_close": "desk_of_a_test:on_candle_close"}
    reason = "desk_of_a_test:on_candle_close raised RuntimeError: not now"
    assert sent(session, 0, **own) == [Sent(FUNCTION, 2, reason)]
    last = last_event(session.warehouse)
    assert sent(session, 1, **own) == [Sent(FUNCTION, last - 2, None)]
    import desk_of_a_test

    assert desk_of_a_test.seen == list(range(1, last + 1))


def test_a_function_that_takes_long_has_its_turn_again(
    session: LiveSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "slow_desk_of_a_test.py").write_text(
        "import time\ndef on_candle_close(event):\n    time.sleep(0.05)\n"
    )
    own = {"on_candle_close": "slow_desk_of_a_test:on_candle_close"}
    monkeypatch.setattr(candle_receivers, "SECONDS_AT_ONCE", 0.12)
    first, second = (sent(session, hours, **own)[0] for hours in (0, 1))
    assert (first.error, second.error) == (None, None)
    assert 0 < first.events < last_event(session.warehouse)
    assert (
        read_receivers(session.warehouse)[FUNCTION].delivered_event == first.events + second.events
    )


def test_a_function_that_cannot_be_imported_is_told(session: LiveSession) -> None:
    (found,) = sent(session, 0, on_candle_close="no_such_desk:on_candle_close")
    assert found.error == (
        "no_such_desk:on_candle_close raised ModuleNotFoundError: No module named 'no_such_desk'"
    )


def test_one_that_was_away_for_too_long_goes_on_with_what_is_kept(
    copied_run: SmallRun, webhook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    run = replace(
        copied_run, settings=replace(copied_run.settings, live=LiveSettings(sessions_kept=1))
    )
    earlier, later = LiveSession(run, run.days[0]), LiveSession(run)
    earlier.tick("09:20")
    assert sent(earlier, 0)[0].error is None
    earlier.tick("09:25")
    lost = last_event(run.warehouse)
    later.tick("09:20")
    last = last_event(run.warehouse)
    assert sent(later, 1) == [Sent(HOOK, last - lost, None)]
    assert numbers(webhook)[-(last - lost) :] == list(range(lost + 1, last + 1))
    assert f"{HOOK} missed the events" in caplog.text


def test_without_receivers_nothing_is_written(session: LiveSession) -> None:
    assert send_due(session.warehouse, live(session), lambda: at(0)) == []
    assert read_receivers(session.warehouse) == {}
