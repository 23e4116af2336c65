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
import difflib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Protocol

import coverage
import numba
import pytest
from cosmic_ray.commands import init
from cosmic_ray.mutating import mutate_code, use_mutation
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import WorkDB, use_db
from hypothesis import Phase, settings

PROJECT = Path(__file__).resolve().parents[1]
PAGE = PROJECT / "docs" / "mutation.md"
OF_EACH_FILE = {"variants": 2, "reconciliation": 1, "rollout": 12}
"""How many mutants are drawn: all of it takes an hour, and a quick room is asked more."""
FAULTS_THEMSELVES = "*_mutants.py"
"""Files of the self-test that are nothing but faults of V2."""
KERNELS = "setbull_pipelines/variants/v2/kernels.py"
_TESTS = "setbull_pipelines_tests"
_IDENTITY = re.compile(r"core/ReplaceComparisonOperator_(Eq|NotEq)_(Is|IsNot)")
_IMPORTED_ONCE = ("dagster", "duckdb", "pandas", "pyarrow", "schemathesis")
"""Of others, and slow to import: the process in which a mutant is tested is forked from one that has them."""
_PROCESSOR_SECONDS = 60
"""What a test may take, after which its mutant is found by that: the slowest takes a tenth."""
_SECONDS = 600
"""For a test that waits and takes no processor time."""
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


@dataclass(frozen=True, eq=False)
class Order:
    """A plugin of pytest: tests that carry out the line of a mutant come first, and none may run for ever."""

    first: Collection[str]

    def pytest_configure(self) -> None:
        # One example that fails is enough: looking for the smallest one takes minutes.
        phases = [Phase.explicit, Phase.generate]
        settings.register_profile("found", settings.default, phases=phases)
        settings.load_profile("found")
        self.pytest_runtest_setup()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=lambda item: item.nodeid not in self.first)

    def pytest_runtest_setup(self) -> None:
        # Whose time is over is killed: a mutant may not catch that.
        signal.setitimer(signal.ITIMER_PROF, _PROCESSOR_SECONDS)
        signal.alarm(_SECONDS)


@dataclass(frozen=True, eq=False)
class Measuring:
    """A plugin of pytest: what each test carries out is kept under its name."""

    coverage: coverage.Coverage

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.coverage.switch_context(item.nodeid)
        return (yield)


def is_passed(room: str, plugin: object, *, plain: bool) -> bool:
    """Whether all tests of a room pass, in this process; ``plain`` leaves kernels uncompiled."""
    numba.config.DISABLE_JIT = plain
    os.environ["NUMBA_DISABLE_JIT"] = str(int(plain))
    # Examples that found one mutant would be tried on the next.
    shutil.rmtree(".hypothesis", ignore_errors=True)
    options = "-qx --no-header -p no:cacheprovider --most-examples=10 --hypothesis-seed=1"
    tests = [*options.split(), "-m", "not run", f"{_TESTS}/{room}"]
    return pytest.main(tests, [plugin]) == pytest.ExitCode.OK


def is_true_apart(question: Callable[[], bool]) -> bool:
    """The answer of a forked process, which has imported nothing of the project yet; False where it dies."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        try:
            sys.path.insert(0, os.getcwd())
            with open("output.txt", "w", encoding="utf-8") as output, redirect_stdout(output):
                answer = question()
        except BaseException:
            answer = False
        os._exit(int(not answer))
    return os.waitpid(child, 0)[1] == 0


@cache
def tests_of_lines(room: str, *, plain: bool) -> dict[str, dict[int, list[str]]]:
    """By file and line the tests that carry it out; ends the program where one fails without a mutant."""

    def measure() -> bool:
        measuring = coverage.Coverage(data_file=None, source=[f"setbull_pipelines/{room}"])
        measuring.start()
        passed = is_passed(room, Measuring(measuring), plain=plain)
        measuring.stop()
        data = measuring.get_data()
        found = {
            os.path.relpath(file): data.contexts_by_lineno(file) for file in data.measured_files()
        }
        Path("lines.json").write_text(json.dumps(found), encoding="utf-8")
        return passed

    if not is_true_apart(measure):
        raise SystemExit(
            f"the tests of {room} fail without a mutant:\n{Path('output.txt').read_text()}"
        )
    lines = json.loads(Path("lines.json").read_text(encoding="utf-8"))
    return {
        file: {int(line): tests for line, tests in of_file.items()}
        for file, of_file in lines.items()
    }


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
    with use_db(":memory:", WorkDB.Mode.create) as session:
        init([Path(file)], session, {})
        mutations = [mutation for item in session.work_items for mutation in item.mutations]
    return places_of(mutations, Path(file).read_text(encoding="utf-8"))


def is_python(file: str, mutation: Mutation) -> bool:
    """Whether a mutant can be read at all: every test would find one like ``a & not b``."""
    source = Path(file).read_text(encoding="utf-8")
    operator = get_operator(mutation.operator_name)()
    try:
        ast.parse(mutate_code(source, operator, mutation.occurrence))
    except SyntaxError:
        return False
    return True


def surviving_change(file: str, mutation: Mutation) -> str | None:
    """What a mutation changes where all tests pass with it; None where one fails."""
    room, plain = Path(file).parts[1], file == KERNELS
    of_lines = tests_of_lines(room, plain=plain).get(file, {})
    lines = range(mutation.start_pos[0], mutation.end_pos[0] + 1)
    order = Order({test for line in lines for test in of_lines.get(line, ())})
    operator = get_operator(mutation.operator_name)()
    with use_mutation(Path(file), operator, mutation.occurrence) as (before, after):
        if not is_true_apart(lambda: is_passed(room, order, plain=plain)):
            return None
    lines_changed = difflib.unified_diff(before.split("\n"), after.split("\n"), lineterm="")
    return changed_line("\n".join(lines_changed))


def survivors_in(file: str, count: int, seed: int) -> list[str]:
    """Draw in a file, test, and print a line of the table; the survivors as rows of the page."""
    at = possible_in(file)
    chosen = [one for one in drawn(at, count, f"{seed} {file}") if is_python(file, one)]
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
    print("| file | places | mutants | killed | survived |\n|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        os.chdir(copied(Path(folder)))
        # A mutant of the same length and second would be taken for the one before it.
        sys.dont_write_bytecode = True
        os.environ |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": "."}
        for name in _IMPORTED_ONCE:
            import_module(name)
        for name in given.rooms:
            for file in [name] if name.endswith(".py") else files_of(name, given.seed):
                count = given.of_each_file or OF_EACH_FILE[Path(file).parts[1]]
                for row in survivors_in(file, count, given.seed):
                    is_explained = row in explained
                    is_all_explained &= is_explained
                    told = "explained" if is_explained else "not explained"
                    print(f"{told}: {row}", file=sys.stderr, flush=True)
        os.chdir(PROJECT)
    return int(not is_all_explained)


if __name__ == "__main__":
    sys.exit(main())
