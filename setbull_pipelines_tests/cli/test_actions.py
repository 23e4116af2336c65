"""``setbull actions``: from a gap to a proposal, a decision with a name, and the sessions that it changes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from setbull_pipelines.cli.commands.actions import KINDS
from setbull_pipelines.cli.main import main
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.tables.actions import ACTION_KINDS, GENUINE

pytestmark = pytest.mark.run

HALVED, FALLEN, QUIET = "NSE_EQ|INE009A01021", "NSE_EQ|INE062A01020", "NSE_EQ|INE397D01024"
SIGNED = ("--by", "Asha", "--reason", "seen in the announcement")
DAYS = NSE.trading_days(pd.Timestamp("2025-01-01").date(), pd.Timestamp("2025-06-30").date())[-80:]
GAP_DAY = DAYS[-4]
SETTINGS = """
[indicators]
warm_margin_bars = 10
[reconciliation]
noise_instruments = 0
"""


def setbull(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def lines(*arguments: str) -> list[str]:
    result = setbull("actions", *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def refused(*arguments: str) -> str:
    result = setbull("actions", *arguments)
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 2
    return result.stderr.strip().splitlines()[-1]


def write_candles(folder: Path) -> None:
    """Daily bars: one share opens at half of its close on a day, one at 0.62, one does not jump."""
    folder.mkdir()
    rows = []
    for key, symbol, after in (
        (HALVED, "HALVED", 0.5),
        (FALLEN, "FALLEN", 0.7),
        (QUIET, "QUIET", 1),
    ):
        for number, day in enumerate(DAYS):
            price = 400 * 1.001**number * (after if day >= GAP_DAY else 1)
            row = (key, symbol, day, *(f"{price:.2f}",) * 4, 1_000_000)
            rows.append(",".join(map(str, row)))
    header = "instrument_key,symbol,timestamp,open,high,low,close,volume"
    (folder / "daily.csv").write_text("\n".join([header, *rows]) + "\n")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder after a run over the last five sessions: one before the gaps, and all since."""
    folder = tmp_path_factory.mktemp("gaps")
    before = dict(os.environ)
    write_candles(folder / "candles")
    (folder / "settings.toml").write_text(SETTINGS)
    os.environ |= {
        "SETBULL_DATA_DIR": str(folder / "data"),
        "SETBULL_SETTINGS": str(folder / "settings.toml"),
        "COLUMNS": "200",
    }
    try:
        run = setbull("run", "--input", str(folder / "candles"), "--from", str(DAYS[-5]))
        assert run.exit_code == 0, run.output
        assert "setbull actions propose" in run.output
    finally:
        os.environ.clear()
        os.environ.update(before)
    return folder


@pytest.fixture
def folder(finished: Path, tmp_path: Path, data_directory: Path) -> Path:
    """A copy of it, as the data folder of commands."""
    shutil.copytree(finished / "data", data_directory)
    (tmp_path / "settings.toml").write_text(SETTINGS)
    assert setbull("catalog").exit_code == 0
    return data_directory


def verdicts(symbol_key: str) -> dict[str, str]:
    """By day the reason of the basic stage."""
    query = (
        "SELECT trading_day, coalesce(basic_reason, reason) AS reason FROM served.filter_results "
        f"WHERE instrument_key = '{symbol_key}' AND trading_day >= DATE '{GAP_DAY}' ORDER BY ALL"
    )
    result = setbull("sql", query)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_kinds_that_can_be_accepted_are_those_there_are() -> None:
    assert {*KINDS, GENUINE} == set(ACTION_KINDS)


def test_from_a_gap_to_the_sessions_that_its_explanation_changes(
    folder: Path, finished: Path
) -> None:
    assert lines("propose") == [
        f"{GAP_DAY} HALVED opened at 0.5005 of the close before: looks like 1:2",
        f"  setbull actions accept '{HALVED}' {GAP_DAY} --by NAME --reason WHY",
        f"  setbull actions genuine '{HALVED}' {GAP_DAY} --by NAME --reason WHY",
        f"{GAP_DAY} FALLEN opened at 0.7007 of the close before: looks like 2:3",
        f"  setbull actions accept '{FALLEN}' {GAP_DAY} --by NAME --reason WHY",
        f"  setbull actions genuine '{FALLEN}' {GAP_DAY} --by NAME --reason WHY",
    ]
    assert lines("list") == ["decisions: 0, in force: 0"], "a proposal is no action"
    assert "unexplained gap" in verdicts(HALVED)

    accepted = lines("accept", "HALVED", str(GAP_DAY), *SIGNED)
    assert f"Asha: accepted split or bonus 2 of {HALVED} on {GAP_DAY}: seen" in accepted[0]
    assert accepted[1].startswith(f"4 stored sessions from {GAP_DAY} to {DAYS[-1]} can change")
    assert accepted[1].endswith(f"or: setbull run --input {finished / 'candles'}")
    lines("genuine", FALLEN, str(GAP_DAY), *SIGNED)
    assert lines("propose") == ["no gap without a corporate action is undecided"]

    # Only the last session is asked for; those that the decisions change come along, and no others.
    run = setbull("run", "--input", str(finished / "candles"), "--from", str(DAYS[-1]))
    assert run.exit_code == 0, run.output
    note = f"3 stored sessions from {GAP_DAY} to {DAYS[-2]} were corrected or look back"
    assert note in " ".join(run.output.split())
    for key in (HALVED, FALLEN):
        assert "unexplained gap" not in verdicts(key)
    found = lines("list")
    assert f"{GAP_DAY} HALVED split or bonus 2, from decided actions" in found
    assert f"{GAP_DAY} FALLEN genuine, from decided actions" in found
    gaps = setbull("sql", "SELECT count(unexplained_gap) AS gaps FROM served.indicators_daily")
    assert [line.split()[1] for line in gaps.output.splitlines() if line.startswith("│")][-1] == "0"

    again = setbull("run", "--input", str(finished / "candles"), "--from", str(DAYS[-1]))
    assert again.exit_code == 0
    assert "were corrected" not in again.output


def test_a_decision_can_be_taken_back(folder: Path, finished: Path) -> None:
    lines("accept", "HALVED", str(GAP_DAY), *SIGNED)
    assert (folder / "actions" / "accepted.csv").is_file()
    lines("reject", "HALVED", str(GAP_DAY), *SIGNED)
    assert not (folder / "actions" / "accepted.csv").exists()
    assert [line for line in lines("propose") if "HALVED" in line] == []
    assert lines("list")[0] == "decisions: 2, in force: 0"
    lines("accept", "HALVED", str(GAP_DAY), "--kind", "split", "--ratio", "2", *SIGNED)
    assert lines("list")[0] == "decisions: 3, in force: 1"
    rows = pd.read_csv(folder / "actions" / "decisions.csv")
    assert rows["by"].tolist() == ["Asha"] * 3
    assert rows["decision"].tolist() == ["accepted", "rejected", "accepted"]
    assert np.all(pd.to_datetime(rows["decided_at"]).diff().dropna() > pd.Timedelta(0))


def test_what_is_no_decision_is_one_sentence_and_writes_nothing(folder: Path) -> None:
    day = str(GAP_DAY)
    assert "expected a key such as" in refused("accept", "NOBODY", day, *SIGNED)
    assert "found no undecided gap" in refused("accept", "QUIET", day, *SIGNED)
    assert "found neither a gap" in refused("reject", "QUIET", day, *SIGNED)
    assert "a 1:2 split is 2" in refused("accept", "HALVED", day, "--ratio", "1:2", *SIGNED)
    assert "not 1" in refused("accept", "HALVED", day, "--ratio", "1", *SIGNED)
    empty = refused("accept", "HALVED", day, "--by", " ", "--reason", "x")
    assert "expected a name and a sentence" in empty
    assert not (folder / "actions").exists()


def test_a_damaged_journal_is_told(folder: Path) -> None:
    lines("accept", "HALVED", str(GAP_DAY), *SIGNED)
    journal = folder / "actions" / "decisions.csv"
    journal.write_text(journal.read_text().replace(f",{GAP_DAY},", ",soon,"))
    assert "decisions.csv, line 2: cannot be read" in refused("list")
