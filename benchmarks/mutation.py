"""``python -m benchmarks.mutation``: faults drawn by chance, one at a time in a copy of the project; do tests fail?

Belongs here: which mutants of a file are drawn, and carrying out the tests of its room on each. Does not belong here:
making mutants, which is Cosmic Ray's work; why a mutant that survived is no fault of the tests
(``docs/mutation.md``).

A place of a file is drawn, and one of the mutants that Cosmic Ray makes there: else an addition, which it replaces by
eleven other operators, would be drawn eleven times as often as a comparison with two. Left out are annotations,
which nothing evaluates, and ``is`` for ``==``, which small numbers and short texts do not tell apart.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

PROJECT = Path(__file__).resolve().parents[1]
PAGE = PROJECT / "docs" / "mutation.md"
OF_EACH_FILE = {"variants": 2, "reconciliation": 1, "rollout": 12}
"""How many mutants are drawn: all of it takes an hour, and a quick room is asked more."""
FAULTS_THEMSELVES = "*_mutants.py"
"""Files of the self-test that are nothing but faults of V2."""
KERNELS = "setbull_pipelines/variants/v2/kernels.py"
_TESTS = "setbull_pipelines_tests"
_NEAR = {
    "_shapes": ("diagnosis", "divergences"),
    "sides": ("diagnosis",),
    "chains": ("diagnosis",),
    "finding": ("diagnosis", "old_filters"),
    "few_differences": ("aligned", "compare"),
    "rows": ("aligned", "compare"),
    "joining": ("compare",),
    "report": ("report", "page", "drill_down"),
    "market": ("score", "divergences"),
    "mutant": ("divergences",),
    "one_day": ("divergences",),
    "score": ("score", "divergences"),
    "noise": ("drift", "noise"),
    "outcome": ("compare",),
    "cells": ("compare",),
    "columns": ("compare", "columns"),
    "controller": ("controller", "breaches"),
    "kernels": ("indicators", "aggregation"),
    "protocol": ("workers", "filters", "sequences"),
    "preparing": ("workers",),
    "daily_series": ("sequences", "filters"),
    "analysis": ("analysis", "sequences", "sequence_scores"),
}
"""By the end of a file's name, the tests that find most of its mutants where those of its own name are not all."""
_IDENTITY = re.compile(r"core/ReplaceComparisonOperator_(Eq|NotEq)_(Is|IsNot)")
_PROCESSOR_SECONDS = 300
"""What tests may take under a mutant, after which it is found by that; about five times what those of a room take."""
_LONGEST_SECONDS = 3600
"""For one that waits and takes no processor time."""
Place = tuple[int, int]
"""Line and column."""


class Mutation(Protocol):
    """What is asked here of a mutation of Cosmic Ray."""

    operator_name: str
    occurrence: int
    start_pos: Place
    end_pos: Place


def files_of(room: str, seed: int) -> list[str]:
    """The files of a room whose mutants are drawn, relative to the project.

    In an order that is drawn too: a run that is cut short has seen files by chance.
    """
    found = sorted((PROJECT / "setbull_pipelines" / room).rglob("*.py"))
    files = [
        path.relative_to(PROJECT).as_posix()
        for path in found
        if not path.match(FAULTS_THEMSELVES) and path.name != "__init__.py"
    ]
    random.Random(seed).shuffle(files)
    return files


def annotations_of(source: str) -> list[tuple[Place, Place]]:
    """Begin and end of each annotation."""
    found = []
    for node in ast.walk(ast.parse(source)):
        for field in ("annotation", "returns"):
            part = getattr(node, field, None)
            if part is not None:
                found.append(
                    ((part.lineno, part.col_offset), (part.end_lineno, part.end_col_offset))
                )
    return found


Places = Mapping[tuple[Place, Place, str], Sequence[Mutation]]
"""Mutations by begin, end and kind: those of one place are the ways in which one operator can be replaced."""


def places_of(mutations: Iterable[Mutation], source: str) -> Places:
    """The places of a file, without annotations and identity."""
    annotations = annotations_of(source)
    at: dict[tuple[Place, Place, str], list[Mutation]] = {}
    for mutation in mutations:
        is_evaluated = not any(
            begin <= mutation.start_pos and mutation.end_pos <= end for begin, end in annotations
        )
        if is_evaluated and not _IDENTITY.fullmatch(mutation.operator_name):
            kind = mutation.operator_name.partition("_")[0]
            at.setdefault((mutation.start_pos, mutation.end_pos, kind), []).append(mutation)
    return at


def drawn(at: Places, count: int, seed: str) -> list[Mutation]:
    """One mutation at each of ``count`` places, the same for the same places and seed."""
    draw = random.Random(seed)
    places = sorted(at)
    chosen = sorted(draw.sample(places, min(count, len(places))))
    return [
        draw.choice(sorted(at[place], key=lambda one: (one.operator_name, one.occurrence)))
        for place in chosen
    ]


def command_for(file: str) -> str:
    """The tests that are nearest to a file, and where they pass all of its room, until the first that fails."""
    room, name = Path(file).parts[1], Path(file).stem
    patterns = next((near for ending, near in _NEAR.items() if name.endswith(ending)), (name,))
    near = [
        path.relative_to(PROJECT).as_posix()
        for pattern in patterns
        for path in sorted((PROJECT / _TESTS / room).rglob(f"test_{pattern}.py"))
    ]
    commands = [command_of([f"{_TESTS}/{room}"], plain=file == KERNELS)]
    if near:
        commands.insert(0, command_of(near, plain=file == KERNELS))
    return shlex.join(
        ["sh", "-c", f"ulimit -t {_PROCESSOR_SECONDS} && {' && '.join(map(shlex.join, commands))}"]
    )


def command_of(tests: Sequence[str], *, plain: bool) -> list[str]:
    """The command of some tests; ``plain`` leaves kernels uncompiled, which takes longer than running them."""
    return [
        *("env", f"NUMBA_DISABLE_JIT={int(plain)}", "PYTHONPATH=."),
        *(sys.executable, "-m", "pytest", "-qx", "--no-header", "-p", "no:cacheprovider"),
        *("-m", "not run", "--most-examples=10", "--hypothesis-seed=1", *tests),
    ]


def check_without_mutant(room: str, *, plain: bool) -> None:
    """End the program where the tests of a room fail as they are: every mutant would be said to be found."""
    command = command_of([f"{_TESTS}/{room}"], plain=plain)
    finished = subprocess.run(command, capture_output=True, text=True)
    if finished.returncode:
        raise SystemExit(f"the tests of {room} fail without a mutant:\n{finished.stdout}")


def copied(folder: Path) -> Path:
    """A copy of all files under version control: an end in between must leave no mutant in the project."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PROJECT / name, target)
    return folder


def changed_line(diff: str) -> str:
    """What a mutant changes, as one line: the lines before and after."""
    lines = diff.splitlines()
    before = [line[1:].strip() for line in lines if re.match(r"-(?!--)", line)]
    after = [line[1:].strip() for line in lines if re.match(r"\+(?!\+\+)", line)]
    return f"`{' '.join(before)}` -> `{' '.join(after)}`".replace("|", "\\|")


def possible_in(file: str) -> Places:
    """All that Cosmic Ray can do to a file."""
    from cosmic_ray.commands import init
    from cosmic_ray.work_db import WorkDB, use_db

    with use_db(":memory:", WorkDB.Mode.create) as session:
        init([Path(file)], session, {})
        mutations = [mutation for item in session.work_items for mutation in item.mutations]
    return places_of(mutations, Path(file).read_text(encoding="utf-8"))


def surviving_change(file: str, mutation: Mutation) -> str | None:
    """What a mutation changes where all tests pass with it; None where one fails."""
    from cosmic_ray.mutating import mutate_and_test
    from cosmic_ray.work_item import TestOutcome

    result = mutate_and_test([mutation], command_for(file), _LONGEST_SECONDS)
    if result.test_outcome == TestOutcome.INCOMPETENT:
        raise SystemExit(f"{file}: {mutation}: {result.output}")
    return changed_line(result.diff) if result.test_outcome == TestOutcome.SURVIVED else None


def survivors_in(file: str, count: int, seed: int) -> list[str]:
    """Draw in a file, test, and print a line of the table; the survivors as rows of the page."""
    at = possible_in(file)
    chosen = drawn(at, count, f"{seed} {file}")
    changes = [surviving_change(file, mutation) for mutation in chosen]
    short = file.removeprefix("setbull_pipelines/")
    survivors = [f"| {short} | {change} |" for change in changes if change is not None]
    counts = len(at), len(chosen), len(chosen) - len(survivors), len(survivors)
    print(f"| {short} | {' | '.join(map(str, counts))} |", flush=True)
    return survivors


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw, test, print; 1 where a mutant survived that the page does not explain."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutation", description=__doc__)
    parser.add_argument(
        "rooms", nargs="*", default=[*OF_EACH_FILE], help="rooms, or single files of them"
    )
    parser.add_argument(
        "--of-each-file", type=int, help=f"mutants drawn of each file: {OF_EACH_FILE}"
    )
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    # The same result everywhere: tests on the real market, which is no part of the project, are left out.
    os.environ["SETBULL_TEST_DATA"] = os.devnull
    explained = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    is_all_explained = True
    survived: Counter[tuple[str, bool]] = Counter()
    print("| file | places | mutants | killed | survived |\n|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        os.chdir(copied(Path(folder)))
        for name in given.rooms:
            for file in [name] if name.endswith(".py") else files_of(name, given.seed):
                room = Path(file).parts[1]
                rows = survivors_in(file, given.of_each_file or OF_EACH_FILE[room], given.seed)
                survived[room, file == KERNELS] += len(rows)
                for row in rows:
                    is_explained = row in explained
                    is_all_explained &= is_explained
                    told = "explained" if is_explained else "not explained"
                    print(f"{told}: {row}", file=sys.stderr, flush=True)
        # Where a mutant survived, all tests passed with it.
        for (room, plain), count in survived.items():
            if count == 0:
                check_without_mutant(room, plain=plain)
        os.chdir(PROJECT)
    return int(not is_all_explained)


if __name__ == "__main__":
    sys.exit(main())
