"""Real receivers on the loopback interface: HTTP and SMTP.

Belongs here: servers that tests send to. Does not belong here: assertions.
"""

from __future__ import annotations

import email
import email.policy
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.controller import Controller

from setbull_pipelines_tests.ports import free_port


@dataclass
class Webhook:
    """An HTTP receiver: answers ``answers`` in turn, then 200; remembers the bodies it was sent."""

    port: int
    answers: list[int] = field(default_factory=list)
    delay: float = 0.0
    drips: bool = False
    dripped_out: bool = False
    """The sender listened to the end of what drips: a minute."""
    bodies: list[dict] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The address as a user writes it, with a secret in its path."""
        return f"json://{SECRET_USER}:{SECRET_PASSWORD}@127.0.0.1:{self.port}/{SECRET_TOKEN}"


SECRET_USER, SECRET_PASSWORD, SECRET_TOKEN = "hookuser", "hunter2hunter2", "T0KENabcdef0123"
SECRETS = (SECRET_USER, SECRET_PASSWORD, SECRET_TOKEN)


@contextmanager
def http_receiver() -> Iterator[Webhook]:
    """A webhook receiver in a thread."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(webhook.delay)
            status = webhook.answers.pop(0) if webhook.answers else 200
            if webhook.drips:
                self._drip()
                return
            if status == 200:
                webhook.bodies.append(json.loads(body))
            try:
                self.send_response(status)
                self.end_headers()
            except OSError:
                pass  # the sender gave up waiting

        def _drip(self) -> None:
            """An answer that hardly ends, a byte at a time."""
            try:
                for _ in range(600):
                    self.wfile.write(b"H")
                    self.wfile.flush()
                    time.sleep(0.1)
                webhook.dripped_out = True
            except OSError:
                pass  # the sender gave up waiting

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    webhook = Webhook(server.server_port)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield webhook
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Mailbox:
    """An SMTP receiver: remembers the mails."""

    port: int
    mails: list[EmailMessage] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The address as a user writes it."""
        return (
            f"mailto://127.0.0.1:{self.port}?mode=insecure"
            "&from=setbull@example.com&to=trader@example.com"
        )

    async def handle_DATA(self, server: object, session: object, envelope) -> str:
        """Take one mail."""
        self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 taken"


@contextmanager
def smtp_receiver() -> Iterator[Mailbox]:
    """A mail server in a thread."""
    mailbox = Mailbox(free_port())
    controller = Controller(mailbox, hostname="127.0.0.1", port=mailbox.port)
    controller.start()
    try:
        yield mailbox
    finally:
        controller.stop()
