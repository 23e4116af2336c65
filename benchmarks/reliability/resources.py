"""What is missing when a run needs it: disk, the right to write, file handles, memory, a readable storage of Dagster.

Belongs here: taking it away, and what the command and the next one then say. Does not belong here: what has to be true
of the folder (``judged``).

Every case begins with a folder in which a session is finished, and carries out the next one. A full disk is a small
file system in memory, which needs the right to mount: as root, or below ``unshare --user --map-root-user --mount``.
"""

from __future__ import annotations

import os
import random
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.reliability.judged import differences
from benchmarks.reliability.kills import judgement
from benchmarks.reliability.tiny import DAYS, Place, carried_out, command

_MEBIBYTE = 2**20
_MEMORIES = (100, 300, 500, 1000, 1500, 2000)
_RUN = ("run", "--from", DAYS[1], "--to", DAYS[1])


@dataclass
class Outcome:
    """What one trial showed."""

    code: int
    sentence: str
    wrong: list[str] = field(default_factory=list)


Trial = Callable[[Place, random.Random], Outcome]


def main(disks: int, directory: Path, seed: int, names: list[str]) -> int:
    """Carry out every case, tell, and give the exit code."""
    chance = random.Random(seed)
    start = Place.below(directory / "start")
    if not start.folder.exists() and carried_out(
        command("run", "--from", DAYS[0], "--to", DAYS[0]), start
    ):
        raise SystemExit(start.told[-2000:])
    undisturbed = _copied(start, directory / "undisturbed")
    if carried_out(command(*_RUN), undisturbed):
        raise SystemExit(undisturbed.told[-2000:])
    expected = judgement(undisturbed)
    faults = 0
    print("| case | exit code | said | next run | faults |\n|---|---|---|---|---|", flush=True)
    for name in names:
        for _ in range(disks if name == "full disk" else 1):
            place = _copied(start, directory / "place")
            try:
                outcome = CASES[name](place, chance)
                after = _next(place, expected, outcome)
            finally:
                _unmounted(place)
            faults += bool(outcome.wrong)
            print(
                f"| {name} | {outcome.code} | {outcome.sentence} | {after} | {'; '.join(outcome.wrong) or 'none'} |",
                flush=True,
            )
    print(f"\n{faults} faults, seed {seed}")
    return 1 if faults else 0


def _copied(start: Place, directory: Path) -> Place:
    place = Place.below(directory)
    _unmounted(place)
    shutil.rmtree(place.folder, ignore_errors=True)
    place.log.unlink(missing_ok=True)
    shutil.copytree(start.folder, place.folder, symlinks=True)
    carried_out(command("catalog"), place)
    place.log.unlink(missing_ok=True)
    return place


def _outcome(place: Place, code: int) -> Outcome:
    lines = [re.sub(r"\x1b\[[\d;]*m", "", line) for line in place.told.splitlines()]
    said = [line for line in lines if line.startswith("error: ")]
    outcome = Outcome(code, (said or ["nothing"])[-1][:300])
    if "Traceback" in place.told:
        outcome.wrong.append("a traceback was printed")
        place.log.rename(place.log.with_name(f"log-{time.time():.0f}"))
    if code < 0 or code == 99:
        outcome.wrong.append("the process did not end by itself")
    if code and len(said) != 1:
        outcome.wrong.append(f"{len(said)} sentences")
    place.log.unlink(missing_ok=True)
    return outcome


def _next(place: Place, expected: dict, outcome: Outcome) -> str:
    """The same command again, without the obstacle."""
    code = carried_out(command(*_RUN), place)
    found = judgement(place)
    wrong = [*found["wrong"], *differences(expected, found)]
    if code:
        wrong.insert(0, f"the next run ended with {code}: {place.told[-400:]}")
    outcome.wrong += wrong[:5]
    return f"exit code {code}, {len(found['content']):,} partitions"


def _mounted(place: Place, free: int) -> None:
    """Move the data folder to a file system of its own with ``free`` bytes left."""
    kept = place.folder.with_name("kept")
    shutil.rmtree(kept, ignore_errors=True)
    place.folder.rename(kept)
    place.folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1g", "none", str(place.folder)], check=True)
    shutil.copytree(kept, place.folder, symlinks=True, dirs_exist_ok=True)
    used = shutil.disk_usage(place.folder).used
    _remounted(place, f"size={used + free}")


def _remounted(place: Place, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(place.folder)], check=True)


def _unmounted(place: Place) -> None:
    if place.folder.is_mount():
        subprocess.run(["umount", str(place.folder)], check=True)


def _full_disk(place: Place, chance: random.Random) -> Outcome:
    free = int(chance.random() * 12 * _MEBIBYTE)
    _mounted(place, free)
    outcome = _outcome(place, carried_out(command(*_RUN), place))
    _remounted(place, "size=1g")
    outcome.sentence = f"{free / _MEBIBYTE:.1f} MiB free: {outcome.sentence}"
    return outcome


def _read_only(place: Place, _: random.Random) -> Outcome:
    _mounted(place, 900 * _MEBIBYTE)
    _remounted(place, "ro")
    outcome = _outcome(place, carried_out(command(*_RUN), place))
    _remounted(place, "rw")
    return outcome


def _on_a_file(place: Place, _: random.Random) -> Outcome:
    file = place.folder.with_name("a-file")
    file.write_text("not a folder", encoding="utf-8")
    outcome = _outcome(place, carried_out(command(*_RUN), place, SETBULL_DATA_DIR=str(file)))
    if file.read_text(encoding="utf-8") != "not a folder":
        outcome.wrong.append("the file was changed")
    return outcome


def _limited(limit: int, value: int) -> Trial:
    def trial(place: Place, _: random.Random) -> Outcome:
        def work() -> None:
            resource.setrlimit(limit, (value, value))
            command(*_RUN)()

        return _outcome(place, carried_out(work, place))

    return trial


def _little_memory(mebibytes: int) -> Trial:
    """As after ``ulimit -v``: the whole command, whose parent tells what it cannot tell itself."""

    def trial(place: Place, _: random.Random) -> Outcome:
        allowed = mebibytes * _MEBIBYTE
        with place.log.open("ab") as log:
            done = subprocess.run(
                [sys.executable, "-m", "setbull_pipelines.cli.main", *_RUN],
                env={**os.environ, **place.environment},
                stdout=log,
                stderr=log,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (allowed, allowed)),
            )
        return _outcome(place, done.returncode)

    return trial


def _damaged(name: str) -> Trial:
    def trial(place: Place, _: random.Random) -> Outcome:
        path = place.folder / "dagster" / "storage" / name
        for beside in ("-wal", "-shm"):
            path.with_name(path.name + beside).unlink(missing_ok=True)
        path.write_bytes(b"nonsense " * 1000)
        outcome = _outcome(place, carried_out(command(*_RUN), place))
        if outcome.code and "setbull doctor --repair" not in outcome.sentence:
            outcome.wrong.append("the sentence names no command")
        if outcome.code:
            carried_out(command("doctor", "--repair"), place)
        return outcome

    return trial


CASES: dict[str, Trial] = {
    "data folder is a file": _on_a_file,
    "read-only data folder": _read_only,
    "full disk": _full_disk,
    "24 file handles": _limited(resource.RLIMIT_NOFILE, 24),
    "48 file handles": _limited(resource.RLIMIT_NOFILE, 48),
    "files of 16 KiB at most": _limited(resource.RLIMIT_FSIZE, 16 * 1024),
    **{f"{size} MiB of memory": _little_memory(size) for size in _MEMORIES},
    "damaged runs.db": _damaged("history/runs.db"),
    "damaged index.db": _damaged("history/runs/index.db"),
    "damaged schedules.db": _damaged("schedules/schedules.db"),
}
