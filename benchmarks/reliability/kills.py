"""SIGKILL at any moment of any command, and what the next start makes of it.

Belongs here: what is killed, when, and the count. Does not belong here: what has to be true afterwards (``judged``).

A command is begun, killed with its whole process group, begun again and killed again, some times over; then it is let
through and the folder is held against one that nobody disturbed. Moments are of three kinds, taken in turns: before the
n-th step on the disk (a file opened for writing, made, renamed, linked, deleted: counted by an audit hook in the
process itself), right after the n-th change of the catalog of commits, and after a random time.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.reliability import judged, works
from benchmarks.reliability.tiny import Place, carried_out, kill, polled, started

_STEPS = ("os.rename", "os.link", "os.symlink", "os.mkdir", "os.remove", "os.rmdir", "os.truncate")
_AFTER_STEP, _AFTER_COMMIT, _AFTER_TIME = MOMENTS = ("step", "commit", "time")


@dataclass
class Tally:
    """What was tried and what came of it, of one kind of work."""

    kills: Counter = field(default_factory=Counter)
    """By kind of moment; only kills that hit a process at work."""
    rounds: int = 0
    faults: list[str] = field(default_factory=list)


def main(trials: int, names: list[str], directory: Path, seed: int) -> int:
    """Kill ``trials`` times over all kinds of work, tell, and give the exit code."""
    chance = random.Random(seed)
    tallies = {name: Tally() for name in names}
    prepared = {name: _Prepared(works.WORKS[name], directory / name) for name in names}
    while sum(tally.kills.total() for tally in tallies.values()) < trials:
        # The work with the fewest kills for its share is next, so that a stopped harness has tried everything.
        name = min(names, key=lambda each: tallies[each].kills.total() / works.WORKS[each].share)
        _round(prepared[name], tallies[name], chance)
        tally = tallies[name]
        print(
            f"{time.strftime('%H:%M:%S')} {name}: {tally.kills.total()} kills in {tally.rounds} rounds, "
            f"{len(tally.faults)} faults",
            flush=True,
        )
    return _told(tallies, seed)


class _Prepared:
    """A kind of work, the folder that it begins with, and what an undisturbed one leaves."""

    def __init__(self, work: works.Work, directory: Path) -> None:
        self.work, self.directory = work, directory
        self._start = directory / "start"
        self._steps = self._seconds = 0
        self.undisturbed: dict = {}

    def begin(self) -> Place:
        """A fresh copy of what the work begins with."""
        if not self.undisturbed:
            self._measure()
        return self._fresh()

    def moment(self, chance: random.Random, kind: str, attempt: int) -> float:
        """When to kill, in the unit of ``kind``: early and late alike, and sooner when less is left to do."""
        share = chance.random() ** (1 + attempt / 2)
        if kind == _AFTER_STEP:
            return 1 + int(share * self._steps)
        if kind == _AFTER_COMMIT:
            return 1 + int(share * 12)
        return share * self._seconds

    def _measure(self) -> None:
        place = Place.below(self.directory / "place", self.work.settings)
        if not self._start.exists():  # it is there where a stopped harness goes on
            self.work.prepare(place)
            self._start.mkdir()
            if place.folder.exists():
                shutil.copytree(place.folder, self._start / "data", symlinks=True)
        place = self._fresh()
        count = place.log.with_name("steps")
        began = time.monotonic()
        code = carried_out(_counted(self.work.begin(place), place, None, count), place)
        self._seconds = time.monotonic() - began
        if code != self.work.code:
            raise SystemExit(f"undisturbed, the work ended with {code}:\n{place.told[-2000:]}")
        self._steps = int(count.read_text(encoding="utf-8"))
        self.undisturbed = judgement(place)
        if self.undisturbed["wrong"]:
            raise SystemExit(f"undisturbed, there is wrong: {self.undisturbed['wrong']}")
        print(
            f"{self.directory.name}: undisturbed {self._seconds:.1f} s, {self._steps} steps on the disk",
            flush=True,
        )

    def _fresh(self) -> Place:
        # Always at the same path, which the catalog of views names.
        place = Place.below(self.directory / "place", self.work.settings)
        shutil.rmtree(place.folder, ignore_errors=True)
        place.log.unlink(missing_ok=True)
        if (self._start / "data").exists():
            shutil.copytree(self._start / "data", place.folder, symlinks=True)
        return place


def _round(prepared: _Prepared, tally: Tally, chance: random.Random) -> None:
    place = prepared.begin()
    tally.rounds += 1
    killed = []
    for attempt in range(chance.randint(1, prepared.work.most_kills)):
        kinds = [kind for kind in MOMENTS if kind != _AFTER_COMMIT or prepared.work.commits]
        kind = kinds[tally.kills.total() % len(kinds)]
        moment = prepared.moment(chance, kind, attempt)
        code = _killed(prepared.work.begin(place), place, kind, moment)
        if code != -signal.SIGKILL:
            if code == prepared.work.code and prepared.work.repeats:
                continue
            if code != prepared.work.code:
                tally.faults.append(f"{killed}: ended with {code}: {place.told[-600:]}")
                _keep(place, tally)
            break
        killed.append(f"{kind} {moment:.4g}")
        tally.kills[kind] += 1
    else:
        code = carried_out(prepared.work.begin(place), place)
        if code != prepared.work.code:
            tally.faults.append(f"{killed}: the next start ended with {code}: {place.told[-600:]}")
            _keep(place, tally)
            return
    if "Traceback" in place.told:
        tally.faults.append(f"{killed}: a traceback was printed: {place.told[-600:]}")
    found = judgement(place)
    wrong = [*found["wrong"], *prepared.work.compare(prepared.undisturbed, found, attempt + 2)]
    if wrong:
        tally.faults.append(f"{killed}: {wrong[:8]}")
        _keep(place, tally)


def _keep(place: Place, tally: Tally) -> None:
    """Leave a folder with a fault to be looked at."""
    target = place.folder.parent.with_name(
        f"fault-{place.folder.parent.parent.name}-{len(tally.faults)}"
    )
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(place.folder.parent, target, symlinks=True)
    print(f"{tally.faults[-1]}\n  kept in {target}", flush=True)


def _killed(work: Callable[[], None], place: Place, kind: str, moment: float) -> int:
    """Begin ``work`` and kill it at ``moment``; its exit code."""
    if kind == _AFTER_STEP:
        process = started(_counted(work, place, int(moment), None), place)
        code = None
        while code is None:
            time.sleep(0.01)
            code = polled(process)
        return code
    process = started(work, place)
    began, changes, seen = time.monotonic(), 0, _catalog_of(place)
    while True:
        code = polled(process)
        if code is not None:
            return code
        if kind == _AFTER_COMMIT:
            now = _catalog_of(place)
            changes, seen = changes + (now != seen), now
            if changes >= moment:
                return kill(process)
            time.sleep(0.002)
        elif time.monotonic() - began >= moment:
            return kill(process)
        else:
            time.sleep(0.01)


def _catalog_of(place: Place) -> tuple[int, int] | None:
    """What changes with every commit: the journal that SQLite writes it into."""
    try:
        status = os.stat(place.folder / "warehouse" / "catalog.sqlite-wal")
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _counted(
    work: Callable[[], None], place: Place, kill_before: int | None, answer: Path | None
) -> Callable[[], None]:
    """``work``, killed before the given step on the disk, or with the number of its steps written into ``answer``."""

    def run() -> None:
        steps = 0
        folder = str(place.folder)

        def count(event: str, arguments: tuple) -> None:
            nonlocal steps
            if event == "open":
                flags = arguments[2]
                if not (isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)):
                    return
            elif event not in _STEPS:
                return
            if not any(str(each).startswith(folder) for each in arguments[:2]):
                return
            steps += 1
            if steps == kill_before:
                os.killpg(os.getpgrp(), signal.SIGKILL)

        sys.addaudithook(count)
        try:
            work()
        finally:
            if answer is not None:
                answer.write_text(str(steps), encoding="utf-8")

    return run


def judgement(place: Place) -> dict:
    """What the folder of ``place`` holds, and what is wrong in it (``judged.judge``)."""
    answer = place.log.with_name("judgement.json")
    answer.unlink(missing_ok=True)
    code = carried_out(lambda: judged.judge(answer), place)
    if code:
        return {
            "content": {},
            "files": {},
            "judged": [],
            "acts": [],
            "wrong": [f"not judged: {place.told[-600:]}"],
        }
    return json.loads(answer.read_text(encoding="utf-8"))


def _told(tallies: dict[str, Tally], seed: int) -> int:
    print(
        f"\n| work | kills | before a step | after a commit | at a random time | rounds | faults |\n|{'---|' * 7}"
    )
    total = Counter()
    for name, tally in tallies.items():
        total += tally.kills
        kinds = " | ".join(str(tally.kills[kind]) for kind in MOMENTS)
        print(
            f"| {name} | {tally.kills.total()} | {kinds} | {tally.rounds} | {len(tally.faults)} |"
        )
    faults = [fault for tally in tallies.values() for fault in tally.faults]
    print(f"\n{total.total()} kills, seed {seed}, {len(faults)} faults")
    for fault in faults:
        print(f"  {fault}")
    return 1 if faults else 0
