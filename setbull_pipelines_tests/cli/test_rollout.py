"""``setbull rollout``: the state in words, actions with a name, refusals in one sentence."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from setbull_pipelines import tables
from setbull_pipelines.cli.commands.rollout import COMPONENTS, STAGES
from setbull_pipelines.cli.main import main
from setbull_pipelines.pipeline.rollout_log import read_log
from setbull_pipelines.pipeline.stage_decisions import states
from setbull_pipelines.quality.rollout_log import LOG
from setbull_pipelines.rollout.stages import Component, Stage
from setbull_pipelines.warehouse.pointers import WHOLE, StoredTable
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests import stored as faults
from setbull_pipelines_tests.pipeline.small_run import SmallRun, cut_back_v1

SIGNED = ("--by", "Asha", "--reason", "a trial")


def setbull(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["rollout", *arguments])


def lines(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def refused(result: Result, *parts: str) -> None:
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 2
    sentence = result.stderr.strip().splitlines()[-1]
    assert sentence.lower().startswith("error: ")
    for part in parts:
        assert part in sentence


def stages(data_directory: Path) -> dict[str, str]:
    found = states(read_log(Warehouse(data_directory / "warehouse")))
    return {component.label: state.stage.label for component, state in found.items()}


def test_the_choices_are_the_components_and_stages() -> None:
    assert list(COMPONENTS) == [component.label for component in Component]
    assert list(STAGES) == [stage.label for stage in Stage]


def test_a_new_data_folder_is_off_everywhere(data_directory: Path) -> None:
    status = lines(setbull("status"))
    assert status == [
        f"{name}: stage off, 0 of 5 healthy sessions, never judged" for name in COMPONENTS
    ]
    assert lines(setbull("history")) == []
    assert not data_directory.exists(), "looking must not write"


def test_force_kill_and_rearm_are_rows_with_a_name(data_directory: Path) -> None:
    (line,) = lines(setbull("force", "indicators", "50", *SIGNED))
    assert "Asha: indicators off to 50, forced: a trial" in line
    assert stages(data_directory) == {"aggregation": "off", "indicators": "50", "sequences": "off"}
    assert len(lines(setbull("kill", *SIGNED))) == 3
    assert set(stages(data_directory).values()) == {"off"}
    assert all("latched" in line for line in lines(setbull("status")))
    lines(setbull("rearm", "--component", "sequences", *SIGNED))
    assert stages(data_directory)["sequences"] == "shadow"
    history = lines(setbull("history", "--component", "sequences"))
    assert [line.split()[0] for line in history] == ["4", "5"]
    assert lines(setbull("history", "--rows", "1")) == history[-1:]


def test_freeze_and_its_release(data_directory: Path) -> None:
    lines(setbull("freeze", "--component", "aggregation", *SIGNED))
    assert [line for line in lines(setbull("status")) if "frozen" in line] == [
        "aggregation: stage off, 0 of 5 healthy sessions, frozen, never judged"
    ]
    lines(setbull("freeze", "--release", "--component", "aggregation", *SIGNED))
    assert not any("frozen" in line for line in lines(setbull("status")))


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("force", "indicators", "50", "--reason", "x"), ("--by",)),
        (("rearm", "--reason", "x"), ("--by",)),
        (("kill", "--by", "Asha"), ("--reason",)),
        (("force", "indicators", "60", *SIGNED), ("60",)),
        (("force", "indicators", "50", "--by", " ", "--reason", "x"), ("indicators", "no actor")),
        (("force", "indicators", "50", "--by", "controller", "--reason", "x"), ("named person",)),
        (("rearm", *SIGNED), ("aggregation", "no latch")),
        (("freeze", "--release", *SIGNED), ("not frozen",)),
    ],
    ids=lambda value: " ".join(value),
)
def test_what_is_not_possible_is_refused_and_leaves_no_row(
    arguments: tuple[str, ...], parts: tuple[str, ...], data_directory: Path
) -> None:
    refused(setbull(*arguments), *parts)
    assert read_log(Warehouse(data_directory / "warehouse")) == ()


def test_an_action_on_all_that_one_refuses_is_done_to_none(data_directory: Path) -> None:
    lines(setbull("kill", "--component", "aggregation", *SIGNED))
    refused(setbull("rearm", *SIGNED), "indicators", "no latch")
    assert len(read_log(Warehouse(data_directory / "warehouse"))) == 1


def spoil_the_pointer(warehouse: Warehouse) -> None:
    faults.damage(warehouse, LOG, WHOLE)


def lose_the_pointer(warehouse: Warehouse) -> None:
    faults.lose(warehouse, LOG, WHOLE)


def lose_the_folder(warehouse: Warehouse) -> None:
    shutil.rmtree(warehouse.root.joinpath(*LOG.key))


def flip_a_bit_of_the_rows(warehouse: Warehouse) -> None:
    (newest,) = warehouse.files(LOG)
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(data)


def lose_the_newest_rows(warehouse: Warehouse) -> None:
    """As a scrub does with a damaged file: it is taken away, and the pointer stays."""
    (newest,) = warehouse.files(LOG)
    newest.unlink()


@pytest.mark.run
@pytest.mark.parametrize(
    ("spoil", "is_sure"),
    [
        (spoil_the_pointer, True),
        (lose_the_pointer, True),
        (flip_a_bit_of_the_rows, False),
        (lose_the_newest_rows, False),
        (lose_the_folder, False),
    ],
)
def test_a_lost_log_is_an_error_and_never_lets_a_latched_v2_come_back(
    spoil: Callable[[Warehouse], None], is_sure: bool, data_directory: Path, tmp_path: Path
) -> None:
    lines(setbull("kill", "--component", "indicators", *SIGNED))
    lines(setbull("force", "sequences", "50", *SIGNED))
    before = lines(setbull("status"))
    spoil(Warehouse(data_directory / "warehouse"))
    # Files that this process has read are in its memory; another place is as good as another process.
    elsewhere = shutil.copytree(data_directory, tmp_path / "elsewhere")
    os.environ["SETBULL_DATA_DIR"] = str(elsewhere)
    csv = tmp_path / "daily.csv"
    csv.write_text(
        "instrument_key,timestamp,open,high,low,close,volume\nNSE_EQ|A,2025-06-02,9,9,9,9,1\n"
    )
    run = CliRunner().invoke(main, ["run", "--input", str(csv)])
    assert isinstance(run.exception, SystemExit), run.exception
    assert run.exit_code == 1
    told = " ".join(run.output.split())
    assert "operations.rollout_log cannot be read" in told, run.output
    assert "setbull rollout restore --by NAME --reason WHY" in told
    refused(setbull("force", "indicators", "100", *SIGNED), "setbull rollout restore")
    refused(setbull("status"), "setbull rollout restore")

    restored = lines(setbull("restore", *SIGNED))
    after = lines(setbull("status"))
    if is_sure:
        assert after == before
        assert "2 rows restored" in restored[0]
    else:
        # What the lost rows said is not known: V1 for all, until a person re-arms.
        assert all("stage off" in line and "latched" in line for line in after)
        assert any("it is not sure that these are all" in line for line in restored)
    assert any("indicators: stage off" in line and "latched" in line for line in after)
    refused(setbull("restore", *SIGNED), "nothing to restore")


@pytest.mark.parametrize("step", ["file", "commit", "marker"])
def test_a_first_act_that_is_killed_on_its_way_is_no_lost_log(
    step: str, data_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(*arguments: object, **named: object) -> None:
        raise Killed

    place = {
        "file": "setbull_pipelines.warehouse.files.Files.write",
        "commit": "setbull_pipelines.warehouse.commits.apply",
        "marker": "setbull_pipelines.pipeline.rollout_log.disk.replace_durably",
    }[step]
    with monkeypatch.context() as patched:
        # Nothing of the first act is known to the disk but what was done before.
        patched.setattr(place, kill)
        with pytest.raises(Killed):
            setbull("force", "sequences", "50", *SIGNED)
    lines(setbull("force", "sequences", "50", *SIGNED))
    assert any("sequences: stage 50" in line for line in lines(setbull("status")))


def test_a_damaged_log_is_one_sentence_and_the_kill_switch_is_still_shown(
    data_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines(setbull("kill", *SIGNED))
    faults.damage(Warehouse(data_directory / "warehouse"), LOG, WHOLE)
    refused(setbull("status"), "operations.rollout_log cannot be read", "rollout restore")
    refused(setbull("history"), "operations.rollout_log cannot be read")
    monkeypatch.setenv("SETBULL_KILL_V2", "1")
    result = setbull("status")
    refused(result, "operations.rollout_log cannot be read")
    assert "the kill switch is on: V1 is served everywhere" in result.stdout


def test_status_tells_the_share_that_is_really_served(
    small_run: SmallRun, data_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SETBULL_DATA_DIR", str(small_run.settings.data_directory))
    day = small_run.days[-1]
    assert f"served.candles_5min {day}: 0 of 12 instruments from V2 (0%)" in lines(
        setbull("status")
    )
    evaluated = lines(setbull("history"))
    assert len(evaluated) == 6
    assert all("controller" in line and "too little data" in line for line in evaluated)


def test_sql_does_not_take_a_variable_of_the_program_for_a_table(
    small_run: SmallRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SETBULL_DATA_DIR", str(small_run.settings.data_directory))
    answer = CliRunner().invoke(main, ["sql", "SELECT * FROM settings"])
    assert answer.exit_code == 2
    assert "Table with name settings does not exist" in answer.stderr


def test_sql_says_under_the_kill_switch_which_days_have_only_a_part_of_v1(
    small_run: SmallRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = small_run.copy(tmp_path / "data")
    monkeypatch.setenv("SETBULL_DATA_DIR", str(run.settings.data_directory))
    monkeypatch.setenv("SETBULL_KILL_V2", "1")
    question = ["sql", "SELECT count(*) FROM served.candles_daily"]
    whole = CliRunner().invoke(main, question)
    assert whole.stderr == "the kill switch is on: served tables show V1\n"
    day = run.days[0]
    cut_back_v1(run, tables.CANDLES_DAILY, Stage.SAMPLED, day)
    days = len(run.warehouse.partitions(StoredTable("v1", tables.CANDLES_DAILY)))
    part = CliRunner().invoke(main, question)
    assert part.exit_code == 0
    assert part.stderr.splitlines()[1:] == [
        f"v1.candles_daily: 1 of {days} days from {day} to {day} have a sample of the instruments or none"
    ]
