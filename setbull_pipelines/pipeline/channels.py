"""Sending a message to one channel.

Belongs here: the log, and receivers named by an Apprise URL in an environment variable. Does not belong here: what is
sent (``alerts/``), when and how often (``alert_delivery``). Nothing here raises because a receiver is down, and nothing
repeats a URL: it holds passwords and tokens.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import unquote

from setbull_pipelines.alerts.finding import Severity
from setbull_pipelines.alerts.message import Message
from setbull_pipelines.settings import LOG_CHANNEL

Send = Callable[[str, Message, float], str | None]
"""Takes channel, message and seconds at most; returns why it was not delivered, None when it was."""
LOG = logging.getLogger("setbull_pipelines.alerts")
_LEVELS = {
    None: logging.INFO,
    Severity.INFO: logging.INFO,
    Severity.WARNING: logging.WARNING,
    Severity.ERROR: logging.ERROR,
    Severity.CRITICAL: logging.CRITICAL,
}
_TYPES = {
    None: "success",
    Severity.INFO: "info",
    Severity.WARNING: "warning",
    Severity.ERROR: "failure",
    Severity.CRITICAL: "failure",
}
_SHORT = 4
_TALKATIVE = ("apprise", "urllib3", "requests_oauthlib", "oauthlib", "httpx", "httpcore")
"""Loggers that name hosts, paths and tokens."""


def send(channel: str, message: Message, timeout: float) -> str | None:
    """Deliver ``message`` within ``timeout`` seconds; returns the reason, without secrets, when that failed."""
    if channel == LOG_CHANNEL:
        LOG.log(_LEVELS[message.severity], "%s\n%s", message.title, message.body)
        return None
    url = os.environ.get(channel, "").strip()
    if not url:
        return f"environment variable {channel} is not set; put the URL of the receiver into it"
    with quiet():
        return _send(channel, url, message, timeout)


def _send(channel: str, url: str, message: Message, timeout: float) -> str | None:
    from apprise import Apprise, AppriseAsset, NotifyFormat

    try:
        receiver = Apprise.instantiate(
            url, asset=AppriseAsset(app_id="setbull", app_desc="setbull alerts", app_url="")
        )
        if receiver is None:
            return (
                f"environment variable {channel} does not hold a valid Apprise URL (not shown); "
                "docs/alerts.md has one of every kind"
            )
        receiver.socket_connect_timeout = receiver.socket_read_timeout = timeout
        result = Apprise(receiver).notify(
            body=message.body,
            title=message.title,
            notify_type=_TYPES[message.severity],
            body_format=NotifyFormat.TEXT,
            timeout=timeout,
        )
    except Exception as error:
        # A library may fail in any way; its words can hold the URL.
        return f"{type(error).__name__} in the notification library"
    if result:
        return None
    said = [entry.message for entry in result.logs()]
    return _without_secrets(said[-1], url) if said else f"not accepted ({result.status.name})"


def _without_secrets(text: str, url: str) -> str:
    """``text`` without any part of ``url``, as it is written and as it is meant."""
    values = re.sub(r"(?<=[?&])\w+=", "", url.partition("://")[2])
    parts = [part for part in re.split(r"[:/@?&=,;#+]+", values) if part]
    for part in sorted({*parts, *map(unquote, parts)}, key=len, reverse=True):
        # A short part can be inside any word; a long one is hidden wherever it is.
        edge = r"\b" if len(part) < _SHORT else ""
        text = re.sub(edge + re.escape(part) + edge, "***", text)
    return " ".join(text.split())


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the words of the libraries out of every log."""
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    before = [logger.propagate for logger in loggers]
    handler = logging.NullHandler()
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, propagate in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.propagate = propagate
