"""The clock, the memory and the comparison of results; a measured process of its own, or pairs in this one.

``python -m benchmarks.measuring JOB NAME FOLDER`` is what :func:`measured` starts: it prints its figures as JSON.
Belongs here: how something is measured. Does not belong here: what is measured (``contestants``), targets
(``__main__``).
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil

from benchmarks.contestants import CONTESTANTS, Contestant

PROJECT = Path(__file__).resolve().parents[1]
TIMEOUT_SECONDS = 900
LONG_SECONDS = 5.0
"""A job that takes longer is measured by one run, which is its own warm-up."""


@dataclass(frozen=True)
class Measurement:
    """One process: median seconds, rows of input, memory of the whole process."""

    seconds: float
    rows: int
    loaded_bytes: int
    """With its imports and the input, before the job is done for the first time."""
    peak_bytes: int

    @property
    def added_bytes(self) -> int:
        """What the job takes beyond its imports and input."""
        return self.peak_bytes - self.loaded_bytes


def measured(
    job: str, name: str, folder: Path, *, repeats: int, one_thread: bool, result: Path | None = None
) -> Measurement:
    """Measure one contestant in a process of its own; with ``result``, keep what it returned there instead.

    RuntimeError with its last words when it fails.
    """
    command = [sys.executable, "-m", "benchmarks.measuring", job, name, str(folder)]
    command += ["--repeats", str(repeats)]
    command += ["--one-thread"] if one_thread else []
    command += ["--result", str(result)] if result else []
    finished = subprocess.run(
        command, cwd=PROJECT, capture_output=True, text=True, timeout=TIMEOUT_SECONDS
    )
    if finished.returncode:
        raise RuntimeError(
            f"{name}: {(finished.stderr.strip().splitlines() or ['no message'])[-1]}"
        )
    return Measurement(**json.loads(finished.stdout))


def timed(contestant: Contestant, state: Any, clock: Callable[[], float]) -> tuple[float, Any]:
    """Seconds of the job, and what it returned."""
    begin = clock()
    returned = contestant.run(state)
    return clock() - begin, returned


def peak_bytes() -> int:
    """The highest memory this process has had since its program was started."""
    status = Path("/proc/self/status")
    if status.exists():
        # The kernel's other figure, ru_maxrss, starts at the memory of the process that started this one.
        words = status.read_text(encoding="ascii").split()
        return int(words[words.index("VmHWM:") + 1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def difference(
    ours: dict[str, pd.DataFrame], theirs: dict[str, pd.DataFrame], absolute: float, relative: float
) -> str | None:
    """The first difference between the frames of two contestants in a sentence, None when they agree.

    Floats may differ by ``relative`` of the larger value plus ``absolute``; all else must be equal.
    """
    for table, mine in ours.items():
        other = theirs[table]
        if len(mine) != len(other):
            return f"{table}: {len(mine)} and {len(other)} rows"
        for name in mine.columns:
            a, b = mine[name].reset_index(drop=True), other[name].reset_index(drop=True)
            if a.dtype == "float64":
                allowed = absolute + relative * np.maximum(a.abs(), b.abs())
                equal = ((a - b).abs() <= allowed) | (a.isna() & b.isna())
            else:
                equal = (a == b).fillna(False).astype(bool) | (a.isna() & b.isna())
            if not equal.all():
                row = int(np.argmin(equal.to_numpy()))
                return (
                    f"{table} {name}, {(~equal).sum()} rows, the first {row}: {a[row]} and {b[row]}"
                )
    return None


def main() -> None:
    """Run one contestant and print its figures, or keep its result."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.measuring", description=__doc__)
    parser.add_argument("job", choices=CONTESTANTS)
    parser.add_argument("name")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--one-thread", action="store_true", help="on one processor, its own time")
    parser.add_argument("--result", type=Path)
    chosen = parser.parse_args()
    contestant = CONTESTANTS[chosen.job][chosen.name]
    clock = time.perf_counter
    if chosen.one_thread:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        clock = time.process_time
    state = contestant.load(chosen.folder)
    loaded_bytes = psutil.Process().memory_info().rss
    seconds, returned = timed(contestant, state, clock)
    if chosen.result:
        chosen.result.write_bytes(pickle.dumps(contestant.result(returned)))
    del returned
    runs = [seconds]
    if seconds < LONG_SECONDS and not chosen.result:
        runs = [timed(contestant, state, clock)[0] for _ in range(chosen.repeats)]
    peak = peak_bytes()
    figures = Measurement(statistics.median(runs), contestant.rows(state), loaded_bytes, peak)
    print(json.dumps(asdict(figures)))


if __name__ == "__main__":
    main()
