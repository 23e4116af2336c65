"""The smallest exchange that has everything, and processes of ``setbull`` that work on it.

Belongs here: its settings, and commands carried out in a forked process with a process group of its own. Does not
belong here: what is done to such a process (``kills``, ``readers``), and what has to be true afterwards.

A process is forked from one that has imported the program and has started nothing: that saves the seconds of importing
and changes nothing of what it does on the disk.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SETTINGS = """\
[indicators]
warm_margin_bars = 10
[bb_width]
look_back_sessions = 2
minimum_sessions = 1
[sample]
instruments = 12
daily_sessions = 30
minute_sessions = 3
[reconciliation]
noise_instruments = 0
[rollout]
minimum_instruments = 5
minimum_rows = 10
"""
DAYS = ("2026-06-25", "2026-06-29", "2026-06-30")
"""The sessions of the sample with minutes."""


@dataclass(frozen=True)
class Place:
    """A data folder with its settings file, and what the commands in it print."""

    folder: Path
    settings: Path
    log: Path

    @classmethod
    def below(cls, directory: Path, settings: str = SETTINGS) -> Place:
        """A place in a directory of its own, with a data folder that is not there yet."""
        directory.mkdir(parents=True, exist_ok=True)
        place = cls(directory / "data", directory / "settings.toml", directory / "log")
        place.settings.write_text(settings, encoding="utf-8")
        return place

    @property
    def environment(self) -> dict[str, str]:
        return {"SETBULL_DATA_DIR": str(self.folder), "SETBULL_SETTINGS": str(self.settings)}

    @property
    def told(self) -> str:
        """All that was printed so far."""
        return self.log.read_text(encoding="utf-8") if self.log.exists() else ""


def import_program() -> None:
    """Import what the commands import when they are called."""
    import setbull_pipelines.cli.doctor
    import setbull_pipelines.cli.fetch
    import setbull_pipelines.cli.main
    import setbull_pipelines.cli.refused
    import setbull_pipelines.cli.report
    import setbull_pipelines.cli.rollout
    import setbull_pipelines.cli.run
    import setbull_pipelines.definitions  # noqa: F401


def command(*arguments: str) -> Callable[[], None]:
    """``setbull`` with ``arguments``, to be called in a process of its own."""

    def run() -> None:
        from setbull_pipelines.cli.main import main

        main(list(arguments), prog_name="setbull")

    return run


def started(
    work: Callable[[], None], place: Place, variables: Mapping[str, str] | None = None
) -> int:
    """Begin ``work`` in a forked process, the first of its group; the number of the process."""
    process = os.fork()
    if process:
        return process
    code = 0
    try:
        os.setsid()
        log = os.open(place.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for name in [name for name in os.environ if name.startswith(("SETBULL_", "DAGSTER_"))]:
            del os.environ[name]
        os.environ.update(place.environment | dict(variables or {}))
        work()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1 if end.code else 0
    except BaseException:
        traceback.print_exc()
        code = 99
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def ended(process: int, seconds: float = 1200.0) -> int:
    """Wait for a process; its exit code, negative for the signal that ended it. SystemExit after ``seconds``."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        code = polled(process)
        if code is not None:
            return code
        time.sleep(0.02)
    kill(process)
    raise SystemExit(f"process {process} did not end within {seconds:.0f} seconds")


def polled(process: int) -> int | None:
    """The exit code of a process that has ended, None while it works."""
    found, status = os.waitpid(process, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def carried_out(work: Callable[[], None], place: Place, **variables: str) -> int:
    """Do ``work`` to its end; the exit code."""
    return ended(started(work, place, variables))


def kill(process: int) -> int:
    """SIGKILL to the whole group of a process, which is waited for; its exit code."""
    with suppress(ProcessLookupError):  # it is ending by itself, or has not made its group yet
        os.killpg(process, signal.SIGKILL)
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
