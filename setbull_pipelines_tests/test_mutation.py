"""What the mutation run draws, and how it names what survived; the run itself is ``make mutation``."""

from __future__ import annotations

import os
import re
import signal
import sys
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from benchmarks.mutation import (
    KERNELS,
    OF_EACH_FILE,
    PAGE,
    PROJECT,
    Order,
    annotations_of,
    changed_line,
    drawn,
    files_of,
    is_python,
    is_true_apart,
    places_of,
)

SOURCE = """\
def half(count: int | None = 4) -> int | None:
    total: int | str = count + 1
    return total if count == 3 else None
"""


@dataclass(frozen=True)
class Mutation:
    operator_name: str
    occurrence: int
    start_pos: tuple[int, int]
    end_pos: tuple[int, int]


def at(line: int, text: str, operator: str) -> Mutation:
    column = SOURCE.splitlines()[line - 1].index(text)
    return Mutation(f"core/{operator}", 0, (line, column), (line, column + len(text)))


ADDITIONS = [at(2, "+", f"ReplaceBinaryOperator_Add_{other}") for other in ("Sub", "Mul", "Div")]
ANNOTATIONS = [
    at(1, "int | None", "ReplaceBinaryOperator_BitOr_Add"),
    at(1, "| None", "ReplaceBinaryOperator_BitOr_Add"),
    at(2, "|", "ReplaceBinaryOperator_BitOr_Add"),
]
IDENTITY = at(3, "==", "ReplaceComparisonOperator_Eq_Is")
OTHERS = [
    at(1, "4", "NumberReplacer"),
    at(2, "1", "NumberReplacer"),
    at(3, "==", "ReplaceComparisonOperator_Eq_Gt"),
]


def test_each_place_is_drawn_once_at_most_and_annotations_never() -> None:
    at = places_of([*ADDITIONS, *ANNOTATIONS, IDENTITY, *OTHERS], SOURCE)
    assert len(at) == 4
    found = drawn(at, 100, "1")
    assert len(annotations_of(SOURCE)) == 3
    assert [mutation for mutation in found if mutation not in ADDITIONS] == [
        OTHERS[0],
        OTHERS[1],
        OTHERS[2],
    ]
    assert sum(mutation in ADDITIONS for mutation in found) == 1


def test_the_draw_follows_from_seed_and_source_alone() -> None:
    possible = [*ADDITIONS, *OTHERS]
    at, turned = places_of(possible, SOURCE), places_of(possible[::-1], SOURCE)
    draws = {tuple(drawn(at, 2, str(seed))) for seed in range(50)}
    assert all(len(draw) == 2 for draw in draws)
    assert len(draws) > 5
    assert drawn(turned, 2, "7") == drawn(at, 2, "7")


def test_a_survivor_is_named_by_its_line_before_and_after() -> None:
    diff = (
        "--- mutation diff ---\n--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-    a | b\n+    a & b\n same"
    )
    assert changed_line(diff) == "`a \\| b` -> `a & b`"


def test_every_file_of_the_rooms_is_drawn_from_but_the_faults_themselves() -> None:
    files = [file for room in OF_EACH_FILE for file in files_of(room, 1)]
    assert KERNELS in files
    assert "setbull_pipelines/reconciliation/compare.py" in files
    assert not any(file.endswith("_mutants.py") for file in files)
    assert all((PROJECT / file).is_file() for file in files)


@pytest.mark.parametrize(
    ("operator", "expected"),
    [("ReplaceUnaryOperator_Invert_Not", False), ("ReplaceUnaryOperator_Invert_UAdd", True)],
)
def test_a_mutant_that_is_no_python_is_told_apart(operator, expected, tmp_path) -> None:
    file = tmp_path / "source.py"
    file.write_text("found = one & ~two\n", encoding="utf-8")
    mutation = Mutation(f"core/{operator}", 0, (1, 14), (1, 18))
    assert is_python(str(file), mutation) is expected


def test_what_carries_out_the_line_of_a_mutant_comes_first_and_nothing_is_left_out() -> None:
    items = [SimpleNamespace(nodeid=name) for name in "abcd"]
    Order({"c", "b"}).pytest_collection_modifyitems(items)
    assert [item.nodeid for item in items] == ["b", "c", "a", "d"]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (lambda: True, True),
        (lambda: False, False),
        (lambda: 1 / 0, False),
        (lambda: sys.exit(), False),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), False),
    ],
    ids=["true", "false", "raises", "ends", "dies"],
)
def test_a_process_that_does_not_come_to_its_end_is_no_pass(
    answer, expected, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_true_apart(answer) is expected


def test_every_explained_mutant_is_one_of_the_code_as_it_is() -> None:
    page = PAGE.read_text(encoding="utf-8")
    explained = re.findall(r"^\| (\S+\.py) \| `(.+)` -> `(.*)` \| .+ \|$", page, flags=re.M)
    assert explained
    for file, before, after in explained:
        lines = (PROJECT / "setbull_pipelines" / file).read_text(encoding="utf-8").splitlines()
        source = " ".join(line.strip() for line in lines)
        assert before.replace("\\|", "|") in source, f"{file}: {before}"
        assert before != after
