"""What is collected depends on the sources alone: not on a clock, a path, a port or the order of a hash.

pytest-xdist refuses to run when its processes collect different tests.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from setbull_pipelines_tests.collecting import described

pytestmark = pytest.mark.scenario

PROJECT = Path(__file__).resolve().parents[1]
MACHINES = (
    {"PYTHONHASHSEED": "1", "TZ": "Etc/GMT+12"},
    {"PYTHONHASHSEED": "2", "TZ": "Etc/GMT-14"},  # 26 hours apart: never the same date
)


def collected(folder: Path, **machine: str) -> list[str]:
    """One line per test, from a process of its own whose temporary folder is ``folder``."""
    folder.mkdir()
    kept = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")}
    finished = subprocess.run(
        [sys.executable, "-m", "setbull_pipelines_tests.collecting", str(folder / "tests")],
        env=kept | {"TMPDIR": str(folder)} | machine,
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return (folder / "tests").read_text(encoding="utf-8").splitlines()


def test_two_processes_collect_the_same_tests_with_the_same_inputs(tmp_path: Path) -> None:
    first = collected(tmp_path / "first", **MACHINES[0])
    time.sleep(2)  # the clock of a zip archive ticks every two seconds
    second = collected(tmp_path / "second", **MACHINES[1])
    assert len(first) > 1_000
    assert [pair for pair in zip(first, second, strict=True) if len(set(pair)) > 1] == []
    assert len(set(first)) == len(first)
    ids = [json.loads(line)[0] for line in first]
    assert [name for name in ids if str(PROJECT) in name or str(tmp_path) in name] == []


def test_members_of_sets_are_compared_whatever_their_order() -> None:
    assert described({"a": frozenset({2, 1}), "b": [object()]}) == (
        "{'a': frozenset(1, 2), 'b': list(<object object>)}"
    )
    assert described([2, 1]) != described([1, 2])
