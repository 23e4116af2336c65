"""Code versions: which sources a variant's results depend on."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from setbull_pipelines.pipeline import versions
from setbull_pipelines_tests.package_imports import project_imports

Versions = dict[str, str]
Edit = Callable[[str, str, str], tuple[Versions, Versions]]
"""Edits a source file, the old text to the new one (none: at its end); the versions before and after."""


@pytest.fixture
def version_of_edited_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Edit]:
    """Versions before and after one source file of a copy of the package is edited."""
    package = tmp_path / "package"
    shutil.copytree(versions._PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(versions, "_PACKAGE", package)

    def current() -> Versions:
        for remembered in (versions.code_version, versions._code_of, versions._groups_of_settings):
            remembered.cache_clear()
        return {
            "v1": versions.variant_code_version("v1"),
            "v2": versions.variant_code_version("v2"),
            "raw": versions.raw_code_version(),
        }

    def edit(source: str, old: str, new: str) -> tuple[Versions, Versions]:
        before = current()
        path = package / source
        text = path.read_text(encoding="utf-8")
        assert not old or text.count(old) == 1, f"{source} has {old!r} {text.count(old)} times"
        path.write_text(text.replace(old, new) if old else text + new, encoding="utf-8")
        return before, current()

    yield edit
    for remembered in (versions.code_version, versions._code_of, versions._groups_of_settings):
        remembered.cache_clear()


@pytest.mark.parametrize(
    ("source", "changed"),
    [
        ("variants/v1/indicators.py", {"v1"}),
        ("variants/v2/kernels.py", {"v2"}),
        ("variants/protocol.py", {"v1", "v2"}),
        ("pipeline/steps.py", {"v1", "v2"}),
        ("market/session_table.py", {"v1", "v2", "raw"}),
        ("tables/candles.py", {"v1", "v2", "raw"}),
        ("sources/candle_files.py", {"raw"}),
        ("cli/report.py", set()),
        ("assets/common.py", set()),
    ],
)
def test_an_edited_source_changes_the_versions_that_depend_on_it(
    source: str, changed: set[str], version_of_edited_copy: Edit
) -> None:
    before, after = version_of_edited_copy(source, "", "\nEDITED = True\n")
    assert {name for name in before if before[name] != after[name]} == changed


@pytest.mark.parametrize(
    ("source", "old", "new"),
    [
        (
            "variants/v1/indicators.py",
            '"""V1 of the indicators:',
            '"""The first of the indicators:',
        ),
        ("variants/v1/indicators.py", "# the first bar has no change", "# no change yet"),
        ("variants/v2/kernels.py", "", "\n# edited\n"),
        ("tables/candles.py", "", '\n"""Said at the end."""\n'),
    ],
)
def test_words_change_no_version(
    source: str, old: str, new: str, version_of_edited_copy: Edit
) -> None:
    before, after = version_of_edited_copy(source, old, new)
    assert before == after


@pytest.mark.parametrize(
    ("source", "old", "new"),
    [
        ("operating", "fail_on_divergence: bool = True", "fail_on_divergence: bool = False"),
        # Imported by the code of both variants, of the raw tables, and of the raw tables.
        (
            "operating",
            "sample_percentage: Annotated[int, Ge(1), Le(100)] = 10",
            "sample_percentage: int = 20",
        ),
        ("connecting", "settle_minutes: CountOrNone = 30", "settle_minutes: CountOrNone = 31"),
        ("connecting", "repeat_hours: AboveZero = 24.0", "repeat_hours: AboveZero = 25.0"),
        ("connecting", "wait_seconds: NotNegative = 25.0", "wait_seconds: NotNegative = 26.0"),
        ("declaring", "Count = Annotated[int, Ge(1)]", "Count = Annotated[int, Ge(2)]"),
        ("loading", "", "\nEDITED = True\n"),
    ],
)
def test_no_default_of_running_or_connecting_is_a_new_version_of_what_is_computed(
    source: str, old: str, new: str, version_of_edited_copy: Edit
) -> None:
    before, after = version_of_edited_copy(f"settings/{source}.py", old, new)
    assert before == after


@pytest.mark.parametrize(
    ("group", "changed"),
    [
        ("AggregationSettings", {"v1", "v2"}),
        ("IndicatorSettings", {"v1", "v2", "raw"}),  # raw: a contract of tables/ imports it
        ("SequenceSettings", {"v1", "v2", "raw"}),
        ("FilterSettings", {"v1", "v2"}),
        ("BandWidthSettings", {"v1", "v2", "raw"}),
        ("SampleSettings", {"raw"}),
        ("GroupSettings", set()),  # of the plan of groups, which has a version of its own
    ],
)
def test_every_group_for_computing_is_a_new_version_of_what_imports_it(
    group: str, changed: set[str], version_of_edited_copy: Edit
) -> None:
    before, after = version_of_edited_copy(
        "settings/computing.py", f"class {group}:\n", f"class {group}:\n    edited: int = 1\n"
    )
    assert {name for name in before if before[name] != after[name]} == changed


def test_another_default_of_a_setting_is_a_new_version_of_what_reads_it(
    version_of_edited_copy: Edit,
) -> None:
    before, after = version_of_edited_copy(
        "settings/computing.py", "overnight_days: Count = ", "overnight_days: Count = 1 + "
    )
    assert before["v1"] != after["v1"]
    assert before["v2"] != after["v2"]


def test_a_line_of_a_text_that_looks_like_a_comment_is_code(version_of_edited_copy: Edit) -> None:
    text = '\nQUERY = """\n# {}\n"""\n'
    before, after = version_of_edited_copy("tables/candles.py", "", text.format("first"))
    assert before != after
    before, after = version_of_edited_copy("tables/candles.py", "# first", "# second")
    assert before != after


def segment(lines: list[str], node: ast.expr) -> str:
    """``ast.get_source_segment``, which divides the text into lines for every node."""
    within = [line.encode() for line in lines[node.lineno - 1 : node.end_lineno]]
    within[-1] = within[-1][: node.end_col_offset]
    within[0] = within[0][node.col_offset :]
    return b"".join(within).decode()


def test_what_counts_as_code_is_what_the_syntax_tree_says() -> None:
    """Of every module of the package: strings that stand alone are gone, all others are there."""
    looked_at = 0
    for path in sorted(versions._PACKAGE.rglob("*.py")):
        text = path.read_text("utf-8")
        code = versions._without_words(text).decode()
        nodes, lines = list(ast.walk(ast.parse(text))), text.splitlines(keepends=True)
        words = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        for node in nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found = segment(lines, node)
                if id(node) in words:
                    assert len(found) < 30 or found not in code, (path, found)
                elif found and "\n" not in found:  # parts of f-strings have no place of their own
                    assert found in code, (path, found)
                looked_at += 1
    assert looked_at > 5_000


# What the lane loads beside what its values are made of.
NOT_IN_THE_VERSION = {
    "pipeline.progress": "tells how far the work is",
    "pipeline.measuring": "measures what the work took",
    "pipeline.chunks": "how many instruments at a time, which changes no value (property test)",
    "pipeline.versions": "says which version it is",
    "quality": "judges what is stored",
    "warehouse": "where bytes lie; what is read is held against the hash of what was published",
    "rollout": "who is served, except for the buckets",
    "secrets": "words of errors, of which no value is made",
    "sources": "the raw tables have a version of their own",
    "settings": "by the groups that are imported",
}


@pytest.mark.parametrize("name", ["v1", "v2"])
def test_the_version_of_a_lane_holds_all_that_it_imports(name: str) -> None:
    other = {"v1": "variants.v2", "v2": "variants.v1"}[name]
    seen: set[str] = set()
    waiting = ["pipeline.engine", f"variants.{name}"]
    while waiting:
        module = waiting.pop()
        if module in seen or module.startswith(other):
            continue
        seen.add(module)
        if not any(module == each or module.startswith(f"{each}.") for each in NOT_IN_THE_VERSION):
            waiting += project_imports(module)
    hashed = {
        ".".join(path.relative_to(versions._PACKAGE).with_suffix("").parts).removesuffix(
            ".__init__"
        )
        for path in versions._sources(versions.variant_places(name))
    }
    left_out = {
        module
        for module in seen - hashed - {"", "variants"}
        if not any(module == each or module.startswith(f"{each}.") for each in NOT_IN_THE_VERSION)
    }
    assert not left_out


def test_a_combined_hash_depends_on_the_order_and_the_borders_of_its_parts() -> None:
    hashes = {
        versions.combined(parts) for parts in (["a", "b"], ["b", "a"], ["ab"], ["a", "b", ""], [])
    }
    assert len(hashes) == 5
