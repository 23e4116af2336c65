"""The rooms of ``docs/architecture.md``, held by parsing every module of the package."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise

import pytest

from setbull_pipelines_tests.package_imports import (
    PACKAGE,
    PROJECT,
    ROOT,
    imports,
    imports_of,
    modules,
    parsed,
    project_imports,
)

DOCUMENT = PROJECT / "docs" / "architecture.md"
ORDER = (
    {"disk", "errors", "market", "secrets", "settings"},
    {"tables", "rollout"},
    {"variants", "sources", "warehouse", "alerts", "derived", "groups", "pictures"},
    {"reconciliation", "quality", "reporting"},
    {"pipeline"},
    {"assets"},
    {"automation"},
    {"definitions", "api", "cli", "cluster", "doctor"},
)
"""What the document may refine (rooms of one line can get floors of their own) but not turn round."""

MAY_USE_DAGSTER = {
    "assets",
    "automation",
    "definitions",
    "cli",
    "cluster",
    "doctor",
    "warehouse.resources",
}
MAY_HOLD_SQL = {"warehouse", "reconciliation"}
# The old system's database understands nothing else.
OTHERS_SQL = {"sources.legacy.live": 4}
# What a user can paste into a terminal, shown after a run.
EXAMPLE_QUERIES = {"cli.report": 1}
SQL = re.compile(
    r"\b(SELECT\s+\S.*\bFROM\b|INSERT\s+INTO\b|CREATE\s+(OR\s+REPLACE\s+)?(TABLE|VIEW|MACRO)\b|"
    r"DELETE\s+FROM\b|COPY\s+\(|ATTACH\s+')|\bread_parquet\b|^\s*SELECT\s",
    re.DOTALL,
)


def documented_floors() -> dict[str, int]:
    """The floor of each room, from the table of the document."""
    rows = re.findall(r"^\| (\d+) \| (.+?) \|", DOCUMENT.read_text("utf-8"), re.MULTILINE)
    return {
        name.rstrip("/").removesuffix(".py").partition("/")[0]: int(floor)
        for floor, cell in rows
        for name in re.findall(r"`([^`]+)`", cell)
    }


FLOORS = documented_floors()


def room_of(module: str) -> str:
    return module.partition(".")[0]


def texts(tree: ast.Module) -> Iterator[str]:
    """Every string that is not a docstring or a comment on an attribute; f-strings with their gaps."""
    documentation = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    inside = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in node.values
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                part.value if isinstance(part, ast.Constant) else "{}" for part in node.values
            )
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in documentation | inside
        ):
            yield node.value


INSIDE_ROOMS = [module for module in modules() if module]


def test_the_document_can_be_read_in_a_sitting():
    assert len(DOCUMENT.read_bytes()) <= 12 * 1024
    words = (DOCUMENT.parent / "glossary.md").read_text("utf-8").count("\n| ") - 1
    assert 10 < words < 18


def test_every_module_is_in_a_room_of_the_architecture():
    assert len(INSIDE_ROOMS) > 50
    assert {room_of(module) for module in INSIDE_ROOMS} == set(FLOORS)


def test_the_floors_of_the_document_are_in_order():
    assert set(FLOORS) == set().union(*ORDER)
    for below, above in pairwise(ORDER):
        assert max(FLOORS[room] for room in below) < min(FLOORS[room] for room in above)


@pytest.mark.parametrize("room", FLOORS)
def test_a_room_imports_only_from_the_floors_below(room):
    wrong = [
        f"{module} imports {name or PACKAGE}"
        for module in INSIDE_ROOMS
        if room_of(module) == room
        for name in sorted(project_imports(module))
        if room_of(name) != room
        and (room_of(name) not in FLOORS or FLOORS[room_of(name)] >= FLOORS[room])
    ]
    assert not wrong, f"{room} is on floor {FLOORS[room]}:\n" + "\n".join(wrong)


def test_the_package_itself_imports_nothing():
    assert imports("") <= {"__future__"}


@pytest.mark.parametrize(("variant", "other"), [("v1", "v2"), ("v2", "v1")])
def test_the_variants_do_not_import_each_other(variant, other):
    own = [module for module in INSIDE_ROOMS if module.startswith(f"variants.{variant}")]
    assert len(own) >= 5
    for module in own:
        foreign = {name for name in project_imports(module) if name.startswith(f"variants.{other}")}
        assert not foreign, f"{module} imports {foreign}"
        # The room's package imports both on demand, and would be a way round.
        assert "variants" not in project_imports(module), module


def test_dagster_is_imported_only_from_floor_6_up_and_in_the_resources():
    users = {
        module
        for module in INSIDE_ROOMS
        if any(name.partition(".")[0].startswith("dagster") for name in imports(module))
    }
    wrong = {module for module in users if not MAY_USE_DAGSTER & {room_of(module), module}}
    assert not wrong
    assert {"warehouse.resources", "definitions", "assets.common", "assets.lane"} <= users


def test_sql_lives_in_the_warehouse_and_in_reconciliation():
    found = {
        module: sum(bool(SQL.search(text)) for text in texts(parsed(module)))
        for module in INSIDE_ROOMS
        if room_of(module) not in MAY_HOLD_SQL
    }
    assert {
        module: count for module, count in found.items() if count
    } == EXAMPLE_QUERIES | OTHERS_SQL
    inside = [module for module in INSIDE_ROOMS if room_of(module) in MAY_HOLD_SQL]
    assert sum(any(map(SQL.search, texts(parsed(module)))) for module in inside) >= 3


@pytest.mark.parametrize("module", modules(), ids=lambda module: module or PACKAGE)
def test_every_module_opens_with_what_it_is_for(module):
    docstring = ast.get_docstring(parsed(module)) or ""
    assert len(docstring.split()) >= 4, "no docstring that says what belongs here"


LONGEST_FILE, LONGEST_CLASS = 400, 300


@pytest.mark.parametrize("module", modules(), ids=lambda module: module or PACKAGE)
def test_a_module_can_be_read_in_a_sitting(module):
    tree = parsed(module)
    path = ROOT.joinpath(*module.split(".")) if module else ROOT
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    lines = len(source.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST_FILE, (
        f"{source.relative_to(PROJECT)} has {lines} lines: divide it by what its parts are about"
    )
    assert not longer_classes(tree, LONGEST_CLASS)


TAKEN_FROM_TESTS = re.compile(r"^(?:from|import) setbull_pipelines_tests.*\btest_\w+", re.MULTILINE)
BESIDE_THE_PACKAGE = ("benchmarks", "deployment", "setbull_pipelines_tests")


def test_tests_and_benchmarks_can_be_read_in_a_sitting_too():
    lines = {
        path.relative_to(PROJECT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for folder in BESIDE_THE_PACKAGE
        for path in (PROJECT / folder).rglob("*.py")
    }
    assert len(lines) > 400
    assert not {path: count for path, count in lines.items() if count > LONGEST_FILE}, (
        "divide a longer file by what its tests are about"
    )


def test_no_test_file_needs_another():
    paths = list((PROJECT / "setbull_pipelines_tests").rglob("test_*.py"))
    assert len(paths) > 200
    found = {
        path.relative_to(PROJECT).as_posix(): taken
        for path in paths
        if (taken := TAKEN_FROM_TESTS.findall(path.read_text(encoding="utf-8")))
    }
    assert not found, "put what several files need into a module, or a fixture into conftest.py"


def longer_classes(tree: ast.Module, lines: int) -> dict[str, int]:
    """The classes with more lines, by name."""
    found = {
        node.name: node.end_lineno - node.lineno + 1
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    return {name: length for name, length in found.items() if length > lines}


# What the tests above rely on, shown on text that breaks each rule.


def test_the_lines_of_a_class_are_counted():
    tree = ast.parse("class Short:\n    a = 1\n\n\nclass Long:\n    a = 1\n    b = 2\n")
    assert longer_classes(tree, 2) == {"Long": 3}


def test_hidden_and_relative_imports_are_seen():
    tree = ast.parse(
        "from . import engine\n"
        "from ..assets import common\n"
        "def late():\n"
        "    import dagster as dg\n"
        "    from setbull_pipelines.cli import run\n"
    )
    assert set(imports_of(tree, False, "pipeline.steps")) == {
        f"{PACKAGE}.pipeline.engine",
        f"{PACKAGE}.assets.common",
        f"{PACKAGE}.cli.run",
        "dagster",
    }


@pytest.mark.parametrize(
    ("source", "is_sql"),
    [
        ('query = "SELECT * FROM v1.filter_results"', True),
        ('query = f"SELECT {columns}\\nFROM {table}"', True),
        ('query = "CREATE OR REPLACE VIEW x AS y"', True),
        ('"""SELECT a FROM b in documentation."""', False),
        ('text = "select a file from the list"', False),
    ],
)
def test_sql_is_told_from_prose(source, is_sql):
    assert any(map(SQL.search, texts(ast.parse(source)))) is is_sql
