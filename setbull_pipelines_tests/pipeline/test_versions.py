"""Code versions: which sources a variant's results depend on."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from setbull_pipelines.pipeline import versions

Versions = dict[str, str]


@pytest.fixture
def version_of_edited_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], tuple[Versions, Versions]]]:
    """Versions before and after one source file of a copy of the package is edited."""
    package = tmp_path / "package"
    shutil.copytree(versions._PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(versions, "_PACKAGE", package)

    def current() -> Versions:
        versions.code_version.cache_clear()
        return {
            "v1": versions.variant_code_version("v1"),
            "v2": versions.variant_code_version("v2"),
            "raw": versions.raw_code_version(),
        }

    def edit(source: str) -> tuple[Versions, Versions]:
        before = current()
        with open(package / source, "a", encoding="utf-8") as file:
            file.write("\n# edited\n")
        return before, current()

    yield edit
    versions.code_version.cache_clear()


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
    source: str,
    changed: set[str],
    version_of_edited_copy: Callable[[str], tuple[Versions, Versions]],
) -> None:
    before, after = version_of_edited_copy(source)
    assert {name for name in before if before[name] != after[name]} == changed


def test_a_combined_hash_depends_on_the_order_and_the_borders_of_its_parts() -> None:
    hashes = {
        versions.combined(parts) for parts in (["a", "b"], ["b", "a"], ["ab"], ["a", "b", ""], [])
    }
    assert len(hashes) == 5
