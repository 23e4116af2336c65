"""Files changed at random, guided by the lines of the readers that they reach: what is read, refused, or breaks.

``python -m setbull_pipelines_tests.sources.fuzzing --minutes 60`` tries every reader in turn and prints a table; the
exit code is 1 where something else than a refusal came out, rows were lost, or a small file took seconds. Belongs here:
changes, and counting. Does not belong here: the readers and their seeds (``fuzzed_readers.py``), the few trials of the
suite (``test_faults``).
"""

from __future__ import annotations

import argparse
import collections
import random
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from types import FrameType
from typing import Any

import setbull_pipelines
from setbull_pipelines_tests.sources.fuzzed_readers import READERS, Reader

_PACKAGE = str(Path(setbull_pipelines.__file__).parent)
_LONGEST = 1 << 16
_LONGEST_WIDENED = 1 << 9
_LONGEST_KEPT = 1 << 13
"""What was widened is tried and not changed further: an hour would go to a few tables of thousands of columns."""
_SLOW_SECONDS = 10.0
_TRIALS_IN_TURN = 25
_LARGEST_CORPUS = 400
_PIECES = (
    *(b"\0", b"\xff", b'"', b",", b";", b"\n", b"\r", b"{", b"[", b"]", b"}", b"null", b"-"),
    *(
        b"1e999",
        b"9" * 400,
        b"\xef\xbb\xbf",
        b"NaN",
        b"\\ud800",
        b"2025-06-02",
        b"99-99-9999 99:99",
    ),
    *(b"<html>", b"9.83M", b"1,23,456.5", b"+05:30", b"24:00", b"00:00", b"-0", b"\t", b"|", b"'"),
    *(b"NSE_EQ|X", b"\xc2\xa0", b"\xe2\x82\xb9", b"0x10", b"_1", b"inf", b"1748835900", b"Ticker"),
)


def _flip(content: bytearray, chance: random.Random) -> None:
    content[chance.randrange(len(content))] = chance.randrange(256)


def _insert(content: bytearray, chance: random.Random) -> None:
    place = chance.randrange(len(content) + 1)
    content[place:place] = chance.choice(_PIECES)


def _remove(content: bytearray, chance: random.Random) -> None:
    place = chance.randrange(len(content))
    del content[place : place + chance.randrange(1, 12)]


def _repeat(content: bytearray, chance: random.Random) -> None:
    place = chance.randrange(len(content))
    content += content[place : place + chance.randrange(1, 60)]


def _cut(content: bytearray, chance: random.Random) -> None:
    del content[chance.randrange(len(content)) + 1 :]


def _replace_field(content: bytearray, chance: random.Random) -> None:
    fields = bytes(content).split(b",")
    fields[chance.randrange(len(fields))] = chance.choice((*_PIECES, *fields, b""))
    content[:] = b",".join(fields)


def _move_line(content: bytearray, chance: random.Random) -> None:
    lines = bytes(content).split(b"\n")
    line = lines.pop(chance.randrange(len(lines)))
    for _ in range(chance.randrange(3)):
        lines.insert(chance.randrange(len(lines) + 1), line)
    content[:] = b"\n".join(lines)


def _widen(content: bytearray, chance: random.Random) -> None:
    """Every column but the first again and again, under other names: instruments side by side, up to some thousands."""
    lines = [line.split(b",") for line in bytes(content[:_LONGEST_WIDENED]).split(b"\n")]
    times, is_before = chance.choice((2, 2, 3, 3, 50, 400)), chance.random() < 0.5
    header, *rows = lines
    wide = [header[:1], *(row[:1] for row in rows)]
    for number in range(times):
        mark = b"%d" % number if number else b""
        wide[0] += [mark + name if is_before else name + mark for name in header[1:]]
        for found, row in zip(wide[1:], rows, strict=True):
            found += row[1:]
    content[:] = b"\n".join(b",".join(row) for row in wide)


CHANGES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    *(_flip, _insert, _remove, _repeat, _cut, _replace_field, _move_line, _widen),
)


def mutated(content: bytes, chance: random.Random) -> bytes:
    """A few changes to a file."""
    changed = bytearray(content)
    for _ in range(chance.randrange(1, 6)):
        if changed:
            chance.choice(CHANGES)(changed, chance)
            # What was widened twice is no longer a small file.
            del changed[_LONGEST:]
    return bytes(changed)


class Coverage:
    """Lines of the package that a call runs through; each is told once."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, int]] = set()
        self._new = 0

    def new_lines(self, call: Callable[[], object]) -> int:
        """How many lines ``call`` reaches that no call before did; what it raises is raised."""
        self._new = 0
        sys.settrace(self._entered)
        try:
            call()
        finally:
            sys.settrace(None)
        return self._new

    @property
    def lines(self) -> int:
        """Lines reached so far."""
        return len(self._seen)

    @property
    def found(self) -> int:
        """Lines that the last call was the first to reach, also where it raised."""
        return self._new

    def _entered(self, frame: FrameType, event: str, argument: Any) -> Callable | None:
        return self._line if frame.f_code.co_filename.startswith(_PACKAGE) else None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Callable:
        place = (frame.f_code.co_filename, frame.f_lineno)
        if place not in self._seen:
            self._seen.add(place)
            self._new += 1
        return self._line


@dataclass
class Tally:
    """What came of the trials of one reader."""

    trials: int = 0
    read: int = 0
    refused: int = 0
    slowest: float = 0.0
    faults: dict[str, bytes] = field(default_factory=dict)


def fault_of(error: Exception) -> str:
    """The same words for the same fault: the type of the error and the last place in this package."""
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename.startswith(_PACKAGE)
    ]
    where = f"{PurePath(own[-1].filename).name}:{own[-1].lineno}" if own else "outside"
    return f"{type(error).__name__} at {where}"


class Fuzzer:
    """The trials of one reader; what reaches new lines is changed further."""

    def __init__(self, reader: Reader, chance: random.Random) -> None:
        self._reader, self._chance = reader, chance
        self.corpus = list(reader.seeds.values())
        self._coverage = Coverage()
        self.tally = Tally()

    @property
    def lines(self) -> int:
        """Lines of the package that the trials have reached."""
        return self._coverage.lines

    def step(self) -> None:
        """One trial."""
        name, content = self._chance.choice(self.corpus)
        changed = mutated(content, self._chance)
        tally = self.tally
        tally.trials += 1
        # Of the processor: a machine that does other things makes nothing slow.
        began = time.process_time()
        try:
            self._coverage.new_lines(lambda: self._reader.read(name, changed))
            tally.read += 1
        except self._reader.refusals:
            tally.refused += 1
        except Exception as error:
            tally.faults.setdefault(fault_of(error), changed)
        seconds = time.process_time() - began
        if seconds > _SLOW_SECONDS:
            tally.faults.setdefault("slow", changed)
        tally.slowest = max(tally.slowest, seconds)
        if self._coverage.found and len(changed) <= _LONGEST_KEPT:
            self.corpus.append((name, changed))
            if len(self.corpus) > _LARGEST_CORPUS:
                seeds = len(self._reader.seeds)
                self.corpus.pop(self._chance.randrange(seeds, len(self.corpus)))


def table_of(fuzzers: Mapping[str, Fuzzer]) -> list[str]:
    """The tallies as lines of a table."""
    lines = ["| reader | trials | read | refused | faults | lines reached | slowest, s |"]
    lines.append("|---|---|---|---|---|---|---|")
    for name, fuzzer in fuzzers.items():
        tally = fuzzer.tally
        lines.append(
            f"| {name} | {tally.trials:,} | {tally.read:,} | {tally.refused:,} | {len(tally.faults)} | "
            f"{fuzzer.lines:,} | {tally.slowest:.1f} |"
        )
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Try until the time is up; 1 where there are faults."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--readers", nargs="*", default=list(READERS), choices=list(READERS))
    parser.add_argument("--findings", type=Path, help="a folder for the files that break a reader")
    chosen = parser.parse_args(arguments)
    fuzzers = {
        name: Fuzzer(READERS[name], random.Random(f"{chosen.seed} {name}"))
        for name in chosen.readers
    }
    end = time.monotonic() + 60 * chosen.minutes
    told: collections.Counter[str] = collections.Counter()
    while time.monotonic() < end:
        for name, fuzzer in fuzzers.items():
            # Most code, and most seeds, are behind the first.
            for _ in range(_TRIALS_IN_TURN * (8 if name == "input" else 1)):
                fuzzer.step()
            for fault in list(fuzzer.tally.faults)[told[name] :]:
                told[name] += 1
                print(f"{name}: {fault}", flush=True)
                if chosen.findings:
                    chosen.findings.mkdir(parents=True, exist_ok=True)
                    path = chosen.findings / f"{name.replace(' ', '-')}-{told[name]}"
                    path.write_bytes(fuzzer.tally.faults[fault])
    print("\n".join(table_of(fuzzers)), flush=True)
    return 1 if any(fuzzer.tally.faults for fuzzer in fuzzers.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
