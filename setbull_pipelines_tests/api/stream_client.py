"""A reader of the stream, as a process that can be killed: it writes the events that it got into a file, one a line.

``python -m setbull_pipelines_tests.api.stream_client URL FILE``. Belongs here: the process. Does not belong here:
assertions.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from setbull_pipelines_tests.patience import PATIENCE


def kept(path: Path) -> list[dict]:
    """The events in the file; a line that was being written when the process was killed is none."""
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines]


def started(url: str, path: Path) -> subprocess.Popen:
    """A reader that goes on after the last event of the file."""
    return subprocess.Popen([sys.executable, "-m", __name__, url, str(path)])


def wait_until(
    path: Path, count: int, process: subprocess.Popen, seconds: float = PATIENCE
) -> None:
    """Return when the file has so many events; the process must not end before."""
    deadline = time.monotonic() + seconds
    while len(kept(path)) < count:
        assert process.poll() is None, "the reader ended"
        assert time.monotonic() < deadline, f"{len(kept(path))} events of {count}"
        time.sleep(0.02)


def main(url: str, path: Path) -> None:
    """Read until killed, or until the server ends the stream."""
    known = kept(path)
    path.write_text("".join(f"{json.dumps(event)}\n" for event in known))
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    headers = {"Last-Event-ID": str(known[-1]["event_id"])} if known else {}
    with suppress(ConnectionError, http.client.HTTPException):
        connection.request("GET", f"{parts.path}?{parts.query}", headers=headers)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        with path.open("a") as file:
            while line := answer.readline():
                if line.startswith(b"data: "):
                    file.write(f"{line[6:].decode().strip()}\n")
                    file.flush()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
