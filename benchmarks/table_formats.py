"""What ways to store tables cost, and what is left of them after kills, flipped bits and maintenance beside readers.

``python -m benchmarks.table_formats [--only NAME ...] [--part NAME ...]`` measures the formats whose packages are
installed and says what is missing for the others; ``docs/decisions/0001-table-format.md`` holds the figures. Belongs
here: clocks, faults, counting. Does not belong here: the formats themselves (``formats``, ``foreign_formats``).
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import inspect
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.foreign_formats import Delta, DuckLake, DuckLakeAtOnce
from benchmarks.format_rows import (
    DAYS,
    FEW_DAYS,
    both,
    day_of,
    days_of,
    is_torn,
    summary,
    tables_now,
)
from benchmarks.formats import SCHEMA, TABLES, Store, StoreBySQL

FORMATS = {
    "store": Store,
    "store-by-sql": StoreBySQL,
    "delta": Delta,
    "ducklake": DuckLake,
    "ducklake-at-once": DuckLakeAtOnce,
}

KILLS, FLIPS, READS, READER_SECONDS = 30, 40, 1000, 90


@contextlib.contextmanager
def folder_for(name: str) -> Iterator[Path]:
    """A folder of its own, removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix=f"formats-{name}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def other_process(role: str, name: str, folder: Path) -> subprocess.Popen:
    """This module in a process of its own, as writer, reader or maintenance."""
    command = [sys.executable, "-m", "benchmarks.table_formats", "--role", role, "--only", name]
    return subprocess.Popen(
        [*command, "--folder", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


# Costs


def clocked(action: Callable[[], object], times: int = 1) -> str:
    """Median of clock and processor milliseconds."""
    taken = []
    for _ in range(times):
        started, used = time.perf_counter(), time.process_time()
        action()
        taken.append((time.perf_counter() - started, time.process_time() - used))
    wall, processor = (sorted(values)[times // 2] * 1000 for values in zip(*taken, strict=True))
    return f"{wall:,.0f} ms (processor {processor:,.0f})"


def costs(name: str) -> None:
    """Ranges, small days, an exchange-day, reading."""
    with folder_for(name) as folder:
        store = FORMATS[name](folder)
        store.create()
        version = iter(range(1, 10_000))

        def say(what: str, action: Callable[[], object], times: int = 1) -> None:
            print(f"{name:17} {what:58} {clocked(action, times)}", flush=True)

        history, rest = DAYS[:250], DAYS[250:600]
        rows = {len(days): days_of(days, 40, 1, 0) for days in (history, rest)}
        say(
            "commit 250 days x 40 rows, one table",
            lambda: store.commit({"a": (rows[250], history)}),
        )
        say("commit 350 days x 40 rows more", lambda: store.commit({"a": (rows[350], rest)}))
        files = [len(found) for found in store.files()]
        print(f"{name:17} files after 600 days: data {files[0]}, others {files[1]}")
        say("replace one day of 40 rows", lambda: replace(store, "a", next(version)), 9)
        say(
            "replace one day of 40 rows of both tables",
            lambda: replace(store, "ab", next(version)),
            9,
        )
        say("open and read 600 days x 40 rows", lambda: read(store, "a"), 5)
        say("open and read one day of them", lambda: read(store, "a", [DAYS[300]]), 5)
        large = {number: day_of(DAYS[600], 2400, 75, number) for number in range(2)}
        day = [DAYS[600]]
        say("commit an exchange-day, 180,000 x 19", lambda: store.commit({"b": (large[0], day)}))
        say("replace it", lambda: store.commit({"b": (large[1], day)}))
        say("open and read it", lambda: read(store, "b", day), 3)
        size = sum(path.stat().st_size for path in store.files()[0]) / 2**20
        print(f"{name:17} data files {len(store.files()[0])}, {size:,.0f} MiB")
        say("maintenance", store.maintain)


def replace(store: object, tables: str, version: int) -> None:
    """One small day."""
    store.commit(dict.fromkeys(tables, (day_of(DAYS[599], 40, 1, version), [DAYS[599]])))


def read(store: object, table: str, days: list[str] | None = None) -> int:
    """Rows that are there."""
    with store.snapshot() as reader:
        return len(reader.read(table, days))


# Faults


def write_for_ever(store: object) -> None:
    """Commit three days of both tables again and again; say each commit when it is done."""
    version = 1 + max(high for found in tables_now(store) for _, _, high in found.values())
    while True:
        days = random.sample(FEW_DAYS, 3)
        store.commit(both(days, version))
        print(version, *days, flush=True)
        version += 1


def kills(name: str) -> None:
    """A writer is killed at any moment; afterwards both tables are of one commit, at least the last one it told of."""
    counts = Counter()
    with folder_for(name) as folder:
        store = FORMATS[name](folder)
        store.create()
        store.commit(both(FEW_DAYS, 0))
        for _ in range(KILLS):
            writer = other_process("writer", name, folder)
            first = writer.stdout.readline()
            if not first:
                counts["writer failed"] += 1
                print(name, writer.stderr.read()[-300:])
                break
            time.sleep(random.uniform(0, 0.4))
            os.killpg(writer.pid, signal.SIGKILL)
            told = [first, *writer.stdout.readlines()]
            told = [line.split() for line in told if line.endswith("\n")]
            counts["commits"] += len(told)
            writer.wait()
            try:
                found = tables_now(FORMATS[name](folder))
            except Exception as error:  # what is counted
                counts["errors"] += 1
                print(name, repr(error)[:200])
                continue
            counts["torn"] += is_torn(found, FEW_DAYS)
            version, *days = told[-1]
            counts["lost"] += any(found[0].get(day, (0, -1, -1))[1] < int(version) for day in days)
        counts["files left over"] = len(FORMATS[name](folder).files()[0])
    print(f"{name:17} {KILLS} kills: {dict(counts)}", flush=True)


def bits(name: str) -> None:
    """One bit of a file is flipped: is it noticed by whoever checks, and by plain readers?"""
    with folder_for(name) as folder:
        store = FORMATS[name](folder)
        store.create()
        store.commit(both(DAYS[:60], 3))
        for kind, files in zip(("data", "other"), store.files(), strict=True):
            outcomes = {"verified": Counter(), "plain": Counter()}
            for _ in range(FLIPS):
                path = random.choice([path for path in files if path.stat().st_size])
                kept = path.read_bytes()
                damaged = bytearray(kept)
                damaged[random.randrange(len(damaged))] ^= 1 << random.randrange(8)
                path.write_bytes(damaged)
                for reader, counts in outcomes.items():
                    counts[outcome(name, folder, reader)] += 1
                path.write_bytes(kept)
            for reader, counts in outcomes.items():
                print(
                    f"{name:17} {FLIPS} bits of {kind} files, {reader} reader: {dict(counts)}",
                    flush=True,
                )


def outcome(name: str, folder: Path, reader: str) -> str:
    """What a reader makes of a damaged file."""
    expected = both(DAYS[:60], 3)["a"][0]
    keys = [(column, "ascending") for column in ("trading_day", "instrument_key")]
    try:
        store = FORMATS[name](folder)
        for table in TABLES:
            if reader == "verified":
                found = store.verified(table)
            else:
                by_sql = StoreBySQL if name == "store" else FORMATS[name]
                with by_sql(folder).snapshot() as snapshot:
                    found = snapshot.read(table)
            found = found.select(SCHEMA.names).cast(SCHEMA).sort_by(keys).combine_chunks()
            if not found.equals(expected.sort_by(keys).combine_chunks()):
                return "silently wrong"
    except Exception:  # what is counted
        return "error"
    return "no effect"


def readers(name: str) -> None:
    """Two processes read both tables while one writes and one tidies up."""
    counts = Counter()
    with folder_for(name) as folder:
        store = FORMATS[name](folder)
        store.create()
        store.commit(both(FEW_DAYS, 0))
        beside = [other_process(role, name, folder) for role in ("writer", "maintenance")]
        for process in beside:
            process.stdout.readline()
        reading = [other_process("reader", name, folder) for _ in range(2)]
        for process in reading:
            output, errors = process.communicate(timeout=READER_SECONDS * 4)
            for word in output.split():
                key, _, value = word.partition("=")
                counts[key] += int(value)
            if errors.strip():
                print(name, errors.strip()[-300:])
        for process, role in zip(beside, ("commits", "rounds of maintenance"), strict=True):
            if process.poll() is not None:
                print(name, role, "ended:", process.stderr.read()[-300:])
                continue
            os.killpg(process.pid, signal.SIGKILL)
            counts[role] = 1 + len(process.stdout.readlines())
    print(f"{name:17} readers: {dict(counts)}", flush=True)


def isolation(name: str) -> None:
    """A reader comes to a table for the first time after another commit, and must see it as of its first read."""
    with folder_for(name) as folder:
        store = FORMATS[name](folder)
        store.create()
        for version in range(7):
            store.commit(both(random.sample(FEW_DAYS, 3) if version else FEW_DAYS, version))
        with store.snapshot() as reader:
            first = summary(reader.read("a"))
            store.commit(both(FEW_DAYS[:3], 7))
            found = [first, summary(reader.read("b"))]
        days = sum(found[1].get(day) != first[day] for day in first)
        verdict = (
            f"{days} of {len(FEW_DAYS)} days are wrong" if is_torn(found, FEW_DAYS) else "right"
        )
    print(f"{name:17} a table first read after another commit: {verdict}", flush=True)


def read_for_a_while(store: object) -> None:
    """Half of the reads, or as many as the time allows."""
    counts, until, shown = Counter(), time.monotonic() + READER_SECONDS, set()
    while counts["reads"] < READS // 2 and time.monotonic() < until:
        counts["reads"] += 1
        try:
            found = tables_now(store)
        except Exception as error:  # what is counted
            counts["errors"] += 1
            shown.add(repr(error)[:150])
            continue
        counts["torn"] += is_torn(found, FEW_DAYS)
    print(*(f"{key}={value}" for key, value in counts.items()))
    print(*list(shown)[:2], sep="\n", file=sys.stderr)


def tidy_for_ever(store: object) -> None:
    """Maintenance again and again."""
    while True:
        store.maintain()
        print("done", flush=True)
        time.sleep(0.3)


def syncs(name: str) -> None:
    """Which files one commit syncs (needs ``strace``)."""
    if shutil.which("strace") is None:
        print(f"{name:17} syncs: not measured, strace is not installed")
        return
    with folder_for(name) as folder:
        store = FORMATS[name](folder)
        store.create()
        store.commit(both(FEW_DAYS, 0))
        before = set(store.files()[0])
        command = [
            sys.executable,
            "-m",
            "benchmarks.table_formats",
            "--role",
            "one",
            "--only",
            name,
        ]
        trace = ["strace", "-f", "-y", "-qq", "-e", "trace=fsync,fdatasync,sync_file_range,syncfs"]
        done = subprocess.run(
            [*trace, *command, "--folder", str(folder)], capture_output=True, text=True, check=True
        )
        new = {path.name for path in FORMATS[name](folder).files()[0] if path not in before}
        lines = [
            line for line in done.stderr.splitlines() if "sync" in line and str(folder) in line
        ]
        synced = {file for file in new if any(file in line for line in lines)}
    print(
        f"{name:17} one commit: {len(lines)} syncs; new data files {len(new)}, of them synced {len(synced)}"
    )


PARTS = {
    "costs": costs,
    "kills": kills,
    "bits": bits,
    "isolation": isolation,
    "readers": readers,
    "syncs": syncs,
}
ROLES = {
    "writer": write_for_ever,
    "reader": read_for_a_while,
    "maintenance": tidy_for_ever,
    "one": lambda store: store.commit(both(FEW_DAYS[:3], 1)),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--role", choices=ROLES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.role:
        ROLES[given.role](FORMATS[given.only[0]](given.folder))
        return
    for name in given.only:
        missing = [need for need in FORMATS[name].needs if importlib.util.find_spec(need) is None]
        if missing:
            print(f"{name:17} not measured: {', '.join(missing)} not installed")
            continue
        print(f"{name:17} {len(inspect.getsource(FORMATS[name]).splitlines())} lines here")
        for part in given.part:
            PARTS[part](name)


if __name__ == "__main__":
    main()
