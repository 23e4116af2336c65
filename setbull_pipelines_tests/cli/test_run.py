"""``setbull run`` and ``setbull sql``: exit codes, sentences, and everything a user reads after a run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from setbull_pipelines import tables, variants
from setbull_pipelines.pipeline import engine
from setbull_pipelines.settings import recorded_source
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests.cli.invoking import assert_refused, setbull
from setbull_pipelines_tests.patience import PATIENCE

pytestmark = pytest.mark.run

HEADER = "instrument_key,timestamp,open,high,low,close,volume"
DAY = "2025-06-03"


def good_rows(minutes: int = 40) -> list[str]:
    return [
        f"NSE_EQ|{isin},{DAY}T{9 + (15 + minute) // 60:02d}:{(15 + minute) % 60:02d}:00+05:30,"
        f"{price},{price + 1},{price - 1},{price + 0.5},{1000 + minute}"
        for isin, price in (("INE002A01018", 100.0), ("INE467B01029", 250.0))
        for minute in range(minutes)
    ]


DIRTY_ROWS = [
    f"NSE_EQ|INE002A01018,{DAY}T12:00:00+05:30,100,90,99,100,5",  # high below low
    f"NSE_EQ|INE002A01018,{DAY}T12:01:00+05:30,100,101,99,100,-5",  # negative volume
    f"NSE_EQ|INE002A01018,{DAY}T20:00:00+05:30,100,101,99,100,5",  # after the close
    "NSE_EQ|INE002A01018,2025-06-01T09:15:00+05:30,100,101,99,100,5",  # a Sunday
]


@pytest.fixture
def events_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dagster's events of commands in this process; on disk they take longer than the run."""
    monkeypatch.setattr(dg.DagsterInstance, "get", dg.DagsterInstance.ephemeral)


@pytest.fixture
def dirty_csv(tmp_path: Path) -> Path:
    path = tmp_path / "minutes.csv"
    path.write_text("\n".join([HEADER, *good_rows(), *DIRTY_ROWS]) + "\n")
    return path


def two_daily_bars(folder: Path, day: str, close: int) -> None:
    bars = [f"NSE_EQ|{isin},{day},{close},{close},{close},{close},10" for isin in ("A", "B")]
    (folder / f"{day}.csv").write_text("\n".join([HEADER, *bars]) + "\n")


@pytest.mark.usefixtures("events_in_memory")
def test_a_corrected_file_brings_the_sessions_that_look_back_on_it_along(
    data_directory: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "candles"
    folder.mkdir()
    days = ("2025-06-02", "2025-06-03", "2025-06-04")
    for day in days:
        two_daily_bars(folder, day, 100)
    first = setbull("run", "--input", folder)
    assert first.exit_code == 0, first.output
    warehouse = Warehouse(data_directory / "warehouse")
    moves = StoredTable("v2", tables.MOVES_DAILY)
    assert set(warehouse.read(moves, [days[2]])["close"]) == {100}

    two_daily_bars(folder, days[0], 101)
    chosen = ("run", "--input", folder, "--from", days[0], "--to", days[0])
    second = setbull(*chosen)
    assert second.exit_code == 0, second.output
    assert f"2 stored sessions from {days[1]} to {days[2]} were corrected" in second.output
    assert set(warehouse.read(moves, [days[2]])["close"]) == {100, 101}
    assert "stored sessions" not in setbull(*chosen).output

    key = "NSE_EQ|A"
    marked = setbull("invalidate", key, "--from", days[1])
    assert marked.exit_code == 0, marked.output
    assert f"{key} will be computed again" in marked.output
    assert "  v1.moves_daily: 2 sessions\n" in marked.output
    assert marked.output.endswith(f"now run: setbull run --from {days[1]} --to {days[2]}\n")
    pointer = warehouse.pointer(moves, days[2])
    assert pointer.invalidated == (key,)
    assert setbull("run", "--input", folder, "--from", days[1], "--to", days[2]).exit_code == 0
    again = warehouse.pointer(moves, days[2])
    assert (again.invalidated, again.content_hash) == ((), pointer.content_hash)
    assert (again.cost.instruments_computed, again.cost.instruments_kept) == (1, 1)


def test_an_instrument_that_nothing_is_stored_of_cannot_be_invalidated(
    data_directory: Path,
) -> None:
    assert_refused(
        setbull("invalidate", "NSE_EQ|NOBODY"), "no computed rows", "expected a key such as"
    )


@pytest.mark.usefixtures("events_in_memory")
def test_a_users_file_with_dirty_rows_runs_and_a_wrong_v2_then_fails(
    data_directory: Path, dirty_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = setbull("run", "--input", dirty_csv)
    assert result.exit_code == 0, result.output
    assert f"input: {dirty_csv}" in result.output
    assert "84 received" not in result.output  # the Sunday row has no day and is counted apart
    assert "83 received = 80 accepted + 3 quarantined + 0 equal duplicates ignored" in result.output
    quarantined = [line for line in result.output.splitlines() if "quarantined, " in line]
    assert len(quarantined) == len(DIRTY_ROWS)
    assert any("high below low: 1 (table raw.quarantine)" in line for line in quarantined)
    assert any("closed day: 1" in line for line in quarantined)
    assert "0 failed" in result.output
    assert "rows have no trading day and are in raw.quarantine" in " ".join(result.output.split())
    assert recorded_source(data_directory)[0] == str(dirty_csv)
    warehouse = Warehouse(data_directory / "warehouse")
    bars = warehouse.read(StoredTable("v1", tables.CANDLES_5MIN), [DAY])
    assert bars.groupby("instrument_key").size().tolist() == [8, 8]
    assert bars["volume"].sum() == 2 * sum(1000 + minute for minute in range(40))

    right = variants.v2.to_5min

    def forgets_a_share(minutes: pd.DataFrame, *arguments: object) -> pd.DataFrame:
        bars = right(minutes, *arguments)
        return bars.assign(volume=bars["volume"] - 1)

    monkeypatch.setattr(variants.v2, "to_5min", forgets_a_share)
    known = engine.variant_code_version
    monkeypatch.setattr(
        engine, "variant_code_version", lambda name: "wrong" if name == "v2" else known(name)
    )
    result = setbull("run", "--input", dirty_csv)
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert "checks failed" in result.stderr
    lines = result.stdout.splitlines()
    assert any(line.startswith("candles_5min") and "diverged" in line for line in lines)
    assert any("reconciliation/candles_5min v2_agrees_with_v1" in line for line in lines)
    assert any("v2/candles_5min session_conserved" in line for line in lines)
    assert any(f"candles_5min {DAY}" in line and "volume" in line for line in lines)
    assert f"setbull divergence --table candles_5min --day {DAY}" in result.stdout


@pytest.mark.usefixtures("events_in_memory")
def test_a_variant_that_raises_for_every_instrument_is_told_and_is_no_success(
    data_directory: Path, dirty_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*arguments: object) -> pd.DataFrame:
        raise ValueError("the minutes are upside down")

    monkeypatch.setattr(variants.v1, "to_5min", breaks)
    result = setbull("run", "--input", dirty_csv)
    assert result.exit_code == 1
    told = " ".join(result.output.split())
    assert "no_instrument_failed" in told
    assert "v1.candles_5min" in told
    assert "ValueError: the minutes are upside down" in told
    assert "Traceback" not in result.output


def test_a_step_that_raises_is_one_sentence(
    data_directory: Path, dirty_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*arguments: object) -> pd.DataFrame:
        raise MemoryError("32 GiB asked for")

    monkeypatch.setattr(variants.v1, "to_5min", breaks)
    result = setbull("run", "--input", dirty_csv)
    assert result.exit_code == 1
    told, _, what_to_do = result.stderr.strip().partition("; memory ran out")
    assert told == (
        "error: step v1 failed: v1.candles_5min: MemoryError: 32 GiB asked for; 3 tables that need it were left out"
    )
    assert what_to_do.endswith(
        "a smaller processing.memory_allowance_mib makes it work in smaller parts"
    )
    assert "Traceback" not in result.output


@pytest.mark.usefixtures("data_directory", "events_in_memory")
class TestRefusals:
    def test_a_date_that_is_none(self) -> None:
        assert_refused(setbull("run", "--from", "30-06-2026"), "'30-06-2026'", "YYYY-MM-DD")

    def test_an_input_that_is_not_there(self, tmp_path: Path) -> None:
        assert_refused(setbull("run", "--input", tmp_path / "absent.csv"), "absent.csv")

    def test_a_folder_without_candles(self, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        assert_refused(setbull("run", "--input", tmp_path / "empty"), "empty")

    @pytest.mark.parametrize(
        ("first", "last", "sentence"),
        [
            ("2024-01-01", "2024-02-01", f"which covers {DAY} to"),
            ("2030-01-01", "2030-02-01", "--from 2030-01-01 lies in the future"),
            ("2025-06-07", "2025-06-08", "NSE is closed on every day from Saturday 2025-06-07"),
            ("2025-06-08", "2025-06-07", "--from 2025-06-08 lies after --to 2025-06-07"),
        ],
    )
    def test_a_range_without_a_stored_session_is_refused_for_its_reason(
        self, first: str, last: str, sentence: str, dirty_csv: Path
    ) -> None:
        result = setbull("run", "--input", dirty_csv, "--from", first, "--to", last)
        assert_refused(result, sentence)

    def test_an_unknown_settings_key(self, tmp_path: Path) -> None:
        (tmp_path / "settings.toml").write_text("[filters]\nminimum_cloze = 20.0\n")
        os.environ["SETBULL_SETTINGS"] = str(tmp_path / "settings.toml")
        assert_refused(setbull("run"), "filters.minimum_cloze", "minimum_close")

    def test_an_impossible_setting(self, tmp_path: Path) -> None:
        (tmp_path / "settings.toml").write_text("[filters]\nmamba_ratio = 2.0\n")
        os.environ["SETBULL_SETTINGS"] = str(tmp_path / "settings.toml")
        assert_refused(setbull("run"), "filters.mamba_ratio", "2.0", "0 to 1")

    def test_sql_before_the_first_run(self) -> None:
        assert_refused(setbull("sql", "SELECT 1"), "there is no catalog")


@pytest.mark.usefixtures("events_in_memory")
def test_an_input_that_is_not_there_leaves_the_results_alone(
    data_directory: Path, tmp_path: Path
) -> None:
    (data_directory / "warehouse").mkdir(parents=True)
    (data_directory / "source.json").write_text('{"input": null}')
    setbull("run", "--input", tmp_path / "absent.csv")
    assert (data_directory / "warehouse").is_dir()
    assert recorded_source(data_directory)[0] is None


@pytest.mark.usefixtures("data_directory")
@pytest.mark.parametrize("command", [("sql", "SELECT 1"), ("ui",)])
def test_every_command_refuses_unknown_settings_in_one_sentence(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "execv", lambda *arguments: pytest.fail("started"))
    (tmp_path / "settings.toml").write_text("[filters]\nminimum_cloze = 20.0\n")
    os.environ["SETBULL_SETTINGS"] = str(tmp_path / "settings.toml")
    assert_refused(setbull(*command), "filters.minimum_cloze")


def test_real_minutes_run_from_the_command_line(shared_data: Path, tmp_path: Path) -> None:
    """The installed command, in a process and an instance of its own, on real prices."""
    environment = {
        **{name: text for name, text in os.environ.items() if not name.startswith("SETBULL_")},
        "SETBULL_DATA_DIR": str(tmp_path / "data"),
        "COLUMNS": "200",
    }
    source = shared_data / "candles_1min.parquet"
    command = [sys.executable, "-m", "setbull_pipelines.cli.main", "run", "--input", str(source)]
    finished = subprocess.run(
        [*command, "--to", "2025-06-02"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "750 received = 750 accepted + 0 quarantined" in finished.stdout
    assert "Traceback" not in finished.stdout + finished.stderr
    warehouse = Warehouse(tmp_path / "data" / "warehouse")
    for variant in ("v1", "v2"):
        bars = warehouse.read(StoredTable(variant, tables.CANDLES_5MIN), ["2025-06-02"])
        assert len(bars) == 150  # 75 bars of 2 instruments, each with a trade
        minutes = pd.read_parquet(source)
        on_day = minutes[minutes["timestamp"].dt.strftime("%Y-%m-%d") == "2025-06-02"]
        assert bars["volume"].sum() == on_day["volume"].sum()
    summary = warehouse.read(StoredTable("reconciliation", tables.RECONCILIATION_SUMMARY))
    assert set(summary["state"]) <= {"pass", "not comparable"}
    assert summary.set_index("table_name").loc["indicators_5min", "state"] == "pass"
