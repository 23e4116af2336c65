"""Real processes of the project for tests: their environment and their end.

Belongs here: what every test that starts processes needs. Does not belong here: assertions.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

SETBULL = [sys.executable, "-m", "setbull_pipelines.cli.main"]


def environment(data_directory: Path, settings_file: Path, **more: str) -> dict[str, str]:
    """The variables of this process without the project's own, and those of one data folder."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SETBULL_", "DAGSTER_"))
    }
    return inherited | {
        "SETBULL_DATA_DIR": str(data_directory),
        "SETBULL_SETTINGS": str(settings_file),
        **more,
    }


def end(process: subprocess.Popen) -> None:
    """End the process and everything it started (they share its group), kindly first."""
    for sign, seconds in ((signal.SIGINT, 20), (signal.SIGKILL, 10)):
        try:
            os.killpg(process.pid, sign)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            process.poll()
            try:
                os.killpg(process.pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.1)
