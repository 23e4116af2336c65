"""The processes of the soak: code server and daemon on the set clock, commands beside them, and what they take.

Belongs here: starting, killing and measuring them, and waiting for runs. Does not belong here: the story (``soak``).
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import dagster as dg
import psutil

from benchmarks.reliability.clock import Clock
from benchmarks.reliability.soak_market import INDIA
from benchmarks.reliability.tiny import Place
from setbull_pipelines.automation.run_process import PROCESS_TAG

PROJECT = Path(__file__).resolve().parents[2]
LOCATION = "setbull_pipelines"
SCHEDULES = ("after_close", "weekly_maintenance", "weekly_scrub")
_UNFINISHED = [
    dg.DagsterRunStatus[name]
    for name in ("QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING")
]
_PATIENCE = 420.0
"""Seconds of the real clock that anything may take."""


@dataclass(frozen=True)
class Weight:
    """What a process holds."""

    mebibytes: float
    handles: int
    threads: int


class WentWrong(Exception):
    """Something did not come or ended; the message says what."""


class Station:
    """A data folder on which the daemon works, by a clock that the story sets."""

    def __init__(self, place: Place, inbox: Path | None, clock: Clock) -> None:
        self.place, self.clock, self.inbox = place, clock, inbox
        self._port, self.webserver_port = _free_port(), _free_port()
        self._workspace = place.folder.with_name("workspace.yaml")
        self._workspace.write_text(
            f"load_from:\n  - grpc_server: {{host: 127.0.0.1, port: {self._port}, location_name: {LOCATION}}}\n",
            encoding="utf-8",
        )
        self.server: subprocess.Popen | None = None
        self.daemon: subprocess.Popen | None = None
        self.webserver: subprocess.Popen | None = None

    @property
    def environment(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("SETBULL_", "DAGSTER_"))
        }
        return {
            **kept,
            **self.place.environment,
            **self.clock.variables,
            **({"SETBULL_INPUT": str(self.inbox)} if self.inbox else {}),
            "DAGSTER_HOME": str(self.place.folder / "dagster"),
            "PYTHONPATH": str(PROJECT),
        }

    def setbull(self, *arguments: str) -> str:
        """Carry out a command as a person would; what it prints."""
        return self.done([sys.executable, "-m", "setbull_pipelines.cli.main", *arguments])

    def done(self, command: list[str]) -> str:
        """Carry out a program by the clock of the story, which must succeed; what it prints."""
        finished = subprocess.run(
            command, env=self.environment, cwd=PROJECT, capture_output=True, text=True, timeout=600
        )
        if finished.returncode:
            raise WentWrong(
                f"{command[2:]} ended with {finished.returncode}: "
                f"{finished.stdout[-2000:]}{finished.stderr[-2000:]}"
            )
        return finished.stdout

    def start_server(self) -> None:
        """Start the code server, and wait until it answers."""
        self.server = self._started(
            *("-m", "dagster", "api", "grpc", "--module-name"),
            *("benchmarks.reliability.soak_location", "--working-directory", str(PROJECT)),
            *("--host", "127.0.0.1", "--port", str(self._port), "--location-name", LOCATION),
            log="server.log",
        )

        self.wait("the code server", lambda: _answers(self._port))

    def start_daemon(self) -> None:
        """Start the daemon."""
        self.daemon = self._started(
            *("-m", "dagster._daemon", "run", "-w", str(self._workspace)), log="daemon.log"
        )

    def start_webserver(self) -> None:
        """Start the webserver, and wait until it answers."""
        self.webserver = self._started(
            *("-m", "dagster_webserver", "-h", "127.0.0.1", "-p", str(self.webserver_port)),
            *("-w", str(self._workspace)),
            log="webserver.log",
        )
        self.wait("the webserver", lambda: _answers(self.webserver_port))

    def switch_on(self) -> None:
        """Switch on the schedules and the sensor of files, as a person does on a page."""
        self.done([sys.executable, "-c", _SWITCH_ON, str(self._workspace), *SCHEDULES])

    def revive(self) -> None:
        """Start again what has ended without being asked to."""
        is_server_gone, is_daemon_gone = (
            process is not None and process.poll() is not None
            for process in (self.server, self.daemon)
        )
        if is_daemon_gone:
            self.daemon = None
        if is_server_gone:
            self.start_server()
        if is_daemon_gone:
            self.start_daemon()

    def end(self) -> None:
        """End all, kindly first."""
        for process in (self.webserver, self.daemon, self.server):
            for sign, seconds in ((signal.SIGINT, 20), (signal.SIGKILL, 10)):
                if process is None or process.poll() is not None:
                    break
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, sign)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(seconds)
        self.webserver = self.daemon = self.server = None

    def weights(self) -> dict[str, Weight]:
        """What the two processes hold now."""
        found = {}
        for name, process in (("daemon", self.daemon), ("code server", self.server)):
            seen = psutil.Process(process.pid)
            memory = seen.memory_info().rss / 2**20
            found[name] = Weight(memory, seen.num_fds(), seen.num_threads())
        return found

    def runs(self, unfinished: bool = False, job: str | None = None) -> list[dg.DagsterRun]:
        """The runs of the folder, the latest first."""
        statuses = _UNFINISHED if unfinished else None
        with self.instance() as instance:
            return list(instance.get_runs(dg.RunsFilter(job_name=job, statuses=statuses)))

    def instance(self) -> dg.DagsterInstance:
        return dg.DagsterInstance.from_config(str(self.place.folder / "dagster"))

    def working_process(self, day: date) -> int:
        """The process of the run of the daily job over a session, once it is well under way."""
        found: list[int] = []

        def seen() -> bool:
            for run in self.runs(unfinished=True, job="daily"):
                if str(day) in run.tags.values() and PROCESS_TAG in run.tags:
                    found.append(json.loads(run.tags[PROCESS_TAG])["pid"])
                    return True
            return False

        self.wait(f"a run of {day}", seen, hurried=True)
        return found[0]

    def wait(self, what: str, has_come: Callable[[], bool], hurried: bool = False) -> None:
        """Wait until something has come; ``hurried``, the clock goes ahead while nobody works."""
        deadline = time.monotonic() + _PATIENCE
        while not has_come():
            for process in (self.daemon, self.server, self.webserver):
                if process is not None and process.poll() is not None:
                    raise WentWrong(
                        f"{process.args[1:4]} ended with {process.returncode}: {self.told}"
                    )
            if time.monotonic() > deadline:
                raise WentWrong(f"{what} did not come within {_PATIENCE:.0f} s")
            if hurried and not self.runs(unfinished=True):
                self.hurry()
            time.sleep(1.0)

    def hurry(self, seconds: int = 30) -> None:
        """Let the clock go ahead a little."""
        self.clock.set_apart(round(self.clock.now() - time.time()) + seconds)

    @property
    def told(self) -> str:
        """The ends of the logs."""
        return "\n".join(self.log_of(name)[-2000:] for name in ("server", "daemon", "webserver"))

    def log_of(self, name: str) -> str:
        """What a process has printed."""
        log = self.place.folder.with_name(f"{name}.log")
        return log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""

    def _started(self, *arguments: str, log: str) -> subprocess.Popen:
        with self.place.folder.with_name(log).open("ab") as output:
            return subprocess.Popen(
                [sys.executable, *arguments],
                env=self.environment,
                cwd=self.place.folder.parent,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _answers(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def kill(process: subprocess.Popen | None) -> None:
    """SIGKILL to the group of a process that was started."""
    assert process is not None
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def moment_of(clock: Clock) -> str:
    """The time of the story, for people."""
    return f"{datetime.fromtimestamp(clock.now(), INDIA):%a %d %b %H:%M}"


_SWITCH_ON = """
import sys
import dagster as dg
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
with dg.DagsterInstance.get() as instance:
    with WorkspaceProcessContext(instance, WorkspaceFileTarget([sys.argv[1]])) as process:
        (location,) = process.create_request_context().code_locations
        (repository,) = location.get_repositories().values()
        for name in sys.argv[2:]:
            instance.start_schedule(repository.get_schedule(name))
        instance.start_sensor(repository.get_sensor("new_files"))
"""
