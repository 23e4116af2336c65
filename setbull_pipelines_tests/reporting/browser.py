"""A headless Chromium that tests click and type in, over its DevTools protocol.

Belongs here: starting it, sending commands, reading results. Does not belong here: assertions.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from setbull_pipelines_tests.patience import PATIENCE

_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--remote-debugging-port=0", "--hide-scrollbars"),
)
_MARK = "DevTools listening on "
_KEYS = {"Enter": ("\r", 13), "Escape": ("", 27), "Tab": ("", 9), " ": (" ", 32)}
_KEYS |= {"Home": ("", 36), "End": ("", 35)}
_KEYS |= {"ArrowLeft": ("", 37), "ArrowRight": ("", 39), "PageDown": ("", 34), "PageUp": ("", 33)}


def chromium() -> str | None:
    """The browser of this machine; ``SETBULL_CHROMIUM`` names another one."""
    return os.environ.get("SETBULL_CHROMIUM") or shutil.which("chromium")


def axe() -> Path | None:
    """The script of axe-core, which judges whether everybody can use a page, where ``SETBULL_AXE`` names it."""
    named = os.environ.get("SETBULL_AXE")
    return Path(named) if named else None


class Page:
    """One page of the browser."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._number = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        """What the browser told since it started: requests, errors, log entries."""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result. Raises RuntimeError with what the browser says is wrong."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._connection.send(json.dumps(message))
        while True:
            answer = json.loads(self._connection.recv(timeout=PATIENCE))
            if answer.get("id") != self._number:
                self.events.append(answer)
            elif "error" in answer:
                raise RuntimeError(f"{method}: {answer['error']}")
            else:
                return answer["result"]

    def open(self, path: Path) -> None:
        """Load a file and wait until it has loaded."""
        self.events.clear()
        self.send("Page.navigate", url=path.as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(json.loads(self._connection.recv(timeout=PATIENCE)))

    def run(self, expression: str) -> Any:
        """Return the value of a JavaScript expression. Raises RuntimeError for an exception."""
        result = self.send(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"]["exception"]["description"])
        return result["result"].get("value")

    def becomes(self, expression: str) -> bool:
        """Whether an expression is true within two seconds: some events of the browser come a little later."""
        return self.run(
            f"""new Promise((done) => {{
              const started = Date.now();
              const isLate = () => Date.now() - started > 2000;
              const look = () => ({expression}) ? done(true) : isLate() ? done(false) : setTimeout(look, 20);
              look();
            }})"""
        )

    def violations(self, script: str) -> list[str]:
        """What the ``script`` of axe-core finds wrong, each with where it is."""
        self.run(f"{script};null")
        found = self.run(
            """axe.run().then((result) => result.violations.map((one) =>
               `${one.id}: ${one.help}: ${one.nodes.map((node) => node.target.join(" ")).join(", ")}`))"""
        )
        return list(found)

    def click(self, selector: str) -> None:
        """Click the middle of the first element, where the browser says it is."""
        x, y = self.run(
            f"""(() => {{
              const found = document.querySelector({json.dumps(selector)});
              found.scrollIntoView({{block: "center"}});
              const box = found.getBoundingClientRect();
              return [box.x + box.width / 2, box.y + box.height / 2];
            }})()"""
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, *keys: str) -> None:
        """Press keys one after the other: names as in KeyboardEvent.key, or characters."""
        for key in keys:
            text, code = _KEYS.get(key, (key, ord(key[0])))
            parameters = {"key": key, "windowsVirtualKeyCode": code}
            if text:
                parameters["text"] = text
            self.send("Input.dispatchKeyEvent", type="keyDown", **parameters)
            self.send("Input.dispatchKeyEvent", type="keyUp", key=key)

    def size(self, width: int, height: int, *, mobile: bool = False) -> None:
        """Show the page in a window of this many CSS pixels."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=mobile,
        )

    def prefer(self, scheme: str) -> None:
        """Behave as on a machine whose theme is ``dark`` or ``light``."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.send("Emulation.setEmulatedMedia", features=features)

    def screenshot(self) -> bytes:
        """The visible part as PNG."""
        return base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"])

    def pdf(self) -> bytes:
        """The page as it is printed."""
        printed = self.send("Page.printToPDF", preferCSSPageSize=True, printBackground=False)
        return base64.b64decode(printed["data"])


@contextmanager
def browsing(executable: str, profile: Path) -> Iterator[Page]:
    """A page of a browser of its own, with the empty folder ``profile``."""
    process = subprocess.Popen(
        [executable, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    try:
        address = next(line for line in process.stderr if line.startswith(_MARK))
        with connect(
            address.removeprefix(_MARK).strip(), max_size=None, compression=None
        ) as connection:
            yield Page(connection)
    finally:
        process.terminate()
        process.wait(PATIENCE)
        process.stderr.close()
