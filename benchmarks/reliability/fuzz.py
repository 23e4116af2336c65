"""``python -m benchmarks.reliability.fuzz --minutes 60``: atheris changes requests, settings and files.

What reaches new code of the program is changed further.

Each way in is a process of its own, in which the program is imported under atheris (``pip install atheris``, which has
no wheel for every Python and is no pin of the project). Belongs here: sharing the time out, atheris, the table. Does
not belong here: the ways in and their promises (``setbull_pipelines_tests``), changes of our own
(``setbull_pipelines_tests/sources/fuzzing.py``, which needs nothing else).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from setbull_pipelines_tests.sources.fuzzed_readers import Reader
    from setbull_pipelines_tests.sources.fuzzing import Tally

SHARES = {
    "API, requests": 26,
    "API, bytes": 6,
    "API, without the token": 3,
    "settings": 10,
    "old system's dump": 6,
    "old system's export": 5,
    "calendar": 2,
    "decided actions": 2,
}
"""Parts of the time, by way in; those of the readers of files are ``READERS`` of the tests."""
_MAKE_RUN = """
import pathlib, sys
from setbull_pipelines_tests.pipeline.small_run import finished_run
finished_run(pathlib.Path(sys.argv[1]))
"""
"""In a process without atheris: kernels are compiled by numba, which takes no other byte code than Python's."""
_TOLD_EVERY = 5.0
_BETWEEN_WORDS = re.compile(rb"([^\w.+-]+)")
_LONGEST = 8192
_SLOW_SECONDS = 10.0
_TOLD = 60
"""Signs of an error by which two at the same place are told apart."""
_WORDS = (
    *("1", "0", "true", "5minute", "week", "symbol", "A" * 60, "\u0967", "1_000"),
    *("start", "end", "limit", "offset", "after", "keys", "days", "from", "to", "timeframe", "day"),
    *(
        "%00",
        "%7C",
        "%2B",
        "%2e%2e/",
        "&",
        "=",
        "NSE_EQ|",
        "null",
        "1e999",
        "-1",
        "9007199254740993",
    ),
    *(
        "\\ud800",
        "2026-06-30",
        "T09:15:00+05:30",
        "9999-12-31",
        "0001-01-01",
        "NaN",
        "[[",
        "{",
        "\x00",
    ),
    *("If-None-Match: ", "Last-Event-ID: ", "Content-Length: ", "Transfer-Encoding: chunked"),
    *("HEAD ", "POST ", "OPTIONS ", "DELETE ", "GET ", "Expect: 100-continue", "Origin: null"),
)


def main() -> int:
    """Try every way in for its part of the time; 1 where something broke."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--only", nargs="+", choices=SHARES, default=list(SHARES))
    parser.add_argument("--folder", type=Path, help="where to work, and where findings are kept")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--way-in", choices=SHARES, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way_in:
        _try(given.way_in, given.folder, 60 * given.minutes, given.seed)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as temporary:
        folder = (given.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        parts = sum(SHARES[name] for name in given.only)
        if any(name.startswith("API") for name in given.only):
            subprocess.run([sys.executable, "-c", _MAKE_RUN, str(folder)], check=True)
        tallies = {}
        for name in given.only:
            minutes = given.minutes * SHARES[name] / parts
            tallies[name] = _tried(name, folder, minutes, given.seed)
        print("\n".join(_table(tallies)), flush=True)
    return 1 if any(tally is None or tally["faults"] for tally in tallies.values()) else 0


def _tried(name: str, folder: Path, minutes: float, seed: int) -> dict[str, Any] | None:
    options = ["--way-in", name, "--folder", folder, "--minutes", minutes, "--seed", seed]
    command = [sys.executable, "-m", "benchmarks.reliability.fuzz", *map(str, options)]
    tally = folder / f"{_slug(name)}.json"
    tally.unlink(missing_ok=True)
    with (folder / f"{_slug(name)}.log").open("wb") as log:
        subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False)
    if not tally.exists():
        print(f"{name}: see {log.name}", flush=True)
        return None
    found: dict[str, Any] = json.loads(tally.read_text())
    for fault in found["faults"]:
        print(f"{name}: {fault}", flush=True)
    return found


def _table(tallies: dict[str, dict[str, Any] | None]) -> list[str]:
    lines = ["| way in | minutes | trials | read | refused | faults | slowest, s |"]
    lines.append("|---|---|---|---|---|---|---|")
    for name, tally in tallies.items():
        if tally is None:
            lines.append(f"| {name} | | ended before its first trial | | | 1 | |")
        else:
            lines.append(
                f"| {name} | {tally['minutes']:.1f} | {tally['trials']:,} | {tally['read']:,} | {tally['refused']:,} "
                f"| {len(tally['faults'])} | {tally['slowest']:.1f} |"
            )
    return lines


def _slug(name: str) -> str:
    return "".join(sign if sign.isalnum() else "-" for sign in name.lower())


def _try(name: str, folder: Path, seconds: float, seed: int) -> None:
    """Let atheris try one way in until the time is over, and end the process."""
    import atheris

    with atheris.instrument_imports(include=["setbull_pipelines"]):
        from setbull_pipelines_tests.sources.fuzzing import Tally

        with _way_in(name, folder) as reader:
            names = sorted({file for file, _ in reader.seeds.values()})
            corpus = folder / f"{_slug(name)}.corpus"
            corpus.mkdir(exist_ok=True)
            for number, (file, content) in enumerate(reader.seeds.values()):
                (corpus / f"seed-{number}").write_bytes(bytes([names.index(file)]) + content)
            words = folder / "words"
            words.write_text("\n".join(f'"{_escaped(word)}"' for word in _WORDS) + "\n")
            trial = _trial(reader, names, Tally(), folder / _slug(name), seconds)
            options = [f"-seed={seed}", f"-max_len={_LONGEST}", f"-dict={words}", "-len_control=0"]
            options += [
                "-timeout=300",
                "-rss_limit_mb=4096",
                f"-artifact_prefix={folder}/",
                str(corpus),
            ]
            atheris.Setup([sys.argv[0], *options], trial, custom_mutator=_mutated)
            atheris.Fuzz()


@contextmanager
def _way_in(name: str, folder: Path) -> Iterator[Reader]:
    if name.startswith("API"):
        from setbull_pipelines_tests.api.fuzzed_requests import fuzzed
        from setbull_pipelines_tests.api.running import with_groups
        from setbull_pipelines_tests.pipeline.small_run import finished_run

        run = finished_run(folder)
        with (
            tempfile.TemporaryDirectory(prefix="fuzzed-api-") as copy,
            fuzzed(with_groups(run, Path(copy))) as ways,
        ):
            yield ways[name]
    else:
        from setbull_pipelines_tests.sources.fuzzed_readers import READERS

        yield READERS[name]


def _trial(
    reader: Reader, names: list[str], tally: Tally, place: Path, seconds: float
) -> Callable[[bytes], None]:
    """What atheris calls: one file or request, whose first byte says under which name it is read."""
    from setbull_pipelines_tests.sources.fuzzing import fault_of

    began = told_at = time.monotonic()

    def tell() -> None:
        done = {
            "minutes": (time.monotonic() - began) / 60,
            "trials": tally.trials,
            "read": tally.read,
            "refused": tally.refused,
            "slowest": tally.slowest,
            "faults": list(tally.faults),
        }
        beside = place.with_suffix(".json.new")
        beside.write_text(json.dumps(done))
        beside.replace(place.with_suffix(".json"))

    def trial(content: bytes) -> None:
        nonlocal told_at
        tally.trials += 1
        name, content = names[content[0] % len(names)] if content else names[0], content[1:]
        start = time.process_time()
        try:
            reader.read(name, content)
            tally.read += 1
        except reader.refusals:
            tally.refused += 1
        except Exception as error:
            _keep(f"{fault_of(error)}: {str(error)[:_TOLD]}", content, error)
        took = time.process_time() - start
        tally.slowest = max(tally.slowest, took)
        if took > _SLOW_SECONDS:
            _keep("slow", content, None)
        now = time.monotonic()
        is_over = now - began > seconds
        if is_over or now - told_at > _TOLD_EVERY:
            told_at = now
            tell()
        if is_over:
            sys.stdout.flush()
            os._exit(0)

    def _keep(fault: str, content: bytes, error: Exception | None) -> None:
        if fault not in tally.faults:
            tally.faults[fault] = content
            print(f"FAULT {fault}: {error!r:.500}", flush=True)
            number = len(tally.faults)
            place.with_name(f"{place.name}-fault-{number}").write_bytes(content)

    return trial


def _mutated(content: bytes, longest: int, seed: int) -> bytes:
    """Every other time one word, number or name in the place of another; else what atheris does to bytes."""
    import atheris

    chance = random.Random(seed)
    parts = _BETWEEN_WORDS.split(content[1:])
    if chance.random() < 0.5 or len(parts) < 3:
        return bytes(atheris.Mutate(content, longest))
    for _ in range(chance.randrange(1, 4)):
        place = 2 * chance.randrange((len(parts) + 1) // 2)
        parts[place] = chance.choice(
            (*(word.encode("utf-8", "replace") for word in _WORDS), *parts[::2])
        )
    return (content[:1] + b"".join(parts))[:longest]


def _escaped(word: str) -> str:
    return "".join(
        chr(each) if 32 < each < 127 and chr(each) not in '"\\' else f"\\x{each:02x}"
        for each in word.encode("utf-8", "backslashreplace")
    )


if __name__ == "__main__":
    sys.exit(main())
