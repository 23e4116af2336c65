"""A data folder is broken in one way at a time: that is told and nothing else, and what can be mended is mended."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import sqlite3
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest
from click.testing import CliRunner

from setbull_pipelines import disk, doctor, tables
from setbull_pipelines.cli.home import prepare_dagster_home
from setbull_pipelines.cli.main import main
from setbull_pipelines.doctor import surroundings
from setbull_pipelines.doctor.examining import EXAMINATIONS, OF_TABLES, examine
from setbull_pipelines.doctor.finding import FAULT, NOTE, WELL, DataFolder, Finding, size
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.pipeline.catalog import refresh_catalog, stored_tables
from setbull_pipelines.pipeline.opening import catalog_path, now, open_warehouse
from setbull_pipelines.pipeline.raw import landing_directory
from setbull_pipelines.quality.rollout_log import LOG
from setbull_pipelines.settings import Settings
from setbull_pipelines.settings.deployment import groups_of
from setbull_pipelines.warehouse.looking import shortened
from setbull_pipelines.warehouse.pointers import WHOLE, StoredTable
from setbull_pipelines_tests.documents import documented_keys
from setbull_pipelines_tests.pipeline.small_run import SmallRun
from setbull_pipelines_tests.stored import damage

BARS = StoredTable("v2", tables.CANDLES_5MIN)


@pytest.fixture
def folder(copied_run: SmallRun) -> DataFolder:
    refresh_catalog(copied_run.warehouse, copied_run.settings)
    return DataFolder(copied_run.settings, now(), None)


def told(folder: DataFolder, repairs: bool = False) -> list[Finding]:
    """What is not as it should be, or was mended."""
    return [finding for finding in examine(folder, repairs) if finding.state != WELL]


def rewritten(path: Path, change: Callable[[bytes], bytes]) -> None:
    """Another content in the place of a file that may be linked from another folder."""
    data = change(path.read_bytes())
    path.unlink()
    path.write_bytes(data)


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def file_of(folder: DataFolder, stored: StoredTable, partition: str) -> Path:
    warehouse = open_warehouse(folder.settings)
    return warehouse.data.path(warehouse.pointer(stored, partition).file)


def test_nothing_is_wrong_in_the_folder_of_a_run(folder: DataFolder) -> None:
    found = list(examine(folder))
    assert [finding for finding in found if finding.state != WELL] == []
    parts = {part for part, _ in (*EXAMINATIONS, *OF_TABLES)} - {"dagster", "runs"}
    assert {finding.part for finding in found} == parts


def test_an_empty_folder_is_well(folder: DataFolder, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    settings = replace(folder.settings, data_directory=tmp_path / "empty")
    assert told(replace(folder, settings=settings)) == []


def test_a_catalog_that_cannot_be_read_is_made_again(folder: DataFolder) -> None:
    path = open_warehouse(folder.settings).commits.path
    before = open_warehouse(folder.settings).pointers(BARS)
    for beside in path.parent.glob(f"{path.name}-*"):
        beside.unlink()  # what SQLite has written and not yet moved into the file
    rewritten(path, lambda data: b"nonsense" * 500)
    wrong, skipped = told(folder)
    assert (wrong.part, wrong.state) == ("catalog", FAULT)
    assert str(path) in wrong.told
    assert (skipped.part, skipped.state) == ("tables", NOTE)
    mended = told(folder, repairs=True)
    assert mended[0].done.startswith("made again: ")
    assert FAULT not in {finding.state for finding in mended}
    after = open_warehouse(folder.settings).pointers(BARS)
    assert {day: each.content_hash for day, each in after.items()} == {
        day: each.content_hash for day, each in before.items()
    }


def test_a_flipped_bit_of_a_data_file_is_told_with_its_path_and_mended(
    folder: DataFolder, copied_run: SmallRun
) -> None:
    day = copied_run.days[-1].isoformat()
    path = file_of(folder, BARS, day)
    rows = copied_run.warehouse.read(BARS, [day])
    rewritten(path, flipped)
    (wrong,) = told(folder)
    assert (wrong.part, wrong.state) == ("files", FAULT)
    assert str(path) in wrong.told
    assert "setbull scrub" in wrong.remedy
    mended = told(folder, repairs=True)
    assert mended[0].done.endswith("made again from their inputs")
    assert FAULT not in {finding.state for finding in mended}
    assert copied_run.warehouse.read(BARS, [day]).equals(rows)


def test_a_damaged_row_of_the_catalog_is_a_damaged_partition(
    folder: DataFolder, copied_run: SmallRun
) -> None:
    day = copied_run.days[-1].isoformat()
    damage(copied_run.warehouse, BARS, day)
    (wrong,) = told(folder)
    assert f"{BARS.name} {day}" in wrong.told
    assert FAULT not in {finding.state for finding in told(folder, repairs=True)}
    assert told(folder) == []


def test_what_a_killed_process_left_is_deleted(folder: DataFolder) -> None:
    landing = landing_directory(folder.settings)
    left = [landing / ".landing-abc", landing / f"{disk.TEMPORARY_PREFIX}1-arrivals"]
    left[0].mkdir()
    (left[0] / "candles.parquet").write_bytes(b"half")
    left[1].write_bytes(b"half")
    with disk.temporary_file(landing / "known") as in_use:
        (note,) = told(folder)
        assert (note.part, note.state) == ("leftovers", NOTE)
        assert note.told.startswith("2 half-written")
        (mended,) = told(folder, repairs=True)
        assert mended.done == "2 deleted"
        assert in_use.exists()
    assert not any(path.exists() for path in left)


def test_a_damaged_landing_is_read_again_from_the_input(folder: DataFolder) -> None:
    path = next(landing_directory(folder.settings).glob("*-minutes-*/candles.parquet"))
    whole = path.read_bytes()
    rewritten(path, flipped)
    (wrong,) = told(folder)
    assert (wrong.part, wrong.state) == ("landing", FAULT)
    assert path.parent.name in wrong.told
    (mended,) = told(folder, repairs=True)
    assert mended.done == "1 read again from the input"
    assert path.read_bytes() == whole


def test_a_damaged_landing_that_no_input_explains_stays_wrong(folder: DataFolder) -> None:
    landing = landing_directory(folder.settings)
    whole = next(landing.glob("*-minutes-*"))
    foreign = landing / "of-an-input-that-is-gone"
    shutil.copytree(whole, foreign)
    rewritten(foreign / "candles.parquet", flipped)
    (mended, wrong) = told(folder, repairs=True)
    assert "not mended: of-an-input-that-is-gone" in mended.done
    assert wrong.state == FAULT
    assert foreign.exists()


def test_a_damaged_journal_is_told(folder: DataFolder) -> None:
    (landing_directory(folder.settings) / "arrivals-0.json").write_text('{"hash": "1"}')
    (wrong,) = told(folder)
    assert (wrong.part, wrong.state, wrong.repair) == ("journal", FAULT, None)


def test_a_lost_rollout_log_is_never_begun_anew(folder: DataFolder) -> None:
    path = file_of(folder, LOG, WHOLE)
    path.unlink()
    found = told(folder, repairs=True)
    wrong = [finding for finding in found if finding.part == "rollout log"]
    assert [(finding.state, finding.repair) for finding in wrong] == [(FAULT, None)]
    assert wrong[0].remedy.startswith("setbull rollout restore")
    assert not path.exists()


def test_missing_views_are_made_again(folder: DataFolder) -> None:
    catalog_path(folder.settings).unlink()
    (wrong,) = told(folder)
    assert (wrong.part, wrong.remedy) == ("views", "setbull catalog")
    (mended,) = told(folder, repairs=True)
    assert mended.done.startswith("made again: ")
    assert catalog_path(folder.settings).exists()


def test_rows_of_another_contract_are_told(
    folder: DataFolder, copied_run: SmallRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "setbull_pipelines.warehouse.encoding.schema_hash", lambda table: f"newer {table.name}"
    )
    refresh_catalog(copied_run.warehouse, folder.settings)
    parts = {finding.part: finding for finding in told(folder)}
    assert "another version of setbull" in parts["views"].told
    assert len(stored_tables()) > 50


def test_a_file_that_nothing_names_is_told(folder: DataFolder, copied_run: SmallRun) -> None:
    path = file_of(folder, BARS, copied_run.days[-1].isoformat()).with_name("0" * 32 + ".parquet")
    path.write_bytes(b"1234")
    (note,) = told(folder)
    assert (note.state, note.told) == (NOTE, "1 files, 4 bytes, that no version needs")
    assert told(folder, repairs=True)[0].done == "0 deleted, younger ones later"
    os.utime(path, (0, 0))
    assert told(folder, repairs=True)[0].done == "1 deleted, younger ones later"


def test_a_writer_is_named(folder: DataFolder) -> None:
    with disk.writer_lock(open_warehouse(folder.settings).root):
        (note,) = told(folder)
    assert note.told.startswith(f"process {os.getpid()} (")
    assert note.told.endswith(") is writing")


def test_dagster_files_that_cannot_be_read_are_set_aside(folder: DataFolder) -> None:
    storage = folder.settings.data_directory / "dagster" / "storage"
    storage.mkdir(parents=True)
    path = storage / "runs.db"
    path.write_bytes(b"SQLite format 3\0 and then nothing")
    (wrong,) = told(folder)
    assert (wrong.part, wrong.state) == ("dagster", FAULT)
    assert FAULT not in {finding.state for finding in told(folder, repairs=True)}
    assert told(folder) == []
    assert not path.exists()
    (kept,) = storage.glob("runs.db.damaged-*")
    assert kept.read_bytes().endswith(b"nothing")


@pytest.fixture
def runs_of_dagster(folder: DataFolder, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where Dagster keeps the runs of the folder, which is its home."""
    root = folder.settings.data_directory
    monkeypatch.setenv("SETBULL_DATA_DIR", str(root))
    monkeypatch.setenv("DAGSTER_HOME", "")
    prepare_dagster_home(root)
    return root / "dagster" / "storage" / "history" / "runs.db"


def assert_refused_then_repaired(said: str) -> None:
    """A run names the command that mends, which says what it did."""
    refused = CliRunner().invoke(main, ["run"])
    assert (refused.exit_code, refused.output.count("error: ")) == (2, 1)
    assert "setbull doctor --repair" in refused.output
    done = CliRunner().invoke(main, ["doctor", "--repair"])
    assert (done.exit_code, said in done.output) == (0, True), done.output


def test_the_doctor_is_there_when_the_runs_of_dagster_cannot_be_opened(
    runs_of_dagster: Path,
) -> None:
    runs_of_dagster.write_bytes(b"nonsense" * 1000)
    assert_refused_then_repaired("1 set aside")
    with dg.DagsterInstance.get() as instance:
        assert instance.get_runs() == []


def test_a_file_of_dagster_that_two_processes_made_at_once_is_mended(runs_of_dagster: Path) -> None:
    with dg.DagsterInstance.get() as instance:
        instance.add_run(dg.DagsterRun(job_name="kept", run_id=str(uuid.uuid4())))
    with sqlite3.connect(runs_of_dagster) as connection:
        connection.execute("INSERT INTO alembic_version VALUES ('5771160a95ad')")  # as seen
    assert_refused_then_repaired("1 mended")
    with dg.DagsterInstance.get() as instance:
        assert [run.job_name for run in instance.get_runs()] == ["kept"]


@pytest.mark.parametrize(("free", "state"), [(10**6, FAULT), (surroundings.LEAST_FREE, NOTE)])
def test_a_disk_that_is_nearly_full_is_told(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch, free: int, state: str
) -> None:
    monkeypatch.setattr(surroundings, "LEAST_FREE", 2 * 10**6)
    free = min(free, 3 * 10**6)
    usage = SimpleNamespace(free=free)
    monkeypatch.setattr(surroundings.shutil, "disk_usage", lambda path: usage)
    found = told(folder)
    assert [(finding.part, finding.state) for finding in found] == [("disk", state)]


def test_a_clock_that_was_set_back_is_told(folder: DataFolder) -> None:
    (wrong,) = told(replace(folder, moment=folder.moment - timedelta(days=2)))
    assert (wrong.part, wrong.state) == ("clock", FAULT)
    assert "1 day, 23:" in wrong.told


@pytest.mark.parametrize(("days", "state"), [(-30, NOTE), (1, FAULT)])
def test_the_end_of_the_calendar_is_told(folder: DataFolder, days: int, state: str) -> None:
    ahead = NSE.last_day + timedelta(days=days) - folder.moment.date()
    (wrong,) = told(replace(folder, moment=folder.moment + ahead))
    assert (wrong.part, wrong.state) == ("calendar", state)


def test_an_examination_that_fails_stops_only_itself(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no luck")

    monkeypatch.setattr("setbull_pipelines.doctor.logs.read_ledger", fail)
    (wrong,) = told(folder)
    assert wrong.told == "could not be looked at: RuntimeError: no luck"


def test_the_command_says_it_in_words_and_as_json(folder: DataFolder) -> None:
    environment = {"SETBULL_DATA_DIR": str(folder.settings.data_directory)}
    catalog_path(folder.settings).unlink()
    words = CliRunner().invoke(main, ["doctor"], env=environment)
    assert words.exit_code == 1
    assert words.output.splitlines()[-1] == (
        "1 wrong; 1 of them are mended by: setbull doctor --repair"
    )
    answer = CliRunner().invoke(main, ["doctor", "--json"], env=environment)
    told_as_json = json.loads(answer.stdout)
    assert list(told_as_json) == documented_keys("`setbull doctor --json`")
    assert list(told_as_json["findings"][0]) == documented_keys("each of `findings`")
    assert told_as_json["well"] is False
    assert {f["part"]: f["repairable"] for f in told_as_json["findings"]}["views"] is True
    mended = CliRunner().invoke(main, ["doctor", "--repair"], env=environment)
    assert mended.exit_code == 0
    assert mended.output.splitlines()[-1] == "nothing is wrong"


def test_figures_are_in_units_that_people_read() -> None:
    assert [size(number) for number in (0, 999, 1_000, 87_500_000, 72.6e9, 5e15)] == [
        *("0 bytes", "999 bytes", "1.0 KB", "87.5 MB", "72.6 GB", "5,000.0 TB")
    ]
    assert shortened([str(number) for number in range(7)]) == "0, 1, 2, 3, 4 and 2 more"


def test_every_setting_that_the_doctor_names_is_one() -> None:
    """A remedy that names a setting which nobody can set is worse than none."""
    groups = groups_of(Settings())
    said = {
        (group, name)
        for path in (Path(doctor.__file__).parent).glob("*.py")
        for group, name in re.findall(
            rf"\b({'|'.join(groups)})\.([a-z_]+)\b", " ".join(sentences_of(path))
        )
    }
    assert said >= {("storage", "intermediate_limit_mib"), ("calendar", "file")}
    assert {(group, name) for group, name in said if not hasattr(groups[group], name)} == set()


def sentences_of(path: Path) -> list[str]:
    """The texts of a module that are no docstrings."""
    tree = ast.parse(path.read_text("utf-8"))
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in documentation
    ]
