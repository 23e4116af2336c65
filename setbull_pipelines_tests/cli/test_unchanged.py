"""A run that finds everything as the last one left it computes nothing and says so; any change makes a run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner

from setbull_pipelines import tables
from setbull_pipelines.cli.home import prepare_dagster_home
from setbull_pipelines.cli.main import main
from setbull_pipelines.cli.unchanged import state_of
from setbull_pipelines.pipeline.serving import Serving, assignment_of, served_table
from setbull_pipelines.pipeline.serving_days import serve_one
from setbull_pipelines.rollout.stages import Stage
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests.automation.killed import gone_process, started_run
from setbull_pipelines_tests.cli.conftest import commands_in
from setbull_pipelines_tests.pipeline.small_run import SmallRun

pytestmark = pytest.mark.run

HEADER = "instrument_key,timestamp,open,high,low,close,volume"
DAYS = ("2025-06-02", "2025-06-03")
NOTHING = "nothing has changed since the run that ended"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days of two instruments, and a run over them, in a folder that tests use in turn."""
    folder = tmp_path_factory.mktemp("unchanged")
    candles = folder / "candles"
    candles.mkdir()
    for day in DAYS:
        bars = [f"NSE_EQ|{key},{day},100,101,99,100,10" for key in ("A", "B")]
        (candles / f"{day}.csv").write_text("\n".join([HEADER, *bars]) + "\n")
    with commands_in(folder):
        assert NOTHING not in run(candles)
    shutil.copytree(folder, folder.with_suffix(".kept"))
    return folder


@pytest.fixture
def data_directory(finished: Path) -> Iterator[Path]:
    """The data folder as the run has left it, in its own place: commands notice when theirs is another one."""
    shutil.rmtree(finished)
    shutil.copytree(finished.with_suffix(".kept"), finished)
    with commands_in(finished) as folder:
        prepare_dagster_home(folder)
        yield folder


@pytest.fixture
def candles(data_directory: Path) -> Path:
    """The input of the run."""
    return data_directory.with_name("candles")


def run(folder: Path, code: int = 0) -> str:
    result = CliRunner().invoke(main, ["run", "--input", str(folder)])
    assert result.exit_code == code, result.output
    return result.output


def dagster_runs() -> int:
    with dg.DagsterInstance.get() as instance:
        return len(instance.get_run_records())


def without_times(output: str) -> list[str]:
    """What is printed between the first lines and the times, without empty lines."""
    lines = [line.rstrip() for line in output.splitlines() if line.strip()]
    first = next(place for place, line in enumerate(lines) if line.startswith("rows of these days"))
    last = next(place for place, line in enumerate(lines) if line.startswith("time: "))
    return [line for line in lines[first:last] if "alerts:" not in line]


def test_a_run_without_changes_tells_the_results_again_and_a_change_makes_a_run(
    candles: Path, data_directory: Path
) -> None:
    more = [f"NSE_EQ|C,{day},100,101,99,100,10" for day in DAYS]
    (candles / "more.csv").write_text("\n".join([HEADER, *more]) + "\n")
    changed = run(candles)
    assert NOTHING not in changed
    runs = dagster_runs()

    again = run(candles)
    assert NOTHING in again
    assert dagster_runs() == runs
    assert without_times(again) == without_times(changed)
    assert "checks: " in again
    assert "looking for changes" in again

    # The same file with another close.
    (candles / "more.csv").write_text("\n".join([HEADER, *more]).replace("99,100,", "99,100.5,"))
    assert NOTHING not in run(candles)
    assert dagster_runs() > runs


def test_what_is_damaged_or_invalidated_is_computed_again(
    candles: Path, data_directory: Path
) -> None:
    warehouse = Warehouse(data_directory / "warehouse")
    moves = StoredTable("v2", tables.MOVES_DAILY)
    (file,) = warehouse.files(moves, [DAYS[1]])
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    assert NOTHING not in run(candles)
    assert warehouse.verify(moves, DAYS[1])

    assert NOTHING in run(candles)
    warehouse.invalidate(moves, DAYS[1], "NSE_EQ|A")
    assert NOTHING not in run(candles)
    assert warehouse.pointer(moves, DAYS[1]).invalidated == ()


def test_a_report_that_is_gone_or_written_over_is_written_again(
    candles: Path, data_directory: Path
) -> None:
    report = data_directory / "reports" / f"{DAYS[0]}.html"
    content = report.read_bytes()
    for spoil in (report.unlink, lambda: report.write_text("written over")):
        assert NOTHING in run(candles)
        spoil()
        assert NOTHING not in run(candles)
        assert report.read_bytes() == content


def test_what_is_served_against_the_stage_in_force_is_a_change(copied_run: SmallRun) -> None:
    run, table = copied_run, tables.CANDLES_DAILY
    given = (run.outcome.asked, run.intake)
    assert state_of(*given, run.warehouse, run.settings) is not None
    # Served from V2 while the log says off: nothing of this is in the state that the last run left behind.
    full = assignment_of(table, Stage.FULL, run.warehouse, run.settings.rollout)
    list(serve_one(table, run.days, Serving(full, run.days), run.warehouse, "test"))
    assert set(run.warehouse.read(served_table(table))["variant"]) == {"v2"}
    assert state_of(*given, run.warehouse, run.settings) is None
    off = assignment_of(table, Stage.OFF, run.warehouse, run.settings.rollout)
    list(serve_one(table, run.days, Serving(off, run.days), run.warehouse, "test"))
    assert state_of(*given, run.warehouse, run.settings) is not None


def test_a_run_that_was_killed_is_ended_and_told_by_the_next_one(candles: Path) -> None:
    with dg.DagsterInstance.get() as instance:
        killed = started_run(instance, {"dagster/partition": DAYS[0]}, **gone_process())
    output = run(candles)
    assert f"an earlier run of the job daily ({killed[:8]}) was killed" in output
    assert f"the run of daily {DAYS[0]} failed" in output
    with dg.DagsterInstance.get() as instance:
        assert instance.get_run_by_id(killed).status is dg.DagsterRunStatus.FAILURE
    assert "was killed" not in run(candles)


def test_another_setting_makes_a_run(candles: Path) -> None:
    assert NOTHING in run(candles)
    with Path(os.environ["SETBULL_SETTINGS"]).open("a", encoding="utf-8") as settings:
        settings.write("\n[filters]\nminimum_close = 60.0\n")
    assert NOTHING not in run(candles)
