"""``python -m benchmarks.results`` (``make bench``): run every benchmark and write what it printed to RESULTS.md.

``--part NAME`` measures one part again and leaves the others as they are. Belongs here: which programs are run, in
which order, and the written file. Does not belong here: anything that measures (the programs themselves).
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import psutil

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "RESULTS.md"
NOTES = FOLDER / "notes.md"
PARTS = {
    "V2 beside others": "benchmarks --rounds 2",
    "Whole days": "benchmarks.days --with-v1 --growth",
    "Back-fill": "benchmarks.days --sessions 250",
    "Reconciliation": "benchmarks.reconciliation",
    "Read API": "benchmarks.api --sessions 7",
    "Live bars": "benchmarks.live --v2-alone",
    "Pages": "benchmarks.pages",
    "Events": "benchmarks.events",
    "Dagster's storage": "benchmarks.dagster_storage --runs 250",
    "Small runs": "benchmarks.small_runs",
    "Reading a file": "benchmarks.reading --megabytes 1000",
}
"""Headings of the file, and the program under each with its options."""
NOTES_HEADING = "Notes"
PACKAGES = ("numpy", "pandas", "pyarrow", "numba", "polars", "duckdb", "TA-Lib", "dagster")
TITLE = "# Results of the benchmark"


def parts_of(text: str) -> dict[str, str]:
    """The parts of a results file: heading to what stands under it."""
    _, *pieces = re.split(r"^## ", text, flags=re.MULTILINE)
    found = (piece.partition("\n") for piece in pieces)
    return {heading.strip(): body.strip() for heading, _, body in found}


def written(parts: dict[str, str]) -> str:
    """The file with ``parts`` in the order of :data:`PARTS`, the notes last."""
    order = [heading for heading in (*PARTS, NOTES_HEADING) if heading in parts]
    bodies = (f"## {heading}\n\n{parts[heading]}" for heading in order)
    return "\n\n".join([TITLE, *bodies]) + "\n"


def machine() -> str:
    """What the figures are measured on, and with which versions."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = models[0].split(":")[1].strip() if models else cpu
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{cpu}, {os.cpu_count()} processors, {memory:.0f} GiB, {platform.system()}; "
        f"Python {platform.python_version()}, {versions}."
    )


def measured(program: str) -> str:
    """What stands under a heading: command, machine, load, and what the program printed.

    RuntimeError when the program fails.
    """
    before = os.getloadavg()[0]
    finished = subprocess.run(
        [sys.executable, "-m", *program.split()],
        cwd=FOLDER.parent,
        stdout=subprocess.PIPE,
        text=True,
    )
    if finished.returncode:
        raise RuntimeError(f"python -m {program} ended with {finished.returncode}")
    return (
        f"Printed by `python -m {program}`; load {before:.1f} before it, {os.getloadavg()[0]:.1f} after. "
        f"{machine()}\n\n{finished.stdout.strip()}"
    )


def main() -> None:
    """Measure the wanted parts, writing the file after each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.results", description=__doc__)
    parser.add_argument("--part", choices=PARTS, action="append", help="default: all")
    for heading in parser.parse_args().part or PARTS:
        print(f"{heading}: python -m {PARTS[heading]}", file=sys.stderr, flush=True)
        body = measured(PARTS[heading])
        parts = parts_of(RESULTS.read_text(encoding="utf-8")) | {heading: body}
        parts[NOTES_HEADING] = NOTES.read_text(encoding="utf-8").strip()
        RESULTS.write_text(written(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
