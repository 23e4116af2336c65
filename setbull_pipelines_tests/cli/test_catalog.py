"""Data folders that were copied or moved: whoever asks reads the folder that was named, never the one before."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from setbull_pipelines import tables
from setbull_pipelines.cli.main import main
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests.pipeline.small_run import SmallRun, publish
from setbull_pipelines_tests.warehouse import old_layout

pytestmark = pytest.mark.run

RESULTS = StoredTable("v1", tables.FILTER_RESULTS)
QUESTION = "SELECT count(*) AS rows FROM v1.filter_results"
PLAIN = (
    "import duckdb, sys; c = duckdb.connect(sys.argv[1], read_only=True); "
    "sys.argv[2:] and c.execute(f\"SET file_search_path = '{sys.argv[2]}'\"); "
    f"print(*c.execute('{QUESTION}').fetchone())"
)


def setbull(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def asked_plainly(catalog: Path, working_directory: Path, *search_path: Path) -> str:
    """What a program of its own gets of a catalog by nothing but DuckDB."""
    finished = subprocess.run(
        [sys.executable, "-c", PLAIN, catalog, *search_path],
        cwd=working_directory,
        capture_output=True,
        text=True,
        check=True,
    )
    return finished.stdout.strip()


@pytest.fixture
def copied(small_run: SmallRun, data_directory: Path, tmp_path: Path) -> tuple[SmallRun, SmallRun]:
    """A run whose catalog is its own, and a copy of it in which one day has a single row; the copy is configured."""
    original = small_run.copy(tmp_path / "original")
    assert setbull("catalog", "--root", original.settings.data_directory).exit_code == 0
    copy = original.copy(data_directory)
    day = copy.days[0].isoformat()
    rows = copy.warehouse.read(RESULTS, [day])
    assert len(rows) == 12
    publish(copy.warehouse, RESULTS, day, rows.head(1))
    return original, copy


def test_sql_reads_the_copy_and_says_that_its_catalog_was_that_of_another_folder(
    copied: tuple[SmallRun, SmallRun],
) -> None:
    original, copy = copied
    first = setbull("sql", QUESTION)
    assert first.exit_code == 0
    assert "13" in first.stdout
    assert str(original.warehouse.root) in first.stderr
    assert str(copy.warehouse.root) in first.stderr
    shutil.rmtree(original.settings.data_directory)
    again = setbull("sql", QUESTION)
    assert "13" in again.stdout
    assert again.stderr == ""


def test_sql_reads_a_copy_that_cannot_be_written(
    copied: tuple[SmallRun, SmallRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("read-only file system")

    monkeypatch.setattr("setbull_pipelines.pipeline.catalog.rebuild_catalog", refuse)
    found = setbull("sql", QUESTION)
    assert "13" in found.stdout
    assert "cannot be rebuilt: read-only file system" in found.stderr


@pytest.mark.parametrize("damage", ["other folder", "missing", "cut short"])
@pytest.mark.parametrize("command", ["report", "divergence"])
def test_other_commands_bring_the_catalog_home(
    command: str, damage: str, copied: tuple[SmallRun, SmallRun]
) -> None:
    _, copy = copied
    catalog = copy.settings.data_directory / "setbull.duckdb"
    if damage != "other folder":
        catalog.unlink()
    if damage == "cut short":
        catalog.write_bytes(b"no database")
    day = copy.days[-1]
    of_command = {
        "report": ["--day", day],
        "divergence": ["--table", "filter_results", "--day", day],
    }
    result = setbull(command, *of_command[command])
    assert result.exit_code == 0, result.output
    assert "rebuilt" in result.stderr
    assert asked_plainly(catalog, Path("/")) == "13"


def test_the_verb_rebuilds_the_catalog_of_the_folder_that_is_named(
    copied: tuple[SmallRun, SmallRun], tmp_path: Path
) -> None:
    original, copy = copied
    moved = tmp_path / "moved"
    os.rename(copy.settings.data_directory, moved)
    result = setbull("catalog", "--root", moved)
    assert result.stdout.strip() == str(moved / "setbull.duckdb")
    assert asked_plainly(moved / "setbull.duckdb", Path("/")) == "13"
    assert asked_plainly(original.settings.data_directory / "setbull.duckdb", Path("/")) == "24"
    refused = setbull("catalog", "--root", tmp_path)
    assert refused.exit_code == 2
    assert "found no tables, expected the data folder of a run" in refused.stderr


def test_the_relative_catalog_reads_the_folder_that_it_lies_in(
    copied: tuple[SmallRun, SmallRun], tmp_path: Path
) -> None:
    original, copy = copied
    data, relative = copy.settings.data_directory, "setbull-relative.duckdb"
    assert setbull("catalog", "--relative").exit_code == 0
    assert asked_plainly(data / relative, data) == "13"
    moved = tmp_path / "moved"
    shutil.move(data, moved)
    shutil.rmtree(original.settings.data_directory)
    assert asked_plainly(moved / relative, moved) == "13"
    assert asked_plainly(moved / relative, Path("/"), moved) == "13"
    with pytest.raises(subprocess.CalledProcessError):
        asked_plainly(moved / relative, Path("/"))
    # From now on it is replaced with the other one.
    day = copy.days[0].isoformat()
    warehouse = Warehouse(moved / "warehouse")
    publish(warehouse, RESULTS, day, warehouse.read(RESULTS, [day]).head(0))
    assert setbull("catalog", "--root", moved).exit_code == 0
    assert asked_plainly(moved / relative, moved) == "12"


def test_a_lost_list_of_what_is_current_is_made_again_from_the_files(
    copied: tuple[SmallRun, SmallRun],
) -> None:
    data = copied[1].settings.data_directory
    for path in (data / "warehouse").glob("catalog.sqlite*"):
        path.unlink()
    result = setbull("catalog", "--rebuild")
    assert result.exit_code == 0, result.output
    assert "versions found in the files" in result.stdout
    assert asked_plainly(data / "setbull.duckdb", Path("/")) == "13"


def test_a_folder_of_an_older_version_is_refused_with_the_command_that_converts_it(
    small_run: SmallRun, data_directory: Path
) -> None:
    refused = setbull("convert")
    assert refused.exit_code == 2
    assert "found nothing of an older version" in refused.stderr
    original = small_run.copy(data_directory.parent / "original")
    old_layout.write(original.warehouse, data_directory / "warehouse", [RESULTS])
    refused = setbull("sql", QUESTION)
    assert refused.exit_code == 2
    assert "written by an older version of setbull; convert it by: setbull convert" in (
        refused.stderr
    )
    converted = setbull("convert")
    assert converted.exit_code == 0, converted.output
    assert f"{len(small_run.warehouse.partitions(RESULTS))} partitions converted" in (
        converted.stdout
    )
    assert asked_plainly(data_directory / "setbull.duckdb", Path("/")) == "24"
